//! A webhook's receiver, which takes what is signed and remembers it. I/O: a listening socket.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use ring::hmac;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::Outcome;
use crate::cluster::NODE_ADDRESS;

/// Where it listens: who knows this can send.
const PATH: &str = "/alerts/of-which-only-the-tenant-knows";
/// Seconds by which a message may be older or newer than now.
const FRESH: u64 = 300;

/// The running server.
pub struct Receiver {
    url: String,
    shared: Arc<Shared>,
}

struct Shared {
    key: String,
    heard: Mutex<Heard>,
}

#[derive(Default)]
struct Heard {
    messages: Vec<Value>,
    /// Everything that came, as it came.
    bodies: String,
    /// Why some of it was not taken.
    refused: Vec<String>,
}

impl Receiver {
    /// Starts to listen on the node's address for messages that are signed with a key. The server ends with the process.
    pub async fn start(key: &str) -> Outcome<Self> {
        let listener = TcpListener::bind((NODE_ADDRESS, 0)).await?;
        let url = format!("http://{}{PATH}", listener.local_addr()?);
        let shared = Arc::new(Shared { key: key.to_owned(), heard: Mutex::default() });
        let router = Router::new().route(PATH, post(receive)).with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { url, shared })
    }

    /// Where it is told.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Everything that it was sent, whether it took it or not.
    pub fn bodies(&self) -> String {
        self.shared.heard().bodies.clone()
    }

    /// An error for as long as it was told this less often.
    pub fn expect(&self, status: &str, times: usize) -> Outcome {
        let told = self.told(status);
        if told >= times {
            return Ok(());
        }
        Err(format!("{status} was told {told} times; refused: {:?}", self.shared.heard().refused).into())
    }

    /// An error until the last sign of life names a reason.
    pub fn expect_alive_with(&self, reason: &str) -> Outcome {
        let heard = self.shared.heard();
        let last = heard.messages.iter().rev().find(|message| message["status"] == "alive");
        let reasons = last.map(|message| &message["reasons"]).and_then(Value::as_array);
        if reasons.is_some_and(|reasons| reasons.iter().any(|one| one == reason)) {
            return Ok(());
        }
        Err(format!("the last sign of life has the reasons {reasons:?}").into())
    }

    /// How often it was told this.
    pub fn told(&self, status: &str) -> usize {
        self.shared.heard().messages.iter().filter(|message| message["status"] == status).count()
    }
}

impl Shared {
    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, headers: &HeaderMap, body: &str) -> Result<(), String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| error.to_string())?;
        genuine(&self.key, headers, body, now.as_secs())?;
        let mut message: Value = serde_json::from_str(body).map_err(|error| error.to_string())?;
        // A message that comes again has its old id.
        message["id"] = header(headers, "x-kr8tiv-id")?.into();
        let mut heard = self.heard();
        if !heard.messages.iter().any(|known| known["id"] == message["id"]) {
            heard.messages.push(message);
        }
        Ok(())
    }
}

async fn receive(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: String) -> StatusCode {
    shared.heard().bodies.push_str(&body);
    match shared.take(&headers, &body) {
        Ok(()) => StatusCode::OK,
        Err(why) => {
            shared.heard().refused.push(why);
            StatusCode::UNAUTHORIZED
        }
    }
}

/// As docs/watchdog.md says that a receiver tells.
fn genuine(key: &str, headers: &HeaderMap, body: &str, now: u64) -> Result<(), String> {
    let timestamp = header(headers, "x-kr8tiv-timestamp")?;
    let signed: u64 = timestamp.parse().map_err(|_| format!("a timestamp of {timestamp:?}"))?;
    if now.abs_diff(signed) > FRESH {
        return Err(format!("it was signed at {signed}, and now is {now}"));
    }
    let signature = header(headers, "x-kr8tiv-signature")?;
    let digits = signature.strip_prefix("sha256=").ok_or("another kind of signature")?.as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let signature: Option<Vec<u8>> = digits.chunks(2).map(byte).collect();
    let signature = signature.ok_or("a signature that is no number")?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    hmac::verify(&key, format!("{timestamp}.{body}").as_bytes(), &signature)
        .map_err(|_| "the signature is another one".to_owned())
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, String> {
    headers.get(name).and_then(|value| value.to_str().ok()).ok_or_else(|| format!("no header {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `printf '%s' '1700000000.{}' | openssl dgst -sha256 -hmac key` says.
    const SIGNATURE: &str = "sha256=9d713ed406bb7076d4123f0dc2c39d2df5c654ed4b0cd56b52c8b4c940bd63ae";

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|&(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn only_what_is_signed_with_the_key_is_genuine() {
        let signed = headers(&[("x-kr8tiv-timestamp", "1700000000"), ("x-kr8tiv-signature", SIGNATURE)]);
        let soon = 1_700_000_100;
        genuine("key", &signed, "{}", soon).unwrap();
        genuine("another key", &signed, "{}", soon).unwrap_err();
        genuine("key", &signed, "{} ", soon).unwrap_err();
        genuine("key", &signed, "{}", soon + 2 * FRESH).unwrap_err();
        genuine("key", &headers(&[("x-kr8tiv-timestamp", "1700000000")]), "{}", soon).unwrap_err();
        let cut = headers(&[("x-kr8tiv-timestamp", "1700000000"), ("x-kr8tiv-signature", "sha256=9d")]);
        genuine("key", &cut, "{}", soon).unwrap_err();
    }
}
