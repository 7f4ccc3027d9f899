//! Objects of a tenant that somebody edits or deletes by hand are put back, and an event on the Tenant says so.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Service, ServiceAccount};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kr8tiv_crds::{Harness, Tenant, meta};
use kr8tiv_e2e::Outcome;
use kr8tiv_e2e::manifests::{harness, tenant};
use kr8tiv_e2e::scope::{Kind, SOON, Scope};
use kube::ResourceExt;
use kube::api::ListParams;
use serde::Serialize;
use serde_json::{Value, json};

use crate::context::Context;
use crate::expect::STARTING;

/// What an event says of an object that somebody has changed.
pub const CHANGED: &str = "was changed by somebody else, and is as compiled again";
/// What an event says of an object that somebody has deleted.
pub const DELETED: &str = "was deleted by somebody else, and has been made anew";

pub async fn edited(context: &Context) -> Outcome {
    let scope = pending_tenant(context, "edited").await?;
    assert_eq!(told(&scope).await?, BTreeSet::new(), "nobody has touched anything");
    let cases = [
        ("a text", json!({"data": {"openclaw.json": "{}"}})),
        ("a missing key", json!({"data": {"delivery.json": null}})),
        ("a missing label", json!({"metadata": {"labels": {meta::TENANT: null}}})),
        ("a missing owner", json!({"metadata": {"ownerReferences": null}})),
    ];
    for (what, patch) in cases {
        put_back::<ConfigMap>(&scope, "acme-gateway-config", what, patch).await?;
    }
    let port =
        json!({"spec": {"ports": [{"name": "gateway", "port": 1, "protocol": "TCP", "targetPort": 1}]}});
    put_back::<Service>(&scope, "acme-gateway", "another port", port).await?;
    let selector = json!({"spec": {"selector": {"app.kubernetes.io/instance": "globex"}}});
    put_back::<Service>(&scope, "acme-gateway", "another selector", selector).await?;
    let token = json!({"automountServiceAccountToken": true});
    put_back::<ServiceAccount>(&scope, "acme-gateway", "a token for the gateway", token).await?;
    put_back::<StatefulSet>(&scope, "acme-gateway", "two gateways", json!({"spec": {"replicas": 2}})).await?;
    let open = json!({"spec": {"ingress": [{}], "egress": [{}]}});
    put_back::<NetworkPolicy>(&scope, "acme-gateway", "everybody let in and out", open).await?;
    let never = json!({"spec": {"maxUnavailable": 0}});
    put_back::<PodDisruptionBudget>(&scope, "acme-gateway", "no drain ever", never).await?;
    let grown = format!("{}-state", tenant_id(&scope).await?);
    let unlabelled = json!({"metadata": {"labels": {meta::TENANT: null}}});
    put_back::<PersistentVolumeClaim>(&scope, &grown, "a missing label", unlabelled).await?;
    let claim = format!("PersistentVolumeClaim {grown}");
    let objects = [
        "ConfigMap acme-gateway-config",
        "NetworkPolicy acme-gateway",
        "PodDisruptionBudget acme-gateway",
        "Service acme-gateway",
        "ServiceAccount acme-gateway",
        "StatefulSet acme-gateway",
        &claim,
    ];
    until_told(&scope, &objects, CHANGED).await?;
    scope.discard().await
}

pub async fn deleted(context: &Context) -> Outcome {
    let scope = pending_tenant(context, "deleted").await?;
    made_anew::<ServiceAccount>(&scope, "acme-gateway").await?;
    made_anew::<Service>(&scope, "acme-gateway").await?;
    made_anew::<ConfigMap>(&scope, "acme-gateway-config").await?;
    made_anew::<ConfigMap>(&scope, "acme-workspace.main").await?;
    made_anew::<StatefulSet>(&scope, "acme-gateway").await?;
    made_anew::<NetworkPolicy>(&scope, "acme-gateway").await?;
    made_anew::<PodDisruptionBudget>(&scope, "acme-gateway").await?;
    let objects = [
        "ConfigMap acme-gateway-config",
        "ConfigMap acme-workspace.main",
        "NetworkPolicy acme-gateway",
        "PodDisruptionBudget acme-gateway",
        "Service acme-gateway",
        "ServiceAccount acme-gateway",
        "StatefulSet acme-gateway",
    ];
    until_told(&scope, &objects, DELETED).await?;
    scope.until_exactly::<Tenant>("acme", &STARTING).await?;
    scope.discard().await
}

/// What somebody else has put onto an object stays there, whatever the operator puts back beside it.
pub async fn others_fields(context: &Context) -> Outcome {
    let scope = pending_tenant(context, "others").await?;
    let none = json!({});
    keeps::<ServiceAccount>(&scope, "acme-gateway", none.clone()).await?;
    keeps::<NetworkPolicy>(&scope, "acme-gateway", none.clone()).await?;
    let claim = format!("{}-state", tenant_id(&scope).await?);
    keeps::<PersistentVolumeClaim>(&scope, &claim, none.clone()).await?;
    let service = json!({"internalTrafficPolicy": "Local", "publishNotReadyAddresses": true});
    keeps::<Service>(&scope, "acme-gateway", service).await?;
    keeps::<PodDisruptionBudget>(&scope, "acme-gateway", none.clone()).await?;
    keeps::<ConfigMap>(&scope, "acme-gateway-config", none).await?;
    keeps::<StatefulSet>(&scope, "acme-gateway", json!({"minReadySeconds": 1})).await?;
    scope.discard().await
}

/// What somebody else has set stays, in the metadata and in the `spec`.
pub async fn keeps<K: Kind + Serialize>(scope: &Scope, name: &str, spec: Value) -> Outcome {
    let component = scope.api::<K>().get(name).await?.labels().get(meta::COMPONENT).cloned();
    let mut theirs = json!({"metadata": {
        "labels": {"example.com/team": "blue", meta::COMPONENT: "other"},
        "annotations": {"example.com/note": "theirs"},
    }});
    if spec != json!({}) {
        theirs["spec"] = spec.clone();
    }
    let edited: K = scope.merge(name, theirs).await?;
    let edited_spec = serde_json::to_value(&edited)?["spec"].clone();
    for (field, value) in spec.as_object().into_iter().flatten() {
        assert_eq!(&edited_spec[field], value, "{name}: {field}");
    }
    let mut wanted = essence(&edited)?;
    wanted["metadata"]["labels"][meta::COMPONENT] = json!(component);
    scope
        .until(&format!("{} {name} with our label and theirs", K::kind(&())), SOON, async || {
            let now = essence(&scope.api::<K>().get(name).await?)?;
            if now == wanted { Ok(()) } else { Err(format!("now: {now}").into()) }
        })
        .await
}

/// Waits until events tell of these objects, and of no others.
pub async fn until_told(scope: &Scope, objects: &[&str], done: &str) -> Outcome {
    let expected: BTreeSet<String> = objects.iter().map(|object| format!("{object} {done}")).collect();
    scope
        .until("events that tell of it", SOON, async || {
            let told = told(scope).await?;
            if told == expected { Ok(()) } else { Err(format!("told: {told:#?}").into()) }
        })
        .await
}

/// What events on the Tenant say of objects that were put back.
async fn told(scope: &Scope) -> Outcome<BTreeSet<String>> {
    let events = scope.api::<Event>().list(&ListParams::default()).await?;
    let of_tenant = |event: &Event| {
        let tenant = event.regarding.as_ref();
        tenant.is_some_and(|tenant| {
            tenant.kind.as_deref() == Some("Tenant") && tenant.name.as_deref() == Some("acme")
        })
    };
    let restored = events.into_iter().filter(|event| event.reason.as_deref() == Some("ObjectRestored"));
    Ok(restored.filter(of_tenant).filter_map(|event| event.note).collect())
}

pub async fn tenant_id(scope: &Scope) -> Outcome<String> {
    let status = scope.api::<Tenant>().get("acme").await?.status;
    Ok(status.and_then(|status| status.tenant_id).ok_or("no tenantId")?)
}

async fn pending_tenant(context: &Context, purpose: &str) -> Outcome<Scope> {
    let scope = context.scope(purpose).await?;
    scope.apply::<Harness>(&harness("concierge")).await?;
    scope.apply::<Tenant>(&tenant("acme", "concierge")).await?;
    scope.until_exactly::<Tenant>("acme", &STARTING).await?;
    Ok(scope)
}

/// An edit is undone: the object is again as it was, but for what the API server keeps about writes.
pub async fn put_back<K: Kind + Serialize>(scope: &Scope, name: &str, what: &str, edit: Value) -> Outcome {
    let before = essence(&scope.api::<K>().get(name).await?)?;
    let edited: K = scope.merge(name, edit).await?;
    assert_ne!(before, essence(&edited)?, "{what}: the edit changed nothing");
    scope
        .until(&format!("{} {name} put back after {what}", K::kind(&())), SOON, async || {
            let now = essence(&scope.api::<K>().get(name).await?)?;
            if now == before { Ok(()) } else { Err(format!("now: {now}").into()) }
        })
        .await
}

/// An object without what the API server keeps about writes.
pub fn essence<K: Serialize>(object: &K) -> Outcome<Value> {
    let mut value = serde_json::to_value(object)?;
    let metadata = value["metadata"].as_object_mut().ok_or("an object without metadata")?;
    for field in ["resourceVersion", "generation", "managedFields"] {
        metadata.remove(field);
    }
    value.as_object_mut().ok_or("no object")?.remove("status");
    Ok(value)
}

pub async fn made_anew<K: Kind>(scope: &Scope, name: &str) -> Outcome {
    let old = scope.api::<K>().get(name).await?.uid();
    scope.delete::<K>(name).await?;
    scope
        .until(&format!("{} {name} made anew", K::kind(&())), SOON, async || {
            let new = scope.api::<K>().get(name).await?.uid();
            if new == old { Err("it is still the old one".into()) } else { Ok(()) }
        })
        .await
}
