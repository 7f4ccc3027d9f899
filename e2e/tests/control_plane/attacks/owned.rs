//! What the operator leaves alone: objects that look like its own, and names and ids that are somebody else's.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Secret, Service};
use kr8tiv_crds::{Tenant, meta};
use kr8tiv_e2e::Outcome;
use kr8tiv_e2e::conditions::condition;
use kr8tiv_e2e::manifests::tenant;
use kr8tiv_e2e::scope::{Kind, SOON, Scope};
use kube::ResourceExt;
use serde::Serialize;
use serde_json::{Value, json};

use super::world::{HARNESS, THEIRS, World, concierge, with};
use super::{Actor, Attack, attack, tried};
use crate::context::Context;
use crate::neighbour::{Neighbour, Still};

/// The table.
#[rustfmt::skip]
pub fn attacks() -> Vec<Attack> {
    vec![
        attack!("config-map-in-the-way", TenantAdmin, "puts a ConfigMap where the gateway's will be", Guard, "ConfigMap way-gateway-config exists and was not made by the operator for this Tenant"),
        attack!("config-map-with-labels", TenantAdmin, "gives it the operator's labels", Guard, "ConfigMap way-gateway-config exists and was not made by the operator for this Tenant"),
        attack!("config-map-of-a-neighbour", TenantAdmin, "gives it the operator's labels, and another Tenant for an owner", Guard, "ConfigMap way-gateway-config is being deleted; it is made anew when it is gone"),
        attack!("secret-in-the-way", TenantAdmin, "puts a Secret with a known token where the gateway's will be", Guard, "Secret way-gateway-token exists and was not made by the operator for this Tenant"),
        attack!("secret-with-labels", TenantAdmin, "gives it the operator's labels, and its own Tenant's name", Guard, "Secret way-gateway-token exists and was not made by the operator for this Tenant"),
        attack!("workload-in-the-way", TenantAdmin, "puts a StatefulSet where the gateway's will be", Guard, "StatefulSet way-gateway exists and was not made by the operator for this Tenant"),
        attack!("service-in-the-way", TenantAdmin, "puts a Service where the gateway's will be, to be handed its connections", Guard, "Service way-gateway exists and was not made by the operator for this Tenant"),
        attack!("volume-of-another-id", TenantAdmin, "puts a claim with another tenant's id where the volume will be", Guard, "PersistentVolumeClaim way-0a1b2c3d-state exists and was not made by the operator for this Tenant"),
        attack!("labels-to-be-deleted", TenantAdmin, "labels somebody's ConfigMap as one that the tenant no longer has", Guard, ""),
        attack!("labels-of-a-workload", TenantAdmin, "labels somebody's StatefulSet as the tenant's", Guard, ""),
        attack!("labels-from-elsewhere", Neighbour, "labels a ConfigMap of another namespace as the tenant's", Guard, ""),
        attack!("id-of-another-tenant", Neighbour, "creates a Tenant with the id of one in another namespace, to find its volume and its memory", Guard, "the tenant id "),
        attack!("tag-of-another-tenant", Neighbour, "creates a Tenant with the memory's tag of one in another namespace, to read its memory", Guard, "the memory tag "),
    ]
}

fn object(kind: &str, name: &str, metadata: &Value, more: &Value) -> Value {
    let version = if kind == "StatefulSet" { "apps/v1" } else { "v1" };
    let mut object = json!({"apiVersion": version, "kind": kind, "metadata": metadata});
    object["metadata"]["name"] = json!(name);
    for (key, value) in more.as_object().into_iter().flatten() {
        object[key] = value.clone();
    }
    object
}

/// The operator's labels for an object of a tenant.
fn labels(tenant: &str, id: &str) -> Value {
    json!({"labels": {
        meta::MANAGED_BY: meta::MANAGED_BY_VALUE, meta::NAME: meta::NAME_VALUE, meta::INSTANCE: tenant,
        meta::TENANT: tenant, meta::TENANT_ID: id
    }})
}

fn workload(name: &str, metadata: &Value) -> Value {
    let labels = json!({"app": "theirs"});
    let template = json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "example.com/c"}]}});
    let spec = json!({"replicas": 0, "serviceName": "theirs", "selector": {"matchLabels": labels}, "template": template});
    object("StatefulSet", name, metadata, &json!({"spec": spec}))
}

pub async fn by_guard(context: &Context) -> Outcome {
    let world = World::create(context, "attack-owned").await?;
    let neighbour = Neighbour::create(context, &world.scope).await?;
    context.until_ready(&world.scope, "acme").await?;
    in_the_way(context, &world).await?;
    labelled(context, &world).await?;
    same_id(context, &world).await?;
    neighbour.undisturbed().await?;
    world.discard().await
}

/// Somebody's object has a name that a new Tenant's will need.
async fn in_the_way(context: &Context, world: &World) -> Outcome {
    let data = json!({"data": {"mine": "yes"}});
    let known = json!({"stringData": {"token": "known-to-the-attacker", "statusToken": "known-as-well"}});
    let plain = json!({});
    let config = "way-gateway-config";
    let neighbour: Tenant = world.scope.api().get("neighbour").await?;
    let mut owned = labels("way", "way-0a1b2c3d");
    owned["ownerReferences"] = json!([{
        "apiVersion": "kr8tiv.ai/v1alpha1", "kind": "Tenant", "name": "neighbour", "uid": neighbour.uid(), "controller": true
    }]);
    let forged = labels("way", "another-0a1b2c3d");
    one::<ConfigMap>(context, world, "config-map-in-the-way", &object("ConfigMap", config, &plain, &data))
        .await?;
    one::<ConfigMap>(context, world, "config-map-with-labels", &object("ConfigMap", config, &forged, &data))
        .await?;
    one::<ConfigMap>(
        context,
        world,
        "config-map-of-a-neighbour",
        &object("ConfigMap", config, &owned, &data),
    )
    .await?;
    let token = "way-gateway-token";
    one::<Secret>(context, world, "secret-in-the-way", &object("Secret", token, &plain, &known)).await?;
    one::<Secret>(context, world, "secret-with-labels", &object("Secret", token, &forged, &known)).await?;
    one::<StatefulSet>(context, world, "workload-in-the-way", &workload("way-gateway", &forged)).await?;
    let ports = json!({"spec": {"selector": {"app": "theirs"}, "ports": [{"port": 18789}]}});
    one::<Service>(context, world, "service-in-the-way", &object("Service", "way-gateway", &forged, &ports))
        .await?;
    let claim =
        json!({"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
    let claim = object("PersistentVolumeClaim", "way-0a1b2c3d-state", &forged, &claim);
    one::<PersistentVolumeClaim>(context, world, "volume-of-another-id", &claim).await
}

async fn one<K: Kind + Serialize>(context: &Context, world: &World, name: &str, object: &Value) -> Outcome {
    let scope = &world.scope;
    let called = object["metadata"]["name"].as_str().ok_or("an object without a name")?.to_owned();
    let before = content(&world.apply::<K>(Actor::TenantAdmin, object).await?)?;
    let way = with(tenant("way", HARNESS), json!({"tenantId": "way-0a1b2c3d"}));
    world.apply::<Tenant>(Actor::TenantAdmin, &way).await?;
    let expected = tried(name).says;
    scope
        .until(&format!("{name}: {expected}"), SOON, async || {
            context.node.make_ready(scope).await?;
            let tenant: Tenant = scope.api().get("way").await?;
            let found = condition(&tenant, "Ready").ok_or("no condition")?;
            let is_told = found.status == "False" && found.message.contains(expected);
            if is_told { Ok(()) } else { Err(format!("{}: {}", found.status, found.message).into()) }
        })
        .await?;
    let after = content(&scope.api::<K>().get(&called).await?)?;
    assert_eq!(before, after, "{name}: it was written to");
    scope.delete::<Tenant>("way").await?;
    scope.until_gone::<Tenant>("way", SOON).await?;
    // What was made before the operator met the obstacle goes with the Tenant, and the obstacle stays.
    assert!(scope.api::<K>().get_opt(&called).await?.is_some(), "{name}: it was deleted");
    scope.delete::<K>(&called).await?;
    scope.until_gone::<K>(&called, SOON).await?;
    for kept in scope.api::<PersistentVolumeClaim>().list(&kube::api::ListParams::default()).await? {
        if kept.name_any().starts_with("way-") {
            scope.delete::<PersistentVolumeClaim>(&kept.name_any()).await?;
            scope.until_gone::<PersistentVolumeClaim>(&kept.name_any(), SOON).await?;
        }
    }
    scope
        .until(&format!("nothing left after {name}"), SOON, async || {
            let left = scope.resource_versions(&format!("{}=way", meta::TENANT)).await?;
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?}").into()) }
        })
        .await
}

/// What somebody wrote into an object: everything but what the control plane keeps about it.
fn content<K: Kind + Serialize>(object: &K) -> Outcome<Value> {
    let mut value = serde_json::to_value(object)?;
    let metadata = value["metadata"].as_object_mut().ok_or("an object without metadata")?;
    for field in ["resourceVersion", "generation", "managedFields", "finalizers"] {
        metadata.remove(field);
    }
    // Binding it to a volume is the control plane's.
    if K::kind(&()) == "PersistentVolumeClaim" {
        metadata.remove("annotations");
        value["spec"].as_object_mut().ok_or("no spec")?.remove("volumeName");
    }
    value.as_object_mut().ok_or("no object")?.remove("status");
    Ok(value)
}

/// Somebody's objects have the labels of the tenant's own, beside those that it has.
async fn labelled(context: &Context, world: &World) -> Outcome {
    let tenant: Tenant = world.scope.api().get("acme").await?;
    let id = tenant.status.and_then(|status| status.tenant_id).ok_or("no id")?;
    let forged = labels("acme", &id);
    let mine = object("ConfigMap", "acme-workspace.private", &forged, &json!({"data": {"mine": "yes"}}));
    let (admin, stranger) = (Actor::TenantAdmin, Actor::Neighbour);
    let map = world.apply::<ConfigMap>(admin, &mine).await?;
    let set = world.apply::<StatefulSet>(admin, &workload("private", &forged)).await?;
    let theirs = world.other.of(world.cluster(stranger).clone());
    let patch = json!({"metadata": {"labels": forged["labels"]}});
    let foreign: ConfigMap = theirs.merge(THEIRS, patch).await?;
    // A change, so that the operator looks at all of the tenant's objects and deletes what it no longer has.
    let vibe = "Changed, so that all is looked at.";
    world.scope.apply::<kr8tiv_crds::Harness>(&concierge(json!({"soul": {"vibe": vibe}}))).await?;
    world
        .scope
        .until("the change in the workspace", SOON, async || {
            let workspace = world.scope.api::<ConfigMap>().get("acme-workspace.main").await?;
            let soul = workspace.data.unwrap_or_default().remove("SOUL.md").unwrap_or_default();
            if soul.contains(vibe) { Ok(()) } else { Err("not yet".into()) }
        })
        .await?;
    context.until_ready(&world.scope, "acme").await?;
    as_it_was(&world.scope, &map, tried("labels-to-be-deleted")).await?;
    let now: StatefulSet = world.scope.api().get("private").await?;
    let Attack { name, .. } = tried("labels-of-a-workload");
    assert_eq!(content(&set)?, content(&now)?, "{name}");
    as_it_was(&world.other, &foreign, tried("labels-from-elsewhere")).await
}

async fn as_it_was(scope: &Scope, before: &ConfigMap, attack: &Attack) -> Outcome {
    let now: ConfigMap = scope.api().get(&before.name_any()).await?;
    assert_eq!(before.resource_version(), now.resource_version(), "{}: it was written to", attack.name);
    Ok(())
}

/// A Tenant elsewhere claims the id, and with it the names of volume and memory.
async fn same_id(context: &Context, world: &World) -> Outcome {
    let tenant: Tenant = world.scope.api().get("acme").await?;
    let id = tenant.status.as_ref().and_then(|status| status.tenant_id.clone()).ok_or("no id")?;
    let still = Still::objects_of(&world.scope, "acme").await?;
    let theirs = world.other.of(world.cluster(Actor::Neighbour).clone());
    let tag = format!("tenant-{id}");
    for (name, field, value) in
        [("id-of-another-tenant", "tenantId", &id), ("tag-of-another-tenant", "containerTag", &tag)]
    {
        let thief = with(kr8tiv_e2e::manifests::tenant("thief", THEIRS), json!({field: value}));
        theirs.apply::<Tenant>(&thief).await?;
        let expected =
            format!("{}{value} belongs to Tenant {}/acme", tried(name).says, world.scope.namespace);
        world
            .other
            .until(&expected, SOON, async || {
                let thief: Tenant = world.other.api().get("thief").await?;
                let found = condition(&thief, "Ready").ok_or("no condition")?;
                if found.message.contains(&expected) { Ok(()) } else { Err(found.message.clone().into()) }
            })
            .await?;
        theirs.delete::<Tenant>("thief").await?;
        world.other.until_gone::<Tenant>("thief", SOON).await?;
    }
    assert_eq!(
        world.other.api::<PersistentVolumeClaim>().list(&kube::api::ListParams::default()).await?.items.len(),
        0
    );
    still.unchanged().await?;
    context.until_ready(&world.scope, "acme").await?;
    Ok(())
}
