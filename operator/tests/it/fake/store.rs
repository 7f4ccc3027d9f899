//! What the fake API server holds: objects, who applied what, and who watches.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures::channel::mpsc::UnboundedSender;
use hyper::body::Bytes;
use serde_json::{Value, json};

use super::{Fault, Seen};

pub type Id = (String, String, String);

#[derive(Default)]
pub(super) struct State {
    pub(super) objects: BTreeMap<Id, Value>,
    /// What each manager applied last.
    pub(super) applied: HashMap<(Id, String), Value>,
    pub(super) version: u64,
    pub(super) uids: u64,
    pub(super) log: Vec<(u64, &'static str, Id, Value, Value)>,
    pub(super) watchers: Vec<Watcher>,
    pub(super) requests: Vec<Seen>,
    /// Statuses that were written although they were there already.
    pub(super) wasted: Vec<Id>,
    /// How long each deletion has given its object to end, in seconds.
    pub(super) graces: Vec<(Id, Option<i64>)>,
    pub(super) fault: Option<Fault>,
    pub(super) absent: BTreeSet<String>,
}

pub(super) struct Watcher {
    pub(super) plural: String,
    pub(super) selector: Vec<(String, String)>,
    pub(super) partial: bool,
    pub(super) events: UnboundedSender<Bytes>,
}

pub(super) const KINDS: [(&str, &str, &str); 16] = [
    ("namespaces", "Namespace", "v1"),
    ("tenants", "Tenant", "kr8tiv.ai/v1alpha1"),
    ("harnesses", "Harness", "kr8tiv.ai/v1alpha1"),
    ("agents", "Agent", "kr8tiv.ai/v1alpha1"),
    ("serviceaccounts", "ServiceAccount", "v1"),
    ("services", "Service", "v1"),
    ("configmaps", "ConfigMap", "v1"),
    ("persistentvolumeclaims", "PersistentVolumeClaim", "v1"),
    ("secrets", "Secret", "v1"),
    ("pods", "Pod", "v1"),
    ("networkpolicies", "NetworkPolicy", "networking.k8s.io/v1"),
    ("ingresses", "Ingress", "networking.k8s.io/v1"),
    ("poddisruptionbudgets", "PodDisruptionBudget", "policy/v1"),
    ("statefulsets", "StatefulSet", "apps/v1"),
    ("events", "Event", "events.k8s.io/v1"),
    ("leases", "Lease", "coordination.k8s.io/v1"),
];

pub(super) fn plural_of(kind: &str) -> &'static str {
    KINDS.iter().find(|(_, known, _)| *known == kind).unwrap_or_else(|| panic!("unknown kind {kind}")).0
}

pub(super) fn has_generation(plural: &str) -> bool {
    ["tenants", "harnesses", "agents", "statefulsets", "networkpolicies", "poddisruptionbudgets", "ingresses"]
        .contains(&plural)
}

pub(super) fn id(plural: &str, namespace: &str, name: &str) -> Id {
    (plural.to_owned(), namespace.to_owned(), name.to_owned())
}

pub(super) fn matches(object: &Value, selector: &[(String, String)]) -> bool {
    !object.is_null()
        && selector.iter().all(|(name, value)| object["metadata"]["labels"][name.as_str()] == value.as_str())
}

pub(super) fn shown(object: &Value, partial: bool) -> Value {
    if partial {
        json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": object["metadata"]})
    } else {
        object.clone()
    }
}

/// What a watcher is told of a change, if anything.
pub(super) fn event(watcher: &Watcher, old: &Value, new: &Value, version: u64) -> Option<Bytes> {
    let (was, is) = (matches(old, &watcher.selector), matches(new, &watcher.selector));
    let (type_, mut object) = match (was, is) {
        (false, true) => ("ADDED", shown(new, watcher.partial)),
        (true, true) => ("MODIFIED", shown(new, watcher.partial)),
        (true, false) => ("DELETED", shown(old, watcher.partial)),
        (false, false) => return None,
    };
    object["metadata"]["resourceVersion"] = json!(version.to_string());
    Some(Bytes::from(format!("{}\n", json!({"type": type_, "object": object}))))
}

pub(super) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, value) in patch {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(name);
        } else {
            merge(&mut target[name], value);
        }
    }
}

/// Takes out of `target` the leaves that `old` has and `new` has not.
pub(super) fn prune(target: &mut Value, old: &Value, new: &Value) {
    let (Value::Object(old), Some(fields)) = (old, target.as_object_mut()) else { return };
    for (name, value) in old {
        match (new.get(name), fields.get_mut(name)) {
            (None, _) => {
                fields.remove(name);
            }
            (Some(new), Some(target)) => prune(target, value, new),
            (Some(_), None) => {}
        }
    }
}

pub(super) fn disputed(existing: &Value, applied: &Value) -> bool {
    match (existing, applied) {
        (Value::Object(existing), Value::Object(applied)) => applied
            .iter()
            .any(|(name, value)| existing.get(name).is_some_and(|existing| disputed(existing, value))),
        (existing, applied) => existing != applied,
    }
}

impl State {
    pub(super) fn store(&mut self, id: &Id, mut new: Value) -> Value {
        let old = self.objects.get(id).cloned().unwrap_or_default();
        let created = old.is_null();
        if created {
            self.uids += 1;
            let digits = format!("{:08x}", self.uids.wrapping_mul(2_654_435_761) & 0xffff_ffff);
            new["metadata"]["uid"] = json!(format!("{digits}-0000-4000-8000-{:012x}", self.uids));
            let second = 1_760_000_000 + i64::try_from(self.uids).unwrap();
            let created = k8s_openapi::jiff::Timestamp::from_second(second).unwrap();
            if new["metadata"]["creationTimestamp"].is_null() {
                new["metadata"]["creationTimestamp"] = json!(created.to_string());
            }
            new["metadata"]["namespace"] = json!(id.1);
            new["metadata"]["name"] = json!(id.2);
        }
        if has_generation(&id.0) && (created || old["spec"] != new["spec"]) {
            new["metadata"]["generation"] = json!(old["metadata"]["generation"].as_i64().unwrap_or(0) + 1);
        }
        if old == new {
            return new;
        }
        self.version += 1;
        new["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.objects.insert(id.clone(), new.clone());
        self.publish(if created { "ADDED" } else { "MODIFIED" }, id, old, new.clone());
        new
    }

    pub(super) fn remove(&mut self, id: &Id) {
        let Some(old) = self.objects.remove(id) else { return };
        self.version += 1;
        self.applied.retain(|(applied, _), _| applied != id);
        let uid = old["metadata"]["uid"].clone();
        self.publish("DELETED", id, old, Value::Null);
        let owned = |object: &Value| {
            object["metadata"]["ownerReferences"]
                .as_array()
                .is_some_and(|owners| owners.iter().any(|owner| owner["uid"] == uid))
        };
        let dependants: Vec<Id> =
            self.objects.iter().filter(|(_, object)| owned(object)).map(|(id, _)| id.clone()).collect();
        for dependant in &dependants {
            self.remove(dependant);
        }
    }

    pub(super) fn publish(&mut self, type_: &'static str, id: &Id, old: Value, new: Value) {
        let version = self.version;
        self.watchers.retain(|watcher| {
            if watcher.plural != id.0 {
                return !watcher.events.is_closed();
            }
            let Some(event) = event(watcher, &old, &new, version) else { return true };
            watcher.events.unbounded_send(event).is_ok()
        });
        self.log.push((version, type_, id.clone(), old, new));
    }
}
