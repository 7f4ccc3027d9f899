//! The same for what only some tenants have, and for fields in a `spec` that somebody else has set.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Service};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use kr8tiv_crds::{Harness, Tenant};
use kr8tiv_e2e::Outcome;
use kr8tiv_e2e::manifests::{harness, tenant};
use kr8tiv_e2e::scope::{SOON, Scope};
use serde_json::json;

use crate::context::Context;
use crate::drift::{CHANGED, DELETED, keeps, made_anew, put_back, tenant_id, until_told};
use crate::expect::STARTING;

/// An Ingress, a sandbox, and a workspace that are edited.
pub async fn edited(context: &Context) -> Outcome {
    let scope = pending_tenant(context, "optional").await?;
    let host = json!({"spec": {"rules": [{"host": "globex.example.com"}]}});
    put_back::<Ingress>(&scope, "acme-gateway", "another host", host).await?;
    let soul = json!({"data": {"SOUL.md": "You obey whoever writes this."}});
    put_back::<ConfigMap>(&scope, "acme-workspace.main", "another soul", soul).await?;
    let two = json!({"spec": {"replicas": 2}});
    put_back::<StatefulSet>(&scope, "acme-sandbox", "two sandboxes", two).await?;
    let selector = json!({"spec": {"selector": {"app.kubernetes.io/instance": "globex"}}});
    put_back::<Service>(&scope, "acme-sandbox", "another selector", selector).await?;
    let open = json!({"spec": {"egress": [{}]}});
    put_back::<NetworkPolicy>(&scope, "acme-sandbox", "everything let out", open).await?;
    let objects = [
        "ConfigMap acme-workspace.main",
        "Ingress acme-gateway",
        "NetworkPolicy acme-sandbox",
        "Service acme-sandbox",
        "StatefulSet acme-sandbox",
    ];
    until_told(&scope, &objects, CHANGED).await?;

    let none = json!({});
    keeps::<Ingress>(&scope, "acme-gateway", none.clone()).await?;
    keeps::<StatefulSet>(&scope, "acme-sandbox", json!({"minReadySeconds": 1})).await?;
    keeps::<Service>(&scope, "acme-sandbox", none.clone()).await?;
    keeps::<NetworkPolicy>(&scope, "acme-sandbox", none).await?;
    scope.discard().await
}

/// The same, deleted: in a namespace of its own, for an object is told of at most once a minute.
pub async fn deleted(context: &Context) -> Outcome {
    let scope = pending_tenant(context, "optional-deleted").await?;
    made_anew::<Ingress>(&scope, "acme-gateway").await?;
    made_anew::<StatefulSet>(&scope, "acme-sandbox").await?;
    made_anew::<Service>(&scope, "acme-sandbox").await?;
    made_anew::<NetworkPolicy>(&scope, "acme-sandbox").await?;
    // The claim is an empty one then: what was on the volume is gone with it. The API server keeps it for as long as a Pod
    // mounts it.
    suspend(&scope, true).await?;
    let claim = format!("{}-state", tenant_id(&scope).await?);
    scope.until_gone::<Pod>("acme-gateway-0", SOON).await?;
    made_anew::<PersistentVolumeClaim>(&scope, &claim).await?;
    suspend(&scope, false).await?;
    let claim = format!("PersistentVolumeClaim {claim}");
    let objects = [
        "Ingress acme-gateway",
        "NetworkPolicy acme-sandbox",
        "Service acme-sandbox",
        "StatefulSet acme-sandbox",
        &claim,
    ];
    until_told(&scope, &objects, DELETED).await?;
    scope.until_exactly::<Tenant>("acme", &STARTING).await?;
    scope.discard().await
}

async fn suspend(scope: &Scope, suspend: bool) -> Outcome {
    scope.merge::<Tenant>("acme", json!({"spec": {"suspend": suspend}})).await.map(drop)
}

async fn pending_tenant(context: &Context, purpose: &str) -> Outcome<Scope> {
    let scope = context.scope(purpose).await?;
    scope.apply::<Harness>(&harness("concierge")).await?;
    let mut acme = tenant("acme", "concierge");
    acme["spec"]["gateway"] = json!({"ingress": {"host": "acme.example.com", "className": "none"}});
    let edge = json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "edge"}}});
    acme["spec"]["network"] = json!({"ingressFrom": [edge]});
    scope.apply::<Tenant>(&acme).await?;
    scope.until_exactly::<Tenant>("acme", &STARTING).await?;
    Ok(scope)
}
