//! Alerting stage, pure: what a receiver is sent (docs/watchdog.md has the schema).

use std::time::Duration;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::judge::alerts::Alert;
use crate::judge::reason::{Reason, State};

/// The version of the body.
pub const API_VERSION: &str = "kr8tiv.ai/alert/v1";

/// What a message is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The gateway serves.
    Alive,
    /// It does not.
    Down,
    /// It does again.
    Recovered,
}

impl Kind {
    /// As in the body.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Down => "down",
            Self::Recovered => "recovered",
        }
    }
}

/// A message that waits to be sent. Sent again it is the same, so that a receiver can tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The same each time it is sent, and of no other message.
    pub id: String,
    /// What it is about.
    pub kind: Kind,
    /// When it was made.
    pub created: Duration,
    /// The JSON.
    pub body: Vec<u8>,
}

/// What a message says besides its kind.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// Drawn at each start of the watchdog; ids of two runs differ by it.
    pub run: &'a str,
    /// Counts the messages of a run.
    pub sequence: u64,
    /// The tenant's id.
    pub tenant_id: &'a str,
    /// What the gateway is.
    pub state: State,
    /// Why.
    pub reasons: &'a [Reason],
    /// OpenClaw's release.
    pub gateway_version: Option<&'a str>,
    /// Now, by the watchdog's clock.
    pub now: Duration,
    /// Now, RFC 3339.
    pub timestamp: &'a str,
    /// When the incident began, RFC 3339.
    pub incident_since: Option<&'a str>,
    /// How long the incident has lasted, in seconds.
    pub incident_seconds: Option<u64>,
    /// When a receiver can expect the next sign of life, in seconds.
    pub heartbeat_seconds: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    api_version: &'static str,
    id: &'a str,
    tenant: &'a str,
    status: Kind,
    timestamp: &'a str,
    state: State,
    reasons: &'a [Reason],
    incident: Option<IncidentBody<'a>>,
    heartbeat_seconds: u64,
    gateway_version: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct IncidentBody<'a> {
    reason: Reason,
    since: Option<&'a str>,
    seconds: Option<u64>,
}

impl Message {
    /// The message for an alert.
    pub fn new(alert: &Alert, context: &Context<'_>) -> Self {
        let (kind, incident) = match alert {
            Alert::Alive => (Kind::Alive, None),
            Alert::Down(incident) => (Kind::Down, Some(incident)),
            Alert::Recovered(incident) => (Kind::Recovered, Some(incident)),
        };
        let digest = Sha256::digest(format!("{}\n{}\n{}", context.tenant_id, context.run, context.sequence));
        let id: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let body = Body {
            api_version: API_VERSION,
            id: &id,
            tenant: context.tenant_id,
            status: kind,
            timestamp: context.timestamp,
            state: context.state,
            reasons: context.reasons,
            incident: incident.map(|incident| IncidentBody {
                reason: incident.reason,
                since: context.incident_since,
                seconds: context.incident_seconds,
            }),
            heartbeat_seconds: context.heartbeat_seconds,
            gateway_version: context.gateway_version,
        };
        // Strings, numbers and enums: serialising them can't fail.
        let body = serde_json::to_vec(&body).unwrap_or_default();
        Self { id, kind, created: context.now, body }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::judge::machine::Incident;

    fn context(sequence: u64) -> Context<'static> {
        Context {
            run: "run",
            sequence,
            tenant_id: "acme-0a1b2c3d",
            state: State::Down,
            reasons: &[Reason::GatewayUnreachable],
            gateway_version: Some("2026.9.6"),
            now: Duration::from_secs(307),
            timestamp: "2026-11-25T12:05:00Z",
            incident_since: Some("2026-11-25T12:00:00Z"),
            incident_seconds: Some(300),
            heartbeat_seconds: 60,
        }
    }

    #[test]
    fn the_body_is_the_documented_one() {
        let incident =
            Incident { number: 1, since: Duration::from_secs(7), reason: Reason::GatewayUnreachable };
        let message = Message::new(&Alert::Down(incident), &context(3));
        let body: Value = serde_json::from_slice(&message.body).unwrap();
        assert_eq!(
            body,
            json!({
                "apiVersion": "kr8tiv.ai/alert/v1",
                "id": message.id,
                "tenant": "acme-0a1b2c3d",
                "status": "down",
                "timestamp": "2026-11-25T12:05:00Z",
                "state": "Down",
                "reasons": ["GatewayUnreachable"],
                "incident": {"reason": "GatewayUnreachable", "since": "2026-11-25T12:00:00Z", "seconds": 300},
                "heartbeatSeconds": 60,
                "gatewayVersion": "2026.9.6",
            })
        );
        let alive = Message::new(&Alert::Alive, &context(4));
        assert_eq!(serde_json::from_slice::<Value>(&alive.body).unwrap()["incident"], Value::Null);
        assert_eq!(message, Message::new(&Alert::Down(incident), &context(3)), "the same again is the same");
        assert!(alive.id != message.id && alive.id.len() == 32);
    }
}
