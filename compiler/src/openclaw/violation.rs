//! What is wrong with an `openclaw.json`, and how the checks find their way through one. Pure.

use serde_json::Value;

/// One thing that OpenClaw would refuse, or would take and then do something else than was meant.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Violation {
    /// Where it is, in OpenClaw's own notation: keys and positions with dots between them, such as
    /// `agents.entries.desk.model`. Empty for the whole file.
    pub path: String,
    /// What is wrong, without the value where that may be a secret.
    pub message: String,
}

/// Sorted, each once.
pub(super) fn in_order(mut violations: Vec<Violation>) -> Vec<Violation> {
    violations.sort();
    violations.dedup();
    violations
}

/// A place in a configuration. What is not there can be asked as well: it has no value and nothing below it.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    pub(super) path: String,
    pub(super) value: Option<&'a Value>,
}

impl<'a> Place<'a> {
    /// The whole file.
    pub(super) fn root(config: &'a Value) -> Self {
        Self { path: String::new(), value: Some(config) }
    }

    /// The place below this one that a path of keys leads to.
    pub(super) fn at(&self, keys: &str) -> Self {
        keys.split('.').fold(self.clone(), |place, key| place.child(key))
    }

    /// The place directly below that a key leads to; it may contain dots.
    pub(super) fn child(&self, key: &str) -> Self {
        let value = self.value.and_then(Value::as_object).and_then(|map| map.get(key));
        Self { path: self.join(key), value }
    }

    /// What an object holds, by key. Empty for anything else.
    pub(super) fn entries(&self) -> Vec<(&'a str, Self)> {
        let entries = self.value.and_then(Value::as_object).into_iter().flatten();
        entries
            .map(|(key, value)| (key.as_str(), Self { path: self.join(key), value: Some(value) }))
            .collect()
    }

    /// What an array holds. Empty for anything else.
    pub(super) fn items(&self) -> Vec<Self> {
        let items = self.value.and_then(Value::as_array).into_iter().flatten().enumerate();
        items
            .map(|(position, value)| Self { path: self.join(&position.to_string()), value: Some(value) })
            .collect()
    }

    /// The text of a string.
    pub(super) fn text(&self) -> Option<&'a str> {
        self.value.and_then(Value::as_str)
    }

    /// The text of a string in which more than blanks stands.
    pub(super) fn word(&self) -> Option<&'a str> {
        self.text().map(str::trim).filter(|text| !text.is_empty())
    }

    /// Whether this is `true`.
    pub(super) fn is_true(&self) -> bool {
        self.value == Some(&Value::Bool(true))
    }

    /// Whether this is `false`.
    pub(super) fn is_false(&self) -> bool {
        self.value == Some(&Value::Bool(false))
    }

    /// Whether there is something.
    pub(super) fn is_set(&self) -> bool {
        self.value.is_some()
    }

    /// Whether this is an array that holds something.
    pub(super) fn has_items(&self) -> bool {
        self.value.and_then(Value::as_array).is_some_and(|items| !items.is_empty())
    }

    /// A violation at this place.
    pub(super) fn violation(&self, message: impl Into<String>) -> Violation {
        Violation { path: self.path.clone(), message: message.into() }
    }

    fn join(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}
