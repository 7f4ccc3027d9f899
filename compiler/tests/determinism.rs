//! The same inputs give the same bytes, in whatever order they arrive; whatever text they hold stays text.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod common;

use kr8tiv_crds::coordination::Tier;
use proptest::prelude::*;
use serde_json::Value;

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

    #[test]
    fn text_stays_text(text in "[ -~\n\t#`$\\{\\}<>*\u{1}\u{7f}ä€😀-]{1,80}".prop_filter("not blank", |t| !t.trim().is_empty())) {
        let mut case = two_agents();
        let plain = case.compile().unwrap();
        let harness = &mut case.harness.as_mut().unwrap().spec;
        harness.identity.purpose.clone_from(&text);
        harness.soul.core_truths.push(text.clone());
        harness.boundaries.hard_limits.push(text.clone());
        case.agents[0].spec.display_name = Some(text.clone());
        let bundle = case.compile().unwrap();
        let config: Value = serde_json::from_str(&bundle.config).unwrap();
        prop_assert_eq!(keys(&config), keys(&serde_json::from_str(&plain.config).unwrap()));
        for (agent, files) in &bundle.workspaces {
            for name in ["AGENTS.md", "SOUL.md"] {
                prop_assert_eq!(headings(&files[name].content), headings(&plain.workspaces[agent][name].content));
            }
        }
    }
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
