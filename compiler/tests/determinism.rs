//! The same inputs give the same bytes, in whatever order they arrive; whatever text they hold stays text.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod common;

use kr8tiv_crds::coordination::Tier;
use proptest::prelude::*;
use serde_json::{Value, json};

fn two_agents() -> common::Case {
    common::examples().into_iter().find(|(name, _)| name == "two-agents").unwrap().1
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_order_of_arrival_never_changes_a_byte(
        ids in prop::collection::btree_set("[a-z]{1,6}", 2..7),
        default in any::<prop::sample::Index>(),
        seed in any::<u64>(),
    ) {
        let mut case = two_agents();
        case.tenant.spec.tier = Tier::Enterprise;
        let template = case.agents.remove(1);
        let default = default.index(ids.len());
        case.agents = ids
            .iter()
            .enumerate()
            .map(|(position, id)| {
                let mut agent = template.clone();
                agent.metadata.name = Some(id.clone());
                agent.spec.default = position == default;
                for binding in &mut agent.spec.bindings {
                    binding.peer.as_mut().unwrap().id = format!("-{position}");
                }
                agent
            })
            .collect();
        let bundle = case.compile().unwrap();
        let mut shuffled = case.clone();
        // A fixed permutation by seed: sorting by a mixed key.
        shuffled.agents.sort_by_key(|agent| {
            agent.metadata.name.as_ref().unwrap().bytes().fold(seed, |key, byte| {
                (key ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3).rotate_left(23)
            })
        });
        prop_assert_eq!(shuffled.compile().unwrap(), bundle);
    }

    /// Whatever stands in any field that takes words, no section of a file ends or begins by it, no variable of the
    /// gateway is read, and the configuration keeps its shape.
    #[test]
    fn text_stays_text(text in HOSTILE.prop_filter("not blank", |t| !t.trim().is_empty())) {
        let plain = worded("word").compile().unwrap();
        let bundle = worded(&text).compile().unwrap();
        let config: Value = serde_json::from_str(&bundle.config).unwrap();
        prop_assert_eq!(keys(&config), keys(&serde_json::from_str(&plain.config).unwrap()));
        for string in strings(&config) {
            prop_assert!(!reads_a_variable(&string), "{string:?}");
        }
        for (agent, files) in &bundle.workspaces {
            for name in ["AGENTS.md", "SOUL.md", "IDENTITY.md", "TOOLS.md", "HEARTBEAT.md", "USER.md"] {
                let (content, expected) = (&files[name].content, &plain.workspaces[agent][name].content);
                prop_assert_eq!(headings(content), headings(expected), "{}", content);
                prop_assert!(!content.contains(|c: char| c.is_control() && c != '\n'), "{content:?}");
                prop_assert!(!content.starts_with("---"), "front matter");
            }
        }
    }
}

const HOSTILE: &str = "[ -~\n\t#`$\\{\\}<>*\u{1}\u{7f}\u{85}\u{2028}ä€😀-]{1,80}|---\n[a-z: \n]{1,20}\n---|```\n[#a-z \n]{1,20}|\\$\\{[A-Z_]{1,12}\\}|# [a-z]{1,9}\n## [A-Z][a-z]{1,9}";

/// A tenant with two agents in which every field that takes words holds `text`.
fn worded(text: &str) -> common::Case {
    let mut case = two_agents();
    let words = || vec![text.to_owned(), text.to_owned()];
    let harness = case.harness.as_mut().unwrap();
    let sections: Value = json!({
        "identity": {"role": text, "purpose": text, "personality": text, "communicationStyle": text},
        "soul": {"coreTruths": words(), "vibe": text},
        "boundaries": {"hardLimits": words(), "escalationRules": words()},
        "jobFunctions": {"responsibilities": words(), "successCriteria": words()},
        "secrets": {"allowedInWorkspace": words(), "redactionRules": words()},
        "reinforcement": {"reflectionTemplate": text},
        "supermemory": {"enabled": true, "queries": words()},
        "tools": {"allow": ["read", "write", "message"]},
        "coordination": {"url": "http://mc.example.com", "packRef": "a@1"},
        "workspace": {"files": [{"name": "A.md", "description": text, "content": "c"}]},
    });
    let mut spec = serde_json::to_value(&harness.spec).unwrap();
    for (section, value) in sections.as_object().unwrap() {
        spec[section] = value.clone();
    }
    harness.spec = serde_json::from_value(spec).unwrap();
    case.tenant.spec.display_name = text.into();
    case.tenant.spec.gateway.config = json!({"messages": {"responsePrefix": text}}).as_object().cloned();
    for agent in &mut case.agents {
        let mut spec = serde_json::to_value(&agent.spec).unwrap();
        spec["displayName"] = json!(text);
        spec["identity"] =
            json!({"role": text, "purpose": text, "personality": text, "communicationStyle": text});
        spec["heartbeat"] = json!({"prompt": text});
        agent.spec = serde_json::from_value(spec).unwrap();
    }
    case
}

/// Every string of a configuration.
fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Object(map) => map.values().flat_map(strings).collect(),
        Value::Array(list) => list.iter().flat_map(strings).collect(),
        _ => Vec::new(),
    }
}

/// Whether OpenClaw would put a variable of its environment in: `${NAME}` with no dollar sign before it.
fn reads_a_variable(text: &str) -> bool {
    text.match_indices("${").any(|(start, _)| {
        let name = text[start + 2..].split_once('}').map_or("", |(name, _)| name);
        let is_name = name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
            && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
        is_name && !text[..start].ends_with('$')
    })
}

/// The paths of a configuration, without its values.
fn keys(value: &Value) -> Vec<String> {
    match value {
        Value::Object(map) => map
            .iter()
            .flat_map(|(key, value)| {
                std::iter::once(key.clone())
                    .chain(keys(value).into_iter().map(move |below| format!("{key}.{below}")))
            })
            .collect(),
        Value::Array(list) => list.iter().flat_map(keys).collect(),
        _ => Vec::new(),
    }
}

/// The structure of a file: its headings but the first, which names the agent, and how many fences and rules it has.
fn headings(content: &str) -> (Vec<String>, usize) {
    let headings = content.lines().filter(|line| line.starts_with('#')).skip(1).map(str::to_owned).collect();
    let blocks = content.lines().filter(|line| line.starts_with("```") || line.starts_with("---")).count();
    (headings, blocks)
}
