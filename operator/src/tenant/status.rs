//! Status stage, pure: what is true of a tenant.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kr8tiv_crds::status::{ConditionStatus, ConditionType, Finding, Reason, conditions};
use kr8tiv_crds::tenant::{TenantAgents, TenantGateway, TenantHarness};
use kr8tiv_crds::{Tenant, TenantStatus};

use crate::delivery::{Delivery, Known};
use crate::health::Applied as ConfigApplied;
use crate::memory;
use crate::recovery::{self, Decision};
use crate::reports;
use crate::results::Progress;
use crate::sandbox::{self, KeysFault};
use crate::tenant::gateway_ready::{SUSPENDED, finding as gateway_finding, was_up};
use crate::tenant::observe::{Gateway, Observed};
use crate::tenant::plan::{Applied, Plan};
use crate::tenant::stop::Stop;
use crate::tenant::told::{self, Configuration};

/// How a pass ended.
#[derive(Debug)]
pub struct Ending {
    /// What became of what is asked for.
    pub outcome: Outcome,
    /// How the gateway is.
    pub served: Served,
}

/// What became of what is asked for.
#[derive(Debug)]
pub enum Outcome {
    /// The cluster holds the plan; the bundle is on its way to the Pod, or there.
    Applied(Box<Plan<Applied>>),
    /// It doesn't; the gateway goes on with what it has.
    Stopped(Stop),
}

/// How the gateway is.
#[derive(Debug, Default)]
pub struct Served {
    /// What its watchdog says.
    pub known: Known,
    /// Whether it serves all but lines of context that are on their way.
    pub lacks_context: bool,
    /// What is done about it, when it is at fault.
    pub recovery: Option<Decision>,
    /// What keeps its sandboxes' keys from being made.
    pub keys: Option<KeysFault>,
}

/// The summary of a tenant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Summary {
    /// Where the tenant stands.
    pub progress: Progress,
    /// Why, by the closed list.
    pub reason: Reason,
    /// Why, for people.
    pub message: String,
}

/// Sums up a pass.
pub fn summarise(tenant: &Tenant, previous: &TenantStatus, gateway: &Gateway, ending: &Ending) -> Summary {
    let summary = |progress, reason, message: &str| Summary { progress, reason, message: message.to_owned() };
    let Ending { outcome, served: Served { known, lacks_context, recovery: _, keys: _ } } = ending;
    let plan = match outcome {
        Outcome::Stopped(stop) => return summary(stop.progress, stop.reason, &stop.message),
        Outcome::Applied(plan) => plan,
    };
    let finding = gateway_finding(tenant, previous, gateway, ending);
    if tenant.spec.suspend {
        let stopped = gateway.workload.as_ref().is_some_and(|set| set.replicas == 0 && set.is_observed());
        let progress =
            if stopped && gateway.pod.is_none() { Progress::Suspended } else { Progress::Reconciling };
        return summary(progress, Reason::Suspended, &finding.message);
    }
    if finding.status != ConditionStatus::True {
        return summary(Progress::Reconciling, finding.reason, &finding.message);
    }
    let serving = || summary(Progress::Done, Reason::Serving, "the gateway serves the current configuration");
    let hash = &plan.bundle.hash;
    // An operator that has just started has not asked yet. What was confirmed before holds until a watchdog says
    // otherwise, or nothing for too long: a restart must not look like an outage.
    if *lacks_context || is_unheard(known) && was_serving(tenant, previous, gateway, hash) {
        return serving();
    }
    match &known.delivery {
        Delivery::Confirmed => {
            let (reason, message) = match known.applied(hash) {
                ConfigApplied::Yes => return serving(),
                ConfigApplied::NotYet => (
                    Reason::Delivering,
                    "the gateway runs, and has not taken over the current configuration yet".to_owned(),
                ),
                // Nothing but another configuration changes that.
                ConfigApplied::Rejected(issues) => {
                    let message = format!("the gateway refuses the current configuration: {issues}");
                    return summary(Progress::Stalled, Reason::ConfigRejected, &message);
                }
                ConfigApplied::Never => (
                    Reason::ConfigNotApplied,
                    "the gateway does not take over the current configuration; its log says why".to_owned(),
                ),
                ConfigApplied::Untold => (
                    Reason::RpcUnavailable,
                    "the gateway does not say whether it has the current configuration: it does not answer its \
                     watchdog's questions"
                        .to_owned(),
                ),
            };
            summary(Progress::Reconciling, reason, &message)
        }
        Delivery::Behind { trouble: Some(trouble) } => {
            let message = format!("the current configuration does not reach the gateway: {trouble}");
            summary(Progress::Reconciling, Reason::Delivering, &message)
        }
        Delivery::Behind { trouble: None } | Delivery::Unknown => summary(
            Progress::Reconciling,
            Reason::Delivering,
            "the gateway runs, and the current configuration is on its way to it",
        ),
    }
}

/// Whether the stored status says that this generation of the tenant is served, with this bundle, by the Pod that is
/// there. Of one that has come since nobody has heard what it serves.
fn was_serving(tenant: &Tenant, previous: &TenantStatus, gateway: &Gateway, hash: &str) -> bool {
    let created = gateway.pod.as_ref().and_then(|(_, pod)| pod.created);
    let ready = ready_before(tenant, previous);
    let is_of_this_pod =
        ready.zip(created).is_some_and(|(ready, created)| created <= ready.last_transition_time.0);
    is_of_this_pod && previous.bundle_hash.as_deref() == Some(hash)
}

/// Whether the stored status says that this generation of the tenant is served.
pub fn was_ready(tenant: &Tenant, previous: &TenantStatus) -> bool {
    ready_before(tenant, previous).is_some()
}

fn ready_before<'a>(tenant: &Tenant, previous: &'a TenantStatus) -> Option<&'a Condition> {
    let is_ready = |condition: &&Condition| {
        condition.type_ == ConditionType::Ready.as_str() && condition.status == ConditionStatus::True.as_str()
    };
    let is_current = previous.observed_generation == tenant.metadata.generation;
    previous.conditions.iter().find(is_ready).filter(|_| is_current)
}

/// Builds a tenant's status from the one before and from how the pass ended.
pub fn status(observed: &Observed<'_>, ending: &Ending, summary: &Summary, now: &Time) -> TenantStatus {
    let Observed { tenant, previous, gateway, .. } = observed;
    let generation = tenant.metadata.generation;
    let serves = gateway_finding(tenant, previous, gateway, ending);
    let is_starting = serves.reason == Reason::Starting;
    let mut findings = vec![ready(summary), compiled(&ending.outcome), serves];
    let Served { known, keys, .. } = &ending.served;
    let (there, suspended_too) = (&observed.sandboxes, tenant.spec.suspend);
    let (mut brought, of_sandboxes): (Vec<_>, _) = match &ending.outcome {
        Outcome::Stopped(_) => {
            let kept = reports::kept(previous).into_iter().chain(memory::report::kept(previous));
            let found = sandbox::finding_meanwhile(there, known, previous, suspended_too, now.0);
            (kept.collect(), found)
        }
        Outcome::Applied(plan) => {
            let mut brought = brought(tenant, previous, gateway, plan);
            brought.extend(plan.memory.report.finding.clone());
            let names: Vec<&str> = plan.bundle.sandboxes.iter().map(|keys| keys.sandbox.as_str()).collect();
            let found = sandbox::finding(&names, there, keys.as_ref(), known, previous, suspended_too, now.0);
            (brought, found)
        }
    };
    brought.extend(of_sandboxes);
    findings.extend(inner_life(observed, ending, is_starting, &brought));
    findings.extend(brought);
    findings.extend(suspended(tenant));
    findings.extend(progress(summary));
    if is_starting {
        for finding in &mut findings {
            keep_on_the_way(finding, previous);
        }
    }
    let conditions = conditions(&previous.conditions, findings, generation, now);
    let restarts = match ending.served.recovery {
        Some(Decision::Restart) => recovery::with_restart(&previous.restarts, now),
        _ => previous.restarts.clone(),
    };
    // Without `..`: a new field must not be forgotten here.
    match &ending.outcome {
        Outcome::Stopped(_) => {
            TenantStatus { observed_generation: generation, restarts, conditions, ..previous.clone() }
        }
        Outcome::Applied(plan) => TenantStatus {
            observed_generation: generation,
            tenant_id: Some(plan.bundle.tenant_id.clone()),
            container_tag: Some(plan.bundle.container_tag.clone()),
            harness: Some(TenantHarness {
                name: tenant.spec.harness_ref.name.clone(),
                namespace: kr8tiv_compiler::harness_namespace(tenant).map(str::to_owned),
                revision: plan.bundle.harness_revision.clone(),
            }),
            bundle_hash: Some(plan.bundle.hash.clone()),
            gateway: Some(TenantGateway {
                version: plan.bundle.gateway_version.clone(),
                endpoint: plan.bundle.endpoint.clone(),
            }),
            agents: Some(TenantAgents {
                desired: i64::try_from(plan.bundle.workspaces.len()).unwrap_or(i64::MAX),
            }),
            images: plan.images.clone(),
            restarts,
            memory: plan.memory.report.memory.clone(),
            conditions,
        },
    }
}

/// A start goes as starts go, and would be a write for each part of it that is well: they are told with the gateway that
/// is up. What is wrong is told at once, and so is the memory, which is no part of a start.
fn keep_on_the_way(finding: &mut Finding, previous: &TenantStatus) {
    if finding.type_ == ConditionType::MemoryHealthy {
        return;
    }
    let is_on_the_way = |condition: &&Condition| {
        condition.type_ == finding.type_.as_str()
            && condition.status == ConditionStatus::Unknown.as_str()
            && condition.reason == Reason::Starting.as_str()
    };
    let before = previous.conditions.iter().find(is_on_the_way).and_then(Finding::kept);
    if let Some(before) = before.filter(|_| finding.status != ConditionStatus::False) {
        *finding = before;
    }
}

/// What became of the packs and plugins. A Pod of an earlier revision was asked for others.
fn brought(
    tenant: &Tenant,
    previous: &TenantStatus,
    gateway: &Gateway,
    plan: &Plan<Applied>,
) -> Vec<Finding> {
    let pod = gateway.pod.as_ref().filter(|(_, pod)| gateway.is_current() && !pod.deleting);
    let waiting = if tenant.spec.suspend { Reason::Suspended } else { Reason::Starting };
    reports::findings(&plan.bundle, plan.images.as_ref(), pod.map(|(_, pod)| &**pod), previous, waiting)
}

/// What is known of the gateway's inner life.
fn inner_life(
    observed: &Observed<'_>,
    ending: &Ending,
    is_starting: bool,
    brought: &[Finding],
) -> Vec<Finding> {
    let Observed { tenant, previous, gateway, .. } = observed;
    let Served { known, lacks_context, recovery: _, keys: _ } = &ending.served;
    if tenant.spec.suspend {
        return Vec::new();
    }
    let runs = gateway.pod.is_some();
    let nothing = Known::default();
    let known = if runs { known } else { &nothing };
    let waiting = if was_up(previous) { Reason::Delivering } else { Reason::Starting };
    let configuration = match &ending.outcome {
        Outcome::Applied(plan) => {
            let hash = &plan.bundle.hash;
            if runs && (*lacks_context || is_unheard(known) && was_serving(tenant, previous, gateway, hash)) {
                return told::kept(previous);
            }
            Configuration::of(&known.applied(hash), waiting)
        }
        Outcome::Stopped(_) if gateway.workload.is_none() => return Vec::new(),
        Outcome::Stopped(stop) => {
            let configuration = Configuration::not_applied(stop);
            if runs && is_unheard(known) {
                return told::kept_but_for(previous, &configuration);
            }
            configuration
        }
    };
    // Before its gateway is up, a watchdog that has never answered may not have begun.
    let has_begun = !is_starting || known.health.is_some() || known.delivered.is_some();
    told::findings(known.health.as_ref(), known.silent && has_begun, &configuration, waiting, brought)
}

fn ready(summary: &Summary) -> Finding {
    let done = summary.progress == Progress::Done;
    Finding {
        type_: ConditionType::Ready,
        status: if done { ConditionStatus::True } else { ConditionStatus::False },
        reason: summary.reason,
        message: summary.message.clone(),
    }
}

/// `Suspended` is there only while it is true.
fn suspended(tenant: &Tenant) -> Option<Finding> {
    tenant.spec.suspend.then(|| Finding {
        type_: ConditionType::Suspended,
        status: ConditionStatus::True,
        reason: Reason::Suspended,
        message: SUSPENDED.into(),
    })
}

/// `Reconciling` and `Stalled` are there only while they are true, and never both.
pub fn progress(summary: &Summary) -> Option<Finding> {
    let type_ = match summary.progress {
        Progress::Reconciling => ConditionType::Reconciling,
        Progress::Stalled => ConditionType::Stalled,
        Progress::Done | Progress::Suspended => return None,
    };
    let (reason, message) = (summary.reason, summary.message.clone());
    Some(Finding { type_, status: ConditionStatus::True, reason, message })
}

fn compiled(outcome: &Outcome) -> Finding {
    let type_ = ConditionType::Compiled;
    match outcome {
        Outcome::Stopped(Stop { compiled: Err(_), reason, message, .. }) => {
            Finding { type_, status: ConditionStatus::False, reason: *reason, message: message.clone() }
        }
        Outcome::Stopped(_) => succeeded(type_, String::new()),
        Outcome::Applied(plan) => succeeded(type_, plan.bundle.warnings.to_string()),
    }
}

fn succeeded(type_: ConditionType, warnings: String) -> Finding {
    let message = if warnings.is_empty() {
        "the Tenant, its Harness and its Agents make a valid configuration".to_owned()
    } else {
        warnings
    };
    Finding { type_, status: ConditionStatus::True, reason: Reason::Succeeded, message }
}

fn is_unheard(known: &Known) -> bool {
    *known == Known::default()
}
