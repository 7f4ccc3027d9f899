//! What a process does before its own work: logs, the TLS provider, signals, sockets. I/O.

use std::fmt;
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use clap::error::{ContextKind, ContextValue};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// Why a process can't begin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What is to be logged is not understood.
    #[error("--log {directives}: {source}")]
    Log {
        /// What was asked for.
        directives: String,
        /// Why it is not understood.
        source: tracing_subscriber::filter::ParseError,
    },
    /// It begins twice.
    #[error("another TLS provider is installed already")]
    TlsProvider,
    /// The system refuses a handler.
    #[error("signals can't be handled: {0}")]
    Signals(#[source] std::io::Error),
    /// The system refuses an address.
    #[error("{address} can't be listened at: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why it is refused.
        source: std::io::Error,
    },
}

/// Reads the settings from the command line and the environment, or ends the process and says what is wrong. A value that is
/// refused is not repeated: a URL may hold a password, and what is said here is in the log.
pub fn settings<S: Parser>() -> S {
    S::try_parse().unwrap_or_else(|error| without_value(error).exit())
}

fn without_value(mut error: clap::Error) -> clap::Error {
    if error.get(ContextKind::InvalidValue).is_some() {
        error.insert(ContextKind::InvalidValue, ContextValue::String("(not shown)".into()));
    }
    error
}

/// Logs by these directives from now on, panics too. The token is cancelled by SIGTERM and SIGINT.
pub fn begin(directives: &str) -> Result<CancellationToken, Error> {
    let filter = EnvFilter::try_new(directives)
        .map_err(|source| Error::Log { directives: directives.to_owned(), source })?;
    let logs =
        tracing_subscriber::fmt().json().flatten_event(true).with_span_list(false).with_current_span(false);
    logs.with_env_filter(filter).init();
    // It may quote anything.
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!(panic = kr8tiv_compiler::redacted(&panic.to_string()), "panic");
    }));
    rustls::crypto::ring::default_provider().install_default().map_err(|_| Error::TlsProvider)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Signals)?;
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stopped.cancel();
    });
    Ok(stop)
}

/// Listens.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })
}

/// Ends: an error is for whoever started the program by hand, as logs may not be set up yet.
pub fn end(program: &str, ended: Result<(), impl fmt::Display>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{program}: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    #[test]
    fn a_refused_value_is_not_repeated() {
        let mirror = "--plugin-registry=https://robot:hunter2@npm.example.com/";
        let error =
            Settings::try_parse_from(["kr8tiv-operator", "--watchdog-image=w:1", mirror]).unwrap_err();
        let told = without_value(error).to_string();
        assert!(
            told.contains("'(not shown)' for '--plugin-registry <URL>'") && !told.contains("hunter2"),
            "{told}"
        );
    }
}
