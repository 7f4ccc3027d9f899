//! Reporting stage, pure: what `/metrics` says, in the text format of `OpenMetrics` (docs/watchdog.md lists all).
//!
//! Every label has a closed list of values, or names a sandbox of the command line: nothing that the gateway or an agent
//! says becomes one.

use std::fmt;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::gateway::prober::Round;
use crate::gateway::rpc::RpcError;
use crate::judge::observation::Failure;
use crate::judge::reason::{Reason, State};
use crate::settings::Receiver;
use crate::volume::Disk;

/// The media type of the text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels = Vec<(&'static str, &'static str)>;
type Bytes = Gauge<u64, AtomicU64>;

/// What became of a message to a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// The receiver took it.
    Delivered,
    /// A try failed.
    Failed,
    /// It is not tried any more.
    Dropped,
}

/// What a gauge of a round is set to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Levels {
    /// Of the gateway's main process, in bytes.
    pub memory_bytes: Option<u64>,
    /// The volume.
    pub disk: Option<Disk>,
    /// Whether the gateway runs with the delivered configuration.
    pub config_applied: Option<bool>,
}

/// All metrics.
pub struct Metrics {
    registry: Registry,
    state: Family<Labels, Gauge>,
    reason: Family<Labels, Gauge>,
    probes: Family<Labels, Counter>,
    incidents: Counter,
    config_writes: Counter,
    restored_files: Counter,
    messages: Family<Labels, Counter>,
    memory: Bytes,
    disk_used: Bytes,
    disk_total: Bytes,
    inodes_used: Bytes,
    inodes_total: Bytes,
    config_applied: Gauge,
    sandbox_up: Family<Vec<(&'static str, String)>, Gauge>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("kr8tiv_watchdog"),
            state: Family::default(),
            reason: Family::default(),
            probes: Family::default(),
            incidents: Counter::default(),
            config_writes: Counter::default(),
            restored_files: Counter::default(),
            messages: Family::default(),
            memory: Bytes::default(),
            disk_used: Bytes::default(),
            disk_total: Bytes::default(),
            inodes_used: Bytes::default(),
            inodes_total: Bytes::default(),
            config_applied: Gauge::default(),
            sandbox_up: Family::default(),
        };
        let registry = &mut metrics.registry;
        registry.register("gateway_state", "1 for the gateway's state", metrics.state.clone());
        registry.register("gateway_reason", "1 for each reason of the state", metrics.reason.clone());
        registry.register("probes", "Questions to the gateway", metrics.probes.clone());
        registry.register("incidents", "Times without service", metrics.incidents.clone());
        registry.register(
            "config_writes_again",
            "Times openclaw.json was written again because the gateway had missed it",
            metrics.config_writes.clone(),
        );
        registry.register(
            "restored_files",
            "Files of the operator that were put back",
            metrics.restored_files.clone(),
        );
        registry.register("webhook_messages", "Messages to webhooks", metrics.messages.clone());
        registry.register(
            "gateway_config_applied",
            "Whether the gateway runs with the delivered configuration",
            metrics.config_applied.clone(),
        );
        registry.register_with_unit(
            "gateway_memory",
            "Resident memory of the gateway's main process",
            Unit::Bytes,
            metrics.memory.clone(),
        );
        registry.register_with_unit("disk_used", "Of the volume", Unit::Bytes, metrics.disk_used.clone());
        registry.register_with_unit("disk_size", "Of the volume", Unit::Bytes, metrics.disk_total.clone());
        registry.register("disk_inodes_used", "Of the volume", metrics.inodes_used.clone());
        registry.register("disk_inodes", "Of the volume", metrics.inodes_total.clone());
        registry.register("sandbox_up", "Whether a command ran in the sandbox", metrics.sandbox_up.clone());
        metrics
    }
}

impl Metrics {
    /// The text.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// Counts the questions of a round.
    pub fn count_round(&self, round: &Round) {
        let count = |probe, result: Result<(), Failure>| {
            let result = result.map_or_else(Failure::as_str, |()| "ok");
            self.probes.get_or_create(&vec![("probe", probe), ("result", result)]).inc();
        };
        count("liveness", round.contact.map(|_| ()));
        count("readiness", round.readiness.as_ref().map(|_| ()).map_err(|failure| *failure));
        if let Some(rpc) = &round.rpc {
            count("rpc", rpc.as_ref().map(|_| ()).map_err(RpcError::failure));
        }
    }

    /// Sets what a round found.
    pub fn set(&self, state: State, reasons: &[Reason], incidents: u64, levels: &Levels) {
        for one in State::ALL {
            let value = i64::from(one == state);
            self.state.get_or_create(&vec![("state", one.as_str())]).set(value);
        }
        for one in Reason::ALL {
            let value = i64::from(reasons.contains(&one));
            self.reason.get_or_create(&vec![("reason", one.as_str())]).set(value);
        }
        self.incidents.inc_by(incidents.saturating_sub(self.incidents.get()));
        let Levels { memory_bytes, disk, config_applied } = *levels;
        self.memory.set(memory_bytes.unwrap_or_default());
        let Disk { used_bytes, total_bytes, used_inodes, total_inodes } = disk.unwrap_or_default();
        self.inodes_used.set(used_inodes);
        self.inodes_total.set(total_inodes);
        self.disk_used.set(used_bytes);
        self.disk_total.set(total_bytes);
        self.config_applied.set(i64::from(config_applied == Some(true)));
    }

    /// Sets whether a command ran in a sandbox.
    pub fn set_sandbox(&self, name: &str, up: bool) {
        self.sandbox_up.get_or_create(&vec![("name", name.to_owned())]).set(i64::from(up));
    }

    /// The configuration was written again.
    pub fn count_config_write(&self) {
        self.config_writes.inc();
    }

    /// Files were put back.
    pub fn count_restored(&self, files: u64) {
        self.restored_files.inc_by(files);
    }

    /// Messages to a receiver.
    pub fn count_messages(&self, receiver: Receiver, sent: Sent, messages: usize) {
        let result = match sent {
            Sent::Delivered => "delivered",
            Sent::Failed => "failed",
            Sent::Dropped => "dropped",
        };
        let labels = vec![("receiver", receiver.as_str()), ("result", result)];
        self.messages.get_or_create(&labels).inc_by(u64::try_from(messages).unwrap_or(u64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_counted_and_ends_as_openmetrics_does() {
        let metrics = Metrics::default();
        let disk = Some(Disk { used_bytes: 1, total_bytes: 2, used_inodes: 3, total_inodes: 4 });
        let levels = Levels { memory_bytes: Some(7), disk, config_applied: Some(true) };
        metrics.set(State::Degraded, &[Reason::ChannelDown], 2, &levels);
        metrics.set(State::Degraded, &[Reason::ChannelDown], 2, &levels);
        metrics.count_messages(Receiver::Owner, Sent::Dropped, 3);
        metrics.count_restored(2);
        metrics.set_sandbox("acme-sandbox", true);
        metrics.set_sandbox("acme-sandbox", false);
        metrics.set_sandbox("other", true);
        let text = metrics.encode().unwrap();
        for line in [
            "kr8tiv_watchdog_gateway_state{state=\"Degraded\"} 1",
            "kr8tiv_watchdog_gateway_state{state=\"Down\"} 0",
            "kr8tiv_watchdog_gateway_reason{reason=\"ChannelDown\"} 1",
            "kr8tiv_watchdog_incidents_total 2",
            "kr8tiv_watchdog_restored_files_total 2",
            "kr8tiv_watchdog_webhook_messages_total{receiver=\"owner\",result=\"dropped\"} 3",
            "kr8tiv_watchdog_gateway_memory_bytes 7",
            "kr8tiv_watchdog_disk_size_bytes 2",
            "kr8tiv_watchdog_disk_inodes_used 3",
            "kr8tiv_watchdog_disk_inodes 4",
            "kr8tiv_watchdog_sandbox_up{name=\"acme-sandbox\"} 0",
            "kr8tiv_watchdog_sandbox_up{name=\"other\"} 1",
        ] {
            assert!(text.lines().any(|there| there == line), "{line} in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
