//! The webhook's process: settings and parts.

use std::process::ExitCode;

use kr8tiv_operator::watched::Watched;
use kr8tiv_operator::{client, metrics, process};
use kr8tiv_webhook::app::{self, Parts};
use kr8tiv_webhook::settings::Settings;

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Process(#[from] process::Error),
    #[error(transparent)]
    Client(#[from] client::Error),
    #[error(transparent)]
    App(#[from] app::Error),
}

#[tokio::main]
async fn main() -> ExitCode {
    process::end("kr8tiv-webhook", run(process::settings::<Settings>()).await)
}

async fn run(settings: Settings) -> Result<(), Error> {
    let stop = process::begin(&settings.log)?;
    // A handful of requests at the start, a few more before a refusal: the API server's own metrics count them.
    let client = client::client(&metrics::Metrics::default()).await?;
    let reviews = process::listen(settings.listen).await?;
    let probes = process::listen(settings.probes).await?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), listen = %settings.listen, "starting");
    let (platform, place, source) = (settings.platform(), settings.place(), settings.source());
    let watched = Watched::new(client.clone(), settings.watch_namespace);
    app::run(Parts { client, watched, platform, place, source, reviews, probes }, stop).await?;
    tracing::info!("stopped");
    Ok(())
}
