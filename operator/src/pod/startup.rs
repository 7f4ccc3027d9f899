//! Observation stage, pure: a container that kubelet has ended because it did not start in the time that its startup probe
//! gives it. kubelet says so in events only.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod, Probe};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kr8tiv_crds::status::Reason;

use super::Problem;

/// What is told of a container that its startup probe has ended last. One that ran for as long as the probe waits, in a Pod
/// that has not been ready since before, can't have been ended for anything else. A restart is enough: a probe that waits for
/// long has been patient. Init containers don't make a Pod ready, and are not judged so.
pub(super) fn failed_startup(pod: &Pod, container: &ContainerStatus) -> Option<Problem> {
    let mut containers = pod.spec.as_ref()?.containers.iter();
    let spec = containers.find(|spec| spec.name == container.name)?;
    let patience = patience(spec.startup_probe.as_ref()?);
    let ended = |state: Option<&ContainerState>| state.and_then(|state| state.terminated.clone());
    let end = ended(container.state.as_ref()).or_else(|| ended(container.last_state.as_ref()))?;
    let (began, ended) = (end.started_at?.0, end.finished_at?.0);
    let was_given_up = container.started != Some(true)
        && end.reason.as_deref() != Some("OOMKilled")
        && ended.duration_since(began) >= patience
        && not_ready_since(pod)? <= began;
    was_given_up.then(|| Problem {
        reason: Reason::CrashLoop,
        message: format!(
            "container {} was ended before it served, with exit code {}: its startup probe failed; its log says why",
            container.name, end.exit_code
        ),
    })
}

/// How long a probe waits at least.
fn patience(probe: &Probe) -> SignedDuration {
    let or = |value: Option<i32>, default: i32| i64::from(value.unwrap_or(default));
    let pauses = or(probe.failure_threshold, 3) - 1;
    SignedDuration::from_secs(or(probe.initial_delay_seconds, 0) + pauses * or(probe.period_seconds, 10))
}

fn not_ready_since(pod: &Pod) -> Option<Timestamp> {
    let mut conditions = pod.status.as_ref()?.conditions.iter().flatten();
    let ready = conditions.find(|condition| condition.type_ == "Ready" && condition.status == "False")?;
    ready.last_transition_time.as_ref().map(|since| since.0)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::pod::GatewayPod;

    /// A gateway that was ended after ten minutes without an answer, and runs again.
    fn problem(change: impl FnOnce(&mut Value)) -> Option<String> {
        let mut pod = json!({
            "metadata": {"name": "gw-0"},
            "spec": {"nodeName": "node", "containers": [{
                "name": "gateway", "startupProbe": {"periodSeconds": 5, "failureThreshold": 120}
            }]},
            "status": {
                "conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": "2026-01-01T00:00:00Z"}],
                "containerStatuses": [{
                    "name": "gateway", "image": "i", "imageID": "", "ready": false, "started": false,
                    "restartCount": 1, "state": {"running": {"startedAt": "2026-01-01T00:10:31Z"}},
                    "lastState": {"terminated": {
                        "exitCode": 137, "reason": "Error",
                        "startedAt": "2026-01-01T00:00:05Z", "finishedAt": "2026-01-01T00:10:30Z"
                    }}
                }]
            }
        });
        change(&mut pod);
        GatewayPod::of(&serde_json::from_value(pod).unwrap()).problem.map(|problem| problem.message)
    }

    fn container(pod: &mut Value) -> &mut Value {
        &mut pod["status"]["containerStatuses"][0]
    }

    #[test]
    fn a_gateway_that_never_starts_is_told_from_its_first_end_on() {
        let expected = "container gateway was ended before it served, with exit code 137: its startup probe failed; its log says why";
        assert_eq!(problem(|_| ()).as_deref(), Some(expected));
        let waits = problem(|pod| {
            let back_off = json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}});
            container(pod)["state"] = back_off;
            container(pod)["restartCount"] = json!(7);
        });
        assert_eq!(waits.as_deref(), Some(expected), "while it waits, too");
        let just_ended = problem(|pod| {
            container(pod)["state"] = container(pod)["lastState"].take();
        });
        assert_eq!(just_ended.as_deref(), Some(expected));
    }

    #[test]
    fn other_ends_are_not_the_startup_probes() {
        type Change = fn(&mut Value);
        let others: [(&str, Change); 6] = [
            ("it ran for less", |pod| {
                container(pod)["lastState"]["terminated"]["finishedAt"] = json!("2026-01-01T00:09:50Z");
            }),
            ("it was ready", |pod| {
                pod["status"]["conditions"][0]["lastTransitionTime"] = json!("2026-01-01T00:10:20Z");
            }),
            ("it took too much memory", |pod| {
                container(pod)["lastState"]["terminated"]["reason"] = json!("OOMKilled");
            }),
            ("it has started this time", |pod| container(pod)["started"] = json!(true)),
            ("its image can't be had any more", |pod| {
                container(pod)["state"] =
                    json!({"waiting": {"reason": "ErrImagePull", "message": "not found"}});
            }),
            ("it has no such probe", |pod| {
                pod["spec"]["containers"][0].as_object_mut().unwrap().remove("startupProbe");
            }),
        ];
        for (case, change) in others {
            let told = problem(change).filter(|told| told.contains("startup probe"));
            assert_eq!(told, None, "{case}");
        }
    }
}
