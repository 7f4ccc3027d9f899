//! Where the tools of conversations other than an agent's main session run. Types only.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::network::EgressRule;
use crate::quantity::Quantity;
use crate::tenant::ResourceAmounts;

/// The Pods in which the tools of conversations other than an agent's main session run. They have none of the gateway's
/// variables and tokens, and of its files a copy of the agent's workspace, with its memory. Conversations in one sandbox
/// can read each other's files.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("quantity(string(self.scratchSize)).compareTo(quantity('1Mi')) >= 0")
        .message("scratchSize must be at least 1Mi").field_path(".scratchSize")
)]
pub struct Sandbox {
    /// Who shares a sandbox: all agents of a tenant, or nobody with another agent.
    #[serde(default)]
    #[schemars(default)]
    pub scope: SandboxScope,
    /// Processor and memory of each sandbox.
    #[serde(default)]
    pub resources: SandboxResources,
    /// How much the files in a sandbox may take, in `/workspaces` and as much again in `/tmp`. They are gone when its Pod
    /// ends. A sandbox that takes more is evicted.
    #[serde(default = "default_scratch_size")]
    #[schemars(default = "default_scratch_size")]
    pub scratch_size: Quantity,
    /// Where the commands in a sandbox may connect to; name servers come with it. When empty: nowhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub egress: Vec<EgressRule>,
}

impl Default for Sandbox {
    fn default() -> Self {
        Self {
            scope: SandboxScope::default(),
            resources: SandboxResources::default(),
            scratch_size: default_scratch_size(),
            egress: Vec::new(),
        }
    }
}

/// Who shares a sandbox.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum SandboxScope {
    /// One for each tenant.
    #[default]
    Tenant,
    /// One for each agent that has a tool which runs in a sandbox.
    Agent,
}

/// Processor and memory of a sandbox.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SandboxResources {
    /// What the scheduler sets aside. When not set: 20m of a processor and 64Mi of memory.
    #[serde(default)]
    pub requests: ResourceAmounts,
    /// What a sandbox may use at most. When not set: 1 processor and 512Mi of memory.
    #[serde(default)]
    pub limits: ResourceAmounts,
}

/// Where the commands of an agent's main session run: the one that whoever has the gateway's token speaks in, and that an
/// agent's regular turns are part of. Never a conversation over a channel.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum MainSessionCommands {
    /// Nowhere: they are refused.
    #[default]
    Refused,
    /// In the gateway, beside its keys and conversations.
    Gateway,
}

/// Room for a checkout and what is made of it.
fn default_scratch_size() -> Quantity {
    Quantity("1Gi".into())
}
