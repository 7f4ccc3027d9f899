//! Observation stage, pure: what became of what init containers bring into a gateway's Pod, packs of skills and plugins
//! of channels. The gateway runs without what could not be had; a condition of its own says so.

use std::collections::BTreeMap;

use kr8tiv_compiler::{Bundle, Object, PLUGINS_CONTAINER};
use kr8tiv_crds::skills::SkillPack;
use kr8tiv_crds::status::{ConditionStatus, ConditionType, Finding, Reason};
use kr8tiv_crds::tenant::{TenantSkills, UnavailablePack};
use kr8tiv_crds::{TenantStatus, meta};
use serde::Deserialize;

use crate::pod::{GatewayPod, InitOutcome};

/// Bytes of the annotation [`meta::RETRY_SKILLS`] that count: it is kept in the status.
const RETRY_LIMIT: usize = 64;

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
    skills: Option<&TenantSkills>,
    pod: Option<&GatewayPod>,
    previous: &TenantStatus,
    waiting: Reason,
) -> Vec<Finding> {
    let packs = bundle.skill_packs.iter();
    let reporters: Vec<_> = packs
        .filter_map(|pack| Some(Reporter { container: pack.container.as_deref()?, about: Some(&pack.name) }))
        .collect();
    let unavailable = skills.iter().flat_map(|skills| &skills.unavailable);
    let known = unavailable.map(|pack| {
        let again =
            format!("; to try again, give the Tenant's annotation {} a new value", meta::RETRY_SKILLS);
        (pack.name.clone(), pack.problem.clone() + &again)
    });
    let skills = finding(SKILLS, &reporters, known.collect(), pod, previous, waiting);
    let reporters: Vec<_> = has_plugins(bundle)
        .then_some(Reporter { container: PLUGINS_CONTAINER, about: None })
        .into_iter()
        .collect();
    let plugins = finding(PLUGINS, &reporters, BTreeMap::new(), pod, previous, waiting);
    skills.into_iter().chain(plugins).collect()
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
                problems.extend(items.filter_map(|item| Some((item.name, item.problem?))));
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

/// The packs that the Pod must do without, because their images can't be pulled: those that it has been doing without,
/// and those that keep it from starting now. `retry` is the Tenant's annotation [`meta::RETRY_SKILLS`].
pub fn unavailable(
    previous: Option<&TenantSkills>,
    retry: Option<&str>,
    packs: &[SkillPack],
    pod: Option<&GatewayPod>,
) -> Option<TenantSkills> {
    let retry = retry.map(|value| &value[..value.floor_char_boundary(RETRY_LIMIT)]);
    let heeded = previous.and_then(|skills| skills.retry.as_deref());
    let again = retry.is_some() && retry != heeded;
    let before = previous.into_iter().flat_map(|skills| &skills.unavailable);
    let before: Vec<_> = before.filter(|_| !again).collect();
    let failing = |image: &str| {
        let stuck = pod.filter(|pod| !pod.deleting)?.init.iter().find(|init| init.image == image)?;
        match &stuck.outcome {
            InitOutcome::NoImage(problem) => Some(problem.clone()),
            InitOutcome::Said(_) => None,
        }
    };
    let unavailable = packs.iter().filter_map(|pack| {
        let image = pack.source.image.as_ref()?.pinned();
        // The first words stay: later ones say the same differently, and each would be a write.
        let known = before.iter().find(|known| known.name == pack.name && known.image == image);
        let problem = known.map(|known| known.problem.clone()).or_else(|| failing(&image))?;
        Some(UnavailablePack { name: pack.name.clone(), image, problem })
    });
    let mut unavailable: Vec<_> = unavailable.collect();
    unavailable.sort_by(|a, b| a.name.cmp(&b.name));
    let skills = TenantSkills { retry: retry.map(str::to_owned), unavailable };
    (skills != TenantSkills::default()).then_some(skills)
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
        let reporters = [Reporter { container: PLUGINS_CONTAINER, about: None }];
        let judged = |message: &str| {
            let pod = pod(&[(PLUGINS_CONTAINER, said(message))]);
            let none = TenantStatus::default();
            finding(PLUGINS, &reporters, BTreeMap::new(), Some(&pod), &none, Reason::Starting).unwrap()
        };
        assert_eq!(judged(r#"{"plugins":[]}"#).status, ConditionStatus::True);
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

    fn image_pack(name: &str, digest: char) -> SkillPack {
        let digest = format!("sha256:{}", digest.to_string().repeat(64));
        serde_json::from_value(json!({
            "name": name, "skills": ["s"], "source": {"image": {"reference": "r/p", "digest": digest}}
        }))
        .unwrap()
    }

    #[test]
    fn an_image_stays_out_until_it_changes_or_is_tried_again() {
        let packs = [image_pack("p", '1')];
        let image = packs[0].source.image.as_ref().unwrap().pinned();
        let stuck = |problem: &str| {
            let mut pod = pod(&[("skills-p", InitOutcome::NoImage(problem.into()))]);
            pod.init[0].image.clone_from(&image);
            pod
        };
        let first = unavailable(None, None, &packs, Some(&stuck("not found"))).unwrap();
        let expected =
            UnavailablePack { name: "p".into(), image: image.clone(), problem: "not found".into() };
        assert_eq!(first.unavailable, [expected]);
        let later = unavailable(Some(&first), None, &packs, Some(&stuck("really not found")));
        assert_eq!(later.as_ref(), Some(&first), "kubelet's other words change nothing");
        assert_eq!(
            unavailable(Some(&first), None, &packs, None).as_ref(),
            Some(&first),
            "nor does a new Pod"
        );
        assert_eq!(unavailable(Some(&first), None, &[image_pack("p", '2')], None), None, "another digest");
        assert_eq!(unavailable(Some(&first), None, &[], None), None, "no such pack any more");

        let again = unavailable(Some(&first), Some("1"), &packs, None).unwrap();
        assert_eq!((again.retry.as_deref(), again.unavailable.len()), (Some("1"), 0));
        let failed = unavailable(Some(&again), Some("1"), &packs, Some(&stuck("not found"))).unwrap();
        assert_eq!(failed.unavailable.len(), 1);
        assert_eq!(unavailable(Some(&failed), Some("1"), &packs, None).as_ref(), Some(&failed), "tried once");
        assert_eq!(unavailable(Some(&failed), Some("2"), &packs, None).unwrap().unavailable.len(), 0);
    }
}
