//! A length of time (`90s`, `5m`), as Go and so Kubernetes write it. Types only.

use std::time;

pub use kube::core::Duration;
use schemars::{Schema, SchemaGenerator, json_schema};

/// What the API server accepts as a duration of ours: whole numbers with units, never negative.
const PATTERN: &str = r"^([0-9]{1,9}(ms|s|m|h)){1,4}$";

/// Makes a duration of whole seconds.
pub const fn seconds(seconds: u64) -> time::Duration {
    time::Duration::from_secs(seconds)
}

/// The schema of a duration: a string, with the pattern that keeps CEL's `duration()` from failing.
pub(crate) fn schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "maxLength": 40, "pattern": PATTERN})
}
