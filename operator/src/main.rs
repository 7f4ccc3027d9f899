//! The operator's process: settings and parts.

use std::process::ExitCode;
use std::sync::Arc;

use kr8tiv_operator::app::{self, Parts};
use kr8tiv_operator::compiler::Compiler;
use kr8tiv_operator::lease::Election;
use kr8tiv_operator::metrics::Metrics;
use kr8tiv_operator::settings::Settings;
use kr8tiv_operator::{client, process, watchdog};
use kr8tiv_supermemory::Https;

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Process(#[from] process::Error),
    #[error("the client of Supermemory can't be made: {0}")]
    Memory(#[source] rustls::Error),
    #[error(transparent)]
    Client(#[from] client::Error),
    #[error(transparent)]
    App(#[from] app::Error),
}

#[tokio::main]
async fn main() -> ExitCode {
    process::end("kr8tiv-operator", run(process::settings::<Settings>()).await)
}

async fn run(settings: Settings) -> Result<(), Error> {
    let stop = process::begin(&settings.log)?;
    let metrics = Metrics::default();
    let client = client::client(&metrics).await?;
    let election = match settings.candidate(rand::random()) {
        // A client of its own: its requests must not wait behind others.
        Some(candidate) => Some(Election::new(client::client(&metrics).await?, candidate)),
        None => None,
    };
    let listener = process::listen(settings.listen).await?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), listen = %settings.listen, "starting");
    let parts = Parts {
        client,
        watch_namespace: settings.watch_namespace.clone(),
        compiler: Compiler::new(settings.platform()),
        ask: Arc::new(watchdog::Http::default()),
        memory: Arc::new(Https::new(settings.supermemory_addresses.into()).map_err(Error::Memory)?),
        listener: Some(listener),
        election,
        instance: Some(settings.identity.clone()),
        metrics,
    };
    app::run(parts, stop).await?;
    tracing::info!("stopped");
    Ok(())
}
