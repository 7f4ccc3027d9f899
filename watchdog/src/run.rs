//! I/O: the sidecar. Delivers at the start, at every change of the mounts, and at every resync.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinError;
use tokio::time::Instant;

use crate::cli::{Paths, Run};
use crate::deliver::Deliverer;
use crate::http::{self, Snapshot};
use crate::status::{Outcome, Report, Status};
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
    let Run { paths, resync, listen } = options;
    let listen_error = |source| RunError::Listen { address: listen, source };
    let listener = TcpListener::bind(listen).await.map_err(listen_error)?;
    let address = listener.local_addr().map_err(listen_error)?;
    tracing::info!(%address, "listening");

    let snapshot = Snapshot { status: Status::default(), alive_until: Instant::now() + PASS_BUDGET };
    let (sender, receiver) = watch::channel(snapshot);
    tokio::select! {
        died = deliver_for_ever(paths, resync, &sender) => Err(died.into()),
        never = http::serve(listener, receiver) => match never {},
    }
}

async fn deliver_for_ever(paths: Paths, resync: Duration, snapshots: &watch::Sender<Snapshot>) -> JoinError {
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
        snapshots.send_modify(|snapshot| {
            snapshot.status.record(report);
            snapshot.alive_until = Instant::now() + pause + PASS_BUDGET;
        });
        // Whichever comes first; a change is looked at even in the pause after a failure.
        let _ = tokio::time::timeout(pause, watcher.changed()).await;
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
