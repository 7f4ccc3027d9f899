//! Two configurations, path by path.

use std::collections::BTreeMap;

use kr8tiv_compiler::{Effect, config_changes};
use proptest::prelude::*;
use serde_json::{Value, json};

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
}
