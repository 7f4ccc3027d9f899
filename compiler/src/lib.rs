//! The compiler: a pure function from a Tenant, its Harness and its Agents to everything that runs and is applied.
//!
//! No client, no clock, no randomness, no environment: the same inputs give the same bytes, in whatever order
//! agents arrive. Values flow one way: [`Inputs`] → `resolve` → `policy` → `compose` → `render` → `check` →
//! [`Bundle`], and every stage adds to one list of [`Diagnostics`], so that a user sees all problems at once.

mod bundle;
mod channels;
mod check;
mod compose;
mod diagnostics;
mod hash;
mod inputs;
mod names;
mod openclaw;
mod plugin_report;
mod policy;
mod render;
mod resolve;
mod resources;

use std::collections::BTreeMap;

use kr8tiv_crds::harness::HarnessSpec;

pub use bundle::{Bundle, Object, Ownership, SecretReference, WorkspaceFile};
pub use channels::{CredentialClaim, credential_claims};
pub use diagnostics::{CODES, Code, Diagnostic, Diagnostics, ObjectName, Severity};
pub use inputs::{Inputs, Platform, PluginSource};
pub use openclaw::providers::{PROVIDERS, Provider};
pub use openclaw::{GATEWAY_PORT, SUPPORTED_VERSIONS};
pub use plugin_report::{PLUGINS_CONTAINER, PluginProblem, PluginReport};
pub use render::WATCHDOG_PORT;
pub use resolve::{agent_id, tenant_id};

/// Digits of a revision: enough to tell the revisions of one Harness apart, few enough for a column.
const REVISION_DIGITS: usize = 10;

/// Compiles one tenant. `Err` has at least one diagnostic of severity [`Severity::Error`]; the warnings of a
/// successful compilation are in [`Bundle::warnings`].
pub fn compile(inputs: &Inputs<'_>) -> Result<Bundle, Diagnostics> {
    let mut diagnostics = Diagnostics::default();
    let Some(resolved) = resolve::resolve(inputs, &mut diagnostics) else { return Err(diagnostics) };
    policy::check(inputs, &resolved, &mut diagnostics);
    let composition = compose::compose(&resolved, &mut diagnostics);

    let config = render::config::render(&resolved, &composition);
    let mut workspaces = BTreeMap::new();
    for agent in &resolved.agents {
        let files = render::workspace::files(&resolved, &composition, agent);
        check::workspace(agent, &files, &mut diagnostics);
        workspaces.insert(agent.id.to_owned(), files);
    }
    let (hash, delivery) = render::delivery::render(&config, &workspaces);
    let contents =
        render::objects::Contents { config: &config, delivery: &delivery, workspaces: &workspaces };
    let objects = render::objects::render(&resolved, inputs.platform, &contents);
    check::objects(&resolved.tenant.object, &objects, &mut diagnostics);
    if diagnostics.has_errors() {
        return Err(diagnostics);
    }

    let tenant = &resolved.tenant;
    let token = render::object_names::token(tenant);
    let minted = tenant.spec.gateway.token_secret_ref.is_none();
    Ok(Bundle {
        container_tag: format!("tenant-{}", tenant.id),
        tenant_id: tenant.id.clone(),
        harness_revision: harness_revision(resolved.harness),
        gateway_version: tenant.version.to_owned(),
        endpoint: format!(
            "http://{}.{}.svc:{GATEWAY_PORT}",
            render::object_names::gateway_name(tenant.name),
            tenant.namespace
        ),
        hash,
        config,
        workspaces,
        objects,
        minted_token: minted.then_some(token),
        secret_references: secret_references(inputs),
        warnings: diagnostics,
    })
}

/// The revision of a harness: the start of the hash of its spec.
pub fn harness_revision(spec: &HarnessSpec) -> String {
    let mut revision = hash::canonical(spec);
    revision.truncate(REVISION_DIGITS);
    revision
}

/// The user's Secrets that a tenant needs.
fn secret_references(inputs: &Inputs<'_>) -> Vec<SecretReference> {
    let spec = &inputs.tenant.spec;
    let token = spec
        .gateway
        .token_secret_ref
        .iter()
        .map(|secret| ("spec.gateway.tokenSecretRef".to_owned(), secret.clone()));
    let tokens = credential_claims(spec).into_iter().map(|claim| (claim.field, claim.secret));
    let keys = spec.model_credentials.iter().enumerate().map(|(position, credential)| {
        (format!("spec.modelCredentials[{position}].apiKeySecretRef"), credential.api_key_secret_ref.clone())
    });
    token.chain(tokens).chain(keys).map(|(field, secret)| SecretReference { field, secret }).collect()
}
