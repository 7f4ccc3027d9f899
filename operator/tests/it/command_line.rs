//! What `kr8tiv compile` writes is what the operator applies, and `kr8tiv diff` knows it.

use std::collections::BTreeMap;

use kr8tiv_cli::args::{PlatformArguments, TenantArguments};
use kr8tiv_cli::compile::{Compiled, compile};
use kr8tiv_cli::diff::{Change, Entry, cluster, with_cluster};
use kr8tiv_cli::input::{Source, judge, yaml};
use kr8tiv_compiler::{Effect, OperatorPods, Platform, PluginSource, manifests};
use serde_json::{Value, json};

use crate::world::{NAMESPACE, World, agent, harness, tenant};

#[tokio::test(start_paused = true)]
async fn the_command_line_writes_what_the_operator_applies() {
    let world = World::with_tenant().await;
    let mut desk = agent("desk", "acme");
    desk["spec"]["default"] = json!(true);
    world.api.create(NAMESPACE, desk);
    world.api.create(NAMESPACE, agent("platform", "acme"));
    let workspace = |world: &World| world.api.get("ConfigMap", NAMESPACE, "acme-workspace.platform");
    world.until("both agents are applied", |world| workspace(world).is_some()).await;
    world.rest().await;
    let applied: BTreeMap<_, Value> = world
        .api
        .applied_by(kr8tiv_operator::FIELD_MANAGER)
        .into_iter()
        .filter(|((plural, _, _), _)| {
            !["tenants", "harnesses", "agents", "secrets"].contains(&plural.as_str())
        })
        .collect();
    assert!(applied.len() >= 7, "{:?}", applied.keys());

    // The files are what `kubectl get -o yaml` would print.
    let objects = ["Harness", "Tenant", "Agent"].iter().flat_map(|kind| world.api.all(kind));
    let text = objects.map(|object| format!("---\n{object}\n")).collect();
    let source = Source { name: "cluster.yaml".into(), text, hidden: Vec::new() };
    let input = judge(vec![source], "default");
    assert_eq!(input.problems, []);
    let platform = Platform {
        gateway_repository: "gateway".into(),
        watchdog_image: "watchdog:1".into(),
        sandbox_image: "sandbox:1".into(),
        plugins: PluginSource::Registry,
        operator: OperatorPods::default(),
    };
    let arguments = TenantArguments { tenant: None, tenant_id: None, uid: None };
    let Compiled::Bundle(bundle, _) = compile(&input, &arguments, &platform).unwrap() else {
        panic!("it compiles in the operator");
    };
    let text = manifests::yaml(&bundle.objects).unwrap();
    let written = yaml::read(&text).documents;
    let written: BTreeMap<_, Value> = written
        .iter()
        .map(|document| {
            let plural =
                format!("{}s", document.text(&["kind"]).unwrap().to_lowercase()).replace("ys", "ies");
            let name = document.text(&["metadata", "name"]).unwrap().to_owned();
            ((plural, NAMESPACE.to_owned(), name), document.to_json())
        })
        .collect();
    assert_eq!(written.keys().collect::<Vec<_>>(), applied.keys().collect::<Vec<_>>());
    // Nobody but the operator knows which keys a sandbox has.
    let without_keys = |id: &(String, String, String), body: &Value| {
        let mut body = body.clone();
        if id.0 == "statefulsets" && id.2 == "acme-sandbox" {
            body["metadata"]["annotations"] = Value::Null;
            body["spec"]["template"]["metadata"]["annotations"] = Value::Null;
        }
        body
    };
    for (id, body) in &applied {
        assert_eq!(without_keys(id, &written[id]), without_keys(id, body), "{id:?}");
    }
}

/// What `kr8tiv diff` says of files and this cluster.
async fn diff(world: &World, files: &[&Value]) -> Result<Vec<Entry>, Vec<String>> {
    let text = files.iter().map(|object| format!("---\n{object}\n")).collect();
    let source = Source { name: "new.yaml".into(), text, hidden: Vec::new() };
    let found = cluster::read(&world.api.client(), vec![source], NAMESPACE).await.unwrap();
    with_cluster(&found, &PlatformArguments::default())
        .map_err(|problems| problems.into_iter().map(|problem| problem.problem).collect())
}

fn only(entries: &[Entry]) -> (&str, Change, Effect) {
    let [entry] = entries else { panic!("{entries:?}") };
    (&entry.name, entry.change, entry.difference.as_ref().unwrap().effect)
}

#[tokio::test(start_paused = true)]
async fn diff_compares_files_with_what_the_operator_applied() {
    let world = World::at_rest().await;
    world.rest().await;
    world.api.forget_requests();
    let (desk, acme) = (harness("desk"), tenant("acme", "desk"));
    for files in [&[&desk][..], &[&acme], &[&desk, &acme]] {
        let entries = diff(&world, files).await.unwrap();
        assert_eq!(only(&entries), ("acme", Change::Unchanged, Effect::None), "{entries:?}");
    }

    let mut told = desk.clone();
    told["spec"]["identity"]["purpose"] = json!("You help more.");
    let entries = diff(&world, &[&told]).await.unwrap();
    let difference = entries[0].difference.as_ref().unwrap();
    assert_eq!(only(&entries).1, Change::Updated);
    assert!(difference.effect < Effect::Restart, "{difference}");
    assert!(difference.to_string().contains("You help more."), "{difference}");

    let mut larger = acme.clone();
    larger["spec"]["gateway"] = json!({"resources": {"limits": {"memory": "4Gi"}}});
    let entries = diff(&world, &[&larger]).await.unwrap();
    assert_eq!(only(&entries), ("acme", Change::Updated, Effect::Restart));

    let entries = diff(&world, &[&tenant("globex", "desk")]).await.unwrap();
    assert_eq!(only(&entries), ("globex", Change::Created, Effect::None));

    let entries = diff(&world, &[&agent("main", "acme")]).await.unwrap();
    assert_eq!(only(&entries).1, Change::Updated, "the tenant of an Agent is concerned");

    assert!(world.api.requests().iter().all(|seen| seen.verb == "get"), "{:?}", world.api.requests());
}

#[tokio::test(start_paused = true)]
async fn diff_says_what_the_api_server_would_refuse() {
    let mut world = World::empty();
    world.api.create(NAMESPACE, harness("desk"));
    let mut acme = tenant("acme", "desk");
    acme["spec"]["slug"] = json!("acme");
    world.api.create(NAMESPACE, acme.clone());
    world.start();
    world.until("it is applied", |world| world.reason("Tenant", "acme", "Ready") == "Starting").await;
    acme["spec"]["slug"] = json!("other");
    let problems = diff(&world, &[&acme]).await.unwrap_err();
    assert_eq!(problems, ["slug can't be changed: the tenant's id and volume are named by it"]);

    acme["spec"]["slug"] = json!("acme");
    acme["spec"]["harnessRef"]["name"] = json!("nobody");
    let problems = diff(&world, &[&acme]).await.unwrap_err();
    assert_eq!(problems, ["there is no Harness nobody in namespace acme"]);
}

#[tokio::test(start_paused = true)]
async fn diff_takes_what_is_remembered_as_it_is() {
    let world = crate::memory::at_rest(crate::memory::memory_harness()).await;
    let (desk, acme) = (crate::memory::memory_harness(), crate::memory::memory_tenant());
    for files in [&[&desk][..], &[&acme]] {
        let entries = diff(&world, files).await.unwrap();
        assert_eq!(only(&entries), ("acme", Change::Unchanged, Effect::None), "{entries:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn diff_knows_of_a_token_that_was_rotated() {
    let world = World::at_rest().await;
    crate::minted::rotate(&world, Some("1"));
    world.until("the Pod is told", |world| crate::minted::on_the_pod(world) == "1").await;
    crate::minted::rotate(&world, None);
    world.rest().await;
    let entries = diff(&world, &[&tenant("acme", "desk")]).await.unwrap();
    assert_eq!(only(&entries), ("acme", Change::Unchanged, Effect::None), "{entries:?}");
    let mut again = tenant("acme", "desk");
    again["metadata"]["annotations"] = json!({"kr8tiv.ai/rotate-token": "2"});
    let entries = diff(&world, &[&again]).await.unwrap();
    assert_eq!(only(&entries), ("acme", Change::Updated, Effect::Restart), "{entries:?}");
}

#[tokio::test(start_paused = true)]
async fn diff_knows_of_an_image_that_can_not_be_pulled() {
    use crate::reports::{DIGEST, fail_to_pull, goes_without, image_pack, with_packs};
    let mut world = with_packs(json!([image_pack(DIGEST)])).await;
    fail_to_pull(&world, "not found");
    goes_without(&mut world).await;
    world.rest().await;
    let entries = diff(&world, &[&tenant("acme", "desk")]).await.unwrap();
    assert_eq!(only(&entries), ("acme", Change::Unchanged, Effect::None), "{entries:?}");
}
