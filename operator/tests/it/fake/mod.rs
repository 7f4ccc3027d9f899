//! An API server within the test's process: enough of list, watch, apply, patch, create and delete for the operator
//! to run against, with a log of the requests and faults on demand. It keeps what real ones keep: a write that
//! changes nothing leaves `resourceVersion` alone, an apply takes away what the manager no longer applies, and
//! dependants go with their owner.

mod answers;
mod store;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use http::{Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame};
use kube::client::Body;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::watch;

use self::answers::{Answer, Call, encoded};
use self::store::{Id, State, id, plural_of};

/// One request, as a test counts it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Seen {
    pub verb: &'static str,
    /// Plural, and the subresource after a slash.
    pub resource: String,
    pub name: String,
}

/// Answers a request with an error.
type Fault = Box<dyn Fn(&Seen) -> Option<StatusCode> + Send>;
#[derive(Clone)]
pub struct Fake {
    state: Arc<Mutex<State>>,
    changes: Arc<watch::Sender<u64>>,
}

impl Fake {
    pub fn new() -> Self {
        let state = State { version: 100, ..State::default() };
        Self { state: Arc::new(Mutex::new(state)), changes: Arc::new(watch::Sender::new(0)) }
    }

    pub fn client(&self) -> kube::Client {
        kube::Client::new(self.clone(), "default")
    }

    fn answer(&self, call: &Call) -> Answer {
        let mut state = self.state.lock();
        let seen = call.seen();
        state.requests.push(seen.clone());
        if let Some(code) = state.fault.as_ref().and_then(|fault| fault(&seen)) {
            return Answer::Status(code, format!("fault: {} {}", seen.verb, seen.resource));
        }
        answers::answer(&mut state, call, seen.verb)
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// Creates objects from YAML documents, as `kubectl apply` would.
    pub fn create_yaml(&self, namespace: &str, yaml: &str) {
        let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).unwrap();
        documents
            .into_iter()
            .filter(|document| !document.is_null())
            .for_each(|it| self.create(namespace, it));
    }

    pub fn create(&self, namespace: &str, mut object: Value) {
        let plural = plural_of(object["kind"].as_str().unwrap());
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        if let Some(texts) = object.as_object_mut().unwrap().remove("stringData") {
            object["data"] = encoded(&texts);
        }
        self.state.lock().store(&id(plural, namespace, &name), object);
        self.changed();
    }

    /// Changes an object, as somebody else.
    pub fn update(&self, kind: &str, namespace: &str, name: &str, change: impl FnOnce(&mut Value)) {
        let id = id(plural_of(kind), namespace, name);
        let mut state = self.state.lock();
        let mut object =
            state.objects.get(&id).unwrap_or_else(|| panic!("no {kind} {namespace}/{name}")).clone();
        change(&mut object);
        state.store(&id, object);
        drop(state);
        self.changed();
    }

    pub fn delete(&self, kind: &str, namespace: &str, name: &str) {
        self.state.lock().remove(&id(plural_of(kind), namespace, name));
        self.changed();
    }

    pub fn get(&self, kind: &str, namespace: &str, name: &str) -> Option<Value> {
        self.state.lock().objects.get(&id(plural_of(kind), namespace, name)).cloned()
    }

    /// What a manager applied last, object by object.
    pub fn applied_by(&self, manager: &str) -> BTreeMap<Id, Value> {
        let state = self.state.lock();
        let of_manager = state.applied.iter().filter(|((_, by), _)| by == manager);
        of_manager.map(|((id, _), body)| (id.clone(), body.clone())).collect()
    }

    /// All objects of a kind.
    pub fn all(&self, kind: &str) -> Vec<Value> {
        let plural = plural_of(kind);
        let state = self.state.lock();
        state.objects.iter().filter(|(id, _)| id.0 == plural).map(|(_, object)| object.clone()).collect()
    }

    pub fn names(&self, kind: &str, namespace: &str) -> Vec<String> {
        let plural = plural_of(kind);
        let state = self.state.lock();
        state.objects.keys().filter(|id| id.0 == plural && id.1 == namespace).map(|id| id.2.clone()).collect()
    }

    /// Requests so far, without watches and the lists before them, and without events.
    pub fn requests(&self) -> Vec<Seen> {
        let state = self.state.lock();
        let counts = |seen: &&Seen| !["watch", "list"].contains(&seen.verb) && seen.resource != "events";
        state.requests.iter().filter(counts).cloned().collect()
    }

    /// Statuses that were written although they were there already.
    pub fn wasted(&self) -> Vec<Id> {
        self.state.lock().wasted.clone()
    }

    /// How long each deletion of these objects has given them to end, in seconds.
    pub fn graces(&self, plural: &str) -> Vec<Option<i64>> {
        let state = self.state.lock();
        state.graces.iter().filter(|(id, _)| id.0 == plural).map(|(_, grace)| *grace).collect()
    }

    pub fn all_requests(&self) -> Vec<Seen> {
        self.state.lock().requests.clone()
    }

    pub fn forget_requests(&self) {
        self.state.lock().requests.clear();
    }

    pub fn set_fault(&self, fault: impl Fn(&Seen) -> Option<StatusCode> + Send + 'static) {
        self.state.lock().fault = Some(Box::new(fault));
    }

    pub fn clear_fault(&self) {
        self.state.lock().fault = None;
    }

    /// The server does not know a kind, until [`Fake::install`].
    pub fn uninstall(&self, kind: &str) {
        self.state.lock().absent.insert(plural_of(kind).to_owned());
    }

    pub fn install(&self, kind: &str) {
        self.state.lock().absent.remove(plural_of(kind));
    }

    /// Ends every watch the way a server does whose history no longer goes back far enough.
    pub fn expire_watches(&self) {
        let gone = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 410,
            "reason": "Expired", "message": "too old resource version"});
        let event = Bytes::from(format!("{}\n", json!({"type": "ERROR", "object": gone})));
        let mut state = self.state.lock();
        for watcher in state.watchers.drain(..) {
            let _ = watcher.events.unbounded_send(event.clone());
        }
        state.log.clear();
    }

    /// Tells of every write.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

impl tower::Service<Request<Body>> for Fake {
    type Response = Response<BoxBody<Bytes, Infallible>>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let fake = self.clone();
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let header = |name| {
                parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
            };
            let segments: Vec<&str> = parts.uri.path().split('/').filter(|it| !it.is_empty()).collect();
            let rest = if segments[0] == "api" { &segments[2..] } else { &segments[3..] };
            let (namespace, rest) = if let ["namespaces", namespace, below @ ..] = rest {
                (*namespace, below)
            } else {
                ("", rest)
            };
            let segment = |index: usize| rest.get(index).copied().unwrap_or_default().to_owned();
            let query = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
            let call = Call {
                id: (segment(0), namespace.to_owned(), segment(1)),
                subresource: segment(2),
                query: query.into_owned().collect(),
                partial: header("accept").contains("PartialObjectMetadata"),
                content_type: header("content-type"),
                body: serde_json::from_slice(&body).unwrap_or_default(),
                method: parts.method,
            };
            let answer = fake.answer(&call);
            if !["GET"].contains(&call.method.as_str()) {
                fake.changed();
            }
            Ok(respond(answer))
        }
        .boxed()
    }
}

fn respond(answer: Answer) -> Response<BoxBody<Bytes, Infallible>> {
    let (code, body) = match answer {
        Answer::Object(object) => (StatusCode::OK, Full::from(object.to_string()).boxed()),
        Answer::Status(code, message) => {
            let reason = code.canonical_reason().unwrap_or_default().replace(' ', "");
            let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "code": code.as_u16(), "reason": reason, "message": message});
            (code, Full::from(status.to_string()).boxed())
        }
        Answer::Stream(events) => {
            (StatusCode::OK, BodyExt::boxed(StreamBody::new(events.map(|event| Ok(Frame::data(event))))))
        }
    };
    Response::builder().status(code).header("content-type", "application/json").body(body).unwrap()
}
