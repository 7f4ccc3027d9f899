//! Observation stage, pure: what passes read of a gateway's or a sandbox's Pod, and what keeps it from starting.

mod crash_loop;
mod startup;
pub mod unmounted;

use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodSpec};
use k8s_openapi::jiff::Timestamp;
use kr8tiv_crds::meta;
use kr8tiv_crds::status::Reason;

use self::crash_loop::crash_loop;
use self::startup::failed_startup;
use self::unmounted::{Unmounted, claims};
use crate::last_words::message_limit;

/// Name of the gateway's container.
const GATEWAY: &str = "gateway";

/// Label in which the StatefulSet controller writes the revision of a Pod.
const REVISION: &str = "controller-revision-hash";

/// A gateway's Pod, or a sandbox's.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct GatewayPod {
    /// `metadata.uid`.
    pub uid: String,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Address of the Pod, once it has one.
    pub ip: Option<String>,
    /// Whether it has been given a node.
    pub scheduled: bool,
    /// Whether all its containers are ready.
    pub ready: bool,
    /// Since when they are.
    pub ready_since: Option<Timestamp>,
    /// The revision of the StatefulSet that it was made from.
    pub revision: Option<String>,
    /// The gateway's container, while it runs.
    pub gateway: Option<Running>,
    /// Whether its deletion has begun.
    pub deleting: bool,
    /// The label [`meta::TENANT_ID`].
    pub tenant_id: Option<String>,
    /// The annotation [`meta::BUNDLE_HASH`].
    pub bundle_hash: Option<String>,
    /// The annotation [`meta::SANDBOX_KEYS`].
    pub sandbox_keys: Option<String>,
    /// The label [`meta::SANDBOX_NAME`]; a gateway's has none.
    pub sandbox: Option<String>,
    /// What keeps it from starting.
    pub problem: Option<Problem>,
    /// What is its problem once it has been so for too long.
    pub unmounted: Option<Unmounted>,
    /// Its init containers that have come to an end, or can't come to one for want of their image.
    pub init: Vec<InitContainer>,
}

/// A container that runs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Running {
    /// Since when.
    pub since: Timestamp,
    /// Whether it has passed its startup probe.
    pub started: bool,
}

/// An init container of a gateway's Pod.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InitContainer {
    /// Its name.
    pub name: String,
    /// Its image, as in the Pod's spec as long as it could not be pulled.
    pub image: String,
    /// What it came to.
    pub outcome: InitOutcome,
}

/// What an init container came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum InitOutcome {
    /// It ended well, with this message.
    Said(String),
    /// Its image can't be had; why, without times, counters and names of Pods.
    NoImage(String),
}

/// What keeps a Pod from starting.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// What kind of problem it is.
    pub reason: Reason,
    /// The cause, without times, counters and names of Pods.
    pub message: String,
}

impl GatewayPod {
    /// Takes from the Pod what passes read.
    pub fn of(pod: &Pod) -> Self {
        let metadata = &pod.metadata;
        let annotation = |name| metadata.annotations.as_ref().and_then(|all| all.get(name)).cloned();
        let mut conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
        let ready = conditions.find(|found| found.type_ == "Ready" && found.status == "True");
        let ready_since = ready.and_then(|ready| ready.last_transition_time.as_ref()).map(|since| since.0);
        let ready = ready.is_some();
        let problem = if ready { None } else { problem(pod) };
        Self {
            uid: metadata.uid.clone().unwrap_or_default(),
            created: metadata.creation_timestamp.as_ref().map(|created| created.0),
            ip: pod.status.as_ref().and_then(|status| status.pod_ip.clone()).filter(|ip| !ip.is_empty()),
            scheduled: pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some()),
            ready,
            ready_since,
            revision: label(pod, REVISION),
            gateway: gateway(pod),
            deleting: metadata.deletion_timestamp.is_some(),
            tenant_id: label(pod, meta::TENANT_ID),
            bundle_hash: annotation(meta::BUNDLE_HASH),
            sandbox_keys: annotation(meta::SANDBOX_KEYS),
            sandbox: label(pod, meta::SANDBOX_NAME),
            unmounted: if ready || problem.is_some() { None } else { Unmounted::of(pod) },
            problem,
            init: init_containers(pod),
        }
    }
}

fn label(pod: &Pod, name: &str) -> Option<String> {
    pod.metadata.labels.as_ref()?.get(name).cloned()
}

fn condition<'a>(pod: &'a Pod, type_: &str) -> Option<(&'a str, &'a str)> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let condition = conditions.iter().find(|condition| condition.type_ == type_)?;
    Some((&condition.status, condition.message.as_deref().unwrap_or_default()))
}

fn gateway(pod: &Pod) -> Option<Running> {
    let mut containers = pod.status.as_ref()?.container_statuses.iter().flatten();
    let gateway = containers.find(|container| container.name == GATEWAY)?;
    let since = gateway.state.as_ref()?.running.as_ref()?.started_at.as_ref()?.0;
    Some(Running { since, started: gateway.started == Some(true) })
}

fn init_containers(pod: &Pod) -> Vec<InitContainer> {
    let all = pod.status.iter().flat_map(|status| status.init_container_statuses.iter().flatten());
    let ended = all.filter_map(|container| {
        let terminated = container.state.as_ref().and_then(|state| state.terminated.as_ref());
        let outcome = match terminated.filter(|terminated| terminated.exit_code == 0) {
            Some(terminated) => InitOutcome::Said(terminated.message.clone().unwrap_or_default()),
            None => InitOutcome::NoImage(without_image(container, own_names(pod))?),
        };
        Some(InitContainer { name: container.name.clone(), image: container.image.clone(), outcome })
    });
    ended.collect()
}

fn own_names(pod: &Pod) -> [Option<&str>; 2] {
    [pod.metadata.name.as_deref(), pod.metadata.uid.as_deref()]
}

fn problem(pod: &Pod) -> Option<Problem> {
    if let Some(("False", message)) = condition(pod, "PodScheduled") {
        // The scheduler says that it is about a volume, and not always about which.
        let claims = claims(pod);
        let unnamed = message.contains("olume") && !claims.iter().any(|claim| message.contains(claim));
        let claims = if unnamed { unmounted::in_brackets(&claims) } else { String::new() };
        let message = format!("no node takes the {}'s Pod: {message}{claims}", whose(pod));
        return Some(Problem { reason: Reason::Unschedulable, message });
    }
    let status = pod.status.as_ref()?;
    let init = status.init_container_statuses.iter().flatten();
    let containers = |spec: &PodSpec| {
        let (init, ephemeral) = (spec.init_containers.as_ref(), spec.ephemeral_containers.as_ref());
        spec.containers.len() + init.map_or(0, Vec::len) + ephemeral.map_or(0, Vec::len)
    };
    let limit = message_limit(pod.spec.as_ref().map_or(0, containers));
    init.chain(status.container_statuses.iter().flatten())
        .find_map(|container| of_container(pod, container, limit))
}

/// Whose Pod it is, for a message.
fn whose(pod: &Pod) -> &'static str {
    if label(pod, meta::SANDBOX_NAME).is_some() { "sandbox" } else { "gateway" }
}

/// Why a container can't come to be, and what kubelet says of it.
fn waiting(container: &ContainerStatus) -> (&str, &str) {
    let waiting = container.state.as_ref().and_then(|state| state.waiting.as_ref());
    waiting.map_or(("", ""), |waiting| {
        (waiting.reason.as_deref().unwrap_or_default(), waiting.message.as_deref().unwrap_or_default())
    })
}

fn of_container(pod: &Pod, container: &ContainerStatus, limit: usize) -> Option<Problem> {
    let (name, own_names) = (&container.name, own_names(pod));
    if let Some(cause) = without_image(container, own_names) {
        let message = format!("container {name}: {cause}");
        return Some(Problem { reason: Reason::ImagePullFailed, message });
    }
    match waiting(container) {
        ("CreateContainerConfigError" | "CreateContainerError" | "RunContainerError", detail) => {
            let detail = without_names(detail, own_names);
            let message = sentence(&format!("container {name} can't be created"), &detail);
            Some(Problem { reason: Reason::ContainerConfigFailed, message })
        }
        // How it ended last is told only while nothing else keeps it from running.
        (reason, _) => failed_startup(pod, container).or_else(|| crash_loop(container, reason, limit)),
    }
}

/// Why a container's image can't be had, if that is so.
fn without_image(container: &ContainerStatus, own_names: [Option<&str>; 2]) -> Option<String> {
    let (
        "ErrImagePull"
        | "ImagePullBackOff"
        | "InvalidImageName"
        | "ErrImageNeverPull"
        | "RegistryUnavailable"
        | "ImageInspectError"
        | "SignatureValidationFailed",
        detail,
    ) = waiting(container)
    else {
        return None;
    };
    // kubelet goes to and fro between the error and "Back-off pulling image …: ErrImagePull: <error>".
    let cause = detail.rsplit_once("ErrImagePull: ").map_or(detail, |(_, cause)| cause);
    let cause = if cause.starts_with("Back-off pulling") { "" } else { cause };
    let cause = without_names(cause, own_names);
    Some(sentence(&format!("image {} can't be had", container.image), &cause))
}

fn sentence(start: &str, cause: &str) -> String {
    if cause.is_empty() { start.to_owned() } else { format!("{start}: {cause}") }
}

/// A message with names of Pods or ids of containers would change without any change of the cause.
fn without_names(message: &str, own_names: [Option<&str>; 2]) -> String {
    let mut text = message.to_owned();
    for name in own_names.into_iter().flatten().filter(|name| !name.is_empty()) {
        text = text.replace(name, "…");
    }
    text.split(' ')
        .map(|word| {
            let id = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
            let is_container = id.len() == 64 && id.chars().all(|c| c.is_ascii_hexdigit());
            if is_container { word.replace(id, "…") } else { word.to_owned() }
        })
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(status: &Value) -> GatewayPod {
        let object =
            json!({"metadata": {"name": "gw-0", "uid": "u-1"}, "spec": {"containers": []}, "status": status});
        GatewayPod::of(&serde_json::from_value(object).unwrap())
    }

    fn waiting(reason: &str, message: &str) -> Value {
        json!({"containerStatuses": [{
            "name": "gateway", "image": "img:1", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": reason, "message": message}}
        }]})
    }

    fn said(status: &Value) -> (Reason, String) {
        let problem = pod(status).problem.unwrap();
        (problem.reason, problem.message)
    }

    #[test]
    fn an_image_that_can_not_be_pulled_reads_the_same_in_every_state() {
        let expected =
            (Reason::ImagePullFailed, "container gateway: image img:1 can't be had: not found".to_owned());
        assert_eq!(said(&waiting("ErrImagePull", "not found")), expected);
        let backing_off = "Back-off pulling image \"img:1\": ErrImagePull: not found";
        assert_eq!(said(&waiting("ImagePullBackOff", backing_off)), expected);
        let (_, bare) = said(&waiting("ImagePullBackOff", "Back-off pulling image \"img:1\""));
        assert_eq!(bare, "container gateway: image img:1 can't be had");
    }

    /// kubelet gives each container an equal share, those for debugging too: it cuts where the first line begins.
    #[test]
    fn what_kubelet_has_cut_is_known_by_all_containers_of_the_pod() {
        let containers = |count: usize| vec![json!({"name": "c", "image": "i"}); count];
        let spec = json!({
            "containers": containers(2), "initContainers": containers(3), "ephemeralContainers": containers(3)
        });
        let cut = format!("half a line\n{}", "x".repeat(12_288 / 8 - 12));
        let mut status = waiting("CrashLoopBackOff", "");
        status["containerStatuses"][0]["lastState"] = json!({"terminated": {"exitCode": 1, "message": cut}});
        let object = json!({"metadata": {"name": "gw-0"}, "spec": spec, "status": status});
        let pod = GatewayPod::of(&serde_json::from_value(object).unwrap());
        assert!(!pod.problem.unwrap().message.contains("half a line"));
    }

    #[test]
    fn init_containers_are_known_by_what_they_came_to() {
        let container = |name: &str, state: Value| {
            json!({"name": name, "image": format!("{name}:1"), "imageID": "", "ready": false, "restartCount": 0,
                   "state": state})
        };
        let status = json!({"initContainerStatuses": [
            container("seed", json!({"terminated": {"exitCode": 0}})),
            container("copied", json!({"terminated": {"exitCode": 0, "message": "m"}})),
            container("failed", json!({"terminated": {"exitCode": 1, "message": "m"}})),
            container("pulled", json!({"waiting": {"reason": "ErrImagePull", "message": "not found"}})),
            container("last", json!({"waiting": {"reason": "PodInitializing"}})),
        ]});
        let found: Vec<_> =
            pod(&status).init.into_iter().map(|container| (container.name, container.outcome)).collect();
        let expected = [
            ("seed", InitOutcome::Said(String::new())),
            ("copied", InitOutcome::Said("m".into())),
            ("pulled", InitOutcome::NoImage("image pulled:1 can't be had: not found".into())),
        ];
        assert_eq!(found, expected.map(|(name, outcome)| (name.to_owned(), outcome)));
    }

    #[test]
    fn a_missing_secret_is_named_and_the_pod_is_not() {
        let (reason, message) =
            said(&waiting("CreateContainerConfigError", "secret \"bot\" not found for gw-0_a(u-1)"));
        assert_eq!(reason, Reason::ContainerConfigFailed);
        assert_eq!(message, "container gateway can't be created: secret \"bot\" not found for …_a(…)");
    }

    #[test]
    fn a_first_restart_is_no_loop_and_a_ready_pod_has_no_problem() {
        let once = json!({"containerStatuses": [{
            "name": "gateway", "image": "i", "imageID": "", "ready": false, "restartCount": 1,
            "state": {"running": {}}, "lastState": {"terminated": {"exitCode": 1}}
        }]});
        assert_eq!(pod(&once).problem, None);
        let mut ready = waiting("ErrImagePull", "");
        ready["conditions"] = json!([{"type": "Ready", "status": "True"}]);
        assert_eq!(pod(&ready).problem, None);
    }

    #[test]
    fn an_unschedulable_pod_says_what_the_scheduler_said() {
        let status = json!({"conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available"}
        ]});
        let expected = "no node takes the gateway's Pod: 0/1 nodes are available";
        assert_eq!(said(&status), (Reason::Unschedulable, expected.to_owned()));
    }

    #[test]
    fn a_claim_that_is_not_bound_is_named() {
        let said = |message: &str| {
            let claim = |name: &str| json!({"name": name, "persistentVolumeClaim": {"claimName": name}});
            let pod = json!({
                "metadata": {}, "spec": {"containers": [], "volumes": [claim("acme-state"), claim("models")]},
                "status": {"conditions": [{"type": "PodScheduled", "status": "False", "message": message}]}
            });
            GatewayPod::of(&serde_json::from_value(pod).unwrap()).problem.unwrap().message
        };
        let unbound = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.";
        assert_eq!(
            said(unbound),
            format!("no node takes the gateway's Pod: {unbound} (PersistentVolumeClaim acme-state, models)")
        );
        for named in [
            "persistentvolumeclaim \"acme-state\" not found",
            "persistentvolumeclaim \"models\" not found",
            "1 Insufficient memory",
        ] {
            assert_eq!(said(named), format!("no node takes the gateway's Pod: {named}"));
        }
    }
}
