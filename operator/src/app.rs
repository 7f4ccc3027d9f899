//! Puts the parts together and keeps them running: watches, controllers, HTTP. I/O by its parts.
//!
//! A task that should run as long as the process and ends takes the process down with it: an operator that looks
//! alive and does nothing is worse than one that is restarted.

use std::sync::Arc;
use std::time::Duration;

use futures::channel::mpsc::UnboundedReceiver;
use futures::future::BoxFuture;
use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kr8tiv_supermemory::Transport;
use kube::runtime::reflector::Store;
use kube::{Client, Resource};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::agent::Agents;
use crate::child::ChildKind;
use crate::compiler::Compiler;
use crate::context::{Context, Ways};
use crate::controller::{self, Reconciler};
use crate::delivery::Ask;
use crate::events::{self, Events};
use crate::guard::Guarded;
use crate::harness::Harnesses;
use crate::http::{self, Sources};
use crate::key::Key;
use crate::lease::{self, Election};
use crate::metrics::Metrics;
use crate::queue::{self, Queues, Receivers};
use crate::readiness::Readiness;
use crate::stores::{Stores, Writers};
use crate::tenant::Tenants;
use crate::watch;
use crate::watched::Watched;

/// Passes that have begun may go on for this long after a signal; kubelet kills after 30 s by default.
const LAST_PASSES: Duration = Duration::from_secs(20);

/// Why the operator ended without having been asked to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A task ended.
    #[error("the task {0} ended, which it never should")]
    TaskEnded(String),
    /// A task panicked.
    #[error("a task panicked: {0}")]
    TaskPanicked(#[source] tokio::task::JoinError),
    /// Passes were still running when the time for that was over.
    #[error("gave up on unfinished passes after {} s", LAST_PASSES.as_secs())]
    Unfinished,
    /// Another process may write from now on.
    #[error("the Lease is lost: {0}")]
    LeaseLost(#[source] lease::Error),
}

/// What the operator is made of.
pub struct Parts {
    /// The way to the API server.
    pub client: Client,
    /// The only namespace whose objects are kept; `None` for all.
    pub watch_namespace: Option<String>,
    /// The compiler.
    pub compiler: Compiler,
    /// The way to the watchdogs.
    pub ask: Arc<dyn Ask>,
    /// The way to Supermemory.
    pub memory: Arc<dyn Transport>,
    /// Where probes are answered; `None` for nowhere.
    pub listener: Option<TcpListener>,
    /// The Lease without which nothing is written; `None` for a process that is alone.
    pub election: Option<Election>,
    /// What events call this process.
    pub instance: Option<String>,
    /// Where it is counted.
    pub metrics: Metrics,
}

/// Runs until `stop`, then finishes the passes that have begun. A process that does not hold the Lease watches and
/// answers like the one that does, so that it can take over at once.
pub async fn run(parts: Parts, stop: CancellationToken) -> Result<(), Error> {
    let Parts { client, watch_namespace, compiler, ask, memory, listener, election, instance, metrics } =
        parts;
    let (stores, writers) = Stores::new();
    let stores = Arc::new(stores);
    let (queues, receivers) = Queues::new();
    let readiness = Readiness::default();
    let mut tasks = JoinSet::new();
    if let Some(listener) = listener {
        let router = http::router(Sources {
            readiness: readiness.clone(),
            metrics: metrics.clone(),
            stores: Arc::clone(&stores),
        });
        tasks.spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "probes can't be answered");
            }
            "http".to_owned()
        });
    }
    let watched = Watched::new(client.clone(), watch_namespace);
    spawn_watches(&mut tasks, &watched, &stores, &queues, &readiness, writers);
    let (events, waiting) = Events::new(metrics.clone());
    let publisher = events::publish(client.clone(), instance, waiting, metrics.clone());
    tasks.spawn(async move {
        publisher.await;
        "publisher of events".to_owned()
    });
    let ways = Ways { ask, memory, events, metrics: metrics.clone() };
    let context = Arc::new(Context::new(client, Arc::clone(&stores), queues, compiler, ways));
    let (leading, finished) = (CancellationToken::new(), CancellationToken::new());
    let mut leadership = AbortOnDropHandle::new(tokio::spawn(lead(
        election,
        metrics,
        leading.clone(),
        stop.clone(),
        finished.clone(),
    )));
    let mut passes = JoinSet::new();
    let start = Start { readiness, leading, stop: stop.clone() };
    spawn_controllers(&mut passes, &context, &start, receivers);
    let ended = tokio::select! {
        () = stop.cancelled() => None,
        // It ends before `stop` only when the Lease is lost.
        lost = &mut leadership => return lost_or_panicked(lost),
        Some(ended) = tasks.join_next() => Some(ended),
        Some(ended) = passes.join_next() => Some(ended),
    };
    match ended {
        Some(_) if stop.is_cancelled() => {}
        Some(Ok(task)) => return Err(Error::TaskEnded(task)),
        Some(Err(error)) => return Err(Error::TaskPanicked(error)),
        None => {}
    }
    tracing::info!("stopping: finishing the passes that have begun");
    // The watches go on meanwhile, so that what is finished is finished on what is true.
    let passes_end = async { while passes.join_next().await.is_some() {} };
    tokio::select! {
        ended = timeout(LAST_PASSES, passes_end) => ended.map_err(|_| Error::Unfinished)?,
        lost = &mut leadership => return lost_or_panicked(lost),
    }
    finished.cancel();
    lost_or_panicked(leadership.await)
}

fn lost_or_panicked(ended: Result<Result<(), lease::Error>, tokio::task::JoinError>) -> Result<(), Error> {
    ended.map_err(Error::TaskPanicked)?.map_err(Error::LeaseLost)
}

/// Holds the Lease from when `leading` says so until `finished`.
async fn lead(
    election: Option<Election>,
    metrics: Metrics,
    leading: CancellationToken,
    stop: CancellationToken,
    finished: CancellationToken,
) -> Result<(), lease::Error> {
    let Some(mut election) = election else {
        metrics.leads();
        leading.cancel();
        finished.cancelled().await;
        return Ok(());
    };
    let mut held = tokio::select! {
        held = election.acquire() => held,
        () = stop.cancelled() => {
            finished.cancelled().await;
            return Ok(());
        }
    };
    tracing::info!(identity = election.identity(), "leading");
    metrics.leads();
    leading.cancel();
    tokio::select! {
        lost = election.keep(&mut held) => return Err(lost),
        () = finished.cancelled() => {}
    }
    election.release(held).await;
    Ok(())
}

/// What the controllers wait for.
#[derive(Clone)]
struct Start {
    readiness: Readiness,
    leading: CancellationToken,
    stop: CancellationToken,
}

fn spawn_watches(
    tasks: &mut JoinSet<String>,
    watched: &Watched,
    stores: &Arc<Stores>,
    queues: &Queues,
    readiness: &Readiness,
    writers: Writers,
) {
    let (namespaces, Writers { tenants, harnesses, agents }) = (watched.namespaces(), writers);
    let parts = || (watched.clone(), Arc::clone(stores), queues.clone());
    let mut spawn = |kind: &str, task: BoxFuture<'static, ()>| {
        let name = format!("watch of kind {kind}");
        tasks.spawn(async move {
            task.await;
            name
        });
    };
    let (watched, stores, queues) = parts();
    let gate = readiness.gate("Tenant");
    spawn("Tenant", Box::pin(watch::custom(watched, stores, queues, gate, tenants)));
    let (watched, stores, queues) = parts();
    let gate = readiness.gate("Harness");
    spawn("Harness", Box::pin(watch::custom(watched, stores, queues, gate, harnesses)));
    let (watched, stores, queues) = parts();
    let gate = readiness.gate("Agent");
    spawn("Agent", Box::pin(watch::custom(watched, stores, queues, gate, agents)));
    for kind in ChildKind::ALL {
        let (watched, stores, queues) = parts();
        let gate = readiness.gate(kind.as_str());
        let task: BoxFuture<'static, ()> = match kind {
            ChildKind::ServiceAccount => {
                Box::pin(watch::metadata::<ServiceAccount>(watched, stores, queues, gate, kind))
            }
            ChildKind::NetworkPolicy => {
                Box::pin(watch::metadata::<NetworkPolicy>(watched, stores, queues, gate, kind))
            }
            ChildKind::PersistentVolumeClaim => {
                Box::pin(watch::metadata::<PersistentVolumeClaim>(watched, stores, queues, gate, kind))
            }
            ChildKind::Service => Box::pin(watch::metadata::<Service>(watched, stores, queues, gate, kind)),
            ChildKind::Ingress => Box::pin(watch::metadata::<Ingress>(watched, stores, queues, gate, kind)),
            ChildKind::PodDisruptionBudget => {
                Box::pin(watch::metadata::<PodDisruptionBudget>(watched, stores, queues, gate, kind))
            }
            ChildKind::ConfigMap => {
                Box::pin(watch::metadata::<ConfigMap>(watched, stores, queues, gate, kind))
            }
            ChildKind::StatefulSet => Box::pin(watch::workloads(watched, stores, queues, gate)),
        };
        spawn(kind.as_str(), task);
    }
    if let Some(api) = namespaces {
        let (_, stores, queues) = parts();
        let gate = readiness.gate("Namespace");
        spawn("Namespace", Box::pin(watch::namespaces(api, stores, queues, gate)));
    }
    let (watched, stores, queues) = parts();
    spawn("Pod", Box::pin(watch::pods(watched, stores, queues, readiness.gate("Pod"))));
}

fn spawn_controllers(
    passes: &mut JoinSet<String>,
    context: &Arc<Context>,
    start: &Start,
    receivers: Receivers,
) {
    let stores = &context.stores;
    let tenants_controller = Arc::new(Tenants(Arc::clone(context)));
    let name = "controller of Tenants";
    passes.spawn(once_started(
        start.clone(),
        tenants_controller,
        stores.tenants.clone(),
        receivers.tenants,
        name,
    ));
    let agents = Arc::new(Agents(Arc::clone(context)));
    let name = "controller of Agents";
    passes.spawn(once_started(start.clone(), agents, stores.agents.clone(), receivers.agents, name));
    let harnesses = Arc::new(Harnesses::new(Arc::clone(context)));
    let name = "controller of Harnesses";
    passes.spawn(once_started(start.clone(), harnesses, stores.harnesses.clone(), receivers.harnesses, name));
}

/// No pass before everything has been seen, or what has not been seen would be taken for missing; and none before this
/// process may write. Then one over each object that there is.
async fn once_started<R: Reconciler>(
    start: Start,
    reconciler: Arc<R>,
    store: Store<Guarded<R::Kind>>,
    mut queue: UnboundedReceiver<Key>,
    name: &'static str,
) -> String {
    let Start { readiness, leading, stop } = start;
    let started = async {
        readiness.complete().await;
        leading.cancelled().await;
    };
    tokio::select! {
        () = queue::discard(&mut queue) => {}
        () = stop.cancelled() => {}
        () = started => {
            let all: Vec<Key> = store.state().iter().map(|object| Key::of(object.meta())).collect();
            controller::run(reconciler, store, stream::iter(all).chain(queue), stop).await;
        }
    }
    name.to_owned()
}
