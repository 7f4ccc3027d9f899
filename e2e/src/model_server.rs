//! A scripted model behind OpenAI's API, which remembers what it was asked. I/O: a listening socket.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
/// What the model answers to everything that it has no script for.
pub const ANSWER: &str = "The scripted answer.";

/// The running server.
pub struct ModelServer {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    requests: Mutex<Vec<Value>>,
    call: Mutex<Option<Call>>,
    refuses: AtomicBool,
}

/// A call of a tool.
struct Call {
    tool: String,
    arguments: Value,
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

    /// Has it answer the next request that offers this tool with a call of it, and with no other.
    pub fn call(&self, tool: &str, arguments: Value) {
        let call = Call { tool: tool.to_owned(), arguments };
        *self.shared.pending() = Some(call);
    }

    /// Takes back the call that nobody has been answered with; says whether there was one.
    pub fn take_back(&self) -> bool {
        self.shared.pending().take().is_some()
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
    let call = shared.next_call(&request);
    shared.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    if shared.refuses.load(Ordering::SeqCst) {
        let refusal = json!({"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}});
        return (StatusCode::UNAUTHORIZED, Json(refusal)).into_response();
    }
    ([(CONTENT_TYPE, "text/event-stream")], stream(call.as_ref())).into_response()
}

impl Shared {
    fn pending(&self) -> MutexGuard<'_, Option<Call>> {
        self.call.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_call(&self, request: &Value) -> Option<Call> {
        let tools = request["tools"].as_array()?;
        let offered = |call: &mut Call| tools.iter().any(|tool| tool["function"]["name"] == call.tool);
        self.pending().take_if(offered)
    }
}

/// The answer, or the call of a tool, as OpenAI's API streams it.
fn stream(call: Option<&Call>) -> String {
    let chunk = |choices: Value, usage: Value| {
        json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": MODEL,
            "choices": choices, "usage": usage
        })
    };
    let choice = |delta: Value, end: Value| json!([{"index": 0, "delta": delta, "finish_reason": end}]);
    let (delta, end) = match call {
        None => (json!({"content": ANSWER}), "stop"),
        Some(Call { tool, arguments }) => {
            let function = json!({"name": tool, "arguments": arguments.to_string()});
            let call = json!({"index": 0, "id": "call_1", "type": "function", "function": function});
            (json!({"tool_calls": [call]}), "tool_calls")
        }
    };
    let chunks = [
        chunk(choice(json!({"role": "assistant", "content": ""}), Value::Null), Value::Null),
        chunk(choice(delta, Value::Null), Value::Null),
        chunk(choice(json!({}), json!(end)), Value::Null),
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
        let parsed = |stream: String| -> Vec<Value> {
            let events: Vec<_> =
                stream.split_terminator("\n\n").map(|event| event.strip_prefix("data: ").unwrap()).collect();
            let (last, chunks) = events.split_last().unwrap();
            assert_eq!(*last, "[DONE]");
            chunks.iter().map(|chunk| serde_json::from_str(chunk).unwrap()).collect()
        };
        let answer = parsed(stream(None));
        assert_eq!(answer[1]["choices"][0]["delta"]["content"], ANSWER);
        assert_eq!(answer[2]["choices"][0]["finish_reason"], "stop");
        let call = Call { tool: "exec".into(), arguments: json!({"command": "id"}) };
        let called = parsed(stream(Some(&call)));
        let function = &called[1]["choices"][0]["delta"]["tool_calls"][0]["function"];
        assert_eq!(*function, json!({"name": "exec", "arguments": "{\"command\":\"id\"}"}));
        assert_eq!(called[2]["choices"][0]["finish_reason"], "tool_calls");
    }

    #[test]
    fn a_call_waits_for_a_request_that_offers_its_tool() {
        let shared = Shared::default();
        let call = Call { tool: "exec".into(), arguments: json!({}) };
        *shared.pending() = Some(call);
        let offering = |tool: &str| json!({"tools": [{"type": "function", "function": {"name": tool}}]});
        assert!(shared.next_call(&json!({"messages": []})).is_none());
        assert!(shared.next_call(&offering("read")).is_none());
        assert!(shared.next_call(&offering("exec")).is_some());
        assert!(shared.next_call(&offering("exec")).is_none(), "once");
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
