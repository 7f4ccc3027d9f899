//! A scripted model behind OpenAI's API, which remembers what it was asked. I/O: a listening socket.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::Outcome;
use crate::cluster::NODE_ADDRESS;

/// The model's id.
pub const MODEL: &str = "scripted";
/// What the model answers to everything.
pub const ANSWER: &str = "The scripted answer.";

/// The running server.
pub struct ModelServer {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    requests: Mutex<Vec<Value>>,
    refuses: AtomicBool,
}

impl ModelServer {
    /// Starts to listen on the node's address. The server ends with the process.
    pub async fn start() -> Outcome<Self> {
        let listener = TcpListener::bind((NODE_ADDRESS, 0)).await?;
        let port = listener.local_addr()?.port();
        let shared = Arc::<Shared>::default();
        let router =
            Router::new().route("/v1/chat/completions", post(complete)).with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { port, shared })
    }

    /// Whether it refuses every key from now on.
    pub fn refuse(&self, refuses: bool) {
        self.shared.refuses.store(refuses, Ordering::SeqCst);
    }

    /// What goes into a Harness's `spec.models` so that agents ask this server.
    pub fn models(&self) -> Value {
        json!({
            "primary": format!("house/{MODEL}"),
            "providers": [{
                "name": "house",
                "baseUrl": format!("http://{NODE_ADDRESS}:{}/v1", self.port),
                "models": [{"id": MODEL}]
            }]
        })
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Value> {
        self.shared.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The text of all messages of a role in a request.
pub fn text_of(request: &Value, role: &str) -> String {
    let mut text = String::new();
    for message in request["messages"].as_array().into_iter().flatten().filter(|m| m["role"] == role) {
        match &message["content"] {
            Value::String(content) => text.push_str(content),
            parts => {
                for part in parts.as_array().into_iter().flatten() {
                    text.push_str(part["text"].as_str().unwrap_or_default());
                }
            }
        }
        text.push('\n');
    }
    text
}

async fn complete(State(shared): State<Arc<Shared>>, body: String) -> Response {
    // What is no JSON is remembered as well: the test then shows it.
    let request = serde_json::from_str(&body).unwrap_or(Value::String(body));
    shared.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    if shared.refuses.load(Ordering::SeqCst) {
        let refusal = json!({"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}});
        return (StatusCode::UNAUTHORIZED, Json(refusal)).into_response();
    }
    ([(CONTENT_TYPE, "text/event-stream")], stream()).into_response()
}

/// The answer as OpenAI's API streams it.
fn stream() -> String {
    let chunk = |choices: Value, usage: Value| {
        json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": MODEL,
            "choices": choices, "usage": usage
        })
    };
    let choice = |delta: Value, end: Value| json!([{"index": 0, "delta": delta, "finish_reason": end}]);
    let chunks = [
        chunk(choice(json!({"role": "assistant", "content": ""}), Value::Null), Value::Null),
        chunk(choice(json!({"content": ANSWER}), Value::Null), Value::Null),
        chunk(choice(json!({}), json!("stop")), Value::Null),
        chunk(json!([]), json!({"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2})),
    ];
    let events: String = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
    events + "data: [DONE]\n\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_of_the_stream_is_json_but_the_last() {
        let stream = stream();
        let events: Vec<_> =
            stream.split_terminator("\n\n").map(|event| event.strip_prefix("data: ").unwrap()).collect();
        let (last, chunks) = events.split_last().unwrap();
        assert_eq!(*last, "[DONE]");
        let parsed: Vec<Value> = chunks.iter().map(|chunk| serde_json::from_str(chunk).unwrap()).collect();
        assert_eq!(parsed[1]["choices"][0]["delta"]["content"], ANSWER);
        assert_eq!(parsed[2]["choices"][0]["finish_reason"], "stop");
    }

    #[test]
    fn text_comes_from_strings_and_from_parts() {
        let request = json!({"messages": [
            {"role": "system", "content": "a"},
            {"role": "user", "content": [{"type": "text", "text": "b"}]}
        ]});
        assert_eq!(
            (text_of(&request, "system").as_str(), text_of(&request, "user").as_str()),
            ("a\n", "b\n")
        );
    }
}
