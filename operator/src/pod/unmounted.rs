//! Observation stage, pure: a Pod that has a node, and whose containers can't be created: its volumes are not mounted, or it
//! has no network. kubelet says which in events only, which the operator does not read.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kr8tiv_crds::status::Reason;

use super::{GatewayPod, Problem, whose};

/// Volumes take some seconds to be mounted; what takes longer is told.
const PATIENCE: Duration = Duration::from_mins(1);

/// Why a Pod has no containers, and since when.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unmounted {
    since: Timestamp,
    problem: Problem,
}

impl Unmounted {
    /// Of a Pod that waits for its volumes. One that has come to its end waits for nothing.
    pub(super) fn of(pod: &Pod) -> Option<Self> {
        let (spec, status) = (pod.spec.as_ref()?, pod.status.as_ref()?);
        let mut conditions = status.conditions.iter().flatten();
        let waiting =
            conditions.find(|it| it.type_ == "PodReadyToStartContainers" && it.status == "False")?;
        let has_ended = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
        if spec.node_name.is_none() || has_ended {
            return None;
        }
        let since = waiting.last_transition_time.as_ref()?.0;
        let claims = in_brackets(&claims(pod));
        let message = format!(
            "the {}'s Pod has had a node for more than a minute, and no containers: a volume{claims} is not mounted, or \
             there is no network for it; kubectl describe pod shows its events, which say more",
            whose(pod)
        );
        Some(Self { since, problem: Problem { reason: Reason::ContainerConfigFailed, message } })
    }
}

/// The claims whose volumes a Pod has: the tenant's, and those that it brings itself.
pub(super) fn claims(pod: &Pod) -> Vec<&str> {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    let claims = volumes.filter_map(|volume| volume.persistent_volume_claim.as_ref());
    claims.map(|claim| claim.claim_name.as_str()).collect()
}

/// Claims as an addition to a message.
pub(super) fn in_brackets(claims: &[&str]) -> String {
    if claims.is_empty() { String::new() } else { format!(" (PersistentVolumeClaim {})", claims.join(", ")) }
}

/// A Pod as it is at this time, and when to look at it again: time alone makes a problem of waiting.
pub fn at(pod: Arc<GatewayPod>, now: Timestamp) -> (Arc<GatewayPod>, Option<Duration>) {
    let Some(Unmounted { since, problem }) = pod.unmounted.as_ref().filter(|_| !pod.deleting) else {
        return (pod, None);
    };
    let waited = Duration::try_from(now.duration_since(*since)).unwrap_or_default();
    let rest = PATIENCE.saturating_sub(waited);
    if rest.is_zero() {
        let problem = Some(problem.clone());
        return (Arc::new(GatewayPod { problem, ..GatewayPod::clone(&pod) }), None);
    }
    (pod, Some(rest))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A Pod that has had a node since the first second of this hour.
    fn pod(change: impl FnOnce(&mut Value)) -> Arc<GatewayPod> {
        let mut object = json!({
            "metadata": {"namespace": "acme", "name": "acme-gateway-0"},
            "spec": {"nodeName": "node", "containers": [], "volumes": [
                {"name": "tmp", "emptyDir": {}},
                {"name": "state", "persistentVolumeClaim": {"claimName": "acme-0a1b2c3d-state"}},
            ]},
            "status": {
                "phase": "Pending",
                "conditions": [
                    {"type": "PodReadyToStartContainers", "status": "False", "lastTransitionTime": "2026-01-01T00:00:00Z"},
                    {"type": "PodScheduled", "status": "True"},
                ],
                "containerStatuses": [{
                    "name": "gateway", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
                    "state": {"waiting": {"reason": "PodInitializing"}}
                }]
            }
        });
        change(&mut object);
        Arc::new(GatewayPod::of(&serde_json::from_value(object).unwrap()))
    }

    fn after(pod: Arc<GatewayPod>, seconds: i64) -> (Option<Problem>, Option<Duration>) {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let now = Timestamp::from_second(start.as_second() + seconds).unwrap();
        let (pod, again) = at(pod, now);
        (pod.problem.clone(), again)
    }

    #[test]
    fn a_volume_that_is_not_mounted_is_told_by_its_claim_after_a_minute() {
        assert_eq!(after(pod(|_| ()), 0), (None, Some(PATIENCE)));
        assert_eq!(after(pod(|_| ()), 59), (None, Some(Duration::from_secs(1))));
        let expected = Problem {
            reason: Reason::ContainerConfigFailed,
            message: "the gateway's Pod has had a node for more than a minute, and no containers: a volume \
                      (PersistentVolumeClaim acme-0a1b2c3d-state) is not mounted, or there is no network for it; \
                      kubectl describe pod shows its events, which say more"
                .into(),
        };
        assert_eq!(after(pod(|_| ()), 60), (Some(expected.clone()), None));
        assert_eq!(after(pod(|_| ()), 3600), (Some(expected), None), "and it reads the same from then on");
    }

    #[test]
    fn what_does_not_wait_for_volumes_is_left_alone() {
        let others: [fn(&mut Value); 5] = [
            |pod| pod["status"]["conditions"][0]["status"] = json!("True"),
            |pod| pod["status"]["phase"] = json!("Failed"),
            |pod| pod["spec"]["nodeName"] = Value::Null,
            |pod| pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z"),
            |pod| pod["status"]["conditions"][0]["lastTransitionTime"] = Value::Null,
        ];
        for (case, change) in others.into_iter().enumerate() {
            assert_eq!(after(pod(change), 3600), (None, None), "{case}");
        }
        let known = after(
            pod(|pod| {
                pod["status"]["containerStatuses"][0]["state"]["waiting"] =
                    json!({"reason": "ErrImagePull", "message": "not found"});
            }),
            3600,
        );
        assert_eq!(known.0.unwrap().reason, Reason::ImagePullFailed, "kubelet's own words come first");
    }
}
