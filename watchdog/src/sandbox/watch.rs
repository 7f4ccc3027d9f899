//! I/O: probes the sandboxes for ever, each by itself, and publishes how they are.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::cli::Sandboxes;
use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::sandbox::reason::SandboxReason;
use crate::sandbox::ssh::{Files, attempt};
use crate::sandbox::target::Target;
use crate::status::SandboxStatus;

/// Between two looks whether the keys are others. Their mounts are read, and not watched: the instances of inotify are
/// limited per user and node.
const LOOK: Duration = Duration::from_secs(2);

/// Probes for ever; with no sandbox, it only waits.
pub async fn watch(
    options: &Sandboxes,
    clock: Clock,
    metrics: &Arc<Metrics>,
    publish: &watch::Sender<Vec<SandboxStatus>>,
) -> Infallible {
    join_all(options.sandbox.iter().map(|target| probe(target, options, clock, metrics, publish))).await;
    pending().await
}

async fn probe(
    target: &Target,
    options: &Sandboxes,
    clock: Clock,
    metrics: &Metrics,
    publish: &watch::Sender<Vec<SandboxStatus>>,
) -> Infallible {
    let name = &target.name;
    let mut before = None;
    loop {
        let files = Files::read(target).await;
        let (keys, at) = (files.mark(), clock.now());
        let reason = attempt(target, files, options.sandbox_timeout).await.reason();
        metrics.set_sandbox(name, reason == SandboxReason::Ok);
        if before.replace(reason) != Some(reason) {
            let text = reason.as_str();
            if reason == SandboxReason::Ok {
                tracing::info!(sandbox = name, "commands run in the sandbox");
            } else {
                tracing::warn!(sandbox = name, reason = text, "no command runs in the sandbox");
            }
        }
        let status = SandboxStatus { name: name.clone(), reason, keys: keys.clone(), at };
        publish.send_modify(|statuses| record(statuses, status));
        let failing = reason != SandboxReason::Ok;
        let pause = if failing { options.sandbox_interval_failing } else { options.sandbox_interval };
        wait(pause, target, keys.as_ref()).await;
    }
}

/// Waits, and not longer than the keys stay the same: what was found out with others says nothing any more.
async fn wait(pause: Duration, target: &Target, keys: Option<&String>) {
    let end = Instant::now() + pause;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        sleep(left.min(LOOK)).await;
        if Files::read(target).await.mark().as_ref() != keys {
            return;
        }
    }
}

/// In the order of names, whoever was probed first.
fn record(statuses: &mut Vec<SandboxStatus>, status: SandboxStatus) {
    match statuses.binary_search_by(|other| other.name.cmp(&status.name)) {
        Ok(there) => statuses[there] = status,
        Err(place) => statuses.insert(place, status),
    }
}
