//! A webhook's receiver, which remembers what it was told. I/O: a listening socket.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::Outcome;
use crate::cluster::NODE_ADDRESS;

/// The running server.
pub struct Receiver {
    url: String,
    messages: Messages,
}

type Messages = Arc<Mutex<Vec<Value>>>;

impl Receiver {
    /// Starts to listen on the node's address. The server ends with the process.
    pub async fn start() -> Outcome<Self> {
        let listener = TcpListener::bind((NODE_ADDRESS, 0)).await?;
        let url = format!("http://{}/alerts", listener.local_addr()?);
        let messages = Messages::default();
        let router = Router::new().route("/alerts", post(receive)).with_state(Arc::clone(&messages));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { url, messages })
    }

    /// Where it is told.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// An error for as long as it was told this less often.
    pub fn expect(&self, status: &str, times: usize) -> Outcome {
        let told = self.told(status);
        if told >= times { Ok(()) } else { Err(format!("{status} was told {told} times").into()) }
    }

    /// An error until the last sign of life names a reason.
    pub fn expect_alive_with(&self, reason: &str) -> Outcome {
        let messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        let last = messages.iter().rev().find(|message| message["status"] == "alive");
        let reasons = last.map(|message| &message["reasons"]).and_then(Value::as_array);
        if reasons.is_some_and(|reasons| reasons.iter().any(|one| one == reason)) {
            return Ok(());
        }
        Err(format!("the last sign of life has the reasons {reasons:?}").into())
    }

    /// How often it was told this.
    pub fn told(&self, status: &str) -> usize {
        let messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        messages.iter().filter(|message| message["status"] == status).count()
    }
}

async fn receive(State(messages): State<Messages>, headers: HeaderMap, Json(mut message): Json<Value>) {
    // A message that comes again has its old id.
    message["id"] = headers.get("x-kr8tiv-id").and_then(|id| id.to_str().ok()).map(Value::from).into();
    let mut messages = messages.lock().unwrap_or_else(PoisonError::into_inner);
    if !messages.iter().any(|known| known["id"] == message["id"]) {
        messages.push(message);
    }
}
