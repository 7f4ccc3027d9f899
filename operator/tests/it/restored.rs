//! What is told of objects that somebody else changes or deletes, and that are put back.

use serde_json::{Value, json};

use crate::world::{NAMESPACE, World, agent};

/// The notes of events of this reason about the Tenant, sorted.
fn told(world: &World) -> Vec<String> {
    let events = world.api.all("Event").into_iter().filter(|event| event["reason"] == "ObjectRestored");
    let mut notes: Vec<String> = events
        .map(|event| {
            assert_eq!(
                (&event["regarding"]["kind"], &event["regarding"]["name"]),
                (&json!("Tenant"), &json!("acme"))
            );
            assert_eq!((&event["type"], &event["action"]), (&json!("Warning"), &json!("Restore")));
            event["note"].as_str().unwrap().to_owned()
        })
        .collect();
    notes.sort();
    notes
}

fn edit(world: &World, kind: &str, name: &str, change: impl FnOnce(&mut Value)) {
    world.api.update(kind, NAMESPACE, name, change);
}

#[tokio::test(start_paused = true)]
async fn what_somebody_else_changes_or_deletes_is_told() {
    let world = World::at_rest().await;
    world.rest().await;
    edit(&world, "ConfigMap", "acme-gateway-config", |map| map["data"]["openclaw.json"] = json!("{}"));
    edit(&world, "StatefulSet", "acme-gateway", |set| set["spec"]["replicas"] = json!(0));
    // No change of its spec: the mark of such an object does not show it.
    edit(&world, "NetworkPolicy", "acme-gateway", |policy| {
        policy["metadata"]["labels"].as_object_mut().unwrap().remove("kr8tiv.ai/tenant");
    });
    // The watch takes it for gone.
    edit(&world, "ConfigMap", "acme-workspace.main", |map| {
        map["metadata"]["labels"].as_object_mut().unwrap().remove("app.kubernetes.io/managed-by");
    });
    world.api.delete("ServiceAccount", NAMESPACE, "acme-gateway");
    world.api.delete("PodDisruptionBudget", NAMESPACE, "acme-gateway");
    let expected = [
        "ConfigMap acme-gateway-config was changed by somebody else, and is as compiled again",
        "ConfigMap acme-workspace.main was changed by somebody else, and is as compiled again",
        "NetworkPolicy acme-gateway was changed by somebody else, and is as compiled again",
        "PodDisruptionBudget acme-gateway was deleted by somebody else, and has been made anew",
        "ServiceAccount acme-gateway was deleted by somebody else, and has been made anew",
        "StatefulSet acme-gateway was changed by somebody else, and is as compiled again",
    ];
    world.until("all of it is told", |world| told(world).len() >= expected.len()).await;
    world.rest().await;
    assert_eq!(told(&world), expected);
}

#[tokio::test(start_paused = true)]
async fn what_the_operator_does_itself_is_not_told() {
    let mut world = World::at_rest().await;
    world.api.create(NAMESPACE, agent("first", "acme"));
    world.rest().await;
    edit(&world, "Harness", "desk", |desk| desk["spec"]["identity"]["purpose"] = json!("You help a lot."));
    edit(&world, "Tenant", "acme", |tenant| tenant["spec"]["deletionPolicy"] = json!("Delete"));
    world.rest().await;
    edit(&world, "Tenant", "acme", |tenant| tenant["spec"]["suspend"] = json!(true));
    world.api.delete("Agent", NAMESPACE, "first");
    world.rest().await;
    edit(&world, "Tenant", "acme", |tenant| tenant["spec"]["suspend"] = json!(false));
    world.api.create(NAMESPACE, agent("first", "acme"));
    world.rest().await;
    // What is theirs beside what is ours.
    edit(&world, "ConfigMap", "acme-gateway-config", |map| map["metadata"]["labels"]["team"] = json!("blue"));
    world.rest().await;
    edit(&world, "StatefulSet", "acme-gateway", |set| {
        let annotations = &mut set["spec"]["template"]["metadata"]["annotations"];
        annotations["kubectl.kubernetes.io/restartedAt"] = json!("2026-01-01T00:00:00Z");
    });
    world.rest().await;
    // Nobody knows how it was left.
    world.stop().await.unwrap();
    edit(&world, "StatefulSet", "acme-gateway", |set| {
        set["metadata"]["labels"].as_object_mut().unwrap().remove("kr8tiv.ai/tenant");
    });
    world.api.delete("ServiceAccount", NAMESPACE, "acme-gateway");
    world.start();
    world.rest().await;
    assert!(world.api.get("ServiceAccount", NAMESPACE, "acme-gateway").is_some());
    // What a Tenant takes with it is not missed by the next one of its name.
    world.api.delete("Tenant", NAMESPACE, "acme");
    world.api.create(NAMESPACE, crate::world::tenant("acme", "desk"));
    world.rest().await;
    assert!(world.api.get("StatefulSet", NAMESPACE, "acme-gateway").is_some());
    assert_eq!(told(&world), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_lands_without_an_answer_is_nobody_elses() {
    let world = World::at_rest().await;
    world.rest().await;
    world.api.set_fault(|seen| {
        (seen.verb == "patch" && seen.resource == "configmaps").then_some(http::StatusCode::BAD_GATEWAY)
    });
    edit(&world, "Harness", "desk", |desk| desk["spec"]["identity"]["purpose"] = json!("You help a lot."));
    world.until("it fails", |world| world.reason("Tenant", "acme", "Ready") == "ApplyFailed").await;
    // As if what was answered so had been done.
    edit(&world, "ConfigMap", "acme-workspace.main", |map| {
        map["metadata"]["annotations"]["kr8tiv.ai/applied-hash"] = json!("of the write");
    });
    world.api.clear_fault();
    world.until("it heals", |world| world.reason("Tenant", "acme", "Ready") != "ApplyFailed").await;
    world.rest().await;
    assert_eq!(told(&world), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn whoever_fights_over_an_object_does_not_fill_the_cluster_with_events() {
    let world = World::at_rest().await;
    world.rest().await;
    for round in 0..20 {
        edit(&world, "ConfigMap", "acme-gateway-config", |map| {
            map["data"]["openclaw.json"] = json!(round.to_string());
        });
        world
            .until("it is put back", |world| {
                let map = world.api.get("ConfigMap", NAMESPACE, "acme-gateway-config").unwrap();
                map["data"]["openclaw.json"] != json!(round.to_string())
            })
            .await;
    }
    tokio::time::sleep(std::time::Duration::from_secs(10)).await;
    assert_eq!(told(&world).len(), 1);
}
