//! Status stage: writes a status when it differs from the one that is there. Writes to the API.

use std::any::TypeId;
use std::collections::HashMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kr8tiv_crds::status::{ConditionStatus, ConditionType, Finding, Reason, conditions};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Resource};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};

use crate::client::said;
use crate::events::Events;
use crate::guard::{CustomKind, Guarded, Unreadable};
use crate::key::{Key, version_of};

/// Field manager of everything in a status.
pub const FIELD_MANAGER: &str = "kr8tiv-operator-status";

/// Why a status could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server did not take it.
    #[error("writing the status of {kind} {key}: {}", said(source))]
    Write {
        /// Kind of the object.
        kind: String,
        /// The object.
        key: Key,
        /// What the client says.
        source: Box<kube::Error>,
    },
}

/// Writes statuses, and knows the ones it has written before the watch tells of them.
pub struct Statuses {
    client: Client,
    events: Events,
    written: Mutex<AllWritten>,
}

type AllWritten = HashMap<(TypeId, Key), Written>;

struct Written {
    uid: Option<String>,
    version: u64,
    resource_version: Option<String>,
    status: Value,
}

impl Statuses {
    /// Makes a writer without memory.
    pub fn new(client: Client, events: Events) -> Self {
        Self { client, events, written: Mutex::default() }
    }

    /// The object's status: as written last, or as stored, whichever is newer.
    pub fn latest<K: CustomKind>(&self, object: &K) -> K::Status {
        let written = self.written.lock();
        let newer = newer::<K>(&written, object.meta())
            .and_then(|written| serde_json::from_value(written.status.clone()).ok());
        newer.or_else(|| object.status().cloned()).unwrap_or_default()
    }

    /// Writes a status when it is not what [`Statuses::latest`] gives. Says whether it was written: not when it was there
    /// already, and not when the object is gone or another one than was seen.
    pub async fn write<K: CustomKind>(&self, object: &K, status: &K::Status) -> Result<bool, Error> {
        let latest = self.latest(object);
        if latest == *status {
            return Ok(false);
        }
        let (old, new) = (to_value(&latest), to_value(status));
        let written = self.patch::<K>(object.meta(), merge_patch(&old, &new), new.clone()).await?;
        if written {
            self.events.tell::<K>(object.meta(), &old, &new);
        }
        Ok(written)
    }

    /// Shows on an object that it can't be read. Says whether that was written.
    pub async fn write_unreadable<K: CustomKind>(&self, object: &Unreadable) -> Result<bool, Error> {
        let metadata = &object.metadata;
        let message = format!(
            "this version of the operator can't read the object: {}; upgrade the operator, or write the object anew \
             by the schema of the installed definition",
            object.error
        );
        let finding =
            |type_, status| Finding { type_, status, reason: Reason::Unreadable, message: message.clone() };
        let findings = vec![
            finding(ConditionType::Ready, ConditionStatus::False),
            finding(ConditionType::Stalled, ConditionStatus::True),
        ];
        let status = json!({
            "observedGeneration": metadata.generation,
            "conditions": conditions(&object.conditions, findings, metadata.generation, &now()),
        });
        let stored =
            json!({"observedGeneration": object.observed_generation, "conditions": object.conditions});
        let is_written =
            newer::<K>(&self.written.lock(), metadata).is_some_and(|written| written.status == status);
        if stored == status || is_written {
            return Ok(false);
        }
        let written = self.patch::<K>(metadata, status.clone(), status.clone()).await?;
        if written {
            self.events.tell::<K>(metadata, &stored, &status);
        }
        Ok(written)
    }

    /// The version of the object that a status belongs to: the one that was seen, or that of our own last write to it.
    fn newest<K: CustomKind>(&self, metadata: &kube::core::ObjectMeta) -> Option<String> {
        let written = self.written.lock();
        newer::<K>(&written, metadata)
            .map_or_else(|| metadata.resource_version.clone(), |written| written.resource_version.clone())
    }

    /// The object is gone.
    pub fn forget<K: CustomKind>(&self, key: &Key) {
        self.written.lock().remove(&(TypeId::of::<K>(), key.clone()));
    }

    async fn patch<K: CustomKind>(
        &self,
        metadata: &kube::core::ObjectMeta,
        patch: Value,
        status: Value,
    ) -> Result<bool, Error> {
        let key = Key::of(metadata);
        let api = Api::<Guarded<K>>::namespaced(self.client.clone(), &key.namespace);
        // The version keeps this from landing on what the pass has not seen: a new object of the same name, of which an API
        // server takes a status whatever uid comes with it, or another generation.
        let body = json!({"metadata": {"resourceVersion": self.newest::<K>(metadata)}, "status": patch});
        let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
        match api.patch_status(&key.name, &parameters, &Patch::Merge(body)).await {
            Ok(answer) => {
                let (uid, answered) = (metadata.uid.clone(), answer.meta());
                let resource_version = answered.resource_version.clone();
                let written = Written { uid, version: version_of(answered), resource_version, status };
                self.written.lock().insert((TypeId::of::<K>(), key), written);
                Ok(true)
            }
            // Deleted or changed in the meantime: the watch brings what there is to do.
            Err(kube::Error::Api(answer)) if answer.code == 404 || answer.code == 409 => {
                tracing::debug!(kind = %K::kind(&()), namespace = key.namespace, name = key.name, "gone or changed before its status");
                Ok(false)
            }
            Err(source) => Err(Error::Write { kind: K::kind(&()).into(), key, source: Box::new(source) }),
        }
    }
}

/// What was written last for this very object, if the watch has not told of it yet.
fn newer<'a, K: CustomKind>(
    written: &'a AllWritten,
    metadata: &kube::core::ObjectMeta,
) -> Option<&'a Written> {
    let last = written.get(&(TypeId::of::<K>(), Key::of(metadata)))?;
    (last.uid == metadata.uid && last.version > version_of(metadata)).then_some(last)
}

/// Conditions have whole seconds; so has the present, for a written status to equal its answer.
pub fn now() -> Time {
    let second = Timestamp::now().as_second();
    Time(Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH))
}

fn to_value(status: &impl serde::Serialize) -> Value {
    // Statuses are structs of strings, numbers and lists: they always have a JSON form.
    serde_json::to_value(status).unwrap_or_default()
}

/// The JSON merge patch (RFC 7396) that makes `new` out of `old`.
fn merge_patch(old: &Value, new: &Value) -> Value {
    let (Value::Object(old), Value::Object(new)) = (old, new) else { return new.clone() };
    let mut patch = Map::new();
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        patch.insert(name.clone(), Value::Null);
    }
    for (name, value) in new {
        match old.get(name) {
            Some(same) if same == value => {}
            Some(other) => {
                patch.insert(name.clone(), merge_patch(other, value));
            }
            None => {
                patch.insert(name.clone(), value.clone());
            }
        }
    }
    Value::Object(patch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merge_patch_has_only_what_differs() {
        let old = json!({"same": 1, "gone": 2, "inner": {"a": 1, "b": 2}, "list": [1, 2]});
        let new = json!({"same": 1, "inner": {"a": 1, "b": 3}, "list": [2], "fresh": {}});
        let expected = json!({"gone": null, "inner": {"b": 3}, "list": [2], "fresh": {}});
        assert_eq!(merge_patch(&old, &new), expected);
        assert_eq!(merge_patch(&new, &new), json!({}));
    }
}
