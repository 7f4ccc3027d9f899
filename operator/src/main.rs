//! The operator's process: settings, logs, signals.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use kr8tiv_operator::app::{self, Parts};
use kr8tiv_operator::compiler::Compiler;
use kr8tiv_operator::lease::Election;
use kr8tiv_operator::metrics::Metrics;
use kr8tiv_operator::settings::Settings;
use kr8tiv_operator::{client, watchdog};
use kr8tiv_supermemory::Https;
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
    #[error("the client of Supermemory can't be made: {0}")]
    Memory(#[source] rustls::Error),
    #[error(transparent)]
    Client(#[from] client::Error),
    #[error("--listen {address}: {source}")]
    Listen { address: std::net::SocketAddr, source: std::io::Error },
    #[error("signals can't be handled: {0}")]
    Signals(#[source] std::io::Error),
    #[error(transparent)]
    App(#[from] app::Error),
}

#[tokio::main]
async fn main() -> ExitCode {
    let settings = Settings::parse();
    match run(settings).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Logs may not be set up yet, and whoever starts it by hand reads this.
            eprintln!("kr8tiv-operator: {error}");
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
    let metrics = Metrics::default();
    let client = client::client(&metrics).await?;
    let election = match settings.candidate(rand::random()) {
        // A client of its own: its requests must not wait behind others.
        Some(candidate) => Some(Election::new(client::client(&metrics).await?, candidate)),
        None => None,
    };
    let address = settings.listen;
    let listener = TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), listen = %address, "starting");
    let parts = Parts {
        client,
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
