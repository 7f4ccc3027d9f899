//! Input stage, pure: the command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

/// Delivers a tenant's configuration and workspaces to the OpenClaw gateway in the same pod.
#[derive(Debug, Parser)]
#[command(name = "kr8tiv-watchdog", version)]
pub struct Cli {
    /// Least severe log level.
    #[arg(long, global = true, default_value = "info", value_name = "error|warn|info|debug|trace")]
    pub log_level: tracing::Level,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Deliver once and exit: for an init container.
    Seed(Seed),
    /// Keep delivering and answer HTTP: for a sidecar.
    Run(Run),
    /// Ask a sidecar for its health and exit with 0 or 1: for a health check inside the container.
    Probe(Probe),
}

/// Where things are.
#[derive(Debug, Clone, Args)]
pub struct Paths {
    /// Mounted bundle: `config/` and `workspaces/<agent id>/`, each a ConfigMap.
    #[arg(long, default_value = "/etc/kr8tiv/bundle", value_name = "DIR")]
    pub bundle: PathBuf,
    /// Where `openclaw.json` is written.
    #[arg(long, default_value = "/etc/openclaw/config", value_name = "DIR")]
    pub config_dir: PathBuf,
    /// The gateway's state directory, in which the workspaces lie.
    #[arg(long, default_value = "/home/node/.openclaw", value_name = "DIR")]
    pub state_dir: PathBuf,
}

/// Options of `seed`.
#[derive(Debug, Args)]
pub struct Seed {
    /// Where things are.
    #[command(flatten)]
    pub paths: Paths,
    /// How long to wait for a complete bundle.
    #[arg(long, default_value = "60s", value_parser = duration)]
    pub deadline: Duration,
}

/// Options of `run`.
#[derive(Debug, Args)]
pub struct Run {
    /// Where things are.
    #[command(flatten)]
    pub paths: Paths,
    /// How often the files are checked even though nothing was announced.
    #[arg(long, default_value = "30s", value_parser = duration)]
    pub resync: Duration,
    /// Where to answer HTTP.
    #[arg(long, default_value = "0.0.0.0:18800", value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,
}

/// Options of `probe`.
#[derive(Debug, Args)]
pub struct Probe {
    /// Where the sidecar answers HTTP.
    #[arg(long, default_value = "127.0.0.1:18800", value_name = "ADDRESS:PORT")]
    pub address: SocketAddr,
    /// What to ask for.
    #[arg(long, default_value = "/healthz", value_name = "PATH")]
    pub path: String,
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    // Less would be a busy loop; more than a day is certainly a mistake in the unit.
    if (Duration::from_millis(100)..=Duration::from_hours(24)).contains(&duration) {
        Ok(duration)
    } else {
        Err("must be between 100ms and 24h".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn defaults_are_the_documented_ones() {
        Cli::command().debug_assert();
        let Command::Run(run) = Cli::parse_from(["kr8tiv-watchdog", "run"]).command else { unreachable!() };
        assert_eq!(run.paths.bundle, PathBuf::from("/etc/kr8tiv/bundle"));
        assert_eq!(run.paths.config_dir, PathBuf::from("/etc/openclaw/config"));
        assert_eq!(run.paths.state_dir, PathBuf::from("/home/node/.openclaw"));
        assert_eq!((run.resync, run.listen.to_string()), (Duration::from_secs(30), "0.0.0.0:18800".into()));
        let Command::Seed(seed) = Cli::parse_from(["kr8tiv-watchdog", "seed"]).command else {
            unreachable!()
        };
        assert_eq!(seed.deadline, Duration::from_mins(1));
    }

    #[test]
    fn a_senseless_duration_is_refused() {
        for bad in ["0s", "1ms", "2days", "30", "soon"] {
            assert!(Cli::try_parse_from(["kr8tiv-watchdog", "run", "--resync", bad]).is_err(), "{bad}");
        }
    }
}
