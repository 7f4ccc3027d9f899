//! The Agent: one agent in a tenant's gateway. Types only.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::core::Duration;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::channels::ChannelName;
use crate::duration;
use crate::harness::WorkspaceFile;
use crate::reference::LocalReference;
use crate::status::conditions_schema;
use crate::tools::ToolNarrowing;

/// One agent in a tenant's gateway. A tenant without Agents has one agent, `main`.
#[derive(Clone, CustomResource, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "kr8tiv.ai",
    version = "v1alpha1",
    kind = "Agent",
    doc = "One agent in a tenant's gateway. A tenant without Agents has one agent, main.",
    plural = "agents",
    shortname = "kage",
    category = "kr8tiv",
    namespaced,
    status = "AgentStatus",
    derive = "PartialEq",
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Tenant","type":"string","jsonPath":".spec.tenantRef.name"}"#,
    printcolumn = r#"{"name":"Default","type":"boolean","jsonPath":".spec.default"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Message","type":"string","priority":1,"jsonPath":".status.conditions[?(@.type==\"Ready\")].message"}"#,
    validation = Rule::new("has(self.spec.agentId) || (self.metadata.name.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?$') && self.metadata.name.size() <= 40)")
        .message("metadata.name can't serve as the agent's id (a-z, 0-9, '-', at most 40 characters): set spec.agentId")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.tenantRef.name == oldSelf.tenantRef.name")
        .message("tenantRef can't be changed: an agent's workspace and conversations belong to its tenant; create a new Agent instead"),
    validation = Rule::new("has(self.agentId) == has(oldSelf.agentId) && (!has(self.agentId) || self.agentId == oldSelf.agentId)")
        .message("agentId can't be changed: the agent's workspace is named by it; create a new Agent instead")
)]
pub struct AgentSpec {
    /// The Tenant, in the same namespace, in whose gateway the agent lives. It can't be changed.
    pub tenant_ref: LocalReference,
    /// The agent's id in OpenClaw. When not set: the object's name. It can't be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 40), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub agent_id: Option<String>,
    /// Whether this agent answers what no binding gives to another. One agent of a tenant is the default; a
    /// tenant's only agent is it without saying so.
    #[serde(default)]
    #[schemars(default)]
    pub default: bool,
    /// The agent's name for people. When not set: the agent's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100), regex(pattern = r"\S"))]
    pub display_name: Option<String>,
    /// What sets this agent apart from the Harness's identity. What is not set comes from the Harness.
    #[serde(default)]
    pub identity: AgentIdentity,
    /// The model of this agent, `provider/model`. The Harness must not lock its models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200), regex(pattern = r"^[a-z]([a-z0-9-]*[a-z0-9])?/[^\s/][^\s]*$"))]
    pub model: Option<String>,
    /// Tools that this agent does not have although its Tenant has them. An Agent can't add any.
    #[serde(default)]
    pub tools: ToolNarrowing,
    /// Regular turns in which the agent looks after things unasked. When not set: none. Rendered into
    /// `agents.entries.<id>.heartbeat` of openclaw.json.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<Heartbeat>,
    /// Files in the agent's workspace beyond those of the Harness.
    #[serde(default)]
    pub workspace: AgentWorkspace,
    /// Conversations that this agent answers instead of the default agent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub bindings: Vec<Binding>,
    /// The skills of the Harness that this agent has. When not set: all of them. Empty: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 60),
        inner(length(min = 1, max = 64), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))
    )]
    pub skills: Option<Vec<String>>,
}

/// What sets an agent apart from the Harness's identity.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentIdentity {
    /// The agent's job title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200), regex(pattern = r"\S"))]
    pub role: Option<String>,
    /// Why the agent exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2000), regex(pattern = r"\S"))]
    pub purpose: Option<String>,
    /// How the agent comes across.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2000), regex(pattern = r"\S"))]
    pub personality: Option<String>,
    /// How the agent writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2000), regex(pattern = r"\S"))]
    pub communication_style: Option<String>,
    /// One emoji that stands beside the agent's name in chats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), regex(pattern = r"^[^\s]+$"))]
    pub emoji: Option<String>,
}

/// Regular turns in which an agent looks after things unasked.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("duration(self.every) >= duration('15m')")
        .message("every must be at least 15m: each turn costs a call of the model").field_path(".every")
)]
pub struct Heartbeat {
    /// How often, at least every 15m.
    #[serde(default = "default_heartbeat")]
    #[schemars(default = "default_heartbeat", schema_with = "duration::schema")]
    pub every: Duration,
    /// What the agent does then. It answers `NO_REPLY` when nothing needs attention.
    #[schemars(length(min = 1, max = 4000), regex(pattern = r"\S"))]
    pub prompt: String,
    /// Who gets the answer.
    #[serde(default)]
    #[schemars(default)]
    pub target: HeartbeatTarget,
    /// The hours of the day within which it happens. When not set: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_hours: Option<ActiveHours>,
}

/// Who gets the answer of a heartbeat, by OpenClaw's names.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HeartbeatTarget {
    /// The Tenant's first owner.
    #[default]
    Owner,
    /// Whoever the agent talked with last.
    Last,
    /// Nobody.
    None,
}

impl HeartbeatTarget {
    /// The target's id in openclaw.json.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Last => "last",
            Self::None => "none",
        }
    }
}

/// Hours of the day.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ActiveHours {
    /// Beginning, `HH:MM`.
    #[schemars(length(max = 5), regex(pattern = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    pub start: String,
    /// End, `HH:MM`, up to `24:00`.
    #[schemars(length(max = 5), regex(pattern = r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"))]
    pub end: String,
    /// Time zone, by its IANA name, such as `Europe/Berlin`.
    #[serde(default = "default_time_zone")]
    #[schemars(
        default = "default_time_zone",
        length(min = 1, max = 64),
        regex(pattern = r"^[A-Za-z0-9_+/-]+$")
    )]
    pub time_zone: String,
}

/// Files in an agent's workspace beyond those of its Harness.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentWorkspace {
    /// More Markdown files, which AGENTS.md points to. Their names differ from those of the Harness.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub files: Vec<WorkspaceFile>,
}

/// Conversations that an agent answers: one, those of a group of people, or all of a channel.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.peer), has(self.guildId), has(self.teamId)].filter(given, given).size() <= 1")
        .message("peer, guildId and teamId exclude each other: make a binding of each"),
    validation = Rule::new("!has(self.guildId) || self.channel == 'discord'")
        .message("guildId is for the channel discord"),
    validation = Rule::new("!has(self.teamId) || self.channel == 'slack'")
        .message("teamId is for the channel slack"),
    validation = Rule::new("!has(self.roles) || has(self.guildId)")
        .message("roles are those of a Discord server: set guildId")
)]
pub struct Binding {
    /// The channel. The Tenant must have it configured.
    pub channel: ChannelName,
    /// The name of one of the Tenant's accounts of the channel. When not set: every account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub account_id: Option<String>,
    /// One conversation. When nothing but the account is set: every conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<Peer>,
    /// Id of a Discord server: the conversations in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 20), regex(pattern = r"^[0-9]+$"))]
    pub guild_id: Option<String>,
    /// Ids of roles in the Discord server: only what members with one of these roles write there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 20), regex(pattern = r"^[0-9]+$")))]
    pub roles: Vec<String>,
    /// Id of a Slack workspace: the conversations in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 20), regex(pattern = r"^[TE][A-Z0-9]+$"))]
    pub team_id: Option<String>,
}

/// One conversation in a channel.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Peer {
    /// What kind of conversation it is.
    pub kind: PeerKind,
    /// The conversation's id in the channel: Telegram's chat id `-1001234567890`, a Discord channel's id, Slack's
    /// `C12345678`, WhatsApp's `120363424282127706@g.us`; for `direct` the other person's id. `*`: every
    /// conversation of the kind.
    #[schemars(length(min = 1, max = 100), regex(pattern = r"^[^\s]+$"))]
    pub id: String,
}

/// Kinds of conversations, by OpenClaw's names. It does not tell groups and channels apart.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PeerKind {
    /// With one person.
    Direct,
    /// With a group, as Telegram and WhatsApp call it.
    Group,
    /// In a channel, as Discord and Slack call it.
    Channel,
}

impl PeerKind {
    /// The kind's id in openclaw.json.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Group => "group",
            Self::Channel => "channel",
        }
    }
}

/// What the operator knows about an Agent.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentStatus {
    /// The `metadata.generation` that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The agent's id in OpenClaw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// `Accepted`, `Compiled`, `Ready`, and while true `Reconciling`, `Stalled`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Vec<Condition>,
}

/// Twice an hour: often enough to be useful, a few cents a day.
fn default_heartbeat() -> Duration {
    duration::seconds(1800).into()
}

fn default_time_zone() -> String {
    "UTC".into()
}
