//! One bot's token in two hands: the older Tenant keeps it, whatever the Secrets are called.

use serde_json::{Value, json};

use crate::world::{NAMESPACE, World, harness, tenant};

const ELSEWHERE: &str = "elsewhere";

fn with_bot(name: &str, secret: &str) -> Value {
    let mut tenant = tenant(name, "desk");
    tenant["spec"]["channels"] =
        json!({"telegram": {"accounts": [{"botTokenSecretRef": {"name": secret, "key": "token"}}]}});
    tenant
}

/// `value` is in base64.
fn secret(name: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": {"token": value}})
}

fn reason(world: &World, namespace: &str, name: &str) -> String {
    let tenant = world.api.get("Tenant", namespace, name).unwrap();
    tenant["status"]["conditions"][0]["reason"].as_str().unwrap_or_default().to_owned()
}

/// Tenant `acme`, which is applied, and Tenant `late` of another namespace, whose Secret has another name and the same
/// token.
async fn two_with_one_token() -> World {
    let mut world = World::empty();
    for namespace in [NAMESPACE, ELSEWHERE] {
        world.api.create(namespace, harness("desk"));
    }
    world.api.create(NAMESPACE, secret("bot", "c2VjcmV0"));
    world.api.create(NAMESPACE, with_bot("acme", "bot"));
    world.start();
    world.until("it is applied", |world| reason(world, NAMESPACE, "acme") == "Starting").await;
    world.api.create(ELSEWHERE, secret("other", "c2VjcmV0Cg=="));
    world.api.create(ELSEWHERE, with_bot("late", "other"));
    world.until("a conflict", |world| reason(world, ELSEWHERE, "late") == "Conflict").await;
    world
}

#[tokio::test(start_paused = true)]
async fn a_token_that_an_older_tenant_has_is_refused_by_value() {
    let world = two_with_one_token().await;
    let late = world.api.get("Tenant", ELSEWHERE, "late").unwrap();
    let conditions = &late["status"]["conditions"];
    assert_eq!(
        conditions[0]["message"],
        "Tenant late, spec.channels.telegram.accounts[0].botTokenSecretRef: Tenant acme/acme, \
         spec.channels.telegram.accounts[0].botTokenSecretRef has the same token; give each its own bot: two consumers of one token \
         take each other's messages (K8T0206)"
    );
    assert!(conditions.as_array().unwrap().iter().any(|it| it["type"] == "Stalled"));
    assert!(world.api.names("StatefulSet", ELSEWHERE).is_empty(), "nothing is applied");
    assert_eq!(reason(&world, NAMESPACE, "acme"), "Starting", "the older one is not disturbed");
    world.rest().await;
    world.api.forget_requests();
    world.rest().await;
    let requests = world.api.requests();
    assert!(requests.iter().all(|seen| (seen.verb, seen.name.as_str()) == ("get", "other")), "{requests:?}");
    assert!((7..=14).contains(&requests.len()), "a look once a minute: {}", requests.len());
}

#[tokio::test(start_paused = true)]
async fn the_token_is_free_when_the_older_tenant_is_gone() {
    let world = two_with_one_token().await;
    world.api.delete("Tenant", NAMESPACE, "acme");
    world.until("it heals", |world| reason(world, ELSEWHERE, "late") == "Starting").await;
}

#[tokio::test(start_paused = true)]
async fn the_token_is_free_when_the_older_tenant_names_another_secret() {
    let world = two_with_one_token().await;
    world.api.create(NAMESPACE, secret("fresh", "ZnJlc2g="));
    world.api.update("Tenant", NAMESPACE, "acme", |tenant| {
        tenant["spec"]["channels"]["telegram"]["accounts"][0]["botTokenSecretRef"]["name"] = json!("fresh");
    });
    world.until("it heals", |world| reason(world, ELSEWHERE, "late") == "Starting").await;
    world.rest().await;
    world.api.forget_requests();
    world.rest().await;
    assert_eq!(world.api.requests(), [], "and then it is at rest");
}

#[tokio::test(start_paused = true)]
async fn a_token_of_its_own_under_the_same_name_is_noticed() {
    let world = two_with_one_token().await;
    world.api.update("Secret", ELSEWHERE, "other", |secret| secret["data"]["token"] = json!("b3du"));
    world.until("it heals", |world| reason(world, ELSEWHERE, "late") == "Starting").await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_changes_nothing_in_whatever_order_they_are_looked_at() {
    for _ in 0..8 {
        let mut world = two_with_one_token().await;
        let config = world.api.names("ConfigMap", NAMESPACE);
        world.stop().await.unwrap();
        world.start();
        world.rest().await;
        assert_eq!(reason(&world, ELSEWHERE, "late"), "Conflict");
        assert!(
            world.api.names("StatefulSet", ELSEWHERE).is_empty(),
            "it was not applied for a moment either"
        );
        assert_eq!(world.api.names("ConfigMap", NAMESPACE), config);
    }
}

/// `acme` is looked at first, and waits for the older one.
#[tokio::test(start_paused = true)]
async fn a_restart_reads_each_secret_once_whoever_waits_for_whom() {
    let mut world = World::empty();
    world.api.create(NAMESPACE, harness("desk"));
    for (name, token) in [("zeta", "emV0YQ=="), ("acme", "YWNtZQ==")] {
        world.api.create(NAMESPACE, secret(name, token));
        world.api.create(NAMESPACE, with_bot(name, name));
    }
    world.start();
    let are_applied =
        |world: &World| ["zeta", "acme"].iter().all(|name| reason(world, NAMESPACE, name) == "Starting");
    world.until("they are applied", are_applied).await;
    world.rest().await;
    world.stop().await.unwrap();
    world.api.forget_requests();
    world.start();
    world.rest().await;
    let mut read: Vec<_> = world.api.requests().into_iter().map(|seen| (seen.verb, seen.name)).collect();
    read.sort();
    let secrets = ["", "-gateway-token", "-sandbox-ssh"];
    let expected: Vec<_> = ["acme", "zeta"]
        .iter()
        .flat_map(|tenant| secrets.map(|secret| ("get", format!("{tenant}{secret}"))))
        .collect();
    assert_eq!(read, expected);
}

#[tokio::test(start_paused = true)]
async fn the_older_tenant_need_not_compile_to_keep_its_token() {
    let mut world = two_with_one_token().await;
    world.api.delete("Harness", NAMESPACE, "desk");
    world.until("it does not", |world| reason(world, NAMESPACE, "acme") == "HarnessNotFound").await;
    world.stop().await.unwrap();
    world.start();
    world.rest().await;
    assert_eq!(reason(&world, ELSEWHERE, "late"), "Conflict");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_turns_up_late_is_compared_before_anything_is_applied() {
    let mut world = World::empty();
    world.api.create(NAMESPACE, harness("desk"));
    world.api.create(NAMESPACE, with_bot("acme", "bot"));
    world.api.create(NAMESPACE, with_bot("late", "other"));
    world.api.create(NAMESPACE, secret("bot", "c2VjcmV0"));
    world.start();
    world.until("it is missed", |world| reason(world, NAMESPACE, "late") == "SecretNotFound").await;
    world.api.create(NAMESPACE, secret("other", "c2VjcmV0"));
    world.until("a conflict", |world| reason(world, NAMESPACE, "late") == "Conflict").await;
    assert!(world.message("Tenant", "late", "Ready").contains("Tenant acme, spec.channels"));
    assert_eq!(world.api.names("StatefulSet", NAMESPACE), ["acme-gateway", "acme-sandbox"]);
}

#[tokio::test(start_paused = true)]
async fn secrets_that_can_not_be_read_keep_later_tenants_waiting_and_no_longer() {
    let mut world = two_with_one_token().await;
    world.stop().await.unwrap();
    world.api.set_fault(|seen| {
        (seen.verb == "get" && seen.name == "bot").then_some(http::StatusCode::SERVICE_UNAVAILABLE)
    });
    world.start();
    world.rest().await;
    assert_eq!(reason(&world, ELSEWHERE, "late"), "Conflict");
    assert!(world.api.names("StatefulSet", ELSEWHERE).is_empty());
    world.api.clear_fault();
    world.api.delete("Tenant", NAMESPACE, "acme");
    world.until("it heals", |world| reason(world, ELSEWHERE, "late") == "Starting").await;
}
