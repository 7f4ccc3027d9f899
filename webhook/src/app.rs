//! Puts the parts together and keeps them running: watches, certificate, HTTP. I/O by its parts.
//!
//! A task that should run as long as the process and ends takes the process down with it.

use std::sync::Arc;

use kr8tiv_compiler::Platform;
use kr8tiv_operator::queue::Queues;
use kr8tiv_operator::readiness::Readiness;
use kr8tiv_operator::stores::{Stores, Writers};
use kr8tiv_operator::watch;
use kr8tiv_operator::watched::Watched;
use kube::Client;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::connections::{self, Limits};
use crate::http::{self, LONGEST_WAIT, Reviews};
use crate::judge;
use crate::keeper::{Keeper, Place, Source};
use crate::metrics::Metrics;
use crate::reviewer::Reviewer;
use crate::tls::Served;

/// Why the webhook ended without having been asked to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A task ended.
    #[error("the task {0} ended, which it never should")]
    TaskEnded(&'static str),
    /// A task panicked.
    #[error("a task panicked: {0}")]
    TaskPanicked(#[source] tokio::task::JoinError),
    /// Reviews were still running when the time for that was over.
    #[error("gave up on unfinished reviews after {} s", LONGEST_WAIT.as_secs())]
    Unfinished,
}

/// What the webhook is made of.
pub struct Parts {
    /// The way to the API server.
    pub client: Client,
    /// What is judged.
    pub watched: Watched,
    /// What the operator was installed with.
    pub platform: Platform,
    /// Where the certificate is.
    pub place: Place,
    /// Where it comes from.
    pub source: Source,
    /// Where reviews are answered.
    pub reviews: TcpListener,
    /// Where probes are.
    pub probes: TcpListener,
}

/// Runs until `stop`, then finishes the reviews that have begun.
pub async fn run(parts: Parts, stop: CancellationToken) -> Result<(), Error> {
    let Parts { client, watched, platform, place, source, reviews, probes } = parts;
    let (stores, writers) = Stores::new();
    let stores = Arc::new(stores);
    let (readiness, metrics, served) = (Readiness::default(), Metrics::default(), Served::default());
    // Before anything is ready: some ten milliseconds, once.
    tokio::task::spawn_blocking(judge::warm_up).await.map_err(Error::TaskPanicked)?;
    let mut tasks = JoinSet::new();
    spawn_watches(&mut tasks, &watched, &stores, &readiness, writers);
    let gate = readiness.gate("Certificate");
    let keeper = Keeper { client, place, source, served: served.clone(), gate, metrics: metrics.clone() };
    spawn(&mut tasks, "keeper of the certificate", keeper.run());
    let (of_probes, of_metrics) = (readiness.clone(), metrics.clone());
    let router = kr8tiv_operator::http::probes(of_probes, move |pending| of_metrics.text(pending));
    spawn(&mut tasks, "probes", async move { drop(axum::serve(probes, router).await) });

    let reviewer =
        Reviewer { stores, platform: Arc::new(platform), watched: Some(watched), metrics: metrics.clone() };
    let router = http::reviews(Reviews { reviewer, readiness, metrics });
    let answering = connections::serve(reviews, served, router, Limits::default(), stop.clone());
    let mut answering = tokio::spawn(answering);
    tokio::select! {
        () = stop.cancelled() => {}
        ended = &mut answering, if !stop.is_cancelled() => {
            ended.map_err(Error::TaskPanicked)?;
            return if stop.is_cancelled() { Ok(()) } else { Err(Error::TaskEnded("reviews")) };
        }
        Some(ended) = tasks.join_next() => return Err(match ended {
            Ok(task) => Error::TaskEnded(task),
            Err(error) => Error::TaskPanicked(error),
        }),
    }
    tracing::info!("stopping: finishing the reviews that have begun");
    let ended = timeout(LONGEST_WAIT, answering).await.map_err(|_| Error::Unfinished)?;
    ended.map_err(Error::TaskPanicked)
}

fn spawn(
    tasks: &mut JoinSet<&'static str>,
    name: &'static str,
    task: impl Future<Output = ()> + Send + 'static,
) {
    tasks.spawn(async move {
        task.await;
        name
    });
}

fn spawn_watches(
    tasks: &mut JoinSet<&'static str>,
    watched: &Watched,
    stores: &Arc<Stores>,
    readiness: &Readiness,
    writers: Writers,
) {
    // Nobody waits for passes here: what the watches ask for is dropped.
    let (queues, _) = Queues::new();
    let parts = |kind| (watched.clone(), Arc::clone(stores), queues.clone(), readiness.gate(kind));
    let (namespaces, Writers { tenants, harnesses, agents }) = (watched.namespaces(), writers);
    let (watched, stores, queues, gate) = parts("Tenant");
    spawn(tasks, "watch of kind Tenant", watch::custom(watched, stores, queues, gate, tenants));
    let (watched, stores, queues, gate) = parts("Harness");
    spawn(tasks, "watch of kind Harness", watch::custom(watched, stores, queues, gate, harnesses));
    let (watched, stores, queues, gate) = parts("Agent");
    spawn(tasks, "watch of kind Agent", watch::custom(watched, stores, queues, gate, agents));
    if let Some(api) = namespaces {
        let (_, stores, queues, gate) = parts("Namespace");
        spawn(tasks, "watch of kind Namespace", watch::namespaces(api, stores, queues, gate));
    }
}
