//! Wrong input: agents that contradict each other or their Harness. The last good configuration stays.

use kr8tiv_crds::{Agent, Harness, Tenant};
use kr8tiv_e2e::Outcome;
use kr8tiv_e2e::conditions::{self, Expected};
use kr8tiv_e2e::manifests::{MODEL, agent, default_agent, harness, tenant};
use kr8tiv_e2e::scope::{SOON, Scope};
use serde_json::json;

use crate::context::Context;
use crate::expect::{GATEWAY_UP, not_compiled};
use crate::neighbour::{Neighbour, Still};
use crate::wrong_references::heals;

const ACCEPTED: Expected<'_> = ("Accepted", "True", "Succeeded", "Tenant acme takes the Agent");

pub async fn two_defaults(context: &Context) -> Outcome {
    let scope = context.scope("two-defaults").await?;
    let neighbour = running_tenant(context, &scope).await?;
    let last_good = Still::objects_of(&scope, "acme").await?;
    scope.apply::<Agent>(&default_agent("front", "acme")).await?;
    let message = "Agent front, spec.default: Agent desk is the tenant's default agent as well; set spec.default: \
                   false in all but one of them (K8T0202)";
    broken(&scope, message, "front", "desk").await?;
    last_good.unchanged().await?;
    neighbour.undisturbed().await?;

    scope.merge::<Agent>("front", json!({"spec": {"default": false}})).await?;
    healed(context, &scope, &["desk", "front"]).await?;
    neighbour.undisturbed().await?;
    scope.discard().await
}

pub async fn locked_model(context: &Context) -> Outcome {
    let scope = context.scope("locked-model").await?;
    let neighbour = running_tenant(context, &scope).await?;
    let last_good = Still::objects_of(&scope, "acme").await?;
    let mut other = agent("front", "acme");
    other["spec"]["model"] = json!("openai/gpt-5.5");
    scope.apply::<Agent>(&other).await?;
    let message = format!(
        "Agent front, spec.model: Harness concierge locks the model to {MODEL}, and this is openai/gpt-5.5; remove \
         spec.model, or set spec.models.lock: false in the Harness (K8T0102)"
    );
    broken(&scope, &message, "front", "desk").await?;
    last_good.unchanged().await?;
    neighbour.undisturbed().await?;

    // Another object than the one at fault can bring the cure.
    scope.merge::<Harness>("concierge", json!({"spec": {"models": {"lock": false}}})).await?;
    healed(context, &scope, &["desk", "front"]).await?;
    neighbour.undisturbed().await?;
    scope.discard().await
}

/// A Ready tenant with the default agent `desk`, and a neighbour.
async fn running_tenant(context: &Context, scope: &Scope) -> Outcome<Neighbour> {
    let neighbour = Neighbour::create(context, scope).await?;
    scope.apply::<Harness>(&harness("concierge")).await?;
    scope.apply::<Agent>(&default_agent("desk", "acme")).await?;
    scope.apply::<Tenant>(&tenant("acme", "concierge")).await?;
    heals(context, scope).await?;
    scope.until_ready::<Agent>("desk", SOON).await?;
    Ok(neighbour)
}

/// The tenant does not compile because of one agent, and the other one suffers with it.
async fn broken(scope: &Scope, message: &str, guilty: &str, innocent: &str) -> Outcome {
    scope.until_exactly::<Tenant>("acme", &not_compiled("Invalid", message, "Stalled", GATEWAY_UP)).await?;
    let found = [
        ("Ready", "False", "Invalid", message),
        ACCEPTED,
        ("Compiled", "False", "Invalid", message),
        ("Stalled", "True", "Invalid", message),
    ];
    scope.until_exactly::<Agent>(guilty, &found).await?;
    let elsewhere = "Tenant acme does not compile; its condition Compiled says why";
    let suffers = [
        ("Ready", "False", "TenantInvalid", elsewhere),
        ACCEPTED,
        ("Compiled", "False", "TenantInvalid", elsewhere),
        ("Stalled", "True", "TenantInvalid", elsewhere),
    ];
    scope.until_exactly::<Agent>(innocent, &suffers).await?;
    Ok(())
}

async fn healed(context: &Context, scope: &Scope, agents: &[&str]) -> Outcome {
    heals(context, scope).await?;
    for agent in agents {
        scope
            .until(&format!("Agent {agent} Ready"), SOON, async || {
                // What heals may be in the Pod: another one takes its place, and no kubelet starts it.
                context.node.make_ready(scope).await?;
                conditions::ready(&scope.api::<Agent>().get(agent).await?)
            })
            .await?;
    }
    Ok(())
}
