//! Which Secrets a gateway's Pod has: those that the Tenant names for it, and the operator's own. No other one.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod common;

use std::collections::BTreeSet;

use common::generate::cases;
use common::sections::sections;
use k8s_openapi::api::core::v1::Container;
use serde_json::Value;

/// The name of a Secret and a key of it; no key stands for all.
type Key = (String, Option<String>);

/// Everything in a value that names a Secret: what OpenClaw, kubelet or a user calls so.
fn named(value: &Value, found: &mut BTreeSet<Key>) {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let is_reference = name.to_ascii_lowercase().ends_with("secretref")
                    || name.to_ascii_lowercase().ends_with("secretkeyref");
                match text(&value["name"]).filter(|_| is_reference) {
                    Some(secret) => drop(found.insert((secret, text(&value["key"])))),
                    None => named(value, found),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| named(value, found)),
        _ => {}
    }
}

fn of(value: &Value) -> BTreeSet<Key> {
    let mut found = BTreeSet::new();
    named(value, &mut found);
    found
}

fn in_environment(container: &Container) -> BTreeSet<Key> {
    of(&serde_json::json!([container.env, container.env_from]))
}

#[test]
fn the_environment_has_the_secrets_that_are_named_and_no_other() {
    let all = common::examples().into_iter().chain(common::realistic()).chain(sections()).chain(cases(200));
    let (mut judged, mut own) = (0, 0);
    for (name, case) in all {
        let Ok(bundle) = case.compile() else { continue };
        let pod = common::pod(&bundle);
        let mut spec = serde_json::to_value(&case.tenant.spec).unwrap();
        // The operator's key for Supermemory reaches no Pod, what the watchdog tells webhooks with only the watchdog.
        spec.as_object_mut().unwrap().remove("supermemory");
        let watchdog = spec.as_object_mut().unwrap().remove("watchdog").unwrap_or_default();
        spec["gateway"]["podTemplate"] = Value::Null;
        // A token for a Mission Control that the Harness does not name.
        if case.harness.as_ref().is_none_or(|harness| harness.spec.coordination.is_none()) {
            spec.as_object_mut().unwrap().remove("missionControl");
        }
        let minted = |key: &str| (bundle.minted.name.clone(), Some(key.to_owned()));
        let token = bundle.minted.token.as_deref().map(minted);
        let given = spec["gateway"]["tokenSecretRef"].as_object().map(|token| {
            let text = |key: &str| token[key].as_str().unwrap().to_owned();
            (text("name"), Some(text("key")))
        });
        let gateways_token: Vec<Key> = token.into_iter().chain(given).collect();
        assert_eq!(gateways_token.len(), 1, "{name}");

        let mut expected = of(&spec);
        own += expected.len();
        expected.extend(gateways_token.clone());
        assert_eq!(in_environment(&pod.containers[0]), expected, "{name}: gateway");
        for container in pod.init_containers.iter().flatten() {
            let mut expected = BTreeSet::new();
            if container.name == "watchdog" {
                expected.extend(of(&watchdog));
                expected.extend(gateways_token.clone());
                expected.insert(minted(&bundle.minted.status_token));
            }
            assert_eq!(in_environment(container), expected, "{name}: {}", container.name);
        }
        let volumes: Vec<_> = pod.volumes.iter().flatten().collect();
        assert!(volumes.iter().all(|volume| volume.projected.is_none()));
        let mounted: Vec<_> = volumes.iter().filter_map(|volume| volume.secret.as_ref()).collect();
        let secrets: Vec<_> = mounted.iter().filter_map(|secret| secret.secret_name.as_ref()).collect();
        assert_eq!(secrets, bundle.sandboxes.iter().map(|sandbox| &sandbox.secret).collect::<Vec<_>>());
        for items in mounted.iter().flat_map(|secret| &secret.items) {
            let keys: Vec<_> = items.iter().map(|item| item.key.as_str()).collect();
            assert_eq!(keys, [kr8tiv_compiler::CLIENT_KEY, kr8tiv_compiler::KNOWN_HOSTS], "{name}");
        }
        judged += 1;
    }
    assert!(judged > 150 && own > judged, "{judged} tenants with {own} Secrets");
}
