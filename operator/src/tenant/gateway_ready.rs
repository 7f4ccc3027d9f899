//! Status stage, pure: whether the gateway is up (`GatewayReady`), by its Pod and by its watchdog.

use kr8tiv_crds::status::{ConditionStatus, ConditionType, Finding, Reason};
use kr8tiv_crds::{Tenant, TenantStatus};

use crate::delivery::Delivery;
use crate::health::{Applied as ConfigApplied, State};
use crate::pod::GatewayPod;
use crate::recovery::Decision;
use crate::tenant::observe::Gateway;
use crate::tenant::status::{Ending, Outcome, Served};

/// What a suspended Tenant says.
pub const SUSPENDED: &str = "the Tenant is suspended; set spec.suspend to false to start it";

/// Whether the gateway is up.
pub fn finding(tenant: &Tenant, previous: &TenantStatus, gateway: &Gateway, ending: &Ending) -> Finding {
    let (reason, message) = state(tenant, previous, gateway, ending);
    let status = if reason == Reason::Serving { ConditionStatus::True } else { ConditionStatus::False };
    Finding { type_: ConditionType::GatewayReady, status, reason, message }
}

/// The steps of a start are one state: they follow each other within a second, and to tell them apart would be a
/// write each.
fn state(tenant: &Tenant, previous: &TenantStatus, gateway: &Gateway, ending: &Ending) -> (Reason, String) {
    let starting = |message: &str| (Reason::Starting, message.to_owned());
    if tenant.spec.suspend {
        return (Reason::Suspended, SUSPENDED.to_owned());
    }
    if gateway.workload.is_none() {
        return match ending.outcome {
            Outcome::Applied(_) => starting("the gateway is starting"),
            Outcome::Stopped(_) => starting("the gateway has not been created"),
        };
    }
    let Some((_, pod)) = &gateway.pod else { return starting("the gateway is starting") };
    if let Some(problem) = pod.problem.as_ref().filter(|_| !pod.deleting) {
        return (problem.reason, problem.message.clone());
    }
    match (pod.ready && !pod.deleting, gateway.is_current()) {
        (true, true) => inner_state(previous, ending),
        (true, false) => starting("the gateway is about to be replaced by one of the current revision"),
        // kubelet takes it from the Service before the watchdog is certain; only that says why. To the watchdog one that
        // kubelet starts again is down as well.
        (false, _) if !pod.deleting && has_started(pod) && is_down(ending) => inner_state(previous, ending),
        (false, _) => starting("the gateway is starting"),
    }
}

fn has_started(pod: &GatewayPod) -> bool {
    pod.gateway.as_ref().is_some_and(|gateway| gateway.started)
}

fn is_down(ending: &Ending) -> bool {
    let known = &ending.served.known;
    !known.silent && known.health.as_ref().is_some_and(|health| health.state == State::Down)
}

/// How a gateway is whose Pod is ready, or that is down, by its watchdog.
fn inner_state(previous: &TenantStatus, ending: &Ending) -> (Reason, String) {
    let up = || (Reason::Serving, "the gateway is up".to_owned());
    let Served { known, lacks_context: _, recovery, keys: _ } = &ending.served;
    let starting = || (Reason::Starting, "the gateway is starting".to_owned());
    // Its watchdog is asked within a second, and knows within some more whether it has its first configuration. To tell
    // each step of a start would be a write each.
    let first = !was_up(previous) && !known.silent && !is_down(ending);
    let on_the_way = match (&ending.outcome, &known.delivery) {
        (Outcome::Stopped(_), _) | (_, Delivery::Behind { .. }) => false,
        (_, Delivery::Unknown) => true,
        (Outcome::Applied(plan), Delivery::Confirmed) => {
            known.applied(&plan.bundle.hash) == ConfigApplied::NotYet
        }
    };
    if first && on_the_way {
        return starting();
    }
    let Some(health) = known.health.as_ref().filter(|_| !known.silent) else { return up() };
    match health.state {
        State::Starting => starting(),
        State::Draining => (
            Reason::Draining,
            "the gateway finishes its running turns before it stops or restarts".to_owned(),
        ),
        State::Down => {
            let cause = health.cause.as_deref().unwrap_or("no cause is known");
            let recovery =
                recovery.and_then(Decision::told).map(|told| format!("; {told}")).unwrap_or_default();
            (Reason::GatewayDown, format!("the gateway does not serve: {cause}{recovery}"))
        }
        State::Alive | State::Degraded | State::Unknown => up(),
    }
}

/// Whether the stored status says that the gateway is up.
pub fn was_up(previous: &TenantStatus) -> bool {
    let mut conditions = previous.conditions.iter();
    conditions.any(|condition| {
        condition.type_ == ConditionType::GatewayReady.as_str()
            && condition.status == ConditionStatus::True.as_str()
    })
}
