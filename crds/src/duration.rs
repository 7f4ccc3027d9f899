//! A length of time (`90s`, `5m`), as Go and so Kubernetes write it. Pure.

use std::time;

pub use kube::core::Duration;
use schemars::{Schema, SchemaGenerator, json_schema};

/// What the API server accepts as a duration of ours: whole numbers with units, never negative.
const PATTERN: &str = r"^([0-9]{1,9}(ms|s|m|h)){1,4}$";

/// Makes a duration of whole seconds.
pub const fn seconds(seconds: u64) -> time::Duration {
    time::Duration::from_secs(seconds)
}

/// A duration as people write it, its parts from hours down: `1h30m`.
pub fn text(duration: Duration) -> String {
    let millis = time::Duration::from(duration).as_millis();
    let parts = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
    let mut rest = millis;
    let mut text = if duration.is_negative() { String::from("-") } else { String::new() };
    for (unit, length) in parts {
        if rest >= length {
            text.push_str(&format!("{}{unit}", rest / length));
            rest %= length;
        }
    }
    if millis == 0 { "0s".into() } else { text }
}

/// The schema of a duration: a string, with the pattern that keeps CEL's `duration()` from failing.
pub(crate) fn schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "maxLength": 40, "pattern": PATTERN})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_they_are_written() {
        for text_ in ["1h30m", "10s", "24h", "15m", "1m500ms", "0s"] {
            assert_eq!(text(text_.parse().unwrap()), text_);
        }
        assert_eq!(text("90s".parse().unwrap()), "1m30s");
    }
}
