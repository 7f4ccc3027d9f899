//! A bundle against the objects of a cluster.

use std::sync::LazyLock;

use kr8tiv_compiler::{Bundle, Change, Difference, Effect};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{common, example, objects};

const MANAGER: &str = "kr8tiv-operator";

/// A bundle's objects as an API server stores them: with its defaults, its own notation of amounts, the account of
/// who set what, and what others have added.
fn live(bundle: &Bundle) -> Vec<Value> {
    bundle
        .objects
        .iter()
        .map(|object| {
            let planned = serde_json::to_value(object).unwrap();
            let mut stored = planned.clone();
            let metadata = &mut stored["metadata"];
            metadata["uid"] = json!("11111111-0000-4000-8000-000000000000");
            metadata["resourceVersion"] = json!("123");
            metadata["annotations"]["others.example.com/note"] = json!("theirs");
            metadata["managedFields"] = json!([
                {"manager": MANAGER, "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": owned(&planned)},
                {"manager": "kube-controller-manager", "operation": "Update", "fieldsType": "FieldsV1",
                 "fieldsV1": {"f:status": {"f:replicas": {}}}, "subresource": "status"},
            ]);
            stored["status"] = json!({"replicas": 1});
            match object.kind() {
                "PersistentVolumeClaim" => {
                    stored["spec"]["volumeMode"] = json!("Filesystem");
                    stored["spec"]["volumeName"] = json!("pv-1");
                    stored["spec"]["storageClassName"] = json!("standard");
                }
                "Service" => {
                    stored["spec"]["clusterIP"] = json!("10.0.0.1");
                    stored["spec"]["ipFamilies"] = json!(["IPv4"]);
                    stored["spec"]["sessionAffinity"] = json!("None");
                }
                "StatefulSet" => {
                    stored["spec"]["podManagementPolicy"] = json!("OrderedReady");
                    stored["spec"]["updateStrategy"] = json!({"type": "RollingUpdate"});
                    let template = &mut stored["spec"]["template"];
                    template["metadata"]["creationTimestamp"] = Value::Null;
                    let pod = &mut template["spec"];
                    pod["dnsPolicy"] = json!("ClusterFirst");
                    pod["restartPolicy"] = json!("Always");
                    pod["serviceAccount"] = pod["serviceAccountName"].clone();
                    let gateway = &mut pod["containers"][0];
                    gateway["terminationMessagePath"] = json!("/dev/termination-log");
                    gateway["livenessProbe"]["successThreshold"] = json!(1);
                    gateway["livenessProbe"]["httpGet"]["scheme"] = json!("HTTP");
                    let memory = &mut gateway["resources"]["limits"]["memory"];
                    *memory = json!(in_kibibytes(memory));
                    for volume in pod["volumes"].as_array_mut().unwrap() {
                        if let Some(config_map) = volume.get_mut("configMap") {
                            config_map["defaultMode"] = json!(420);
                        }
                    }
                }
                _ => {}
            }
            stored
        })
        .collect()
}

/// The same amount of memory, written otherwise.
fn in_kibibytes(amount: &Value) -> String {
    let amount = amount.as_str().unwrap();
    let (number, unit) = amount.split_at(amount.len() - 2);
    let factor = match unit {
        "Mi" => 1024,
        "Gi" => 1024 * 1024,
        other => panic!("{other}"),
    };
    format!("{}Ki", number.parse::<u64>().unwrap() * factor)
}

/// `fieldsV1` of an object that was applied: lists are keyed as the API declares it, or owned as a whole.
fn owned(value: &Value) -> Value {
    let fields = value.as_object().unwrap().iter().map(|(name, value)| {
        let owned = match (name.as_str(), value) {
            (_, Value::Object(fields)) if !fields.is_empty() => owned(value),
            ("containers" | "initContainers" | "env" | "volumes", Value::Array(entries)) => entries
                .iter()
                .map(|entry| (format!("k:{}", json!({"name": entry["name"]})), owned(entry)))
                .collect(),
            ("volumeMounts", Value::Array(entries)) => entries
                .iter()
                .map(|entry| (format!("k:{}", json!({"mountPath": entry["mountPath"]})), owned(entry)))
                .collect(),
            _ => json!({}),
        };
        (format!("f:{name}"), owned)
    });
    fields.collect()
}

#[test]
fn what_others_set_does_not_count() {
    for (name, case) in common::examples() {
        let bundle = case.compile().unwrap();
        let mut live = live(&bundle);
        // The token that the operator made, and a volume of an earlier time.
        live.push(json!({"kind": "Secret", "metadata": {"name": "token"}, "data": {"token": "c2VjcmV0"}}));
        live.push(json!({"kind": "PersistentVolumeClaim", "metadata": {"name": "earlier"}}));
        let difference = Difference::from_live(&live, MANAGER, &bundle);
        assert!(difference.is_empty(), "{name}: {difference}");
    }
}

#[test]
fn what_a_bundle_no_longer_sets_is_seen() {
    let old = example(&[]);
    let new = example(&[
        ("    - provider: openai\n      apiKeySecretRef: {name: globex-secrets, key: openai}\n", ""),
        ("fallbacks: [openai/gpt-5.5]", "fallbacks: []"),
    ]);
    let between = Difference::between(Some(&old), &new);
    let from_live = Difference::from_live(&live(&old), MANAGER, &new);
    assert_eq!(from_live, between);
    let stateful_set = objects(&between).pop().unwrap();
    assert_eq!(
        stateful_set,
        ("StatefulSet", vec!["spec.template.spec.containers[gateway].env[OPENAI_API_KEY]"])
    );
    assert_eq!(between.effect, Effect::Restart);
}

/// The API server notes a selector as one field, whatever is in it.
#[test]
fn a_part_that_leaves_a_selector_is_seen() {
    let bundle = example(&[]);
    let mut live = live(&bundle);
    let service = live.iter_mut().find(|object| object["kind"] == "Service").unwrap();
    service["spec"]["selector"]["earlier"] = json!("yes");
    service["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]["f:selector"] = json!({});
    let difference = Difference::from_live(&live, MANAGER, &bundle);
    assert_eq!(objects(&difference), [("Service", vec!["spec.selector.earlier"])]);
}

/// What others change in a field that the bundle sets is put back: it counts, whoever owns the field now.
#[test]
fn drift_is_seen() {
    let bundle = example(&[]);
    let mut live = live(&bundle);
    let stateful_set = live.iter_mut().find(|object| object["kind"] == "StatefulSet").unwrap();
    stateful_set["spec"]["replicas"] = json!(3);
    stateful_set["metadata"]["managedFields"] = json!([]);
    let difference = Difference::from_live(&live, MANAGER, &bundle);
    assert_eq!(objects(&difference), [("StatefulSet", vec!["spec.replicas"])]);
}

#[test]
fn only_the_objects_that_are_missing_are_created() {
    let bundle = example(&[]);
    let mut live = live(&bundle);
    live.retain(|object| object["kind"] != "Service");
    let difference = Difference::from_live(&live, MANAGER, &bundle);
    assert_eq!(objects(&difference), [("Service", vec![]), ("Service", vec![])]);
    assert!(difference.objects.iter().all(|object| object.change == Change::Created));
}

proptest! {
    #[test]
    fn the_order_of_live_objects_does_not_matter(order in Just((0..live(&OLD).len()).collect::<Vec<_>>()).prop_shuffle()) {
        let live = live(&OLD);
        let shuffled: Vec<_> = order.iter().map(|position| live[*position].clone()).collect();
        prop_assert_eq!(Difference::from_live(&shuffled, MANAGER, &NEW), Difference::between(Some(&OLD), &NEW));
    }
}

static OLD: LazyLock<Bundle> = LazyLock::new(|| example(&[]));
static NEW: LazyLock<Bundle> =
    LazyLock::new(|| example(&[("vibe: Warm and matter-of-fact.", "vibe: Brisk.")]));
