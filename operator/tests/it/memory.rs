//! Context from Supermemory: what is asked, what agents get, what is said, and what it costs.

use std::time::Duration;

use kr8tiv_compiler::read_context;
use kr8tiv_supermemory::stub::{Fault, Seen};
use serde_json::{Value, json};

use crate::world::{MEMORY_KEY, NAMESPACE, World, harness, tenant};

pub const TAG: &str = "tenant-acme-0a1b2c3d";

/// [`MEMORY_KEY`], and another key, as a Secret has them.
const KEY: &str = "c20tY2FuYXJ5LTAxMjM0NTY3ODk=";
const OTHER_KEY: &str = "c20tb3RoZXI=";

pub fn memory_harness() -> Value {
    let mut harness = harness("desk");
    harness["spec"]["supermemory"] =
        json!({"enabled": true, "queries": ["preferences"], "refreshInterval": "5m", "topK": 3});
    harness
}

pub fn memory_tenant() -> Value {
    let mut tenant = tenant("acme", "desk");
    tenant["spec"]["tenantId"] = json!("acme-0a1b2c3d");
    tenant["spec"]["supermemory"] = json!({"apiKeySecretRef": {"name": "memory", "key": "apiKey"}});
    tenant
}

fn secret(value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "memory"}, "data": {"apiKey": value}})
}

/// Everything that memory needs, and an operator that runs.
pub fn remembering(harness: Value) -> World {
    let mut world = World::empty();
    world.memory.remember(TAG, "likes tea", 0.9);
    world.api.create(NAMESPACE, secret(KEY));
    world.api.create(NAMESPACE, harness);
    world.api.create(NAMESPACE, memory_tenant());
    world.start();
    world
}

/// The same, with a gateway that serves what was looked up.
pub async fn at_rest(harness: Value) -> World {
    let mut world = remembering(harness);
    world.until("it is looked up", |world| context(world) == ["likes tea"]).await;
    world.until("it is told", |world| memory(world) == "Succeeded").await;
    world.serve("acme", "10.0.0.1").await;
    world
}

/// The lines that the agent has.
pub fn context(world: &World) -> Vec<String> {
    let files = world.api.get("ConfigMap", NAMESPACE, "acme-workspace.main").unwrap_or_default();
    files["data"]["CONTEXT.md"].as_str().map(read_context).unwrap_or_default()
}

pub fn memory(world: &World) -> String {
    world.reason("Tenant", "acme", "MemoryHealthy")
}

fn patches(world: &World, resource: &str) -> usize {
    let requests = world.api.requests();
    requests.iter().filter(|seen| seen.verb == "patch" && seen.resource == resource).count()
}

#[tokio::test(start_paused = true)]
async fn point_12_every_query_is_asked_as_the_harness_says_and_within_the_tenants_tag() {
    let mut harness = memory_harness();
    harness["spec"]["supermemory"]["queries"] = json!(["preferences", "open tasks"]);
    harness["spec"]["supermemory"]["threshold"] = json!(0.5);
    let world = at_rest(harness).await;
    let search = |query: &str| Seen {
        call: "POST /v4/search".into(),
        headers: [
            ("accept", "application/json".into()),
            ("authorization", format!("Bearer {MEMORY_KEY}")),
            ("content-type", "application/json".into()),
        ]
        .into(),
        body: json!({
            "q": query, "containerTag": TAG, "searchMode": "hybrid", "limit": 3, "threshold": 0.5
        }),
    };
    assert_eq!(world.memory.requests()[..2], [search("preferences"), search("open tasks")]);
}

#[tokio::test(start_paused = true)]
async fn point_12_agents_get_few_short_different_lines_above_the_threshold() {
    let long = "very ".repeat(100);
    let world = World::empty();
    for (text, similarity) in [
        ("below", 0.44),
        (&long, 0.6),
        ("# likes\n\n tea", 0.9),
        ("# likes tea", 0.8),
        ("b", 0.5),
        ("c", 0.49),
    ] {
        world.memory.remember(TAG, text, similarity);
    }
    world.memory.remember("tenant-other-0a1b2c3d", "of somebody else", 1.0);
    let mut world = world;
    world.api.create(NAMESPACE, secret(KEY));
    world.api.create(NAMESPACE, memory_harness());
    world.api.create(NAMESPACE, memory_tenant());
    world.start();
    world.until("it is looked up", |world| context(world).len() == 3).await;
    let lines = context(&world);
    assert_eq!((lines[0].as_str(), lines[2].as_str()), ("\\# likes tea", "b"));
    assert_eq!((lines[1].chars().count(), lines[1].ends_with("very…")), (240, true));
    world.until("it is told", |world| memory(world) == "Succeeded").await;
    let status = world.api.get("Tenant", NAMESPACE, "acme").unwrap()["status"]["memory"].clone();
    assert_eq!(status["lines"], 3);
    assert!(status["lastSuccess"].is_string() && status["latency"].is_string(), "{status}");
}

#[tokio::test(start_paused = true)]
async fn point_12_without_a_key_nothing_is_asked() {
    let mut world = World::empty();
    world.memory.remember(TAG, "likes tea", 0.9);
    world.api.create(NAMESPACE, memory_harness());
    let mut keyless = memory_tenant();
    keyless["spec"].as_object_mut().unwrap().remove("supermemory");
    world.api.create(NAMESPACE, keyless);
    world.start();
    world.until("it is said", |world| memory(world) == "NoApiKey").await;
    world.serve("acme", "10.0.0.1").await;

    world.api.update("Tenant", NAMESPACE, "acme", |tenant| tenant["spec"] = memory_tenant()["spec"].clone());
    let missing = "spec.supermemory.apiKeySecretRef: Secret memory does not exist; create it with: kubectl -n acme \
                   create secret generic memory --from-literal=apiKey=...";
    world.until("it is missed", |world| world.message("Tenant", "acme", "MemoryHealthy") == missing).await;
    world.rest().await;
    assert_eq!(world.is("Tenant", "acme", "Ready"), "True");
    assert_eq!(world.memory.requests(), [], "no key, no call");

    world.api.forget_requests();
    world.rest().await;
    let looks = world.api.requests();
    assert!(looks.iter().all(|seen| (seen.verb, seen.name.as_str()) == ("get", "memory")), "{looks:?}");
    assert!((7..=14).contains(&looks.len()), "a look once a minute: {}", looks.len());

    world.api.create(NAMESPACE, secret(KEY));
    world.until("it is found", |world| memory(world) == "Succeeded" && context(world) == ["likes tea"]).await;
}

#[tokio::test(start_paused = true)]
async fn point_12_no_failure_holds_a_gateway_up() {
    let slow = Duration::from_secs(9);
    for (fault, reason) in [
        (Fault::Status(401, None), "AuthFailed"),
        (Fault::Status(402, None), "QuotaExceeded"),
        (Fault::Status(429, Some("30")), "RateLimited"),
        (Fault::Status(500, None), "Unreachable"),
        (Fault::Slow(slow), "Timeout"),
        (Fault::Refuse, "Unreachable"),
        (Fault::Cut, "Unreachable"),
        (Fault::Garbage, "BadResponse"),
        (Fault::Nonsense, "BadResponse"),
        (Fault::Huge, "BadResponse"),
        (Fault::Redirect, "BadResponse"),
    ] {
        let mut world = remembering(memory_harness());
        world.memory.set_fault(Some(fault.clone()));
        world.until("it is applied", |world| !world.bundle_hash("acme").is_empty()).await;
        world.serve("acme", "10.0.0.1").await;
        world.until("it is told", |world| memory(world) == reason).await;
        world.rest().await;
        assert_eq!(memory(&world), reason, "{fault:?}");
        assert_eq!(world.is("Tenant", "acme", "MemoryHealthy"), "False");
        assert_eq!(world.is("Tenant", "acme", "Ready"), "True");
        assert_eq!(context(&world), [""; 0]);

        world.memory.set_fault(None);
        world
            .until("it heals", |world| memory(world) == "Succeeded" && context(world) == ["likes tea"])
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_pass_does_not_wait_for_memory() {
    let world = remembering(memory_harness());
    world.memory.set_fault(Some(Fault::Slow(Duration::from_secs(7))));
    world.until("it is applied", |world| !world.bundle_hash("acme").is_empty()).await;
    assert_eq!((memory(&world).as_str(), context(&world).len()), ("Starting", 0));
    assert_eq!(world.is("Tenant", "acme", "MemoryHealthy"), "Unknown");
}

#[tokio::test(start_paused = true)]
async fn refreshes_that_bring_nothing_new_cost_the_api_server_nothing() {
    let world = at_rest(memory_harness()).await;
    world.rest().await;
    world.api.forget_requests();
    world.memory.forget_requests();
    world.memory.forget();
    // The same, in another order and with other scores.
    world.memory.remember(TAG, "likes tea", 0.7);
    for _ in 0..6 {
        world.rest().await;
    }
    let asked = world.memory.requests().len();
    assert!((9..=16).contains(&asked), "every five minutes of sixty: {asked}");
    assert_eq!(world.api.requests(), []);
    world.force_pass("acme", "again").await;
    let written = world.api.requests();
    assert!(written.iter().all(|seen| seen.verb == "get"), "a pass writes no newer times: {written:?}");
}

#[tokio::test(start_paused = true)]
async fn other_lines_are_delivered_without_a_restart() {
    let world = at_rest(memory_harness()).await;
    world.rest().await;
    let set = world.api.get("StatefulSet", NAMESPACE, "acme-gateway").unwrap();
    world.api.forget_requests();
    world.memory.remember(TAG, "moved to Bern", 0.8);
    world.until("it is looked up", |world| context(world) == ["likes tea", "moved to Bern"]).await;
    world.rest().await;
    assert_eq!(world.api.get("StatefulSet", NAMESPACE, "acme-gateway").unwrap(), set);
    assert_eq!(patches(&world, "statefulsets"), 0);
    assert_eq!(patches(&world, "configmaps"), 2, "the workspace, and with its hash the configuration");
    assert!(patches(&world, "pods") >= 1, "kubelet is told to look");
    assert_eq!(patches(&world, "tenants/status"), 1, "lines on their way hold nothing up");
    assert_eq!(patches(&world, "harnesses/status"), 0);
    assert_eq!(world.is("Tenant", "acme", "Ready"), "True");

    world.watchdogs.deliver("10.0.0.1", &world.bundle_hash("acme"));
    world.rest().await;
    world.api.forget_requests();
    world.rest().await;
    assert_eq!(world.api.requests(), []);
    let vibe = |desk: &mut Value| desk["spec"]["soul"]["vibe"] = json!("bright");
    world.api.update("Harness", NAMESPACE, "desk", vibe);
    world
        .until("what is not context does", |world| world.reason("Tenant", "acme", "Ready") == "Delivering")
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_failure_keeps_the_context_that_was_fetched_last() {
    let world = at_rest(memory_harness()).await;
    world.memory.set_fault(Some(Fault::Status(500, None)));
    world.api.forget_requests();
    world.until("it is told", |world| memory(world) == "Unreachable").await;
    world.rest().await;
    assert_eq!(context(&world), ["likes tea"]);
    assert_eq!(world.is("Tenant", "acme", "Ready"), "True");
    assert_eq!(patches(&world, "configmaps"), 0);
    assert_eq!(patches(&world, "tenants/status"), 1, "the condition, and not each failure");
    let message = world.message("Tenant", "acme", "MemoryHealthy");
    assert_eq!(message, "https://api.supermemory.ai is out of order (status 500)");
}

#[tokio::test(start_paused = true)]
async fn one_failure_is_not_worth_a_condition() {
    let world = at_rest(memory_harness()).await;
    world.rest().await;
    world.api.forget_requests();
    world.memory.forget_requests();
    for _ in 0..2 {
        world.memory.fail_once(Fault::Status(500, None));
    }
    world.rest().await;
    assert!(world.memory.requests().len() >= 3, "two failures, and a success soon after");
    assert_eq!((memory(&world).as_str(), world.api.requests().len()), ("Succeeded", 0));
}

#[tokio::test(start_paused = true)]
async fn a_fault_of_the_operator_is_told_and_does_not_end_the_fetching() {
    let world = at_rest(memory_harness()).await;
    world.memory.set_fault(Some(Fault::Panic));
    world.until("it is told", |world| memory(world) == "InternalError").await;
    let message = world.message("Tenant", "acme", "MemoryHealthy");
    assert!(!message.contains("the stub was told to"), "a panic may quote anything: {message}");
    world.memory.forget_requests();
    world.rest().await;
    let tries = world.memory.requests().len();
    assert!((1..=8).contains(&tries), "it is tried again, ever more rarely: {tries}");
    assert_eq!(
        (context(&world), world.is("Tenant", "acme", "Ready")),
        (vec!["likes tea".into()], "True".into())
    );
    world.memory.set_fault(None);
    world.until("it heals", |world| memory(world) == "Succeeded").await;
}

#[tokio::test(start_paused = true)]
async fn an_absurd_retry_after_is_heeded_as_an_hour() {
    let world = at_rest(memory_harness()).await;
    world.memory.set_fault(Some(Fault::Status(429, Some("1e19"))));
    world.until("it is told", |world| memory(world) == "RateLimited").await;
    world.memory.set_fault(None);
    world.memory.forget_requests();
    for _ in 0..7 {
        world.rest().await;
    }
    assert_eq!(memory(&world), "Succeeded");
}

#[tokio::test(start_paused = true)]
async fn a_new_key_is_found_once_the_old_one_is_refused() {
    let world = at_rest(memory_harness()).await;
    world.memory.set_key("sm-other");
    world.until("it is refused", |world| memory(world) == "AuthFailed").await;
    assert_eq!(context(&world), ["likes tea"]);
    world.api.update("Secret", NAMESPACE, "memory", |secret| secret["data"]["apiKey"] = json!(OTHER_KEY));
    world.until("it is found", |world| memory(world) == "Succeeded").await;
}

#[tokio::test(start_paused = true)]
async fn a_service_that_asks_to_be_left_alone_is() {
    let world = at_rest(memory_harness()).await;
    world.memory.set_fault(Some(Fault::Status(429, Some("3600"))));
    world.until("it is told", |world| memory(world) == "RateLimited").await;
    world.memory.forget_requests();
    for _ in 0..5 {
        world.rest().await;
    }
    assert!(world.memory.requests().len() <= 1, "{:?}", world.memory.requests());
}
