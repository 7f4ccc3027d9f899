//! The Harness: how agents may behave, shared by tenants. Types only.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::channels::ChannelName;
use crate::coordination::Coordination;
use crate::memory::{MemoryIngestion, Reinforcement, Supermemory};
use crate::operation::{Observability, Recovery, Updates};
use crate::sharing::Sharing;
use crate::skills::Skills;
use crate::status::conditions_schema;
use crate::tools::ToolPolicy;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// A shared, versioned description of how agents may behave. Tenants in the same namespace refer to it by name;
/// a change reaches all of them at once, without a restart of their gateways.
#[derive(Clone, CustomResource, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "kr8tiv.ai",
    version = "v1alpha1",
    kind = "Harness",
    doc = "A shared, versioned description of how agents may behave.",
    plural = "harnesses",
    shortname = "khar",
    category = "kr8tiv",
    namespaced,
    status = "HarnessStatus",
    derive = "PartialEq",
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Revision","type":"string","jsonPath":".status.revision"}"#,
    printcolumn = r#"{"name":"Tenants","type":"integer","jsonPath":".status.tenants.total"}"#,
    printcolumn = r#"{"name":"Failed","type":"integer","jsonPath":".status.tenants.failed"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Message","type":"string","priority":1,"jsonPath":".status.conditions[?(@.type==\"Ready\")].message"}"#,
    validation = Rule::new("self.metadata.name.size() <= 63").message("metadata.name must be at most 63 characters: it is used in labels")
)]
#[serde(rename_all = "camelCase")]
pub struct HarnessSpec {
    /// Who the agents are. Rendered into AGENTS.md (role, purpose) and SOUL.md (personality, style).
    pub identity: Identity,
    /// What the agents hold true and how they sound. Rendered into SOUL.md.
    pub soul: Soul,
    /// What the agents must never do and when they hand over to a person. Rendered into AGENTS.md.
    #[serde(default)]
    pub boundaries: Boundaries,
    /// What the agents do and what success looks like. Rendered into AGENTS.md.
    pub job_functions: JobFunctions,
    /// Which channels tenants may connect, and how strangers are met there. Rendered into `channels` of
    /// openclaw.json.
    #[serde(default)]
    pub channels: ChannelPolicy,
    /// Which tools the agents may use. Rendered into `tools` of openclaw.json and the Tools section of AGENTS.md.
    #[serde(default)]
    pub tools: ToolPolicy,
    /// Which language models the agents run on. Rendered into `agents.defaults.model` and `models` of
    /// openclaw.json.
    pub models: Models,
    /// Files in the agents' workspaces beyond the standard ones.
    #[serde(default)]
    pub workspace: Workspace,
    /// Skills that the agents may read. Copied into the gateway's Pod; OpenClaw lists them to the model.
    #[serde(default)]
    pub skills: Skills,
    /// How agents treat secrets. Rendered into AGENTS.md and TOOLS.md.
    #[serde(default)]
    pub secrets: SecretPolicy,
    /// Context from Supermemory. Written into `memory.json` of the tenant's configuration, and told in AGENTS.md.
    #[serde(default)]
    pub supermemory: Supermemory,
    /// What of a tenant is put into Supermemory. Written into `memory.json` of the tenant's configuration.
    #[serde(default)]
    pub memory_ingestion: MemoryIngestion,
    /// How agents learn from finished tasks. Rendered into AGENTS.md.
    #[serde(default)]
    pub reinforcement: Reinforcement,
    /// How gateways are watched. Written into `watchdog.json` of the tenant's configuration, and into HEARTBEAT.md.
    #[serde(default)]
    pub observability: Observability,
    /// How gateways that are down are brought back. Written into `watchdog.json` of the tenant's configuration, and
    /// told in AGENTS.md.
    #[serde(default)]
    pub recovery: Recovery,
    /// When gateways are updated. Rendered into `update.channel` of openclaw.json and onto the StatefulSet.
    #[serde(default)]
    pub updates: Updates,
    /// The contract with a Mission Control. Rendered into AGENTS.md, TOOLS.md and the gateway's environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coordination: Option<Coordination>,
    /// Which namespaces' Tenants may use this Harness.
    #[serde(default)]
    pub sharing: Sharing,
}

/// Who an agent is.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// The job title, such as `support agent`.
    #[schemars(length(min = 1, max = 200), regex(pattern = r"\S"))]
    pub role: String,
    /// Why the agent exists, in one or two sentences.
    #[schemars(length(min = 1, max = 2000), regex(pattern = r"\S"))]
    pub purpose: String,
    /// How the agent comes across, such as `calm, curious, exact`.
    #[schemars(length(min = 1, max = 2000), regex(pattern = r"\S"))]
    pub personality: String,
    /// How the agent writes. When not set: direct, concise and practical.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2000), regex(pattern = r"\S"))]
    pub communication_style: Option<String>,
}

/// What an agent holds true.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Soul {
    /// Convictions that guide every answer, the most important first.
    #[schemars(length(min = 1, max = 50), inner(length(min = 1, max = 1000), regex(pattern = r"\S")))]
    pub core_truths: Vec<String>,
    /// The tone of voice, such as `warm, never gushing`.
    #[schemars(length(min = 1, max = 2000), regex(pattern = r"\S"))]
    pub vibe: String,
}

/// What an agent must never do, and when it hands over to a person.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Boundaries {
    /// Things the agent never does, whoever asks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), inner(length(min = 1, max = 1000), regex(pattern = r"\S")))]
    pub hard_limits: Vec<String>,
    /// When the agent stops and asks a person.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), inner(length(min = 1, max = 1000), regex(pattern = r"\S")))]
    pub escalation_rules: Vec<String>,
}

/// What an agent does.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobFunctions {
    /// The agent's duties.
    #[schemars(length(min = 1, max = 50), inner(length(min = 1, max = 1000), regex(pattern = r"\S")))]
    pub responsibilities: Vec<String>,
    /// How to tell that the duties are done well.
    #[schemars(length(min = 1, max = 50), inner(length(min = 1, max = 1000), regex(pattern = r"\S")))]
    pub success_criteria: Vec<String>,
}

/// Which channels tenants may connect, and how strangers are met there.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChannelPolicy {
    /// Channels a tenant may configure. Empty: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub allow: Vec<ChannelName>,
    /// Whether a stranger's direct message is answered with a pairing code that the owner must approve, instead
    /// of by the agent.
    #[serde(default = "yes")]
    #[schemars(default = "yes")]
    pub dm_pairing_required: bool,
    /// Whether the agent answers in groups only when it is mentioned.
    #[serde(default = "yes")]
    #[schemars(default = "yes")]
    pub mention_gating: bool,
}

impl Default for ChannelPolicy {
    fn default() -> Self {
        Self { allow: Vec::new(), dm_pairing_required: true, mention_gating: true }
    }
}

/// Which language models the agents run on. A model is written `provider/model`.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Models {
    /// The model that answers, such as `anthropic/claude-sonnet-4-6`.
    #[schemars(length(max = 200), regex(pattern = r"^[a-z]([a-z0-9-]*[a-z0-9])?/[^\s/][^\s]*$"))]
    pub primary: String,
    /// Models that are tried in this order when the primary one fails.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 8),
        inner(length(max = 200), regex(pattern = r"^[a-z]([a-z0-9-]*[a-z0-9])?/[^\s/][^\s]*$"))
    )]
    pub fallbacks: Vec<String>,
    /// Whether the choice of model is fixed: no Agent may name another one and no user may switch it in a chat.
    #[serde(default = "yes")]
    #[schemars(default = "yes")]
    pub lock: bool,
    /// How much the model reasons before it answers. When not set, OpenClaw's default for the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<Reasoning>,
    /// Model servers beyond OpenClaw's built-in providers, such as a company's own OpenAI-compatible gateway.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub providers: Vec<ModelProvider>,
}

/// How much a model reasons before it answers: OpenClaw's `thinkingDefault`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reasoning {
    /// No reasoning.
    Off,
    /// As little as the model can.
    Minimal,
    /// A little.
    Low,
    /// A moderate amount.
    Medium,
    /// A lot.
    High,
    /// As the model sees fit.
    Adaptive,
    /// As much as the model can.
    Max,
}

/// A model server of one's own.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelProvider {
    /// The provider's name: the part before the slash in `provider/model`.
    #[schemars(length(min = 1, max = 40), regex(pattern = r"^[a-z]([a-z0-9-]*[a-z0-9])?$"))]
    pub name: String,
    /// Base URL of the server, such as `https://models.example.com/v1`.
    #[schemars(length(max = 500), regex(pattern = r"^https?://[^\s/?#@]+(/[^\s?#]*)?$"))]
    pub base_url: String,
    /// The protocol that the server speaks.
    #[serde(default)]
    #[schemars(default)]
    pub api: ModelApi,
    /// The models it serves.
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["id".into()]))]
    pub models: Vec<ProviderModel>,
}

/// The protocol of a model server, by OpenClaw's name.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelApi {
    /// OpenAI's chat completions.
    #[default]
    OpenaiCompletions,
    /// OpenAI's responses.
    OpenaiResponses,
    /// Anthropic's messages.
    AnthropicMessages,
}

impl ModelApi {
    /// The protocol's id in openclaw.json.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenaiCompletions => "openai-completions",
            Self::OpenaiResponses => "openai-responses",
            Self::AnthropicMessages => "anthropic-messages",
        }
    }
}

/// One model of a model server of one's own.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProviderModel {
    /// The model's id, as the server knows it: the part after the slash in `provider/model`.
    #[schemars(length(min = 1, max = 150), regex(pattern = r"^[^\s/][^\s]*$"))]
    pub id: String,
    /// How many tokens fit into the model's context.
    #[serde(default = "default_context_window")]
    #[schemars(default = "default_context_window", range(min = 8000, max = 10_000_000))]
    pub context_window: i64,
    /// How many tokens the model may answer with.
    #[serde(default = "default_max_tokens")]
    #[schemars(default = "default_max_tokens", range(min = 256, max = 1_000_000))]
    pub max_tokens: i64,
}

/// How agents treat secrets. Words for the agents: values of Secrets never reach a workspace in any case.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretPolicy {
    /// What agents may write into their workspaces although it looks like a secret, such as `public API keys of our
    /// own demo`. Empty: nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 200), regex(pattern = r"\S")))]
    pub allowed_in_workspace: Vec<String>,
    /// What agents leave out of answers and files, such as `card numbers, except for the last four digits`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 500), regex(pattern = r"\S")))]
    pub redaction_rules: Vec<String>,
}

/// Files in the agents' workspaces beyond the standard ones.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Workspace {
    /// For how many days agents keep notes about people and tasks in their workspaces. Told to the agents in AGENTS.md;
    /// they do the tidying.
    #[serde(default = "default_retention_days")]
    #[schemars(default = "default_retention_days", range(min = 1, max = 3650))]
    pub retention_days: i64,
    /// First content of MEMORY.md. It is written once per agent; afterwards the file belongs to the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 15_000))]
    pub memory_seed: Option<String>,
    /// More Markdown files, which AGENTS.md points to and the agent reads when it needs them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub files: Vec<WorkspaceFile>,
}

impl Default for Workspace {
    fn default() -> Self {
        Self { retention_days: default_retention_days(), memory_seed: None, files: Vec::new() }
    }
}

/// A Markdown file for the agents' workspaces.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!(self.name.upperAscii() in ['AGENTS.MD','SOUL.MD','IDENTITY.MD','USER.MD','MEMORY.MD','TOOLS.MD','HEARTBEAT.MD','BOOTSTRAP.MD','CONTEXT.MD'])")
        .message("this name belongs to a file that the operator or OpenClaw writes: choose another name")
)]
pub struct WorkspaceFile {
    /// File name, such as `REFUNDS.md`.
    #[schemars(length(max = 64), regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9_-]*\.md$"))]
    pub name: String,
    /// What the file is for, in a few words; AGENTS.md says it beside the name.
    #[schemars(length(min = 1, max = 200), regex(pattern = r"\S"))]
    pub description: String,
    /// The file's content, written as it is.
    #[schemars(length(min = 1, max = 20_000))]
    pub content: String,
}

/// What the operator knows about a Harness.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HarnessStatus {
    /// The `metadata.generation` that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Hash of the current spec, ten hexadecimal digits; tenants show the one that they were given last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The tenants that use this Harness.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenants: Option<HarnessTenants>,
    /// `Compiled`, `Ready`, and while true `Reconciling`, `Stalled`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Vec<Condition>,
}

/// How many tenants use a Harness.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HarnessTenants {
    /// All tenants that refer to the Harness.
    pub total: i64,
    /// Those whose gateway serves the current revision.
    pub ready: i64,
    /// Those for which the current revision does not compile.
    pub failed: i64,
}

fn yes() -> bool {
    true
}

/// The replaced system's default.
fn default_retention_days() -> i64 {
    30
}

/// What most current models offer at the least; OpenClaw compacts a conversation by it.
fn default_context_window() -> i64 {
    128_000
}

fn default_max_tokens() -> i64 {
    8192
}
