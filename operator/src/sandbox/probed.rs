//! Observation stage, pure: what logging in to a tenant's sandboxes comes to, as the watchdog beside the gateway says it.

use std::collections::BTreeMap;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::pod::GatewayPod;

/// Entries of a watchdog's list that are kept: a tenant has no more agents.
const ENTRIES: usize = 64;
/// Characters of a sandbox's name at most, as of every Service's.
const NAME: usize = 63;
/// Characters of a mark of keys at most.
const MARK: usize = 64;
/// Seconds after which one age is as good as another.
const LONGEST_AGE: i64 = 86_400;

/// What logging in to a sandbox came to, in the watchdog's word.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
pub enum Login {
    /// A command ran.
    Ok,
    /// Nothing answers.
    Unreachable,
    /// What answers does not speak SSH.
    NoBanner,
    /// It shows another host key than the one in the Secret.
    HostKeyMismatch,
    /// It refuses the gateway's key.
    AuthFailed,
    /// It runs no command.
    CommandFailed,
    /// One that this version of the operator does not know.
    #[serde(other)]
    Unknown,
}

impl Login {
    /// Whether the keys may be others than those in the Secret.
    pub fn doubts_keys(self) -> bool {
        matches!(self, Self::HostKeyMismatch | Self::AuthFailed)
    }
}

/// What the watchdog has found out last. That the same was found again is no news, so that time does not count when two
/// are compared.
#[derive(Clone, Debug)]
pub struct Probed {
    /// What it came to.
    pub login: Login,
    /// Which keys it was with; `None` from a watchdog that does not say.
    pub keys: Option<String>,
    /// When it began, by the operator's clock; `None` from a watchdog that does not say.
    pub at: Option<Timestamp>,
}

impl PartialEq for Probed {
    fn eq(&self, other: &Self) -> bool {
        (self.login, &self.keys) == (other.login, &other.keys)
    }
}

impl Eq for Probed {}

impl Probed {
    /// Whether it says something of this Pod: it is since that was ready, and where it succeeded, with the keys that the Pod
    /// has. Doubts about the keys are heard at once.
    pub fn is_of(&self, pod: &GatewayPod) -> bool {
        let has_its_keys = match (self.login, &self.keys, &pod.sandbox_keys) {
            (Login::Ok, Some(keys), Some(its)) => keys == its,
            _ => true,
        };
        let is_since_then = self.at.zip(pod.ready_since).is_none_or(|(at, since)| at >= since);
        self.login.doubts_keys() || (has_its_keys && is_since_then)
    }
}

/// An entry of `sandboxes` of `/status`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entry {
    name: String,
    reason: Login,
    keys: Option<String>,
    age_seconds: Option<i64>,
}

/// What is kept of an answer of this moment: by sandbox.
pub(crate) fn probed(entries: Vec<Entry>, now: Timestamp) -> BTreeMap<String, Probed> {
    let of = |Entry { name, reason, keys, age_seconds }| {
        // Ages are whole seconds: it may have begun one earlier.
        let age = age_seconds.map(|age| SignedDuration::from_secs(age.clamp(0, LONGEST_AGE) + 1));
        let keys = keys.filter(|keys: &String| keys.len() <= MARK);
        (name, Probed { login: reason, keys, at: age.map(|age| now - age) })
    };
    entries.into_iter().filter(|entry| entry.name.len() <= NAME).take(ENTRIES).map(of).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// It comes from a tenant's Pod, and its names end up in a condition.
    #[test]
    fn not_more_than_a_tenant_can_have_is_kept() {
        let entry = |name: &str| json!({"name": name, "reason": "Ok"});
        let mut entries: Vec<_> = (0..100).map(|at| entry(&format!("sandbox-{at}"))).collect();
        entries.insert(0, entry(&"n".repeat(NAME + 1)));
        let kept = probed(serde_json::from_value(json!(entries)).unwrap(), Timestamp::UNIX_EPOCH);
        assert_eq!(kept.len(), ENTRIES);
        assert!(kept.contains_key("sandbox-0") && kept.keys().all(|name| name.len() <= NAME));
    }
}
