//! What was looked up in a tenant's memory, as its agents get it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends here")]

mod common;

use common::{Case, examples};
use kr8tiv_compiler::{CONTEXT_FILE, Difference, Effect, Object, Ownership, read_context};
use kr8tiv_crds::Harness;

fn case(lines: &[&str]) -> Case {
    let (_, mut case) = examples().into_iter().find(|(name, _)| name == "two-agents").unwrap();
    let harness: &mut Harness = case.harness.as_mut().unwrap();
    harness.spec.supermemory.enabled = true;
    case.surroundings.retrieved_context = lines.iter().map(|line| (*line).to_owned()).collect();
    case
}

#[test]
fn every_agent_has_the_lines_in_a_file_of_the_operators() {
    let bundle = case(&["likes tea", "lives in Bern"]).compile().unwrap();
    assert!(bundle.workspaces.len() >= 2);
    for files in bundle.workspaces.values() {
        let file = &files[CONTEXT_FILE];
        assert_eq!(file.ownership, Ownership::Operator);
        assert_eq!(read_context(&file.content), ["likes tea", "lives in Bern"]);
    }
}

#[test]
fn without_lines_or_without_memory_there_is_no_file() {
    let mut off = case(&["likes tea"]);
    off.harness.as_mut().unwrap().spec.supermemory.enabled = false;
    for case in [case(&[]), case(&[" "]), off] {
        let bundle = case.compile().unwrap();
        assert!(bundle.workspaces.values().all(|files| !files.contains_key(CONTEXT_FILE)));
    }
}

#[test]
fn other_lines_restart_nothing_and_reload_nothing() {
    let compile = |lines: &[&str]| case(lines).compile().unwrap();
    assert_eq!(compile(&[]).hash, compile(&[]).hash_without_context);
    let bundles = [compile(&[]), compile(&["likes tea"]), compile(&["likes coffee"])];
    let set = |bundle: &kr8tiv_compiler::Bundle| {
        let sets = bundle.objects.iter().filter(|object| matches!(object, Object::StatefulSet(_)));
        sets.cloned().collect::<Vec<_>>()
    };
    for pair in bundles.windows(2) {
        assert_eq!(set(&pair[0]), set(&pair[1]));
        assert_eq!(pair[0].config, pair[1].config);
        assert_ne!(pair[0].hash, pair[1].hash, "the watchdog delivers it");
        assert_eq!(pair[0].hash_without_context, pair[1].hash_without_context);
        assert_eq!(Difference::between(Some(&pair[0]), &pair[1]).effect, Effect::None);
    }
}
