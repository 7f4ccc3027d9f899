//! Observation stage, pure: what a watchdog says of its gateway.
//!
//! It comes from a tenant's Pod: everything is bounded, and only what a condition may say is kept. What changes from one
//! answer to the next without a change of meaning (bytes, times, the channels' own words) is not: each change is a
//! write.

use std::collections::BTreeMap;

use kr8tiv_crds::status::Reason;
use serde::Deserialize;

use crate::sandbox::Probed;

/// Entries of a list that are kept.
const ENTRIES: usize = 10;
/// Characters of a text that are kept.
const TEXT: usize = 200;

/// A gateway, by its watchdog.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Health {
    /// What it is.
    pub state: State,
    /// Why, as far as conditions know the reason.
    pub reasons: Vec<Reason>,
    /// Why it is down, in the watchdog's word.
    pub cause: Option<String>,
    /// Its configuration; `None` while it says nothing about it.
    pub config: Option<Config>,
    /// Accounts of channels that are not connected, as `channel/account: state`.
    pub channels: Vec<String>,
    /// Models whose last call ended in an error.
    pub models: Vec<String>,
    /// Other parts of it that are not ready.
    pub parts: Vec<String>,
    /// Files of the operator's that were changed and put back, as `agent/FILE`.
    pub changed_files: Vec<String>,
    /// What logging in to the sandboxes came to, by their names.
    pub sandboxes: BTreeMap<String, Probed>,
}

/// What a gateway is.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
pub enum State {
    /// It starts.
    Starting,
    /// It serves.
    Alive,
    /// It serves, and something is wrong.
    Degraded,
    /// It finishes its running turns.
    Draining,
    /// It does not serve.
    Down,
    /// One that this version of the operator does not know.
    #[default]
    #[serde(other)]
    Unknown,
}

/// The gateway's configuration.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Config {
    /// The bundle that was on disk when the gateway was asked.
    pub bundle_hash: Option<String>,
    /// Whether the gateway runs with it.
    pub applied: bool,
    /// What is wrong with it, as `path: message`; `None` when it is accepted.
    pub issues: Option<Vec<String>>,
}

/// The part of `/status` that speaks of the gateway.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Gateway {
    state: State,
    #[serde(default)]
    reasons: Vec<String>,
    config: Option<ConfigStatus>,
    #[serde(default)]
    channels: Vec<ChannelStatus>,
    #[serde(default)]
    not_ready: Vec<String>,
    #[serde(default)]
    failing_models: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConfigStatus {
    bundle_hash: Option<String>,
    valid: bool,
    applied: bool,
    #[serde(default)]
    issues: Vec<Issue>,
}

#[derive(Deserialize)]
struct Issue {
    path: String,
    message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ChannelStatus {
    channel: String,
    account_id: String,
    state: String,
}

impl Health {
    /// Takes what is kept from an answer. `changed_files` is the answer's `drift.files`.
    pub(crate) fn of(
        gateway: Gateway,
        changed_files: Vec<String>,
        sandboxes: BTreeMap<String, Probed>,
    ) -> Self {
        let Gateway { state, reasons, config, channels, not_ready, failing_models } = gateway;
        let mut known = Vec::new();
        for reason in reasons.iter().filter_map(|name| reason(name)) {
            if !known.contains(&reason) {
                known.push(reason);
            }
        }
        let down =
            channels.into_iter().filter(|channel| channel.state != "Ready" && channel.state != "Starting");
        Self {
            state,
            reasons: known,
            cause: reasons.first().filter(|_| state == State::Down).map(|cause| text(cause)),
            config: config.map(|config| Config {
                bundle_hash: config.bundle_hash.map(|hash| text(&hash)),
                applied: config.applied,
                issues: (!config.valid).then(|| {
                    let issues = config.issues.into_iter().take(ENTRIES);
                    issues.map(|Issue { path, message }| issue(&path, &message)).collect()
                }),
            }),
            channels: list(
                down.map(|channel| format!("{}/{}: {}", channel.channel, channel.account_id, channel.state)),
            ),
            models: list(failing_models),
            parts: list(not_ready),
            changed_files: list(changed_files),
            sandboxes,
        }
    }

    /// How the gateway stands to a bundle that is on disk.
    pub fn applied(&self, bundle_hash: &str) -> Applied {
        match &self.config {
            Some(config) if config.bundle_hash.as_deref() == Some(bundle_hash) => match &config.issues {
                Some(issues) => Applied::Rejected(issues.join("; ")),
                None if config.applied => Applied::Yes,
                None if self.reasons.contains(&Reason::ConfigNotApplied) => Applied::Never,
                None => Applied::NotYet,
            },
            _ if self.reasons.contains(&Reason::RpcUnavailable) => Applied::Untold,
            _ => Applied::NotYet,
        }
    }

    /// What is wrong with a gateway that serves: a line for each reason.
    pub fn troubles(&self) -> Vec<(Reason, String)> {
        let with = |what: &str, list: &[String]| {
            if list.is_empty() { what.to_owned() } else { format!("{what}: {}", list.join(", ")) }
        };
        let told = self.reasons.iter().map(|reason| {
            let line = match reason {
                Reason::ChannelDown => with("accounts of channels are not connected", &self.channels),
                Reason::ChannelMissing => with("channels are missing in the gateway", &self.channels),
                Reason::ModelProviderFailing => with("the last calls of models failed", &self.models),
                Reason::NotReady => with("parts of the gateway are not ready", &self.parts),
                Reason::DiskFull => {
                    "the volume has hardly any room, or any files, left; set gateway.storage.size to more"
                        .to_owned()
                }
                Reason::MemoryHigh => {
                    "the gateway takes nearly as much memory as gateway.resources.limits.memory allows"
                        .to_owned()
                }
                Reason::EventLoopDegraded => "the gateway is blocked for long or most of the time".to_owned(),
                Reason::RpcUnavailable => "the gateway does not answer its watchdog's questions".to_owned(),
                Reason::ConfigRejected => "the gateway refuses the current configuration".to_owned(),
                Reason::ConfigNotApplied => {
                    "the gateway does not take over the current configuration".to_owned()
                }
                other => other.as_str().to_owned(),
            };
            (*reason, line)
        });
        told.collect()
    }
}

/// How a gateway stands to a bundle that is on disk.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Applied {
    /// It runs with it.
    Yes,
    /// It has not said so yet.
    NotYet,
    /// It has been given the time to and does not.
    Never,
    /// It refuses it; why.
    Rejected(String),
    /// It does not answer questions.
    Untold,
}

/// The reasons of a watchdog that conditions have too.
fn reason(name: &str) -> Option<Reason> {
    let known = [
        Reason::RpcUnavailable,
        Reason::NotReady,
        Reason::ChannelDown,
        Reason::ChannelMissing,
        Reason::ConfigRejected,
        Reason::ConfigNotApplied,
        Reason::ModelProviderFailing,
        Reason::DiskFull,
        Reason::MemoryHigh,
        Reason::EventLoopDegraded,
    ];
    known.into_iter().find(|reason| reason.as_str() == name)
}

fn issue(path: &str, message: &str) -> String {
    if path.is_empty() { text(message) } else { text(&format!("{path}: {message}")) }
}

fn list(entries: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut entries: Vec<String> = entries.into_iter().map(|entry| text(&entry)).collect();
    entries.sort();
    entries.dedup();
    entries.truncate(ENTRIES);
    entries
}

/// One line of bounded length.
fn text(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(TEXT).collect()
}

#[cfg(test)]
pub(crate) mod fixtures {
    use serde_json::{Value, json};

    use super::*;

    /// What is kept of an answer.
    pub fn health(gateway: &Value, files: &[&str]) -> Health {
        let files = files.iter().map(|file| (*file).to_owned()).collect();
        Health::of(serde_json::from_value(gateway.clone()).unwrap(), files, BTreeMap::new())
    }

    /// A gateway that is well, with the bundle `h`.
    pub fn good() -> Value {
        json!({
            "state": "Alive", "reasons": [], "since": "2026-11-25T12:00:00Z", "version": "2026.9.6",
            "config": {"bundleHash": "h", "valid": true, "applied": true, "revisionHash": "x", "issues": []},
            "channels": [{"channel": "telegram", "accountId": "default", "state": "Ready", "problem": null}],
            "notReady": [], "failingModels": [], "disk": null, "memory": null, "lastProbeAgeSeconds": 1
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::fixtures::{good, health};
    use super::*;

    #[test]
    fn an_answer_about_an_earlier_bundle_says_nothing_about_this_one() {
        let mut gateway = good();
        gateway["config"]["bundleHash"] = json!("earlier");
        assert_eq!(health(&gateway, &[]).applied("h"), Applied::NotYet);
        gateway["config"] = Value::Null;
        assert_eq!(health(&gateway, &[]).applied("h"), Applied::NotYet);
        gateway["reasons"] = json!(["RpcUnavailable"]);
        assert_eq!(health(&gateway, &[]).applied("h"), Applied::Untold);
    }

    #[test]
    fn a_hostile_answer_is_bounded() {
        let mut gateway = good();
        gateway["failingModels"] =
            json!((0..1000).map(|n| format!("{n}\n{}", "m".repeat(1000))).collect::<Vec<_>>());
        gateway["state"] = json!("OfALaterRelease");
        gateway["reasons"] = json!(vec!["DiskFull"; 1000]);
        let health = health(&gateway, &[]);
        assert_eq!(health.reasons, [Reason::DiskFull]);
        assert_eq!((health.state, health.models.len()), (State::Unknown, ENTRIES));
        assert!(health.models.iter().all(|model| model.chars().count() <= TEXT && !model.contains('\n')));
    }
}
