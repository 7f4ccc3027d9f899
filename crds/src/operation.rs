//! How a tenant's gateway is watched, recovered and updated. Types only.

use kube::KubeSchema;
use kube::core::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::{self, seconds};

/// How the gateway is watched and when somebody is told. Written into `watchdog.json` of the tenant's configuration
/// and, for people, into HEARTBEAT.md.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("duration(self.heartbeatInterval) >= duration('30s')")
        .message("heartbeatInterval must be at least 30s").field_path(".heartbeatInterval"),
    validation = Rule::new("duration(self.downAlertThreshold).getSeconds() >= 2 * duration(self.heartbeatInterval).getSeconds()")
        .message("downAlertThreshold must be at least twice heartbeatInterval: one missed sign of life is no alarm").field_path(".downAlertThreshold")
)]
pub struct Observability {
    /// How often the Tenant's webhooks are told that the gateway is alive, at least 30s.
    #[serde(default = "default_heartbeat_interval")]
    #[schemars(default = "default_heartbeat_interval", schema_with = "duration::schema")]
    pub heartbeat_interval: Duration,
    /// How long the gateway must be down before the webhooks are told; at least twice `heartbeatInterval`.
    #[serde(default = "default_down_alert_threshold")]
    #[schemars(default = "default_down_alert_threshold", schema_with = "duration::schema")]
    pub down_alert_threshold: Duration,
}

impl Default for Observability {
    fn default() -> Self {
        Self {
            heartbeat_interval: default_heartbeat_interval(),
            down_alert_threshold: default_down_alert_threshold(),
        }
    }
}

/// How a gateway that is down is brought back. Written into `watchdog.json` of the tenant's configuration; `order` is
/// told to the agents in AGENTS.md.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("duration(self.cooldown) >= duration('30s')")
        .message("cooldown must be at least 30s").field_path(".cooldown")
)]
pub struct Recovery {
    /// How often a gateway is restarted within an hour at most; 0 is never.
    #[serde(default = "default_max_restarts_per_hour")]
    #[schemars(default = "default_max_restarts_per_hour", range(min = 0, max = 60))]
    pub max_restarts_per_hour: i64,
    /// How long to wait between two restarts, at least 30s. A restart that was held back does not begin it anew.
    #[serde(default = "default_cooldown")]
    #[schemars(default = "default_cooldown", schema_with = "duration::schema")]
    pub cooldown: Duration,
    /// For how long an alert with the same cause is not sent again.
    #[serde(default = "default_alert_dedupe")]
    #[schemars(default = "default_alert_dedupe", schema_with = "duration::schema")]
    pub alert_dedupe: Duration,
    /// Ids of the agents that are told, in AGENTS.md, to take over what is urgent when those before them do not answer, the
    /// first one first. No conversation is moved. A tenant without one of them skips it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 16),
        inner(length(min = 1, max = 40), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub order: Option<Vec<String>>,
}

impl Default for Recovery {
    fn default() -> Self {
        Self {
            max_restarts_per_hour: default_max_restarts_per_hour(),
            cooldown: default_cooldown(),
            alert_dedupe: default_alert_dedupe(),
            order: None,
        }
    }
}

/// When gateways are updated.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Updates {
    /// How early tenants of this Harness are to get new releases: for tools of yours. Rendered into `update.channel` of
    /// openclaw.json and the label `kr8tiv.ai/update-channel` of the StatefulSet; it does not choose the release.
    #[serde(default)]
    #[schemars(default)]
    pub channel: UpdateChannel,
    /// When updates may begin: for tools of yours. Rendered into the annotation `kr8tiv.ai/update-window` of the
    /// StatefulSet; the operator does not wait for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<UpdateWindow>,
    /// Whether gateways whose Tenant names no `gateway.version` stay on the release that they run.
    #[serde(default)]
    #[schemars(default)]
    pub paused: bool,
}

/// How early new releases are taken, by OpenClaw's names.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum UpdateChannel {
    /// Releases that proved themselves.
    #[default]
    Stable,
    /// Releases that are about to become stable.
    Beta,
    /// Every release.
    Dev,
}

impl UpdateChannel {
    /// The channel's id in openclaw.json.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Beta => "beta",
            Self::Dev => "dev",
        }
    }
}

/// A time at which something may begin, again and again.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("duration(self.duration) >= duration('15m') && duration(self.duration) <= duration('168h')")
        .message("duration must be between 15m and 168h").field_path(".duration")
)]
pub struct UpdateWindow {
    /// When the window opens, as a cron expression of five fields, such as `0 2 * * 1-5`.
    #[schemars(length(min = 9, max = 100), regex(pattern = r"^\S+( \S+){4}$"))]
    pub schedule: String,
    /// Time zone of the schedule, by its IANA name, such as `Europe/Berlin`.
    #[serde(default = "default_time_zone")]
    #[schemars(
        default = "default_time_zone",
        length(min = 1, max = 64),
        regex(pattern = r"^[A-Za-z0-9_+/-]+$")
    )]
    pub time_zone: String,
    /// How long the window stays open, from 15m to 168h.
    #[schemars(schema_with = "duration::schema")]
    pub duration: Duration,
}

fn default_heartbeat_interval() -> Duration {
    seconds(60).into()
}

fn default_down_alert_threshold() -> Duration {
    seconds(300).into()
}

fn default_max_restarts_per_hour() -> i64 {
    3
}

fn default_cooldown() -> Duration {
    seconds(300).into()
}

fn default_alert_dedupe() -> Duration {
    seconds(900).into()
}

fn default_time_zone() -> String {
    "UTC".into()
}
