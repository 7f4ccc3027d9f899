//! The operator killed between any two of its writes: whoever starts next brings about the same end.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::StatusCode;
use kr8tiv_operator::sandbox::{Login, Probed};
use serde_json::{Value, json};

use crate::world::{NAMESPACE, World, agent, harness, tenant};

const KINDS: [&str; 10] = [
    "Tenant",
    "Harness",
    "Agent",
    "ServiceAccount",
    "PersistentVolumeClaim",
    "Service",
    "ConfigMap",
    "Secret",
    "StatefulSet",
    "Pod",
];

const ROTATE: &str = "kr8tiv.ai/rotate-sandbox-keys";
const KEYS: &str = "kr8tiv.ai/sandbox-keys";

/// From the `allowed`th write on, the API server takes nothing and answers nothing. Gives the number of writes so far.
fn cut_after(world: &World, allowed: usize) -> Arc<AtomicUsize> {
    let writes = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&writes);
    world.api.set_fault(move |seen| {
        let is_write = !["get", "list", "watch"].contains(&seen.verb) && seen.resource != "events";
        let so_far =
            if is_write { counted.fetch_add(1, Ordering::SeqCst) } else { counted.load(Ordering::SeqCst) };
        (so_far >= allowed && (is_write || so_far > allowed)).then_some(StatusCode::SERVICE_UNAVAILABLE)
    });
    writes
}

/// Every object, without what differs from one creation to the next.
fn end_state(world: &World) -> BTreeMap<String, Value> {
    let objects =
        KINDS.iter().flat_map(|kind| world.api.all(kind).into_iter().map(move |object| (kind, object)));
    let without_times = |mut object: Value| {
        for field in ["uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"] {
            object["metadata"].as_object_mut().unwrap().remove(field);
        }
        for condition in object["status"]["conditions"].as_array_mut().into_iter().flatten() {
            condition.as_object_mut().unwrap().remove("lastTransitionTime");
        }
        // The generations of a workload depend on how many steps led to it.
        if object["kind"] == "StatefulSet" || object["kind"] == "Pod" {
            object.as_object_mut().unwrap().remove("status");
            object["metadata"]["labels"].as_object_mut().unwrap().remove("controller-revision-hash");
        }
        // So do a sandbox's keys, and what stands for them.
        let is_of_sandbox = object["metadata"]["labels"]["app.kubernetes.io/component"] == "sandbox";
        if is_of_sandbox && object["kind"] == "StatefulSet" {
            object["metadata"]["annotations"].as_object_mut().unwrap().remove("kr8tiv.ai/applied-hash");
            let template = object.pointer_mut("/spec/template/metadata/annotations").unwrap();
            template.as_object_mut().unwrap().remove(KEYS);
        }
        if object["kind"] == "Pod"
            && let Some(annotations) = object["metadata"]["annotations"].as_object_mut()
        {
            annotations.remove(KEYS);
        }
        if object["kind"] == "Secret" {
            let keys: Vec<String> = object["data"].as_object().unwrap().keys().cloned().collect();
            object["data"] = json!(keys);
        }
        object
    };
    let named = objects.map(|(kind, object)| {
        let name = format!("{kind} {}", object["metadata"]["name"].as_str().unwrap());
        (name, without_times(object))
    });
    named.collect()
}

/// What Secrets hold, but for keys that are still to be rotated.
fn secrets(world: &World) -> Vec<Value> {
    let asked = |object: &Value| object["metadata"]["annotations"][ROTATE].clone();
    let tenant = world.api.get("Tenant", NAMESPACE, "acme").map_or(Value::Null, |tenant| asked(&tenant));
    let is_done =
        |secret: &Value| secret["metadata"]["name"] != "acme-sandbox-ssh" || asked(secret) == tenant;
    let secrets = world.api.all("Secret").into_iter().filter(is_done);
    secrets.map(|secret| secret["data"].clone()).collect()
}

/// Runs a part of a tenant's life with the operator killed after so many writes, and then `check`; gives the end, and how
/// many writes it takes when nobody is killed.
async fn live(
    allowed: usize,
    begin: impl AsyncFn(&mut World),
    change: impl Fn(&World),
    check: impl Fn(&World),
) -> (BTreeMap<String, Value>, usize) {
    let mut world = World::empty();
    world.api.create(NAMESPACE, harness("desk"));
    begin(&mut world).await;
    let writes = cut_after(&world, allowed);
    change(&world);
    world.rest().await;
    let before = secrets(&world);
    world.kill().await;
    world.api.clear_fault();
    world.start();
    world.until("it is applied", |world| world.is("Tenant", "acme", "Compiled") == "True").await;
    world.rest().await;
    check(&world);
    world.serve("acme", "10.0.0.9").await;
    world.rest().await;
    assert!(before.iter().all(|token| secrets(&world).contains(token)), "a token was minted twice");
    (end_state(&world), writes.load(Ordering::SeqCst))
}

/// A tenant that is applied is served.
async fn served(world: &mut World) {
    world.until("it is applied", |world| world.reason("Tenant", "acme", "Ready") == "Starting").await;
    world.serve("acme", "10.0.0.1").await;
}

/// Which keys the sandbox's template is of.
fn on_the_sandbox(world: &World) -> Value {
    let set = world.api.get("StatefulSet", NAMESPACE, "acme-sandbox").unwrap_or_default();
    set["spec"]["template"]["metadata"]["annotations"][KEYS].clone()
}

async fn sweep(name: &str, begin: impl AsyncFn(&mut World), change: impl Fn(&World), check: impl Fn(&World)) {
    let (expected, writes) = live(usize::MAX, &begin, &change, &check).await;
    assert!(writes >= 4, "{name}: {writes} writes are no sweep");
    for allowed in 0..writes {
        let (end, _) = live(allowed, &begin, &change, &check).await;
        assert_eq!(end, expected, "{name}: killed after {allowed} of {writes} writes");
    }
    println!("figure: {name}: killed after each of {writes} writes");
}

#[tokio::test(start_paused = true)]
async fn while_a_tenant_is_created() {
    let begin = async |world: &mut World| world.start();
    let change = |world: &World| {
        world.api.create(NAMESPACE, tenant("acme", "desk"));
        world.api.create(NAMESPACE, agent("support", "acme"));
    };
    sweep("creation", begin, change, |_| ()).await;
}

#[tokio::test(start_paused = true)]
async fn while_a_harness_and_an_agent_change() {
    let begin = async |world: &mut World| {
        world.api.create(NAMESPACE, tenant("acme", "desk"));
        world.api.create(NAMESPACE, agent("support", "acme"));
        world.start();
        served(world).await;
    };
    let change = |world: &World| {
        world.api.update("Harness", NAMESPACE, "desk", |harness| {
            harness["spec"]["soul"]["vibe"] = json!("bright");
        });
        world.api.delete("Agent", NAMESPACE, "support");
        world.api.create(NAMESPACE, agent("sales", "acme"));
        world.api.update("Tenant", NAMESPACE, "acme", |tenant| {
            tenant["spec"]["gateway"] = json!({"resources": {"requests": {"cpu": "1"}}});
        });
    };
    sweep("change", begin, change, |_| ()).await;
}

#[tokio::test(start_paused = true)]
async fn while_a_sandboxs_keys_are_rotated() {
    let first = RefCell::new(Value::Null);
    let begin = async |world: &mut World| {
        world.api.create(NAMESPACE, tenant("acme", "desk"));
        world.start();
        served(world).await;
        let mark = on_the_sandbox(world);
        let keys = mark.as_str().map(str::to_owned);
        let probed = Probed { login: Login::Ok, keys, at: None };
        world.watchdogs.change("10.0.0.1", |health| {
            health.sandboxes = [("acme-sandbox".to_owned(), probed)].into();
        });
        world.rest().await;
        first.replace(mark);
    };
    let change = |world: &World| {
        world.api.update("Tenant", NAMESPACE, "acme", |tenant| {
            tenant["metadata"]["annotations"][ROTATE] = json!("1");
        });
        world.api.update("Harness", NAMESPACE, "desk", |harness| {
            harness["spec"]["soul"]["vibe"] = json!("bright");
        });
    };
    // The end states are compared without the marks of the keys.
    sweep("rotation", begin, change, |world| {
        let gateway = world.api.get("Pod", NAMESPACE, "acme-gateway-0").unwrap();
        assert_eq!(gateway["metadata"]["annotations"][KEYS], on_the_sandbox(world), "its kubelet is told");
        assert_ne!(on_the_sandbox(world), *first.borrow(), "the sandbox has other keys");
    })
    .await;
}
