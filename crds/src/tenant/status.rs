//! What the operator says of a Tenant. Types only.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::duration::{self, Duration};
use crate::status::conditions_schema;

/// What the operator knows about a Tenant.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantStatus {
    /// The `metadata.generation` that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The tenant's id, unique in the cluster; it never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// The tag under which the tenant's memory is kept; it never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_tag: Option<String>,
    /// The Harness that the running gateway was last given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub harness: Option<TenantHarness>,
    /// Hash of the configuration and workspaces that were compiled and applied last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle_hash: Option<String>,
    /// The gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<TenantGateway>,
    /// The agents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agents: Option<TenantAgents>,
    /// Images that the gateway does without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<TenantImages>,
    /// Restarts of the gateway by the operator, because it did not serve and did not come back by itself: those within an
    /// hour before the last one. The Harness's `recovery` limits them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "times_schema")]
    pub restarts: Vec<Time>,
    /// What is known of the tenant's memory in Supermemory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<TenantMemory>,
    /// `Ready`, `Compiled`, `GatewayReady`; while there is something to say of them `ConfigApplied`, `PolicyEnforced`,
    /// `WatchdogHealthy`, `SkillsReady`, `PluginsReady`, `MemoryHealthy`, `SandboxReady`; and while true `Degraded`,
    /// `Drifted`, `Suspended`, `Reconciling`, `Stalled`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Vec<Condition>,
}

/// As many as the Harness's `recovery.maxRestartsPerHour` allows at most.
fn times_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "array", "maxItems": 60, "items": {"type": "string", "format": "date-time"}})
}

/// The Harness a tenant runs.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantHarness {
    /// Name of the Harness.
    pub name: String,
    /// Its namespace, when that is not the Tenant's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Hash of its spec, ten hexadecimal digits; equal to the Harness's `status.revision` when up to date.
    pub revision: String,
}

/// The gateway of a tenant.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantGateway {
    /// The OpenClaw release that was applied.
    pub version: String,
    /// Where the gateway is reached within the cluster.
    pub endpoint: String,
}

/// Images that a tenant's gateway does without, those of skill packs and of channels' plugins: they can't be pulled, and
/// their containers would keep the Pod from starting.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantImages {
    /// The value of the annotation `kr8tiv.ai/retry-images` that was heeded last. Another value has the images tried
    /// again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<String>,
    /// The images, until they are asked for no more or tried again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unavailable: Vec<UnavailableImage>,
}

/// An image that can't be pulled.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UnavailableImage {
    /// The image, as the Pod's spec has it.
    pub image: String,
    /// Why it can't be pulled, as kubelet said first.
    pub problem: String,
}

/// What is known of a tenant's memory. It is written when the lines or the condition `MemoryHealthy` change, not at each
/// refresh: while that condition is true, `lastSuccess` and `latency` are of the refresh that last changed something.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantMemory {
    /// When every query was last answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_success: Option<Time>,
    /// Lines of context that the agents have in `CONTEXT.md`.
    #[serde(default)]
    #[schemars(range(min = 0, max = 50))]
    pub lines: i64,
    /// How long the slowest query took then, with its retries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "duration::schema")]
    pub latency: Option<Duration>,
    /// The `customId` of the memory seed that was put into Supermemory last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    pub ingested: Option<String>,
}

/// The agents of a tenant.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantAgents {
    /// Agents in the bundle that was applied last.
    pub desired: i64,
}
