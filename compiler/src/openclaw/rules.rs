//! What the schema of `openclaw.json` does not say: keys that must agree with each other, notations that OpenClaw
//! reads with code of its own, and what OpenClaw takes without a word and then does something else with. Pure.
//!
//! Sources: the package's own validator and the gateway's start (`dist/`), and runs of both. The table
//! `compiler/tests/openclaw-rules.yaml` has an example of every rule with OpenClaw's answer; a test asks it.

mod agents;
mod channels;
mod formats;
mod gateway;
mod models;
mod secrets;
mod servers;
mod tools;
mod values;

use serde_json::Value;

use super::violation::{Place, Violation, in_order};

/// What is wrong with a configuration that the schema allows.
pub(crate) fn violations(config: &Value) -> Vec<Violation> {
    let root = Place::root(config);
    let mut found = Vec::new();
    for check in [
        agents::check,
        channels::check,
        gateway::check,
        models::check,
        secrets::check,
        servers::check,
        tools::check,
        values::check,
    ] {
        check(&root, &mut found);
    }
    in_order(found)
}
