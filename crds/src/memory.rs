//! What agents remember beyond a conversation: Supermemory, ingestion, reflection. Types only.

use kube::KubeSchema;
use kube::core::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::{self, seconds};

/// Context from Supermemory that agents are given. Written into `memory.json` of the tenant's configuration, and told
/// to the agents in AGENTS.md.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("duration(self.timeout) >= duration('1s') && duration(self.timeout) <= duration('60s')")
        .message("timeout must be between 1s and 60s").field_path(".timeout"),
    validation = Rule::new("duration(self.refreshInterval) >= duration('60s')")
        .message("refreshInterval must be at least 60s: every refresh asks Supermemory once per query").field_path(".refreshInterval")
)]
pub struct Supermemory {
    /// Whether context is fetched. The Tenant must have a key in `spec.supermemory.apiKeySecretRef`.
    #[serde(default)]
    #[schemars(default)]
    pub enabled: bool,
    /// Base URL of the service, for one that is hosted by yourself.
    #[serde(default = "default_base_url")]
    #[schemars(
        default = "default_base_url",
        length(max = 500),
        regex(pattern = r"^https?://[^\s/?#@]+(/[^\s?#]*)?$")
    )]
    pub base_url: String,
    /// What the tag of a tenant's memory starts with: `<prefix>-<tenant id>`, unless the Tenant has a tag of its own in
    /// `spec.containerTag`. Tenants that have a tag keep it.
    #[serde(default = "default_tag_prefix")]
    #[schemars(
        default = "default_tag_prefix",
        length(min = 1, max = 40),
        regex(pattern = r"^[A-Za-z0-9_-]+$")
    )]
    pub container_tag_prefix: String,
    /// How many lines of context there are at most, over all queries.
    #[serde(default = "default_top_k")]
    #[schemars(default = "default_top_k", range(min = 1, max = 50))]
    pub top_k: i64,
    /// How similar a memory must be to the query, from 0 to 1.
    #[serde(default = "default_threshold")]
    #[schemars(default = "default_threshold", range(min = 0.0, max = 1.0))]
    pub threshold: f64,
    /// How long one request may take, from 1s to 60s.
    #[serde(default = "default_timeout")]
    #[schemars(default = "default_timeout", schema_with = "duration::schema")]
    pub timeout: Duration,
    /// What is looked up, in plain words, such as `preferences of the people of this tenant`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 500), regex(pattern = r"\S")))]
    pub queries: Vec<String>,
    /// How often the context is fetched again, at least 60s.
    #[serde(default = "default_refresh_interval")]
    #[schemars(default = "default_refresh_interval", schema_with = "duration::schema")]
    pub refresh_interval: Duration,
}

impl Default for Supermemory {
    fn default() -> Self {
        Self {
            enabled: false,
            base_url: default_base_url(),
            container_tag_prefix: default_tag_prefix(),
            top_k: default_top_k(),
            threshold: default_threshold(),
            timeout: default_timeout(),
            queries: Vec::new(),
            refresh_interval: default_refresh_interval(),
        }
    }
}

/// What of a tenant is put into Supermemory. Written into `memory.json` of the tenant's configuration; in force only
/// while `supermemory.enabled` is true.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemoryIngestion {
    /// Whether the memory seed is put into Supermemory.
    #[serde(default = "yes")]
    #[schemars(default = "yes")]
    pub enabled: bool,
    /// Whether a document that is put in again replaces the earlier one, by its `customId`.
    #[serde(default = "yes")]
    #[schemars(default = "yes")]
    pub dedupe_by_custom_id: bool,
    /// The part of a document's `customId` and metadata that says where it came from.
    #[serde(default = "default_namespace")]
    #[schemars(
        default = "default_namespace",
        length(min = 1, max = 40),
        regex(pattern = r"^[A-Za-z0-9_-]+$")
    )]
    pub metadata_namespace: String,
}

impl Default for MemoryIngestion {
    fn default() -> Self {
        Self { enabled: true, dedupe_by_custom_id: true, metadata_namespace: default_namespace() }
    }
}

/// How agents learn from finished tasks. Rendered into AGENTS.md.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reinforcement {
    /// Whether agents look back on a task when it is done.
    #[serde(default = "yes")]
    #[schemars(default = "yes")]
    pub enabled: bool,
    /// The line that an agent fills in, its parts divided by `|`.
    #[serde(default = "default_reflection_template")]
    #[schemars(default = "default_reflection_template", length(min = 1, max = 500), regex(pattern = r"\S"))]
    pub reflection_template: String,
}

impl Default for Reinforcement {
    fn default() -> Self {
        Self { enabled: true, reflection_template: default_reflection_template() }
    }
}

fn yes() -> bool {
    true
}

fn default_base_url() -> String {
    "https://api.supermemory.ai".into()
}

fn default_tag_prefix() -> String {
    "tenant".into()
}

fn default_top_k() -> i64 {
    8
}

fn default_threshold() -> f64 {
    0.45
}

fn default_timeout() -> Duration {
    seconds(8).into()
}

/// Memories change with conversations, not with seconds.
fn default_refresh_interval() -> Duration {
    seconds(900).into()
}

fn default_namespace() -> String {
    "kr8tiv".into()
}

fn default_reflection_template() -> String {
    "Goal | Outcome | What worked | What failed | Rule for next time".into()
}
