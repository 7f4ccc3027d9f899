//! Both programs do every workload with two tenants, so that `bench/run` finds them as it knows them.
#![allow(clippy::unwrap_used, reason = "a test ends here")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

const ALLOCATIONS: &str = env!("CARGO_BIN_EXE_allocations");
const INSTRUCTIONS: &str = env!("CARGO_BIN_EXE_instructions");
const WORKLOADS: [(&str, u64); 5] =
    [("first", 1), ("again", 1), ("shared", 2), ("edited", 2), ("difference", 1)];

fn run(program: &str, arguments: &[&str], manifest: &str) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    Command::new(program).args(arguments).args(["--tenants", "2"]).arg(root.join(manifest)).output().unwrap()
}

fn figures(program: &str, arguments: &[&str]) -> Value {
    // A tenant with Agents: they have to follow their tenant into each copy.
    let output = run(program, arguments, "examples/two-agents.yaml");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn allocations_of_every_workload() {
    let figures = figures(ALLOCATIONS, &[]);
    let found: Vec<_> = figures.as_array().unwrap().iter().map(|f| (&f["workload"], &f["tenants"])).collect();
    let expected: Vec<_> = WORKLOADS.iter().map(|(name, tenants)| (json!(name), json!(tenants))).collect();
    assert_eq!(found, expected.iter().map(|(name, tenants)| (name, tenants)).collect::<Vec<_>>());
    let count = |place: usize, name: &str| figures[place][name].as_u64().unwrap();
    for place in 0..WORKLOADS.len() {
        assert!(count(place, "allocations") > 0);
        assert!(count(place, "bytes") >= count(place, "peakBytes"));
        assert!(count(place, "peakBytes") > 0);
    }
    // Two tenants that differ in a digit cost twice as much as one, and bundles are not kept.
    assert_eq!(count(2, "allocations"), 2 * count(1, "allocations"));
    assert!(count(2, "peakBytes") < 2 * count(1, "peakBytes"));
}

#[test]
fn every_workload_alone() {
    for (workload, tenants) in WORKLOADS {
        let done = figures(INSTRUCTIONS, &["--workload", workload]);
        assert_eq!(done, json!({"workload": workload, "tenants": tenants}));
    }
}

#[test]
fn a_manifest_that_does_not_compile_is_told() {
    for program in [(ALLOCATIONS, &[][..]), (INSTRUCTIONS, &["--workload", "again"])] {
        let output = run(program.0, program.1, "deny.toml");
        assert!(!output.status.success());
        assert!(output.stdout.is_empty());
        assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: "));
    }
}
