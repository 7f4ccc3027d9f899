//! Whatever users write: what the compiler accepts, the real OpenClaw accepts, without a warning.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod common;

use common::generate::{cases, unset};
use common::real::assert_accepted;
use common::rules::{merge, rules};
use common::settings::settings;
use kr8tiv_compiler::{SUPPORTED_VERSIONS, config_violations, openclaw_schema};
use serde_json::json;

#[test]
fn point_10_openclaw_accepts_what_is_compiled() {
    const CASES: usize = 480;
    const ACCEPTED: usize = 300;
    let cases = cases(CASES);
    let never: Vec<_> = unset(cases.iter().map(|(_, case)| case)).into_iter().collect();
    assert!(never.is_empty(), "fields that no case sets: {never:?}");
    let compiled = cases.iter().filter_map(|(name, case)| Some((name.clone(), case.compile().ok()?.config)));
    let accepted: Vec<_> = compiled.collect();
    assert!(accepted.len() >= ACCEPTED, "only {} of {CASES} compile", accepted.len());
    assert_accepted("compiled tenants", &accepted, CASES - accepted.len());
}

/// Single settings of every section, as a tenant may add them: of the thousands that the schema has, a part.
#[test]
fn point_10_openclaw_accepts_what_the_schema_and_the_rules_accept() {
    const EVERY: usize = 37;
    let schema = serde_json::from_str(openclaw_schema(SUPPORTED_VERSIONS[0]).unwrap()).unwrap();
    let mut base = rules().remove(0).config;
    // One agent answers every channel, without a binding.
    merge(&mut base, &json!({"agents": {"entries": {"ops": null}}, "bindings": null}));
    let mut accepted = Vec::new();
    let mut refused = 0;
    for setting in settings(&schema).into_iter().step_by(EVERY) {
        let mut config = base.clone();
        merge(&mut config, &setting.change);
        if config_violations(&config).is_empty() {
            accepted.push((setting.path, config.to_string()));
        } else {
            refused += 1;
        }
    }
    assert!(accepted.len() >= 300, "{}", accepted.len());
    assert_accepted("single settings", &accepted, refused);
}
