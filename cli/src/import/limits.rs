//! Converting stage, pure: how much a field takes, as its schema says. Nothing here repeats a number of the schema.

use serde_json::Value;

use crate::import::report::Target;
use crate::input::kinds::{self, GROUP};

/// How much a field takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Characters of a text, or of each entry of a list.
    pub characters: usize,
    /// Entries of a list.
    pub entries: usize,
}

/// The limits of a field; without one, as much as there may be.
pub fn of(target: Target) -> Limits {
    let kind = format!("{:?}", target.kind);
    let schema = kinds::find(&kind, &format!("{GROUP}/v1alpha1")).map_or(&Value::Null, |kind| &kind.schema);
    let schema = target.field.split('.').fold(schema, |schema, name| &schema["properties"][name]);
    let number =
        |value: &Value| value.as_u64().and_then(|value| usize::try_from(value).ok()).unwrap_or(usize::MAX);
    let text = if schema["items"].is_object() { &schema["items"] } else { schema };
    Limits { characters: number(&text["maxLength"]), entries: number(&schema["maxItems"]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_the_schemas() {
        let purpose = of(Target::harness("spec.identity.purpose"));
        assert_eq!(purpose, Limits { characters: 2000, entries: usize::MAX });
        let truths = of(Target::harness("spec.soul.coreTruths"));
        assert_eq!(truths, Limits { characters: 1000, entries: 50 });
    }
}
