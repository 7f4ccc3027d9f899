//! I/O: probes the sandboxes for ever, each by itself, and publishes how they are.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;

use futures::future::join_all;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::cli::Sandboxes;
use crate::metrics::Metrics;
use crate::sandbox::reason::SandboxReason;
use crate::sandbox::ssh::attempt;
use crate::sandbox::target::Target;
use crate::status::SandboxStatus;

/// Probes for ever; with no sandbox, it only waits.
pub async fn watch(
    options: &Sandboxes,
    metrics: &Arc<Metrics>,
    publish: &watch::Sender<Vec<SandboxStatus>>,
) -> Infallible {
    join_all(options.sandbox.iter().map(|target| probe(target, options, metrics, publish))).await;
    pending().await
}

async fn probe(
    target: &Target,
    options: &Sandboxes,
    metrics: &Metrics,
    publish: &watch::Sender<Vec<SandboxStatus>>,
) -> Infallible {
    let name = &target.name;
    let mut before = None;
    loop {
        let reason = attempt(target, options.sandbox_timeout).await.reason();
        metrics.set_sandbox(name, reason == SandboxReason::Ok);
        if before.replace(reason) != Some(reason) {
            let text = reason.as_str();
            if reason == SandboxReason::Ok {
                tracing::info!(sandbox = name, "commands run in the sandbox");
            } else {
                tracing::warn!(sandbox = name, reason = text, "no command runs in the sandbox");
            }
            publish.send_modify(|statuses| record(statuses, name, reason));
        }
        let failing = reason != SandboxReason::Ok;
        let pause = if failing { options.sandbox_interval_failing } else { options.sandbox_interval };
        sleep(pause).await;
    }
}

/// In the order of names, whoever was probed first.
fn record(statuses: &mut Vec<SandboxStatus>, name: &str, reason: SandboxReason) {
    match statuses.binary_search_by(|status| status.name.as_str().cmp(name)) {
        Ok(there) => statuses[there].reason = reason,
        Err(place) => statuses.insert(place, SandboxStatus { name: name.to_owned(), reason }),
    }
}
