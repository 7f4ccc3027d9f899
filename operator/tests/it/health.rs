//! What watchdogs say of their gateways becomes conditions.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::StatusCode;
use kr8tiv_crds::status::Reason;
use kr8tiv_operator::health::State;
use serde_json::{Value, json};

use crate::world::{NAMESPACE, World};

const IP: &str = "10.0.0.1";

fn is(world: &World, condition: &str) -> String {
    world.is("Tenant", "acme", condition)
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_is_well_costs_the_api_server_nothing() {
    let world = World::at_rest().await;
    for condition in ["Ready", "GatewayReady", "ConfigApplied", "PolicyEnforced", "WatchdogHealthy"] {
        assert_eq!(is(&world, condition), "True", "{condition}");
    }
    for condition in ["Degraded", "Drifted", "Stalled", "Reconciling"] {
        assert_eq!(is(&world, condition), "absent", "{condition}");
    }
    world.rest().await;
    world.api.forget_requests();
    world.rest().await;
    assert_eq!(world.api.requests(), []);
}

#[tokio::test(start_paused = true)]
async fn trouble_of_a_gateway_that_serves_is_shown_and_forgotten() {
    let world = World::at_rest().await;
    world.watchdogs.change(IP, |health| {
        health.state = State::Degraded;
        health.reasons = vec![Reason::ChannelDown];
        health.channels = vec!["telegram/default: Blocked".into()];
    });
    world.until("it is shown", |world| is(world, "Degraded") == "True").await;
    assert_eq!(world.reason("Tenant", "acme", "Degraded"), "ChannelDown");
    assert_eq!(
        world.message("Tenant", "acme", "Degraded"),
        "accounts of channels are not connected: telegram/default: Blocked"
    );
    assert_eq!(is(&world, "Ready"), "True");
    world.watchdogs.deliver(IP, &world.bundle_hash("acme"));
    world.until("it is over", |world| is(world, "Degraded") == "absent").await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_configuration_holds_ready_back_until_it_is_corrected() {
    let world = World::at_rest().await;
    world.api.update("Harness", NAMESPACE, "desk", |harness| harness["spec"]["soul"]["vibe"] = json!("bad"));
    world.until("it is on its way", |world| world.reason("Tenant", "acme", "Ready") == "Delivering").await;
    assert_eq!(is(&world, "ConfigApplied"), "Unknown");
    world.watchdogs.deliver(IP, &world.bundle_hash("acme"));
    world.watchdogs.change(IP, |health| {
        let config = health.config.as_mut().unwrap();
        config.applied = false;
        config.issues = Some(vec!["gateway.x: Unrecognized key".into()]);
    });
    world.until("it is refused", |world| is(world, "Stalled") == "True").await;
    for condition in ["Ready", "ConfigApplied", "PolicyEnforced"] {
        assert_eq!(world.reason("Tenant", "acme", condition), "ConfigRejected", "{condition}");
    }
    assert!(world.message("Tenant", "acme", "Ready").ends_with("gateway.x: Unrecognized key"));
    assert_eq!(is(&world, "GatewayReady"), "True", "it goes on with the last good one");
    world.api.update("Harness", NAMESPACE, "desk", |harness| harness["spec"]["soul"]["vibe"] = json!("good"));
    world
        .until("the next is on its way", |world| world.reason("Tenant", "acme", "Ready") == "Delivering")
        .await;
    world.watchdogs.deliver(IP, &world.bundle_hash("acme"));
    world.until("it heals", |world| is(world, "Ready") == "True").await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_watchdog_is_told_of_and_takes_nobody_down() {
    let world = World::at_rest().await;
    world.watchdogs.silence(IP);
    world.until("it is shown", |world| is(world, "WatchdogHealthy") == "False").await;
    assert_eq!((is(&world, "Ready"), is(&world, "Degraded")), ("True".to_owned(), "True".to_owned()));
    world.watchdogs.deliver(IP, &world.bundle_hash("acme"));
    world.until("it is over", |world| is(world, "WatchdogHealthy") == "True").await;
    assert_eq!(is(&world, "Degraded"), "absent");
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_is_down_is_not_ready_although_its_pod_is() {
    let world = World::at_rest().await;
    down(&world);
    world.until("it is shown", |world| is(world, "GatewayReady") == "False").await;
    assert_eq!(world.reason("Tenant", "acme", "Ready"), "GatewayDown");
    assert_eq!(world.message("Tenant", "acme", "Ready"), "the gateway does not serve: GatewayFrozen");
    world.watchdogs.deliver(IP, &world.bundle_hash("acme"));
    world.until("it is over", |world| is(world, "Ready") == "True").await;
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_is_down_says_why_when_kubelet_has_noticed_too() {
    let world = World::at_rest().await;
    world.api.update("Pod", NAMESPACE, "acme-gateway-0", |pod| {
        pod["status"]["conditions"] = json!([{"type": "Ready", "status": "False"}]);
        pod["status"]["containerStatuses"] = running(true);
    });
    world.until("it is not ready", |world| is(world, "GatewayReady") == "False").await;
    assert_eq!(world.reason("Tenant", "acme", "Ready"), "Starting", "the watchdog is not certain yet");
    down(&world);
    world.until("it is shown", |world| world.reason("Tenant", "acme", "Ready") == "GatewayDown").await;
    assert_eq!(world.message("Tenant", "acme", "Ready"), "the gateway does not serve: GatewayFrozen");
    world.api.update("Pod", NAMESPACE, "acme-gateway-0", |pod| {
        pod["status"]["containerStatuses"] = running(false);
    });
    world.until("it starts again", |world| world.reason("Tenant", "acme", "Ready") == "Starting").await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_of_the_operator_keeps_what_was_known_until_it_has_asked() {
    let mut world = World::at_rest().await;
    world.watchdogs.change(IP, |health| health.changed_files = vec!["main/SOUL.md".into()]);
    world.until("it is shown", |world| is(world, "Drifted") == "True").await;
    assert_eq!(world.reason("Tenant", "acme", "PolicyEnforced"), "FileChanged");
    world.rest().await;
    world.stop().await.unwrap();
    world.api.forget_requests();
    world.start();
    world.rest().await;
    let writes: Vec<_> = world.api.requests().into_iter().filter(|seen| seen.verb != "get").collect();
    assert_eq!(writes, []);
    world.watchdogs.deliver(IP, &world.bundle_hash("acme"));
    world.until("it is forgotten", |world| is(world, "Drifted") == "absent").await;
}

/// The gateway's container, which has passed its startup probe or has not.
fn running(started: bool) -> Value {
    let state = json!({"running": {"startedAt": "2026-11-25T12:00:00Z"}});
    json!([{
        "name": "gateway", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "started": started,
        "state": state
    }])
}

/// Who does not answer says nothing of its configuration either.
fn down(world: &World) {
    world.watchdogs.change(IP, |health| {
        health.state = State::Down;
        health.config = None;
        health.cause = Some("GatewayFrozen".into());
    });
}

fn restarts(world: &World) -> usize {
    let tenant = world.api.get("Tenant", NAMESPACE, "acme").unwrap();
    tenant["status"]["restarts"].as_array().map_or(0, Vec::len)
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_stays_down_is_restarted_within_the_budget() {
    let mut world = World::at_rest().await;
    down(&world);
    world.until("it is restarted", |world| world.api.get("Pod", NAMESPACE, "acme-gateway-0").is_none()).await;
    assert_eq!(restarts(&world), 1);
    assert_eq!(world.api.graces("pods"), [Some(30)], "it has no turns to finish");
    world
        .until("it is told", |world| {
            world.api.all("Event").iter().any(|it| it["reason"] == "GatewayRestarted")
        })
        .await;

    // The statuses' clock is the real one, which stands still here: the cooldown is never over.
    world.run_pod("acme", IP);
    down(&world);
    world
        .until("it is told", |world| world.message("Tenant", "acme", "Ready").contains("recovery.cooldown"))
        .await;
    world.rest().await;
    assert_eq!(restarts(&world), 1, "a restart that is held back is none");
    assert!(world.api.get("Pod", NAMESPACE, "acme-gateway-0").is_some());
    world.serve("acme", IP).await;
}

/// Somebody has changed the Tenant meanwhile: what the pass has decided on is not there any more.
#[tokio::test(start_paused = true)]
async fn a_restart_that_is_not_counted_does_not_take_place() {
    let world = World::at_rest().await;
    down(&world);
    world.until("it is shown", |world| is(world, "GatewayReady") == "False").await;
    let is_refused = Arc::new(AtomicBool::new(false));
    let refused = Arc::clone(&is_refused);
    world.api.set_fault(move |seen| {
        let is_first = seen.resource == "tenants/status" && !refused.swap(true, Ordering::SeqCst);
        is_first.then_some(StatusCode::CONFLICT)
    });
    world.until("it is due", |_| is_refused.load(Ordering::SeqCst)).await;
    // Shorter than until it is tried again by itself.
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!((restarts(&world), world.api.graces("pods")), (0, vec![]));
    world.api.update("Tenant", NAMESPACE, "acme", |tenant| {
        tenant["metadata"]["annotations"]["touched"] = json!("1");
    });
    world.until("it is restarted", |world| world.api.get("Pod", NAMESPACE, "acme-gateway-0").is_none()).await;
    assert_eq!((restarts(&world), world.api.graces("pods")), (1, vec![Some(30)]));
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_serves_an_older_configuration_is_restarted_when_its_turns_are_finished() {
    let world = World::at_rest().await;
    world.watchdogs.change(IP, |health| {
        health.state = State::Degraded;
        health.reasons = vec![Reason::ConfigNotApplied];
        health.config.as_mut().unwrap().applied = false;
    });
    world.until("it is restarted", |world| world.api.get("Pod", NAMESPACE, "acme-gateway-0").is_none()).await;
    assert_eq!(world.api.graces("pods"), [None], "its Pod says how long");
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_comes_back_is_not_restarted() {
    let world = World::at_rest().await;
    down(&world);
    world.until("it is shown", |world| is(world, "GatewayReady") == "False").await;
    world.watchdogs.deliver(IP, &world.bundle_hash("acme"));
    world.until("it is over", |world| is(world, "Ready") == "True").await;
    world.rest().await;
    assert_eq!(restarts(&world), 0);
}

/// Has the Harness ask for a tool that does not exist.
fn break_harness(world: &World) {
    world.api.update("Harness", NAMESPACE, "desk", |harness| {
        harness["spec"]["tools"] = json!({"allow": ["teleport"]});
    });
}

#[tokio::test(start_paused = true)]
async fn what_is_not_applied_is_not_called_applied_and_the_gateway_is_watched_on() {
    let mut world = World::at_rest().await;
    break_harness(&world);
    world.until("it is refused", |world| is(world, "Compiled") == "False").await;
    for condition in ["ConfigApplied", "PolicyEnforced"] {
        assert_eq!(
            (is(&world, condition), world.reason("Tenant", "acme", condition)),
            ("False".into(), "Invalid".into())
        );
    }
    assert_eq!((is(&world, "GatewayReady"), is(&world, "WatchdogHealthy")), ("True".into(), "True".into()));
    world.watchdogs.change(IP, |health| {
        health.state = State::Degraded;
        health.reasons = vec![Reason::DiskFull];
    });
    world.until("its trouble is shown", |world| is(world, "Degraded") == "True").await;
    world.rest().await;

    // The operator starts anew: it asks with the token that it made before.
    world.stop().await.unwrap();
    world.start();
    world.rest().await;
    assert_eq!(is(&world, "Degraded"), "True");
    world.api.update("Pod", NAMESPACE, "acme-gateway-0", |pod| {
        pod["status"]["conditions"] = json!([{"type": "Ready", "status": "False"}]);
        pod["status"]["containerStatuses"] = running(true);
    });
    down(&world);
    world.until("it is down", |world| world.reason("Tenant", "acme", "GatewayReady") == "GatewayDown").await;
    world.until("it is restarted", |world| world.api.get("Pod", NAMESPACE, "acme-gateway-0").is_none()).await;
    assert_eq!((restarts(&world), is(&world, "Compiled")), (1, "False".into()));
}

#[tokio::test(start_paused = true)]
async fn a_crash_loop_is_left_to_kubelet() {
    let world = World::at_rest().await;
    down(&world);
    world.api.update("Pod", NAMESPACE, "acme-gateway-0", |pod| {
        pod["status"]["conditions"] = json!([{"type": "Ready", "status": "False"}]);
        pod["status"]["containerStatuses"] = json!([{
            "name": "gateway", "image": "i", "imageID": "", "ready": false, "restartCount": 3,
            "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}},
            "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}}
        }]);
    });
    world.until("it is shown", |world| world.reason("Tenant", "acme", "GatewayReady") == "CrashLoop").await;
    world.rest().await;
    assert_eq!(restarts(&world), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_delivered_meanwhile_does_not_put_a_restart_off() {
    let world = World::at_rest().await;
    down(&world);
    world.until("it is shown", |world| is(world, "GatewayReady") == "False").await;
    let began = tokio::time::Instant::now();
    // Sooner than a gateway is given up, again and again.
    for round in 0..4 {
        tokio::time::sleep(Duration::from_secs(50)).await;
        let vibe = json!(format!("of round {round}"));
        world
            .api
            .update("Harness", NAMESPACE, "desk", |harness| harness["spec"]["soul"]["vibe"] = vibe.clone());
    }
    world.until("it is restarted", |world| restarts(world) == 1).await;
    assert!(began.elapsed() < Duration::from_secs(270), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_panics_restarts_what_it_counts() {
    let mut world = World::at_rest().await;
    world.stop().await.unwrap();
    world.start_with(|inputs| {
        assert_ne!(inputs.tenant.metadata.name.as_deref(), Some("acme"), "a fault");
        kr8tiv_compiler::compile(inputs)
    });
    world.until("it is shown", |world| world.reason("Tenant", "acme", "Ready") == "InternalError").await;
    down(&world);
    world.until("it is restarted", |world| world.api.get("Pod", NAMESPACE, "acme-gateway-0").is_none()).await;
    assert_eq!(restarts(&world), 1);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_kubelet_has_just_started_is_given_its_time() {
    let world = World::at_rest().await;
    down(&world);
    world.until("it is shown", |world| is(world, "GatewayReady") == "False").await;
    // The clock of the day stands still here: it stays as new as it is.
    let now = kr8tiv_operator::statuses::now();
    world.api.update("Pod", NAMESPACE, "acme-gateway-0", |pod| {
        pod["status"]["containerStatuses"] = json!([{
            "name": "gateway", "image": "i", "imageID": "", "ready": true, "restartCount": 1,
            "state": {"running": {"startedAt": now}}
        }]);
    });
    world.rest().await;
    assert_eq!(restarts(&world), 0);
}
