//! An object nested deeper than the operator reads: it is unreadable, and every other one is seen as before. Runs alone, and
//! after whatever needs the tests' own watches: they do not get over it.

use kr8tiv_crds::{Harness, Tenant};
use kr8tiv_e2e::Outcome;
use kr8tiv_e2e::manifests::{harness, tenant};
use kr8tiv_e2e::scope::{SOON, Scope};
use serde_json::{Value, json};

use super::world::{HARNESS, Request, World, acme, ours};
use super::{Actor, Attack, attack, tried};
use crate::context::Context;

/// The table.
#[rustfmt::skip]
pub fn attacks() -> Vec<Attack> {
    vec![
        attack!("deep-tenant", TenantAdmin, "nests 3,000 lists in gateway.config, so that the operator sees no Tenant any more", Reader, "it is nested more than "),
        attack!("deep-pod-template", TenantAdmin, "nests 200 objects in podTemplate.affinity", Reader, "it is nested more than "),
    ]
}

pub async fn by_reader(context: &Context) -> Outcome {
    let world = World::create(context, "attack-deep").await?;
    context.until_ready(&world.scope, "acme").await?;
    let bystander = context.scope("attack-deep-beside").await?;
    bystander.apply::<Harness>(&harness(HARNESS)).await?;
    bystander.apply::<Tenant>(&tenant("first", HARNESS)).await?;
    context.until_ready(&bystander, "first").await?;
    let objects = [
        Request::apply(
            &world.scope,
            &called("deep-one", json!({"gateway": {"config": {"messages": "DEEP"}}})),
        )
        .deep(3_000),
        Request::apply(
            &world.scope,
            &called("deep-two", json!({"gateway": {"podTemplate": {"affinity": nested(200)}}})),
        ),
    ];
    for ((name, attack), request) in
        [("deep-one", "deep-tenant"), ("deep-two", "deep-pod-template")].into_iter().zip(&objects)
    {
        let attack = tried(attack);
        world.accept(attack.actor, request).await?;
        said(&world.scope, name, attack.says).await?;
        // Whoever comes later is seen, and whoever is there is served.
        bystander.merge::<Tenant>("first", json!({"spec": {"displayName": name}})).await?;
        context.until_ready(&bystander, "first").await?;
    }
    bystander.apply::<Tenant>(&tenant("second", HARNESS)).await?;
    context.until_ready(&bystander, "second").await?;
    let mut operator = context.operator.lock().await;
    operator.stop().await?;
    operator.resume().await?;
    bystander.apply::<Tenant>(&tenant("third", HARNESS)).await?;
    context.until_ready(&bystander, "third").await?;
    for name in ["deep-one", "deep-two"] {
        world.accept(Actor::TenantAdmin, &Request::delete(ours(&world.scope, "tenants", name))).await?;
    }
    bystander.discard().await?;
    world.discard().await
}

fn called(name: &str, spec: Value) -> Value {
    let mut object = acme(spec);
    object["metadata"]["name"] = json!(name);
    object
}

fn nested(levels: usize) -> Value {
    (0..levels).fold(json!({}), |inner, _| json!({"a": inner}))
}

/// Waits until the Tenant says that it can't be read.
async fn said(scope: &Scope, name: &str, expected: &str) -> Outcome {
    scope
        .until(&format!("{name} told that it is too deep"), SOON, async || {
            // As text: no client of this process reads it either.
            let request = hyper::Request::get(ours(scope, "tenants", name)).body(Vec::new())?;
            let text = scope.cluster.client.request_text(request).await?;
            if text.contains("\"reason\":\"Unreadable\"") && text.contains(expected) {
                Ok(())
            } else {
                let status = text.find("\"status\":{").map_or("no status", |at| &text[at..]);
                Err(status.get(..500).unwrap_or(status).into())
            }
        })
        .await
}
