//! Plan stage: the plan, with the Secrets and the context that it stands on. Reads and writes Secrets through
//! [`crate::secrets`], and reads ConfigMaps through [`crate::memory`].

use std::collections::BTreeMap;
use std::time::Duration;

use kr8tiv_compiler::asked_rotation;
use kr8tiv_crds::status::Reason;

use crate::backoff::{Pace, jittered};
use crate::context::Context;
use crate::key::Key;
use crate::memory;
use crate::sandbox::KeysFault;
use crate::tenant::SHOWN_FROM;
use crate::tenant::observe::Observed;
use crate::tenant::plan::{self, Plan, Prepared, Told};
use crate::tenant::stop::{Retry, Stop, verdict};
use crate::tenant::token_claims::{self, Claimed};
use crate::tokens::channel_tokens;

/// What keeps sandboxes' keys from being made, and when it is tried again.
pub type KeysProblem = (KeysFault, Option<Duration>);

/// Plans, and sees to the Secrets. Gives what keeps the sandboxes' keys from being made beside the plan; `None` when it can't
/// begin before the pass over another Tenant, which wakes this one.
pub async fn secured_plan(
    context: &Context,
    observed: &Observed<'_>,
) -> Result<Option<(Plan<Prepared>, Option<KeysProblem>)>, Stop> {
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
    let told = Told {
        taken_tokens: before,
        rotation: asked.or_else(|| context.secrets.rotation(&observed.key)),
        sandbox_keys: sandbox_keys(context, observed),
    };
    let plan = prepare(told.clone()).map_err(|stop| Stop { retry: claimed.retry(stop.retry), ..stop })?;
    if let Claimed::Unread(_, error) = &claimed {
        return Err(Stop::by_secret(plan.compiled(), error));
    }
    recalled.map_err(|error| Stop::by_memory(plan.compiled(), &error))?;
    let (rotation, sandbox_keys, problem) = secure(context, observed, &plan, in_doubt).await?;
    // A token that was missing until now may be somebody else's.
    let taken_tokens = token_claims::compare(context, observed, &tokens);
    let is_ours = plan.bundle.minted.token.is_some();
    let rotation = if is_ours { rotation } else { told.rotation.clone() };
    let now = Told { taken_tokens, rotation, sandbox_keys };
    let plan = if now == told { plan } else { prepare(now)? };
    Ok(Some((plan, problem)))
}

/// Which keys the sandboxes have: an operator that has just started takes it from what they run with.
fn sandbox_keys(context: &Context, observed: &Observed<'_>) -> BTreeMap<String, String> {
    let mut keys = context.secrets.sandbox_keys(&observed.key);
    for sandbox in observed.sandboxes.keys() {
        if let (false, Some(running)) = (keys.contains_key(sandbox), running_keys(observed, sandbox)) {
            keys.insert(sandbox.clone(), running);
        }
    }
    keys
}

fn running_keys(observed: &Observed<'_>, sandbox: &str) -> Option<String> {
    observed.sandboxes.get(sandbox)?.workload.as_ref()?.sandbox_keys.clone()
}

/// Sees to it that agents keep the context that they had before a start, when their Harness has a use for it.
async fn recall(context: &Context, observed: &Observed<'_>) -> Result<(), memory::Error> {
    let harness = observed.harness.as_ref().and_then(|harness| harness.readable().ok());
    match harness.map(|harness| &harness.spec.supermemory).filter(|memory| memory.enabled) {
        Some(memory) => context.memories.recall(observed, memory).await,
        None => Ok(()),
    }
}

/// Makes sure that the Secrets are there. Gives the rotation that the gateway's token was made for, which keys its
/// sandboxes have, and what is wrong with those: the gateway serves without its sandboxes.
async fn secure(
    context: &Context,
    observed: &Observed<'_>,
    plan: &Plan<Prepared>,
    in_doubt: bool,
) -> Result<(Option<String>, BTreeMap<String, String>, Option<KeysProblem>), Stop> {
    let bundle = &plan.bundle;
    let stopped = |error: crate::secrets::Error| Stop::by_secret(plan.compiled(), &error);
    let secrets = &context.secrets;
    secrets.check(&observed.key, observed.uid, &bundle.secret_references, in_doubt).await.map_err(stopped)?;
    let minted = secrets.ensure_minted(observed.tenant, &bundle.tenant_id, &bundle.minted, in_doubt);
    let rotation = minted.await.map_err(stopped)?;
    let probed = context.deliveries.known(&observed.key).health.unwrap_or_default().sandboxes;
    let in_doubt = |sandbox: &str| {
        let pod = observed.sandboxes.get(sandbox).and_then(|sandbox| sandbox.pod.as_ref());
        pod.is_some_and(|(_, pod)| pod.problem.is_some())
            || probed.get(sandbox).is_some_and(|probed| probed.login.doubts_keys())
    };
    let running = |sandbox: &str| running_keys(observed, sandbox);
    let (id, sandboxes) = (&bundle.tenant_id, &bundle.sandboxes);
    let (keys, failed) = secrets.ensure_sandbox_keys(observed.tenant, id, sandboxes, in_doubt, running).await;
    let problem = failed.map(|error| {
        let (reason, _, retry) = verdict(&error);
        let (failures, message) = (context.key_failures.count(&observed.key), error.to_string());
        let Key { namespace, name } = &observed.key;
        let reason_text = reason.as_str();
        tracing::info!(
            kind = "Tenant",
            namespace,
            name,
            reason = reason_text,
            detail = message,
            "without keys"
        );
        let is_short = reason == Reason::Starting || retry == Retry::Paced(Pace::Transient);
        let fault = KeysFault { reason, message, transient: is_short && failures < SHOWN_FROM };
        let again = match retry {
            Retry::OnChange => None,
            Retry::After(pause) => Some(pause),
            Retry::Paced(pace) => Some(jittered(pace.pause(failures))),
        };
        (fault, again)
    });
    Ok((rotation, keys, problem))
}
