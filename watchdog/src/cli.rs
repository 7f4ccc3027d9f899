//! Input stage, pure: the command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::names::Digest;
use crate::sandbox::target::Target;
use crate::skills::names::{PackName, SkillName};

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
    /// Copy a pack of skills and exit, successfully also when there is something wrong with it: for an init container.
    Skills(Skills),
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
    /// Also put this program there: containers without a program of their own run it.
    #[arg(long, value_name = "DIR")]
    pub install: Option<PathBuf>,
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
    /// How the gateway is watched.
    #[command(flatten)]
    pub gateway: Gateway,
    /// How its sandboxes are probed.
    #[command(flatten)]
    pub sandboxes: Sandboxes,
}

/// How `run` watches the gateway.
#[derive(Debug, Clone, Args)]
pub struct Gateway {
    /// Where the gateway answers; on loopback, where alone it lets a client with the token ask everything.
    #[arg(long, default_value = "127.0.0.1:18789", value_name = "ADDRESS:PORT")]
    pub gateway: SocketAddr,
    /// How often the gateway is asked.
    #[arg(long, default_value = "10s", value_parser = duration)]
    pub probe_interval: Duration,
    /// How often while something about it is unsettled: no answer, no service, a configuration that is not applied.
    #[arg(long, default_value = "2s", value_parser = duration)]
    pub probe_interval_unsettled: Duration,
    /// How long one answer may take; the event loop of a healthy gateway stalls for up to 4 s.
    #[arg(long, default_value = "8s", value_parser = duration)]
    pub probe_timeout: Duration,
    /// So many rounds in a row without an answer are a gateway that is down.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub down_rounds: u32,
    /// And not before this long after the first of them.
    #[arg(long, default_value = "15s", value_parser = duration)]
    pub down_after: Duration,
    /// How long a start may take.
    #[arg(long, default_value = "10m", value_parser = duration)]
    pub startup_budget: Duration,
    /// How much memory the gateway's container may take, in bytes, as the compiler writes it.
    #[arg(long, env = "KR8TIV_GATEWAY_MEMORY_LIMIT", value_name = "BYTES")]
    pub gateway_memory_limit: Option<u64>,
}

/// How `run` probes the sandboxes, in which the tools of agents run.
#[derive(Debug, Clone, Args)]
pub struct Sandboxes {
    /// A sandbox to log into over ssh; the folder has `id_ed25519` and `known_hosts`. May be given several times.
    #[arg(long, value_name = "NAME;HOST:PORT;DIR")]
    pub sandbox: Vec<Target>,
    /// How long after an attempt that succeeded the next one follows.
    #[arg(long, default_value = "60s", value_parser = duration)]
    pub sandbox_interval: Duration,
    /// How long after one that failed.
    #[arg(long, default_value = "10s", value_parser = duration)]
    pub sandbox_interval_failing: Duration,
    /// How long one attempt may take, from the look-up of the name to the end of the command.
    #[arg(long, default_value = "10s", value_parser = duration)]
    pub sandbox_timeout: Duration,
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

/// Options of `skills`.
#[derive(Debug, Args)]
pub struct Skills {
    /// Name of the pack, and of its folder below `--to`.
    #[arg(long, value_name = "NAME")]
    pub pack: PackName,
    /// Where the pack is, an absolute path without links.
    #[arg(long, value_name = "DIR")]
    pub from: PathBuf,
    /// How the pack lies there.
    #[arg(long)]
    pub layout: Layout,
    /// The skills to copy.
    #[arg(long, required = true, value_name = "NAME")]
    pub skill: Vec<SkillName>,
    /// Digest that the ConfigMap must have.
    #[arg(long, value_name = "sha256:DIGITS", value_parser = digest)]
    pub digest: Option<Digest>,
    /// The folder of all packs.
    #[arg(long, default_value = "/run/kr8tiv/skills", value_name = "DIR")]
    pub to: PathBuf,
    /// Where the report is written.
    #[arg(long, default_value = "/dev/termination-log", value_name = "FILE")]
    pub report: PathBuf,
}

/// How a pack lies in a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Layout {
    /// A mounted ConfigMap, a key for each file: `refunds.SKILL.md`.
    ConfigMap,
    /// A folder for each skill: `refunds/SKILL.md`.
    Folder,
}

fn digest(text: &str) -> Result<Digest, String> {
    let digits = text.strip_prefix("sha256:").ok_or("must begin with sha256:")?;
    Digest::try_from(digits.to_owned()).map_err(|error| error.to_string())
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
        // For so long a gateway of OpenClaw that starts was seen not to answer, with nothing wrong about it.
        assert!(run.gateway.probe_timeout > Duration::from_secs(4));
        let Sandboxes { sandbox, sandbox_interval, sandbox_interval_failing, sandbox_timeout } =
            run.sandboxes;
        assert_eq!((sandbox.len(), sandbox_interval), (0, Duration::from_mins(1)));
        assert_eq!(
            (sandbox_interval_failing, sandbox_timeout),
            (Duration::from_secs(10), Duration::from_secs(10))
        );
        let Command::Seed(seed) = Cli::parse_from(["kr8tiv-watchdog", "seed"]).command else {
            unreachable!()
        };
        assert_eq!((seed.deadline, seed.install), (Duration::from_mins(1), None));
        let arguments =
            ["--pack", "base", "--from", "/skills", "--layout", "folder", "--skill", "a", "--skill", "b"];
        let arguments = ["kr8tiv-watchdog", "skills"].into_iter().chain(arguments);
        let Command::Skills(skills) = Cli::parse_from(arguments).command else { unreachable!() };
        assert_eq!((skills.layout, skills.skill.len(), skills.digest), (Layout::Folder, 2, None));
        assert_eq!(skills.to, PathBuf::from("/run/kr8tiv/skills"));
        assert_eq!(skills.report, PathBuf::from("/dev/termination-log"));
    }

    #[test]
    fn a_pack_that_could_leave_its_folder_is_refused() {
        let usual = ["--pack", "base", "--from", "/skills", "--layout", "config-map", "--skill", "a"];
        let parse = |arguments: Vec<&str>| {
            Cli::try_parse_from(["kr8tiv-watchdog", "skills"].into_iter().chain(arguments)).is_ok()
        };
        assert!(parse(usual.to_vec()));
        for (option, bad) in [("--pack", ".."), ("--pack", "a/b"), ("--skill", "../a"), ("--layout", "tar")] {
            let position = usual.iter().position(|argument| *argument == option).unwrap() + 1;
            let mut arguments = usual.to_vec();
            arguments[position] = bad;
            assert!(!parse(arguments), "{option} {bad}");
        }
        for digest in ["", "sha256:", "sha512:ab", "sha256:AB", &"0".repeat(64)] {
            assert!(!parse([usual.as_slice(), &["--digest", digest]].concat()), "{digest}");
        }
        let good = format!("sha256:{}", "0".repeat(64));
        assert!(parse([usual.as_slice(), &["--digest", &good]].concat()));
    }

    #[test]
    fn a_sandbox_that_cannot_be_read_is_refused_with_the_reason() {
        let arguments =
            |sandbox| ["kr8tiv-watchdog", "run", "--sandbox", sandbox, "--sandbox=b;b.svc:2222;/ssh/b"];
        let Command::Run(run) = Cli::parse_from(arguments("a;a.svc:2222;/ssh/a")).command else {
            unreachable!()
        };
        let names: Vec<_> = run.sandboxes.sandbox.iter().map(|target| target.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        let error = Cli::try_parse_from(arguments("a;a.svc:ssh;/ssh/a")).unwrap_err().to_string();
        assert!(error.contains("the port \"ssh\" must be a number from 1 to 65535"), "{error}");
    }

    #[test]
    fn a_senseless_duration_is_refused() {
        for bad in ["0s", "1ms", "2days", "30", "soon"] {
            assert!(Cli::try_parse_from(["kr8tiv-watchdog", "run", "--resync", bad]).is_err(), "{bad}");
        }
    }
}
