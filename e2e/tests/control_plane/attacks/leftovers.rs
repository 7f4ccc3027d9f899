//! What Tenants leave behind, and what is asked of them too often: neither is anybody else's gain.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret};
use kr8tiv_crds::{Tenant, meta};
use kr8tiv_e2e::Outcome;
use kr8tiv_e2e::audit::by_verb_and_resource;
use kr8tiv_e2e::cluster::OPERATOR_USER;
use kr8tiv_e2e::scope::SOON;
use serde_json::{Value, json};

use super::world::{World, acme};
use super::{Actor, Attack, attack, tried};
use crate::context::Context;
use crate::neighbour::Neighbour;

/// How often a new token is asked for in one go.
const TIMES: usize = 50;

/// The table.
#[rustfmt::skip]
pub fn attacks() -> Vec<Attack> {
    vec![
        attack!("heir-by-name", TenantAdmin, "creates a Tenant under a deleted one's name, to find its conversations and its token", Guard, ""),
        attack!("token-of-the-suspended", Gateway, "uses a suspended tenant's identity", Rbac, "cannot get resource \"secrets\""),
        attack!("rotation-storm", TenantAdmin, "asks for a new token fifty times in a row", Guard, ""),
        attack!("rotation-of-a-megabyte", TenantAdmin, "asks for one by an annotation of a megabyte", Schema, "Too long: may not be more than"),
    ]
}

/// A Tenant under an old name is another tenant.
pub async fn deleted(context: &Context) -> Outcome {
    let world = World::create(context, "attack-heir").await?;
    let scope = &world.scope;
    context.until_ready(scope, "acme").await?;
    let (claim, token) = (mounted(&world).await?, token(&world).await?);

    world.apply::<Tenant>(Actor::TenantAdmin, &acme(json!({"suspend": true}))).await?;
    let secret = super::world::core(scope, "secrets", "acme-gateway-token");
    let status = world.refusal(Actor::Gateway, &super::world::Request::get(secret)).await?;
    let expected = tried("token-of-the-suspended").says;
    assert!(status.message.contains(expected), "{}", status.message);

    tried("heir-by-name");
    world.of(Actor::TenantAdmin).delete::<Tenant>("acme").await?;
    scope.until_gone::<Tenant>("acme", SOON).await?;
    world.apply::<Tenant>(Actor::TenantAdmin, &acme(json!({}))).await?;
    context.until_ready(scope, "acme").await?;
    let (heirs_claim, heirs_token) = (mounted(&world).await?, self::token(&world).await?);
    assert_ne!(claim, heirs_claim, "the deleted tenant's volume is mounted");
    assert_ne!(token, heirs_token, "the deleted tenant's token is used");
    let kept: PersistentVolumeClaim = scope.api().get(&claim).await?;
    assert_eq!(kept.metadata.deletion_timestamp, None);
    world.discard().await
}

async fn mounted(world: &World) -> Outcome<String> {
    let set: StatefulSet = world.scope.api().get("acme-gateway").await?;
    let volumes = set.spec.and_then(|spec| spec.template.spec).and_then(|spec| spec.volumes);
    let claim = volumes.into_iter().flatten().find_map(|volume| volume.persistent_volume_claim);
    Ok(claim.ok_or("no claim is mounted")?.claim_name)
}

async fn token(world: &World) -> Outcome<Value> {
    Ok(serde_json::to_value(world.scope.api::<Secret>().get("acme-gateway-token").await?.data)?)
}

/// However often it is asked for: the last value counts, each is heeded once at most, and nobody else is held up.
pub async fn rotated(context: &Context) -> Outcome {
    let world = World::create(context, "attack-rotation").await?;
    let scope = &world.scope;
    let neighbour = Neighbour::create(context, scope).await?;
    context.until_ready(scope, "acme").await?;
    let generation =
        scope.api::<StatefulSet>().get("acme-gateway").await?.metadata.generation.unwrap_or_default();
    let mark = context.cluster.audit.mark()?;
    let asked = |value: &str| json!({"metadata": {"annotations": {meta::ROTATE_TOKEN: value}}});
    let admin = world.of(Actor::TenantAdmin);
    tried("rotation-storm");
    for time in 1..=TIMES {
        admin.merge::<Tenant>("acme", asked(&time.to_string())).await?;
    }
    let last = TIMES.to_string();
    let set = scope
        .until("the last rotation in the template", SOON, async || {
            let set: StatefulSet = scope.api().get("acme-gateway").await?;
            let template = serde_json::to_value(&set.spec)?["template"]["metadata"]["annotations"].clone();
            if template[meta::ROTATE_TOKEN] == *last { Ok(set) } else { Err(template.to_string().into()) }
        })
        .await?;
    let secret: Secret = scope.api().get("acme-gateway-token").await?;
    let noted = secret.metadata.annotations.unwrap_or_default().remove(meta::ROTATE_TOKEN);
    assert_eq!(noted.as_deref(), Some(last.as_str()));
    let requests = context.cluster.audit.requests_since(mark, OPERATOR_USER)?;
    let own: Vec<_> = requests.into_iter().filter(|request| request.namespace() == scope.namespace).collect();
    let counts = by_verb_and_resource(&own);
    let rotations = counts.get("patch secrets").copied().unwrap_or_default();
    let rolls = usize::try_from(set.metadata.generation.unwrap_or_default() - generation)?;
    assert!(
        (1..=TIMES).contains(&rotations) && (1..=rotations).contains(&rolls),
        "{rolls} rolls, {counts:?}"
    );
    kr8tiv_e2e::figure("rotation_storm.asked", TIMES, "times");
    kr8tiv_e2e::figure("rotation_storm.tokens_made", rotations, "tokens");
    let names: BTreeSet<&str> = own.iter().map(kr8tiv_e2e::audit::Request::name).collect();
    assert!(names.iter().all(|name| !name.contains("neighbour")), "{names:?}");

    let long = admin.merge::<Tenant>("acme", asked(&"x".repeat(1_000_000))).await;
    let refusal = long.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(refusal.contains(tried("rotation-of-a-megabyte").says), "{refusal}");
    neighbour.undisturbed().await?;
    world.discard().await
}
