//! I/O: the init container. Delivers once, or says why it could not.

use std::time::Duration;

use tokio::task::JoinError;
use tokio::time::{Instant, timeout_at};

use crate::bundle::Pending;
use crate::cli::Seed;
use crate::deliver::Deliverer;
use crate::install::{self, InstallError};
use crate::run;
use crate::status::{Outcome, Report};
use crate::watch::Watcher;

/// How soon a failed pass is tried again; a change of the mounts is tried at once.
const RETRY: Duration = Duration::from_secs(1);

/// Why nothing was delivered.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// The mounts did not become coherent.
    #[error("no complete bundle within {within}: {reasons}", within = humantime::format_duration(*deadline))]
    NotComplete {
        /// How long it waited.
        deadline: Duration,
        /// What was missing or different at the end.
        reasons: String,
    },
    /// The operating system refused something until the end.
    #[error("bundle not delivered within {within}: {error}", within = humantime::format_duration(*deadline))]
    NotDelivered {
        /// How long it tried.
        deadline: Duration,
        /// The last error, with its path.
        error: String,
    },
    /// A pass did not come back: a volume that hangs.
    #[error("a delivery pass did not end within {within}", within = humantime::format_duration(*deadline))]
    Stalled {
        /// How long it waited.
        deadline: Duration,
    },
    /// A pass panicked: a bug.
    #[error("a delivery pass died: {0}")]
    PassDied(#[from] JoinError),
    /// The program could not be copied.
    #[error(transparent)]
    NotInstalled(#[from] InstallError),
}

/// Delivers once.
pub async fn seed(options: Seed) -> Result<(), SeedError> {
    let Seed { paths, deadline, install } = options;
    if let Some(folder) = install {
        install::install(&folder)?;
    }
    let end = Instant::now() + deadline;
    let mut watcher = Watcher::new(&paths.bundle);
    let mut deliverer = Deliverer::new(paths);
    // What the next pass that does not come back in time would otherwise hide.
    let mut last = None;
    loop {
        watcher.arm();
        let Ok(passed) = timeout_at(end, run::pass(deliverer)).await else {
            return Err(last.unwrap_or(SeedError::Stalled { deadline }));
        };
        let (back, Report { outcome, restored: _ }) = passed?;
        deliverer = back;
        let (error, next) = match outcome {
            Outcome::Delivered(_) => return Ok(()),
            Outcome::Pending(Pending { bundle_hash: _, reasons }) => {
                (SeedError::NotComplete { deadline, reasons: reasons.join("; ") }, end)
            }
            Outcome::Failed { bundle_hash: _, error } => {
                (SeedError::NotDelivered { deadline, error }, Instant::now() + RETRY)
            }
        };
        let changed = timeout_at(next.min(end), watcher.changed()).await.is_ok();
        if !changed && next >= end {
            return Err(error);
        }
        last = Some(error);
    }
}
