//! Memory over the life of a tenant: restarts of the operator, suspension, other wishes, and the seed that is put in.

use std::io;
use std::sync::Arc;
use std::thread::{self, ThreadId};

use kr8tiv_supermemory::stub::Fault;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::memory::{TAG, at_rest, context, memory, memory_harness, memory_tenant, remembering};
use crate::world::{MEMORY_KEY, NAMESPACE, World, harness};

fn status(world: &World) -> Value {
    world.api.get("Tenant", NAMESPACE, "acme").unwrap()["status"]["memory"].clone()
}

#[tokio::test(start_paused = true)]
async fn a_restart_of_the_operator_takes_no_context_away() {
    let mut world = at_rest(memory_harness()).await;
    world.rest().await;
    let before = world.api.get("ConfigMap", NAMESPACE, "acme-workspace.main");
    let tenant = world.api.get("Tenant", NAMESPACE, "acme");
    for fault in [None, Some(Fault::Refuse)] {
        world.stop().await.unwrap();
        world.memory.set_fault(fault);
        world.api.forget_requests();
        let passes = world.passes();
        world.start();
        world.until("a pass", |world| world.passes() > passes).await;
        tokio::time::sleep(std::time::Duration::from_secs(20)).await;
        let requests = world.api.requests();
        let read = requests.iter().filter(|seen| seen.resource == "configmaps");
        let read: Vec<_> = read.map(|seen| (seen.verb, seen.name.as_str())).collect();
        let price = [("get", "acme-workspace.main"), ("get", "acme-gateway-config")];
        assert_eq!(read, price, "the whole price of a restart");
        assert!(requests.iter().all(|seen| seen.verb == "get"), "{requests:?}");
        assert_eq!(world.api.get("ConfigMap", NAMESPACE, "acme-workspace.main"), before);
        assert_eq!(world.api.get("Tenant", NAMESPACE, "acme"), tenant);
    }
    world.until("the outage is told", |world| memory(world) == "Unreachable").await;
    assert_eq!(
        (context(&world), world.is("Tenant", "acme", "Ready")),
        (vec!["likes tea".into()], "True".into())
    );
}

#[tokio::test(start_paused = true)]
async fn context_that_can_not_be_read_back_is_not_taken_for_none() {
    let mut world = at_rest(memory_harness()).await;
    world.stop().await.unwrap();
    world.memory.set_fault(Some(Fault::Refuse));
    world.api.set_fault(|seen| {
        let hit = seen.verb == "get" && seen.resource == "configmaps";
        hit.then_some(http::StatusCode::SERVICE_UNAVAILABLE)
    });
    world.start();
    world.rest().await;
    assert_eq!(context(&world), ["likes tea"]);
    world.api.clear_fault();
    world.until("it heals", |world| world.is("Tenant", "acme", "Ready") == "True").await;
    assert_eq!(context(&world), ["likes tea"]);
}

#[tokio::test(start_paused = true)]
async fn tenants_without_memory_cost_nothing_and_say_nothing() {
    let mut world = World::at_rest().await;
    assert_eq!(world.is("Tenant", "acme", "MemoryHealthy"), "absent");
    world.stop().await.unwrap();
    world.api.forget_requests();
    world.start();
    world.rest().await;
    assert!(world.api.requests().iter().all(|seen| seen.resource != "configmaps"));
    assert_eq!((world.memory.requests(), status(&world)), (vec![], Value::Null));
}

#[tokio::test(start_paused = true)]
async fn a_harness_that_has_no_use_for_a_key_is_told_of() {
    let world = at_rest(memory_harness()).await;
    world.api.update("Harness", NAMESPACE, "desk", |desk| desk["spec"] = harness("desk")["spec"].clone());
    world.until("it is told", |world| memory(world) == "Disabled").await;
    assert_eq!((world.is("Tenant", "acme", "MemoryHealthy"), context(&world).len()), ("Unknown".into(), 0));
    world.memory.forget_requests();
    world.rest().await;
    assert_eq!(world.memory.requests(), []);
    world.api.update("Tenant", NAMESPACE, "acme", |tenant| {
        tenant["spec"].as_object_mut().unwrap().remove("supermemory");
    });
    world.until("there is nothing to say", |world| memory(world).is_empty()).await;
    world.api.update("Tenant", NAMESPACE, "acme", |tenant| tenant["spec"] = memory_tenant()["spec"].clone());
    world.api.update("Harness", NAMESPACE, "desk", |desk| desk["spec"] = memory_harness()["spec"].clone());
    world.until("it is back", |world| memory(world) == "Succeeded" && context(world) == ["likes tea"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_suspended_tenant_is_not_fetched_for_and_keeps_its_context() {
    let world = at_rest(memory_harness()).await;
    let suspend = |world: &World, suspend: bool| {
        world.api.update("Tenant", NAMESPACE, "acme", |tenant| tenant["spec"]["suspend"] = json!(suspend));
    };
    suspend(&world, true);
    world.until("it is", |world| world.reason("Tenant", "acme", "Ready") == "Suspended").await;
    world.memory.forget_requests();
    world.rest().await;
    assert_eq!((world.memory.requests(), context(&world)), (vec![], vec!["likes tea".into()]));
    suspend(&world, false);
    world.memory.remember(TAG, "is back", 0.8);
    world.until("it goes on", |world| context(world) == ["likes tea", "is back"]).await;
}

/// Has the Harness name another start of tags, and waits until its tenant has seen that.
async fn rename(world: &World) {
    let revision = |world: &World| {
        let tenant = world.api.get("Tenant", NAMESPACE, "acme").unwrap();
        tenant["status"]["harness"]["revision"].clone()
    };
    let before = revision(world);
    world.api.update("Harness", NAMESPACE, "desk", |desk| {
        desk["spec"]["supermemory"]["containerTagPrefix"] = json!("other");
    });
    world.until("it is seen", |world| revision(world) != before).await;
}

#[tokio::test(start_paused = true)]
async fn a_tag_stays_whatever_becomes_of_its_prefix() {
    for restarts in [false, true] {
        let mut world = at_rest(memory_harness()).await;
        world.rest().await;
        if restarts {
            world.stop().await.unwrap();
            world.start();
        }
        world.memory.remember("other-acme-0a1b2c3d", "of the other tag", 0.9);
        world.memory.forget_requests();
        world.api.forget_requests();
        rename(&world).await;
        for _ in 0..2 {
            world.rest().await;
        }
        assert_eq!(world.api.get("Tenant", NAMESPACE, "acme").unwrap()["status"]["containerTag"], TAG);
        let asked = world.memory.requests();
        assert!(!asked.is_empty() && asked.iter().all(|seen| seen.body["containerTag"] == TAG), "{asked:?}");
        assert_eq!(context(&world), ["likes tea"]);
        let patches = world.api.requests().into_iter().filter(|seen| seen.verb == "patch");
        let others: Vec<_> = patches.filter(|seen| !seen.resource.ends_with("/status")).collect();
        assert_eq!(others, [], "nothing of it reaches the gateway");
    }
}

/// Has the Harness name another service, which does not answer.
fn move_away(world: &World) {
    world.memory.set_fault(Some(Fault::Refuse));
    world.api.update("Harness", NAMESPACE, "desk", |desk| {
        desk["spec"]["supermemory"]["baseUrl"] = json!("https://memory.example.com");
    });
}

#[tokio::test(start_paused = true)]
async fn what_was_found_elsewhere_does_not_stay_while_a_tenant_is_suspended() {
    for restarts in [false, true] {
        let mut world = at_rest(memory_harness()).await;
        let suspend = |world: &World, suspend: bool| {
            world
                .api
                .update("Tenant", NAMESPACE, "acme", |tenant| tenant["spec"]["suspend"] = json!(suspend));
        };
        suspend(&world, true);
        world.until("it is", |world| world.reason("Tenant", "acme", "Ready") == "Suspended").await;
        move_away(&world);
        world.until("it is gone", |world| context(world).is_empty()).await;
        world.until("it is told", |world| memory(world) == "Starting").await;
        if restarts {
            world.stop().await.unwrap();
            world.start();
        }
        suspend(&world, false);
        world.until("it goes on", |world| memory(world) == "Unreachable").await;
        assert_eq!(context(&world), [""; 0]);
        world.memory.set_fault(None);
        world.until("it is looked up", |world| context(world) == ["likes tea"]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_found_elsewhere_does_not_stay_over_a_restart() {
    type Change = fn(&World);
    let changes: [Change; 2] = [move_away, |world| {
        world.api.update("Tenant", NAMESPACE, "acme", |tenant| {
            tenant["spec"].as_object_mut().unwrap().remove("supermemory");
        });
    }];
    for change in changes {
        let mut world = at_rest(memory_harness()).await;
        world.stop().await.unwrap();
        change(&world);
        world.start();
        world.until("it is gone", |world| context(world).is_empty()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_harness_that_changes_elsewhere_takes_no_context_away_over_a_restart() {
    let mut world = at_rest(memory_harness()).await;
    world.stop().await.unwrap();
    world.memory.set_fault(Some(Fault::Refuse));
    world.api.update("Harness", NAMESPACE, "desk", |desk| {
        desk["spec"]["soul"]["vibe"] = json!("bright");
        desk["spec"]["supermemory"]["topK"] = json!(5);
        desk["spec"]["supermemory"]["containerTagPrefix"] = json!("other");
        desk["spec"]["supermemory"]["queries"] = json!(["open tasks"]);
    });
    world.start();
    world.until("the outage is told", |world| memory(world) == "Unreachable").await;
    assert_eq!(context(&world), ["likes tea"]);
}

#[tokio::test(start_paused = true)]
async fn without_a_query_there_is_no_context() {
    let world = at_rest(memory_harness()).await;
    let ask = |queries: Value| {
        let set = |desk: &mut Value| desk["spec"]["supermemory"]["queries"] = queries;
        world.api.update("Harness", NAMESPACE, "desk", set);
    };
    ask(json!([]));
    world.until("it is gone", |world| context(world).is_empty() && memory(world) == "Disabled").await;
    world.rest().await;
    assert_eq!(context(&world), [""; 0]);
    ask(json!(["preferences"]));
    world.until("it is back", |world| context(world) == ["likes tea"]).await;
}

/// A harness with a seed.
fn seeded(seed: &str, changes: impl FnOnce(&mut Value)) -> Value {
    let mut harness = memory_harness();
    harness["spec"]["workspace"] = json!({"memorySeed": seed});
    changes(&mut harness["spec"]);
    harness
}

#[tokio::test(start_paused = true)]
async fn a_memory_seed_is_put_in_once() {
    let mut world = at_rest(seeded("Opened in 1999.", |_| ())).await;
    world.until("it is noted", |world| status(world)["ingested"].is_string()).await;
    let id = status(&world)["ingested"].as_str().unwrap().to_owned();
    assert!(id.starts_with("acme-0a1b2c3d-"), "{id}");
    let document = |content: &str, id: &str| {
        json!({
            "content": content, "containerTag": TAG, "customId": id,
            "metadata": {"namespace": "kr8tiv", "source": "memorySeed", "tenantId": "acme-0a1b2c3d"}
        })
    };
    let key = |id: &str| (TAG.to_owned(), id.to_owned());
    assert_eq!(world.memory.documents()[&key(&id)], document("Opened in 1999.", &id));

    let added = |world: &World| {
        world.memory.requests().iter().filter(|seen| seen.call == "POST /v3/documents").count()
    };
    assert_eq!(added(&world), 1);
    world.rest().await;
    world.stop().await.unwrap();
    world.start();
    world.rest().await;
    assert_eq!(added(&world), 1, "a restart repeats nothing");

    world.api.update("Harness", NAMESPACE, "desk", |desk| {
        desk["spec"]["workspace"]["memorySeed"] = json!("Opened in 2000.");
    });
    world.until("the new one is in", |world| status(world)["ingested"] != id.as_str()).await;
    assert_eq!((added(&world), world.memory.documents().len()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_memory_seed_is_put_into_another_memory_too() {
    let world = at_rest(seeded("Opened in 1999.", |_| ())).await;
    world.until("it is noted", |world| status(world)["ingested"].is_string()).await;
    let added = |world: &World| {
        let requests = world.memory.requests();
        let added = requests.iter().filter(|seen| seen.call == "POST /v3/documents");
        added.map(|seen| seen.body["containerTag"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    rename(&world).await;
    world.rest().await;
    assert_eq!(added(&world), [TAG], "it is the same memory");
    world.api.update("Harness", NAMESPACE, "desk", |desk| {
        desk["spec"]["supermemory"]["baseUrl"] = json!("https://memory.example.com");
    });
    world.until("it is in there too", |world| added(world).len() > 1).await;
    world.rest().await;
    assert_eq!(added(&world), [TAG, TAG], "and once each");
}

#[tokio::test(start_paused = true)]
async fn a_seed_that_is_not_taken_is_tried_again_and_keeps_no_context_away() {
    let world = remembering(seeded("Opened in 1999.", |_| ()));
    world.memory.fail_once(Fault::Status(402, None));
    world.until("it is looked up", |world| context(world) == ["likes tea"]).await;
    world.until("it is told", |world| memory(world) == "QuotaExceeded").await;
    world.until("it heals", |world| memory(world) == "Succeeded").await;
    assert_eq!(world.memory.documents().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn ingestion_can_be_switched_off() {
    let off = |spec: &mut Value| spec["memoryIngestion"] = json!({"enabled": false});
    let world = at_rest(seeded("Opened in 1999.", off)).await;
    world.rest().await;
    assert!(world.memory.documents().is_empty() && status(&world)["ingested"].is_null());
}

/// Logs of everything that the operator does in one thread: each test has its own.
#[derive(Clone)]
struct Logs(ThreadId, Arc<Mutex<Vec<u8>>>);

impl io::Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if thread::current().id() == self.0 {
            self.1.lock().extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn the_key_and_what_a_service_says_appear_nowhere() {
    let logs = Logs(thread::current().id(), Arc::default());
    let writer = logs.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter("info,kr8tiv_operator=trace,kr8tiv_supermemory=trace,kube=debug")
        .with_writer(move || writer.clone())
        .finish();
    // For the whole process: one of a thread is not told of events that other threads have met before.
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let world = at_rest(seeded("Opened in 1999.", |_| ())).await;
    for fault in [Fault::Status(401, None), Fault::Garbage, Fault::Nonsense, Fault::Cut, Fault::Redirect] {
        world.memory.set_fault(Some(fault));
        world.rest().await;
    }
    let encoded = "c20tY2FuYXJ5LTAxMjM0NTY3ODk";
    let logs = String::from_utf8_lossy(&logs.1.lock()).into_owned();
    assert!(logs.contains("no context fetched"), "there is something to look at");
    let mut told = vec![logs];
    for kind in ["Tenant", "Harness", "Agent", "ConfigMap", "StatefulSet", "Service", "Pod"] {
        told.extend(world.api.all(kind).iter().map(Value::to_string));
    }
    for text in told {
        for secret in [MEMORY_KEY, encoded, "canary"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}
