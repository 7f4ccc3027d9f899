//! Status stage, pure: what is said of a tenant's sandboxes, by their Pods and by what the watchdog beside the gateway comes
//! to when it logs in. The gateway serves without them; a condition of its own says so.

mod probed;

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kr8tiv_crds::TenantStatus;
use kr8tiv_crds::status::{ConditionStatus, ConditionType, Finding, Reason};

pub(crate) use self::probed::{Entry, probed};
pub use self::probed::{Login, Probed};
use crate::delivery::Known;
use crate::tenant::observe::Gateway;

/// How long a sandbox may take that a tenant with others has been given: nobody has missed it yet.
const FIRST_START: SignedDuration = SignedDuration::from_mins(2);

/// What keeps the keys of a sandbox from being made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeysFault {
    /// What kind of problem it is.
    pub reason: Reason,
    /// The cause.
    pub message: String,
    /// Whether it is most likely over in a moment.
    pub transient: bool,
}

/// Whether the watchdog has still to log in to a Pod that is up, or one has its time: time alone wakes no pass.
pub fn is_awaited(there: &BTreeMap<String, Gateway>, known: &Known, now: Timestamp) -> bool {
    let mut probed = known.health.iter().flat_map(|health| &health.sandboxes);
    probed.any(|(sandbox, probed)| {
        let Some(there) = there.get(sandbox) else { return false };
        match there.pod.as_ref().map(|(_, pod)| pod).filter(|pod| pod.ready) {
            Some(pod) => !probed.is_of(pod),
            None => is_new(there, now) && probed.login.trouble().is_some(),
        }
    })
}

fn is_new(there: &Gateway, now: Timestamp) -> bool {
    let created = there.workload.as_ref().and_then(|set| set.created);
    created.is_some_and(|created| now.duration_since(created) < FIRST_START)
}

impl Login {
    /// What is wrong, if anything is.
    fn trouble(self) -> Option<(Reason, &'static str)> {
        Some(match self {
            Self::Ok | Self::Unknown => return None,
            Self::Unreachable => (
                Reason::Unreachable,
                "can't be reached from the gateway; its log says why, or a NetworkPolicy is in the way",
            ),
            Self::NoBanner => (Reason::Unreachable, "does not answer as an SSH server"),
            Self::HostKeyMismatch => {
                (Reason::HostKeyMismatch, "shows another host key than the operator has made for it")
            }
            Self::AuthFailed => (Reason::AuthFailed, "refuses the gateway's key"),
            Self::CommandFailed => (Reason::Unreachable, "lets the gateway in and runs no command"),
        })
    }
}

/// What is to be said of the sandboxes of a tenant whose current generation is not applied: of those that there are, and of
/// those that its gateway logs in to. That it has none is said by no pass that could not see to them.
pub fn finding_meanwhile(
    there: &BTreeMap<String, Gateway>,
    known: &Known,
    previous: &TenantStatus,
    suspended: bool,
    now: Timestamp,
) -> Option<Finding> {
    let probed = known.health.iter().flat_map(|health| health.sandboxes.keys());
    let names: BTreeSet<&str> = there.keys().chain(probed).map(String::as_str).collect();
    let names: Vec<&str> = names.into_iter().collect();
    finding(&names, there, None, known, previous, suspended, now).or_else(|| kept(previous))
}

/// What is to be said of the sandboxes of these names; `None` when there are none.
pub fn finding(
    names: &[&str],
    there: &BTreeMap<String, Gateway>,
    keys: Option<&KeysFault>,
    known: &Known,
    previous: &TenantStatus,
    suspended: bool,
    now: Timestamp,
) -> Option<Finding> {
    let found = |status, reason, message: String| {
        Some(Finding { type_: ConditionType::SandboxReady, status, reason, message })
    };
    if names.is_empty() {
        return None;
    }
    if suspended {
        let message = "the sandboxes are stopped with the gateway".to_owned();
        return found(ConditionStatus::Unknown, Reason::Suspended, message);
    }
    let said = kept(previous);
    let was_told = said.as_ref().is_some_and(|said| said.status != ConditionStatus::Unknown);
    let probed = known.health.as_ref().map(|health| &health.sandboxes);
    let mut troubles = Vec::new();
    let (mut starting, mut unheard) = (false, false);
    match keys {
        Some(fault) if fault.transient => unheard = true,
        Some(fault) => troubles.push((fault.reason, fault.message.clone())),
        None => {}
    }
    for sandbox in names.iter().copied() {
        let there = there.get(sandbox);
        let is_missed = was_told && !there.is_some_and(|there| is_new(there, now));
        let pod = there.and_then(|there| there.pod.as_ref()).map(|(_, pod)| pod).filter(|pod| !pod.deleting);
        if let Some(problem) = pod.and_then(|pod| pod.problem.as_ref()) {
            troubles.push((problem.reason, format!("sandbox {sandbox}: {}", problem.message)));
            continue;
        }
        let is_ready = pod.is_some_and(|pod| pod.ready);
        let login = probed.and_then(|probed| probed.get(sandbox));
        let login = login.filter(|probed| pod.is_none_or(|pod| probed.is_of(pod))).map(|probed| probed.login);
        match (login, login.and_then(Login::trouble)) {
            (Some(Login::Ok), _) if is_ready => {}
            // At a first start nobody has missed it yet.
            (_, Some((reason, what))) if is_ready || is_missed => {
                troubles.push((reason, format!("sandbox {sandbox} {what}")));
            }
            (None, _) if is_ready => unheard = true,
            _ => starting = true,
        }
    }
    if let Some((reason, _)) = troubles.first() {
        let lines: Vec<_> = troubles.iter().map(|(_, line)| line.as_str()).collect();
        return found(ConditionStatus::False, *reason, lines.join("\n"));
    }
    // An operator that has just started says nothing against what was said, and neither does a Pod that has just ended:
    // the next log-in does.
    if let Some(said) = said.filter(|_| was_told && (starting || unheard)) {
        return Some(said);
    }
    if starting || unheard {
        let what =
            if starting { "the sandbox is starting" } else { "nobody has logged in to the sandbox yet" };
        return found(ConditionStatus::Unknown, Reason::Starting, what.to_owned());
    }
    let well = "the gateway can log in to the sandbox and run commands in it".to_owned();
    found(ConditionStatus::True, Reason::Succeeded, well)
}

/// What was said before.
fn kept(previous: &TenantStatus) -> Option<Finding> {
    let said = previous.conditions.iter().find(|said| said.type_ == ConditionType::SandboxReady.as_str());
    said.and_then(Finding::kept)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::child::Workload;
    use crate::health::Health;
    use crate::pod::{GatewayPod, Problem};

    const NAME: &str = "acme-sandbox";

    fn there(pod: GatewayPod) -> BTreeMap<String, Gateway> {
        let pod = Some((format!("{NAME}-0"), Arc::new(pod)));
        [(NAME.to_owned(), Gateway { workload: None, pod })].into()
    }

    fn ready() -> GatewayPod {
        GatewayPod { ready: true, ..GatewayPod::default() }
    }

    fn told(login: &str) -> Known {
        let entries =
            json!([{"name": NAME, "reason": login}, {"name": "of-somebody-else", "reason": "AuthFailed"}]);
        heard(&entries)
    }

    fn heard(entries: &serde_json::Value) -> Known {
        let sandboxes = probed(serde_json::from_value(entries.clone()).unwrap(), now());
        Known { health: Some(Health { sandboxes, ..Health::default() }), ..Known::default() }
    }

    fn before(status: &str) -> TenantStatus {
        serde_json::from_value(json!({"conditions": [{
            "type": "SandboxReady", "status": status, "reason": "Succeeded", "message": "before",
            "lastTransitionTime": "2026-01-01T00:00:00Z"
        }]}))
        .unwrap()
    }

    fn now() -> Timestamp {
        "2026-01-01T00:10:00Z".parse().unwrap()
    }

    fn text(found: Option<Finding>) -> String {
        let Finding { status, reason, message, .. } = found.unwrap();
        format!("{} {}: {message}", status.as_str(), reason.as_str())
    }

    fn brief(pod: GatewayPod, known: &Known, previous: &TenantStatus) -> String {
        text(finding(&[NAME], &there(pod), None, known, previous, false, now()))
    }

    #[test]
    fn a_sandbox_is_ready_when_the_gateway_can_log_in() {
        let none = TenantStatus::default();
        assert!(brief(ready(), &told("Ok"), &none).starts_with("True Succeeded"));
        assert!(brief(GatewayPod::default(), &told("Ok"), &none).starts_with("Unknown Starting"));
        for (login, expected) in [
            ("Unreachable", "False Unreachable: sandbox acme-sandbox can't be reached"),
            ("NoBanner", "False Unreachable: sandbox acme-sandbox does not answer as"),
            ("HostKeyMismatch", "False HostKeyMismatch: sandbox acme-sandbox shows another"),
            ("AuthFailed", "False AuthFailed: sandbox acme-sandbox refuses"),
            ("CommandFailed", "False Unreachable: sandbox acme-sandbox lets"),
        ] {
            let said = brief(ready(), &told(login), &none);
            assert!(said.starts_with(expected), "{said}");
        }
        assert!(brief(ready(), &told("OfALaterRelease"), &none).starts_with("Unknown Starting"));
        assert_eq!(finding(&[], &there(ready()), None, &told("Ok"), &none, false, now()), None);
        let suspended = finding(&[NAME], &BTreeMap::new(), None, &told("Ok"), &none, true, now()).unwrap();
        assert_eq!((suspended.status, suspended.reason), (ConditionStatus::Unknown, Reason::Suspended));
    }

    #[test]
    fn a_first_start_is_no_failure_and_a_later_loss_is_one() {
        let gone = |previous: &TenantStatus| {
            let found =
                finding(&[NAME], &BTreeMap::new(), None, &told("Unreachable"), previous, false, now());
            found.unwrap().status
        };
        assert_eq!(gone(&TenantStatus::default()), ConditionStatus::Unknown);
        assert_eq!(gone(&before("Unknown")), ConditionStatus::Unknown);
        assert_eq!(gone(&before("True")), ConditionStatus::False);
        assert_eq!(gone(&before("False")), ConditionStatus::False);
    }

    #[test]
    fn a_pod_that_can_not_start_says_why() {
        let problem =
            Problem { reason: Reason::ImagePullFailed, message: "container sandbox: no image".into() };
        let pod = GatewayPod { problem: Some(problem), ..GatewayPod::default() };
        let said = brief(pod, &told("Unreachable"), &TenantStatus::default());
        assert_eq!(said, "False ImagePullFailed: sandbox acme-sandbox: container sandbox: no image");
    }

    #[test]
    fn nobody_asked_yet_leaves_what_was_said() {
        let unheard = Known::default();
        assert!(brief(ready(), &unheard, &TenantStatus::default()).starts_with("Unknown Starting: nobody"));
        assert!(brief(ready(), &unheard, &before("True")).ends_with("before"));
        assert!(brief(GatewayPod::default(), &unheard, &before("True")).ends_with("before"));
        assert!(brief(GatewayPod::default(), &told("Ok"), &before("False")).ends_with("before"));
        assert!(brief(ready(), &unheard, &before("Unknown")).starts_with("Unknown Starting: nobody"));
    }

    #[test]
    fn a_log_in_counts_for_the_pod_and_the_keys_that_it_was_with() {
        let pod = |since: &str| GatewayPod {
            ready_since: Some(since.parse().unwrap()),
            sandbox_keys: Some("k2".into()),
            ..ready()
        };
        let told = |keys: &str, age: u32| {
            heard(&json!([{"name": NAME, "reason": "Ok", "keys": keys, "ageSeconds": age}]))
        };
        let earlier = "2026-01-01T00:09:00Z";
        let none = TenantStatus::default();
        assert!(brief(pod(earlier), &told("k2", 30), &none).starts_with("True"));
        for (keys, age) in [("k1", 30), ("k2", 60)] {
            let told = told(keys, age);
            assert!(
                brief(pod(earlier), &told, &none).starts_with("Unknown Starting: nobody"),
                "{keys} {age}"
            );
            assert!(brief(pod(earlier), &told, &before("False")).ends_with("before"));
            assert!(is_awaited(&there(pod(earlier)), &told, now()));
        }
        assert!(!is_awaited(&there(pod(earlier)), &told("k2", 30), now()));
        assert_eq!(told("k2", 30), told("k2", 0), "time alone is no news");
        let refused = heard(&json!([{"name": NAME, "reason": "AuthFailed", "keys": "k1", "ageSeconds": 90}]));
        assert!(
            brief(pod(earlier), &refused, &none).starts_with("False AuthFailed"),
            "what fails is told of"
        );
    }

    /// It may be of the time before the Pod was there: a watchdog tries again.
    #[test]
    fn what_failed_before_the_pod_was_ready_is_no_failure_of_it() {
        let pod = || GatewayPod { ready_since: Some("2026-01-01T00:09:00Z".parse().unwrap()), ..ready() };
        let told = |age: u32| heard(&json!([{"name": NAME, "reason": "Unreachable", "ageSeconds": age}]));
        let none = TenantStatus::default();
        assert!(brief(pod(), &told(60), &none).starts_with("Unknown Starting: nobody"));
        assert!(brief(pod(), &told(60), &before("False")).ends_with("before"));
        assert!(is_awaited(&there(pod()), &told(60), now()), "the same again is no news");
        assert!(brief(pod(), &told(30), &none).starts_with("False Unreachable"));
    }

    #[test]
    fn one_that_is_added_is_given_its_time() {
        let logins = json!([{"name": NAME, "reason": "Ok"}, {"name": "added", "reason": "Unreachable"}]);
        let known = heard(&logins);
        let found = |created: &str| {
            let mut all = there(ready());
            let set = Workload { created: Some(created.parse().unwrap()), ..Workload::default() };
            all.insert("added".into(), Gateway { workload: Some(Arc::new(set)), pod: None });
            let found = finding(&[NAME, "added"], &all, None, &known, &before("True"), false, now()).unwrap();
            (found.status, found.reason, is_awaited(&all, &known, now()))
        };
        assert_eq!(found("2026-01-01T00:08:01Z"), (ConditionStatus::True, Reason::Succeeded, true));
        assert_eq!(found("2026-01-01T00:08:00Z"), (ConditionStatus::False, Reason::Unreachable, false));
    }

    /// The gateway goes on with the configuration that names it.
    #[test]
    fn one_that_was_deleted_is_missed_while_what_is_asked_for_is_not_applied() {
        let none = BTreeMap::new();
        let lost = heard(&json!([{"name": "lost", "reason": "Unreachable"}, {"name": NAME, "reason": "Ok"}]));
        let meanwhile = |there: &BTreeMap<String, Gateway>, known: &Known| {
            text(finding_meanwhile(there, known, &before("True"), false, now()))
        };
        let expected = "False Unreachable: sandbox lost can't be reached";
        assert!(meanwhile(&there(ready()), &lost).starts_with(expected));
        assert!(meanwhile(&none, &lost).starts_with(expected));
        assert!(meanwhile(&none, &Known::default()).ends_with("before"), "nobody has asked");
        assert!(meanwhile(&none, &heard(&json!([]))).ends_with("before"), "the watchdog has just started");
        let never = finding_meanwhile(&none, &Known::default(), &TenantStatus::default(), false, now());
        assert_eq!(never, None);
    }

    #[test]
    fn keys_that_can_not_be_made_are_told_of_unless_it_is_over_in_a_moment() {
        let fault = |transient| KeysFault { reason: Reason::Conflict, message: "taken".into(), transient };
        let found = |fault: &KeysFault, previous: &TenantStatus| {
            text(finding(&[NAME], &there(ready()), Some(fault), &told("Ok"), previous, false, now()))
        };
        assert_eq!(found(&fault(false), &before("True")), "False Conflict: taken");
        assert!(found(&fault(true), &before("True")).ends_with("before"));
        assert!(found(&fault(true), &TenantStatus::default()).starts_with("Unknown Starting"));
    }
}
