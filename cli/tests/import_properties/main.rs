//! What holds for every legal file of the two formats: the resources are valid and compile, the YAML says what was meant, nothing
//! is lost without a word, and no webhook is shown.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod generators;

use std::collections::BTreeSet;

use generators::{TOKEN, format_a, format_b};
use kr8tiv_cli::import::legacy::Format;
use kr8tiv_cli::import::report::Outcome;
use kr8tiv_cli::import::{Imported, Options, fields, import};
use kr8tiv_cli::input::node::Node;
use kr8tiv_cli::input::{self, Source};
use kr8tiv_cli::problem::Severity;
use kr8tiv_cli::validate;
use kr8tiv_compiler::{Code, OperatorPods, Platform, PluginSource};
use proptest::prelude::*;
use serde_json::{Value, json};

fn imported(file: &Value) -> Imported {
    // JSON is YAML, but for characters that YAML wants to be escaped.
    let json = format!("{file:#}");
    let text = json.chars().map(|c| match c {
        '\u{7f}'..='\u{9f}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => format!("\\u{:04x}", u32::from(c)),
        _ => c.into(),
    });
    let source = Source { name: "legacy.yaml".into(), text: text.collect(), hidden: Vec::new() };
    import(vec![source], &Options::default())
}

fn platform() -> Platform {
    Platform {
        gateway_repository: "ghcr.io/openclaw/openclaw".into(),
        plugins: PluginSource::default(),
        operator: OperatorPods::default(),
        watchdog_image: "ghcr.io/kr8tiv-ai/watchdog:test".into(),
        sandbox_image: "ghcr.io/kr8tiv-ai/sandbox:test".into(),
    }
}

/// The paths of all single values.
fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                leaves(value, &path, found);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (position, item) in items.iter().enumerate() {
                leaves(item, &format!("{path}[{position}]"), found);
            }
        }
        _ => found.push(path.to_owned()),
    }
}

/// Whether an entry's path is a value's, or one above it.
fn covers(entry: &str, leaf: &str) -> bool {
    leaf.strip_prefix(entry).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

fn holds(file: &Value) -> Result<(), TestCaseError> {
    let imported = imported(file);
    prop_assert_eq!(&imported.input.problems, &[]);
    let manifests = imported.manifests().unwrap();
    let human = imported.report.human();

    let judged = input::judge(vec![Source { text: manifests.clone(), ..Source::default() }], "default");
    prop_assert_eq!(&judged.problems, &[]);
    prop_assert_eq!((judged.objects.harnesses.len(), judged.objects.tenants.len()), (1, 1));
    let read: Vec<Value> =
        [&judged.objects.harnesses[0].node, &judged.objects.tenants[0].node].map(Node::to_json).into();
    prop_assert!(read == imported.objects, "the YAML says something else");

    let problems = validate::judge(&judged, &platform());
    let mut errors = problems.iter().filter(|problem| problem.severity == Severity::Error);
    // Whoever wrote a key into a text has to take it out.
    let error = errors.find(|problem| problem.code != Code::SecretInText.as_str());
    prop_assert!(error.is_none(), "{error:?}");

    let mut found = Vec::new();
    leaves(file, "", &mut found);
    let report = &imported.report.files[0];
    for leaf in found {
        let is_covered = report
            .entries
            .iter()
            .filter_map(|entry| entry.from.as_ref())
            .any(|from| covers(&from.field, &leaf));
        prop_assert!(is_covered, "{leaf} is not in the report");
    }
    for entry in &report.entries {
        let has_reason = entry.outcome == Outcome::Carried || !entry.reason.is_empty();
        prop_assert!(has_reason, "{entry:?}");
    }
    for text in [&manifests, &human, &imported.report.json()] {
        prop_assert!(!text.contains(TOKEN), "a secret is shown");
    }
    Ok(())
}

/// A file has up to 60 texts, so that there are many of them in few files. `PROPTEST_CASES` asks for more.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(96)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_legal_file_of_format_a(file in format_a()) {
        holds(&file)?;
    }

    #[test]
    fn every_legal_file_of_format_b(file in format_b()) {
        holds(&file)?;
    }

    /// The old tools dropped such fields without a word.
    #[test]
    fn a_field_that_no_format_has_is_in_the_report(mut file in format_a(), section in prop::sample::select(vec!["tools", "tenant", "soul"]), name in "[a-z]{12}") {
        file[section][&name] = json!({"a": [1]});
        let path = format!("{section}.{name}");
        let imported = imported(&file);
        prop_assert_eq!(&imported.input.problems, &[]);
        let report = &imported.report;
        let is_there = report.files[0].entries.iter().any(|entry| {
            entry.outcome == Outcome::NotCarried && entry.from.as_ref().is_some_and(|from| from.field == path)
        });
        prop_assert!(is_there && report.has_losses());
    }
}

/// Texts and lists far beyond what OpenClaw gives to a model, of characters that grow when they are rendered.
#[test]
fn files_of_any_length_compile() {
    for unit in ["word ", "\u{1f980}\u{1f980} ", "<!-- "] {
        for (entries, characters) in [(1, 2001), (50, 190), (49, 1000), (60, 1001)] {
            let text: String = unit.chars().cycle().take(characters).collect();
            let list = vec![text.as_str(); entries];
            let a = json!({
                "tenant": {"slug": "long", "displayName": text},
                "identity": {"role": text, "purpose": text, "personality": text, "communicationStyle": text},
                "soul": {"coreTruths": list, "vibe": text},
                "boundaries": {"hardLimits": list, "escalationRules": list},
                "jobFunctions": {"responsibilities": list, "successCriteria": list},
                "channels": {"allow": ["telegram"]},
                "tools": {"allowlist": ["group:openclaw", "group:fs", "group:runtime"]},
                "workspace": {"includeMemorySeed": true, "memorySeed": list.concat()},
                "secrets": {"allowedInWorkspace": list, "redactionRules": list},
                "supermemory": {"enabled": true},
                "reinforcement": {"reflectionTemplate": text},
                "skills": {}, "memoryIngestion": {}, "observability": {}, "updates": {}, "coordination": {},
            });
            let b = json!({
                "tenantId": "long", "name": text, "role": text, "jobFunctions": list,
                "soul": {"truths": list, "voice": text, "boundaries": list},
                "tooling": {"allow": ["group:openclaw", "group:fs", "group:runtime"]},
                "memory": {"seed": list}, "controlPlane": {}, "recovery": {"teamOrder": ["EDITH"]},
            });
            for file in [a, b] {
                holds(&file).unwrap();
            }
        }
    }
}

/// The generators know every field that is read.
#[test]
fn the_generated_files_have_every_field() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    for (format, strategy) in [(Format::A, format_a()), (Format::B, format_b())] {
        let mut seen = BTreeSet::new();
        for _ in 0..200 {
            let file = strategy.new_tree(&mut runner).unwrap().current();
            let mut found = Vec::new();
            leaves(&file, "", &mut found);
            for leaf in found {
                let pattern = leaf.split('.').map(|part| match part.split_once('[') {
                    Some((name, _)) => name,
                    None => part,
                });
                let mut path = String::new();
                for part in pattern {
                    path = if path.is_empty() { part.to_owned() } else { format!("{path}.{part}") };
                    seen.insert(path.clone());
                }
            }
        }
        let read: BTreeSet<String> = fields(format).into_iter().map(|path| path.replace("[]", "")).collect();
        let missing: Vec<_> = read.difference(&seen).collect();
        assert!(missing.is_empty(), "{format:?}: {missing:?}");
    }
}
