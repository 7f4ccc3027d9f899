//! What differs between two bundles, or a bundle and the cluster, and what each change does.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod common;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use kr8tiv_compiler::{Bundle, Change, Difference, Effect, FieldChange, config_changes};
use proptest::prelude::*;
use serde_json::{Value, json};

const MANAGER: &str = "kr8tiv-operator";

fn example(edits: &[(&str, &str)]) -> Bundle {
    let mut manifest = std::fs::read_to_string(common::root().join("examples/two-agents.yaml")).unwrap();
    for (from, to) in edits {
        assert!(manifest.contains(from), "{from}");
        manifest = manifest.replacen(from, to, 1);
    }
    common::case(&manifest).compile().unwrap_or_else(|diagnostics| panic!("{diagnostics}"))
}

fn paths(changes: &[FieldChange]) -> Vec<&str> {
    changes.iter().map(|change| change.path.as_str()).collect()
}

fn files(difference: &Difference) -> Vec<String> {
    difference.files.iter().map(|file| format!("{}/{}", file.agent, file.name)).collect()
}

/// Objects that differ, without the ConfigMaps that carry what differs anyway.
fn objects(difference: &Difference) -> Vec<(&str, Vec<&str>)> {
    let others = difference.objects.iter().filter(|object| object.kind != "ConfigMap");
    others.map(|object| (object.kind.as_str(), paths(&object.fields))).collect()
}

#[test]
fn equal_bundles_do_not_differ() {
    for (name, case) in common::examples() {
        let bundle = case.compile().unwrap();
        let difference = Difference::between(Some(&bundle), &bundle);
        assert!(difference.is_empty(), "{name}: {difference}");
        assert_eq!(difference.to_string(), "No changes.\n");
    }
}

#[test]
fn of_a_new_tenant_the_objects_are_listed() {
    let bundle = example(&[]);
    let difference = Difference::between(None, &bundle);
    let listed: Vec<_> = difference
        .objects
        .iter()
        .map(|object| {
            assert_eq!(object.change, Change::Created);
            (object.kind.clone(), object.name.clone())
        })
        .collect();
    let mut expected: Vec<_> = bundle
        .objects
        .iter()
        .map(|object| (object.kind().to_owned(), object.metadata().name.clone().unwrap()))
        .collect();
    expected.sort();
    assert_eq!(listed, expected);
    assert!(difference.config.is_empty() && difference.files.is_empty());
    assert_eq!(difference.effect, Effect::None);
}

/// One edit of a manifest, and all that it changes.
struct Case {
    edit: (&'static str, &'static str),
    effect: Effect,
    config: &'static [&'static str],
    files: &'static [&'static str],
    objects: &'static [(&'static str, &'static [&'static str])],
}

const CASES: &[Case] = &[
    Case {
        edit: ("primary: anthropic/claude-sonnet-4-6", "primary: anthropic/claude-opus-4-6"),
        effect: Effect::Reload,
        config: &["agents.defaults.model.primary", "agents.defaults.modelPolicy.allow"],
        files: &[],
        objects: &[],
    },
    Case {
        edit: ("groupAllowFrom: [\"1001\", \"1002\"]", "groupAllowFrom: [\"1001\"]"),
        effect: Effect::None,
        config: &["channels.telegram.accounts.default.groupAllowFrom"],
        files: &[],
        objects: &[],
    },
    Case {
        edit: ("vibe: Warm and matter-of-fact.", "vibe: Brisk."),
        effect: Effect::None,
        config: &[],
        files: &["desk/SOUL.md", "platform/SOUL.md"],
        objects: &[],
    },
    Case {
        edit: ("displayName: Globex Corporation", "displayName: Globex Corporation\n  suspend: true"),
        effect: Effect::Restart,
        config: &[],
        files: &[],
        objects: &[("StatefulSet", &["spec.replicas"])],
    },
    Case {
        edit: (
            "displayName: Globex Corporation",
            "displayName: Globex Corporation\n  gateway: {storage: {size: 40Gi}}",
        ),
        effect: Effect::None,
        config: &[],
        files: &[],
        objects: &[("PersistentVolumeClaim", &["spec.resources.requests.storage"])],
    },
    Case {
        edit: (
            "displayName: Globex Corporation",
            "displayName: Globex Corporation\n  gateway: {resources: {limits: {memory: 4Gi}}}",
        ),
        effect: Effect::Restart,
        config: &[],
        files: &[],
        objects: &[(
            "StatefulSet",
            &[
                "spec.template.spec.containers[gateway].env[NODE_OPTIONS].value",
                "spec.template.spec.containers[gateway].resources.limits.memory",
                "spec.template.spec.initContainers[watchdog].env[KR8TIV_GATEWAY_MEMORY_LIMIT].value",
            ],
        )],
    },
    Case {
        edit: (
            "botTokenSecretRef: {name: globex-secrets, key: telegram-bot-token}",
            "botTokenSecretRef: {name: other, key: telegram-bot-token}",
        ),
        effect: Effect::Restart,
        config: &[],
        files: &[],
        objects: &[(
            "StatefulSet",
            &["spec.template.spec.containers[gateway].env[TELEGRAM_BOT_TOKEN].valueFrom.secretKeyRef.name"],
        )],
    },
];

#[test]
fn an_edit_changes_what_it_should_and_nothing_else() {
    let old = example(&[]);
    for Case { edit, effect, config, files: expected_files, objects: expected_objects } in CASES {
        let difference = Difference::between(Some(&old), &example(&[*edit]));
        assert_eq!(paths(&difference.config), *config, "{edit:?}");
        assert_eq!(files(&difference), *expected_files, "{edit:?}");
        let expected: Vec<_> = expected_objects.iter().map(|(kind, paths)| (*kind, paths.to_vec())).collect();
        assert_eq!(objects(&difference), expected, "{edit:?}");
        assert_eq!(difference.effect, *effect, "{edit:?}");
    }
}

#[test]
fn what_an_agent_owns_is_kept() {
    let old = example(&[]);
    let renamed = example(&[("displayName: Globex Corporation", "displayName: Globex")]);
    let difference = Difference::between(Some(&old), &renamed);
    let kept: Vec<_> = difference.files.iter().map(|file| (file.name.as_str(), file.kept)).collect();
    let expected = [("AGENTS.md", false), ("USER.md", true)].repeat(2);
    assert_eq!(kept, expected, "{difference}");

    // An agent that leaves: its workspace stays on the volume.
    let manifest = std::fs::read_to_string(common::root().join("examples/two-agents.yaml")).unwrap();
    let (one_agent, _) = manifest.rsplit_once("---").unwrap();
    let one_agent = common::case(one_agent).compile().unwrap();
    let difference = Difference::between(Some(&old), &one_agent);
    let (left, told): (Vec<_>, Vec<_>) = difference.files.iter().partition(|file| file.agent == "platform");
    assert!(!left.is_empty());
    assert!(left.iter().all(|file| file.change == Change::Deleted && file.kept), "{difference}");
    assert_eq!(told.len(), 1, "the other agent no longer reads of it: {difference}");
    let gone: Vec<_> = difference.objects.iter().filter(|object| object.change == Change::Deleted).collect();
    assert_eq!(gone.len(), 1);
    assert_eq!((gone[0].kind.as_str(), gone[0].name.as_str()), ("ConfigMap", "globex-workspace.platform"));
    // Its workspace was mounted.
    assert_eq!(difference.effect, Effect::Restart);
}

#[test]
fn people_can_read_it() {
    let old = example(&[]);
    let new = example(&[
        ("primary: anthropic/claude-sonnet-4-6", "primary: anthropic/claude-opus-4-6"),
        ("vibe: Warm and matter-of-fact.", "vibe: Brisk."),
        (
            "displayName: Globex Corporation",
            "displayName: Globex Corporation\n  gateway: {storage: {size: 40Gi}}",
        ),
    ]);
    let text = Difference::between(Some(&old), &new).to_string();
    assert_eq!(text, include_str!("difference.txt"), "{text}");
}

#[test]
fn programs_can_read_it() {
    let old = example(&[]);
    let new = example(&[("primary: anthropic/claude-sonnet-4-6", "primary: anthropic/claude-opus-4-6")]);
    let difference = serde_json::to_value(Difference::between(Some(&old), &new)).unwrap();
    assert_eq!(difference["effect"], "reload");
    assert_eq!(
        difference["config"][0],
        json!({
            "path": "agents.defaults.model.primary",
            "old": "anthropic/claude-sonnet-4-6",
            "new": "anthropic/claude-opus-4-6",
            "effect": "reload",
        })
    );
    let changed = &difference["objects"][0];
    assert_eq!(changed["change"], "updated");
    // The text stands in `config` already.
    assert_eq!(changed["fields"][1], json!({"path": "data[openclaw.json]", "effect": "none"}));
}

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
                    gateway["resources"]["limits"]["memory"] = json!("2048Mi");
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
    assert_eq!(objects(&difference), [("Service", vec![])]);
    assert_eq!(difference.objects[0].change, Change::Created);
}

#[test]
fn secrets_are_hidden() {
    let old = json!({"models": {"providers": {}}, "mcp": {"servers": {"a": {"env": {"B_TOKEN": "one"}}}}});
    let new = json!({
        "models": {"providers": {"house": {"apiKey": "two", "headers": {"Authorization": "three"}}}},
        "mcp": {"servers": {"a": {"env": {"B_TOKEN": "four"}}}},
        "gateway": {"auth": {"token": {"source": "env", "provider": "default", "id": "THE_NAME"}}},
    });
    let text = serde_json::to_string(&config_changes("2026.9.6", &old, &new)).unwrap();
    for secret in ["one", "two", "three", "four"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    assert!(text.contains("THE_NAME"), "a reference is shown: {text}");
}

/// The gateway judges the keys of an object that is new or gone one by one where it has rules for them.
#[test]
fn objects_are_divided_as_the_gateway_does() {
    let old = json!({"plugins": {"allow": ["telegram"]}});
    let new = json!({
        "plugins": {"allow": ["telegram"]},
        "channels": {"telegram": {"dmPolicy": "open", "groups": {"*": {"requireMention": true}}}},
        "gateway": {"controlUi": {"enabled": false, "basePath": "/ui"}},
        "agents": {"entries": {"desk": {"name": "Desk"}}},
        "bindings": [{"agentId": "desk"}],
    });
    let changes = config_changes("2026.9.6", &old, &new);
    let effects: BTreeMap<&str, Effect> =
        changes.iter().map(|change| (change.path.as_str(), change.effect)).collect();
    assert_eq!(
        effects,
        BTreeMap::from([
            ("agents.entries", Effect::Reload),
            ("bindings", Effect::None),
            ("channels.telegram.dmPolicy", Effect::None),
            ("channels.telegram.groups", Effect::Reload),
            ("gateway.controlUi.basePath", Effect::Restart),
            ("gateway.controlUi.enabled", Effect::Reload),
        ])
    );
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..4u8).prop_map(Value::from),
        "[a-c]{0,2}".prop_map(Value::from)
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(
                prop_oneof![Just("gateway"), Just("auth"), Just("agents"), Just("a"), Just("b")],
                inner,
                0..4
            )
            .prop_map(|fields| fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

proptest! {
    #[test]
    fn a_document_does_not_differ_from_itself(document in any_json()) {
        prop_assert_eq!(config_changes("2026.9.6", &document, &document), vec![]);
    }

    /// There and back, the same paths change, with their values swapped.
    #[test]
    fn a_way_back_passes_the_same_places(old in any_json(), new in any_json()) {
        let there = config_changes("2026.9.6", &old, &new);
        let back = config_changes("2026.9.6", &new, &old);
        let swapped: Vec<_> =
            back.into_iter().map(|change| (change.path, change.new, change.old)).collect();
        let there: Vec<_> = there.into_iter().map(|change| (change.path, change.old, change.new)).collect();
        prop_assert_eq!(there, swapped);
    }

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
