//! What differs between two bundles, or a bundle and the cluster, and what each change does.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

#[path = "../common/mod.rs"]
mod common;
mod config;
mod live;

use kr8tiv_compiler::{Bundle, Change, Difference, Effect, FieldChange};
use serde_json::json;

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
    // A sandbox is another Pod: the gateway goes on.
    Case {
        edit: ("tools:\n", "tools:\n    sandbox: {scratchSize: 2Gi}\n"),
        effect: Effect::None,
        config: &[],
        files: &[],
        objects: &[(
            "StatefulSet",
            &[
                "spec.template.spec.volumes[workspaces].emptyDir.sizeLimit",
                "spec.template.spec.volumes[tmp].emptyDir.sizeLimit",
            ],
        )],
    },
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
        objects: &[("StatefulSet", &["spec.replicas"]), ("StatefulSet", &["spec.replicas"])],
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
    assert_eq!(text, include_str!("people.txt"), "{text}");
}

#[test]
fn what_becomes_of_a_sandbox_is_said() {
    let old = example(&[]);
    let suspended = "displayName: Globex Corporation\n  suspend: true";
    for (edit, expected) in [
        (CASES[0].edit, "~ StatefulSet globex-sandbox (its Pod is replaced, and the gateway goes on)\n"),
        (
            ("displayName: Globex Corporation", suspended),
            "~ StatefulSet globex-sandbox\n  spec.replicas\n    - 1\n    + 0\n",
        ),
    ] {
        let text = Difference::between(Some(&old), &example(&[edit])).to_string();
        assert!(text.contains(expected), "{text}");
    }
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
