//! Second stage: what the harness does not allow, and single values that can't be right. Pure.

mod credentials;
mod gateway;
mod memory;
mod models;
mod network;
mod operation;
mod pod_template;
mod tools;
mod webhooks;

use std::collections::BTreeMap;

use kr8tiv_crds::sharing::{SharedFrom, Sharing};

use crate::diagnostics::{Code, Diagnostic, Diagnostics, ObjectName};
use crate::inputs::Inputs;
use crate::resolve::{Resolved, harness_namespace};
use crate::{channels, names, resources, skills};

pub(crate) use models::all_models;

/// Where the checks of this stage put what they find about one object.
struct Findings<'a> {
    object: &'a ObjectName,
    diagnostics: &'a mut Diagnostics,
}

impl Findings<'_> {
    fn add(
        &mut self,
        code: Code,
        field: impl Into<String>,
        problem: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.diagnostics.push(Diagnostic {
            code,
            object: self.object.clone(),
            field: field.into(),
            problem: problem.into(),
            fix: fix.into(),
        });
    }
}

/// Checks a tenant against its harness.
pub(crate) fn check(inputs: &Inputs<'_>, resolved: &Resolved<'_>, diagnostics: &mut Diagnostics) {
    sharing(inputs, resolved, diagnostics);
    gateway::check(resolved, diagnostics);
    channels::check::check(resolved, diagnostics);
    resources::check(&resolved.tenant.object, resolved.tenant.spec, diagnostics);
    resources::check_sandbox(&resolved.harness_object, &resolved.harness.tools.sandbox, diagnostics);
    names::check(resolved, diagnostics);
    models::check(resolved, diagnostics);
    tools::check(resolved, diagnostics);
    skills::check(&resolved.harness_object, resolved, diagnostics);
    memory::check(resolved, diagnostics);
    operation::check(resolved, diagnostics);
    webhooks::check(resolved, diagnostics);
    network::check(inputs, resolved, diagnostics);
    pod_template::check(resolved, diagnostics);
    credentials::check(inputs, resolved, diagnostics);
}

/// Whether a Harness of another namespace is shared with the namespace that has these labels.
pub fn is_shared(sharing: &Sharing, labels: &BTreeMap<String, String>) -> bool {
    match sharing.from {
        SharedFrom::Same => false,
        SharedFrom::All => true,
        SharedFrom::Selector => sharing.match_labels.as_ref().is_some_and(|wanted| {
            !wanted.is_empty() && wanted.iter().all(|(name, value)| labels.get(name) == Some(value))
        }),
    }
}

/// A Harness is used from its own namespace, or from those that it is shared with.
fn sharing(inputs: &Inputs<'_>, resolved: &Resolved<'_>, diagnostics: &mut Diagnostics) {
    let Some(namespace) = harness_namespace(inputs.tenant) else { return };
    let shared = is_shared(&resolved.harness.sharing, &inputs.surroundings.namespace_labels);
    if !shared {
        let own = resolved.tenant.namespace;
        Findings { object: &resolved.tenant.object, diagnostics }.add(
            Code::HarnessNotShared,
            "spec.harnessRef.namespace",
            format!(
                "{} of namespace {namespace} is not shared with namespace {own}",
                resolved.harness_object
            ),
            format!(
                "let its owner share it with {own} (spec.sharing), or name a Harness of your own namespace"
            ),
        );
    }
}
