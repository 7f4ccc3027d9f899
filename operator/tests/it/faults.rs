//! What happens when something goes wrong that is nobody's input: the API server, the operator, the past.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use http::StatusCode;
use serde_json::json;

use crate::world::{NAMESPACE, World, harness, tenant};

#[tokio::test(start_paused = true)]
async fn a_hiccup_of_the_api_server_is_not_worth_a_condition() {
    let world = World::at_rest().await;
    world.rest().await;
    let failures = AtomicUsize::new(0);
    world.api.set_fault(move |seen| {
        let hit = seen.verb == "patch"
            && seen.resource == "configmaps"
            && failures.fetch_add(1, Ordering::SeqCst) < 2;
        hit.then_some(StatusCode::INTERNAL_SERVER_ERROR)
    });
    let transitions = world.condition("Tenant", "acme", "Compiled");
    world.api.forget_requests();
    world
        .api
        .update("Harness", NAMESPACE, "desk", |harness| harness["spec"]["soul"]["vibe"] = json!("bright"));
    world.until("it is on its way", |world| world.reason("Tenant", "acme", "Ready") == "Delivering").await;
    assert_eq!(world.condition("Tenant", "acme", "Compiled"), transitions);
    let statuses = world.api.requests().iter().filter(|seen| seen.resource == "tenants/status").count();
    assert_eq!(statuses, 1, "only the good news was written");
}

#[tokio::test(start_paused = true)]
async fn a_lasting_outage_is_shown_and_heals() {
    let world = World::with_tenant().await;
    world.api.set_fault(|seen| {
        (seen.resource == "configmaps" && seen.verb == "patch").then_some(StatusCode::INTERNAL_SERVER_ERROR)
    });
    world
        .api
        .update("Harness", NAMESPACE, "desk", |harness| harness["spec"]["soul"]["vibe"] = json!("bright"));
    world.until("it is shown", |world| world.reason("Tenant", "acme", "Ready") == "ApplyFailed").await;
    assert_eq!(world.is("Tenant", "acme", "Reconciling"), "True");
    assert!(world.message("Tenant", "acme", "Ready").starts_with("ConfigMap acme-"));
    world.api.clear_fault();
    world.until("it heals", |world| world.reason("Tenant", "acme", "Ready") == "Starting").await;
}

#[tokio::test(start_paused = true)]
async fn a_refusal_stalls_and_is_tried_again_in_minutes() {
    let mut world = World::empty();
    world.api.create(NAMESPACE, harness("desk"));
    world.api.create(NAMESPACE, tenant("acme", "desk"));
    world.api.set_fault(|seen| {
        (seen.resource == "services" && seen.verb == "patch").then_some(StatusCode::FORBIDDEN)
    });
    world.start();
    world.until("it is shown", |world| world.is("Tenant", "acme", "Stalled") == "True").await;
    assert_eq!(world.reason("Tenant", "acme", "Ready"), "ApplyFailed");
    world.rest().await;
    world.api.forget_requests();
    world.rest().await;
    let tries = world
        .api
        .requests()
        .iter()
        .filter(|seen| seen.resource == "services" && seen.verb == "patch")
        .count();
    assert!((1..=4).contains(&tries), "every five minutes: {tries} in ten");
    world.api.clear_fault();
    world.until("it heals", |world| world.reason("Tenant", "acme", "Ready") == "Starting").await;
}

#[tokio::test(start_paused = true)]
async fn a_status_that_can_not_be_written_is_written_later() {
    let mut world = World::empty();
    world.api.create(NAMESPACE, harness("desk"));
    world.api.create(NAMESPACE, tenant("acme", "desk"));
    world.api.set_fault(|seen| seen.resource.ends_with("/status").then_some(StatusCode::SERVICE_UNAVAILABLE));
    world.start();
    world
        .until("it is applied", |world| world.api.get("StatefulSet", NAMESPACE, "acme-gateway").is_some())
        .await;
    world.rest().await;
    assert!(world.conditions("Tenant", "acme").is_null());
    world.api.clear_fault();
    world.until("it is written", |world| world.reason("Tenant", "acme", "Ready") == "Starting").await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_one_pass_stays_in_that_pass() {
    let mut world = World::empty();
    let broken = Arc::new(AtomicBool::new(true));
    let switch = Arc::clone(&broken);
    world.api.create(NAMESPACE, harness("desk"));
    world.start_with(move |inputs| {
        let cursed = inputs.tenant.metadata.name.as_deref() == Some("cursed");
        assert!(!(cursed && switch.load(Ordering::SeqCst)), "a fault for the test");
        kr8tiv_compiler::compile(inputs)
    });
    world.api.create(NAMESPACE, tenant("cursed", "desk"));
    world.until("it is shown", |world| world.is("Tenant", "cursed", "Stalled") == "True").await;
    let message = world.message("Tenant", "cursed", "Ready");
    // A panic may quote anything, and its text is in the log alone.
    let expected =
        "the operator has a fault that this Tenant brings out; its log says more: please report it";
    assert_eq!(message, expected);
    world.api.create(NAMESPACE, tenant("acme", "desk"));
    world.until("others are served", |world| world.reason("Tenant", "acme", "Ready") == "Starting").await;
    broken.store(false, Ordering::SeqCst);
    world.until("it heals", |world| world.reason("Tenant", "cursed", "Ready") == "Starting").await;
    assert!(kr8tiv_operator::controller::panics() >= 1);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_lost_its_place_misses_nothing() {
    let world = World::at_rest().await;
    world.rest().await;
    world.api.expire_watches();
    world.api.delete("Service", NAMESPACE, "acme-gateway");
    world.api.update("ConfigMap", NAMESPACE, "acme-gateway-config", |map| {
        map["data"]["openclaw.json"] = json!("{}");
    });
    world.api.create(NAMESPACE, tenant("late", "desk"));
    world
        .until("what was deleted is made anew", |world| {
            world.api.get("Service", NAMESPACE, "acme-gateway").is_some()
        })
        .await;
    world
        .until("what was changed is put back", |world| {
            world.api.get("ConfigMap", NAMESPACE, "acme-gateway-config").unwrap()["data"]["openclaw.json"]
                != "{}"
        })
        .await;
    world.until("what is new is seen", |world| world.reason("Tenant", "late", "Ready") == "Starting").await;
}

#[tokio::test(start_paused = true)]
async fn a_tenant_deleted_while_the_watch_was_down_is_forgotten() {
    let world = World::at_rest().await;
    world.rest().await;
    world.api.expire_watches();
    world.api.delete("Tenant", NAMESPACE, "acme");
    world.rest().await;
    let unused = "no Tenant uses the Harness";
    world.until("the Harness knows", |world| world.message("Harness", "desk", "Ready") == unused).await;
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_object_says_so_and_stops_nothing() {
    let mut world = World::at_rest().await;
    world.rest().await;
    let config = world.api.get("ConfigMap", NAMESPACE, "acme-gateway-config");
    let unreadable = json!({
        "apiVersion": "kr8tiv.ai/v1alpha1", "kind": "Agent", "metadata": {"name": "strange"},
        "spec": {"tenantRef": {"name": "acme"}, "bindings": "of the future"}
    });
    world.api.create(NAMESPACE, unreadable);
    world.until("it is shown", |world| world.reason("Agent", "strange", "Ready") == "Unreadable").await;
    world
        .until("its tenant says so", |world| world.reason("Tenant", "acme", "Compiled") == "Unreadable")
        .await;
    assert!(world.message("Tenant", "acme", "Compiled").starts_with("Agent strange can't be read"));
    assert_eq!(world.api.get("ConfigMap", NAMESPACE, "acme-gateway-config"), config, "the last good stays");
    world.api.create(NAMESPACE, tenant("other", "desk"));
    world.until("others are served", |world| world.reason("Tenant", "other", "Ready") == "Starting").await;
    world.api.delete("Agent", NAMESPACE, "strange");
    world.until("it heals", |world| world.is("Tenant", "acme", "Ready") == "True").await;

    let strange = json!({
        "apiVersion": "kr8tiv.ai/v1alpha1", "kind": "Tenant", "metadata": {"name": "strange"},
        "spec": {"harnessRef": {"name": "desk"}}
    });
    world.api.create(NAMESPACE, strange);
    world.until("it is shown", |world| world.reason("Tenant", "strange", "Ready") == "Unreadable").await;
    world.rest().await;
    world.api.forget_requests();
    world.rest().await;
    assert_eq!(world.api.requests(), []);
    world.stop().await.unwrap();
    world.start();
    world.rest().await;
    let writes: Vec<_> = world.api.requests().into_iter().filter(|seen| seen.name == "strange").collect();
    assert_eq!(writes, [], "what is shown already is not written again");
}

#[tokio::test(start_paused = true)]
async fn definitions_may_come_later() {
    let mut world = World::empty();
    world.api.uninstall("Tenant");
    world.api.create(NAMESPACE, harness("desk"));
    world.start();
    world.rest().await;
    assert!(world.conditions("Harness", "desk").is_null(), "no pass before everything has been seen");
    world.api.install("Tenant");
    world.api.create(NAMESPACE, tenant("acme", "desk"));
    world.until("it goes on", |world| world.reason("Tenant", "acme", "Ready") == "Starting").await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_finishes_and_ends() {
    let mut world = World::at_rest().await;
    let begin = tokio::time::Instant::now();
    world.stop().await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(20));
    world.api.forget_requests();
    world
        .api
        .update("Service", NAMESPACE, "acme-gateway", |service| service["metadata"]["labels"] = json!({}));
    world.rest().await;
    assert_eq!(world.api.all_requests(), [], "nothing runs any more");
}
