//! The compiler: a pure function from a Tenant, its Harness and its Agents to everything that runs and is applied.
//!
//! No client, no clock, no randomness, no environment: the same inputs give the same bytes, in whatever order
//! agents arrive. Values flow one way: [`Inputs`] → `resolve` → `policy` → `compose` → `render` → `check` →
//! [`Bundle`], and every stage adds to one list of [`Diagnostics`], so that a user sees all problems at once.

mod bundle;
mod channels;
mod check;
mod compose;
pub mod compose_file;
mod diagnostics;
mod difference;
mod hash;
mod inputs;
pub mod installation;
pub mod manifests;
mod names;
mod network;
mod openclaw;
mod plugin_report;
mod policy;
mod render;
mod resolve;
mod resources;
mod sandbox;
mod secret_marks;
mod skills;

use std::collections::BTreeMap;

use kr8tiv_crds::harness::HarnessSpec;

use resolve::Resolved;

pub use bundle::{
    Bundle, MemorySettings, MintedSecret, Object, Ownership, SandboxKeys, SecretReference, SkillPack,
    WorkspaceFile,
};
pub use channels::{CredentialClaim, credential_claims};
pub use diagnostics::{CODES, Code, Diagnostic, Diagnostics, ObjectName, Severity};
pub use difference::{Change, Difference, Effect, FieldChange, FileChange, ObjectChange, config_changes};
pub use inputs::{Inputs, OperatorPods, Platform, PluginSource, Surroundings, TokenHolder};
pub use openclaw::providers::{PROVIDERS, Provider};
pub use openclaw::schema::schema as openclaw_schema;
pub use openclaw::tools::{is_known as is_tool, is_reserved as is_reserved_tool};
pub use openclaw::version::image_tag;
pub use openclaw::{GATEWAY_PORT, SUPPORTED_VERSIONS, Violation, config_violations, supported_release};
pub use plugin_report::{PLUGINS_CONTAINER, PluginProblem, PluginReport};
pub use policy::is_shared;
pub use render::object_names::{gateway_name, minted_secret};
pub use render::retrieved::{CONTEXT_FILE, read_context};
pub use render::{DOWN_GRACE_SECONDS, FROZEN_SECONDS, WATCHDOG_PORT};
pub use resolve::{
    agent_id, asked_rotation, asked_sandbox_rotation, container_tag, harness_namespace, tenant_id,
};
pub use sandbox::{AUTHORIZED_KEYS, CLIENT_KEY, HOST_KEY, KNOWN_HOSTS, SANDBOX_PORT};
pub use secret_marks::{keys_in, redacted, without_keys};

/// Digits of a revision: enough to tell the revisions of one Harness apart, few enough for a column.
const REVISION_DIGITS: usize = 10;

/// Compiles one tenant. `Err` has at least one diagnostic of severity [`Severity::Error`]; the warnings of a
/// successful compilation are in [`Bundle::warnings`].
pub fn compile(inputs: &Inputs<'_>) -> Result<Bundle, Diagnostics> {
    let mut diagnostics = Diagnostics::default();
    let Some(resolved) = resolve::resolve(inputs, &mut diagnostics) else { return Err(diagnostics) };
    policy::check(inputs, &resolved, &mut diagnostics);
    let composition = compose::compose(&resolved, &mut diagnostics);

    let packs = skills::packs(inputs, &resolved);
    let mut config = render::config::render(&resolved, &composition);
    let own = resolved.tenant.spec.gateway.config.iter();
    let added: Vec<String> = own
        .flat_map(|own| {
            render::raw_config::merge(&mut config, own, &resolved.tenant.object, &mut diagnostics)
        })
        .collect();
    check::configuration(&resolved.tenant.object, &config, &added, &mut diagnostics);
    let config = render::config::text(&config);
    let mut workspaces = BTreeMap::new();
    for agent in &resolved.agents {
        let files =
            render::workspace::files(&resolved, &composition, agent, &inputs.surroundings.retrieved_context);
        check::workspace(agent, &files, &mut diagnostics);
        workspaces.insert(agent.id.to_owned(), files);
    }
    let (hash, delivery) = render::delivery::render(&config, &workspaces);
    let hash_without_context = render::retrieved::without(&workspaces)
        .map_or_else(|| hash.clone(), |workspaces| render::delivery::render(&config, &workspaces).0);
    let contents = render::objects::Contents {
        config: &config,
        delivery: &delivery,
        workspaces: &workspaces,
        packs: &packs,
        plugins: render::plugins::Plugins::of(inputs, &resolved),
    };
    let objects = render::objects::render(&resolved, inputs.platform, &contents);
    check::objects(&resolved.tenant.object, &objects, &mut diagnostics);
    if diagnostics.has_errors() {
        return Err(diagnostics);
    }

    let tenant = &resolved.tenant;
    Ok(Bundle {
        container_tag: tenant.container_tag.clone(),
        tenant_id: tenant.id.clone(),
        harness_revision: harness_revision(resolved.harness),
        gateway_version: tenant.version.clone(),
        endpoint: format!(
            "http://{}.{}.svc:{GATEWAY_PORT}",
            render::object_names::gateway_name(tenant.name),
            tenant.namespace
        ),
        hash,
        hash_without_context,
        config,
        workspaces,
        objects,
        skill_manifest: render::skill_manifest::render(&resolved, &packs),
        skill_packs: packs.iter().map(skill_pack).collect(),
        minted: render::object_names::minted_of(tenant),
        sandboxes: resolved.sandboxes.iter().map(sandbox_keys).collect(),
        memory: render::settings::memory(&resolved),
        secret_references: secret_references(&resolved),
        warnings: diagnostics,
    })
}

/// The revision of a harness: the start of the hash of its spec.
pub fn harness_revision(spec: &HarnessSpec) -> String {
    let mut revision = hash::canonical(spec);
    revision.truncate(REVISION_DIGITS);
    revision
}

fn sandbox_keys(sandbox: &sandbox::Sandbox<'_>) -> SandboxKeys {
    SandboxKeys { secret: sandbox.secret(), sandbox: sandbox.name.clone(), host: sandbox.host.clone() }
}

fn skill_pack(pack: &skills::Pack<'_>) -> SkillPack {
    SkillPack {
        name: pack.spec.name.clone(),
        container: pack.available.then(|| render::skills::container_name(&pack.spec.name)),
        image: pack.spec.source.image.as_ref().map(kr8tiv_crds::skills::ImagePack::pinned),
    }
}

/// The user's Secrets that a tenant's gateway needs to start.
fn secret_references(resolved: &Resolved<'_>) -> Vec<SecretReference> {
    let spec = resolved.tenant.spec;
    let token = spec
        .gateway
        .token_secret_ref
        .iter()
        .map(|secret| ("spec.gateway.tokenSecretRef".to_owned(), secret.clone()));
    let tokens = credential_claims(spec).into_iter().map(|claim| (claim.field, claim.secret));
    let keys = spec.model_credentials.iter().enumerate().map(|(position, credential)| {
        (format!("spec.modelCredentials[{position}].apiKeySecretRef"), credential.api_key_secret_ref.clone())
    });
    let mission_control = render::config::mission_control_token(resolved)
        .map(|secret| ("spec.missionControl.tokenSecretRef".to_owned(), secret.clone()));
    let webhooks = render::settings::watchdog_variables(resolved)
        .into_iter()
        .map(|variable| (variable.field, variable.secret.clone()));
    let env = spec.gateway.env.iter().enumerate().filter_map(|(position, variable)| {
        let secret = variable.value_from.as_ref()?.secret_key_ref.clone()?;
        Some((format!("spec.gateway.env[{position}].valueFrom.secretKeyRef"), secret))
    });
    token
        .chain(tokens)
        .chain(env)
        .chain(keys)
        .chain(mission_control)
        .chain(webhooks)
        .map(|(field, secret)| SecretReference { field, secret })
        .collect()
}
