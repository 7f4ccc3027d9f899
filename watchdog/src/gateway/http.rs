//! Probing stage, I/O: the health endpoints of the gateway.
//!
//! The body is read and not only the code: with its web interface on, an OpenClaw gateway answers every unknown path
//! with 200 and HTML.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::exchange::{self, ExchangeError};
use crate::gateway::answers::{Live, Readiness, Startup};
use crate::judge::observation::Failure;

/// `/readyz` has a few hundred bytes and the names of what fails.
const MAX_BODY: usize = 64 * 1024;

/// `/startupz`.
pub(super) async fn startup(address: SocketAddr, within: Duration) -> Result<Startup, Failure> {
    get(address, "/startupz", within, |code, answer: &Startup| (code == StatusCode::OK) == answer.ok).await
}

/// `/healthz`.
pub(super) async fn live(address: SocketAddr, within: Duration) -> Result<Live, Failure> {
    get(address, "/healthz", within, |code, answer: &Live| code == StatusCode::OK && answer.ok).await
}

/// `/readyz`.
pub(super) async fn ready(address: SocketAddr, within: Duration) -> Result<Readiness, Failure> {
    get(address, "/readyz", within, |code, answer: &Readiness| (code == StatusCode::OK) == answer.ready).await
}

async fn get<T: DeserializeOwned>(
    address: SocketAddr,
    path: &str,
    within: Duration,
    makes_sense: impl FnOnce(StatusCode, &T) -> bool,
) -> Result<T, Failure> {
    let asked = async {
        let stream = TcpStream::connect(address).await.map_err(|_| Failure::Unreachable)?;
        let request = Request::get(path).header(HOST, address.to_string()).body(Empty::<Bytes>::new());
        let request = request.map_err(|_| Failure::Unexpected)?;
        let (code, body) =
            exchange::exchange(stream, request, MAX_BODY).await.map_err(|error| match error {
                ExchangeError::Broken(_) => Failure::Unreachable,
                ExchangeError::TooLarge => Failure::Unexpected,
            })?;
        let answer = serde_json::from_slice(&body).map_err(|_| Failure::Unexpected)?;
        if makes_sense(code, &answer) { Ok(answer) } else { Err(Failure::Unexpected) }
    };
    timeout(within, asked).await.unwrap_or(Err(Failure::Frozen))
}
