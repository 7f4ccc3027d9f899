//! Sandboxes: their keys are made once and rotated together, and what is wrong with one is a condition of its own.

use std::sync::atomic::{AtomicUsize, Ordering};

use http::StatusCode;
use k8s_openapi::jiff::Timestamp;
use kr8tiv_operator::sandbox::{Login, Probed};
use serde_json::{Value, json};

use crate::fake::Seen;
use crate::world::{NAMESPACE, World, harness, ready, tenant};

const ROTATE: &str = "kr8tiv.ai/rotate-sandbox-keys";
const KEYS: &str = "kr8tiv.ai/sandbox-keys";
const SECRET: &str = "acme-sandbox-ssh";
pub const IP: &str = "10.0.0.1";

fn data(world: &World) -> Value {
    world.api.get("Secret", NAMESPACE, SECRET).unwrap_or_default()["data"].clone()
}

pub fn set(world: &World, name: &str) -> Value {
    world.api.get("StatefulSet", NAMESPACE, name).unwrap_or_default()
}

fn generation(world: &World, name: &str) -> i64 {
    set(world, name)["metadata"]["generation"].as_i64().unwrap()
}

fn on_the_sandbox(world: &World) -> Value {
    set(world, "acme-sandbox")["spec"]["template"]["metadata"]["annotations"][KEYS].clone()
}

fn on_the_gateway(world: &World) -> Value {
    world.api.get("Pod", NAMESPACE, "acme-gateway-0").unwrap()["metadata"]["annotations"][KEYS].clone()
}

/// A Pod of the sandbox's current revision, with this status.
pub fn run(world: &World, status: &Value) {
    world.run_pod_of("acme-sandbox", "2020-01-01T00:00:00Z", status);
}

/// The status of a Pod that has been ready since then.
pub fn ready_since(time: &str) -> Value {
    json!({"podIP": "10.0.0.7", "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": time}]})
}

pub fn told(world: &World, login: Login) {
    probed(world, Probed { login, keys: None, at: None });
}

pub fn probed(world: &World, probed: Probed) {
    world.watchdogs.change(IP, |health| health.sandboxes = [("acme-sandbox".to_owned(), probed)].into());
}

pub fn is(world: &World, condition: &str) -> String {
    world.is("Tenant", "acme", condition)
}

/// Answers the first writes of these objects with an error that is usually over in a moment.
fn fail(resource: &'static str, times: usize) -> impl Fn(&Seen) -> Option<StatusCode> + Send {
    let failures = AtomicUsize::new(0);
    move |seen| {
        let is_hit = seen.verb == "patch" && seen.resource == resource;
        (is_hit && failures.fetch_add(1, Ordering::SeqCst) < times).then_some(StatusCode::SERVICE_UNAVAILABLE)
    }
}

/// Events with this reason.
fn told_of(world: &World, reason: &str) -> usize {
    world.api.all("Event").iter().filter(|event| event["reason"] == reason).count()
}

fn rotate(world: &World, value: &str) {
    world.api.update("Tenant", NAMESPACE, "acme", |tenant| {
        tenant["metadata"]["annotations"][ROTATE] = json!(value);
    });
}

pub async fn with_sandbox() -> World {
    let world = World::at_rest().await;
    run(&world, &ready("10.0.0.7"));
    told(&world, Login::Ok);
    world.until("the sandbox is ready", |world| is(world, "SandboxReady") == "True").await;
    world
}

#[tokio::test(start_paused = true)]
async fn keys_are_made_once_and_rotated_together_without_the_gateway() {
    let mut world = with_sandbox().await;
    world.rest().await;
    let first = data(&world);
    let names: Vec<_> = first.as_object().unwrap().keys().cloned().collect();
    assert_eq!(names, ["authorized_keys", "id_ed25519", "known_hosts", "ssh_host_ed25519_key"]);
    let secret = world.api.get("Secret", NAMESPACE, SECRET).unwrap();
    assert_eq!(secret["metadata"]["ownerReferences"][0]["kind"], "Tenant");
    let (gateway, sandbox) = (generation(&world, "acme-gateway"), generation(&world, "acme-sandbox"));
    assert_eq!((on_the_gateway(&world), on_the_sandbox(&world).is_string()), (on_the_sandbox(&world), true));
    let before = on_the_sandbox(&world);

    world.stop().await.unwrap();
    world.start();
    world.rest().await;
    assert_eq!((data(&world), generation(&world, "acme-sandbox")), (first.clone(), sandbox));

    rotate(&world, "1");
    world.until("the sandbox is rolled", |world| on_the_sandbox(world) != before).await;
    world.rest().await;
    let second = data(&world);
    for name in names {
        assert_ne!(second[&name], first[&name], "{name}");
    }
    assert_eq!(world.api.get("Secret", NAMESPACE, SECRET).unwrap()["metadata"]["annotations"][ROTATE], "1");
    assert_eq!(generation(&world, "acme-sandbox"), sandbox + 1);
    assert_eq!(generation(&world, "acme-gateway"), gateway, "the gateway goes on");
    assert_eq!(on_the_gateway(&world), on_the_sandbox(&world), "and its kubelet is told of the keys");

    world.stop().await.unwrap();
    world.start();
    world.rest().await;
    world.api.forget_requests();
    world.rest().await;
    assert_eq!((data(&world), world.api.requests()), (second, vec![]), "and then it is at rest");
}

#[tokio::test(start_paused = true)]
async fn keys_that_were_changed_or_removed_are_made_anew_when_they_are_missed() {
    let world = with_sandbox().await;
    world.rest().await;
    let before = (data(&world), on_the_sandbox(&world));
    world.api.update("Secret", NAMESPACE, SECRET, |secret| secret["data"]["known_hosts"] = json!("eA=="));
    world.rest().await;
    assert_eq!(on_the_sandbox(&world), before.1, "nobody looks without need");
    told(&world, Login::HostKeyMismatch);
    world.until("others are made", |world| on_the_sandbox(world) != before.1).await;
    let reason = |world: &World| world.reason("Tenant", "acme", "SandboxReady");
    world.until("it is told of", |world| reason(world) == "HostKeyMismatch").await;
    assert_ne!(data(&world)["known_hosts"], json!("eA=="));
    assert_ne!(data(&world)["id_ed25519"], before.0["id_ed25519"], "all of a Secret is of one making");
    run(&world, &ready("10.0.0.7"));
    told(&world, Login::Ok);
    world.until("it heals", |world| is(world, "SandboxReady") == "True").await;

    world.rest().await;
    world.api.delete("Secret", NAMESPACE, SECRET);
    told(&world, Login::AuthFailed);
    world.until("it is back", |world| data(world).is_object()).await;
}

#[tokio::test(start_paused = true)]
async fn a_sandbox_that_is_lost_is_told_of_and_takes_nobody_down() {
    let world = with_sandbox().await;
    assert_eq!(is(&world, "Degraded"), "absent");
    world.api.delete("Pod", NAMESPACE, "acme-sandbox-0");
    told(&world, Login::Unreachable);
    world.until("it is shown", |world| is(world, "SandboxReady") == "False").await;
    assert_eq!(world.reason("Tenant", "acme", "SandboxReady"), "Unreachable");
    assert_eq!(world.reason("Tenant", "acme", "Degraded"), "Unreachable");
    assert_eq!((is(&world, "Ready"), is(&world, "GatewayReady")), ("True".to_owned(), "True".to_owned()));
    run(&world, &ready("10.0.0.7"));
    told(&world, Login::Ok);
    world.until("it heals", |world| is(world, "SandboxReady") == "True").await;
    assert_eq!(is(&world, "Degraded"), "absent");
    world.rest().await;
    world.api.forget_requests();
    world.rest().await;
    assert_eq!(world.api.requests(), [], "a sandbox at rest costs nothing");
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_can_not_start_says_why_and_is_replaced_when_it_is_mended() {
    let world = World::at_rest().await;
    assert_eq!((is(&world, "SandboxReady"), is(&world, "Degraded")), ("Unknown".into(), "absent".into()));
    let waiting = json!({"reason": "ErrImagePull", "message": "not found"});
    let container = json!({
        "name": "sandbox", "image": "sandbox:1", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"waiting": waiting}
    });
    run(&world, &json!({"containerStatuses": [container]}));
    world.until("it is shown", |world| is(world, "SandboxReady") == "False").await;
    assert_eq!(
        world.message("Tenant", "acme", "SandboxReady"),
        "sandbox acme-sandbox: container sandbox: image sandbox:1 can't be had: not found"
    );
    assert_eq!(is(&world, "Ready"), "True");
    // Another template, as by a mended image.
    world.api.update("Harness", NAMESPACE, "desk", |harness| {
        harness["spec"]["tools"] = json!({"sandbox": {"scratchSize": "2Gi"}});
    });
    let generation_before = generation(&world, "acme-sandbox");
    world.until("it is applied", |world| generation(world, "acme-sandbox") > generation_before).await;
    world.api.set_fault(|seen| (seen.verb == "delete").then_some(StatusCode::FORBIDDEN));
    let generation = generation(&world, "acme-sandbox");
    world.api.update("StatefulSet", NAMESPACE, "acme-sandbox", |set| {
        set["status"] = json!({"observedGeneration": generation, "replicas": 1, "updateRevision": "another"});
    });
    let refused = |world: &World| world.api.requests().iter().filter(|seen| seen.verb == "delete").count();
    world.until("it can't be deleted", |world| refused(world) > 3).await;
    world.watchdogs.deliver(IP, &world.bundle_hash("acme"));
    world.until("the gateway serves all the same", |world| is(world, "Ready") == "True").await;
    world.api.clear_fault();
    world
        .until("the stuck Pod goes", |world| world.api.get("Pod", NAMESPACE, "acme-sandbox-0").is_none())
        .await;
    assert!(world.api.get("Pod", NAMESPACE, "acme-gateway-0").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_stuck_pod_that_may_not_be_deleted_is_tried_slowly_and_counts_for_itself() {
    let world = with_sandbox().await;
    let forbidden = |seen: &Seen| (seen.verb == "delete").then_some(StatusCode::FORBIDDEN);
    world.api.set_fault(forbidden);
    run(&world, &json!({"podIP": "10.0.0.7"}));
    world.api.update("StatefulSet", NAMESPACE, "acme-sandbox", |set| {
        set["status"]["updateRevision"] = json!("another");
    });
    world.rest().await;
    world.api.forget_requests();
    world.rest().await;
    let tries = world.api.requests().iter().filter(|seen| seen.verb == "delete").count();
    assert!((1..=5).contains(&tries), "{tries} tries in ten minutes");

    // However often that was refused: a hiccup over the keys is one.
    let hiccups = fail("secrets", 2);
    world.api.set_fault(move |seen| forbidden(seen).or_else(|| hiccups(seen)));
    let before = on_the_sandbox(&world);
    rotate(&world, "1");
    world.until("the sandbox is rolled", |world| on_the_sandbox(world) != before).await;
    world.rest().await;
    assert_eq!(told_of(&world, "ApplyFailed"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_harness_without_sandboxes_has_none() {
    let world = with_sandbox().await;
    world.api.update("Harness", NAMESPACE, "desk", |harness| {
        harness["spec"]["tools"] = json!({"sandboxNonMainSessions": false});
    });
    world
        .until("they are gone", |world| {
            ["StatefulSet", "Service", "NetworkPolicy"]
                .iter()
                .all(|kind| world.api.names(kind, NAMESPACE) == ["acme-gateway"])
        })
        .await;
    world.until("nothing is said", |world| is(world, "SandboxReady") == "absent").await;
    world.api.update("Harness", NAMESPACE, "desk", |harness| {
        harness["spec"]["tools"] = json!({"sandbox": {"scope": "Agent"}});
    });
    world.until("one of its own", |world| world.api.names("StatefulSet", NAMESPACE).len() == 2).await;
    let names = world.api.names("StatefulSet", NAMESPACE);
    assert!(names[1].starts_with("acme-sandbox-main-"), "{names:?}");
    assert!(world.api.get("Secret", NAMESPACE, &format!("{}-ssh", names[1])).is_some());
}

/// Time alone wakes nobody: the pass looks again by itself until the watchdog has logged in to the Pod that is there.
#[tokio::test(start_paused = true)]
async fn a_log_in_before_the_pod_was_ready_does_not_count() {
    let world = World::at_rest().await;
    let at = |text: &str| Some(text.parse::<Timestamp>().unwrap());
    let keys = on_the_sandbox(&world).as_str().unwrap().to_owned();
    let ok = |at| Probed { login: Login::Ok, keys: Some(keys.clone()), at };
    probed(&world, ok(at("2026-01-01T00:00:10Z")));
    run(&world, &ready_since("2026-01-01T00:01:00Z"));
    let message = |world: &World| world.message("Tenant", "acme", "SandboxReady");
    world.until("it is awaited", |world| message(world).starts_with("nobody has logged in")).await;
    // The same word of a later time is no news, and is seen all the same.
    probed(&world, ok(at("2026-01-01T00:01:10Z")));
    world.until("it counts", |world| is(world, "SandboxReady") == "True").await;
}

#[tokio::test(start_paused = true)]
async fn a_secret_of_somebody_else_is_not_taken_over_and_does_not_hold_the_gateway_up() {
    let mut world = World::empty();
    let theirs = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET}, "data": {"id_ed25519": "eA=="}
    });
    world.api.create(NAMESPACE, theirs);
    world.api.create(NAMESPACE, harness("desk"));
    world.api.create(NAMESPACE, tenant("acme", "desk"));
    world.start();
    world.until("a conflict", |world| world.reason("Tenant", "acme", "SandboxReady") == "Conflict").await;
    let message = world.message("Tenant", "acme", "SandboxReady");
    assert!(message.starts_with("Secret acme-sandbox-ssh exists and was not made"), "{message}");
    assert_eq!(world.reason("Tenant", "acme", "Ready"), "Starting", "all the rest is applied");
    assert!(set(&world, "acme-gateway").is_object());
    assert_eq!(data(&world), json!({"id_ed25519": "eA=="}));

    // However often the keys have failed: a hiccup of something else is one.
    world.rest().await;
    world.api.set_fault(fail("configmaps", 2));
    let before = world.bundle_hash("acme");
    world
        .api
        .update("Harness", NAMESPACE, "desk", |harness| harness["spec"]["soul"]["vibe"] = json!("bright"));
    world.until("it is applied", |world| world.bundle_hash("acme") != before).await;
    world.rest().await;
    assert_eq!(told_of(&world, "ApplyFailed"), 0);
    world.api.delete("Secret", NAMESPACE, SECRET);
    world.until("it heals", |world| on_the_sandbox(world).is_string()).await;
    assert_eq!(data(&world).as_object().map(serde_json::Map::len), Some(4));
}

/// What its sandboxes have is on their templates: an operator that has just started compiles each tenant once.
#[tokio::test(start_paused = true)]
async fn a_start_writes_nothing_to_a_sandbox_whose_secret_can_not_be_seen_to() {
    let mut world = with_sandbox().await;
    world.rest().await;
    let before = (on_the_sandbox(&world), generation(&world, "acme-sandbox"));
    world.stop().await.unwrap();
    world.api.update("Secret", NAMESPACE, SECRET, |secret| {
        secret["metadata"]["ownerReferences"] = json!([]);
        secret["metadata"]["labels"] = json!({});
    });
    world.start();
    world.until("a conflict", |world| world.reason("Tenant", "acme", "SandboxReady") == "Conflict").await;
    world.rest().await;
    assert_eq!((on_the_sandbox(&world), generation(&world, "acme-sandbox")), before);
}

#[tokio::test(start_paused = true)]
async fn keys_that_can_not_be_written_are_told_of_when_it_lasts() {
    let world = with_sandbox().await;
    let before = on_the_sandbox(&world);
    world.api.set_fault(fail("secrets", 2));
    rotate(&world, "1");
    world.until("the sandbox is rolled", |world| on_the_sandbox(world) != before).await;
    world.rest().await;
    assert_eq!(told_of(&world, "ApplyFailed"), 0, "a hiccup would only make it flicker");
    world.api.set_fault(fail("secrets", usize::MAX));
    rotate(&world, "2");
    world.until("it is told", |world| world.reason("Tenant", "acme", "SandboxReady") == "ApplyFailed").await;
    assert_eq!((is(&world, "Ready"), is(&world, "Degraded")), ("True".into(), "True".into()));
    world.api.clear_fault();
    world.until("it heals", |world| world.reason("Tenant", "acme", "SandboxReady") != "ApplyFailed").await;
}

/// A log-in is awaited only where there can be one.
#[tokio::test(start_paused = true)]
async fn nobody_looks_again_and_again_for_a_log_in_that_can_not_come() {
    let mut world = with_sandbox().await;
    let at = "2026-01-01T00:00:10Z".parse::<Timestamp>().unwrap();
    probed(&world, Probed { login: Login::Ok, keys: None, at: Some(at) });
    world.rest().await;
    world.watchdogs.silence(IP);
    world.until("it is silent", |world| is(world, "WatchdogHealthy") == "False").await;
    run(&world, &ready_since("2026-01-01T00:01:00Z"));
    world.rest().await;
    let before = world.passes();
    world.rest().await;
    assert!(world.passes() - before < 5, "{} passes in ten minutes", world.passes() - before);

    world.stop().await.unwrap();
    world.api.update("Secret", NAMESPACE, SECRET, |secret| {
        secret["metadata"]["ownerReferences"] = json!([]);
        secret["metadata"]["labels"] = json!({});
    });
    world.watchdogs.deliver(IP, &world.bundle_hash("acme"));
    probed(&world, Probed { login: Login::Ok, keys: None, at: Some(at) });
    world.start();
    world.until("a conflict", |world| world.reason("Tenant", "acme", "SandboxReady") == "Conflict").await;
    world.rest().await;
    world.api.forget_requests();
    world.rest().await;
    let looks = world.api.requests().len();
    assert!((7..=14).contains(&looks), "a look once a minute: {looks}");
}
