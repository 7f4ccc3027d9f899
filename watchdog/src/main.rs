//! Entry point: the command line, logs, signals and the exit code.

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;
use kr8tiv_watchdog::cli::{Cli, Command};
use kr8tiv_watchdog::{probe, run, seed, skills};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber_json as tracing_subscriber;

fn main() -> ExitCode {
    let Cli { log_level, command } = Cli::parse();
    // Nothing but our own: libraries log whole frames and headers, with tokens in them.
    let own = Targets::new().with_target(env!("CARGO_CRATE_NAME"), log_level);
    let lines = tracing_subscriber::fmt::layer().json().with_writer(std::io::stderr);
    tracing_subscriber::registry().with(lines).with(own).init();
    match start(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn start(command: Command) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(until_stopped(command));
    // A pass may hang in a volume; every write is a rename, so leaving it in the middle harms nothing.
    runtime.shutdown_background();
    result
}

/// Runs the command until it ends or a signal ends it. As PID 1 of a container we are only stopped by
/// signals that we handle.
async fn until_stopped(command: Command) -> Result<(), Box<dyn Error>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stopped = stopped(&mut terminate, &mut interrupt);
    match command {
        Command::Seed(options) => tokio::select! {
            result = seed::seed(options) => Ok(result?),
            name = stopped => Err(format!("stopped by {name} before the bundle was delivered").into()),
        },
        Command::Run(options) => tokio::select! {
            result = run::run(options) => Ok(result?),
            name = stopped => {
                tracing::info!(signal = name, "stopped");
                Ok(())
            }
        },
        Command::Probe(options) => Ok(probe::probe(options)?),
        Command::Skills(options) => tokio::select! {
            result = tokio::task::spawn_blocking(move || skills::skills(&options)) => Ok(result??),
            name = stopped => Err(format!("stopped by {name} before the pack was copied").into()),
        },
    }
}

async fn stopped(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}
