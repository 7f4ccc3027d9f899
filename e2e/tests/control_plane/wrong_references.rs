//! Wrong input: something that is referred to does not exist. Each case shows its exact condition, heals by itself when
//! the object appears, and disturbs neither the neighbour nor a gateway that runs.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Secret;
use kr8tiv_crds::{Agent, Harness, Tenant};
use kr8tiv_e2e::Outcome;
use kr8tiv_e2e::conditions::Expected;
use kr8tiv_e2e::manifests::{agent, harness, secret, tenant, tenant_with_bot};
use kr8tiv_e2e::scope::Scope;
use serde_json::json;

use crate::context::{CANARY, Context};
use crate::expect::{GATEWAY_UP, NO_GATEWAY, SERVING, no_secret, not_compiled};
use crate::neighbour::{Neighbour, Still};

pub async fn missing_harness(context: &Context) -> Outcome {
    let scope = context.scope("no-harness").await?;
    let neighbour = Neighbour::create(context, &scope).await?;
    let message = format!(
        "Tenant acme, spec.harnessRef.name: there is no Harness concierge in namespace {}; create it, or name an \
         existing one (kubectl get harnesses.kr8tiv.ai) (K8T0001)",
        scope.namespace
    );
    let broken = |gateway| not_compiled("HarnessNotFound", &message, "Reconciling", gateway);

    scope.apply::<Tenant>(&tenant("acme", "concierge")).await?;
    scope.until_exactly::<Tenant>("acme", &broken(NO_GATEWAY)).await?;
    no_workload(&scope).await?;

    scope.apply::<Harness>(&harness("concierge")).await?;
    heals(context, &scope).await?;

    // The gateway that runs now keeps running without its Harness.
    let last_good = Still::objects_of(&scope, "acme").await?;
    scope.delete::<Harness>("concierge").await?;
    scope.until_exactly::<Tenant>("acme", &broken(GATEWAY_UP)).await?;
    last_good.unchanged().await?;
    scope.apply::<Harness>(&harness("concierge")).await?;
    heals(context, &scope).await?;
    last_good.unchanged().await?;
    neighbour.undisturbed().await?;
    scope.discard().await
}

pub async fn missing_secret(context: &Context) -> Outcome {
    let scope = context.scope("no-secret").await?;
    let message = format!(
        "spec.channels.telegram.accounts[0].botTokenSecretRef: Secret bot does not exist; create it with: kubectl -n {} create \
         secret generic bot --from-literal=token=...",
        scope.namespace
    );
    secret_case(context, &scope, &message).await
}

pub async fn missing_key(context: &Context) -> Outcome {
    let scope = context.scope("no-key").await?;
    scope.apply::<Secret>(&secret("bot", "tokn", &bot_token(&scope))).await?;
    let message = format!(
        "spec.channels.telegram.accounts[0].botTokenSecretRef: Secret bot has nothing under the key token; add it with: kubectl \
         -n {} patch secret bot --type merge -p '{{\"stringData\":{{\"token\":\"...\"}}}}'",
        scope.namespace
    );
    secret_case(context, &scope, &message).await
}

/// A token that no other test's bot has.
fn bot_token(scope: &Scope) -> String {
    format!("{CANARY}-{}", scope.namespace)
}

async fn secret_case(context: &Context, scope: &Scope, message: &str) -> Outcome {
    let neighbour = Neighbour::create(context, scope).await?;
    scope.apply::<Harness>(&harness("concierge")).await?;
    let whole = secret("bot", "token", &bot_token(scope));
    let with_bot = tenant_with_bot("acme", "concierge", "bot");

    scope.apply::<Tenant>(&with_bot).await?;
    scope.until_exactly::<Tenant>("acme", &no_secret(message, NO_GATEWAY)).await?;
    no_workload(scope).await?;
    scope.apply::<Secret>(&whole).await?;
    heals(context, scope).await?;

    // A running gateway is not touched by a new reference that leads nowhere.
    let last_good = Still::objects_of(scope, "acme").await?;
    let mut other = with_bot.clone();
    other["spec"]["channels"]["telegram"]["accounts"][0]["botTokenSecretRef"]["name"] = json!("other");
    scope.apply::<Tenant>(&other).await?;
    let message = format!(
        "spec.channels.telegram.accounts[0].botTokenSecretRef: Secret other does not exist; create it with: kubectl -n {} create \
         secret generic other --from-literal=token=...",
        scope.namespace
    );
    scope.until_exactly::<Tenant>("acme", &no_secret(&message, GATEWAY_UP)).await?;
    last_good.unchanged().await?;
    scope.apply::<Tenant>(&with_bot).await?;
    heals(context, scope).await?;
    last_good.unchanged().await?;
    neighbour.undisturbed().await?;
    scope.clone().discard().await
}

pub async fn unknown_tenant(context: &Context) -> Outcome {
    let scope = context.scope("no-tenant").await?;
    let neighbour = Neighbour::create(context, &scope).await?;
    let message = "Tenant acme does not exist in this namespace; create it, or create this Agent anew with \
                   spec.tenantRef.name set to an existing Tenant";
    let reason = "TenantNotFound";
    let lost: [Expected<'_>; 4] = [
        ("Ready", "False", reason, message),
        ("Accepted", "False", reason, message),
        ("Compiled", "Unknown", reason, "the Agent has no Tenant to be compiled for"),
        ("Reconciling", "True", reason, message),
    ];
    scope.apply::<Agent>(&agent("desk", "acme")).await?;
    scope.until_exactly::<Agent>("desk", &lost).await?;
    neighbour.undisturbed().await?;

    scope.apply::<Harness>(&harness("concierge")).await?;
    scope.apply::<Tenant>(&tenant("acme", "concierge")).await?;
    heals(context, &scope).await?;
    let found = scope.until_ready::<Agent>("desk", kr8tiv_e2e::scope::SOON).await?;
    assert_eq!(found.status.and_then(|status| status.agent_id).as_deref(), Some("desk"));

    scope.delete::<Tenant>("acme").await?;
    scope.until_exactly::<Agent>("desk", &lost).await?;
    neighbour.undisturbed().await?;
    scope.discard().await
}

/// The tenant becomes what it would have been without the mishap.
pub async fn heals(context: &Context, scope: &Scope) -> Outcome {
    context.until_ready(scope, "acme").await?;
    scope.until_exactly::<Tenant>("acme", &SERVING).await?;
    Ok(())
}

async fn no_workload(scope: &Scope) -> Outcome {
    let workload = scope.api::<StatefulSet>().get_opt("acme-gateway").await?;
    assert!(workload.is_none(), "a gateway was created that can't start");
    Ok(())
}
