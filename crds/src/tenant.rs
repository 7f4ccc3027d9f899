//! The Tenant: one trust boundary with one OpenClaw gateway. Types only.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::channels::Channels;
use crate::coordination::Tier;
use crate::ingress::GatewayIngress;
use crate::network::Network;
use crate::pod_template::{PodTemplate, Variable, VariablesSource};
use crate::quantity::Quantity;
use crate::reference::{HarnessReference, OBJECT_NAME, SecretKeyReference};
use crate::tools::ToolNarrowing;
use crate::watchdog::Watchdog;

mod status;

pub use status::{
    TenantAgents, TenantGateway, TenantHarness, TenantImages, TenantMemory, TenantStatus, UnavailableImage,
};

/// One customer or team: one trust boundary, which gets one OpenClaw gateway of its own.
#[derive(Clone, CustomResource, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "kr8tiv.ai",
    version = "v1alpha1",
    kind = "Tenant",
    doc = "One customer or team: one trust boundary, which gets one OpenClaw gateway of its own.",
    plural = "tenants",
    shortname = "kten",
    category = "kr8tiv",
    namespaced,
    status = "TenantStatus",
    derive = "PartialEq",
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Harness","type":"string","jsonPath":".spec.harnessRef.name"}"#,
    printcolumn = r#"{"name":"Revision","type":"string","jsonPath":".status.harness.revision"}"#,
    printcolumn = r#"{"name":"Agents","type":"integer","jsonPath":".status.agents.desired"}"#,
    printcolumn = r#"{"name":"Memory","type":"string","jsonPath":".status.conditions[?(@.type==\"MemoryHealthy\")].reason"}"#,
    printcolumn = r#"{"name":"Version","type":"string","jsonPath":".status.gateway.version"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Tenant-ID","type":"string","priority":1,"jsonPath":".status.tenantId"}"#,
    printcolumn = r#"{"name":"Endpoint","type":"string","priority":1,"jsonPath":".status.gateway.endpoint"}"#,
    printcolumn = r#"{"name":"Message","type":"string","priority":1,"jsonPath":".status.conditions[?(@.type==\"Ready\")].message"}"#,
    validation = Rule::new("self.metadata.name.matches('^[a-z]([a-z0-9-]*[a-z0-9])?$') && self.metadata.name.size() <= 40")
        .message("metadata.name must start with a letter and be a DNS label of at most 40 characters (a-z, 0-9, '-'): the names of the gateway's objects are made from it")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.slug) == has(oldSelf.slug) && (!has(self.slug) || self.slug == oldSelf.slug)")
        .message("slug can't be changed: the tenant's id and volume are named by it; create a new Tenant instead"),
    validation = Rule::new("has(self.containerTag) == has(oldSelf.containerTag) && (!has(self.containerTag) || self.containerTag == oldSelf.containerTag)")
        .message("containerTag can't be changed: the tenant's memory is found by it; create a new Tenant instead"),
    validation = Rule::new("has(self.tenantId) == has(oldSelf.tenantId) && (!has(self.tenantId) || self.tenantId == oldSelf.tenantId)")
        .message("tenantId can't be changed: the tenant's volume and memory are found by it; create a new Tenant instead")
)]
pub struct TenantSpec {
    /// The tenant's name for people.
    #[schemars(length(min = 1, max = 100), regex(pattern = r"\S"))]
    pub display_name: String,
    /// Short name that the tenant's id starts with. When not set: the object's name. It can't be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 40), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub slug: Option<String>,
    /// The tenant's id, for a tenant that is restored and must find its volume again. When not set: the slug and
    /// eight hexadecimal digits of the object's uid. It can't be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 10, max = 49), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?-[0-9a-f]{8}$"))]
    pub tenant_id: Option<String>,
    /// The tag under which the tenant's memory is kept in Supermemory. When not set: the Harness's prefix and the
    /// tenant's id. Another Tenant's is refused. It can't be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100), regex(pattern = r"^[A-Za-z0-9_-]+$"))]
    pub container_tag: Option<String>,
    /// Presets for size: how many agents the tenant may have, and what its gateway gets of processor and memory where
    /// `gateway.resources` does not say it.
    #[serde(default)]
    #[schemars(default)]
    pub tier: Tier,
    /// The Harness that says how this tenant's agents may behave.
    pub harness_ref: HarnessReference,
    /// Limits of the tenant's agents.
    #[serde(default)]
    pub agents: AgentLimits,
    /// Tools of the Harness that no agent of this tenant has. A Tenant can't add any.
    #[serde(default)]
    pub tools: ToolNarrowing,
    /// How the gateway runs.
    #[serde(default)]
    pub gateway: Gateway,
    /// The messaging channels the gateway is connected to. The Harness must allow each of them.
    #[serde(default)]
    pub channels: Channels,
    /// Keys for model providers. A built-in provider can't be used without one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["provider".into()]))]
    pub model_credentials: Vec<ModelCredential>,
    /// Who is told whether the gateway is alive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watchdog: Option<Watchdog>,
    /// The tenant's access to Supermemory. The Harness says whether and how it is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supermemory: Option<SupermemoryAccess>,
    /// The tenant's access to the Mission Control that its Harness names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mission_control: Option<MissionControlAccess>,
    /// Which connections the gateway may make and take.
    #[serde(default)]
    pub network: Network,
    /// Whether the gateway is stopped. Its volume, configuration and token stay.
    #[serde(default)]
    #[schemars(default)]
    pub suspend: bool,
    /// What becomes of the gateway's volume when the Tenant is deleted.
    #[serde(default)]
    #[schemars(default)]
    pub deletion_policy: DeletionPolicy,
}

/// How the gateway runs.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Gateway {
    /// The OpenClaw release (`2026.9.6`, or a tag that names it, such as `v2026.9.6-slim` or `stable-20260906`); the
    /// configuration is compiled for exactly this one. When not set: the newest that the operator knows, so that an
    /// upgrade of the operator upgrades the gateway, unless the Harness pauses updates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"))]
    pub version: Option<String>,
    /// The container image, where the operator's default image does not fit: a mirror, or a digest. It must hold
    /// the release that `version` names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 500), regex(pattern = r"^[^\s]+$"))]
    pub image: Option<String>,
    /// Processor and memory of the gateway's container.
    #[serde(default)]
    pub resources: Resources,
    /// The gateway's volume: conversations, memory, workspaces.
    #[serde(default)]
    pub storage: Storage,
    /// The gateway's access token. When not set, the operator makes one and keeps it in a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_secret_ref: Option<SecretKeyReference>,
    /// Variables of the gateway's environment, beside those that the operator sets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub env: Vec<Variable>,
    /// Secrets and ConfigMaps all of whose keys become variables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub env_from: Vec<VariablesSource>,
    /// What is added to the gateway's Pod.
    #[serde(default)]
    pub pod_template: PodTemplate,
    /// The Ingress that leads to the gateway from outside of the cluster. When not set: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<GatewayIngress>,
    /// Further settings of openclaw.json, by OpenClaw's own keys, such as `{session: {reset: {mode: idle, idleMinutes: 60}}}`. Paths that
    /// the operator sets itself are refused by name, and all of it is checked against the schema of the release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "raw_config_schema")]
    pub config: Option<serde_json::Map<String, serde_json::Value>>,
}

/// Limits of a tenant's agents.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentLimits {
    /// How many Agents the tenant may have. When not set: what its tier allows, 4 (personal) or 32 (enterprise).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 64))]
    pub max: Option<i64>,
}

/// A tenant's access to Supermemory.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SupermemoryAccess {
    /// The API key. The operator uses it; the gateway never gets it.
    pub api_key_secret_ref: SecretKeyReference,
}

/// A tenant's access to Mission Control.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MissionControlAccess {
    /// The access token. It reaches the gateway as the environment variable `MISSION_CONTROL_TOKEN`.
    pub token_secret_ref: SecretKeyReference,
}

/// Processor and memory of a container.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// What the scheduler sets aside. When not set, by the tier. `personal`: 250m of a processor and 1280Mi of memory,
    /// which is what a gateway holds after a turn. `enterprise`: 1 and 2560Mi.
    #[serde(default)]
    pub requests: ResourceAmounts,
    /// What the container may use at most. When not set, 2Gi of memory (`personal`) or 4Gi (`enterprise`), and no limit
    /// of the processor. The JavaScript heap is sized from the limit of memory.
    #[serde(default)]
    pub limits: ResourceAmounts,
}

/// Amounts of processor and memory.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceAmounts {
    /// Processor, in cores (`1`, `500m`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Quantity>,
    /// Memory, in bytes (`2Gi`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Quantity>,
}

/// The gateway's volume.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.storageClassName) == has(oldSelf.storageClassName) && (!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)")
        .message("storageClassName can't be changed: a volume keeps its class; create a new Tenant and move the data"),
    validation = Rule::new("quantity(string(self.size)).compareTo(quantity(string(oldSelf.size))) >= 0")
        .message("size can only grow: a volume can't be shrunk")
)]
pub struct Storage {
    /// Size of the volume. It can be enlarged later where the storage class allows it, never shrunk.
    #[serde(default = "default_storage_size")]
    #[schemars(default = "default_storage_size")]
    pub size: Quantity,
    /// Storage class. When not set, the cluster's default. It can't be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = OBJECT_NAME))]
    pub storage_class_name: Option<String>,
}

impl Default for Storage {
    fn default() -> Self {
        Self { size: default_storage_size(), storage_class_name: None }
    }
}

/// The key for one model provider.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelCredential {
    /// The provider: the part before the slash in `provider/model`.
    #[schemars(length(min = 1, max = 40), regex(pattern = r"^[a-z]([a-z0-9-]*[a-z0-9])?$"))]
    pub provider: String,
    /// The provider's API key. It reaches the gateway as the environment variable in
    /// which OpenClaw looks for it.
    pub api_key_secret_ref: SecretKeyReference,
}

/// What becomes of a tenant's volume when the Tenant is deleted.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum DeletionPolicy {
    /// The volume claim stays, labelled with the tenant's id. A new Tenant with that `tenantId` takes it up.
    #[default]
    Retain,
    /// The volume claim is deleted with the Tenant.
    Delete,
}

/// What the replaced system and OpenClaw's own Kubernetes sample give a gateway.
fn default_storage_size() -> Quantity {
    Quantity("10Gi".into())
}

fn raw_config_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "object",
        "maxProperties": 64,
        "x-kubernetes-preserve-unknown-fields": true
    })
}
