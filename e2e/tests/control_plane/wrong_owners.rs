//! Wrong input: a name or an id that is somebody else's. Nothing of theirs is taken over.

use k8s_openapi::api::core::v1::ConfigMap;
use kr8tiv_crds::{Harness, Tenant};
use kr8tiv_e2e::Outcome;
use kr8tiv_e2e::conditions::Expected;
use kr8tiv_e2e::manifests::{harness, tenant};
use kr8tiv_e2e::scope::SOON;
use kube::ResourceExt;
use serde_json::json;

use crate::context::Context;
use crate::expect::{COMPILED, NO_GATEWAY, SERVING};
use crate::neighbour::Neighbour;
use crate::wrong_references::heals;

fn conflict(message: &str) -> [Expected<'_>; 4] {
    let reason = "Conflict";
    [("Ready", "False", reason, message), COMPILED, NO_GATEWAY, ("Stalled", "True", reason, message)]
}

/// A ConfigMap of the user's has the name that the gateway's would have.
pub async fn taken_name(context: &Context) -> Outcome {
    let scope = context.scope("taken-name").await?;
    let neighbour = Neighbour::create(context, &scope).await?;
    let name = "acme-gateway-config";
    let own =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"mine": "yes"}});
    let before = scope.apply::<ConfigMap>(&own).await?;
    scope.apply::<Harness>(&harness("concierge")).await?;
    scope.apply::<Tenant>(&tenant("acme", "concierge")).await?;
    let message = format!(
        "ConfigMap {name} exists and was not made by the operator for this Tenant; delete or rename it"
    );
    scope.until_exactly::<Tenant>("acme", &conflict(&message)).await?;
    let now: ConfigMap = scope.api().get(name).await?;
    assert_eq!(before.resource_version(), now.resource_version(), "the user's ConfigMap was written to");
    neighbour.undisturbed().await?;

    scope.delete::<ConfigMap>(name).await?;
    heals(context, &scope).await?;
    neighbour.undisturbed().await?;
    scope.discard().await
}

/// Two Tenants claim one id: the older one keeps it.
pub async fn taken_id(context: &Context) -> Outcome {
    let scope = context.scope("taken-id").await?;
    let elsewhere = context.scope("taken-id-first").await?;
    elsewhere.apply::<Harness>(&harness("concierge")).await?;
    let mut first = tenant("first", "concierge");
    first["spec"]["tenantId"] = json!("shared-0a1b2c3d");
    elsewhere.apply::<Tenant>(&first).await?;
    context.until_ready(&elsewhere, "first").await?;

    scope.apply::<Harness>(&harness("concierge")).await?;
    let mut second = tenant("acme", "concierge");
    second["spec"]["tenantId"] = json!("shared-0a1b2c3d");
    scope.apply::<Tenant>(&second).await?;
    let message = format!(
        "the tenant id shared-0a1b2c3d belongs to Tenant {}/first; delete that one, or create this Tenant anew with \
         another spec.tenantId",
        elsewhere.namespace
    );
    scope.until_exactly::<Tenant>("acme", &conflict(&message)).await?;
    elsewhere.until_exactly::<Tenant>("first", &SERVING).await?;

    elsewhere.delete::<Tenant>("first").await?;
    elsewhere.until_gone::<Tenant>("first", SOON).await?;
    heals(context, &scope).await?;
    elsewhere.discard().await?;
    scope.discard().await
}
