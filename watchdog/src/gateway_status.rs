//! Reporting stage, pure: what `/status` says about the gateway. Everything in it is bounded, and texts of the gateway
//! are without the secrets that we know.

use std::time::Duration;

use serde::Serialize;

use crate::gateway::answers::Config;
use crate::gateway::channels::{AccountState, Channel};
use crate::judge::reason::{Reason, State};
use crate::names::Digest;
use crate::secret::Redactor;
use crate::volume::Disk;

/// How many entries of a list are shown: the first ones say enough.
const MAX_ENTRIES: usize = 10;
/// How many accounts are shown.
const MAX_CHANNELS: usize = 24;
/// Of a message, in bytes.
const MAX_TEXT: usize = 200;
/// Of a name, in bytes: a channel, an account, a model, a release.
const MAX_NAME: usize = 100;

/// The gateway, as it was last seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayStatus {
    /// What it is.
    pub state: State,
    /// Why.
    pub reasons: Vec<Reason>,
    /// Since when it is in this state, RFC 3339.
    pub since: String,
    /// OpenClaw's release.
    pub version: Option<String>,
    /// Its configuration, when it says something about it.
    pub config: Option<ConfigStatus>,
    /// The accounts of its channels.
    pub channels: Vec<ChannelStatus>,
    /// Parts that are not ready, besides channels.
    pub not_ready: Vec<String>,
    /// Models whose last call ended in an error, as `provider/model`.
    pub failing_models: Vec<String>,
    /// The volume.
    pub disk: Option<Disk>,
    /// The gateway's memory.
    pub memory: Option<Memory>,
    /// When the last round of probes ended; its age is what is shown.
    #[serde(skip)]
    pub last_probe: Option<Duration>,
}

/// Whether the configuration is taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigStatus {
    /// The bundle that was completely on disk before the gateway was asked: the rest is about its file. `None` while the
    /// last pass failed.
    pub bundle_hash: Option<Digest>,
    /// Whether the file is accepted.
    pub valid: bool,
    /// Whether the gateway runs with it.
    pub applied: bool,
    /// The gateway's hash of the file, when it is valid.
    pub revision_hash: Option<String>,
    /// What is wrong with it.
    pub issues: Vec<IssueStatus>,
}

/// One thing that is wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IssueStatus {
    /// Where; empty for the root.
    pub path: String,
    /// What.
    pub message: String,
}

/// An account of a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChannelStatus {
    /// OpenClaw's name of the channel.
    pub channel: String,
    /// The account; `default` where there is only one.
    pub account_id: String,
    /// How it is.
    pub state: AccountState,
    /// What the gateway says about it.
    pub problem: Option<String>,
}

/// Memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Memory {
    /// Resident memory of the gateway's main process, without its helpers (about 170 MB).
    pub used_bytes: u64,
    /// What the gateway's container may take, when the watchdog was told.
    pub limit_bytes: Option<u64>,
}

impl GatewayStatus {
    /// Before the first round.
    pub fn unknown(since: String) -> Self {
        Self {
            state: State::Starting,
            reasons: vec![Reason::GatewayStarting],
            since,
            version: None,
            config: None,
            channels: Vec::new(),
            not_ready: Vec::new(),
            failing_models: Vec::new(),
            disk: None,
            memory: None,
            last_probe: None,
        }
    }
}

/// The configuration, without secrets and within bounds.
pub fn config_status(config: &Config, bundle_hash: Option<Digest>, redactor: &Redactor) -> ConfigStatus {
    ConfigStatus {
        bundle_hash,
        valid: config.valid,
        applied: config.is_applied(),
        revision_hash: config.revision.as_ref().map(|hash| redactor.clean(hash, MAX_NAME)),
        issues: config
            .issues
            .iter()
            .take(MAX_ENTRIES)
            .map(|issue| IssueStatus {
                path: redactor.clean(&issue.path, MAX_TEXT),
                message: redactor.clean(&issue.message, MAX_TEXT),
            })
            .collect(),
    }
}

/// The accounts, the same way. Those that do not work come first, so that they are never the ones that are cut.
pub fn channel_statuses(channels: &[Channel], redactor: &Redactor) -> Vec<ChannelStatus> {
    let mut sorted: Vec<_> = channels.iter().collect();
    sorted.sort_by_key(|channel| channel.state == AccountState::Ready);
    let mut statuses: Vec<_> = sorted
        .into_iter()
        .take(MAX_CHANNELS)
        .map(|channel| ChannelStatus {
            channel: redactor.clean(&channel.channel, MAX_NAME),
            account_id: redactor.clean(&channel.account, MAX_NAME),
            state: channel.state,
            problem: channel.problem.as_ref().map(|problem| redactor.clean(problem, MAX_TEXT)),
        })
        .collect();
    statuses.sort_by(|a, b| (&a.channel, &a.account_id).cmp(&(&b.channel, &b.account_id)));
    statuses
}

/// Names, the same way.
pub fn names<'a>(names: impl Iterator<Item = &'a String>, redactor: &Redactor) -> Vec<String> {
    names.take(MAX_ENTRIES).map(|name| redactor.clean(name, MAX_NAME)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::answers::Issue;
    use crate::secret::Secret;

    #[test]
    fn whatever_the_gateway_says_it_is_bounded_and_without_secrets() {
        let redactor = Redactor::new([Secret::new("canary".into())]);
        // Each of these takes two bytes in JSON.
        let long = format!("canary{}", "\"".repeat(10_000));
        let config = Config {
            valid: false,
            issues: vec![Issue { path: long.clone(), message: long.clone() }; 1000],
            revision: Some(long.clone()),
            applied: None,
        };
        let channel = |account: usize, state| Channel {
            channel: long.clone(),
            account: format!("{account:03}"),
            state,
            problem: Some(long.clone()),
        };
        let mut channels: Vec<_> = (0..1000).map(|account| channel(account, AccountState::Ready)).collect();
        channels[999].state = AccountState::Blocked;
        let mut status = GatewayStatus::unknown("2026-11-25T12:00:00Z".into());
        status.config = Some(config_status(&config, None, &redactor));
        status.channels = channel_statuses(&channels, &redactor);
        status.failing_models = names(vec![long.clone(); 1000].iter(), &redactor);
        status.not_ready = names(vec![long; 1000].iter(), &redactor);
        let json = serde_json::to_string(&status).unwrap();
        assert!(!json.contains("canary"));
        // The operator takes 64 KiB, and the list of drifted files and the reasons of a delivery need room, too.
        assert!(json.len() < 40 * 1024, "{} bytes", json.len());
        assert_eq!(status.channels.last().map(|last| last.state), Some(AccountState::Blocked));
    }
}
