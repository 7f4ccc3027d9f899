//! `validate`: judges everything that the files hold. Pure.

use std::collections::BTreeMap;

use kr8tiv_compiler::{
    Code as CompilerCode, Diagnostic, ObjectName, Platform, SecretReference, Surroundings,
};
use kr8tiv_crds::{Harness, Tenant};
use serde_json::json;

use crate::input::{Input, Read, defaulted};
use crate::problem::{Code, Problem};
use crate::tenants::{self, Parts, Tokens};

/// The tenant that a Harness without tenants is compiled for.
const EXAMPLE: &str = "example";

/// Finds every problem, sorted by place. Tenants are compiled with their Harness and Agents, a Harness without tenants
/// for a tenant that needs nothing.
pub fn judge(input: &Input, platform: &Platform) -> Vec<Problem> {
    let mut judging = Judging { input, platform, problems: input.problems.clone(), tokens: BTreeMap::new() };
    for tenant in &input.objects.tenants {
        judging.tenant(tenant);
    }
    for harness in &input.objects.harnesses {
        judging.harness(harness);
    }
    judging.agents();
    let mut problems = judging.problems;
    problems.sort_by(|a, b| {
        let key = |problem: &Problem| {
            (problem.place.is_none(), problem.place.clone(), problem.severity, problem.code)
        };
        key(a).cmp(&key(b))
    });
    problems
}

struct Judging<'a> {
    input: &'a Input,
    platform: &'a Platform,
    problems: Vec<Problem>,
    /// The tokens of the tenants so far, by namespace.
    tokens: BTreeMap<String, Tokens>,
}

impl Judging<'_> {
    /// Adds a problem, once, and not where the object's schema has objected already.
    fn add(&mut self, problem: Problem) {
        let is_known = self.problems.iter().any(|known| {
            let same_field = known.object == problem.object && known.field == problem.field;
            same_field
                && (known.code.starts_with("K8T09")
                    || known.code == problem.code && known.problem == problem.problem)
        });
        if !is_known {
            self.problems.push(problem);
        }
    }

    fn tenant(&mut self, read: &Read<Tenant>) {
        let Some(parts) = Parts::of(self.input, read) else { return };
        let tenant = tenants::with_some_uid(parts.tenant);
        let namespace = &read.id.namespace;
        let mut parts = Parts { tenant: &tenant, ..parts };
        let taken = self.tokens.entry(namespace.clone()).or_default();
        parts.surroundings.taken_tokens.clone_from(taken);
        taken.extend(tenants::tokens(&tenant));
        let diagnostics = match parts.compile(self.platform) {
            Ok(bundle) => {
                if read.is_sound {
                    self.secrets(read, &bundle.secret_references);
                }
                bundle.warnings
            }
            Err(diagnostics) => diagnostics,
        };
        for problem in tenants::problems(self.input, &tenant, &diagnostics) {
            self.add(problem);
        }
    }

    /// Secrets that are named: when the files hold any of the namespace, they are meant to hold all.
    fn secrets(&mut self, read: &Read<Tenant>, references: &[SecretReference]) {
        let namespace = &read.id.namespace;
        let secrets = &self.input.objects.secrets;
        if !secrets.keys().any(|(of, _)| of == namespace) {
            return;
        }
        for SecretReference { field, secret } in references {
            let (name, key) = (&secret.name, &secret.key);
            let problem = match secrets.get(&(namespace.clone(), name.clone())) {
                Some(keys) if keys.contains(key) => continue,
                Some(_) => Problem::new(
                    Code::SecretKeyMissing,
                    format!("the Secret {name} among the files has no key {key}"),
                    format!("add {key} to it, or name a key that it has"),
                ),
                None => Problem::new(
                    Code::SecretNotGiven,
                    format!("the Secret {name} is not among the files"),
                    format!("see that it is in namespace {namespace} before the gateway starts"),
                ),
            };
            let mut problem = Problem { object: Some(read.id.clone()), field: field.clone(), ..problem };
            self.input.locate(&mut problem);
            self.add(problem);
        }
    }

    fn harness(&mut self, read: &Read<Harness>) {
        let Some(harness) = &read.object else { return };
        let namespace = &read.id.namespace;
        let is_used = self.input.objects.tenants.iter().any(|tenant| {
            let of = tenant.object.as_ref().and_then(|it| tenants::harness_of(self.input, it));
            of.is_some_and(|used| used.id == read.id)
        });
        let Some(tenant) = example_tenant(harness).filter(|_| !is_used) else { return };
        let parts = Parts {
            tenant: &tenant,
            harness: Some(harness),
            agents: Vec::new(),
            surroundings: Surroundings::default(),
        };
        let diagnostics = parts.compile(self.platform).map_or_else(|found| found, |bundle| bundle.warnings);
        for diagnostic in diagnostics.iter().filter_map(|diagnostic| of_harness(diagnostic, &read.id.name)) {
            let mut problem = Problem::of_compiler(&diagnostic, namespace);
            self.input.locate(&mut problem);
            self.add(problem);
        }
    }

    fn agents(&mut self) {
        let Input { objects, is_incomplete, .. } = self.input;
        for agent in objects.agents.iter().filter(|_| !is_incomplete) {
            let Some(object) = &agent.object else { continue };
            let tenant = &object.spec.tenant_ref.name;
            let namespace = &agent.id.namespace;
            let is_given = objects
                .tenants
                .iter()
                .any(|given| given.id.namespace == *namespace && given.id.name == *tenant);
            if !is_given {
                let mut problem = Problem {
                    object: Some(agent.id.clone()),
                    field: "spec.tenantRef.name".into(),
                    ..Problem::new(
                        Code::TenantNotGiven,
                        format!(
                            "Tenant {tenant} is not among the files, so the Agent is judged by itself only"
                        ),
                        "add the Tenant's file, and its Harness's, to see whether they fit together",
                    )
                };
                self.input.locate(&mut problem);
                self.add(problem);
            }
        }
    }
}

/// A tenant that has what it must have and nothing else.
fn example_tenant(harness: &Harness) -> Option<Tenant> {
    let metadata = &harness.metadata;
    defaulted(
        "Tenant",
        json!({
            "metadata": {"name": EXAMPLE, "namespace": metadata.namespace},
            "spec": {
                "displayName": EXAMPLE,
                "tenantId": format!("{EXAMPLE}-00000000"),
                "harnessRef": {"name": metadata.name},
            },
        }),
    )
}

/// What the compiler says of a Harness, or of what is made from it alone.
fn of_harness(diagnostic: &Diagnostic, harness: &str) -> Option<Diagnostic> {
    let is_from_harness = diagnostic.object.kind == "Harness"
        || matches!(
            diagnostic.code,
            CompilerCode::FileTooLong | CompilerCode::WorkspaceTooLong | CompilerCode::ObjectTooLarge
        );
    let object = ObjectName { kind: "Harness", name: harness.into() };
    is_from_harness.then(|| Diagnostic { object, ..diagnostic.clone() })
}
