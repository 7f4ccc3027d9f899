//! What the API server in the tests' process answers to one request.

use std::collections::HashMap;

use futures::channel::mpsc::{UnboundedReceiver, unbounded};
use http::{Method, StatusCode};
use hyper::body::Bytes;
use k8s_openapi::ByteString;
use serde_json::{Value, json};

use super::Seen;
use super::store::{Id, KINDS, State, Watcher, disputed, event, id, matches, merge, prune, shown};

pub struct Call {
    pub method: Method,
    pub id: Id,
    pub subresource: String,
    pub query: HashMap<String, String>,
    pub partial: bool,
    pub content_type: String,
    pub body: Value,
}

impl Call {
    pub fn seen(&self) -> Seen {
        let watching = self.query.get("watch").is_some_and(|value| value == "true" || value == "1");
        let verb = match (self.method.as_str(), self.id.2.is_empty()) {
            ("GET", true) if watching => "watch",
            ("GET", true) => "list",
            ("GET", false) => "get",
            ("PATCH", _) => "patch",
            ("POST", _) => "create",
            ("PUT", _) => "update",
            ("DELETE", _) => "delete",
            other => panic!("unexpected request {other:?}"),
        };
        let slash = if self.subresource.is_empty() { "" } else { "/" };
        Seen { verb, resource: format!("{}{slash}{}", self.id.0, self.subresource), name: self.id.2.clone() }
    }
}

pub enum Answer {
    Object(Value),
    Status(StatusCode, String),
    Stream(UnboundedReceiver<Bytes>),
}

/// What the API server says to `call`, once no fault is in its way.
pub fn answer(state: &mut State, call: &Call, verb: &str) -> Answer {
    let is_known = KINDS.iter().any(|(plural, _, _)| *plural == call.id.0);
    if !is_known || state.absent.contains(&call.id.0) {
        return Answer::Status(
            StatusCode::NOT_FOUND,
            "the server could not find the requested resource".into(),
        );
    }
    let missing =
        || Answer::Status(StatusCode::NOT_FOUND, format!("{} \"{}\" not found", call.id.0, call.id.2));
    let existing = state.objects.get(&call.id).cloned();
    match verb {
        "list" => {
            let selector = selector_of(&call.query);
            let items =
                state.objects.iter().filter(|(id, object)| id.0 == call.id.0 && matches(object, &selector));
            let items: Vec<Value> = items.map(|(_, object)| shown(object, call.partial)).collect();
            let kind = KINDS.iter().find(|(plural, _, _)| *plural == call.id.0).unwrap();
            let (api_version, kind) = (kind.2, format!("{}List", kind.1));
            let metadata = json!({"resourceVersion": state.version.to_string()});
            Answer::Object(
                json!({"apiVersion": api_version, "kind": kind, "metadata": metadata, "items": items}),
            )
        }
        "watch" => {
            let (events, stream) = unbounded();
            let since: u64 = call.query.get("resourceVersion").and_then(|it| it.parse().ok()).unwrap_or(0);
            let watcher = Watcher {
                plural: call.id.0.clone(),
                selector: selector_of(&call.query),
                partial: call.partial,
                events,
            };
            for (version, _, id, old, new) in state.log.iter().filter(|entry| entry.0 > since) {
                if id.0 == watcher.plural
                    && let Some(event) = event(&watcher, old, new, *version)
                {
                    watcher.events.unbounded_send(event).unwrap();
                }
            }
            state.watchers.push(watcher);
            Answer::Stream(stream)
        }
        "get" => existing.map_or_else(missing, |object| Answer::Object(shown(&object, call.partial))),
        "create" => {
            let name = call.body["metadata"]["name"].as_str().unwrap();
            let id = id(&call.id.0, &call.id.1, name);
            if state.objects.contains_key(&id) {
                return Answer::Status(StatusCode::CONFLICT, format!("{name} already exists"));
            }
            let mut object = call.body.clone();
            if let Some(texts) = object.as_object_mut().unwrap().remove("stringData") {
                object["data"] = encoded(&texts);
            }
            Answer::Object(state.store(&id, object))
        }
        "update" => {
            let Some(existing) = existing else { return missing() };
            let read = &call.body["metadata"]["resourceVersion"];
            if !read.is_null() && *read != existing["metadata"]["resourceVersion"] {
                return Answer::Status(StatusCode::CONFLICT, "the object has been modified".into());
            }
            Answer::Object(state.store(&call.id, call.body.clone()))
        }
        "delete" => {
            let Some(existing) = existing else { return missing() };
            let wanted = &call.body["preconditions"]["uid"];
            if !wanted.is_null() && *wanted != existing["metadata"]["uid"] {
                return Answer::Status(StatusCode::CONFLICT, "uid precondition".into());
            }
            state.graces.push((call.id.clone(), call.body["gracePeriodSeconds"].as_i64()));
            state.remove(&call.id);
            Answer::Object(existing)
        }
        _ => patch(state, call, existing),
    }
}

fn patch(state: &mut State, call: &Call, existing: Option<Value>) -> Answer {
    let is_other = |existing: &Value, field| {
        let wanted = &call.body["metadata"][field];
        !wanted.is_null() && *wanted != existing["metadata"][field]
    };
    // An API server takes a status whatever uid comes with it.
    let is_another = |existing| call.subresource != "status" && is_other(existing, "uid");
    if existing.as_ref().is_some_and(|it| is_another(it) || is_other(it, "resourceVersion")) {
        return Answer::Status(StatusCode::CONFLICT, "precondition".into());
    }
    let apply = call.content_type.contains("apply-patch");
    let mut object = match existing {
        Some(existing) => existing,
        None if apply => Value::Null,
        None => return Answer::Status(StatusCode::NOT_FOUND, format!("{} not found", call.id.2)),
    };
    if apply {
        let manager = (call.id.clone(), call.query["fieldManager"].clone());
        let forced = call.query.get("force").is_some_and(|force| force == "true");
        if !forced && !object.is_null() && disputed(&object, &call.body) {
            return Answer::Status(StatusCode::CONFLICT, "conflict with another manager".into());
        }
        // A precondition, which is no field that is applied.
        let mut body = call.body.clone();
        body["metadata"].as_object_mut().unwrap().remove("resourceVersion");
        let before = state.applied.insert(manager, body.clone()).unwrap_or_default();
        prune(&mut object, &before, &body);
        merge(&mut object, &body);
    } else if call.subresource == "status" {
        let before = object["status"].clone();
        merge(&mut object["status"], &call.body["status"]);
        if before == object["status"] {
            state.wasted.push(call.id.clone());
        }
    } else {
        merge(&mut object, &call.body);
        if call.body["metadata"]["managedFields"].is_null()
            && let Some(manager) = call.query.get("fieldManager")
        {
            let owners = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
            let own = json!({"manager": manager, "operation": "Update"});
            object["metadata"]["managedFields"] = owners.into_iter().chain([own]).collect();
        }
        if let Some(texts) = object.as_object_mut().unwrap().remove("stringData") {
            merge(&mut object["data"], &encoded(&texts));
        }
    }
    Answer::Object(shown(&state.store(&call.id, object), call.partial))
}

/// The texts of a Secret, as they are stored.
pub fn encoded(texts: &Value) -> Value {
    let values = texts.as_object().unwrap().iter().map(|(key, text)| {
        let bytes = ByteString(text.as_str().unwrap().as_bytes().to_vec());
        (key.clone(), json!(bytes))
    });
    Value::Object(values.collect())
}

fn selector_of(query: &HashMap<String, String>) -> Vec<(String, String)> {
    let selector = query.get("labelSelector").map(String::as_str).unwrap_or_default();
    let pairs = selector.split(',').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
