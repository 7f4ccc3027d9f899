//! I/O: the sidecar. Delivers at the start, at every change of the mounts, at every resync, and when the gateway missed
//! its configuration; watches the gateway and probes the sandboxes meanwhile.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinError;
use tokio::time::Instant;

use crate::cli::{Paths, Run};
use crate::clock::Clock;
use crate::deliver::Deliverer;
use crate::environment::{self, STATUS_TOKEN};
use crate::gateway_status::GatewayStatus;
use crate::guard::Guard;
use crate::http::{self, Snapshot, Sources};
use crate::metrics::Metrics;
use crate::sandbox;
use crate::status::{Outcome, Report, Status};
use crate::supervise::Supervisor;
use crate::watch::Watcher;

/// The longest a pass may take before the loop counts as stalled: a volume that hangs, not one that is slow.
const PASS_BUDGET: Duration = Duration::from_mins(1);
/// First pause after a failed pass; doubles up to the resync.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// Why the sidecar ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The address cannot be had.
    #[error("cannot listen on {address}: {source}; choose another with --listen")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// A pass panicked: a bug. The process ends so that kubelet starts it anew.
    #[error("a delivery pass died: {0}")]
    PassDied(#[from] JoinError),
}

/// Runs until it is dropped or dies.
pub async fn run(options: Run) -> Result<(), RunError> {
    let Run { paths, resync, listen, gateway, sandboxes } = options;
    let listen_error = |source| RunError::Listen { address: listen, source };
    let listener = TcpListener::bind(listen).await.map_err(listen_error)?;
    let address = listener.local_addr().map_err(listen_error)?;
    tracing::info!(%address, "listening");
    let status_token = environment::secret(STATUS_TOKEN);
    if status_token.is_none() {
        tracing::warn!("{STATUS_TOKEN} is not set: everybody who reaches the port may read /status");
    }

    let clock = Clock::start();
    let metrics = Arc::new(Metrics::default());
    let write_config_again = Arc::new(Notify::new());
    let snapshot = Snapshot { status: Status::default(), alive_until: Instant::now() + PASS_BUDGET };
    let (snapshots, snapshots_seen) = watch::channel(snapshot);
    let (status, status_seen) = watch::channel(GatewayStatus::unknown(clock.rfc3339(clock.now())));
    let (sandbox_statuses, sandboxes_seen) = watch::channel(Vec::new());
    let probing = sandbox::watch::watch(&sandboxes, clock, &metrics, &sandbox_statuses);
    let supervisor = Supervisor::new(
        clock,
        &paths,
        gateway,
        Arc::clone(&metrics),
        status,
        snapshots_seen.clone(),
        Arc::clone(&write_config_again),
    );
    let sources = Sources {
        snapshots: snapshots_seen,
        gateway: status_seen,
        sandboxes: sandboxes_seen,
        metrics: Arc::clone(&metrics),
        guard: Arc::new(Guard::new(status_token)),
        clock,
    };
    let delivery = Delivery { paths, resync, clock, metrics: Arc::clone(&metrics), write_config_again };
    tokio::select! {
        died = delivery.deliver_for_ever(&snapshots) => Err(died.into()),
        never = http::serve(listener, sources) => match never {},
        never = supervisor.run() => match never {},
        never = probing => match never {},
    }
}

/// What the delivery loop needs.
struct Delivery {
    paths: Paths,
    resync: Duration,
    clock: Clock,
    metrics: Arc<Metrics>,
    write_config_again: Arc<Notify>,
}

impl Delivery {
    async fn deliver_for_ever(self, snapshots: &watch::Sender<Snapshot>) -> JoinError {
        let Self { paths, resync, clock, metrics, write_config_again } = self;
        let mut watcher = Watcher::new(&paths.bundle);
        let mut deliverer = Deliverer::new(paths);
        let mut retry = FIRST_RETRY;
        loop {
            watcher.arm();
            let report = match pass(deliverer).await {
                Ok((back, report)) => {
                    deliverer = back;
                    report
                }
                Err(died) => return died,
            };
            let pause = if matches!(report.outcome, Outcome::Failed { .. }) {
                let pause = retry.min(resync);
                retry = retry.saturating_mul(2).min(resync);
                pause
            } else {
                retry = FIRST_RETRY;
                resync
            };
            metrics.count_restored(report.restored.count());
            snapshots.send_modify(|snapshot| {
                snapshot.status.record(report, clock.now());
                snapshot.alive_until = Instant::now() + pause + PASS_BUDGET;
            });
            // Whichever comes first; a change is looked at even in the pause after a failure.
            tokio::select! {
                _ = tokio::time::timeout(pause, watcher.changed()) => {}
                () = write_config_again.notified() => deliverer.write_config_again(),
            }
        }
    }
}

/// One pass on a thread of its own: a volume that hangs must not keep HTTP from saying so.
pub(crate) async fn pass(mut deliverer: Deliverer) -> Result<(Deliverer, Report), JoinError> {
    tokio::task::spawn_blocking(move || {
        let report = deliverer.pass();
        (deliverer, report)
    })
    .await
}
