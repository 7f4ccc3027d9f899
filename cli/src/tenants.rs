//! Compiling stage, pure: from what was read to the compiler's inputs, one tenant at a time. Every command that
//! compiles does it here.

use std::collections::BTreeMap;

use kr8tiv_compiler::{Bundle, Code, Diagnostics, Inputs, Platform, Surroundings, TokenHolder};
use kr8tiv_crds::reference::SecretKeyReference;
use kr8tiv_crds::sharing::SharedFrom;
use kr8tiv_crds::{Agent, Harness, Tenant};

use crate::input::{Input, Read};
use crate::problem::{Problem, Severity};

/// The uid of a tenant that has none: as long as any other, so that nothing else depends on it.
const NO_UID: &str = "00000000-0000-4000-8000-000000000000";

/// The tokens of channels that tenants have, by what names them.
pub type Tokens = BTreeMap<SecretKeyReference, TokenHolder>;

/// What a tenant is compiled from.
#[derive(Debug)]
pub struct Parts<'a> {
    /// The tenant.
    pub tenant: &'a Tenant,
    /// The Harness it refers to, if it is there.
    pub harness: Option<&'a Harness>,
    /// Its Agents.
    pub agents: Vec<&'a Agent>,
    /// What is around it.
    pub surroundings: Surroundings,
}

impl<'a> Parts<'a> {
    /// Gathers what belongs to a tenant. `None` when some of it could not be read.
    pub fn of(input: &'a Input, tenant: &'a Read<Tenant>) -> Option<Self> {
        let object = tenant.object.as_ref()?;
        let namespace = &tenant.id.namespace;
        let harness = harness_of(input, object);
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
        let status = object.status.as_ref();
        let gateway = status.and_then(|status| status.gateway.as_ref());
        let surroundings = Surroundings {
            namespace_labels: input.objects.namespaces.get(namespace).cloned().unwrap_or_default(),
            running_version: gateway.map(|gateway| gateway.version.clone()),
            container_tag: status.and_then(|status| status.container_tag.clone()),
            unavailable_images: unavailable_images(object).map(str::to_owned).collect(),
            ..Surroundings::default()
        };
        let harness = harness.and_then(|harness| harness.object.as_ref());
        Some(Self { tenant: object, harness, agents, surroundings })
    }

    /// Compiles them.
    pub fn compile(&self, platform: &Platform) -> Result<Bundle, Diagnostics> {
        let Self { tenant, harness, agents, surroundings } = self;
        kr8tiv_compiler::compile(&Inputs { tenant, harness: *harness, agents, platform, surroundings })
    }
}

/// The images that a tenant does without, as the operator told of them.
pub fn unavailable_images(tenant: &Tenant) -> impl Iterator<Item = &str> {
    let images = tenant.status.as_ref().and_then(|status| status.images.as_ref());
    images.into_iter().flat_map(|images| &images.unavailable).map(|unavailable| unavailable.image.as_str())
}

/// The Harness that a tenant refers to.
pub fn harness_of<'a>(input: &'a Input, tenant: &Tenant) -> Option<&'a Read<Harness>> {
    let name = &tenant.spec.harness_ref.name;
    let own = tenant.metadata.namespace.as_deref().unwrap_or_default();
    let namespace = kr8tiv_compiler::harness_namespace(tenant).unwrap_or(own);
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

/// The tokens of a tenant's channels, as far as they can be told apart without their values: by what names them.
pub fn tokens(tenant: &Tenant) -> Tokens {
    let name = tenant.metadata.name.clone().unwrap_or_default();
    let claims = kr8tiv_compiler::credential_claims(&tenant.spec).into_iter();
    claims.map(|claim| (claim.secret, TokenHolder { tenant: name.clone(), field: claim.field })).collect()
}

/// What the compiler says of a tenant, at its places in the files.
pub fn problems(input: &Input, tenant: &Tenant, diagnostics: &Diagnostics) -> Vec<Problem> {
    let namespace = tenant.metadata.namespace.as_deref().unwrap_or_default();
    // Only the Namespace has the labels by which a Harness may be shared.
    let harness = harness_of(input, tenant).and_then(|harness| harness.object.as_ref());
    let is_by_labels = harness.is_some_and(|harness| harness.spec.sharing.from == SharedFrom::Selector);
    let is_unknown = is_by_labels && !input.objects.namespaces.contains_key(namespace);
    let located = |diagnostic: &kr8tiv_compiler::Diagnostic| {
        let shared =
            kr8tiv_compiler::harness_namespace(tenant).filter(|_| diagnostic.object.kind == "Harness");
        let mut problem = Problem::of_compiler(diagnostic, shared.unwrap_or(namespace));
        input.locate(&mut problem);
        if diagnostic.code == Code::HarnessNotShared && is_unknown {
            problem.severity = Severity::Note;
            problem.problem = format!(
                "whether the Harness is shared with namespace {namespace} can't be told: its labels are not known"
            );
            problem.fix = "add the Namespace to the files".into();
        }
        problem
    };
    diagnostics.iter().map(located).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends here")]
mod tests {
    use super::*;
    use crate::input::{self, Source};

    const FILES: &str = "\
apiVersion: kr8tiv.ai/v1alpha1
kind: Harness
metadata: {name: desk}
spec:
  identity: {role: helper, purpose: You help., personality: Calm.}
  soul: {coreTruths: [Be kind.], vibe: Warm.}
  jobFunctions: {responsibilities: [Help.], successCriteria: [Helped.]}
  channels: {allow: [telegram]}
  models: {primary: anthropic/claude-sonnet-4-6}
  supermemory: {containerTagPrefix: second}
---
apiVersion: kr8tiv.ai/v1alpha1
kind: Tenant
metadata: {name: acme}
spec: {displayName: Acme, harnessRef: {name: desk}, tenantId: acme-0a1b2c3d}
";

    #[test]
    fn a_tag_that_a_tenant_in_a_cluster_has_is_kept() {
        let file = Source { name: "acme.yaml".into(), text: FILES.into(), hidden: Vec::new() };
        let mut input = input::judge(vec![file], "team");
        let tag = |input: &Input| {
            let parts = Parts::of(input, &input.objects.tenants[0]).unwrap();
            parts.compile(&crate::args::PlatformArguments::default().platform()).unwrap().container_tag
        };
        assert_eq!(tag(&input), "second-acme-0a1b2c3d");
        let status = kr8tiv_crds::TenantStatus {
            container_tag: Some("first-acme-0a1b2c3d".into()),
            ..kr8tiv_crds::TenantStatus::default()
        };
        input.objects.tenants[0].object.as_mut().unwrap().status = Some(status);
        assert_eq!(tag(&input), "first-acme-0a1b2c3d");
    }
}
