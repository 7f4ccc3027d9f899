//! What holds for every kind of object that a tenant has.

use kr8tiv_operator::child::ChildKind;
use serde_json::json;

use crate::world::{NAMESPACE, World};

/// Every object of a tenant, whatever its kind.
fn objects(world: &World) -> Vec<(&'static str, String)> {
    let kinds = ChildKind::ALL.map(ChildKind::as_str);
    let of_kind = |kind| world.api.names(kind, NAMESPACE).into_iter().map(move |name| (kind, name));
    kinds.into_iter().flat_map(of_kind).collect()
}

#[tokio::test(start_paused = true)]
async fn whatever_the_kind_what_is_ours_is_put_back_and_what_is_not_is_left_alone() {
    let world = World::at_rest().await;
    world.api.update("Tenant", NAMESPACE, "acme", |tenant| {
        tenant["spec"]["gateway"] = json!({"ingress": {"host": "acme.example.com"}});
    });
    world.rest().await;
    let all = objects(&world);
    for kind in ChildKind::ALL {
        assert!(all.iter().any(|(found, _)| *found == kind.as_str()), "there is no {kind:?} to look at");
    }
    for (kind, name) in &all {
        let before = world.api.get(kind, NAMESPACE, name).unwrap();
        world.api.update(kind, NAMESPACE, name, |object| {
            object["metadata"]["labels"]["app.kubernetes.io/component"] = json!("other");
            object["metadata"]["labels"]["example.com/team"] = json!("blue");
            object["metadata"]["annotations"]["example.com/note"] = json!("theirs");
        });
        world
            .until(&format!("{kind} {name} is put back"), |world| {
                let labels = &world.api.get(kind, NAMESPACE, name).unwrap()["metadata"]["labels"];
                labels["app.kubernetes.io/component"]
                    == before["metadata"]["labels"]["app.kubernetes.io/component"]
            })
            .await;
        let after = world.api.get(kind, NAMESPACE, name).unwrap();
        assert_eq!(after["metadata"]["labels"]["example.com/team"], "blue", "{kind} {name}");
        assert_eq!(after["metadata"]["annotations"]["example.com/note"], "theirs", "{kind} {name}");
        assert_eq!(after["spec"], before["spec"], "{kind} {name}");

        world.api.delete(kind, NAMESPACE, name);
        world
            .until(&format!("{kind} {name} is made anew"), |world| {
                world.api.get(kind, NAMESPACE, name).is_some()
            })
            .await;
        let anew = world.api.get(kind, NAMESPACE, name).unwrap();
        assert_ne!(anew["metadata"]["uid"], before["metadata"]["uid"], "{kind} {name}");
        assert_eq!(anew["spec"], before["spec"], "{kind} {name}");
    }
    world.rest().await;
    world.api.forget_requests();
    world.rest().await;
    assert_eq!(world.api.requests(), [], "and then it is at rest");
}

#[tokio::test(start_paused = true)]
async fn an_ingress_comes_and_goes_as_the_tenant_wants_it() {
    let world = World::at_rest().await;
    let ingresses = |world: &World| world.api.names("Ingress", NAMESPACE);
    assert_eq!(ingresses(&world), [""; 0]);
    world.api.update("Tenant", NAMESPACE, "acme", |tenant| {
        tenant["spec"]["gateway"] = json!({"ingress": {"host": "acme.example.com"}});
    });
    world.until("it is there", |world| !ingresses(world).is_empty()).await;
    let ingress = world.api.get("Ingress", NAMESPACE, "acme-gateway").unwrap();
    assert_eq!(ingress["spec"]["rules"][0]["host"], "acme.example.com");
    world.rest().await;
    // What its controller writes is no reason to write.
    world.api.forget_requests();
    world.api.update("Ingress", NAMESPACE, "acme-gateway", |ingress| {
        ingress["status"] = json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}});
    });
    world.api.update("PodDisruptionBudget", NAMESPACE, "acme-gateway", |budget| {
        budget["status"] = json!({"disruptionsAllowed": 1});
    });
    world.rest().await;
    assert_eq!(world.api.requests(), []);
    // What somebody else adds stays; what is the operator's is put back, also where it changes no generation.
    world.api.update("Tenant", NAMESPACE, "acme", |tenant| {
        tenant["spec"]["gateway"]["ingress"]["annotations"] = json!({"example.com/allow": "10.0.0.0/8"});
    });
    let allowed = |world: &World| {
        let ingress = world.api.get("Ingress", NAMESPACE, "acme-gateway").unwrap();
        ingress["metadata"]["annotations"]["example.com/allow"].clone()
    };
    world.until("it is annotated", |world| allowed(world) == "10.0.0.0/8").await;
    world.api.update("Ingress", NAMESPACE, "acme-gateway", |ingress| {
        let annotations = &mut ingress["metadata"]["annotations"];
        annotations["example.com/allow"] = json!("0.0.0.0/0");
        annotations["example.com/theirs"] = json!("x");
    });
    world.until("it is put back", |world| allowed(world) == "10.0.0.0/8").await;
    let ingress = world.api.get("Ingress", NAMESPACE, "acme-gateway").unwrap();
    assert_eq!(ingress["metadata"]["annotations"]["example.com/theirs"], "x");
    world.api.update("Tenant", NAMESPACE, "acme", |tenant| tenant["spec"]["gateway"] = json!({}));
    world.until("it is gone", |world| ingresses(world).is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn a_policy_goes_when_the_tenant_wants_none_and_comes_back() {
    let world = World::at_rest().await;
    let policies = |world: &World| world.api.names("NetworkPolicy", NAMESPACE);
    assert_eq!(policies(&world), ["acme-gateway", "acme-sandbox"]);
    let set = |enabled: bool| {
        world.api.update("Tenant", NAMESPACE, "acme", |tenant| {
            tenant["spec"]["network"] = json!({"enabled": enabled});
        });
    };
    set(false);
    world.until("the gateway's is gone", |world| policies(world) == ["acme-sandbox"]).await;
    set(true);
    world.until("it is back", |world| policies(world).len() == 2).await;
}
