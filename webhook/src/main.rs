//! The webhook's process: settings, logs, signals.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use kr8tiv_operator::{client, metrics};
use kr8tiv_webhook::app::{self, Parts};
use kr8tiv_webhook::settings::Settings;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("--log {directives}: {source}")]
    Log { directives: String, source: tracing_subscriber::filter::ParseError },
    #[error("another TLS provider is installed already")]
    TlsProvider,
    #[error(transparent)]
    Client(#[from] client::Error),
    #[error("{address} can't be listened at: {source}")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("signals can't be handled: {0}")]
    Signals(#[source] std::io::Error),
    #[error(transparent)]
    App(#[from] app::Error),
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Settings::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Logs may not be set up yet, and whoever starts it by hand reads this.
            eprintln!("kr8tiv-webhook: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(settings: Settings) -> Result<(), Error> {
    let filter = EnvFilter::try_new(&settings.log)
        .map_err(|source| Error::Log { directives: settings.log.clone(), source })?;
    let logs =
        tracing_subscriber::fmt().json().flatten_event(true).with_span_list(false).with_current_span(false);
    logs.with_env_filter(filter).init();
    std::panic::set_hook(Box::new(|panic| tracing::error!(%panic, "panic")));
    rustls::crypto::ring::default_provider().install_default().map_err(|_| Error::TlsProvider)?;
    let stop = CancellationToken::new();
    stop_on_signals(stop.clone())?;
    // A handful of requests at the start, a few more before a refusal: the API server's own metrics count them.
    let client = client::client(&metrics::Metrics::default()).await?;
    let reviews = listen(settings.listen).await?;
    let probes = listen(settings.probes).await?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), listen = %settings.listen, "starting");
    let (platform, place, source) = (settings.platform(), settings.place(), settings.source());
    app::run(Parts { client, platform, place, source, reviews, probes }, stop).await?;
    tracing::info!("stopped");
    Ok(())
}

async fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })
}

fn stop_on_signals(stop: CancellationToken) -> Result<(), Error> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Signals)?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.cancel();
    });
    Ok(())
}
