//! Observation stage, pure: what became of what init containers bring into a gateway's Pod, packs of skills and plugins
//! of channels. The gateway runs without what could not be had; a condition of its own says so.

use std::collections::BTreeMap;

use kr8tiv_compiler::{Bundle, Object, PLUGINS_CONTAINER, SkillPack};
use kr8tiv_crds::status::{ConditionStatus, ConditionType, Finding, Reason};
use kr8tiv_crds::tenant::TenantImages;
use kr8tiv_crds::{TenantStatus, meta};
use serde::Deserialize;

use crate::pod::{GatewayPod, InitOutcome};

/// What a condition speaks of.
#[derive(Clone, Copy, Debug)]
struct Subject {
    condition: ConditionType,
    reason: Reason,
    /// What one of them is called, before its name.
    one: &'static str,
    all_well: &'static str,
    pending: &'static str,
}

const SKILLS: Subject = Subject {
    condition: ConditionType::SkillsReady,
    reason: Reason::SkillPackUnavailable,
    one: "pack",
    all_well: "every pack of skills is in the gateway",
    pending: "the packs of skills are copied when the gateway starts",
};

const PLUGINS: Subject = Subject {
    condition: ConditionType::PluginsReady,
    reason: Reason::PluginUnavailable,
    one: "plugin of channel",
    all_well: "every channel has its plugin",
    pending: "the plugins of the channels are installed when the gateway starts",
};

/// An init container that reports.
struct Reporter<'a> {
    container: &'a str,
    /// What alone it may speak of. What it says comes from a tenant's Pod.
    about: Option<&'a str>,
    /// Why what it misses is missing, when that is known better than the container knows it.
    cause: Option<String>,
}

impl<'a> Reporter<'a> {
    fn of_pack(pack: &'a SkillPack) -> Option<Self> {
        Some(Self { container: pack.container.as_deref()?, about: Some(&pack.name), cause: None })
    }
}

/// What an init container says at its end: `{"packs":[{"name":"…","problem":null}]}`, or a
/// [`kr8tiv_compiler::PluginReport`]. One of another release may name channels that this one does not know.
#[derive(Deserialize)]
struct Report {
    #[serde(alias = "plugins")]
    packs: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(alias = "channel")]
    name: String,
    problem: Option<String>,
}

/// What is to be said of packs and plugins. `pod` is the gateway's Pod when it is of the current revision, `previous`
/// what was said before, `waiting` why a Pod that has not reported has not.
pub fn findings(
    bundle: &Bundle,
    images: Option<&TenantImages>,
    pod: Option<&GatewayPod>,
    previous: &TenantStatus,
    waiting: Reason,
) -> Vec<Finding> {
    let packs = bundle.skill_packs.iter();
    let reporters: Vec<_> = packs.filter_map(Reporter::of_pack).collect();
    let unavailable: Vec<_> = images.iter().flat_map(|images| &images.unavailable).collect();
    let known = bundle.skill_packs.iter().filter_map(|pack| {
        let image = pack.image.as_deref()?;
        let unavailable = unavailable.iter().find(|unavailable| unavailable.image == image)?;
        Some((pack.name.clone(), to_try_again(&unavailable.problem)))
    });
    let skills = finding(SKILLS, &reporters, known.collect(), pod, previous, waiting);
    // An image that is no pack's is that of the plugins: there are no others that a gateway does without.
    let is_packs = |image: &str| bundle.skill_packs.iter().any(|pack| pack.image.as_deref() == Some(image));
    let of_plugins = unavailable.iter().find(|unavailable| !is_packs(&unavailable.image));
    let reporter = Reporter {
        container: PLUGINS_CONTAINER,
        about: None,
        cause: of_plugins.map(|unavailable| to_try_again(&unavailable.problem)),
    };
    let reporters: Vec<_> = has_plugins(bundle).then_some(reporter).into_iter().collect();
    let plugins = finding(PLUGINS, &reporters, BTreeMap::new(), pod, previous, waiting);
    skills.into_iter().chain(plugins).collect()
}

fn to_try_again(problem: &str) -> String {
    format!("{problem}; to try again, give the Tenant's annotation {} a new value", meta::RETRY_IMAGES)
}

/// What was said before of packs and plugins: for a pass that did not get as far as the Pod.
pub fn kept(previous: &TenantStatus) -> Vec<Finding> {
    [SKILLS, PLUGINS].iter().filter_map(|subject| said_before(previous, *subject)).collect()
}

fn has_plugins(bundle: &Bundle) -> bool {
    bundle.objects.iter().any(|object| {
        let Object::StatefulSet(set) = object else { return false };
        let pod = set.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
        let init = pod.iter().flat_map(|pod| pod.init_containers.iter().flatten());
        init.into_iter().any(|container| container.name == PLUGINS_CONTAINER)
    })
}

fn said_before(previous: &TenantStatus, subject: Subject) -> Option<Finding> {
    let mut conditions = previous.conditions.iter();
    conditions.find(|condition| condition.type_ == subject.condition.as_str()).and_then(Finding::kept)
}

fn finding(
    subject: Subject,
    reporters: &[Reporter<'_>],
    mut problems: BTreeMap<String, String>,
    pod: Option<&GatewayPod>,
    previous: &TenantStatus,
    waiting: Reason,
) -> Option<Finding> {
    if reporters.is_empty() && problems.is_empty() {
        return None;
    }
    let mut pending = false;
    for reporter in reporters {
        let Some(message) = pod.and_then(|pod| message_of(pod, reporter.container)) else {
            pending = true;
            continue;
        };
        match serde_json::from_str::<Report>(message) {
            Ok(report) => {
                let items = report.packs.into_iter();
                let items = items.filter(|item| reporter.about.is_none_or(|about| about == item.name));
                problems.extend(items.filter_map(|item| {
                    let problem = item.problem?;
                    Some((item.name, reporter.cause.clone().unwrap_or(problem)))
                }));
            }
            // kubelet puts a text of its own in the place of the message of a container that has been cleared away.
            Err(_) => match said_before(previous, subject) {
                Some(finding) => return Some(finding),
                None => pending = true,
            },
        }
    }
    let Subject { condition: type_, reason, one, all_well, pending: not_yet } = subject;
    let found =
        |status, reason, message: &str| Some(Finding { type_, status, reason, message: message.into() });
    if !problems.is_empty() {
        let lines = problems.iter();
        let lines: Vec<_> = lines
            .map(|(name, problem)| format!("the gateway runs without the {one} {name}: {problem}"))
            .collect();
        return found(ConditionStatus::False, reason, &lines.join("\n"));
    }
    if pending {
        return found(ConditionStatus::Unknown, waiting, not_yet);
    }
    found(ConditionStatus::True, Reason::Succeeded, all_well)
}

fn message_of<'a>(pod: &'a GatewayPod, container: &str) -> Option<&'a str> {
    match &pod.init.iter().find(|init| init.name == container)?.outcome {
        InitOutcome::Said(message) => Some(message),
        InitOutcome::NoImage(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use kr8tiv_compiler::{PluginProblem, PluginReport};
    use kr8tiv_crds::channels::ChannelName;
    use serde_json::json;

    use super::*;
    use crate::pod::InitContainer;

    fn pod(containers: &[(&str, InitOutcome)]) -> GatewayPod {
        let init = containers.iter().map(|(name, outcome)| InitContainer {
            name: (*name).to_owned(),
            image: "i".into(),
            outcome: outcome.clone(),
        });
        GatewayPod { init: init.collect(), ..GatewayPod::default() }
    }

    fn said(message: &str) -> InitOutcome {
        InitOutcome::Said(message.into())
    }

    /// Status, reason and message of the condition on two packs, of which the containers came to this.
    fn judged(
        containers: &[(&str, InitOutcome)],
        previous: &TenantStatus,
    ) -> (&'static str, &'static str, String) {
        let reporters = ["a", "b"].map(|name| Reporter {
            container: if name == "a" { "skills-a" } else { "skills-b" },
            about: Some(name),
            cause: None,
        });
        let pod = pod(containers);
        let found =
            finding(SKILLS, &reporters, BTreeMap::new(), Some(&pod), previous, Reason::Starting).unwrap();
        (found.status.as_str(), found.reason.as_str(), found.message)
    }

    const WELL: &str = r#"{"packs":[{"name":"a","problem":null}]}"#;

    #[test]
    fn what_the_containers_say_is_one_condition() {
        let well_b = r#"{"packs":[{"name":"b","problem":null}]}"#;
        let bad_b = r#"{"packs":[{"name":"b","problem":"no SKILL.md"}]}"#;
        let none = TenantStatus::default();
        let (status, reason, _) = judged(&[("skills-a", said(WELL)), ("skills-b", said(well_b))], &none);
        assert_eq!((status, reason), ("True", "Succeeded"));
        let (status, reason, _) = judged(&[("skills-a", said(WELL))], &none);
        assert_eq!((status, reason), ("Unknown", "Starting"));
        let bad = judged(&[("skills-a", said(WELL)), ("skills-b", said(bad_b))], &none);
        let message = "the gateway runs without the pack b: no SKILL.md";
        assert_eq!(bad, ("False", "SkillPackUnavailable", message.into()));
    }

    #[test]
    fn a_container_speaks_of_its_own_pack_only() {
        let slander = r#"{"packs":[{"name":"a","problem":null},{"name":"b","problem":"bad"}]}"#;
        let well_b = r#"{"packs":[{"name":"b","problem":null}]}"#;
        let judged =
            judged(&[("skills-a", said(slander)), ("skills-b", said(well_b))], &TenantStatus::default());
        assert_eq!(judged.0, "True");
    }

    #[test]
    fn a_message_that_is_gone_leaves_what_was_said_before() {
        let cleared =
            "Unable to get init container status from container runtime and pod has been initialized";
        let containers = [("skills-a", said(WELL)), ("skills-b", said(cleared))];
        assert_eq!(judged(&containers, &TenantStatus::default()).0, "Unknown");
        let before: TenantStatus = serde_json::from_value(json!({"conditions": [{
            "type": "SkillsReady", "status": "False", "reason": "SkillPackUnavailable", "message": "m",
            "lastTransitionTime": "2026-01-01T00:00:00Z"
        }]}))
        .unwrap();
        assert_eq!(judged(&containers, &before), ("False", "SkillPackUnavailable", "m".into()));
        assert_eq!(kept(&before).len(), 1);
    }

    #[test]
    fn a_report_on_plugins_names_channels() {
        let judged_for = |cause: Option<&str>, message: &str| {
            let cause = cause.map(str::to_owned);
            let reporters = [Reporter { container: PLUGINS_CONTAINER, about: None, cause }];
            let pod = pod(&[(PLUGINS_CONTAINER, said(message))]);
            let none = TenantStatus::default();
            finding(PLUGINS, &reporters, BTreeMap::new(), Some(&pod), &none, Reason::Starting).unwrap()
        };
        let judged = |message: &str| judged_for(None, message);
        assert_eq!(judged(r#"{"plugins":[]}"#).status, ConditionStatus::True);
        let without_image =
            judged_for(Some("no image"), r#"{"plugins":[{"channel":"slack","problem":"npm: no"}]}"#);
        assert_eq!(without_image.message, "the gateway runs without the plugin of channel slack: no image");
        let problem = |channel, problem: &str| PluginProblem { channel, problem: problem.into() };
        let plugins = vec![problem(ChannelName::Slack, "y"), problem(ChannelName::Discord, "x")];
        let bad = judged(&serde_json::to_string(&PluginReport { plugins }).unwrap());
        assert_eq!((bad.type_, bad.reason), (ConditionType::PluginsReady, Reason::PluginUnavailable));
        assert_eq!(
            bad.message,
            "the gateway runs without the plugin of channel discord: x\n\
             the gateway runs without the plugin of channel slack: y"
        );
    }
}
