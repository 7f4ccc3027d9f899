//! Observation stage, pure: whether a container ends again and again, and what it said last.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, ContainerStatus};
use k8s_openapi::jiff::SignedDuration;
use kr8tiv_crds::status::Reason;

use super::{GATEWAY, Problem};
use crate::last_words::last_words;

/// From the second end on a container that isn't ready is in a loop: the first may be a start that lost a race.
const LOOP_RESTARTS: i32 = 2;

/// kubelet starts its back-off anew for a container that ran for this long.
const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// Exit codes of SIGINT, SIGKILL and SIGTERM, by which others end a container. What it said before is no reason for it.
const ENDED_BY_OTHERS: [i32; 3] = [130, 137, 143];

/// OpenClaw's exit code for a configuration or a state that it does not start with.
const REFUSED: i32 = 78;

/// Between two ends a container runs or waits; the loop is the same problem throughout, up to a start that succeeds: a gateway
/// that froze after it is not one that ends. `limit` is of messages, in bytes.
pub(super) fn crash_loop(container: &ContainerStatus, waiting_reason: &str, limit: usize) -> Option<Problem> {
    let ended = |state: Option<&ContainerState>| {
        state.and_then(|state| state.terminated.clone()).filter(|terminated| terminated.exit_code != 0)
    };
    let last = ended(container.state.as_ref()).or_else(|| ended(container.last_state.as_ref()));
    // Containers without a startup probe count as started at once.
    let has_started = container.name == GATEWAY && container.started == Some(true);
    let looping = waiting_reason == "CrashLoopBackOff"
        || (!container.ready
            && !has_started
            && container.restart_count >= LOOP_RESTARTS
            && last.as_ref().is_some_and(|last| !ran_long(last)));
    if !looping {
        return None;
    }
    let (end, words) = match last {
        None => (String::new(), None),
        Some(last) if last.reason.as_deref() == Some("OOMKilled") => {
            let words = "it takes more memory than its limit".to_owned();
            (format!(" with exit code {} (OOMKilled)", last.exit_code), Some(words))
        }
        Some(last) => {
            let code = last.exit_code;
            let reason = match code {
                REFUSED if container.name == GATEWAY => {
                    "the gateway refuses its configuration or its state".to_owned()
                }
                _ => last.reason.unwrap_or_else(|| "Error".into()),
            };
            let message = last.message.filter(|_| !ENDED_BY_OTHERS.contains(&code));
            let words = message.as_deref().and_then(|message| last_words(message, limit));
            (format!(" with exit code {code} ({reason})"), words)
        }
    };
    let words = words.unwrap_or_else(|| "its log says why".into());
    let message = format!("container {} ends again and again{end}: {words}", container.name);
    Some(Problem { reason: Reason::CrashLoop, message })
}

/// Whether a container ran for so long that kubelet forgets its earlier ends.
fn ran_long(end: &ContainerStateTerminated) -> bool {
    let (Some(started), Some(finished)) = (&end.started_at, &end.finished_at) else { return false };
    finished.0.duration_since(started.0) >= FORGOTTEN_AFTER
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::pod::GatewayPod;

    fn problem(status: &Value) -> Option<String> {
        let pod =
            json!({"metadata": {"name": "gw-0", "uid": "u-1"}, "spec": {"containers": []}, "status": status});
        GatewayPod::of(&serde_json::from_value(pod).unwrap()).problem.map(|problem| problem.message)
    }

    fn container(name: &str, ready: bool, restarts: i32, state: &Value, last: &Value) -> Value {
        json!({
            "name": name, "image": "i", "imageID": "", "ready": ready, "restartCount": restarts, "state": state,
            "lastState": {"terminated": last}
        })
    }

    #[test]
    fn what_takes_too_much_memory_is_told_so() {
        let end = json!({"exitCode": 137, "reason": "OOMKilled", "message": "all is well\n"});
        let gateway = container("gateway", false, 3, &json!({"running": {}}), &end);
        let expected = "container gateway ends again and again with exit code 137 (OOMKilled): it takes more memory than its \
                        limit";
        assert_eq!(said(&json!({"containerStatuses": [gateway]})), expected);
    }

    #[test]
    fn an_init_container_that_ends_again_and_again_is_named_until_it_has_ended_well() {
        let end = json!({"exitCode": 1, "reason": "Error", "message": "no space left\n"});
        let waits = json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 20s"}});
        let gateway =
            container("gateway", false, 0, &json!({"waiting": {"reason": "PodInitializing"}}), &json!(null));
        let told = |seed: Value| {
            problem(&json!({"initContainerStatuses": [seed], "containerStatuses": [gateway.clone()]}))
        };
        let expected = "container seed ends again and again with exit code 1 (Error): no space left";
        assert_eq!(told(container("seed", false, 2, &waits, &end)).as_deref(), Some(expected));
        assert_eq!(
            told(container("seed", false, 2, &json!({"running": {}}), &end)).as_deref(),
            Some(expected)
        );
        let well = json!({"terminated": {"exitCode": 0, "reason": "Completed"}});
        assert_eq!(told(container("seed", true, 2, &well, &end)), None);
    }

    fn said(status: &Value) -> String {
        problem(status).unwrap()
    }

    /// A gateway that ended four times, the last time so.
    fn looping(state: &Value, end: &Value) -> Value {
        json!({"containerStatuses": [container("gateway", false, 4, state, end)]})
    }

    #[test]
    fn a_crash_loop_reads_the_same_while_it_waits_and_while_it_runs() {
        let end = json!({"exitCode": 1, "reason": "Error"});
        let back_off = "back-off 5m0s restarting failed container=gateway pod=gw-0_a(u-1)";
        let waiting = json!({"waiting": {"reason": "CrashLoopBackOff", "message": back_off}});
        let waits = said(&looping(&waiting, &end));
        assert_eq!(waits, said(&looping(&json!({"running": {}}), &end)));
        assert_eq!(
            waits,
            "container gateway ends again and again with exit code 1 (Error): its log says why"
        );
    }

    #[test]
    fn a_gateway_that_has_started_is_in_no_loop_whatever_keeps_it_from_being_ready() {
        let end = json!({"exitCode": 137, "reason": "Error"});
        let mut status = looping(&json!({"running": {}}), &end);
        for (started, looping) in [(false, true), (true, false)] {
            status["containerStatuses"][0]["started"] = json!(started);
            assert_eq!(problem(&status).is_some(), looping, "started: {started}");
        }
        status["containerStatuses"][0]["name"] = json!("watchdog");
        assert!(problem(&status).is_some(), "one without a startup probe");
    }

    #[test]
    fn one_end_after_a_long_run_is_no_loop_and_a_signals_last_words_are_no_reason() {
        let with = |finished: &str, code: i32| {
            let end = json!({
                "exitCode": code, "reason": "Error", "message": "all is well\n",
                "startedAt": "2026-11-25T12:00:00Z", "finishedAt": finished
            });
            looping(&json!({"running": {}}), &end)
        };
        assert_eq!(problem(&with("2026-11-25T12:10:00Z", 1)), None);
        for (code, words) in [
            (130, "its log says why"),
            (137, "its log says why"),
            (143, "its log says why"),
            (128, "all is well"),
            (134, "all is well"),
        ] {
            let message = said(&with("2026-11-25T12:09:59Z", code));
            let expected =
                format!("container gateway ends again and again with exit code {code} (Error): {words}");
            assert_eq!(message, expected);
        }
    }

    #[test]
    fn a_crash_loop_says_what_the_gateway_said_last_and_no_secret() {
        let end = json!({
            "exitCode": 78, "reason": "Error",
            "message": "starting\n2026-11-25T20:06:05Z gateway.auth.token: sk-0123456789 is no reference\n"
        });
        let message = said(&looping(&json!({"running": {}}), &end));
        assert_eq!(
            message,
            "container gateway ends again and again with exit code 78 (the gateway refuses its configuration or its \
             state): starting gateway.auth.token: [redacted] is no reference"
        );
    }
}
