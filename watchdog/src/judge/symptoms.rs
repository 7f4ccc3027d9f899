//! Judging stage, pure: what the answers of a round say is wrong.

use crate::gateway::channels::{AccountState, Channel};
use crate::gateway::prober::Round;
use crate::judge::observation::{Observation, Symptoms};
use crate::judge::reason::Reason;
use crate::volume::Disk;

/// From this share of the volume's bytes or inodes on, in percent, it is called full; OpenClaw's database needs room to
/// work.
const DISK_FULL: u64 = 95;
/// Below this it is not any more.
const DISK_FREE_AGAIN: u64 = 90;
/// From this share of the container's limit on, in percent, its memory is called high.
const MEMORY_HIGH: u64 = 90;
/// Below this it is not any more.
const MEMORY_LOW_AGAIN: u64 = 80;
/// What `/readyz` names besides channels while a gateway starts or drains; the phase says that already.
const PHASES: [&str; 2] = ["startup-sidecars", "gateway-draining"];

/// What the watchdog knows without asking the gateway.
#[derive(Debug, Clone, Copy, Default)]
pub struct Surroundings<'a> {
    /// The accounts of the gateway's channels, and those that are missing; `None` when it did not say.
    pub channels: Option<&'a [Channel]>,
    /// The volume.
    pub disk: Option<Disk>,
    /// What the gateway's container may take, in bytes.
    pub memory_limit: Option<u64>,
    /// The gateway does not take over the configuration, although it was written again.
    pub config_not_applied: Option<bool>,
}

/// What one round says, as far as it says anything.
pub fn observe(round: &Round, surroundings: &Surroundings<'_>) -> Observation {
    let mut symptoms = Symptoms::new();
    let Surroundings { channels, disk, memory_limit, config_not_applied } = *surroundings;
    let answers = match &round.rpc {
        Some(Ok(answers)) => {
            symptoms.insert(Reason::RpcUnavailable, answers.is_empty());
            Some(answers)
        }
        Some(Err(_)) => {
            symptoms.insert(Reason::RpcUnavailable, true);
            None
        }
        None => None,
    };

    let is_channel =
        |name: &String| channels.unwrap_or_default().iter().any(|channel| channel.channel == *name);
    if let Ok(readiness) = &round.readiness {
        let runtime_degraded = answers
            .and_then(|answers| answers.health.as_ref())
            .is_some_and(|health| health.model_runtime.degraded);
        let others = not_ready(readiness.failing.iter().filter(|name| !is_channel(name)));
        // Without the list of channels a failing channel can't be told from another part.
        if channels.is_some() || others == 0 {
            symptoms.insert(Reason::NotReady, runtime_degraded || others > 0);
        }
    }
    if let Some(channels) = channels {
        let failing =
            round.readiness.as_ref().map(|readiness| readiness.failing.as_slice()).unwrap_or_default();
        let down = channels.iter().any(|channel| channel.state.is_down()) || failing.iter().any(is_channel);
        symptoms.insert(Reason::ChannelDown, down);
        let missing = channels.iter().any(|channel| channel.state == AccountState::Missing);
        symptoms.insert(Reason::ChannelMissing, missing);
    }
    if let Some(answers) = answers {
        if let Some(config) = &answers.config {
            symptoms.insert(Reason::ConfigRejected, !config.valid);
        }
        if let Some(models) = &answers.failing_models {
            symptoms.insert(Reason::ModelProviderFailing, !models.is_empty());
        }
        if let Some(health) = &answers.health {
            symptoms.insert(Reason::EventLoopDegraded, health.event_loop.degraded);
        }
        if let (Some(used), Some(limit)) = (answers.rss_bytes, memory_limit) {
            level(&mut symptoms, Reason::MemoryHigh, used, limit, MEMORY_LOW_AGAIN, MEMORY_HIGH);
        }
    }
    if let Some(not_applied) = config_not_applied {
        symptoms.insert(Reason::ConfigNotApplied, not_applied);
    }
    if let Some((used, of)) = disk.map(|disk| disk.scarcest()) {
        level(&mut symptoms, Reason::DiskFull, used, of, DISK_FREE_AGAIN, DISK_FULL);
    }
    Observation { contact: round.contact, symptoms }
}

/// How many parts are not ready for a reason of their own.
pub fn not_ready<'a>(failing: impl Iterator<Item = &'a String>) -> usize {
    failing.filter(|name| !PHASES.contains(&name.as_str())).count()
}

/// Between the two shares nothing is said: what was believed stays.
fn level(symptoms: &mut Symptoms, reason: Reason, used: u64, of: u64, low: u64, high: u64) {
    if of == 0 {
        return;
    }
    let percent = u128::from(used) * 100 / u128::from(of);
    if percent >= u128::from(high) {
        symptoms.insert(reason, true);
    } else if percent < u128::from(low) {
        symptoms.insert(reason, false);
    }
}

#[cfg(test)]
#[path = "symptoms_tests.rs"]
mod tests;
