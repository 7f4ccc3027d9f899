//! Watches every status that is ever written, and keeps what must never be. I/O: watches of the API server.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use futures::{Stream, StreamExt};
use kr8tiv_crds::{Agent, Harness, Tenant};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use crate::conditions::Conditioned;

/// The API server's code for a version that it does not know any more.
const EXPIRED: u16 = 410;

/// What was seen so far.
#[derive(Clone, Default)]
pub struct Invariants {
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    statuses: usize,
    violations: BTreeSet<String>,
}

impl Invariants {
    /// Begins to watch. It ends with the process.
    pub fn watch(client: &Client) -> Self {
        let invariants = Self::default();
        invariants.follow::<Tenant>(client);
        invariants.follow::<Harness>(client);
        invariants.follow::<Agent>(client);
        invariants
    }

    /// How many statuses were seen, and what was wrong with them or with the watching itself: after an error, statuses may
    /// have gone by unseen.
    pub fn result(&self) -> (usize, Vec<String>) {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        (seen.statuses, seen.violations.iter().cloned().collect())
    }

    fn follow<K>(&self, client: &Client)
    where
        K: Conditioned
            + Resource<DynamicType = ()>
            + Clone
            + Debug
            + DeserializeOwned
            + Send
            + Sync
            + 'static,
    {
        let api = Api::<K>::all(client.clone());
        let objects = watcher(api, watcher::Config::default()).default_backoff().applied_objects();
        tokio::spawn(look(K::kind(&()).into_owned(), objects, Arc::clone(&self.seen)));
    }
}

async fn look<K: Conditioned>(
    kind: String,
    objects: impl Stream<Item = watcher::Result<K>>,
    seen: Arc<Mutex<Seen>>,
) {
    let mut objects = std::pin::pin!(objects);
    while let Some(object) = objects.next().await {
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        match object {
            Ok(object) if object.conditions().is_empty() => {}
            Ok(object) => {
                seen.statuses += 1;
                seen.violations.extend(violations(&kind, &object));
            }
            // A watch that has had nothing to tell for minutes: the API server has forgotten the version that it goes on from.
            // It lists anew, and sees the newest status of each object; one that was overwritten in between goes by unseen.
            // That is let pass: there are few of them, for a version is forgotten where nothing was written for minutes.
            Err(watcher::Error::WatchError(status)) if status.code == EXPIRED => {}
            Err(error) => {
                seen.violations.insert(format!("{kind}: the watch of statuses failed: {error}"));
            }
        }
    }
}

/// What is wrong with a status by kstatus and the API conventions.
fn violations(kind: &str, object: &impl Conditioned) -> Vec<String> {
    let metadata = object.metadata();
    let (namespace, name) = (metadata.namespace.as_deref(), metadata.name.as_deref());
    let mut found = Vec::new();
    let mut wrong = |what: String| {
        found.push(format!("{kind} {}/{}: {what}", namespace.unwrap_or_default(), name.unwrap_or_default()));
    };
    let status_of = |type_: &str| {
        object
            .conditions()
            .iter()
            .find(|condition| condition.type_ == type_)
            .map(|condition| condition.status.as_str())
    };
    if object.observed_generation().is_none() || object.observed_generation() > metadata.generation {
        wrong(format!("status.observedGeneration is {:?}", object.observed_generation()));
    }
    for condition in object.conditions() {
        let type_ = &condition.type_;
        if condition.observed_generation != object.observed_generation() {
            wrong(format!("{type_} is of another generation than the status"));
        }
        if condition.message.is_empty() {
            wrong(format!("{type_} has no message"));
        }
        if names_a_pod(&condition.message) {
            wrong(format!("{type_} names a Pod: {}", condition.message));
        }
    }
    let (reconciling, stalled) = (status_of("Reconciling"), status_of("Stalled"));
    for (type_, status) in [("Reconciling", reconciling), ("Stalled", stalled)] {
        if status.is_some_and(|status| status != "True") {
            wrong(format!("{type_} is present and not True"));
        }
    }
    if reconciling.is_some() && stalled.is_some() {
        wrong("Reconciling and Stalled at once".into());
    }
    match status_of("Ready") {
        None => wrong("no condition Ready".into()),
        Some("True") if reconciling.is_some() || stalled.is_some() => wrong("Ready and not at rest".into()),
        Some(_) => {}
    }
    found
}

/// Whether a word of a message is the name of a gateway's Pod or of a sandbox's. They change with the shape of a StatefulSet;
/// a user knows the Tenant and its sandboxes.
fn names_a_pod(message: &str) -> bool {
    let mut words = message.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    words.any(|word| {
        let set = word.strip_suffix("-0").unwrap_or_default();
        set.ends_with("-gateway") || set.ends_with("-sandbox") || set.contains("-sandbox-")
    })
}

#[cfg(test)]
mod tests {
    use kube::core::Status;
    use serde_json::{Value, json};

    use super::*;

    fn tenant(conditions: &[(&str, &str)]) -> Tenant {
        let conditions: Vec<Value> = conditions
            .iter()
            .map(|(type_, status)| {
                json!({"type": type_, "status": status, "reason": "Succeeded", "message": "m",
                       "observedGeneration": 1, "lastTransitionTime": "2026-01-01T00:00:00Z"})
            })
            .collect();
        serde_json::from_value(json!({
            "apiVersion": "kr8tiv.ai/v1alpha1", "kind": "Tenant", "metadata": {"name": "a", "generation": 1},
            "spec": {"displayName": "A", "harnessRef": {"name": "h"}},
            "status": {"observedGeneration": 1, "conditions": conditions}
        }))
        .unwrap()
    }

    fn check(conditions: &[(&str, &str)]) -> Vec<String> {
        violations("Tenant", &tenant(conditions))
    }

    #[tokio::test]
    async fn what_a_watch_missed_is_a_violation() {
        let invariants = Invariants::default();
        let answers = [Ok(tenant(&[("Ready", "True")])), Err(watcher::Error::NoResourceVersion)];
        look("Tenant".into(), futures::stream::iter(answers), Arc::clone(&invariants.seen)).await;
        let (statuses, violations) = invariants.result();
        assert_eq!((statuses, violations.len()), (1, 1), "{violations:?}");
        assert!(violations[0].starts_with("Tenant: the watch of statuses failed: "), "{violations:?}");
    }

    #[tokio::test]
    async fn a_forgotten_version_is_let_pass_and_no_other_error_of_a_watch() {
        for (code, violations) in [(EXPIRED, 0), (500, 1)] {
            let invariants = Invariants::default();
            let status = Status { code, ..Status::failure("no", "Gone") };
            let answers: [watcher::Result<Tenant>; 2] =
                [Err(watcher::Error::WatchError(Box::new(status))), Ok(tenant(&[("Ready", "True")]))];
            look("Tenant".into(), futures::stream::iter(answers), Arc::clone(&invariants.seen)).await;
            let (statuses, found) = invariants.result();
            assert_eq!((statuses, found.len()), (1, violations), "{code}: {found:?}");
        }
    }

    #[test]
    fn a_message_names_no_pod() {
        for pod in ["acme-gateway-0", "acme-sandbox-0", "acme-sandbox-desk-0a1b2c3d-0"] {
            assert!(names_a_pod(&format!("container x of {pod}: it ended")), "{pod}");
        }
        for other in ["sandbox acme-sandbox can't", "acme-sandbox-0-1f2e3d4c refuses", "acme-gateway, 10-0"] {
            assert!(!names_a_pod(other), "{other}");
        }
    }

    #[test]
    fn good_statuses_pass() {
        assert!(check(&[("Ready", "True")]).is_empty());
        assert!(check(&[("Ready", "False"), ("Reconciling", "True")]).is_empty());
    }

    #[test]
    fn bad_statuses_are_found() {
        for bad in [
            &[("Compiled", "True")][..],
            &[("Ready", "True"), ("Reconciling", "True")],
            &[("Ready", "False"), ("Stalled", "False")],
            &[("Ready", "False"), ("Stalled", "True"), ("Reconciling", "True")],
        ] {
            assert_eq!(check(bad).len(), 1, "{bad:?}");
        }
    }
}
