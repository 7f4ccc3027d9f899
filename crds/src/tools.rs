//! Which tools agents may use. Types only.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::sandbox::{MainSessionCommands, Sandbox};

/// Which tools the agents may use, by OpenClaw's tool ids (`read`, `web_search`) and groups (`group:fs`).
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.allow) || !has(self.deny) || !self.allow.exists(tool, tool in self.deny)")
        .message("a tool is in both allow and deny: remove it from one of them")
)]
pub struct ToolPolicy {
    /// Tools the agents may use. Empty: reading files of the workspace, session status, sending a message.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 64), regex(pattern = r"^(group:)?[a-z][a-z0-9_-]*$")))]
    pub allow: Vec<String>,
    /// Tools the agents may never use, also when a group in `allow` contains them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 64), regex(pattern = r"^(group:)?[a-z][a-z0-9_-]*$")))]
    pub deny: Vec<String>,
    /// Whether the tools of conversations other than an agent's main session run in a sandbox. Every chat of a channel
    /// is such a conversation. Switched off, they run in the gateway, beside its keys.
    #[serde(default = "yes")]
    #[schemars(default = "yes")]
    pub sandbox_non_main_sessions: bool,
    /// The sandbox: who shares one, what it gets, and what it reaches.
    #[serde(default)]
    pub sandbox: Sandbox,
    /// Where the commands of an agent's main session run while other conversations have a sandbox.
    #[serde(default)]
    #[schemars(default)]
    pub main_session_commands: MainSessionCommands,
    /// Whether the Tenant's owners may have single commands run in the gateway instead of the sandbox.
    #[serde(default)]
    #[schemars(default)]
    pub elevated: bool,
}

impl Default for ToolPolicy {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            deny: Vec::new(),
            sandbox_non_main_sessions: true,
            sandbox: Sandbox::default(),
            main_session_commands: MainSessionCommands::default(),
            elevated: false,
        }
    }
}

/// What a Tenant or an Agent takes away from the tools that the level above allows. It can't add any.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.allow) || !has(self.deny) || !self.allow.exists(tool, tool in self.deny)")
        .message("a tool is in both allow and deny: remove it from one of them")
)]
pub struct ToolNarrowing {
    /// The only tools that stay, by OpenClaw's ids and groups; each must be allowed above. When not set: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(max = 64), regex(pattern = r"^(group:)?[a-z][a-z0-9_-]*$")))]
    pub allow: Option<Vec<String>>,
    /// Tools that are taken away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 64), regex(pattern = r"^(group:)?[a-z][a-z0-9_-]*$")))]
    pub deny: Vec<String>,
}

fn yes() -> bool {
    true
}
