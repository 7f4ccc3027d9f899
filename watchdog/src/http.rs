//! I/O: answers probes and the operator over HTTP.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper_server::body::{Bytes, Incoming};
use hyper_server::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper_server::server::conn::http1;
use hyper_server::service::service_fn;
use hyper_server::{Method, Request, Response, StatusCode};
use hyper_util_tokio::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use crate::status::Status;

/// The whole life of a connection: one small request, one small answer. A client cannot hold it longer,
/// however slowly it sends or reads.
const CONNECTION_DEADLINE: Duration = Duration::from_secs(5);
/// hyper's smallest buffer, and 20 times what a probe sends.
const MAX_HEADER_BYTES: usize = 8 * 1024;
/// More than the operator and kubelet ever open at once; bounds what others can make us keep.
const MAX_CONNECTIONS: usize = 64;
/// Pause after a refused accept (no file descriptors left): trying at once would only burn the CPU.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the delivery loop publishes. When its sender is gone the loop is dead.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// What `/status` answers.
    pub status: Status,
    /// When the loop must have given its next sign of life.
    pub alive_until: Instant,
}

/// Serves for ever.
pub async fn serve(listener: TcpListener, snapshots: watch::Receiver<Snapshot>) -> Infallible {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        // The semaphore is never closed; if it were, a connection without a permit is still answered.
        let permit = Arc::clone(&permits).acquire_owned().await.ok();
        match listener.accept().await {
            Ok((stream, _peer)) => {
                let snapshots = snapshots.clone();
                tokio::spawn(async move {
                    let _permit = permit;
                    let answered = tokio::time::timeout(CONNECTION_DEADLINE, answer(stream, snapshots)).await;
                    if answered.is_err() {
                        tracing::debug!("closed a connection that took too long");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn answer(stream: TcpStream, snapshots: watch::Receiver<Snapshot>) {
    let service = service_fn(|request: Request<Incoming>| {
        let response = route(&request, &snapshots);
        async { Ok::<_, Infallible>(response) }
    });
    let served = http1::Builder::new()
        .max_buf_size(MAX_HEADER_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended early");
    }
}

fn route<B>(request: &Request<B>, snapshots: &watch::Receiver<Snapshot>) -> Response<Full<Bytes>> {
    let snapshot = snapshots.borrow();
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return json(StatusCode::NOT_FOUND, r#"{"error":"not found"}"#);
    }
    match request.uri().path() {
        "/healthz" => {
            let alive = snapshots.has_changed().is_ok() && Instant::now() <= snapshot.alive_until;
            flag(alive, r#"{"ok":true}"#, r#"{"ok":false}"#)
        }
        "/readyz" => flag(snapshot.status.is_ready(), r#"{"ready":true}"#, r#"{"ready":false}"#),
        "/status" => match serde_json::to_vec(&snapshot.status) {
            Ok(body) => json(StatusCode::OK, body),
            Err(_) => json(StatusCode::INTERNAL_SERVER_ERROR, r#"{"error":"status is not serialisable"}"#),
        },
        _ => json(StatusCode::NOT_FOUND, r#"{"error":"not found"}"#),
    }
}

fn flag(good: bool, yes: &'static str, no: &'static str) -> Response<Full<Bytes>> {
    if good { json(StatusCode::OK, yes) } else { json(StatusCode::SERVICE_UNAVAILABLE, no) }
}

fn json(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn healthz(snapshots: &watch::Receiver<Snapshot>) -> StatusCode {
        route(&Request::get("/healthz").body(()).unwrap(), snapshots).status()
    }

    #[test]
    fn a_stalled_or_dead_loop_is_unhealthy() {
        let now = Instant::now();
        let fresh = Snapshot { status: Status::default(), alive_until: now + Duration::from_hours(1) };
        let stalled =
            Snapshot { alive_until: now.checked_sub(Duration::from_millis(1)).unwrap(), ..fresh.clone() };
        let (sender, receiver) = watch::channel(fresh.clone());
        assert_eq!(healthz(&receiver), StatusCode::OK);
        sender.send(stalled).unwrap();
        assert_eq!(healthz(&receiver), StatusCode::SERVICE_UNAVAILABLE);
        sender.send(fresh).unwrap();
        assert_eq!(healthz(&receiver), StatusCode::OK);
        drop(sender);
        assert_eq!(healthz(&receiver), StatusCode::SERVICE_UNAVAILABLE);
    }
}
