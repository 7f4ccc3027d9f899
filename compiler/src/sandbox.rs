//! Which sandboxes a tenant has, and what they are called. Pure.
//!
//! In a sandbox run the tools of conversations other than an agent's main session. It is a Pod with an sshd, which the
//! gateway reaches with a key of the sandbox's own.

use std::collections::BTreeSet;

use kr8tiv_crds::sandbox::SandboxScope;
use kr8tiv_crds::tools::ToolPolicy;

use crate::hash;
use crate::resolve::{Resolved, ResolvedAgent, ResolvedTenant};

/// Tools that OpenClaw runs in a sandbox, and those that take files from it: without one, they fail.
const SANDBOXED: [&str; 12] = [
    "apply_patch",
    "edit",
    "exec",
    "image_generate",
    "ls",
    "music_generate",
    "pdf",
    "process",
    "read",
    "video_generate",
    "view_image",
    "write",
];

/// The port of a sandbox's sshd: a user without rights can't have one below 1024.
pub const SANDBOX_PORT: i32 = 2222;
/// The user of a sandbox.
pub(crate) const USER: &str = "sandbox";
/// Folder of a sandbox that conversations have their files in.
pub(crate) const WORKSPACES: &str = "/workspaces";

/// Keys of a sandbox's Secret: what the gateway shows it.
pub const CLIENT_KEY: &str = "id_ed25519";
/// How the gateway knows the sandbox.
pub const KNOWN_HOSTS: &str = "known_hosts";
/// What the sandbox shows the gateway.
pub const HOST_KEY: &str = "ssh_host_ed25519_key";
/// How the sandbox knows the gateway.
pub const AUTHORIZED_KEYS: &str = "authorized_keys";

/// The StatefulSet controller makes a label of the name, a '-' and ten digits, which has at most 63 characters.
const NAME_LIMIT: usize = 52;
/// Digits that tell two agents' sandboxes apart. A name that ends with them is no tenant's: those end with a word.
const HASH_DIGITS: usize = 10;

/// A sandbox.
#[derive(Clone, Debug)]
pub(crate) struct Sandbox<'a> {
    /// What its objects are called.
    pub(crate) name: String,
    /// Whose it is; `None` for all agents of the tenant.
    pub(crate) agent: Option<&'a str>,
    /// Where the gateway reaches it.
    pub(crate) host: String,
}

impl<'a> Sandbox<'a> {
    fn new(tenant: &ResolvedTenant<'_>, agent: Option<&'a str>) -> Self {
        let name = match agent {
            None => tenants_name(tenant.name),
            Some(agent) => agents_name(tenant.name, agent),
        };
        let host = format!("{name}.{}.svc", tenant.namespace);
        Self { name, agent, host }
    }

    /// The Secret with its keys.
    pub(crate) fn secret(&self) -> String {
        format!("{}-ssh", self.name)
    }
}

/// What the sandbox of all agents is called, and what is for all sandboxes of a tenant.
pub(crate) fn tenants_name(tenant: &str) -> String {
    format!("{tenant}-sandbox")
}

/// Tenants' and agents' names have dashes, so that joining two is not enough to tell them from two others.
fn agents_name(tenant: &str, agent: &str) -> String {
    let mut digits = hash::canonical(&[tenant, agent]);
    digits.truncate(HASH_DIGITS);
    let mut name = format!("{}-{agent}", tenants_name(tenant));
    name.truncate(name.floor_char_boundary(NAME_LIMIT - 1 - HASH_DIGITS));
    format!("{}-{digits}", name.trim_end_matches('-'))
}

/// Every sandbox of a tenant with these agents.
pub(crate) fn sandboxes<'a>(
    policy: &ToolPolicy,
    tenant: &ResolvedTenant<'_>,
    agents: &[ResolvedAgent<'a>],
) -> Vec<Sandbox<'a>> {
    let agents = agents.iter().filter(|agent| needs(policy, agent));
    // Agents with equal ids, which a diagnostic names, have one sandbox.
    let whose: BTreeSet<Option<&'a str>> = agents.map(|agent| whose(policy, agent)).collect();
    whose.into_iter().map(|agent| Sandbox::new(tenant, agent)).collect()
}

/// The sandbox in which an agent's tools run, when it has such tools.
pub(crate) fn of_agent<'r, 'a>(
    resolved: &'r Resolved<'a>,
    agent: &ResolvedAgent<'_>,
) -> Option<&'r Sandbox<'a>> {
    let policy = &resolved.harness.tools;
    let whose = whose(policy, agent);
    resolved.sandboxes.iter().find(|sandbox| sandbox.agent == whose).filter(|_| needs(policy, agent))
}

fn whose<'a>(policy: &ToolPolicy, agent: &ResolvedAgent<'a>) -> Option<&'a str> {
    match policy.sandbox.scope {
        SandboxScope::Tenant => None,
        SandboxScope::Agent => Some(agent.id),
    }
}

fn needs(policy: &ToolPolicy, agent: &ResolvedAgent<'_>) -> bool {
    policy.sandbox_non_main_sessions && SANDBOXED.iter().any(|tool| agent.tools.allow.contains(tool))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_nobody_elses() {
        let long = "a".repeat(40);
        let names = [
            tenants_name("a"),
            tenants_name("a-sandbox"),
            tenants_name(&long),
            agents_name("a", "b"),
            agents_name("a", "sandbox"),
            agents_name("a", "b-gateway"),
            agents_name("a-sandbox", "b"),
            agents_name("a", "sandbox-b"),
            agents_name(&long, &long),
            agents_name(&long, "b"),
            "a-gateway".to_owned(),
            "a-sandbox-b-gateway".to_owned(),
        ];
        for name in &names {
            assert!(name.len() <= NAME_LIMIT && crate::names::is_label(name, NAME_LIMIT), "{name}");
        }
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
        assert!(agents_name("a", "b").starts_with("a-sandbox-b-"));
    }
}
