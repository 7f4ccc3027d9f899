//! What each wrong input looks like, and that it heals by itself and disturbs nothing that runs.

use serde_json::{Value, json};

use crate::world::{NAMESPACE, World, agent, harness, tenant};

/// Status and reason of a condition.
fn is(world: &World, kind: &str, name: &str, type_: &str) -> (String, String) {
    (world.is(kind, name, type_), world.reason(kind, name, type_))
}

fn pair(status: &str, reason: &str) -> (String, String) {
    (status.to_owned(), reason.to_owned())
}

fn with_bot(name: &str, secret: &str) -> Value {
    let mut tenant = tenant(name, "desk");
    tenant["spec"]["channels"] =
        json!({"telegram": {"accounts": [{"botTokenSecretRef": {"name": secret, "key": "token"}}]}});
    tenant
}

#[tokio::test(start_paused = true)]
async fn a_harness_that_does_not_exist() {
    let mut world = World::empty();
    world.api.create(NAMESPACE, tenant("acme", "desk"));
    world.start();
    world.until("it is shown", |world| world.reason("Tenant", "acme", "Ready") == "HarnessNotFound").await;
    for type_ in ["Ready", "Compiled"] {
        assert_eq!(is(&world, "Tenant", "acme", type_), pair("False", "HarnessNotFound"));
        let message = world.message("Tenant", "acme", type_);
        assert!(message.starts_with("Tenant acme, spec.harnessRef"), "{message}");
        assert!(message.ends_with("(K8T0001)"), "{message}");
    }
    assert_eq!(is(&world, "Tenant", "acme", "Reconciling"), pair("True", "HarnessNotFound"));
    assert_eq!(world.is("Tenant", "acme", "Stalled"), "absent");
    assert_eq!(world.api.names("Secret", NAMESPACE), Vec::<String>::new(), "nothing is applied");
    world.api.create(NAMESPACE, harness("desk"));
    world.until("it heals", |world| world.reason("Tenant", "acme", "Ready") == "Starting").await;
}

#[tokio::test(start_paused = true)]
async fn a_bot_token_secret_that_does_not_exist() {
    let mut world = World::empty();
    world.api.create(NAMESPACE, harness("desk"));
    world.api.create(NAMESPACE, with_bot("acme", "bot"));
    world.start();
    world.until("it is shown", |world| world.reason("Tenant", "acme", "Ready") == "SecretNotFound").await;
    assert_eq!(is(&world, "Tenant", "acme", "Compiled"), pair("True", "Succeeded"));
    assert_eq!(is(&world, "Tenant", "acme", "Reconciling"), pair("True", "SecretNotFound"));
    assert_eq!(
        world.message("Tenant", "acme", "Ready"),
        "spec.channels.telegram.accounts[0].botTokenSecretRef: Secret bot does not exist; create it with: kubectl -n acme create \
         secret generic bot --from-literal=token=..."
    );
    assert_eq!(world.api.names("StatefulSet", NAMESPACE), Vec::<String>::new(), "nothing is applied");

    let secret = |data: Value| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "bot"}, "data": data});
    world.api.create(NAMESPACE, secret(json!({"other": "eA=="})));
    world
        .until("the key is missing", |world| {
            world.message("Tenant", "acme", "Ready").contains("Secret bot has nothing under the key token")
        })
        .await;
    world.api.update("Secret", NAMESPACE, "bot", |secret| secret["data"]["token"] = json!("c2VjcmV0"));
    world.until("it heals", |world| world.reason("Tenant", "acme", "Ready") == "Starting").await;
    world.rest().await;
    world.api.forget_requests();
    world.force_pass("acme", "now").await;
    assert_eq!(world.api.requests(), [], "what was found is believed in");
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_secret_slows_down() {
    let mut world = World::empty();
    world.api.create(NAMESPACE, harness("desk"));
    world.api.create(NAMESPACE, with_bot("acme", "bot"));
    world.start();
    world.until("it is shown", |world| world.reason("Tenant", "acme", "Ready") == "SecretNotFound").await;
    world.rest().await;
    world.api.forget_requests();
    world.rest().await;
    let gets = world.api.requests().len();
    assert!((7..=14).contains(&gets), "once a minute, give or take a quarter: {gets} in ten minutes");
}

#[tokio::test(start_paused = true)]
async fn an_agent_of_an_unknown_tenant() {
    let mut world = World::empty();
    world.api.create(NAMESPACE, agent("lost", "nowhere"));
    world.start();
    world.until("it is shown", |world| world.reason("Agent", "lost", "Ready") == "TenantNotFound").await;
    assert_eq!(is(&world, "Agent", "lost", "Accepted"), pair("False", "TenantNotFound"));
    assert_eq!(is(&world, "Agent", "lost", "Reconciling"), pair("True", "TenantNotFound"));
    let message = world.message("Agent", "lost", "Accepted");
    assert!(message.starts_with("Tenant nowhere does not exist in this namespace; create it"), "{message}");
    world.api.create(NAMESPACE, harness("desk"));
    world.api.create(NAMESPACE, tenant("nowhere", "desk"));
    world.until("it heals", |world| world.is("Agent", "lost", "Accepted") == "True").await;
    world.until("it compiles", |world| world.is("Agent", "lost", "Compiled") == "True").await;
}

#[tokio::test(start_paused = true)]
async fn two_default_agents_leave_the_running_gateway_alone() {
    let world = World::at_rest().await;
    let (config, hash) =
        (world.api.get("ConfigMap", NAMESPACE, "acme-gateway-config"), world.bundle_hash("acme"));
    for name in ["one", "two"] {
        let mut agent = agent(name, "acme");
        agent["spec"]["default"] = json!(true);
        world.api.create(NAMESPACE, agent);
    }
    world
        .until("it is shown", |world| is(world, "Tenant", "acme", "Compiled") == pair("False", "Invalid"))
        .await;
    let message = world.message("Tenant", "acme", "Compiled");
    assert!(message.contains("K8T0202"), "{message}");
    assert_eq!(is(&world, "Tenant", "acme", "Stalled"), pair("True", "Invalid"));
    assert_eq!(
        is(&world, "Tenant", "acme", "GatewayReady"),
        pair("True", "Serving"),
        "the last good one runs"
    );
    assert_eq!(world.api.get("ConfigMap", NAMESPACE, "acme-gateway-config"), config);
    assert_eq!(world.bundle_hash("acme"), hash, "the status speaks of what runs");
    world.until("the Agents say it too", |world| world.is("Agent", "two", "Compiled") == "False").await;
    world
        .until("the Harness says it too", |world| world.reason("Harness", "desk", "Compiled") == "Invalid")
        .await;
    world.api.update("Agent", NAMESPACE, "two", |agent| agent["spec"]["default"] = json!(false));
    world.until("it heals", |world| world.is("Tenant", "acme", "Compiled") == "True").await;
    world.until("the Agents heal too", |world| world.is("Agent", "two", "Compiled") == "True").await;
}

#[tokio::test(start_paused = true)]
async fn a_model_that_the_lock_forbids() {
    let world = World::at_rest().await;
    let mut bold = agent("bold", "acme");
    bold["spec"]["model"] = json!("openai/gpt-5.5");
    world.api.create(NAMESPACE, bold);
    world
        .until("it is shown", |world| is(world, "Agent", "bold", "Compiled") == pair("False", "Invalid"))
        .await;
    let message = world.message("Agent", "bold", "Compiled");
    assert!(message.contains("spec.model") && message.contains("K8T0102"), "{message}");
    assert_eq!(is(&world, "Tenant", "acme", "Compiled"), pair("False", "Invalid"));
    world.api.update("Agent", NAMESPACE, "bold", |agent| {
        agent["spec"].as_object_mut().unwrap().remove("model");
    });
    world.until("it heals", |world| world.is("Agent", "bold", "Compiled") == "True").await;
}

#[tokio::test(start_paused = true)]
async fn a_tenant_id_that_another_tenant_has() {
    let world = World::at_rest().await;
    let id = world.api.get("Tenant", NAMESPACE, "acme").unwrap()["status"]["tenantId"].clone();
    let mut thief = tenant("thief", "desk");
    thief["spec"]["tenantId"] = id.clone();
    world.api.create("elsewhere", harness("desk"));
    world.api.create("elsewhere", thief);
    let conditions = |world: &World| {
        world.api.get("Tenant", "elsewhere", "thief").unwrap()["status"]["conditions"].clone()
    };
    world.until("a conflict", |world| conditions(world)[0]["reason"] == "Conflict").await;
    let message = conditions(&world)[0]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("belongs to Tenant acme/acme"), "{message}");
    assert_eq!(world.is("Tenant", "acme", "Ready"), "True", "the older one is not disturbed");
    // One that can't be read keeps what it has.
    world.api.update("Tenant", NAMESPACE, "acme", |tenant| {
        tenant["spec"]["suspend"] = json!("of a later release");
    });
    world.until("it can't be read", |world| world.reason("Tenant", "acme", "Ready") == "Unreadable").await;
    world.rest().await;
    assert_eq!(conditions(&world)[0]["reason"], "Conflict");
    world.api.delete("Tenant", NAMESPACE, "acme");
    world.until("it heals", |world| conditions(world)[0]["reason"] == "Starting").await;
}

#[tokio::test(start_paused = true)]
async fn a_memorys_tag_that_another_tenant_has() {
    let world = World::at_rest().await;
    let tag = world.api.get("Tenant", NAMESPACE, "acme").unwrap()["status"]["containerTag"].clone();
    let with_tag = |name: &str| {
        let mut tenant = tenant(name, "desk");
        tenant["spec"]["containerTag"] = tag.clone();
        tenant
    };
    world.api.create("elsewhere", harness("desk"));
    let of = |world: &World, namespace: &str, name: &str| {
        let ready = world.api.get("Tenant", namespace, name).unwrap()["status"]["conditions"][0].clone();
        (ready["reason"].clone(), ready["message"].as_str().unwrap_or_default().to_owned())
    };
    for (namespace, name) in [(NAMESPACE, "sibling"), ("elsewhere", "thief")] {
        world.api.create(namespace, with_tag(name));
        world.until("a conflict", |world| of(world, namespace, name).0 == "Conflict").await;
        let message = of(&world, namespace, name).1;
        assert!(
            message.contains("belongs to Tenant acme/acme; ") && message.ends_with("spec.containerTag"),
            "{message}"
        );
    }
    assert_eq!(world.is("Tenant", "acme", "Ready"), "True", "the older one is not disturbed");
    world.api.delete("Tenant", NAMESPACE, "sibling");
    world.api.delete("Tenant", NAMESPACE, "acme");
    world.until("it heals", |world| of(world, "elsewhere", "thief").0 == "Starting").await;
}

#[tokio::test(start_paused = true)]
async fn one_tenants_fault_does_not_touch_another() {
    let world = World::at_rest().await;
    world.rest().await;
    world.api.forget_requests();
    let before = world.conditions("Tenant", "acme");
    world.api.create(NAMESPACE, tenant("broken", "nowhere"));
    world.until("it is shown", |world| world.reason("Tenant", "broken", "Ready") == "HarnessNotFound").await;
    world.rest().await;
    assert_eq!(world.conditions("Tenant", "acme"), before);
    let foreign: Vec<_> = world.api.requests().into_iter().filter(|seen| seen.name != "broken").collect();
    assert_eq!(foreign, []);
}
