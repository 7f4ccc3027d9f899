//! A Supermemory for tests: in the process as a [`Transport`], or on a socket, where the official SDK talks to it.
//!
//! It holds what the real one holds to: the key, the paths, and bodies of exactly the fields that the SDK declares and
//! this crate uses. It is worse in one way: it heeds neither limit nor threshold, for callers must not rely on them.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::client::RESPONSE_LIMIT;
use crate::transport::{Body, Transport, TransportError};

/// How it misbehaves.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Fault {
    /// It answers with a status, and with a value of `Retry-After` where there is one.
    Status(u16, Option<&'static str>),
    /// It answers after this time only.
    Slow(Duration),
    /// It takes no connection. On a socket it hangs up instead.
    Refuse,
    /// It hangs up when it has read the request.
    HangUp,
    /// It hangs up in the middle of an answer.
    Cut,
    /// It answers with what is no JSON.
    Garbage,
    /// It answers with JSON of another kind.
    Nonsense,
    /// It answers with more than anybody wants to read.
    Huge,
    /// It sends the caller elsewhere.
    Redirect,
    /// The caller panics, as over a fault of its own.
    Panic,
}

/// A request that it got.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Method and path.
    pub call: String,
    /// The headers that mean something to it: `accept`, `authorization`, `content-type`.
    pub headers: BTreeMap<&'static str, String>,
    /// The body.
    pub body: Value,
}

/// A Supermemory for tests. Clones are the same one.
#[derive(Clone, Default)]
pub struct Stub(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    key: String,
    /// Tag, text, similarity.
    memories: Vec<(String, String, f64)>,
    /// Documents by tag and id.
    documents: BTreeMap<(String, String), Value>,
    requests: Vec<Seen>,
    fault: Option<Fault>,
    once: VecDeque<Fault>,
}

impl Stub {
    /// Makes one that takes this key and remembers nothing.
    pub fn new(key: &str) -> Self {
        let stub = Self::default();
        stub.set_key(key);
        stub
    }

    /// From now on another key is the right one.
    pub fn set_key(&self, key: &str) {
        key.clone_into(&mut self.0.lock().key);
    }

    /// Has it remember something under a tag, found by every search with this similarity.
    pub fn remember(&self, tag: &str, text: &str, similarity: f64) {
        self.0.lock().memories.push((tag.into(), text.into(), similarity));
    }

    /// Forgets everything that it remembers.
    pub fn forget(&self) {
        self.0.lock().memories.clear();
    }

    /// The documents that it has been given, by tag and id.
    pub fn documents(&self) -> BTreeMap<(String, String), Value> {
        self.0.lock().documents.clone()
    }

    /// The requests that it got, in order.
    pub fn requests(&self) -> Vec<Seen> {
        self.0.lock().requests.clone()
    }

    /// Forgets the requests.
    pub fn forget_requests(&self) {
        self.0.lock().requests.clear();
    }

    /// Misbehaves from now on, or not any more.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.0.lock().fault = fault;
    }

    /// Misbehaves at the next request; several add up.
    pub fn fail_once(&self, fault: Fault) {
        self.0.lock().once.push_back(fault);
    }

    /// Serves on a socket until it is dropped.
    pub async fn serve(self, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            let stub = self.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request: Request<Incoming>| {
                    let stub = stub.clone();
                    async move {
                        let (head, body) = request.into_parts();
                        let body =
                            body.collect().await.map_err(|error| TransportError::Broken(error.into()))?;
                        stub.answer(Request::from_parts(head, body.to_bytes())).await
                    }
                });
                // A broken connection is what some faults are for.
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    }

    async fn answer(&self, request: Request<Bytes>) -> Result<Response<Body>, TransportError> {
        let fault = {
            let mut state = self.0.lock();
            state.once.pop_front().or_else(|| state.fault.clone())
        };
        if fault == Some(Fault::Refuse) {
            return Err(TransportError::Connect("connection refused".into()));
        }
        self.0.lock().requests.push(seen(&request));
        match fault {
            None => Ok(self.well(&request)),
            Some(Fault::Slow(pause)) => {
                sleep(pause).await;
                Ok(self.well(&request))
            }
            Some(Fault::Panic) => panic!("the stub was told to"),
            Some(Fault::Refuse | Fault::HangUp) => Err(TransportError::Broken("connection reset".into())),
            Some(fault) => Ok(ill(&fault)),
        }
    }

    fn well(&self, request: &Request<Bytes>) -> Response<Body> {
        let mut state = self.0.lock();
        let authorization = request.headers().get(AUTHORIZATION).map(http::HeaderValue::as_bytes);
        if authorization != Some(format!("Bearer {}", state.key).as_bytes()) {
            return refusal(401, "Unauthorized");
        }
        let Ok(body) = serde_json::from_slice::<Value>(request.body()) else {
            return refusal(400, "no JSON");
        };
        let answer = match (request.method(), request.uri().path()) {
            (&Method::POST, "/v4/search") => state.search(&body),
            (&Method::POST, "/v3/documents") => state.add(&body),
            (&Method::POST, "/v4/profile") => state.profile(&body),
            _ => return refusal(404, "Not Found"),
        };
        answer.map_or_else(|problem| refusal(400, problem), |answer| json_response(200, &answer))
    }
}

impl Transport for Stub {
    fn send(&self, request: Request<Full<Bytes>>) -> BoxFuture<'_, Result<Response<Body>, TransportError>> {
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            self.answer(Request::from_parts(head, body)).await
        }
        .boxed()
    }
}

impl State {
    fn search(&self, body: &Value) -> Result<Value, &'static str> {
        has_only(body, &["q", "containerTag", "searchMode", "limit", "threshold"])?;
        if body["q"].as_str().is_none_or(str::is_empty) {
            return Err("q");
        }
        if !["memories", "hybrid", "documents"].iter().any(|mode| body["searchMode"] == *mode) {
            return Err("searchMode");
        }
        if !body["threshold"].as_f64().is_some_and(|threshold| (0.0..=1.0).contains(&threshold)) {
            return Err("threshold");
        }
        if !body["limit"].as_u64().is_some_and(|limit| (1..=100).contains(&limit)) {
            return Err("limit");
        }
        let tag = name(&body["containerTag"]).ok_or("containerTag")?;
        let found = self.memories.iter().filter(|(of, _, _)| of == tag);
        let results: Vec<Value> = found
            .enumerate()
            .map(|(position, (_, text, similarity))| {
                // A hybrid search gives memories and pieces of documents.
                let field = if position % 2 == 0 { "memory" } else { "chunk" };
                json!({
                    "id": format!("m{position}"), field: text, "similarity": similarity, "metadata": null,
                    "updatedAt": "2026-01-01T00:00:00.000Z"
                })
            })
            .collect();
        Ok(json!({"total": results.len(), "results": results, "timing": 12}))
    }

    fn add(&mut self, body: &Value) -> Result<Value, &'static str> {
        has_only(body, &["content", "containerTag", "customId", "metadata"])?;
        if body["content"].as_str().is_none_or(str::is_empty) {
            return Err("content");
        }
        let is_flat = |value: &Value| value.is_string() || value.is_number() || value.is_boolean();
        if !body["metadata"].as_object().is_none_or(|metadata| metadata.values().all(is_flat)) {
            return Err("metadata");
        }
        let tag = name(&body["containerTag"]).ok_or("containerTag")?.to_owned();
        let id = match &body["customId"] {
            Value::Null => format!("d{}", self.documents.len()),
            id => name(id).ok_or("customId")?.to_owned(),
        };
        self.documents.insert((tag, id.clone()), body.clone());
        Ok(json!({"id": id, "status": "queued"}))
    }

    fn profile(&self, body: &Value) -> Result<Value, &'static str> {
        has_only(body, &["containerTag"])?;
        let tag = name(&body["containerTag"]).ok_or("containerTag")?;
        let own = self.memories.iter().filter(|(of, _, _)| of == tag);
        let texts: Vec<&str> = own.map(|(_, text, _)| text.as_str()).collect();
        Ok(json!({"profile": {"static": texts, "dynamic": []}}))
    }
}

/// A tag or an id, as the SDK documents them.
fn name(value: &Value) -> Option<&str> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    value.as_str().filter(|name| (1..=100).contains(&name.len()) && name.chars().all(allowed))
}

fn has_only(body: &Value, fields: &[&str]) -> Result<(), &'static str> {
    let known = body.as_object().is_some_and(|body| body.keys().all(|name| fields.contains(&name.as_str())));
    if known { Ok(()) } else { Err("unknown field") }
}

fn seen(request: &Request<Bytes>) -> Seen {
    let headers = [("accept", ACCEPT), ("authorization", AUTHORIZATION), ("content-type", CONTENT_TYPE)];
    let headers = headers.into_iter().filter_map(|(name, header)| {
        Some((name, String::from_utf8_lossy(request.headers().get(header)?.as_bytes()).into_owned()))
    });
    Seen {
        call: format!("{} {}", request.method(), request.uri().path()),
        headers: headers.collect(),
        body: serde_json::from_slice(request.body()).unwrap_or_default(),
    }
}

fn refusal(status: u16, problem: &str) -> Response<Body> {
    json_response(status, &json!({"error": problem, "details": "the stub says so"}))
}

fn json_response(status: u16, body: &Value) -> Response<Body> {
    response(status, whole(body.to_string()))
}

fn response(status: u16, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}

fn whole(text: impl Into<Bytes>) -> Body {
    Full::new(text.into()).map_err(|never: Infallible| match never {}).boxed_unsync()
}

fn ill(fault: &Fault) -> Response<Body> {
    match fault {
        Fault::Status(status, retry_after) => {
            let mut response = refusal(*status, "the stub was told to");
            if let Some(value) = retry_after {
                response.headers_mut().insert(RETRY_AFTER, http::HeaderValue::from_static(value));
            }
            response
        }
        Fault::Garbage => response(200, whole("<html>sk-canary-in-the-body</html>")),
        Fault::Nonsense => json_response(200, &json!({"answer": ["sk-canary-in-the-body"]})),
        Fault::Huge => {
            let chunk = Bytes::from(vec![b' '; 64 * 1024]);
            let chunks = stream::repeat(chunk).take(2 * RESPONSE_LIMIT / (64 * 1024));
            response(200, StreamBody::new(chunks.map(|chunk| Ok(Frame::data(chunk)))).boxed_unsync())
        }
        Fault::Redirect => {
            let mut response = response(302, whole(""));
            response
                .headers_mut()
                .insert(LOCATION, http::HeaderValue::from_static("http://169.254.169.254/"));
            response
        }
        _ => {
            let parts =
                [Ok(Frame::data(Bytes::from_static(b"{\"results\": ["))), Err("connection reset".into())];
            response(200, StreamBody::new(stream::iter(parts)).boxed_unsync())
        }
    }
}
