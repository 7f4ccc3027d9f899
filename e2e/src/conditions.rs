//! Comparing conditions in full. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use kr8tiv_crds::{Agent, Harness, Tenant};

use crate::Outcome;

/// A condition as a test expects it: type, status, reason, message.
pub type Expected<'a> = (&'a str, &'a str, &'a str, &'a str);

/// A kind that has conditions.
pub trait Conditioned {
    /// The object's metadata.
    fn metadata(&self) -> &ObjectMeta;
    /// `status.observedGeneration`.
    fn observed_generation(&self) -> Option<i64>;
    /// `status.conditions`.
    fn conditions(&self) -> &[Condition];
}

macro_rules! conditioned {
    ($($kind:ty),*) => {$(
        impl Conditioned for $kind {
            fn metadata(&self) -> &ObjectMeta {
                &self.metadata
            }

            fn observed_generation(&self) -> Option<i64> {
                self.status.as_ref().and_then(|status| status.observed_generation)
            }

            fn conditions(&self) -> &[Condition] {
                self.status.as_ref().map_or(&[], |status| &status.conditions)
            }
        }
    )*};
}
conditioned!(Tenant, Harness, Agent);

/// Whether the object's conditions are exactly the expected ones, all of the current generation, and none besides.
/// The order does not matter.
pub fn exactly(object: &impl Conditioned, expected: &[Expected<'_>]) -> Outcome {
    exactly_besides(object, expected, &[])
}

/// The same, whatever the conditions of some types say. A gateway on a busy machine may be slow and say so.
pub fn exactly_besides(object: &impl Conditioned, expected: &[Expected<'_>], besides: &[&str]) -> Outcome {
    let generation = object.metadata().generation;
    if object.observed_generation() != generation {
        return Err(format!(
            "status.observedGeneration is {:?} and the generation {generation:?}",
            object.observed_generation()
        )
        .into());
    }
    let written = |(type_, status, reason, message): (&str, &str, &str, &str), observed: Option<i64>| {
        let observed = observed.map_or("-".to_owned(), |observed| observed.to_string());
        format!("{type_}={status} {reason} @{observed}: {message}")
    };
    let mut wanted: Vec<_> = expected.iter().map(|&condition| written(condition, generation)).collect();
    let mut found: Vec<_> = object
        .conditions()
        .iter()
        .filter(|c| !besides.contains(&c.type_.as_str()))
        .map(|c| written((&c.type_, &c.status, &c.reason, &c.message), c.observed_generation))
        .collect();
    wanted.sort();
    found.sort();
    if wanted == found {
        return Ok(());
    }
    Err(format!("expected\n  {}\nfound\n  {}", wanted.join("\n  "), found.join("\n  ")).into())
}

/// One condition of the object.
pub fn condition<'a>(object: &'a impl Conditioned, type_: &str) -> Option<&'a Condition> {
    object.conditions().iter().find(|condition| condition.type_ == type_)
}

/// Whether the condition `Ready` is True for the current generation.
pub fn ready(object: &impl Conditioned) -> Outcome {
    let Some(ready) = condition(object, "Ready") else { return Err("no condition Ready".into()) };
    if object.observed_generation() != object.metadata().generation {
        return Err(format!("the status is of generation {:?}", object.observed_generation()).into());
    }
    if ready.status == "True" {
        return Ok(());
    }
    Err(format!("Ready={} {}: {}", ready.status, ready.reason, ready.message).into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tenant(observed: i64) -> Tenant {
        let condition = |type_: &str| {
            json!({"type": type_, "status": "True", "reason": "Succeeded", "message": "m",
                   "observedGeneration": observed, "lastTransitionTime": "2026-01-01T00:00:00Z"})
        };
        serde_json::from_value(json!({
            "apiVersion": "kr8tiv.ai/v1alpha1", "kind": "Tenant", "metadata": {"name": "a", "generation": 2},
            "spec": {"displayName": "A", "harnessRef": {"name": "h"}},
            "status": {"observedGeneration": observed, "conditions": [condition("Ready"), condition("Compiled")]}
        }))
        .unwrap()
    }

    #[test]
    fn one_condition_more_or_an_old_generation_is_not_exact() {
        let both = [("Compiled", "True", "Succeeded", "m"), ("Ready", "True", "Succeeded", "m")];
        exactly(&tenant(2), &both).unwrap();
        exactly(&tenant(2), &both[..1]).unwrap_err();
        exactly(&tenant(1), &both).unwrap_err();
        ready(&tenant(2)).unwrap();
        ready(&tenant(1)).unwrap_err();
    }
}
