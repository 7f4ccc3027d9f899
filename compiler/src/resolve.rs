//! First stage: references are followed and defaults and overrides are merged. Pure.

use kr8tiv_crds::agent::Binding;
use kr8tiv_crds::harness::{HarnessSpec, Identity};
use kr8tiv_crds::tenant::TenantSpec;
use kr8tiv_crds::{Agent, Tenant};

use crate::diagnostics::{Code, Diagnostic, Diagnostics, ObjectName};
use crate::inputs::Inputs;
use crate::openclaw::SUPPORTED_VERSIONS;

/// The agent of a tenant that has no Agents.
const IMPLICIT_AGENT: &str = "main";

/// A tenant with everything that its parts inherit.
#[derive(Clone, Debug)]
pub(crate) struct Resolved<'a> {
    pub(crate) tenant: ResolvedTenant<'a>,
    pub(crate) harness: &'a HarnessSpec,
    /// Sorted by id and object, so that the order of arrival has no effect.
    pub(crate) agents: Vec<ResolvedAgent<'a>>,
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
    /// The OpenClaw release that is compiled for.
    pub(crate) version: &'a str,
    pub(crate) spec: &'a TenantSpec,
}

/// One agent, with what it takes from the harness.
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
    pub(crate) bindings: &'a [Binding],
}

/// Follows the references of a tenant. `None` when one leads nowhere; the diagnostics say which.
pub(crate) fn resolve<'a>(inputs: &Inputs<'a>, diagnostics: &mut Diagnostics) -> Option<Resolved<'a>> {
    let tenant = tenant(inputs.tenant, diagnostics);
    let Some(harness) = inputs.harness else {
        diagnostics.push(Diagnostic {
            code: Code::HarnessNotFound,
            object: tenant_name(inputs.tenant),
            field: "spec.harnessRef.name".into(),
            problem: format!(
                "there is no Harness {} in namespace {}",
                inputs.tenant.spec.harness_ref.name,
                namespace(inputs.tenant)
            ),
            fix: "create it, or name an existing one (kubectl get harnesses.kr8tiv.ai)".into(),
        });
        return None;
    };
    let tenant = tenant?;
    let mut agents: Vec<_> =
        inputs.agents.iter().map(|agent| self::agent(agent, &harness.spec.identity)).collect();
    if agents.is_empty() {
        agents.push(implicit_agent(inputs.tenant, &harness.spec.identity));
    }
    agents.sort_by(|a, b| (a.id, &a.object).cmp(&(b.id, &b.object)));
    Some(Resolved { tenant, harness: &harness.spec, agents })
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

fn tenant<'a>(tenant: &'a Tenant, diagnostics: &mut Diagnostics) -> Option<ResolvedTenant<'a>> {
    let Some(id) = tenant_id(tenant) else {
        diagnostics.push(Diagnostic {
            code: Code::TenantIdUnknown,
            object: tenant_name(tenant),
            field: "spec.tenantId".into(),
            problem: "the tenant has no uid yet, from which its id would be made".into(),
            fix: "set spec.tenantId, such as acme-0a1b2c3d".into(),
        });
        return None;
    };
    Some(ResolvedTenant {
        object: tenant_name(tenant),
        name: tenant.metadata.name.as_deref().unwrap_or_default(),
        namespace: namespace(tenant),
        uid: tenant.metadata.uid.as_deref(),
        id,
        version: tenant.spec.gateway.version.as_deref().unwrap_or(SUPPORTED_VERSIONS[0]),
        spec: &tenant.spec,
    })
}

fn tenant_name(tenant: &Tenant) -> ObjectName {
    ObjectName { kind: "Tenant", name: tenant.metadata.name.clone().unwrap_or_default() }
}

fn namespace(tenant: &Tenant) -> &str {
    tenant.metadata.namespace.as_deref().unwrap_or("default")
}

fn agent<'a>(agent: &'a Agent, harness: &Identity) -> ResolvedAgent<'a> {
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
        bindings: &spec.bindings,
    }
}

fn implicit_agent<'a>(tenant: &'a Tenant, harness: &Identity) -> ResolvedAgent<'a> {
    ResolvedAgent {
        object: tenant_name(tenant),
        id: IMPLICIT_AGENT,
        display_name: &tenant.spec.display_name,
        declared_default: true,
        identity: harness.clone(),
        emoji: None,
        model: None,
        bindings: &[],
    }
}
