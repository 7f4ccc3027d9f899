//! What is told by events: changes, once.

use serde_json::json;

use crate::world::{NAMESPACE, World};

/// Type, condition, reason and note of each event about a Tenant, sorted.
fn told(world: &World) -> Vec<(String, String, String, String)> {
    let events = world.api.all("Event").into_iter().filter(|event| event["regarding"]["kind"] == "Tenant");
    let mut told: Vec<_> = events
        .map(|event| {
            let text = |field: &str| event[field].as_str().unwrap().to_owned();
            assert_eq!(event["regarding"]["name"], "acme");
            (text("type"), text("action"), text("reason"), text("note"))
        })
        .collect();
    told.sort();
    told
}

#[tokio::test(start_paused = true)]
async fn a_start_and_a_fault_are_told_once() {
    let world = World::at_rest().await;
    world.until("the start is told", |world| !told(world).is_empty()).await;
    world.rest().await;
    let started = ("Normal", "Ready", "Serving", world.message("Tenant", "acme", "Ready"));
    let owned = |(kind, action, reason, note): (&str, &str, &str, String)| {
        (kind.to_owned(), action.to_owned(), reason.to_owned(), note)
    };
    assert_eq!(told(&world), [owned(started.clone())]);
    assert_eq!(
        world.api.all("Event").len(),
        1,
        "that its tenants serve is theirs to tell, not the Harness's"
    );

    world
        .api
        .update("Tenant", NAMESPACE, "acme", |tenant| tenant["spec"]["harnessRef"] = json!({"name": "none"}));
    world.until("it is told", |world| told(world).len() == 2).await;
    world.rest().await;
    let fault = ("Warning", "Ready", "HarnessNotFound", world.message("Tenant", "acme", "Ready"));
    assert_eq!(told(&world), [owned(started), owned(fault)]);
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_takes_no_events_keeps_nobody_from_serving() {
    let mut world = World::empty();
    world.api.uninstall("Event");
    world.api.create(NAMESPACE, crate::world::harness("desk"));
    world.api.create(NAMESPACE, crate::world::tenant("acme", "desk"));
    world.start();
    world.until("it is applied", |world| world.reason("Tenant", "acme", "Ready") == "Starting").await;
    world.serve("acme", "10.0.0.1").await;
}
