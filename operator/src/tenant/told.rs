//! Status stage, pure: the conditions that are made of what a watchdog says of its gateway.

use kr8tiv_crds::TenantStatus;
use kr8tiv_crds::status::{ConditionStatus, ConditionType, Finding, Reason};

use crate::health::{Applied, Health, State};
use crate::tenant::stop::Stop;

/// Whether the running gateway has the configuration that it should have.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Configuration {
    status: ConditionStatus,
    reason: Reason,
    message: String,
}

impl Configuration {
    /// By what its watchdog says of the current configuration. `waiting` is why it may not have it yet.
    pub fn of(applied: &Applied, waiting: Reason) -> Self {
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
                "the gateway does not take over the current configuration, although it was written again; its log says \
                 why"
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
        Self { status, reason, message }
    }

    /// What is asked for could not be applied.
    pub fn not_applied(stop: &Stop) -> Self {
        let message = match stop.compiled {
            Err(_) => {
                "what is asked for is not applied, see Ready; the gateway goes on with the last good configuration"
            }
            // Some of it may be.
            Ok(_) => "not all that is asked for is applied, see Ready",
        };
        Self { status: ConditionStatus::False, reason: stop.reason, message: message.into() }
    }

    fn applied(&self) -> Finding {
        let Self { status, reason, message } = self.clone();
        Finding { type_: ConditionType::ConfigApplied, status, reason, message }
    }

    fn enforced(&self) -> Finding {
        let type_ = ConditionType::PolicyEnforced;
        if self.status == ConditionStatus::True {
            let message = "the gateway's configuration and the operator's files in it are as compiled";
            return Finding { type_, status: self.status, reason: self.reason, message: message.into() };
        }
        Finding { type_, ..self.applied() }
    }
}

/// What is told of a gateway's inner life: `ConfigApplied`, `PolicyEnforced`, `WatchdogHealthy`, and while true
/// `Degraded`, `Drifted`. `silent` is for a watchdog that has not answered for too long, `others` are the conditions
/// about what the gateway runs without.
pub fn findings(
    health: Option<&Health>,
    silent: bool,
    configuration: &Configuration,
    waiting: Reason,
    others: &[Finding],
) -> Vec<Finding> {
    let finding =
        |type_, status, reason, message: &str| Finding { type_, status, reason, message: message.to_owned() };
    let mut findings = vec![configuration.applied()];
    let changed = health.map(|health| health.changed_files.join(", ")).filter(|files| !files.is_empty());
    let drift = changed.map(|files| format!("changed by an agent or by hand, and put back: {files}"));
    findings.push(match &drift {
        Some(drift) => {
            finding(ConditionType::PolicyEnforced, ConditionStatus::False, Reason::FileChanged, drift)
        }
        None => configuration.enforced(),
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
            finding(answers, ConditionStatus::Unknown, waiting, "the watchdog has not answered yet")
        }
    });
    findings.extend(degraded(health, silent, others));
    findings
        .extend(drift.map(|drift| {
            finding(ConditionType::Drifted, ConditionStatus::True, Reason::FileChanged, &drift)
        }));
    findings
}

/// What was said before: for a pass that comes before the first question.
pub fn kept(previous: &TenantStatus) -> Vec<Finding> {
    let of_configuration = [ConditionType::ConfigApplied, ConditionType::PolicyEnforced];
    said(previous, &of_configuration).into_iter().chain(said(previous, &OF_HEALTH)).collect()
}

/// What was said before of the gateway's health, and what is true of its configuration.
pub fn kept_but_for(previous: &TenantStatus, configuration: &Configuration) -> Vec<Finding> {
    let of_configuration = [configuration.applied(), configuration.enforced()];
    of_configuration.into_iter().chain(said(previous, &OF_HEALTH)).collect()
}

const OF_HEALTH: [ConditionType; 3] =
    [ConditionType::WatchdogHealthy, ConditionType::Degraded, ConditionType::Drifted];

fn said(previous: &TenantStatus, types: &[ConditionType]) -> Vec<Finding> {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::health::fixtures::{good, health};

    fn told(health: &Health, others: &[Finding]) -> Vec<(&'static str, &'static str, &'static str, String)> {
        let configuration = Configuration::of(&health.applied("h"), Reason::Starting);
        let findings = findings(Some(health), false, &configuration, Reason::Starting, others);
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
        let configuration = Configuration::of(&gateway.applied("h"), Reason::Starting);
        let findings = findings(Some(&gateway), true, &configuration, Reason::Starting, &[]);
        let brief: Vec<_> = findings.iter().map(|it| (it.type_.as_str(), it.status.as_str())).collect();
        let expected = [
            ("ConfigApplied", "True"),
            ("PolicyEnforced", "True"),
            ("WatchdogHealthy", "False"),
            ("Degraded", "True"),
        ];
        assert_eq!(brief, expected);
    }
}
