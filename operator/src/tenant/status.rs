//! Status stage, pure: what is true of a tenant.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kr8tiv_crds::status::{ConditionStatus, ConditionType, Finding, Reason, conditions};
use kr8tiv_crds::tenant::{TenantAgents, TenantGateway, TenantHarness};
use kr8tiv_crds::{Tenant, TenantStatus};

use crate::delivery::Delivery;
use crate::memory;
use crate::reports;
use crate::results::Progress;
use crate::tenant::observe::Gateway;
use crate::tenant::plan::{Applied, Plan};
use crate::tenant::stop::Stop;

/// How a pass ended.
#[derive(Debug)]
pub enum Ending {
    /// The cluster holds the plan; the bundle is on its way to the Pod, or there.
    Applied(Box<Plan<Applied>>, Delivery),
    /// It doesn't.
    Stopped(Stop),
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
    let (plan, delivery) = match ending {
        Ending::Stopped(stop) => return summary(stop.progress, stop.reason, &stop.message),
        Ending::Applied(plan, delivery) => (plan, delivery),
    };
    let finding = gateway_finding(tenant, gateway, ending);
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
    match delivery {
        Delivery::Confirmed => serving(),
        // An operator that has just started has not asked yet. What was confirmed before holds until a watchdog
        // says otherwise, or nothing for too long: a restart must not look like an outage.
        Delivery::Unknown if was_serving(tenant, previous, gateway, &plan.bundle.hash) => serving(),
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

/// Whether the stored status says that this generation of the tenant is served, with this bundle. A Pod that has come
/// since is not told of the bundle yet, and nobody has heard of it what it serves.
fn was_serving(tenant: &Tenant, previous: &TenantStatus, gateway: &Gateway, hash: &str) -> bool {
    let is_told = gateway.pod.as_ref().is_some_and(|(_, pod)| pod.bundle_hash.as_deref() == Some(hash));
    is_told && previous.bundle_hash.as_deref() == Some(hash) && was_ready(tenant, previous)
}

/// Whether the stored status says that this generation of the tenant is served.
pub fn was_ready(tenant: &Tenant, previous: &TenantStatus) -> bool {
    let ready = |condition: &Condition| {
        condition.type_ == ConditionType::Ready.as_str() && condition.status == ConditionStatus::True.as_str()
    };
    previous.observed_generation == tenant.metadata.generation && previous.conditions.iter().any(ready)
}

/// Builds a tenant's status from the one before and from how the pass ended.
pub fn status(
    tenant: &Tenant,
    previous: &TenantStatus,
    gateway: &Gateway,
    ending: &Ending,
    summary: &Summary,
    now: &Time,
) -> TenantStatus {
    let generation = tenant.metadata.generation;
    let mut findings = vec![ready(summary), compiled(ending), gateway_finding(tenant, gateway, ending)];
    findings.extend(match ending {
        Ending::Stopped(_) => reports::kept(previous),
        Ending::Applied(plan, _) => brought(tenant, previous, gateway, plan),
    });
    findings.extend(match ending {
        Ending::Stopped(_) => memory::report::kept(previous),
        Ending::Applied(plan, _) => plan.memory.report.finding.clone(),
    });
    findings.extend(progress(summary));
    let conditions = conditions(&previous.conditions, findings, generation, now);
    // Without `..`: a new field must not be forgotten here.
    match ending {
        Ending::Stopped(_) => {
            TenantStatus { observed_generation: generation, conditions, ..previous.clone() }
        }
        Ending::Applied(plan, _) => TenantStatus {
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
            memory: plan.memory.report.memory.clone(),
            conditions,
        },
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

fn ready(summary: &Summary) -> Finding {
    let done = summary.progress == Progress::Done;
    Finding {
        type_: ConditionType::Ready,
        status: if done { ConditionStatus::True } else { ConditionStatus::False },
        reason: summary.reason,
        message: summary.message.clone(),
    }
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

fn compiled(ending: &Ending) -> Finding {
    let type_ = ConditionType::Compiled;
    match ending {
        Ending::Stopped(Stop { compiled: Err(_), reason, message, .. }) => {
            Finding { type_, status: ConditionStatus::False, reason: *reason, message: message.clone() }
        }
        Ending::Stopped(_) => succeeded(type_, String::new()),
        Ending::Applied(plan, _) => succeeded(type_, plan.bundle.warnings.to_string()),
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

/// Whether the gateway is up.
fn gateway_finding(tenant: &Tenant, gateway: &Gateway, ending: &Ending) -> Finding {
    let (reason, message) = gateway_state(tenant, gateway, ending);
    let status = if reason == Reason::Serving { ConditionStatus::True } else { ConditionStatus::False };
    Finding { type_: ConditionType::GatewayReady, status, reason, message }
}

/// The steps of a start are one state: they follow each other within a second, and to tell them apart would be a
/// write each.
fn gateway_state(tenant: &Tenant, gateway: &Gateway, ending: &Ending) -> (Reason, String) {
    let starting = |message: &str| (Reason::Starting, message.to_owned());
    if tenant.spec.suspend {
        return (
            Reason::Suspended,
            "the Tenant is suspended; set spec.suspend to false to start it".to_owned(),
        );
    }
    if gateway.workload.is_none() {
        return match ending {
            Ending::Applied(..) => starting("the gateway is starting"),
            Ending::Stopped(_) => starting("the gateway has not been created"),
        };
    }
    let Some((_, pod)) = &gateway.pod else { return starting("the gateway is starting") };
    if let Some(problem) = pod.problem.as_ref().filter(|_| !pod.deleting) {
        return (problem.reason, problem.message.clone());
    }
    match (pod.ready && !pod.deleting, gateway.is_current()) {
        (true, true) => (Reason::Serving, "the gateway is up".to_owned()),
        (true, false) => starting("the gateway is about to be replaced by one of the current revision"),
        (false, _) => starting("the gateway is starting"),
    }
}
