//! A Harness of another namespace: found, counted, and refused when it is not shared.

use serde_json::{Value, json};

use crate::world::{NAMESPACE, World, harness, tenant};

const ELSEWHERE: &str = "platform";

/// A running operator, a Harness `desk` of the namespace `platform` that is shared like this, and a Tenant that uses it.
async fn borrowed(sharing: Value) -> World {
    let mut world = World::empty();
    for namespace in [NAMESPACE, ELSEWHERE] {
        let object =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": {}}});
        world.api.create("", object);
    }
    let mut desk = harness("desk");
    desk["spec"]["sharing"] = sharing;
    world.api.create(ELSEWHERE, desk);
    let mut acme = tenant("acme", "desk");
    acme["spec"]["harnessRef"]["namespace"] = json!(ELSEWHERE);
    world.api.create(NAMESPACE, acme);
    world.start();
    world.until("a pass", |world| world.is("Tenant", "acme", "Ready") != "absent").await;
    world
}

fn counted(world: &World) -> Value {
    world.api.get("Harness", ELSEWHERE, "desk").unwrap()["status"]["tenants"].clone()
}

fn label(world: &World, value: &str) {
    world.api.update("Namespace", "", NAMESPACE, |namespace| {
        namespace["metadata"]["labels"] = json!({"team": value});
    });
}

#[tokio::test(start_paused = true)]
async fn a_harness_for_all_is_used_and_its_edits_arrive() {
    let mut world = borrowed(json!({"from": "All"})).await;
    assert_eq!(world.reason("Tenant", "acme", "Ready"), "Starting");
    world.serve("acme", "10.0.0.1").await;
    let ready = json!({"total": 1, "ready": 1, "failed": 0});
    world.until("it is counted", |world| counted(world) == ready).await;
    let status = world.api.get("Tenant", NAMESPACE, "acme").unwrap()["status"].clone();
    assert_eq!(
        (&status["harness"]["name"], &status["harness"]["namespace"]),
        (&json!("desk"), &json!(ELSEWHERE))
    );
    let hash = world.bundle_hash("acme");
    world
        .api
        .update("Harness", ELSEWHERE, "desk", |harness| harness["spec"]["soul"]["vibe"] = json!("bright"));
    world.until("the edit arrives", |world| world.bundle_hash("acme") != hash).await;
    let shown = |world: &World| {
        let harness = world.api.get("Harness", ELSEWHERE, "desk").unwrap();
        harness["status"]["conditions"][0]["message"].as_str().unwrap_or_default().to_owned()
    };
    world.until("it is on its way", |world| shown(world) == "on its way to Tenant acme/acme").await;

    // One of that name in the Tenant's own namespace is another one.
    world.api.create(NAMESPACE, harness("desk"));
    world
        .until("it is not used", |world| {
            world.message("Harness", "desk", "Ready") == "no Tenant uses the Harness"
        })
        .await;
    world.api.delete("Harness", ELSEWHERE, "desk");
    world.until("it is missed", |world| world.reason("Tenant", "acme", "Ready") == "HarnessNotFound").await;
}

#[tokio::test(start_paused = true)]
async fn a_harness_is_not_used_from_elsewhere_unless_it_is_shared() {
    let world = borrowed(json!({"from": "Same"})).await;
    assert_eq!(world.reason("Tenant", "acme", "Ready"), "Invalid");
    let message = world.message("Tenant", "acme", "Ready");
    assert!(
        message.contains("is not shared with namespace acme") && message.ends_with("(K8T0004)"),
        "{message}"
    );
    world.rest().await;
    assert_eq!(
        counted(&world),
        json!({"total": 0, "ready": 0, "failed": 0}),
        "it does not spoil the Harness's status"
    );
    world
        .api
        .update("Harness", ELSEWHERE, "desk", |harness| harness["spec"]["sharing"] = json!({"from": "All"}));
    world.until("it heals", |world| world.reason("Tenant", "acme", "Ready") == "Starting").await;
}

#[tokio::test(start_paused = true)]
async fn a_label_of_the_namespace_lets_its_tenants_in() {
    let world = borrowed(json!({"from": "Selector", "matchLabels": {"team": "blue"}})).await;
    assert_eq!(world.reason("Tenant", "acme", "Ready"), "Invalid");
    world.api.create(NAMESPACE, harness("own"));
    world.api.create(NAMESPACE, tenant("near", "own"));
    world.until("it is applied", |world| world.reason("Tenant", "near", "Ready") == "Starting").await;
    world.rest().await;
    world.api.forget_requests();
    let passes = world.passes();
    label(&world, "blue");
    world.until("it heals", |world| world.reason("Tenant", "acme", "Ready") == "Starting").await;
    world.rest().await;
    assert!(world.api.requests().iter().all(|seen| !seen.name.starts_with("near")));
    assert!(world.passes() > passes);

    let passes = world.passes();
    label(&world, "red");
    world.until("it is shut out", |world| world.reason("Tenant", "acme", "Ready") == "Invalid").await;
    world.rest().await;
    assert_eq!(world.passes(), passes + 2, "of two Tenants one, for the label and for its own status");
}
