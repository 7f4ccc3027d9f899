//! Wrong input: one bot's token in two hands, told apart by its value. The older Tenant keeps it.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Secret;
use kr8tiv_crds::{Harness, Tenant};
use kr8tiv_e2e::Outcome;
use kr8tiv_e2e::manifests::{harness, secret, tenant_with_bot};
use kr8tiv_e2e::scope::{SOON, Scope};
use serde_json::json;

use crate::context::{CANARY, Context};
use crate::expect::{NO_GATEWAY, SERVING, not_compiled};
use crate::neighbour::Still;
use crate::wrong_references::heals;

const FIELD: &str = "spec.channels.telegram.accounts[0].botTokenSecretRef";

pub async fn taken_token(context: &Context) -> Outcome {
    let elsewhere = context.scope("taken-token-first").await?;
    let token = format!("{CANARY}-{}", elsewhere.namespace);
    with_bot(&elsewhere, "first", "bot", &token).await?;
    context.until_ready(&elsewhere, "first").await?;
    let undisturbed = Still::objects_of(&elsewhere, "first").await?;

    let scope = context.scope("taken-token").await?;
    with_bot(&scope, "acme", "copy", &token).await?;
    let message = format!(
        "Tenant acme, {FIELD}: Tenant {}/first, {FIELD} has the same token; give each its own bot: two consumers of one \
         token take each other's messages (K8T0206)",
        elsewhere.namespace
    );
    let refused = not_compiled("Conflict", &message, "Stalled", NO_GATEWAY);
    scope.until_exactly::<Tenant>("acme", &refused).await?;
    assert!(scope.api::<StatefulSet>().get_opt("acme-gateway").await?.is_none(), "a gateway was created");
    elsewhere.until_exactly::<Tenant>("first", &SERVING).await?;
    undisturbed.unchanged().await?;

    // The older one takes another bot.
    elsewhere.apply::<Secret>(&secret("fresh", "token", &format!("{token}-fresh"))).await?;
    elsewhere.apply::<Tenant>(&tenant_with_bot("first", "concierge", "fresh")).await?;
    heals(context, &scope).await?;

    // A third comes, and waits until the second is gone.
    with_bot(&elsewhere, "third", "copy", &token).await?;
    let message = message
        .replace("acme", "third")
        .replace(&format!("{}/first", elsewhere.namespace), &format!("{}/acme", scope.namespace));
    elsewhere
        .until_exactly::<Tenant>("third", &not_compiled("Conflict", &message, "Stalled", NO_GATEWAY))
        .await?;
    scope.delete::<Tenant>("acme").await?;
    scope.until_gone::<Tenant>("acme", SOON).await?;
    context.until_ready(&elsewhere, "third").await?;
    elsewhere.discard().await?;
    scope.discard().await
}

/// Another token under the same name is noticed, although nobody tells of it.
pub async fn changed_token(context: &Context) -> Outcome {
    let scope = context.scope("changed-token").await?;
    let token = format!("{CANARY}-{}", scope.namespace);
    with_bot(&scope, "first", "bot", &token).await?;
    context.until_ready(&scope, "first").await?;
    with_bot(&scope, "acme", "copy", &token).await?;
    let message = format!(
        "Tenant acme, {FIELD}: Tenant first, {FIELD} has the same token; give each its own bot: two consumers of one token \
         take each other's messages (K8T0206)"
    );
    let refused = not_compiled("Conflict", &message, "Stalled", NO_GATEWAY);
    scope.until_exactly::<Tenant>("acme", &refused).await?;
    scope.merge::<Secret>("copy", json!({"stringData": {"token": format!("{token}-own")}})).await?;
    heals(context, &scope).await?;
    scope.discard().await
}

async fn with_bot(scope: &Scope, name: &str, holder: &str, token: &str) -> Outcome {
    scope.apply::<Harness>(&harness("concierge")).await?;
    scope.apply::<Secret>(&secret(holder, "token", token)).await?;
    scope.apply::<Tenant>(&tenant_with_bot(name, "concierge", holder)).await?;
    Ok(())
}
