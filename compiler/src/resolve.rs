//! First stage: references are followed and defaults and overrides are merged. Pure.

use std::collections::{BTreeMap, BTreeSet};

use kr8tiv_crds::agent::{Binding, Heartbeat};
use kr8tiv_crds::harness::{HarnessSpec, Identity, WorkspaceFile};
use kr8tiv_crds::tenant::TenantSpec;
use kr8tiv_crds::tools::ToolNarrowing;
use kr8tiv_crds::{Agent, Harness, Tenant, meta};

use crate::diagnostics::{Code, Diagnostic, Diagnostics, ObjectName};
use crate::inputs::Inputs;
use crate::openclaw::tools::{ToolSet, effective, narrowed};
use crate::openclaw::{SUPPORTED_VERSIONS, version};
use crate::sandbox::{Sandbox, sandboxes};

/// The agent of a tenant that has no Agents.
const IMPLICIT_AGENT: &str = "main";

/// A tenant with everything that its parts inherit.
#[derive(Clone, Debug)]
pub(crate) struct Resolved<'a> {
    pub(crate) tenant: ResolvedTenant<'a>,
    pub(crate) harness_object: ObjectName,
    pub(crate) harness: &'a HarnessSpec,
    /// The tools that an agent of the tenant may have at most.
    pub(crate) tools: ToolSet<'a>,
    /// Sorted by id and object, so that the order of arrival has no effect.
    pub(crate) agents: Vec<ResolvedAgent<'a>>,
    /// Every sandbox of the tenant.
    pub(crate) sandboxes: Vec<Sandbox<'a>>,
    /// Which keys the sandboxes have, by name.
    pub(crate) sandbox_keys: &'a BTreeMap<String, String>,
}

/// The tenant itself.
#[derive(Clone, Debug)]
pub(crate) struct ResolvedTenant<'a> {
    pub(crate) object: ObjectName,
    pub(crate) name: &'a str,
    pub(crate) namespace: &'a str,
    /// `None` offline: then objects have no owner.
    pub(crate) uid: Option<&'a str>,
    pub(crate) id: String,
    /// The tag under which the tenant's memory is kept.
    pub(crate) container_tag: String,
    /// The OpenClaw release that is compiled for.
    pub(crate) version: String,
    /// The rotation that the gateway's token is of; `None` for the first token, and for one of the user's.
    pub(crate) token_rotation: Option<&'a str>,
    pub(crate) spec: &'a TenantSpec,
}

/// One agent, with what it takes from the harness and the tenant.
#[derive(Clone, Debug)]
pub(crate) struct ResolvedAgent<'a> {
    /// The Agent, or the Tenant for the agent that nobody declared.
    pub(crate) object: ObjectName,
    pub(crate) id: &'a str,
    pub(crate) display_name: &'a str,
    pub(crate) declared_default: bool,
    pub(crate) identity: Identity,
    pub(crate) emoji: Option<&'a str>,
    pub(crate) model: Option<&'a str>,
    /// What the agent takes away from the tenant's tools.
    pub(crate) narrowing: Option<&'a ToolNarrowing>,
    /// The tools that the agent has.
    pub(crate) tools: ToolSet<'a>,
    pub(crate) heartbeat: Option<&'a Heartbeat>,
    /// Files beyond those of the harness.
    pub(crate) own_files: &'a [WorkspaceFile],
    pub(crate) bindings: &'a [Binding],
    /// The skills of the harness that the agent has; `None`: all of them.
    pub(crate) skills: Option<&'a [String]>,
}

impl ResolvedAgent<'_> {
    /// Whether the agent can run commands.
    pub(crate) fn runs_commands(&self) -> bool {
        self.tools.allow.contains("exec")
    }

    /// Whether the agent can change files of its workspace.
    pub(crate) fn may_write(&self) -> bool {
        ["apply_patch", "edit", "write"].iter().any(|tool| self.tools.allow.contains(tool))
    }
}

/// Follows the references of a tenant. `None` when one leads nowhere; the diagnostics say which.
pub(crate) fn resolve<'a>(inputs: &Inputs<'a>, diagnostics: &mut Diagnostics) -> Option<Resolved<'a>> {
    let harness = harness(inputs, diagnostics);
    let id = id(inputs.tenant, diagnostics);
    let (harness, id) = (harness?, id?);
    let tools = narrowed(&effective(&harness.spec.tools), &inputs.tenant.spec.tools);
    let mut agents: Vec<_> =
        inputs.agents.iter().map(|agent| self::agent(agent, &harness.spec.identity, &tools)).collect();
    if agents.is_empty() {
        agents.push(implicit_agent(inputs.tenant, &harness.spec.identity, &tools));
    }
    agents.sort_by(|a, b| (a.id, &a.object).cmp(&(b.id, &b.object)));
    let tenant = tenant(inputs, &harness.spec, id);
    Some(Resolved {
        sandboxes: sandboxes(&harness.spec.tools, &tenant, &agents),
        tenant,
        harness_object: ObjectName {
            kind: "Harness",
            name: harness.metadata.name.clone().unwrap_or_default(),
        },
        harness: &harness.spec,
        tools,
        agents,
        sandbox_keys: &inputs.surroundings.sandbox_keys,
    })
}

/// The id that an Agent has in OpenClaw.
pub fn agent_id(agent: &Agent) -> &str {
    agent.spec.agent_id.as_deref().or(agent.metadata.name.as_deref()).unwrap_or_default()
}

/// The id of a tenant: the one it names, or its slug and the start of its uid. `None` without either.
pub fn tenant_id(tenant: &Tenant) -> Option<String> {
    if let Some(id) = &tenant.spec.tenant_id {
        return Some(id.clone());
    }
    let slug = tenant.spec.slug.as_deref().or(tenant.metadata.name.as_deref())?;
    // The first eight digits of a uid (RFC 9562, version 4) are random.
    let digits: String =
        tenant.metadata.uid.as_deref()?.chars().filter(char::is_ascii_hexdigit).take(8).collect();
    (digits.len() == 8).then(|| format!("{slug}-{}", digits.to_ascii_lowercase()))
}

/// The namespace of the Harness that a Tenant refers to; `None` is the Tenant's own.
pub fn harness_namespace(tenant: &Tenant) -> Option<&str> {
    let named = tenant.spec.harness_ref.namespace.as_deref()?;
    (tenant.metadata.namespace.as_deref() != Some(named)).then_some(named)
}

fn harness<'a>(inputs: &Inputs<'a>, diagnostics: &mut Diagnostics) -> Option<&'a Harness> {
    if inputs.harness.is_none() {
        let reference = &inputs.tenant.spec.harness_ref;
        diagnostics.push(Diagnostic {
            code: Code::HarnessNotFound,
            object: tenant_name(inputs.tenant),
            field: "spec.harnessRef.name".into(),
            problem: format!(
                "there is no Harness {} in namespace {}",
                reference.name,
                reference.namespace.as_deref().unwrap_or_else(|| namespace(inputs.tenant))
            ),
            fix: "create it, or name an existing one (kubectl get harnesses.kr8tiv.ai)".into(),
        });
    }
    inputs.harness
}

fn id(tenant: &Tenant, diagnostics: &mut Diagnostics) -> Option<String> {
    let id = tenant_id(tenant);
    if id.is_none() {
        diagnostics.push(Diagnostic {
            code: Code::TenantIdUnknown,
            object: tenant_name(tenant),
            field: "spec.tenantId".into(),
            problem: "the tenant has no uid yet, from which its id would be made".into(),
            fix: "set spec.tenantId, such as acme-0a1b2c3d".into(),
        });
    }
    id
}

/// The container tag of a tenant that names none.
pub fn container_tag(prefix: &str, tenant_id: &str) -> String {
    format!("{prefix}-{tenant_id}")
}

fn tenant<'a>(inputs: &Inputs<'a>, harness: &HarnessSpec, id: String) -> ResolvedTenant<'a> {
    let tenant = inputs.tenant;
    let container_tag = tenant
        .spec
        .container_tag
        .clone()
        .unwrap_or_else(|| container_tag(&harness.supermemory.container_tag_prefix, &id));
    ResolvedTenant {
        object: tenant_name(tenant),
        name: tenant.metadata.name.as_deref().unwrap_or_default(),
        namespace: namespace(tenant),
        uid: tenant.metadata.uid.as_deref(),
        id,
        container_tag,
        version: gateway_version(inputs, harness),
        token_rotation: inputs
            .surroundings
            .token_rotation
            .as_deref()
            .or_else(|| asked_rotation(tenant))
            .filter(|_| tenant.spec.gateway.token_secret_ref.is_none()),
        spec: &tenant.spec,
    }
}

/// The rotation of the gateway's token that a Tenant asks for. The empty value asks for none.
pub fn asked_rotation(tenant: &Tenant) -> Option<&str> {
    let annotations = tenant.metadata.annotations.as_ref()?;
    annotations.get(meta::ROTATE_TOKEN).map(String::as_str).filter(|value| !value.is_empty())
}

/// The rotation of its sandboxes' keys that a Tenant asks for. The empty value asks for none.
pub fn asked_sandbox_rotation(tenant: &Tenant) -> Option<&str> {
    let annotations = tenant.metadata.annotations.as_ref()?;
    annotations.get(meta::ROTATE_SANDBOX_KEYS).map(String::as_str).filter(|value| !value.is_empty())
}

/// The release that the tenant names, by its canonical name; the one it runs while updates are paused; else the newest.
fn gateway_version(inputs: &Inputs<'_>, harness: &HarnessSpec) -> String {
    let running = inputs.surroundings.running_version.as_deref().filter(|_| harness.updates.paused);
    match inputs.tenant.spec.gateway.version.as_deref().or(running) {
        None => SUPPORTED_VERSIONS[0].into(),
        Some(named) => version::release(named).map_or_else(|| named.into(), |release| release.to_string()),
    }
}

fn tenant_name(tenant: &Tenant) -> ObjectName {
    ObjectName { kind: "Tenant", name: tenant.metadata.name.clone().unwrap_or_default() }
}

fn namespace(tenant: &Tenant) -> &str {
    tenant.metadata.namespace.as_deref().unwrap_or("default")
}

fn agent<'a>(agent: &'a Agent, harness: &Identity, tools: &ToolSet<'a>) -> ResolvedAgent<'a> {
    let spec = &agent.spec;
    let own = &spec.identity;
    let id = agent_id(agent);
    let or = |own: &Option<String>, inherited: &String| own.as_ref().unwrap_or(inherited).clone();
    ResolvedAgent {
        object: ObjectName { kind: "Agent", name: agent.metadata.name.clone().unwrap_or_default() },
        id,
        display_name: spec.display_name.as_deref().unwrap_or(id),
        declared_default: spec.default,
        identity: Identity {
            role: or(&own.role, &harness.role),
            purpose: or(&own.purpose, &harness.purpose),
            personality: or(&own.personality, &harness.personality),
            communication_style: own
                .communication_style
                .clone()
                .or_else(|| harness.communication_style.clone()),
        },
        emoji: own.emoji.as_deref(),
        model: spec.model.as_deref(),
        narrowing: Some(&spec.tools),
        tools: narrowed(tools, &spec.tools),
        heartbeat: spec.heartbeat.as_ref(),
        own_files: &spec.workspace.files,
        bindings: &spec.bindings,
        skills: spec.skills.as_deref(),
    }
}

fn implicit_agent<'a>(tenant: &'a Tenant, harness: &Identity, tools: &ToolSet<'a>) -> ResolvedAgent<'a> {
    ResolvedAgent {
        object: tenant_name(tenant),
        id: IMPLICIT_AGENT,
        display_name: &tenant.spec.display_name,
        declared_default: true,
        identity: harness.clone(),
        emoji: None,
        model: None,
        narrowing: None,
        tools: tools.clone(),
        heartbeat: None,
        own_files: &[],
        bindings: &[],
        skills: None,
    }
}

/// Ids of all agents, each once.
pub(crate) fn agent_ids<'a>(resolved: &'a Resolved<'_>) -> BTreeSet<&'a str> {
    resolved.agents.iter().map(|agent| agent.id).collect()
}
