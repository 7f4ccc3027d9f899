//! Input stage, pure: keeps one object that can't be read from stopping the watch of all others.
//!
//! kube's `DeserializeGuard` does the same but drops everything except the metadata. What an unreadable object
//! refers to is needed here: without it a tenant would be compiled as if an unreadable Agent did not exist, and the
//! running gateway would lose that agent.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use kr8tiv_crds::{Agent, Harness, Tenant};
use kube::Resource;
use kube::core::object::HasStatus;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::bounded::{Bounded, DEPTH};
use crate::key::Key;

/// An object of kind `K`, or what could be made out of one that this version can't read.
#[derive(Clone, Debug)]
pub enum Guarded<K> {
    /// The object.
    Readable(Box<K>),
    /// What is known of an object of another version.
    Unreadable(Box<Unreadable>),
}

/// What is known of an object that can't be read.
#[derive(Clone, Debug)]
pub struct Unreadable {
    /// The object's metadata.
    pub metadata: ObjectMeta,
    /// Why it can't be read.
    pub error: String,
    /// The object that `spec.tenantRef` or `spec.harnessRef` refers to.
    pub refers_to: Option<Key>,
    /// The tenant id that it has, when it is a Tenant: what belongs to it belongs to nobody else.
    pub tenant_id: Option<String>,
    /// The same of the tag of its memory.
    pub container_tag: Option<String>,
    /// The conditions in its status.
    pub conditions: Vec<Condition>,
    /// `status.observedGeneration`.
    pub observed_generation: Option<i64>,
}

impl<K> Guarded<K> {
    /// The object, when it can be read.
    pub fn readable(&self) -> Result<&K, &Unreadable> {
        match self {
            Self::Readable(object) => Ok(object),
            Self::Unreadable(unreadable) => Err(unreadable),
        }
    }
}

impl<'de, K: serde::de::DeserializeOwned> Deserialize<'de> for Guarded<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Bounded { value, is_whole } = Bounded::deserialize(deserializer)?;
        let read = if is_whole {
            K::deserialize(&value).map_err(|error| unreadable(&error))
        } else {
            Err(too_deep())
        };
        match read {
            Ok(object) => Ok(Self::Readable(Box::new(object))),
            Err(error) => {
                let metadata = ObjectMeta::deserialize(&value["metadata"]).map_err(D::Error::custom)?;
                let refers_to = refers_to(&value, &metadata);
                let conditions = Vec::deserialize(&value["status"]["conditions"]).unwrap_or_default();
                let observed_generation = value["status"]["observedGeneration"].as_i64();
                let known = |field: &str| {
                    let places = [&value["status"][field], &value["spec"][field]];
                    places.into_iter().find_map(Value::as_str).map(str::to_owned)
                };
                let (tenant_id, container_tag) = (known("tenantId"), known("containerTag"));
                Ok(Self::Unreadable(Box::new(Unreadable {
                    metadata,
                    error,
                    refers_to,
                    tenant_id,
                    container_tag,
                    conditions,
                    observed_generation,
                })))
            }
        }
    }
}

/// Why an object can't be read, for its status: the error quotes the value.
fn unreadable(error: &serde_json::Error) -> String {
    let text = error.to_string();
    kr8tiv_compiler::without_keys(&text).unwrap_or(text)
}

fn too_deep() -> String {
    format!("it is nested more than {DEPTH} levels deep")
}

fn refers_to(object: &Value, metadata: &ObjectMeta) -> Option<Key> {
    let own = Key::of(metadata);
    ["/spec/tenantRef", "/spec/harnessRef"].iter().find_map(|path| {
        let reference = object.pointer(path)?;
        let namespace = reference["namespace"].as_str().unwrap_or(&own.namespace);
        Some(Key { namespace: namespace.to_owned(), name: reference["name"].as_str()?.to_owned() })
    })
}

impl<K: Resource> Resource for Guarded<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::kind(dynamic)
    }

    fn group(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::group(dynamic)
    }

    fn version(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::version(dynamic)
    }

    fn plural(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::plural(dynamic)
    }

    fn meta(&self) -> &ObjectMeta {
        match self {
            Self::Readable(object) => object.meta(),
            Self::Unreadable(unreadable) => &unreadable.metadata,
        }
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match self {
            Self::Readable(object) => object.meta_mut(),
            Self::Unreadable(unreadable) => &mut unreadable.metadata,
        }
    }
}

/// A kind of this operator's own API.
pub trait CustomKind:
    Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
    + HasStatus<Status: Default + Clone + PartialEq + serde::Serialize + serde::de::DeserializeOwned>
    + serde::de::DeserializeOwned
    + Clone
    + std::fmt::Debug
    + Send
    + Sync
    + 'static
{
    /// The conditions in its status.
    fn conditions(status: &Self::Status) -> &[Condition];
}

impl CustomKind for Tenant {
    fn conditions(status: &Self::Status) -> &[Condition] {
        &status.conditions
    }
}

impl CustomKind for Harness {
    fn conditions(status: &Self::Status) -> &[Condition] {
        &status.conditions
    }
}

impl CustomKind for Agent {
    fn conditions(status: &Self::Status) -> &[Condition] {
        &status.conditions
    }
}

impl<K: CustomKind> Guarded<K> {
    /// The conditions that are stored with it.
    pub fn conditions(&self) -> &[Condition] {
        match self {
            Self::Readable(object) => object.status().map(K::conditions).unwrap_or_default(),
            Self::Unreadable(unreadable) => &unreadable.conditions,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_unreadable_object_still_says_what_it_refers_to() {
        let object = json!({
            "apiVersion": "kr8tiv.ai/v1alpha1", "kind": "Agent",
            "metadata": {"namespace": "a", "name": "b", "generation": 3},
            "spec": {"tenantRef": {"name": "acme"}, "bindings": "none"},
            "status": {"observedGeneration": 2}
        });
        let guarded: Guarded<Agent> = serde_json::from_value(object).unwrap();
        let unreadable = guarded.readable().unwrap_err();
        assert_eq!(unreadable.refers_to, Some(Key { namespace: "a".into(), name: "acme".into() }));
        assert_eq!((unreadable.observed_generation, &unreadable.tenant_id), (Some(2), &None));
        assert!(unreadable.error.contains("expected a sequence"), "{}", unreadable.error);
        assert_eq!(guarded.meta().generation, Some(3));
    }

    #[test]
    fn an_unreadable_tenant_still_has_its_id() {
        let with = |spec: Value, status: Value| {
            let object = json!({
                "apiVersion": "kr8tiv.ai/v1alpha1", "kind": "Tenant", "metadata": {"namespace": "a", "name": "b"},
                "spec": spec, "status": status
            });
            let guarded: Guarded<Tenant> = serde_json::from_value(object).unwrap();
            guarded.readable().unwrap_err().tenant_id.clone()
        };
        let asked = json!({"harnessRef": 1, "tenantId": "asked-00000000"});
        assert_eq!(with(asked.clone(), json!({"tenantId": "has-00000000"})).as_deref(), Some("has-00000000"));
        assert_eq!(with(asked, Value::Null).as_deref(), Some("asked-00000000"));
        assert_eq!(with(json!({}), Value::Null), None);
    }

    #[test]
    fn one_that_is_too_deep_hides_no_other() {
        let tenant = |name: &str, deep: &str| {
            format!(
                r#"{{"metadata": {{"namespace": "a", "name": "{name}", "managedFields": [{{"fieldsV1": {deep}}}]}},
                "spec": {{"displayName": "A", "harnessRef": {{"name": "h"}}, "tenantId": "a-00000000",
                "gateway": {{"config": {{"messages": {deep}}}}}}}}}"#
            )
        };
        let deep = format!("{}1{}", r#"{"a":"#.repeat(5_000), "}".repeat(5_000));
        let list = format!(
            r#"{{"metadata": {{}}, "items": [{}, {}]}}"#,
            tenant("deep", &deep),
            tenant("flat", "{}")
        );
        let list: kube::core::ObjectList<Guarded<Tenant>> = serde_json::from_str(&list).unwrap();
        let unreadable = list.items[0].readable().unwrap_err();
        assert_eq!(unreadable.error, "it is nested more than 100 levels deep");
        assert_eq!(unreadable.refers_to, Some(Key { namespace: "a".into(), name: "h".into() }));
        assert_eq!(unreadable.tenant_id.as_deref(), Some("a-00000000"));
        assert_eq!(list.items[1].readable().unwrap().spec.display_name, "A");
        let event = format!(r#"{{"type": "MODIFIED", "object": {}}}"#, tenant("deep", &deep));
        let event: kube::core::WatchEvent<Guarded<Tenant>> = serde_json::from_str(&event).unwrap();
        assert!(matches!(event, kube::core::WatchEvent::Modified(Guarded::Unreadable(_))));
    }

    #[test]
    fn a_readable_object_is_itself() {
        let object = json!({
            "apiVersion": "kr8tiv.ai/v1alpha1", "kind": "Agent",
            "metadata": {"namespace": "a", "name": "b"}, "spec": {"tenantRef": {"name": "acme"}}
        });
        let guarded: Guarded<Agent> = serde_json::from_value(object).unwrap();
        assert_eq!(guarded.readable().unwrap().spec.tenant_ref.name, "acme");
    }
}
