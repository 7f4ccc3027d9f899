//! The pass over a tenant: observe → plan → diff → apply → status.

pub mod apply;
pub mod diff;
pub mod gateway_ready;
pub mod observe;
pub mod plan;
pub mod rollout;
pub mod status;
pub mod stop;
pub mod token_claims;
pub mod told;

use std::sync::Arc;
use std::time::Duration;

use kr8tiv_compiler::asked_rotation;
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
use crate::memory;
use crate::metrics::Metrics;
use crate::recovery::{self, Decision};
use crate::results::{Compiled, Failure, Progress, TenantResult};
use crate::statuses::{self, now};
use crate::tenant::apply::Tools;
use crate::tenant::observe::{Observed, observe};
use crate::tenant::plan::{Plan, Prepared, Told};
use crate::tenant::rollout::{Rollout, go_on, restart, roll_out};
use crate::tenant::status::{Ending, Outcome, Served};
use crate::tenant::stop::{Retry, Stop};
use crate::tenant::token_claims::Claimed;
use crate::tokens::channel_tokens;

/// After this many failures in a row a hiccup is shown: one that is over by then would only make conditions flicker.
const SHOWN_FROM: u32 = 3;

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
        let observed = observe(&context.stores, tenant, context.statuses.latest(tenant));
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
                let again = [again, served.recovery.and_then(Decision::again)].into_iter().flatten().min();
                (Ending { outcome: Outcome::Stopped(stop), served }, again)
            }
        };
        self.conclude(&observed, &ending).await?;
        Ok(again.map_or_else(Action::await_change, Action::requeue))
    }

    async fn panicked(&self, tenant: &Guarded<Tenant>) -> Result<Action, statuses::Error> {
        let context = &*self.0;
        let Ok(tenant) = tenant.readable() else { return Ok(Action::await_change()) };
        let observed = observe(&context.stores, tenant, context.statuses.latest(tenant));
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
        self.report(observed, ending).await?;
        // After the status, which counts it: an operator that is killed in between has restarted too little, not too
        // much.
        if ending.served.recovery == Some(Decision::Restart) {
            let health = ending.served.known.health.as_ref();
            let serves = health.is_some_and(|health| health.state != State::Down);
            restart(&self.0.client, &observed.key, &observed.gateway, serves).await;
        }
        Ok(())
    }

    /// Writes the status, and tells whoever shares the tenant's fate.
    async fn report(&self, observed: &Observed<'_>, ending: &Ending) -> Result<(), statuses::Error> {
        let context = &*self.0;
        let tenant = observed.tenant;
        let previous = &observed.previous;
        let summary = status::summarise(tenant, previous, &observed.gateway, ending);
        let status = status::status(tenant, previous, &observed.gateway, ending, &summary, &now());
        if context.statuses.write(tenant, &status).await? {
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
        Ok(())
    }
}

/// Brings the cluster to the plan, and the plan to the Pod. Gives how it ended and when to look again; `None` when it
/// can't begin before the pass over another Tenant, which wakes this one.
async fn advance(
    context: &Context,
    observed: &Observed<'_>,
) -> Result<Option<(Ending, Option<Duration>)>, Stop> {
    let Some(plan) = secured_plan(context, observed).await? else { return Ok(None) };
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
    let tools = Tools { client: &context.client, stores: &context.stores, ledger: &context.ledger };
    let plan = apply::apply(tools, observed, plan)
        .await
        .map_err(|(plan, error)| Stop::by_object(plan.compiled(), &error))?;
    if observed.tenant.spec.suspend {
        context.deliveries.forget(&observed.key);
        let ending = Ending { outcome: Outcome::Applied(Box::new(plan)), served: Served::default() };
        return Ok(Some((ending, None)));
    }
    let rolled_out = roll_out(context, &observed.key, &observed.gateway, &plan.bundle.hash).await;
    let rollout = rolled_out.map_err(|source| {
        let (kind, name) = ("Pod", format!("of {}", observed.key.name));
        Stop::by_object(plan.compiled(), &apply::Error::Api { kind, name, source: Box::new(source) })
    })?;
    let Rollout { known, again } = rollout;
    let was_ready = status::was_ready(observed.tenant, &observed.previous);
    let lacks_context = context.memories.lacks_context(&observed.key, &plan.bundle, was_ready, &known);
    let recovery = recovery_of(observed, &known);
    let again = [again, recovery.and_then(Decision::again)].into_iter().flatten().min();
    let served = Served { known, lacks_context, recovery };
    Ok(Some((Ending { outcome: Outcome::Applied(Box::new(plan)), served }, again)))
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
    Served { known, lacks_context: false, recovery }
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

/// Plans, and sees to the Secrets.
async fn secured_plan(context: &Context, observed: &Observed<'_>) -> Result<Option<Plan<Prepared>>, Stop> {
    // A container that can't be created may want for a Secret that has been deleted since.
    let pod = observed.gateway.pod.as_ref().map(|(_, pod)| pod);
    let problem = pod.and_then(|pod| pod.problem.as_ref());
    let in_doubt = problem.is_some_and(|problem| problem.reason == Reason::ContainerConfigFailed);
    let tokens = channel_tokens(observed.tenant);
    let claimed = token_claims::claim(context, observed, &tokens, in_doubt).await;
    let before = match &claimed {
        Claimed::Waiting => return Ok(None),
        Claimed::Read(taken) | Claimed::Unread(taken, _) => taken.clone(),
    };
    let recalled = recall(context, observed).await;
    let facts = context.memories.facts(&observed.key);
    let prepare = |told| plan::prepare(observed, told, &facts, &context.stores.index, &context.compiler);
    // The annotation may be taken off again: which token the Pod was last started for, the Secret knows.
    let asked = asked_rotation(observed.tenant).map(str::to_owned);
    let told =
        Told { taken_tokens: before, rotation: asked.or_else(|| context.secrets.rotation(&observed.key)) };
    let plan = prepare(told.clone()).map_err(|stop| Stop { retry: claimed.retry(stop.retry), ..stop })?;
    if let Claimed::Unread(_, error) = &claimed {
        return Err(Stop::by_secret(plan.compiled(), error));
    }
    recalled.map_err(|error| Stop::by_memory(plan.compiled(), &error))?;
    let rotation = secure(context, observed, &plan, in_doubt).await?;
    // A token that was missing until now may be somebody else's.
    let taken_tokens = token_claims::compare(context, observed, &tokens);
    let is_ours = plan.bundle.minted.token.is_some();
    let now = Told { taken_tokens, rotation: if is_ours { rotation } else { told.rotation.clone() } };
    if now == told { Ok(Some(plan)) } else { prepare(now).map(Some) }
}

/// Sees to it that agents keep the context that they had before a start, when their Harness has a use for it.
async fn recall(context: &Context, observed: &Observed<'_>) -> Result<(), memory::Error> {
    let harness = observed.harness.as_ref().and_then(|harness| harness.readable().ok());
    match harness.map(|harness| &harness.spec.supermemory).filter(|memory| memory.enabled) {
        Some(memory) => context.memories.recall(observed, memory).await,
        None => Ok(()),
    }
}

/// Makes sure that the Secrets are there. Gives the rotation that the gateway's token was made for.
async fn secure(
    context: &Context,
    observed: &Observed<'_>,
    plan: &Plan<Prepared>,
    in_doubt: bool,
) -> Result<Option<String>, Stop> {
    let bundle = &plan.bundle;
    let stopped = |error: crate::secrets::Error| Stop::by_secret(plan.compiled(), &error);
    let secrets = &context.secrets;
    secrets.check(&observed.key, observed.uid, &bundle.secret_references, in_doubt).await.map_err(stopped)?;
    let minted = secrets.ensure_minted(observed.tenant, &bundle.tenant_id, &bundle.minted, in_doubt);
    minted.await.map_err(stopped)
}

fn unreadable_result(tenant: &Guarded<Tenant>) -> TenantResult {
    let unknown = || Key::of(tenant.meta()).sibling("");
    let harness = tenant.readable().err().and_then(|unreadable| unreadable.refers_to.clone());
    TenantResult {
        tenant: Edition::of(tenant.meta()),
        harness: (harness.unwrap_or_else(unknown), None),
        agents: std::collections::BTreeMap::new(),
        compiled: Err(Failure { diagnostics: Vec::new() }),
        progress: Progress::Stalled,
        reason: Reason::Unreadable,
    }
}
