//! The JSON schema of `openclaw.json`, as OpenClaw itself prints it, and what it finds in a configuration. Pure.
//!
//! Source: `openclaw config schema`, written into `compiler/schema` by `dev/openclaw-schema`; a test compares. The
//! schema knows the form of every key; what a key means beside others is in [`super::rules`].

mod explain;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use jsonschema::{Draft, Validator};
use serde_json::Value;

use super::violation::{Violation, in_order};

const SCHEMA_2026_9_6: &str = include_str!("../../schema/openclaw-2026.9.6.json");

/// The JSON schema (draft 7) of a release's `openclaw.json`. `None` for a release that the compiler doesn't know.
pub fn schema(version: &str) -> Option<&'static str> {
    (version == "2026.9.6").then_some(SCHEMA_2026_9_6)
}

/// What the schema is made into once per process: 20 ms and 15 MB, of which a check then takes 10 µs.
struct Compiled {
    validator: Validator,
    channels: BTreeSet<String>,
}

static COMPILED: LazyLock<Result<Compiled, String>> = LazyLock::new(|| {
    let schema = document()?;
    let channels = schema.pointer("/properties/channels/properties").and_then(Value::as_object);
    let channels = channels.into_iter().flatten().map(|(name, _)| name.clone()).collect();
    let validator = jsonschema::options()
        .with_draft(Draft::Draft7)
        .should_validate_formats(true)
        .build(&schema)
        .map_err(|error| error.to_string())?;
    Ok(Compiled { validator, channels })
});

/// What the schema does not allow in a configuration.
pub(crate) fn violations(config: &Value) -> Vec<Violation> {
    let compiled = match &*COMPILED {
        Ok(compiled) => compiled,
        Err(reason) => {
            let message = format!("the compiler's own schema of OpenClaw can't be used: {reason}");
            return vec![Violation { path: String::new(), message }];
        }
    };
    let mut errors = compiled.validator.iter_errors(config).peekable();
    if errors.peek().is_none() {
        return Vec::new();
    }
    // Read again instead of kept: which keys there are is asked only when one is wrong.
    let schema = document().unwrap_or_default();
    in_order(errors.flat_map(|error| explain::explain(&error, &schema)).collect())
}

/// The ids of the channels that the release knows, whether in the package or in a plugin of its own.
pub(super) fn is_channel(id: &str) -> bool {
    // The last is for OpenClaw's own tests.
    const NOT_CHANNELS: &[&str] = &["defaults", "modelByChannel", "qa-channel"];
    !NOT_CHANNELS.contains(&id)
        && COMPILED.as_ref().is_ok_and(|compiled: &Compiled| compiled.channels.contains(id))
}

fn document() -> Result<Value, String> {
    serde_json::from_str(SCHEMA_2026_9_6).map_err(|error| error.to_string())
}
