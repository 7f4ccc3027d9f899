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

/// Between two ends a container runs or waits; the loop is the same problem throughout. `limit` is of messages, in bytes.
pub(super) fn crash_loop(container: &ContainerStatus, waiting_reason: &str, limit: usize) -> Option<Problem> {
    let ended = |state: Option<&ContainerState>| {
        state.and_then(|state| state.terminated.clone()).filter(|terminated| terminated.exit_code != 0)
    };
    let last = ended(container.state.as_ref()).or_else(|| ended(container.last_state.as_ref()));
    let looping = waiting_reason == "CrashLoopBackOff"
        || (!container.ready
            && container.restart_count >= LOOP_RESTARTS
            && last.as_ref().is_some_and(|last| !ran_long(last)));
    if !looping {
        return None;
    }
    let (end, words) = match last {
        None => (String::new(), None),
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
