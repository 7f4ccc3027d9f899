//! How a tenant works with Mission Control. Types only.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The contract with a Mission Control: where it is, which pack is in force and what may be learned across borders.
/// Rendered into AGENTS.md and TOOLS.md, and into `MISSION_CONTROL_*` variables of the gateway.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Coordination {
    /// Base URL of Mission Control, such as `https://mission-control.example.com`.
    #[schemars(length(max = 500), regex(pattern = r"^https?://[^\s/?#@]+(/[^\s?#]*)?$"))]
    pub url: String,
    /// The tier under which packs are resolved.
    #[serde(default)]
    #[schemars(default)]
    pub tier: Tier,
    /// The pack that runs start from, `<key>@<version>`; the version starts at 1.
    #[schemars(length(min = 3, max = 80), regex(pattern = r"^[a-z0-9][a-z0-9-]*@[1-9][0-9]{0,8}$"))]
    pub pack_ref: String,
    /// Whether agents report every run.
    #[serde(default = "yes")]
    #[schemars(default = "yes")]
    pub telemetry: bool,
    /// What may be learned across borders.
    #[serde(default)]
    pub privacy: Privacy,
    /// As whom the agents appear.
    #[serde(default)]
    pub persona: Persona,
    /// How people are introduced.
    #[serde(default)]
    pub onboarding: Onboarding,
}

/// Presets for size.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// One person or a small team: unless the Tenant says otherwise, up to 4 agents in 2Gi of memory.
    #[default]
    Personal,
    /// A company: unless the Tenant says otherwise, up to 32 agents in 4Gi of memory.
    Enterprise,
}

impl Tier {
    /// The tier as written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Personal => "personal",
            Self::Enterprise => "enterprise",
        }
    }

    /// How many agents a tenant of the tier may have when it does not say so itself. Four is the old system's team.
    pub fn agent_limit(self) -> usize {
        match self {
            Self::Personal => 4,
            Self::Enterprise => 32,
        }
    }
}

/// What may be learned across borders. Nothing, unless allowed.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Privacy {
    /// Whether what is learned with this tenant may help others.
    #[serde(default)]
    #[schemars(default)]
    pub cross_tenant_learning: bool,
    /// Whether what is learned with one user may help the tenant's others.
    #[serde(default)]
    #[schemars(default)]
    pub cross_user_learning: bool,
}

/// As whom the agents appear.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.orchestrator) || !self.orchestrator || self.mode == 'team'")
        .message("orchestrator needs mode team: a single agent has nobody to orchestrate").field_path(".orchestrator")
)]
pub struct Persona {
    /// The preset in Mission Control.
    #[serde(default = "default_preset")]
    #[schemars(
        default = "default_preset",
        length(min = 1, max = 80),
        regex(pattern = r"^[a-z0-9][a-z0-9-]*$")
    )]
    pub preset_ref: String,
    /// Whether the agents are a team or one.
    #[serde(default)]
    #[schemars(default)]
    pub mode: PersonaMode,
    /// Whether AGENTS.md has the default agent coordinate the others. No tool for that is allowed. When not set: in mode `team`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orchestrator: Option<bool>,
}

impl Default for Persona {
    fn default() -> Self {
        Self { preset_ref: default_preset(), mode: PersonaMode::default(), orchestrator: None }
    }
}

/// Whether the agents are a team or one.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PersonaMode {
    /// Several agents that work together.
    #[default]
    Team,
    /// One agent.
    Individual,
}

impl PersonaMode {
    /// The mode as written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Team => "team",
            Self::Individual => "individual",
        }
    }
}

/// How people are introduced.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Onboarding {
    /// Whether the agents recommend a set-up to people who are new.
    #[serde(default = "yes")]
    #[schemars(default = "yes")]
    pub recommendations: bool,
    /// Abilities that they offer to newcomers, such as `voice`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        inner(length(min = 1, max = 60), regex(pattern = r"^[a-z0-9][a-z0-9_-]*$"))
    )]
    pub defaults: Vec<String>,
}

impl Default for Onboarding {
    fn default() -> Self {
        Self { recommendations: true, defaults: Vec::new() }
    }
}

fn yes() -> bool {
    true
}

fn default_preset() -> String {
    "default-team".into()
}
