//! What is applied, when, and what it costs.

use std::collections::BTreeMap;

use hyper::StatusCode;
use serde_json::json;

use crate::world::{NAMESPACE, World, agent, harness, tenant};

fn counted(world: &World) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for seen in world.api.requests() {
        *counts.entry(format!("{} {}", seen.verb, seen.resource)).or_default() += 1;
    }
    counts
}

fn counts(expected: &[(&str, usize)]) -> BTreeMap<String, usize> {
    expected.iter().map(|(what, count)| ((*what).to_owned(), *count)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_new_tenant_costs_one_write_per_object() {
    let mut world = World::empty();
    world.api.create(NAMESPACE, harness("desk"));
    world.start();
    world.until("the Harness is ready", |world| world.is("Harness", "desk", "Ready") == "True").await;
    world.api.forget_requests();
    world.api.create(NAMESPACE, tenant("acme", "desk"));
    world.until("it is applied", |world| world.reason("Tenant", "acme", "Ready") == "Starting").await;
    world.rest().await;
    let expected = counts(&[
        ("create secrets", 2),
        ("patch serviceaccounts", 1),
        ("patch persistentvolumeclaims", 1),
        ("patch networkpolicies", 2),
        ("patch services", 2),
        ("patch poddisruptionbudgets", 1),
        ("patch configmaps", 2),
        ("patch statefulsets", 2),
        ("patch tenants/status", 1),
        ("patch harnesses/status", 1),
    ]);
    assert_eq!(counted(&world), expected);
    let order: Vec<String> = world
        .api
        .requests()
        .into_iter()
        .filter(|seen| ["patch", "create"].contains(&seen.verb) && !seen.resource.contains('/'))
        .map(|seen| seen.resource)
        .collect();
    let planned = [
        "secrets",
        "secrets",
        "serviceaccounts",
        "networkpolicies",
        "persistentvolumeclaims",
        "services",
        "poddisruptionbudgets",
        "configmaps",
        "configmaps",
        "statefulsets",
        "networkpolicies",
        "services",
        "statefulsets",
    ];
    assert_eq!(order, planned, "what is mounted comes before what mounts it");
}

#[tokio::test(start_paused = true)]
async fn point_16_a_pass_over_a_tenant_at_rest_makes_no_request() {
    let world = World::at_rest().await;
    world.rest().await;
    world.api.forget_requests();
    world.force_pass("acme", "now").await;
    world.rest().await;
    assert_eq!(world.api.requests(), []);
}

#[tokio::test(start_paused = true)]
async fn a_restart_writes_nothing_and_looks_once_for_each_secret() {
    let mut world = World::at_rest().await;
    world.api.create(NAMESPACE, agent("main", "acme"));
    world.rest().await;
    world.serve("acme", "10.0.0.2").await;
    world.until("the Agent is served", |world| world.is("Agent", "main", "Ready") == "True").await;
    world.rest().await;
    let before = (
        world.conditions("Tenant", "acme"),
        world.conditions("Agent", "main"),
        world.conditions("Harness", "desk"),
    );
    world.stop().await.unwrap();
    world.api.forget_requests();
    let passes = world.passes();
    world.start();
    world.until("a pass", |world| world.passes() > passes).await;
    world.rest().await;
    assert_eq!(counted(&world), counts(&[("get secrets", 2)]));
    let after = (
        world.conditions("Tenant", "acme"),
        world.conditions("Agent", "main"),
        world.conditions("Harness", "desk"),
    );
    assert_eq!(after, before);
}

#[tokio::test(start_paused = true)]
async fn what_somebody_changes_by_hand_is_put_back() {
    let world = World::at_rest().await;
    world.rest().await;
    let config = world.api.get("ConfigMap", NAMESPACE, "acme-gateway-config").unwrap();
    world.api.update("ConfigMap", NAMESPACE, "acme-gateway-config", |map| {
        map["data"]["openclaw.json"] = json!("{}");
    });
    world
        .until("the configuration is put back", |world| {
            world.api.get("ConfigMap", NAMESPACE, "acme-gateway-config").unwrap()["data"] == config["data"]
        })
        .await;

    world.api.update("Service", NAMESPACE, "acme-gateway", |service| {
        service["metadata"]["labels"]["kr8tiv.ai/tenant-id"] = json!("other-00000000");
    });
    let id = world.api.get("Tenant", NAMESPACE, "acme").unwrap()["status"]["tenantId"].clone();
    world
        .until("the label is put back", |world| {
            world.api.get("Service", NAMESPACE, "acme-gateway").unwrap()["metadata"]["labels"]["kr8tiv.ai/tenant-id"] == id
        })
        .await;

    world.api.update("StatefulSet", NAMESPACE, "acme-gateway", |set| set["spec"]["replicas"] = json!(0));
    world
        .until("the gateway is started again", |world| {
            world.api.get("StatefulSet", NAMESPACE, "acme-gateway").unwrap()["spec"]["replicas"] == 1
        })
        .await;

    world.api.delete("ServiceAccount", NAMESPACE, "acme-gateway");
    world
        .until("the identity is made anew", |world| {
            world.api.get("ServiceAccount", NAMESPACE, "acme-gateway").is_some()
        })
        .await;

    world.api.update("ConfigMap", NAMESPACE, "acme-gateway-config", |map| {
        map["metadata"]["labels"].as_object_mut().unwrap().remove("app.kubernetes.io/managed-by");
    });
    world
        .until("our label is put back", |world| {
            let map = world.api.get("ConfigMap", NAMESPACE, "acme-gateway-config").unwrap();
            map["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "kr8tiv-operator"
        })
        .await;
    world.rest().await;
    world.api.forget_requests();
    world.rest().await;
    assert_eq!(world.api.requests(), [], "and then it is at rest");
}

#[tokio::test(start_paused = true)]
async fn a_foreign_label_costs_one_write_and_stays() {
    let world = World::at_rest().await;
    world.rest().await;
    world.api.forget_requests();
    world.api.update("ConfigMap", NAMESPACE, "acme-gateway-config", |map| {
        map["metadata"]["labels"]["team"] = json!("blue");
    });
    world.rest().await;
    assert_eq!(counted(&world), counts(&[("patch configmaps", 1)]));
    let map = world.api.get("ConfigMap", NAMESPACE, "acme-gateway-config").unwrap();
    assert_eq!(map["metadata"]["labels"]["team"], "blue");
}

#[tokio::test(start_paused = true)]
async fn the_workspace_of_a_removed_agent_goes() {
    let world = World::with_tenant().await;
    let mut first = agent("first", "acme");
    first["spec"]["default"] = json!(true);
    world.api.create(NAMESPACE, first);
    world.api.create(NAMESPACE, agent("second", "acme"));
    let maps = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let both = maps(&["acme-gateway-config", "acme-workspace.first", "acme-workspace.second"]);
    world.until("both workspaces", |world| world.api.names("ConfigMap", NAMESPACE) == both).await;
    world.api.delete("Agent", NAMESPACE, "second");
    let one = maps(&["acme-gateway-config", "acme-workspace.first"]);
    world.until("one workspace", |world| world.api.names("ConfigMap", NAMESPACE) == one).await;
}

#[tokio::test(start_paused = true)]
async fn point_25_what_is_gone_already_is_deleted_and_what_can_not_be_is_told() {
    const WORKSPACE: &str = "acme-workspace.support";
    let mut world = World::empty();
    world.api.create(NAMESPACE, harness("desk"));
    world.api.create(NAMESPACE, tenant("acme", "desk"));
    for name in ["desk", "support"] {
        world.api.create(NAMESPACE, agent(name, "acme"));
    }
    world.api.update("Agent", NAMESPACE, "desk", |agent| agent["spec"]["default"] = json!(true));
    world.start();
    world.until("it is applied", |world| world.reason("Tenant", "acme", "Ready") == "Starting").await;
    let deletes = |seen: &crate::fake::Seen| seen.verb == "delete" && seen.resource == "configmaps";

    world.api.set_fault(move |seen| deletes(seen).then_some(StatusCode::FORBIDDEN));
    world.api.delete("Agent", NAMESPACE, "support");
    world.until("it is told", |world| world.reason("Tenant", "acme", "Ready") == "ApplyFailed").await;
    assert!(world.message("Tenant", "acme", "Ready").contains(WORKSPACE), "the object is named");
    world.api.clear_fault();
    world.until("it is over", |world| world.reason("Tenant", "acme", "Ready") == "Starting").await;
    assert!(world.api.get("ConfigMap", NAMESPACE, WORKSPACE).is_none());

    world.api.create(NAMESPACE, agent("support", "acme"));
    world.until("it is back", |world| world.api.get("ConfigMap", NAMESPACE, WORKSPACE).is_some()).await;
    // Somebody was faster: the API server does not know it any more.
    world.api.set_fault(move |seen| deletes(seen).then_some(StatusCode::NOT_FOUND));
    world.api.delete("Agent", NAMESPACE, "support");
    world.rest().await;
    assert_eq!(world.reason("Tenant", "acme", "Ready"), "Starting", "nothing to tell");
    world.api.clear_fault();

    // Whoever deletes the Tenant waits for nobody: it has no finalizer.
    let tenant = world.api.get("Tenant", NAMESPACE, "acme").unwrap();
    assert!(tenant["metadata"]["finalizers"].is_null());
    world.api.delete("Tenant", NAMESPACE, "acme");
    world.rest().await;
    assert_eq!(world.is("Agent", "desk", "Ready"), "False");
}

#[tokio::test(start_paused = true)]
async fn an_object_of_somebody_else_is_not_taken_over() {
    let mut world = World::empty();
    let theirs = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "acme-gateway-config"},
        "data": {"theirs": "x"}
    });
    world.api.create(NAMESPACE, theirs);
    let before = world.api.get("ConfigMap", NAMESPACE, "acme-gateway-config");
    world.api.create(NAMESPACE, harness("desk"));
    world.api.create(NAMESPACE, tenant("acme", "desk"));
    world.start();
    world.until("a conflict", |world| world.reason("Tenant", "acme", "Ready") == "Conflict").await;
    world.rest().await;
    assert_eq!(world.api.get("ConfigMap", NAMESPACE, "acme-gateway-config"), before);
    let message = world.message("Tenant", "acme", "Ready");
    assert!(
        message.starts_with("ConfigMap acme-gateway-config exists and was not made by the operator"),
        "{message}"
    );
    assert_eq!(world.is("Tenant", "acme", "Stalled"), "True");
    assert_eq!(world.api.names("StatefulSet", NAMESPACE), Vec::<String>::new());
    world.api.delete("ConfigMap", NAMESPACE, "acme-gateway-config");
    world.until("it heals", |world| world.reason("Tenant", "acme", "Ready") == "Starting").await;
}

/// An apply that is refused as invalid is made good by a patch of another manager, which must own nothing afterwards,
/// also when somebody else writes while it gives that up.
#[tokio::test(start_paused = true)]
async fn a_repair_leaves_no_owner_and_hides_no_change() {
    let world = World::at_rest().await;
    world.rest().await;
    let patches = std::sync::atomic::AtomicUsize::new(0);
    world.api.set_fault(move |seen| {
        if (seen.verb, &*seen.resource) != ("patch", "services") {
            return None;
        }
        // Apply, repair, apply, give up, and once more.
        match patches.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => Some(http::StatusCode::UNPROCESSABLE_ENTITY),
            3 => Some(http::StatusCode::CONFLICT),
            _ => None,
        }
    });
    world.api.forget_requests();
    world.api.update("Service", NAMESPACE, "acme-gateway", |service| {
        service["spec"]["selector"] = json!({"somebody": "elses"});
    });
    let service = |world: &World| world.api.get("Service", NAMESPACE, "acme-gateway").unwrap();
    let patches = |world: &World| {
        let seen = world.api.requests();
        seen.iter().filter(|seen| (seen.verb, &*seen.resource) == ("patch", "services")).count()
    };
    // The conflict stands for a change, so that it is applied once more.
    world.until("it is applied again", |world| patches(world) == 6).await;
    world.rest().await;
    assert_eq!(patches(&world), 6);
    assert_eq!(service(&world)["spec"]["selector"]["app.kubernetes.io/instance"], "acme");
    let owners = service(&world)["metadata"]["managedFields"].to_string();
    assert!(!owners.contains("repair"), "{owners}");
}

#[tokio::test(start_paused = true)]
async fn a_volume_stays_or_goes_with_its_tenant_as_the_policy_says() {
    let world = World::with_tenant().await;
    let claims = world.api.names("PersistentVolumeClaim", NAMESPACE);
    let owners = |world: &World| {
        let claim = world.api.get("PersistentVolumeClaim", NAMESPACE, &claims[0]).unwrap();
        claim["metadata"]["ownerReferences"].as_array().map_or(0, Vec::len)
    };
    assert_eq!(owners(&world), 0);
    let set_policy = |policy: &str| {
        world
            .api
            .update("Tenant", NAMESPACE, "acme", |tenant| tenant["spec"]["deletionPolicy"] = json!(policy));
    };
    set_policy("Delete");
    world.until("the Tenant owns the volume", |world| owners(world) == 1).await;
    set_policy("Retain");
    world.until("nobody owns the volume", |world| owners(world) == 0).await;
    world.api.delete("Tenant", NAMESPACE, "acme");
    world.rest().await;
    assert_eq!(world.api.names("PersistentVolumeClaim", NAMESPACE), claims);
    for kind in ["ServiceAccount", "Service", "ConfigMap", "StatefulSet", "Secret"] {
        assert_eq!(world.api.names(kind, NAMESPACE), Vec::<String>::new(), "{kind}");
    }

    // Its gateway still finishes its turns.
    let id = claims[0].strip_suffix("-state").unwrap();
    let labels = json!({
        "app.kubernetes.io/managed-by": "kr8tiv-operator", "kr8tiv.ai/tenant": "acme", "kr8tiv.ai/tenant-id": id
    });
    let pod =
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "acme-gateway-0", "labels": labels}});
    world.api.create(NAMESPACE, pod);
    let mut heir = tenant("heir", "desk");
    heir["spec"]["tenantId"] = json!(id);
    world.api.create(NAMESPACE, heir);
    world
        .until("the heir waits", |world| {
            world.message("Tenant", "heir", "Ready").contains("Pod acme-gateway-0")
        })
        .await;
    assert_eq!(world.api.names("StatefulSet", NAMESPACE), [""; 0]);
    world.api.delete("Pod", NAMESPACE, "acme-gateway-0");
    world.until("its gateway starts", |world| !world.api.names("StatefulSet", NAMESPACE).is_empty()).await;
    world.until("the heir is applied", |world| world.reason("Tenant", "heir", "Ready") == "Starting").await;
    assert_eq!(world.api.names("PersistentVolumeClaim", NAMESPACE), claims);
    let claim = world.api.get("PersistentVolumeClaim", NAMESPACE, &claims[0]).unwrap();
    assert_eq!(claim["metadata"]["labels"]["kr8tiv.ai/tenant"], "heir");
}

#[tokio::test(start_paused = true)]
async fn a_tenant_made_anew_under_its_name_gets_everything_anew() {
    let world = World::at_rest().await;
    let uid = world.api.get("StatefulSet", NAMESPACE, "acme-gateway").unwrap()["metadata"]["uid"].clone();
    let token = world.api.get("Secret", NAMESPACE, "acme-gateway-token").unwrap()["metadata"]["uid"].clone();
    world.api.delete("Tenant", NAMESPACE, "acme");
    world.api.create(NAMESPACE, tenant("acme", "desk"));
    world.until("it is applied", |world| world.reason("Tenant", "acme", "Ready") == "Starting").await;
    assert_ne!(world.api.get("StatefulSet", NAMESPACE, "acme-gateway").unwrap()["metadata"]["uid"], uid);
    assert_ne!(world.api.get("Secret", NAMESPACE, "acme-gateway-token").unwrap()["metadata"]["uid"], token);
    assert_eq!(
        world.api.names("PersistentVolumeClaim", NAMESPACE).len(),
        2,
        "the old volume is not the new tenant's"
    );
}

#[tokio::test(start_paused = true)]
async fn the_token_is_made_once_and_is_nobody_elses() {
    let world = World::with_tenant().await;
    let token = world.api.get("Secret", NAMESPACE, "acme-gateway-token").unwrap();
    let keys: Vec<_> = token["data"].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["statusToken", "token"]);
    assert_ne!(token["data"]["token"], "");
    assert_eq!(token["metadata"]["ownerReferences"][0]["kind"], "Tenant");
    assert_eq!(token["metadata"]["labels"]["app.kubernetes.io/managed-by"], "kr8tiv-operator");

    let theirs = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "globex-gateway-token"},
        "data": {"token": "dGhlaXJz"}
    });
    world.api.create(NAMESPACE, theirs);
    world.api.create(NAMESPACE, tenant("globex", "desk"));
    world.until("a conflict", |world| world.reason("Tenant", "globex", "Ready") == "Conflict").await;
    assert!(world.message("Tenant", "globex", "Ready").contains("Secret globex-gateway-token"));
    assert_eq!(
        world.api.get("Secret", NAMESPACE, "globex-gateway-token").unwrap()["data"]["token"],
        "dGhlaXJz"
    );
}

#[tokio::test(start_paused = true)]
async fn the_example_with_two_agents_is_applied_as_it_stands() {
    let mut world = World::empty();
    world.api.create_yaml(NAMESPACE, include_str!("../../../examples/two-agents.yaml"));
    world.start();
    world.until("it is applied", |world| world.reason("Tenant", "globex", "Ready") == "Starting").await;
    world.serve("globex", "10.0.0.1").await;
    for agent in ["desk", "platform"] {
        world.until("its agents are ready", |world| world.is("Agent", agent, "Ready") == "True").await;
    }
    assert_eq!(
        world.api.get("Tenant", NAMESPACE, "globex").unwrap()["status"]["agents"],
        json!({"desired": 2})
    );
}
