//! Observation stage, pure: what a watchdog says of its gateway, and what conditions are made of it.
//!
//! It comes from a tenant's Pod: everything is bounded, and only what a condition may say is kept. What changes from one
//! answer to the next without a change of meaning (bytes, times, the channels' own words) is not: each change is a
//! write.

use kr8tiv_crds::TenantStatus;
use kr8tiv_crds::status::{ConditionStatus, ConditionType, Finding, Reason};
use serde::Deserialize;

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
    pub(crate) fn of(gateway: Gateway, changed_files: Vec<String>) -> Self {
        let Gateway { state, reasons, config, channels, not_ready, failing_models } = gateway;
        let known = reasons.iter().filter_map(|name| reason(name)).collect();
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
    fn troubles(&self) -> Vec<(Reason, String)> {
        let with = |what: &str, list: &[String]| {
            if list.is_empty() { what.to_owned() } else { format!("{what}: {}", list.join(", ")) }
        };
        let told = self.reasons.iter().map(|reason| {
            let line = match reason {
                Reason::ChannelDown => with("accounts of channels are not connected", &self.channels),
                Reason::ChannelMissing => with("channels are missing in the gateway", &self.channels),
                Reason::ModelProviderFailing => with("the last calls of models failed", &self.models),
                Reason::NotReady => with("parts of the gateway are not ready", &self.parts),
                Reason::DiskFull => "the volume is nearly full; set gateway.storage.size to more".to_owned(),
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

/// What is told of a gateway's inner life: `ConfigApplied`, `PolicyEnforced`, `WatchdogHealthy`, and while true
/// `Degraded`, `Drifted`. `silent` is for a watchdog that has not answered for too long, `others` are the conditions
/// about what the gateway runs without.
pub fn findings(
    health: Option<&Health>,
    silent: bool,
    applied: &Applied,
    waiting: Reason,
    others: &[Finding],
) -> Vec<Finding> {
    let finding =
        |type_, status, reason, message: &str| Finding { type_, status, reason, message: message.to_owned() };
    let (status, reason, message) = match applied {
        Applied::Yes => {
            (ConditionStatus::True, Reason::Succeeded, "the running gateway has the current configuration".to_owned())
        }
        Applied::NotYet => {
            (ConditionStatus::Unknown, waiting, "the gateway has not taken over the current configuration yet".to_owned())
        }
        Applied::Never => (
            ConditionStatus::False,
            Reason::ConfigNotApplied,
            "the gateway does not take over the current configuration, although it was written again; its log says why"
                .to_owned(),
        ),
        Applied::Rejected(issues) => (
            ConditionStatus::False,
            Reason::ConfigRejected,
            format!("the gateway refuses the current configuration and goes on with the last good one: {issues}"),
        ),
        Applied::Untold => (
            ConditionStatus::Unknown,
            Reason::RpcUnavailable,
            "the gateway does not answer its watchdog's questions; see its log and the watchdog's".to_owned(),
        ),
    };
    let mut findings =
        vec![Finding { type_: ConditionType::ConfigApplied, status, reason, message: message.clone() }];
    let changed = health.map(|health| health.changed_files.join(", ")).filter(|files| !files.is_empty());
    let drift = changed.map(|files| format!("changed by an agent or by hand, and put back: {files}"));
    let enforced = ConditionType::PolicyEnforced;
    findings.push(match (&drift, status) {
        (Some(drift), _) => finding(enforced, ConditionStatus::False, Reason::FileChanged, drift),
        (None, ConditionStatus::True) => finding(
            enforced,
            ConditionStatus::True,
            Reason::Succeeded,
            "the gateway's configuration and the operator's files in it are as compiled",
        ),
        (None, status) => finding(enforced, status, reason, &message),
    });
    let answers = ConditionType::WatchdogHealthy;
    findings.push(match (health, silent) {
        (_, true) => finding(
            answers,
            ConditionStatus::False,
            Reason::WatchdogUnreachable,
            "the watchdog does not answer; its log says why, or a NetworkPolicy keeps the operator from it",
        ),
        (Some(_), false) => {
            finding(answers, ConditionStatus::True, Reason::Succeeded, "the watchdog answers")
        }
        (None, false) => {
            finding(answers, ConditionStatus::Unknown, waiting, "the watchdog has not been asked yet")
        }
    });
    findings.extend(degraded(health, silent, others));
    findings
        .extend(drift.map(|drift| {
            finding(ConditionType::Drifted, ConditionStatus::True, Reason::FileChanged, &drift)
        }));
    findings
}

/// What was said before: for a pass that did not get as far as the gateway, or that comes before the first question.
pub fn kept(previous: &TenantStatus) -> Vec<Finding> {
    let types = [
        ConditionType::ConfigApplied,
        ConditionType::PolicyEnforced,
        ConditionType::WatchdogHealthy,
        ConditionType::Degraded,
        ConditionType::Drifted,
    ];
    let kept = types.iter().filter_map(|type_| {
        let mut conditions = previous.conditions.iter();
        conditions.find(|condition| condition.type_ == type_.as_str()).and_then(Finding::kept)
    });
    kept.collect()
}

fn degraded(health: Option<&Health>, silent: bool, others: &[Finding]) -> Option<Finding> {
    let mut troubles: Vec<(Reason, String)> = Vec::new();
    if silent {
        troubles.push((
            Reason::WatchdogUnreachable,
            "nobody knows how the gateway is: its watchdog does not answer".into(),
        ));
    } else if let Some(health) = health.filter(|health| health.state == State::Degraded) {
        troubles.extend(health.troubles());
    }
    let missing = others.iter().filter(|finding| finding.status == ConditionStatus::False);
    troubles.extend(missing.map(|finding| (finding.reason, finding.message.clone())));
    let reason = troubles.first()?.0;
    let message = troubles.into_iter().map(|(_, line)| line).collect::<Vec<_>>().join("\n");
    Some(Finding { type_: ConditionType::Degraded, status: ConditionStatus::True, reason, message })
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
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn health(gateway: &Value, files: &[&str]) -> Health {
        let files = files.iter().map(|file| (*file).to_owned()).collect();
        Health::of(serde_json::from_value(gateway.clone()).unwrap(), files)
    }

    fn told(health: &Health, others: &[Finding]) -> Vec<(&'static str, &'static str, &'static str, String)> {
        let findings = findings(Some(health), false, &health.applied("h"), Reason::Starting, others);
        findings
            .into_iter()
            .map(|it| (it.type_.as_str(), it.status.as_str(), it.reason.as_str(), it.message))
            .collect()
    }

    fn brief(health: &Health) -> Vec<String> {
        told(health, &[])
            .into_iter()
            .map(|(type_, status, reason, _)| format!("{type_}={status} {reason}"))
            .collect()
    }

    fn good() -> Value {
        json!({
            "state": "Alive", "reasons": [], "since": "2026-11-25T12:00:00Z", "version": "2026.9.6",
            "config": {"bundleHash": "h", "valid": true, "applied": true, "revisionHash": "x", "issues": []},
            "channels": [{"channel": "telegram", "accountId": "default", "state": "Ready", "problem": null}],
            "notReady": [], "failingModels": [], "disk": null, "memory": null, "lastProbeAgeSeconds": 1
        })
    }

    #[test]
    fn a_gateway_that_is_well_has_nothing_to_tell() {
        let expected = [
            "ConfigApplied=True Succeeded",
            "PolicyEnforced=True Succeeded",
            "WatchdogHealthy=True Succeeded",
        ];
        assert_eq!(brief(&health(&good(), &[])), expected);
    }

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
    fn a_refused_configuration_is_told_with_the_gateways_reason() {
        let mut gateway = good();
        gateway["state"] = json!("Degraded");
        gateway["reasons"] = json!(["ConfigRejected"]);
        gateway["config"] = json!({
            "bundleHash": "h", "valid": false, "applied": false, "issues": [{"path": "gateway.x", "message": "Unrecognized key"}]
        });
        let told = told(&health(&gateway, &[]), &[]);
        assert_eq!((told[0].1, told[0].2), ("False", "ConfigRejected"));
        assert!(told[0].3.ends_with("gateway.x: Unrecognized key"), "{}", told[0].3);
        assert_eq!((told[1].0, told[1].1), ("PolicyEnforced", "False"));
        assert_eq!((told[3].0, told[3].2), ("Degraded", "ConfigRejected"));
    }

    #[test]
    fn troubles_of_a_gateway_that_serves_are_one_condition() {
        let mut gateway = good();
        gateway["state"] = json!("Degraded");
        gateway["reasons"] = json!(["ChannelDown", "ModelProviderFailing", "OfALaterRelease"]);
        gateway["channels"][0]["state"] = json!("Blocked");
        gateway["channels"][0]["problem"] = json!("401 after 8013 ms");
        gateway["failingModels"] = json!(["anthropic/claude-sonnet-4-6"]);
        let others = [Finding {
            type_: ConditionType::SkillsReady,
            status: ConditionStatus::False,
            reason: Reason::SkillPackUnavailable,
            message: "no pack".into(),
        }];
        let told = told(&health(&gateway, &[]), &others);
        let (_, _, reason, message) = told.into_iter().find(|told| told.0 == "Degraded").unwrap();
        assert_eq!(reason, "ChannelDown");
        assert_eq!(
            message,
            "accounts of channels are not connected: telegram/default: Blocked\n\
             the last calls of models failed: anthropic/claude-sonnet-4-6\nno pack"
        );
    }

    #[test]
    fn point_23_changed_files_are_named_exactly_and_forgotten_when_they_are_back() {
        let drifted = health(&good(), &["support/SOUL.md", "main/AGENTS.md", "main/AGENTS.md"]);
        let told = told(&drifted, &[]);
        let (_, status, reason, message) = told.iter().find(|told| told.0 == "Drifted").unwrap();
        assert_eq!((*status, *reason), ("True", "FileChanged"));
        assert_eq!(message, "changed by an agent or by hand, and put back: main/AGENTS.md, support/SOUL.md");
        assert!(brief(&drifted).contains(&"PolicyEnforced=False FileChanged".to_owned()));
        assert!(!brief(&health(&good(), &[])).iter().any(|it| it.starts_with("Drifted")));
    }

    #[test]
    fn a_silent_watchdog_leaves_what_it_said_last() {
        let gateway = health(&good(), &[]);
        let findings = findings(Some(&gateway), true, &gateway.applied("h"), Reason::Starting, &[]);
        let brief: Vec<_> = findings.iter().map(|it| (it.type_.as_str(), it.status.as_str())).collect();
        let expected = [
            ("ConfigApplied", "True"),
            ("PolicyEnforced", "True"),
            ("WatchdogHealthy", "False"),
            ("Degraded", "True"),
        ];
        assert_eq!(brief, expected);
    }

    #[test]
    fn a_hostile_answer_is_bounded() {
        let mut gateway = good();
        gateway["failingModels"] =
            json!((0..1000).map(|n| format!("{n}\n{}", "m".repeat(1000))).collect::<Vec<_>>());
        gateway["state"] = json!("OfALaterRelease");
        let health = health(&gateway, &[]);
        assert_eq!((health.state, health.models.len()), (State::Unknown, ENTRIES));
        assert!(health.models.iter().all(|model| model.chars().count() <= TEXT && !model.contains('\n')));
    }
}
