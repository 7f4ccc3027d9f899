//! Plan and apply stages, pure: why a pass ended before the cluster holds the plan.

use std::time::Duration;

use kr8tiv_crds::status::Reason;

use crate::backoff::Pace;
use crate::memory;
use crate::results::{Compiled, Failure, Progress};
use crate::secrets;
use crate::tenant::apply;

/// Why a pass ended before the cluster holds the plan. Whatever ran before runs on.
#[derive(Debug)]
pub struct Stop {
    /// Whether it compiled.
    pub compiled: Result<Compiled, Failure>,
    /// Why it ended, by the closed list.
    pub reason: Reason,
    /// Why it ended, and what to do.
    pub message: String,
    /// Whether it can go on by itself.
    pub progress: Progress,
    /// When it is tried again.
    pub retry: Retry,
}

/// When a pass is tried again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Retry {
    /// When an object changes that it depends on: the watches bring that.
    OnChange,
    /// After this time.
    After(Duration),
    /// The longer, the more often it has failed.
    Paced(Pace),
}

impl Stop {
    /// A Secret is not as it must be.
    pub fn by_secret(compiled: Compiled, error: &secrets::Error) -> Self {
        let (reason, progress, retry) = verdict(error);
        Self { compiled: Ok(compiled), reason, message: error.to_string(), progress, retry }
    }

    /// An object could not be applied.
    pub fn by_object(compiled: Compiled, error: &apply::Error) -> Self {
        let (reason, progress, retry) = match error {
            apply::Error::Taken { .. } => (Reason::Conflict, Progress::Stalled, Retry::Paced(Pace::Missing)),
            apply::Error::Leaving { .. } => {
                (Reason::Starting, Progress::Reconciling, Retry::Paced(Pace::Missing))
            }
            apply::Error::Api { source, .. } => refusal(source),
        };
        Self { compiled: Ok(compiled), reason, message: error.to_string(), progress, retry }
    }

    /// The context that the agents have could not be read.
    pub fn by_memory(compiled: Compiled, error: &memory::Error) -> Self {
        let (reason, progress, retry) = refusal(&error.source);
        Self { compiled: Ok(compiled), reason, message: error.to_string(), progress, retry }
    }

    /// The gateway of an earlier Tenant still runs on the volume.
    pub fn by_predecessor(compiled: Compiled, pod: &str) -> Self {
        Self {
            compiled: Ok(compiled),
            reason: Reason::Starting,
            message: format!(
                "Pod {pod} of an earlier Tenant still has the volume of this tenant id; the gateway starts when it is gone"
            ),
            progress: Progress::Reconciling,
            // The Pod belongs to another Tenant: its end wakes that one.
            retry: Retry::Paced(Pace::Missing),
        }
    }

    /// Whether it is most likely over in a moment, so that a status would only flicker.
    pub fn is_transient(&self) -> bool {
        self.retry == Retry::Paced(Pace::Transient)
    }
}

/// What it means that a Secret is not as it must be.
pub fn verdict(error: &secrets::Error) -> (Reason, Progress, Retry) {
    match error {
        secrets::Error::Missing { retry, .. } => {
            (Reason::SecretNotFound, Progress::Reconciling, Retry::After(*retry))
        }
        secrets::Error::Taken { .. } | secrets::Error::KeysTaken { .. } => {
            (Reason::Conflict, Progress::Stalled, Retry::Paced(Pace::Missing))
        }
        secrets::Error::Leaving { .. } => {
            (Reason::Starting, Progress::Reconciling, Retry::Paced(Pace::Missing))
        }
        secrets::Error::Api { source, .. } => refusal(source),
        secrets::Error::Randomness(_) | secrets::Error::Keys(_) => {
            (Reason::ApplyFailed, Progress::Reconciling, Retry::Paced(Pace::Transient))
        }
    }
}

fn refusal(error: &kube::Error) -> (Reason, Progress, Retry) {
    let pace = pace_of(error);
    let progress = if pace == Pace::Refused { Progress::Stalled } else { Progress::Reconciling };
    (Reason::ApplyFailed, progress, Retry::Paced(pace))
}

/// Whether a request is worth repeating soon.
pub fn pace_of(error: &kube::Error) -> Pace {
    match error {
        // An API server that does not know a field answers 500: that stays so until it is upgraded.
        kube::Error::Api(status) if status.message.contains("field not declared in schema") => Pace::Refused,
        // A conflict with another writer is over when it has written.
        kube::Error::Api(status) if matches!(status.code, 408 | 409 | 429 | 500..) => Pace::Transient,
        kube::Error::Api(_) => Pace::Refused,
        _ => Pace::Transient,
    }
}
