//! What the API server is asked for beside a tenant's objects: at its start, and when a Pod can't be told of an edit.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::StatusCode;
use kr8tiv_operator::health::State;
use kr8tiv_operator::sandbox::{Login, Probed};
use serde_json::{Value, json};

use crate::world::{NAMESPACE, World, ready};

const IP: &str = "10.0.0.1";

fn seen(world: &World, what: &str) -> usize {
    let requests = world.api.all_requests();
    requests.iter().filter(|seen| format!("{} {}", seen.verb, seen.resource) == what).count()
}

fn set_ready(world: &World, status: &str) {
    world.api.update("Pod", NAMESPACE, "acme-gateway-0", |pod| {
        pod["status"]["conditions"] = json!([{"type": "Ready", "status": status}]);
    });
}

/// Each step by itself, as on a slow node: what is told is where they end.
#[tokio::test(start_paused = true)]
async fn a_start_costs_one_status_and_one_event_however_many_steps_it_has() {
    let world = World::with_tenant().await;
    world.rest().await;
    world.api.forget_requests();
    let statuses = |world: &World| seen(world, "patch tenants/status");
    world.run_pod("acme", IP);
    set_ready(&world, "False");
    world.rest().await;
    assert_eq!(statuses(&world), 0, "its watchdog has not begun");
    world.run_pod_of("acme-sandbox", "2020-01-01T00:00:00Z", &ready("10.0.0.7"));
    world.rest().await;
    world.watchdogs.deliver(IP, &world.bundle_hash("acme"));
    world.watchdogs.change(IP, |health| {
        health.state = State::Starting;
        health.config = None;
    });
    world.rest().await;
    let template =
        world.api.get("StatefulSet", NAMESPACE, "acme-sandbox").unwrap()["spec"]["template"].clone();
    let keys = template["metadata"]["annotations"]["kr8tiv.ai/sandbox-keys"].as_str().map(str::to_owned);
    let probed = Probed { login: Login::Ok, keys, at: None };
    world
        .watchdogs
        .change(IP, |health| health.sandboxes = [("acme-sandbox".to_owned(), probed.clone())].into());
    world.rest().await;
    world.watchdogs.deliver(IP, &world.bundle_hash("acme"));
    world.watchdogs.change(IP, |health| health.sandboxes = [("acme-sandbox".to_owned(), probed)].into());
    world.rest().await;
    assert_eq!(statuses(&world), 0, "{:#}", world.conditions("Tenant", "acme"));
    set_ready(&world, "True");
    world.until("it serves", |world| world.is("Tenant", "acme", "Ready") == "True").await;
    for condition in ["GatewayReady", "ConfigApplied", "WatchdogHealthy", "SandboxReady"] {
        assert_eq!(world.is("Tenant", "acme", condition), "True", "{condition}");
    }
    world.rest().await;
    let written: Vec<_> = world.api.requests().into_iter().map(|seen| seen.resource).collect();
    assert_eq!(written, ["tenants/status", "harnesses/status"]);
    assert_eq!(seen(&world, "create events"), 1);
    let pod: Value = world.api.get("Pod", NAMESPACE, "acme-gateway-0").unwrap();
    assert!(
        pod["metadata"]["annotations"]["kr8tiv.ai/bundle-hash"].is_null(),
        "it has started with what is current"
    );
}

/// What its watchdog says in between, of the bundle that it has, is no news.
#[tokio::test(start_paused = true)]
async fn a_pod_that_can_not_be_told_of_an_edit_is_told_again_at_a_pace() {
    const TOO_MANY: usize = 50;
    let world = World::at_rest().await;
    world.api.forget_requests();
    let tries = AtomicUsize::new(0);
    world.api.set_fault(move |seen| {
        let is_told = seen.verb == "patch" && seen.resource == "pods";
        (is_told && tries.fetch_add(1, Ordering::SeqCst) < TOO_MANY)
            .then_some(StatusCode::SERVICE_UNAVAILABLE)
    });
    world
        .api
        .update("Harness", NAMESPACE, "desk", |harness| harness["spec"]["soul"]["vibe"] = json!("bright"));
    tokio::time::sleep(Duration::from_mins(1)).await;
    let tries = seen(&world, "patch pods");
    assert!((3..TOO_MANY).contains(&tries), "{tries}");
}
