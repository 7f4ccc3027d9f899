//! The pass over a tenant: observe → plan → diff → apply → status. No I/O of its own.

pub mod apply;
pub mod diff;
pub mod gateway_ready;
pub mod observe;
pub mod plan;
pub mod rollout;
pub mod secured;
pub mod status;
pub mod stop;
pub mod token_claims;
pub mod told;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kr8tiv_crds::Tenant;
use kr8tiv_crds::status::Reason;
use kube::Resource;
use kube::runtime::controller::Action;

use crate::backoff::{Pace, jittered};
use crate::context::Context;
use crate::controller::{Reconciler, fault};
use crate::delivery::Known;
use crate::guard::Guarded;
use crate::health::State;
use crate::index::Edition;
use crate::key::Key;
use crate::metrics::Metrics;
use crate::recovery::{self, Decision};
use crate::results::{Compiled, Failure, Progress, TenantResult};
use crate::sandbox;
use crate::statuses::{self, now};
use crate::tenant::apply::Tools;
use crate::tenant::observe::{Observed, observe};
use crate::tenant::rollout::{Current, Rollout, go_on, restart, roll_out, unstick};
use crate::tenant::secured::secured_plan;
use crate::tenant::status::{Ending, Outcome, Served};
use crate::tenant::stop::{Retry, Stop};

/// After this many failures in a row a hiccup is shown: one that is over by then would only make conditions flicker.
const SHOWN_FROM: u32 = 3;

/// Between two looks whether the watchdog has logged in to a sandbox that has just come up.
const LOG_IN_PAUSE: Duration = Duration::from_secs(5);

/// Reconciles Tenants.
pub struct Tenants(pub Arc<Context>);

impl Reconciler for Tenants {
    type Kind = Tenant;

    async fn pass(&self, tenant: &Guarded<Tenant>) -> Result<Action, statuses::Error> {
        let context = &*self.0;
        let tenant = match tenant.readable() {
            Ok(tenant) => tenant,
            Err(unreadable) => {
                context.statuses.write_unreadable::<Tenant>(unreadable).await?;
                let key = Key::of(&unreadable.metadata);
                context.record(&key, unreadable_result(tenant));
                return Ok(Action::await_change());
            }
        };
        if tenant.metadata.deletion_timestamp.is_some() {
            // Its objects are removed by their owner references; nothing may be made anew.
            context.forget_tenant(&Key::of(&tenant.metadata));
            return Ok(Action::await_change());
        }
        let observed = observe(&context.stores, tenant, context.statuses.latest(tenant), now().0);
        let (ending, again) = match advance(context, &observed).await {
            Ok(Some((ending, again))) => {
                context.failures.forget(&observed.key);
                (ending, again)
            }
            Ok(None) => return Ok(Action::await_change()),
            Err(stop) => {
                let failures = context.failures.count(&observed.key);
                let again = match stop.retry {
                    Retry::OnChange => None,
                    Retry::After(pause) => Some(pause),
                    Retry::Paced(pace) => Some(jittered(pace.pause(failures))),
                };
                let key = &observed.key;
                let reason = stop.reason.as_str();
                tracing::info!(
                    kind = "Tenant",
                    namespace = key.namespace,
                    name = key.name,
                    reason,
                    detail = stop.message,
                    "not applied"
                );
                if stop.is_transient() && failures < SHOWN_FROM && context.results.get(key).is_some() {
                    return Ok(again.map_or_else(Action::await_change, Action::requeue));
                }
                let served = served_meanwhile(context, &observed).await;
                // A pass that is paced comes by itself: what is refused is asked for no sooner because of a log-in.
                let is_paced = matches!(stop.retry, Retry::Paced(_));
                let awaited = awaited(&observed, &served).filter(|_| !is_paced);
                let again = [again, served.recovery.and_then(Decision::again), awaited];
                let again = again.into_iter().flatten().min();
                (Ending { outcome: Outcome::Stopped(stop), served }, again)
            }
        };
        self.conclude(&observed, &ending).await?;
        let again = [again, observed.again].into_iter().flatten().min();
        Ok(again.map_or_else(Action::await_change, Action::requeue))
    }

    async fn panicked(&self, tenant: &Guarded<Tenant>) -> Result<Action, statuses::Error> {
        let context = &*self.0;
        let Ok(tenant) = tenant.readable() else { return Ok(Action::await_change()) };
        let observed = observe(&context.stores, tenant, context.statuses.latest(tenant), now().0);
        let stop = Stop {
            compiled: Err(Failure { diagnostics: Vec::new() }),
            reason: Reason::InternalError,
            message: fault("Tenant"),
            progress: Progress::Stalled,
            retry: Retry::Paced(Pace::Refused),
        };
        let served = served_meanwhile(context, &observed).await;
        let pause = context.failures.pause(&observed.key, Pace::Refused);
        let again = served.recovery.and_then(Decision::again).map_or(pause, |again| again.min(pause));
        self.conclude(&observed, &Ending { outcome: Outcome::Stopped(stop), served }).await?;
        Ok(Action::requeue(again))
    }

    fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    fn gone(&self, key: &Key) {
        self.0.forget_tenant(key);
    }
}

impl Tenants {
    /// Reports how a pass ended, and restarts the gateway where that is due.
    async fn conclude(&self, observed: &Observed<'_>, ending: &Ending) -> Result<(), statuses::Error> {
        let is_reported = self.report(observed, ending).await?;
        // After the status, which counts it: an operator that is killed in between has restarted too little, not too
        // much. A restart changes every status: one that was not written has counted nothing.
        if is_reported && ending.served.recovery == Some(Decision::Restart) {
            let health = ending.served.known.health.as_ref();
            let serves = health.is_some_and(|health| health.state != State::Down);
            restart(&self.0.client, &observed.key, &observed.gateway, serves).await;
        }
        Ok(())
    }

    /// Writes the status, and tells whoever shares the tenant's fate. Says whether there was something to write and it was
    /// taken.
    async fn report(&self, observed: &Observed<'_>, ending: &Ending) -> Result<bool, statuses::Error> {
        let context = &*self.0;
        let tenant = observed.tenant;
        let previous = &observed.previous;
        let summary = status::summarise(tenant, previous, &observed.gateway, ending);
        let status = status::status(observed, ending, &summary, &now());
        let is_written = context.statuses.write(tenant, &status).await?;
        if is_written {
            let key = &observed.key;
            let reason = summary.reason.as_str();
            tracing::info!(
                kind = "Tenant",
                namespace = key.namespace,
                name = key.name,
                reason,
                detail = summary.message,
                "status written"
            );
        }
        let compiled: Result<Compiled, Failure> = match &ending.outcome {
            Outcome::Applied(plan) => Ok(plan.compiled()),
            Outcome::Stopped(stop) => stop.compiled.clone(),
        };
        let result = TenantResult {
            tenant: Edition::of(&tenant.metadata),
            harness: observed.harness_edition(),
            agents: observed.agent_editions(),
            compiled,
            progress: summary.progress,
            reason: summary.reason,
        };
        context.record(&observed.key, result);
        Ok(is_written)
    }
}

/// Brings the cluster to the plan, and the plan to the Pod. Gives how it ended and when to look again; `None` when it
/// can't begin before the pass over another Tenant, which wakes this one.
async fn advance(
    context: &Context,
    observed: &Observed<'_>,
) -> Result<Option<(Ending, Option<Duration>)>, Stop> {
    let Some((plan, keys_fault)) = secured_plan(context, observed).await? else { return Ok(None) };
    // Two gateways on one volume would write over each other's sessions.
    if observed.gateway.workload.is_none()
        && let Some(pod) = context.stores.pod_of_id(&observed.key, &plan.bundle.tenant_id)
    {
        return Err(Stop::by_predecessor(plan.compiled(), &pod.name));
    }
    match plan.memory.wanted.clone() {
        Some(_) if observed.tenant.spec.suspend => context.memories.pause(&observed.key),
        Some(wanted) => context.memories.follow(&observed.key, wanted),
        None => context.memories.forget(&observed.key),
    }
    let Context { client, stores, ledger, events, .. } = context;
    let tools = Tools { client, stores, ledger, events };
    let plan = apply::apply(tools, observed, plan)
        .await
        .map_err(|(plan, error)| Stop::by_object(plan.compiled(), &error))?;
    if observed.tenant.spec.suspend {
        context.deliveries.forget(&observed.key);
        let ending = Ending { outcome: Outcome::Applied(Box::new(plan)), served: Served::default() };
        return Ok(Some((ending, None)));
    }
    let keys = context.secrets.sandbox_keys(&observed.key);
    let current = Current { hash: &plan.bundle.hash, sandbox_keys: &keys };
    let stopped = |source| {
        let (kind, name) = ("Pod", format!("of {}", observed.key.name));
        Stop::by_object(plan.compiled(), &apply::Error::Api { kind, name, source: Box::new(source) })
    };
    let rolled_out = roll_out(context, &observed.key, &observed.gateway, current).await;
    let Rollout { known, again } = rolled_out.map_err(stopped)?;
    if keys_fault.is_none() {
        context.key_failures.forget(&observed.key);
    }
    let stuck = unstick(&context.client, &observed.key, &observed.sandboxes).await;
    if stuck.is_none() {
        context.stuck_failures.forget(&observed.key);
    }
    let stuck_again = stuck.map(|pace| context.stuck_failures.pause(&observed.key, pace));
    let was_ready = status::was_ready(observed.tenant, &observed.previous);
    let lacks_context = context.memories.lacks_context(&observed.key, &plan.bundle, was_ready, &known);
    let recovery = recovery_of(observed, &known);
    let (keys, keys_again) = keys_fault.unzip();
    let served = Served { known, lacks_context, recovery, keys };
    let awaited = awaited(observed, &served);
    let again = [again, recovery.and_then(Decision::again), keys_again.flatten(), stuck_again, awaited];
    let again = again.into_iter().flatten().min();
    Ok(Some((Ending { outcome: Outcome::Applied(Box::new(plan)), served }, again)))
}

/// When to look again whether the watchdog has logged in to the sandboxes that there are.
fn awaited(observed: &Observed<'_>, served: &Served) -> Option<Duration> {
    // Without keys it comes with them; and that a watchdog is heard again is news.
    let can_come = served.keys.is_none() && !served.known.silent;
    let is_awaited = can_come && sandbox::is_awaited(&observed.sandboxes, &served.known, now().0);
    is_awaited.then_some(LOG_IN_PAUSE)
}

/// How a gateway is that goes on with what it has, because the current generation can't be applied. A fault of its own
/// is mended all the same.
async fn served_meanwhile(context: &Context, observed: &Observed<'_>) -> Served {
    if observed.tenant.spec.suspend {
        context.deliveries.forget(&observed.key);
        return Served::default();
    }
    let known = go_on(context, observed).await;
    let recovery = recovery_of(observed, &known);
    Served { known, lacks_context: false, recovery, keys: None }
}

/// What is done about a gateway that is at fault. One with a problem that kubelet knows of is kubelet's to start again,
/// and whatever was before it started is over.
fn recovery_of(observed: &Observed<'_>, known: &Known) -> Option<Decision> {
    let at_fault = known.at_fault_since?.elapsed();
    let (_, pod) = observed.gateway.pod.as_ref()?;
    if pod.problem.is_some() {
        return None;
    }
    let now = now().0;
    let runs = pod.gateway.as_ref().map(|gateway| now.duration_since(gateway.since));
    let runs = runs.map(|runs| Duration::try_from(runs).unwrap_or_default());
    let at_fault = runs.map_or(at_fault, |runs| at_fault.min(runs));
    let harness = observed.harness.as_ref()?.readable().ok()?;
    Some(recovery::decide(at_fault, &observed.previous.restarts, now, &harness.spec.recovery))
}

fn unreadable_result(tenant: &Guarded<Tenant>) -> TenantResult {
    let unknown = || Key::of(tenant.meta()).sibling("");
    let harness = tenant.readable().err().and_then(|unreadable| unreadable.refers_to.clone());
    TenantResult {
        tenant: Edition::of(tenant.meta()),
        harness: (harness.unwrap_or_else(unknown), None),
        agents: BTreeMap::new(),
        compiled: Err(Failure { diagnostics: Vec::new() }),
        progress: Progress::Stalled,
        reason: Reason::Unreadable,
    }
}
