//! Input stage, pure: `watchdog.json`, what the compiler made of a Harness's `observability` and `recovery` and a
//! Tenant's webhooks.

use std::time::Duration;

use serde::Deserialize;

use crate::judge::alerts::Rules;
use crate::manifest::without_content;
use crate::secret::Secret;

/// The only version that this watchdog reads.
pub const API_VERSION: &str = "kr8tiv.ai/watchdog/v1";

/// A parsed `watchdog.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The tenant's id, in every message.
    pub tenant_id: String,
    /// How often, how soon, how seldom.
    pub rules: Rules,
    /// Who is told.
    pub webhooks: Vec<WebhookSettings>,
}

/// A receiver of messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookSettings {
    /// Which one it is.
    pub receiver: Receiver,
    /// Where it is.
    pub address: Address,
    /// The variable with the key by which it knows that a message is genuine.
    pub signing_key_variable: Option<String>,
}

/// The two that there can be, in the order in which they are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Receiver {
    /// The tenant's own.
    Owner,
    /// Whoever runs the platform.
    Management,
}

impl Receiver {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Owner, Self::Management];

    /// As in `watchdog.json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Management => "management",
        }
    }
}

/// Where the URL of a webhook is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Here. It need not be a secret, and is treated as one.
    Url(Secret),
    /// In this variable.
    Variable(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    api_version: String,
    tenant_id: String,
    heartbeat_seconds: u64,
    down_alert_seconds: u64,
    alert_dedupe_seconds: u64,
    #[serde(default)]
    webhooks: Vec<WebhookDocument>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WebhookDocument {
    name: Receiver,
    url: Option<String>,
    url_variable: Option<String>,
    signing_key_variable: Option<String>,
}

/// Why a `watchdog.json` cannot be used. It quotes nothing of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// It is no such JSON.
    #[error("not a {API_VERSION} document ({what}, line {line})")]
    NotReadable {
        /// The kind of error.
        what: String,
        /// Where.
        line: usize,
    },
    /// It is of another version.
    #[error(
        "apiVersion is not {API_VERSION}; the watchdog image and the operator must be of the same version"
    )]
    OtherVersion,
    /// A heartbeat of no time would be a storm.
    #[error("heartbeatSeconds must be between 1 and 86400")]
    Heartbeat,
    /// A webhook has no address, or two.
    #[error("webhook {receiver}: exactly one of url and urlVariable", receiver = receiver.as_str())]
    Address {
        /// Which.
        receiver: Receiver,
    },
}

impl Settings {
    /// Reads the document.
    pub fn parse(bytes: &[u8]) -> Result<Self, SettingsError> {
        let document: Document = serde_json::from_slice(bytes).map_err(|error| {
            SettingsError::NotReadable { what: without_content(&error), line: error.line() }
        })?;
        if document.api_version != API_VERSION {
            return Err(SettingsError::OtherVersion);
        }
        if !(1..=86_400).contains(&document.heartbeat_seconds) {
            return Err(SettingsError::Heartbeat);
        }
        let mut webhooks = Vec::new();
        for WebhookDocument { name, url, url_variable, signing_key_variable } in document.webhooks {
            let address = match (url, url_variable) {
                (Some(url), None) => Address::Url(Secret::new(url)),
                (None, Some(variable)) => Address::Variable(variable),
                _ => return Err(SettingsError::Address { receiver: name }),
            };
            webhooks.push(WebhookSettings { receiver: name, address, signing_key_variable });
        }
        Ok(Self {
            tenant_id: document.tenant_id,
            rules: Rules {
                heartbeat: Duration::from_secs(document.heartbeat_seconds),
                down_alert: Duration::from_secs(document.down_alert_seconds),
                dedupe: Duration::from_secs(document.alert_dedupe_seconds),
            },
            webhooks,
        })
    }
}

impl Default for Settings {
    /// Until there is a `watchdog.json`: nobody is told.
    fn default() -> Self {
        Self {
            tenant_id: String::new(),
            rules: Rules {
                heartbeat: Duration::from_mins(1),
                down_alert: Duration::from_mins(5),
                dedupe: Duration::from_mins(15),
            },
            webhooks: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn document() -> Value {
        json!({
            "apiVersion": "kr8tiv.ai/watchdog/v1",
            "tenantId": "acme-0a1b2c3d",
            "heartbeatSeconds": 60,
            "downAlertSeconds": 300,
            "alertDedupeSeconds": 900,
            "recovery": {"maxRestartsPerHour": 3, "cooldownSeconds": 300},
            "webhooks": [
                {"name": "owner", "urlVariable": "OWNER_WEBHOOK_URL",
                 "signingKeyVariable": "OWNER_WEBHOOK_SIGNING_KEY"},
                {"name": "management", "url": "https://example.com/canary"},
            ],
        })
    }

    #[test]
    fn what_the_compiler_writes_is_read() {
        let settings = Settings::parse(document().to_string().as_bytes()).unwrap();
        assert_eq!(settings.tenant_id, "acme-0a1b2c3d");
        assert_eq!(settings.rules.down_alert, Duration::from_mins(5));
        assert_eq!(settings.webhooks[0].address, Address::Variable("OWNER_WEBHOOK_URL".into()));
        assert_eq!(settings.webhooks[1].receiver, Receiver::Management);
        assert!(!format!("{settings:?}").contains("canary"));
    }

    #[test]
    fn what_cannot_be_used_is_named_and_not_quoted() {
        for (place, value, expected) in [
            ("/apiVersion", json!("canary/v2"), "apiVersion is not"),
            ("/heartbeatSeconds", json!(0), "between 1 and 86400"),
            ("/heartbeatSeconds", json!("canary"), "not a kr8tiv.ai/watchdog/v1 document"),
            ("/webhooks/0/name", json!("canary"), "unknown variant"),
            ("/webhooks/0/urlVariable", Value::Null, "webhook owner: exactly one"),
            ("/webhooks/1/urlVariable", json!("canary"), "webhook management: exactly one"),
        ] {
            let mut document = document();
            if place.ends_with("1/urlVariable") {
                document["webhooks"][1]["urlVariable"] = value;
            } else {
                *document.pointer_mut(place).unwrap() = value;
            }
            let error = Settings::parse(document.to_string().as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{place}: {error}");
            assert!(!error.contains("canary"), "{place}: {error}");
        }
    }
}
