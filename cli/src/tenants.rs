//! Compiling stage, pure: from what was read to the compiler's inputs, one tenant at a time. Every command that
//! compiles does it here.

use kr8tiv_compiler::{Bundle, Diagnostics, Inputs, Platform};
use kr8tiv_crds::{Agent, Harness, Tenant};

use crate::input::{Input, Read};
use crate::problem::Problem;

/// The uid of a tenant that has none: as long as any other, so that nothing else depends on it.
const NO_UID: &str = "00000000-0000-4000-8000-000000000000";

/// What a tenant is compiled from.
#[derive(Debug)]
pub struct Parts<'a> {
    /// The tenant.
    pub tenant: &'a Tenant,
    /// The Harness it refers to, if it is there.
    pub harness: Option<&'a Harness>,
    /// Its Agents.
    pub agents: Vec<&'a Agent>,
}

impl<'a> Parts<'a> {
    /// Gathers what belongs to a tenant. `None` when some of it could not be read.
    pub fn of(input: &'a Input, tenant: &'a Read<Tenant>) -> Option<Self> {
        let object = tenant.object.as_ref()?;
        let namespace = &tenant.id.namespace;
        let harness = harness_of(input, namespace, object);
        if harness.map_or(input.is_incomplete, |harness| harness.object.is_none()) {
            return None;
        }
        let mut agents = Vec::new();
        for agent in &input.objects.agents {
            let belongs = agent.id.namespace == *namespace
                && agent.node.text(&["spec", "tenantRef", "name"]) == Some(tenant.id.name.as_str());
            if belongs {
                agents.push(agent.object.as_ref()?);
            }
        }
        Some(Self { tenant: object, harness: harness.and_then(|harness| harness.object.as_ref()), agents })
    }

    /// Compiles them.
    pub fn compile(&self, platform: &Platform) -> Result<Bundle, Diagnostics> {
        let Self { tenant, harness, agents } = self;
        kr8tiv_compiler::compile(&Inputs { tenant, harness: *harness, agents, platform })
    }
}

/// The Harness that a tenant refers to.
pub fn harness_of<'a>(input: &'a Input, namespace: &str, tenant: &Tenant) -> Option<&'a Read<Harness>> {
    let name = &tenant.spec.harness_ref.name;
    input
        .objects
        .harnesses
        .iter()
        .find(|harness| harness.id.namespace == namespace && harness.id.name == *name)
}

/// Gives a tenant that no API server has seen a uid, so that everything but its id can be judged.
pub fn with_some_uid(tenant: &Tenant) -> Tenant {
    let mut tenant = tenant.clone();
    if kr8tiv_compiler::tenant_id(&tenant).is_none() {
        tenant.metadata.uid = Some(NO_UID.into());
    }
    tenant
}

/// What the compiler says, at its places in the files.
pub fn problems(input: &Input, namespace: &str, diagnostics: &Diagnostics) -> Vec<Problem> {
    let located = |diagnostic| {
        let mut problem = Problem::of_compiler(diagnostic, namespace);
        input.locate(&mut problem);
        problem
    };
    diagnostics.iter().map(located).collect()
}
