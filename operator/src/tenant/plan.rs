//! Plan stage, pure: from what was observed to what the cluster should hold, or to why nothing can be applied.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use kr8tiv_compiler::{Bundle, Code, Diagnostics, Inputs, PluginSource, Severity, Surroundings, TokenHolder};
use kr8tiv_crds::reference::SecretKeyReference;
use kr8tiv_crds::status::Reason;
use kr8tiv_crds::tenant::TenantImages;
use kr8tiv_crds::{Agent, Harness, meta};
use kube::Resource;

use crate::backoff::Pace;
use crate::claims::Claim;
use crate::compiler::Compiler;
use crate::guard::Guarded;
use crate::images;
use crate::index::Index;
use crate::memory::report::report;
use crate::memory::wanted::wanted;
use crate::memory::{Facts, Planned};
use crate::results::{Compiled, Failure, Progress};
use crate::tenant::observe::Observed;
use crate::tenant::stop::{Retry, Stop};

/// A plan that has not been applied.
#[derive(Debug)]
pub enum Prepared {}

/// A plan that the cluster holds. Only [`crate::tenant::apply`] makes one, and only from one can a status be built
/// that says so.
#[derive(Debug)]
pub enum Applied {}

/// What a tenant's part of the cluster should be.
#[derive(Debug)]
pub struct Plan<Stage> {
    /// What was compiled.
    pub bundle: Bundle,
    /// Images that it does without.
    pub images: Option<TenantImages>,
    /// The tenant's memory.
    pub memory: Planned,
    stage: PhantomData<Stage>,
}

impl Plan<Prepared> {
    /// Every object of the plan is in the cluster, and none besides. For the apply stage.
    pub(in crate::tenant) fn applied(self) -> Plan<Applied> {
        Plan { bundle: self.bundle, images: self.images, memory: self.memory, stage: PhantomData }
    }
}

impl<Stage> Plan<Stage> {
    /// What Agents need to know of it.
    pub fn compiled(&self) -> Compiled {
        Compiled { agent_ids: self.bundle.workspaces.keys().cloned().collect() }
    }
}

/// What Secrets tell of a tenant, without their values.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Told {
    /// Tokens that somebody else's channel had before.
    pub taken_tokens: BTreeMap<SecretKeyReference, TokenHolder>,
    /// The rotation that the gateway's token was made for.
    pub rotation: Option<String>,
    /// Which keys the sandboxes have, by their names.
    pub sandbox_keys: BTreeMap<String, String>,
}

/// Compiles what was observed.
pub fn prepare(
    observed: &Observed<'_>,
    told: Told,
    facts: &Facts,
    index: &Index,
    compiler: &Compiler,
) -> Result<Plan<Prepared>, Stop> {
    let agents = readable_agents(observed)?;
    let harness = readable_harness(observed)?;
    let images = images(observed, harness, &compiler.platform.plugins);
    let surroundings = surroundings(observed, images.as_ref(), told, facts);
    let inputs = Inputs {
        tenant: observed.tenant,
        harness,
        agents: &agents,
        platform: &compiler.platform,
        surroundings: &surroundings,
    };
    let bundle = (compiler.compile)(&inputs).map_err(|diagnostics| not_compiled(&diagnostics))?;
    let tenant = &observed.tenant.spec;
    let memory = Planned {
        wanted: wanted(tenant, &bundle),
        report: report(tenant, &bundle, facts, &observed.previous),
    };
    let plan = Plan { bundle, images, memory, stage: PhantomData };
    let (id, tag) = (&plan.bundle.tenant_id, &plan.bundle.container_tag);
    match index.taken(Some(id), Some(tag), &Claim::of(&observed.tenant.metadata)) {
        None => Ok(plan),
        Some(taken) => Err(Stop {
            compiled: Ok(plan.compiled()),
            reason: Reason::Conflict,
            message: taken.to_string(),
            progress: Progress::Stalled,
            retry: Retry::OnChange,
        }),
    }
}

fn surroundings(
    observed: &Observed<'_>,
    images: Option<&TenantImages>,
    told: Told,
    facts: &Facts,
) -> Surroundings {
    let Told { taken_tokens, rotation, sandbox_keys } = told;
    let unavailable = images.iter().flat_map(|images| &images.unavailable);
    Surroundings {
        namespace_labels: observed.namespace_labels.as_deref().cloned().unwrap_or_default(),
        running_version: observed.previous.gateway.as_ref().map(|gateway| gateway.version.clone()),
        container_tag: observed.previous.container_tag.clone(),
        unavailable_images: unavailable.map(|unavailable| unavailable.image.clone()).collect(),
        taken_tokens,
        token_rotation: rotation,
        sandbox_keys,
        retrieved_context: facts.lines.clone(),
    }
}

fn images(
    observed: &Observed<'_>,
    harness: Option<&Harness>,
    plugins: &PluginSource,
) -> Option<TenantImages> {
    let annotations = observed.tenant.metadata.annotations.as_ref();
    let retry = annotations.and_then(|all| all.get(meta::RETRY_IMAGES)).map(String::as_str);
    let packs = harness.map_or(&[][..], |harness| &harness.spec.skills.packs);
    let of_packs = packs.iter().filter_map(|pack| Some(pack.source.image.as_ref()?.pinned()));
    let of_plugins = match plugins {
        PluginSource::Image { reference } => Some(reference.clone()),
        PluginSource::Registry | PluginSource::Mirror { .. } => None,
    };
    let pod = observed.gateway.pod.as_ref().map(|(_, pod)| &**pod);
    images::unavailable(observed.previous.images.as_ref(), retry, of_packs.chain(of_plugins).collect(), pod)
}

fn readable_agents<'a>(observed: &'a Observed<'_>) -> Result<Vec<&'a Agent>, Stop> {
    observed.agents.iter().map(|agent| readable("Agent", agent)).collect()
}

fn readable_harness<'a>(observed: &'a Observed<'_>) -> Result<Option<&'a Harness>, Stop> {
    observed.harness.as_deref().map(|harness| readable("Harness", harness)).transpose()
}

/// To compile as if an unreadable object did not exist would take it away from the running gateway.
fn readable<'a, K: Resource<DynamicType = ()>>(kind: &str, object: &'a Guarded<K>) -> Result<&'a K, Stop> {
    object.readable().map_err(|unreadable| Stop {
        compiled: Err(Failure { diagnostics: Vec::new() }),
        reason: Reason::Unreadable,
        message: format!(
            "{kind} {} can't be read by this version of the operator: {}; upgrade the operator, or write the object \
             anew by the schema of the installed definition",
            unreadable.metadata.name.as_deref().unwrap_or_default(),
            unreadable.error
        ),
        progress: Progress::Stalled,
        retry: Retry::OnChange,
    })
}

fn not_compiled(diagnostics: &Diagnostics) -> Stop {
    let errors = || diagnostics.iter().filter(|diagnostic| diagnostic.code.severity() == Severity::Error);
    let reason = errors().next().map_or(Reason::Invalid, |first| first.code.reason());
    // By kstatus, what waits for a missing object is in progress; what is wrong in itself has failed.
    let progress = if reason == Reason::HarnessNotFound { Progress::Reconciling } else { Progress::Stalled };
    Stop {
        compiled: Err(Failure { diagnostics: errors().cloned().collect() }),
        reason,
        message: errors().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        progress,
        // Nobody tells of another token in the same Secret: it is looked for.
        retry: if errors().any(|diagnostic| diagnostic.code == Code::TokenTaken) {
            Retry::Paced(Pace::Missing)
        } else {
            Retry::OnChange
        },
    }
}
