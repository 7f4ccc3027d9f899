//! Drives the passes over one kind: takes keys from a queue, runs a bounded number at a time, one at a time for each
//! object, and keeps what goes wrong in one from touching the others.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, Stream, StreamExt};
use kube::Resource;
use kube::runtime::controller::{Action, Config, Error, applier};
use kube::runtime::reflector::{ObjectRef, Store};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::backoff::{Failures, Pace};
use crate::guard::{CustomKind, Guarded};
use crate::key::Key;
use crate::metrics::{Metrics, PassOutcome};
use crate::statuses;

/// Passes of one kind at the same time. A pass that writes takes a few round trips; more at once would only queue up
/// in the API server.
const CONCURRENCY: u16 = 16;

/// A pass makes at most some tens of requests. What takes longer hangs, and would hold one of the places above.
const LONGEST_PASS: Duration = Duration::from_mins(1);

/// The message of a panic, for the log. It may quote anything: what looks like a secret is taken out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Panicked(String);

impl Panicked {
    pub(crate) fn of(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Self(text.map_or_else(|| "a panic without a message".into(), |text| kr8tiv_compiler::redacted(&text)))
    }
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an object says whose pass has panicked.
pub(crate) fn fault(kind: &str) -> String {
    format!("the operator has a fault that this {kind} brings out; its log says more: please report it")
}

/// Why a pass failed.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// A status could not be written.
    #[error(transparent)]
    Status(#[from] statuses::Error),
    /// Not even the status could be built that says that it panicked.
    #[error("a panic could not be shown: {0}")]
    Panicked(Panicked),
    /// It took too long.
    #[error("the pass was given up after {} s", LONGEST_PASS.as_secs())]
    TimedOut,
}

/// Reconciles one kind.
pub trait Reconciler: Send + Sync + 'static {
    /// The kind.
    type Kind: CustomKind;

    /// Looks at one object and does what is to be done.
    fn pass(
        &self,
        object: &Guarded<Self::Kind>,
    ) -> impl Future<Output = Result<Action, statuses::Error>> + Send;

    /// Shows on an object that its pass panicked.
    fn panicked(
        &self,
        object: &Guarded<Self::Kind>,
    ) -> impl Future<Output = Result<Action, statuses::Error>> + Send;

    /// Where passes are counted.
    fn metrics(&self) -> &Metrics;

    /// An object does not exist any more.
    fn gone(&self, key: &Key);
}

/// Panics of passes since the start, of all kinds.
static PANICS: AtomicU64 = AtomicU64::new(0);

/// How many passes have panicked since the start.
pub fn panics() -> u64 {
    PANICS.load(Ordering::Relaxed)
}

/// Runs passes until `stop`, and then the ones that have begun to their end.
pub async fn run<R: Reconciler>(
    reconciler: Arc<R>,
    store: Store<Guarded<R::Kind>>,
    queue: impl Stream<Item = Key> + Send + 'static,
    stop: CancellationToken,
) {
    let references = queue.take_until(stop.cancelled_owned()).map(|key| {
        Ok::<_, std::convert::Infallible>(
            ObjectRef::<Guarded<R::Kind>>::new(&key.name).within(&key.namespace),
        )
    });
    let failures = Failures::default();
    let passes = applier(
        |object: Arc<Guarded<R::Kind>>, reconciler: Arc<R>| guarded_pass(reconciler, object),
        |object, _error, _| Action::requeue(failures.pause(&Key::of(object.meta()), Pace::Transient)),
        Arc::clone(&reconciler),
        store,
        references,
        Config::default().concurrency(CONCURRENCY),
    );
    let kind = R::Kind::kind(&());
    passes
        .for_each(|outcome| {
            match outcome {
                Ok((object, _)) => failures.forget(&key_of(&object)),
                Err(Error::ObjectNotFound(object)) => {
                    let key = key_of(&object);
                    failures.forget(&key);
                    reconciler.gone(&key);
                }
                Err(Error::ReconcilerFailed(error, object)) => {
                    let key = key_of(&object);
                    tracing::warn!(kind = %kind, namespace = key.namespace, name = key.name, %error, "pass failed");
                }
                Err(error) => tracing::error!(kind = %kind, %error, "queue failed"),
            }
            std::future::ready(())
        })
        .await;
}

fn key_of<K: kube::runtime::reflector::Lookup>(object: &ObjectRef<K>) -> Key {
    Key { namespace: object.namespace.clone().unwrap_or_default(), name: object.name.clone() }
}

fn guarded_pass<R: Reconciler>(
    reconciler: Arc<R>,
    object: Arc<Guarded<R::Kind>>,
) -> BoxFuture<'static, Result<Action, PassError>> {
    async move {
        let started = Instant::now();
        let (kind, key) = (R::Kind::kind(&()), Key::of(object.meta()));
        tracing::debug!(kind = %kind, namespace = key.namespace, name = key.name, "pass");
        let pass = AssertUnwindSafe(reconciler.pass(&object)).catch_unwind();
        let ended = timeout(LONGEST_PASS, pass).await;
        let outcome = match &ended {
            Ok(Ok(Ok(_))) => PassOutcome::Finished,
            Ok(Ok(Err(_))) => PassOutcome::Failed,
            Ok(Err(_)) => PassOutcome::Panicked,
            Err(_) => PassOutcome::TimedOut,
        };
        reconciler.metrics().pass(&kind, outcome, started.elapsed());
        match ended {
            Ok(Ok(outcome)) => Ok(outcome?),
            Ok(Err(panic)) => {
                let total = PANICS.fetch_add(1, Ordering::Relaxed) + 1;
                let panic = Panicked::of(&*panic);
                tracing::error!(kind = %kind, namespace = key.namespace, name = key.name, %panic, total, "a pass panicked");
                // What brought it out may do so again: nothing that one object does ends the work for all.
                let shown = AssertUnwindSafe(reconciler.panicked(&object)).catch_unwind();
                let shown = timeout(LONGEST_PASS, shown).await.map_err(|_| PassError::TimedOut)?;
                Ok(shown.map_err(|again| PassError::Panicked(Panicked::of(&*again)))??)
            }
            Err(_) => Err(PassError::TimedOut),
        }
    }
    .boxed()
}
