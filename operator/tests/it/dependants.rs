//! How a change spreads: from a Harness to its tenants, from tenants to their Agents and Harness.

use serde_json::json;

use crate::world::{NAMESPACE, World, agent, harness, tenant};

#[tokio::test(start_paused = true)]
async fn an_edit_of_a_harness_reaches_fifty_tenants() {
    const TENANTS: usize = 50;
    let mut world = World::empty();
    world.api.create(NAMESPACE, harness("desk"));
    let names: Vec<String> = (0..TENANTS).map(|number| format!("t{number}")).collect();
    for name in &names {
        world.api.create(NAMESPACE, tenant(name, "desk"));
    }
    world.start();
    let revision = |world: &World, name: &str| {
        world.api.get("Tenant", NAMESPACE, name).unwrap()["status"]["harness"]["revision"].clone()
    };
    world.until("all are applied", |world| names.iter().all(|name| revision(world, name).is_string())).await;
    world.rest().await;
    let old = revision(&world, "t0");
    world.api.forget_requests();
    world
        .api
        .update("Harness", NAMESPACE, "desk", |harness| harness["spec"]["soul"]["vibe"] = json!("bright"));
    world.until("all have the edit", |world| names.iter().all(|name| revision(world, name) != old)).await;
    world.rest().await;
    let requests = world.api.requests();
    let count = |resource: &str| requests.iter().filter(|seen| seen.resource == resource).count();
    // The workspace and, with its hash, the configuration.
    assert_eq!(count("configmaps"), 2 * TENANTS);
    assert_eq!(count("tenants/status"), TENANTS);
    assert_eq!(count("statefulsets"), 0);
    let harness = world.api.get("Harness", NAMESPACE, "desk").unwrap();
    assert_eq!(harness["status"]["revision"], revision(&world, "t0"));
    assert_eq!(harness["status"]["tenants"], json!({"total": TENANTS, "ready": 0, "failed": 0}));
    assert!(count("harnesses/status") <= 5, "{} writes", count("harnesses/status"));
}

#[tokio::test(start_paused = true)]
async fn a_harness_tells_how_its_tenants_fare() {
    let world = World::at_rest().await;
    world.until("it is ready", |world| world.is("Harness", "desk", "Ready") == "True").await;
    let counts =
        |world: &World| world.api.get("Harness", NAMESPACE, "desk").unwrap()["status"]["tenants"].clone();
    assert_eq!(counts(&world), json!({"total": 1, "ready": 1, "failed": 0}));

    let mut broken = tenant("broken", "desk");
    broken["spec"]["gateway"] = json!({"version": "2020.1.1"});
    world.api.create(NAMESPACE, broken);
    world.until("it does not compile", |world| world.is("Harness", "desk", "Compiled") == "False").await;
    assert_eq!(counts(&world), json!({"total": 2, "ready": 1, "failed": 1}));
    assert_eq!(
        world.message("Harness", "desk", "Compiled"),
        "does not compile for Tenant broken; their condition Compiled says why"
    );
    assert_eq!(world.is("Harness", "desk", "Stalled"), "True");
    world.api.delete("Tenant", NAMESPACE, "broken");
    world.until("it is ready", |world| world.is("Harness", "desk", "Ready") == "True").await;
    world.api.delete("Tenant", NAMESPACE, "acme");
    let unused = "no Tenant uses the Harness";
    world.until("nobody uses it", |world| world.message("Harness", "desk", "Ready") == unused).await;
    assert_eq!(
        (world.is("Harness", "desk", "Ready"), world.is("Harness", "desk", "Compiled")),
        ("True".into(), "True".into())
    );
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_changes_its_harness_is_counted_at_the_new_one() {
    let world = World::at_rest().await;
    world.api.create(NAMESPACE, harness("other"));
    world.until("it is ready", |world| world.is("Harness", "other", "Ready") == "True").await;
    world
        .api
        .update("Tenant", NAMESPACE, "acme", |tenant| tenant["spec"]["harnessRef"]["name"] = json!("other"));
    let total = |world: &World, name: &str| {
        world.api.get("Harness", NAMESPACE, name).unwrap()["status"]["tenants"]["total"].clone()
    };
    world.until("it is counted", |world| total(world, "desk") == 0 && total(world, "other") == 1).await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_is_ready_with_its_tenant_and_lost_without() {
    let mut world = World::at_rest().await;
    world.api.create(NAMESPACE, agent("desk-agent", "acme"));
    world.until("it compiles", |world| world.is("Agent", "desk-agent", "Compiled") == "True").await;
    world.until("it is not ready yet", |world| world.is("Agent", "desk-agent", "Ready") == "False").await;
    // Another workspace is another volume: the Pod is replaced.
    world.serve("acme", "10.0.0.2").await;
    world.until("it is ready", |world| world.is("Agent", "desk-agent", "Ready") == "True").await;
    let status = world.api.get("Agent", NAMESPACE, "desk-agent").unwrap()["status"].clone();
    assert_eq!((&status["agentId"], &status["observedGeneration"]), (&json!("desk-agent"), &json!(1)));
    world.api.delete("Tenant", NAMESPACE, "acme");
    world
        .until("it is lost", |world| world.reason("Agent", "desk-agent", "Accepted") == "TenantNotFound")
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_of_a_tenant_that_fails_for_other_reasons_says_so() {
    let world = World::with_tenant().await;
    world.api.create(NAMESPACE, agent("innocent", "acme"));
    world.until("it compiles", |world| world.is("Agent", "innocent", "Compiled") == "True").await;
    world.api.delete("Harness", NAMESPACE, "desk");
    world
        .until("it does not", |world| world.reason("Agent", "innocent", "Compiled") == "TenantInvalid")
        .await;
    assert_eq!(
        world.message("Agent", "innocent", "Compiled"),
        "Tenant acme does not compile; its condition Compiled says why"
    );
}
