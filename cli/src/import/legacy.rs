//! What a file of the replaced system says, whichever of its two formats it has. Types only.

use std::ops::Range;

use serde::Serialize;

/// The two formats of the replaced system.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Format {
    /// The one with the sections `tenant`, `identity`, `observability`.
    A,
    /// The one with `tenantId`, `role`, `modelPolicy`, `controlPlane`.
    B,
}

/// A value, and where it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Given<T> {
    /// The value.
    pub value: T,
    /// Path of the field in the file, such as `tools.allowlist[1]`.
    pub path: String,
    /// The bytes to point at.
    pub span: Range<usize>,
}

impl<T> Given<T> {
    /// Another value at the same place.
    pub fn with<U>(&self, value: U) -> Given<U> {
        Given { value, path: self.path.clone(), span: self.span.clone() }
    }
}

/// A list of texts.
pub type Texts = Given<Vec<Given<String>>>;

/// How much a model reasons, by the replaced system's names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reasoning {
    /// As much as it can.
    Max,
    /// A lot.
    High,
    /// What the replaced system took for usual.
    Normal,
    /// Not at all.
    Off,
}

/// Everything that a file says and that a resource type may have a place for. What has no place is in the report
/// already.
#[derive(Clone, Debug, PartialEq)]
pub struct Legacy {
    /// Which format the file has.
    pub format: Format,
    /// The name for machines.
    pub id: Given<String>,
    /// The name for people.
    pub display_name: Given<String>,
    /// Who the agents are.
    pub character: Character,
    /// The channels that are on.
    pub channels: Vec<Given<String>>,
    /// Whether strangers are paired first.
    pub dm_pairing_required: Option<Given<bool>>,
    /// Whether agents answer in groups only when they are mentioned.
    pub mention_gating: Option<Given<bool>>,
    /// Which tools there are.
    pub tools: Tools,
    /// Which models there are; format A has none.
    pub models: Models,
    /// What agents remember.
    pub memory: Memory,
    /// How the gateway is watched and updated.
    pub operation: Operation,
    /// The contract with Mission Control.
    pub coordination: Option<Coordination>,
}

/// Who the agents are and what they do.
#[derive(Clone, Debug, PartialEq)]
pub struct Character {
    /// The job title.
    pub role: Given<String>,
    /// Why the agents exist; only in format A.
    pub purpose: Option<Given<String>>,
    /// How they come across; only in format A.
    pub personality: Option<Given<String>>,
    /// How they write.
    pub communication_style: Option<Given<String>>,
    /// What they hold true.
    pub core_truths: Texts,
    /// How they sound.
    pub vibe: Given<String>,
    /// What they never do.
    pub hard_limits: Option<Texts>,
    /// When they hand over.
    pub escalation_rules: Option<Texts>,
    /// Their duties.
    pub responsibilities: Texts,
    /// When a duty is done well; only in format A.
    pub success_criteria: Option<Texts>,
    /// What may be in a workspace although it looks secret.
    pub allowed_in_workspace: Option<Texts>,
    /// What is left out of answers.
    pub redaction_rules: Option<Texts>,
}

/// Which tools there are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tools {
    /// What is allowed.
    pub allow: Option<Texts>,
    /// What is denied.
    pub deny: Option<Texts>,
    /// Whether other sessions than the main one are in a sandbox.
    pub sandbox_non_main_sessions: Option<Given<bool>>,
    /// Whether owners may leave the sandbox.
    pub elevated: Option<Given<bool>>,
}

/// Which models there are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Models {
    /// The one that answers.
    pub primary: Option<Given<String>>,
    /// The ones that are tried next.
    pub fallbacks: Option<Texts>,
    /// Whether the models are locked.
    pub lock_routes: Option<Given<bool>>,
    /// Whether they may be changed nevertheless.
    pub allow_runtime_override: Option<Given<bool>>,
    /// How much they reason.
    pub reasoning: Option<Given<Reasoning>>,
}

/// What agents remember.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    /// First content of MEMORY.md.
    pub seed: Option<Given<String>>,
    /// Days for which notes are kept.
    pub retention_days: Option<Given<u64>>,
    /// Whether Supermemory is used.
    pub enabled: Option<Given<bool>>,
    /// Environment variable of its key.
    pub key_variable: Option<Given<String>>,
    /// Its address.
    pub base_url: Option<Given<String>>,
    /// What tags start with.
    pub tag_prefix: Option<Given<String>>,
    /// The tenant's tag.
    pub container_tag: Option<Given<String>>,
    /// Lines of a query.
    pub top_k: Option<Given<u64>>,
    /// Least similarity, 0 to 1.
    pub threshold: Option<Given<f64>>,
    /// Whether documents are put in.
    pub ingestion: Option<Given<bool>>,
    /// Whether documents replace each other.
    pub dedupe: Option<Given<bool>>,
    /// Where documents come from.
    pub namespace: Option<Given<String>>,
    /// Whether agents look back on tasks.
    pub reflection: Option<Given<bool>>,
    /// The line in which they do.
    pub reflection_template: Option<Given<String>>,
}

/// How the gateway is watched, recovered and updated.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Operation {
    /// The tenant's webhook.
    pub owner_webhook: Option<Given<String>>,
    /// The platform's webhook.
    pub management_webhook: Option<Given<String>>,
    /// Seconds between two signs of life.
    pub heartbeat_seconds: Option<Given<u64>>,
    /// Seconds of silence until an alert.
    pub down_alert_seconds: Option<Given<u64>>,
    /// Who takes over, by the names of the replaced system's agents.
    pub recovery_order: Option<Texts>,
    /// Seconds between two restarts.
    pub cooldown_seconds: Option<Given<u64>>,
    /// `stable`, `beta` or `dev`.
    pub update_channel: Option<Given<String>>,
    /// When updates may begin, in free words.
    pub update_window: Option<Given<String>>,
    /// The gateway's image.
    pub image: Option<Given<String>>,
}

/// The contract with Mission Control; only format B has one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Coordination {
    /// Its address.
    pub url: Option<Given<String>>,
    /// File of the token.
    pub token_file: Option<Given<String>>,
    /// `personal` or `enterprise`.
    pub tier: Option<Given<String>>,
    /// The pack that runs start from.
    pub pack_ref: Option<Given<String>>,
    /// Whether runs are reported.
    pub telemetry: Option<Given<bool>>,
    /// Whether other tenants learn from this one.
    pub cross_tenant_learning: Option<Given<bool>>,
    /// Whether users learn from each other.
    pub cross_user_learning: Option<Given<bool>>,
    /// The preset of the persona.
    pub preset: Option<Given<String>>,
    /// `team` or `individual`.
    pub mode: Option<Given<String>>,
    /// Whether there is an orchestrator.
    pub orchestrator: Option<Given<bool>>,
    /// Whether newcomers get recommendations.
    pub recommendations: Option<Given<bool>>,
    /// What they are offered.
    pub defaults: Option<Texts>,
}
