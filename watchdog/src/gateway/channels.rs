//! Probing stage, pure: the accounts of the channels, those that the gateway has and those that it should have.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The answer to `channels.status`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ChannelsStatus {
    channel_accounts: BTreeMap<String, Vec<Account>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Account {
    #[serde(rename = "accountId")]
    id: String,
    #[serde(default = "yes")]
    enabled: bool,
    #[serde(default)]
    running: bool,
    connected: Option<bool>,
    lifecycle: Option<String>,
    health_state: Option<String>,
    last_error: Option<String>,
}

fn yes() -> bool {
    true
}

/// How an account is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum AccountState {
    /// It receives and sends.
    Ready,
    /// It connects for the first time.
    Starting,
    /// It lost its connection and tries again.
    Recovering,
    /// It has given up: a token that is not valid, for example.
    Blocked,
    /// It does not run.
    Stopped,
    /// The gateway has no such account: the channel's plugin is missing.
    Missing,
}

impl AccountState {
    /// Whether nobody is reached over it, and not only for a moment at the start.
    pub fn is_down(self) -> bool {
        matches!(self, Self::Recovering | Self::Blocked | Self::Stopped)
    }
}

/// One account of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// OpenClaw's name of the channel.
    pub channel: String,
    /// The account; `default` where there is only one.
    pub account: String,
    /// How it is.
    pub state: AccountState,
    /// What the gateway says about it, as it says it.
    pub problem: Option<String>,
}

impl Account {
    fn state(&self) -> AccountState {
        match self.lifecycle.as_deref() {
            Some("blocked") => AccountState::Blocked,
            Some("recovering") => AccountState::Recovering,
            Some("starting") => AccountState::Starting,
            _ if self.health_state.as_deref() == Some("terminal-disconnect") => AccountState::Blocked,
            _ if !self.running => AccountState::Stopped,
            _ if self.connected == Some(false) => AccountState::Recovering,
            _ => AccountState::Ready,
        }
    }
}

/// The accounts that a configuration wants: by channel, the names of its accounts, none where it has only the unnamed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted(BTreeMap<String, Vec<String>>);

impl Wanted {
    /// Of an `openclaw.json`. One that cannot be read wants nothing.
    pub fn of(config: &[u8]) -> Self {
        let config: Value = serde_json::from_slice(config).unwrap_or_default();
        let channels = config["channels"].as_object().into_iter().flatten();
        let enabled = |value: &Value| value.is_object() && value["enabled"] != false;
        let wanted = channels.filter(|(name, channel)| *name != "defaults" && enabled(channel));
        Self(
            wanted
                .map(|(name, channel)| {
                    let accounts = channel["accounts"].as_object().into_iter().flatten();
                    let accounts =
                        accounts.filter(|(_, account)| enabled(account)).map(|(name, _)| name.clone());
                    (name.clone(), accounts.collect())
                })
                .collect(),
        )
    }
}

/// Every enabled account that the gateway has, and those that it lacks. Sorted.
pub fn channels(status: &ChannelsStatus, wanted: &Wanted) -> Vec<Channel> {
    let mut channels = Vec::new();
    for (name, accounts) in &status.channel_accounts {
        channels.extend(accounts.iter().filter(|account| account.enabled).map(|account| {
            let state = account.state();
            Channel {
                channel: name.clone(),
                account: account.id.clone(),
                state,
                problem: account.last_error.clone().filter(|_| state != AccountState::Ready),
            }
        }));
    }
    for (name, accounts) in &wanted.0 {
        let there = status.channel_accounts.get(name).map(Vec::as_slice).unwrap_or_default();
        let missing = |account: &str| Channel {
            channel: name.clone(),
            account: account.to_owned(),
            state: AccountState::Missing,
            problem: None,
        };
        if accounts.is_empty() && there.is_empty() {
            channels.push(missing("default"));
        }
        let lacks = |account: &&String| there.iter().all(|there| there.id != **account);
        channels.extend(accounts.iter().filter(lacks).map(|account| missing(account)));
    }
    channels.sort_by(|a, b| (&a.channel, &a.account).cmp(&(&b.channel, &b.account)));
    channels
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn states(accounts: &Value, config: &Value) -> Vec<(String, String, AccountState)> {
        let status: ChannelsStatus = serde_json::from_value(json!({"channelAccounts": accounts})).unwrap();
        let channels = channels(&status, &Wanted::of(config.to_string().as_bytes()));
        channels.into_iter().map(|channel| (channel.channel, channel.account, channel.state)).collect()
    }

    #[test]
    fn an_account_is_judged_by_what_the_gateway_says() {
        for (account, expected) in [
            (json!({"running": true, "connected": true, "lifecycle": "ready"}), AccountState::Ready),
            (json!({"running": true}), AccountState::Ready),
            (json!({"running": true, "connected": false}), AccountState::Recovering),
            (json!({"running": false}), AccountState::Stopped),
            (json!({"running": true, "lifecycle": "starting"}), AccountState::Starting),
            (json!({"running": true, "lifecycle": "recovering"}), AccountState::Recovering),
            (
                json!({"running": false, "lifecycle": "blocked", "healthState": "terminal-disconnect"}),
                AccountState::Blocked,
            ),
            (json!({"running": true, "healthState": "terminal-disconnect"}), AccountState::Blocked),
        ] {
            let mut with_id = account.clone();
            with_id["accountId"] = json!("default");
            let states = states(&json!({"telegram": [with_id]}), &json!({}));
            assert_eq!(states, [("telegram".into(), "default".into(), expected)], "{account}");
        }
        let disabled = json!({"telegram": [{"accountId": "a", "enabled": false}]});
        assert!(states(&disabled, &json!({})).is_empty());
    }

    #[test]
    fn what_the_configuration_wants_and_the_gateway_lacks_is_missing() {
        let config = json!({"channels": {
            "defaults": {"groupPolicy": "allowlist"},
            "telegram": {"enabled": true},
            "slack": {"enabled": false},
            "discord": {"accounts": {"one": {}, "two": {"enabled": false}, "three": {}}},
        }});
        let there = json!({"discord": [{"accountId": "one", "running": true}]});
        assert_eq!(
            states(&there, &config),
            [
                ("discord".into(), "one".into(), AccountState::Ready),
                ("discord".into(), "three".into(), AccountState::Missing),
                ("telegram".into(), "default".into(), AccountState::Missing),
            ]
        );
        assert_eq!(Wanted::of(b"{"), Wanted::default());
    }
}
