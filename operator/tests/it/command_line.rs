//! What `kr8tiv compile` writes is what the operator applies.

use std::collections::BTreeMap;

use kr8tiv_cli::args::TenantArguments;
use kr8tiv_cli::compile::{Compiled, compile};
use kr8tiv_cli::input::{Source, judge, yaml};
use kr8tiv_compiler::{Platform, manifests};
use serde_json::{Value, json};

use crate::world::{NAMESPACE, World, agent};

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
    let platform = Platform { gateway_repository: "gateway".into(), watchdog_image: "watchdog:1".into() };
    let arguments = TenantArguments { tenant: None, tenant_id: None, uid: None };
    let Compiled::Bundle(bundle, _) = compile(&input, &arguments, &platform).unwrap() else {
        panic!("it compiles in the operator");
    };
    let text = manifests::yaml(&bundle.objects).unwrap();
    let written = yaml::read(&text).documents;
    let written: BTreeMap<_, Value> = written
        .iter()
        .map(|document| {
            let plural = format!("{}s", document.text(&["kind"]).unwrap().to_lowercase());
            let name = document.text(&["metadata", "name"]).unwrap().to_owned();
            ((plural, NAMESPACE.to_owned(), name), document.to_json())
        })
        .collect();
    assert_eq!(written.keys().collect::<Vec<_>>(), applied.keys().collect::<Vec<_>>());
    for (id, body) in &applied {
        assert_eq!(&written[id], body, "{id:?}");
    }
}
