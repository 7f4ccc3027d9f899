//! Values that know where they are written. Types, and what is asked of them; pure.

use std::collections::BTreeSet;
use std::ops::Range;

use serde_json::Value as Json;

use crate::input::scalar::Scalar;

/// A value and where it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// The bytes it is written in; empty for a value that is left out.
    pub span: Range<usize>,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A single value.
    Scalar(Scalar),
    /// Values in order.
    List(Vec<Node>),
    /// Values by key, in the order in which they are written.
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The bytes of the key.
    pub key_span: Range<usize>,
    /// The value.
    pub value: Node,
}

impl Node {
    /// The entries of a map; of everything else none.
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The values of a list; of everything else none.
    pub fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// A map's entry.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The text below a path of keys.
    pub fn text(&self, path: &[&str]) -> Option<&str> {
        let node = path.iter().try_fold(self, |node, key| node.entry(key).map(|entry| &entry.value))?;
        match &node.value {
            Value::Scalar(Scalar::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Whether there is no value.
    pub fn is_null(&self) -> bool {
        self.value == Value::Scalar(Scalar::Null)
    }

    /// The value as JSON, with single values that begin at one of these bytes as they are written in `text`.
    pub fn to_json_with_texts(&self, text: &str, texts: &BTreeSet<usize>) -> Json {
        match &self.value {
            Value::Scalar(_) if texts.contains(&self.span.start) => {
                text.get(self.span.clone()).unwrap_or_default().into()
            }
            Value::Scalar(_) => self.to_json(),
            Value::List(items) => items.iter().map(|item| item.to_json_with_texts(text, texts)).collect(),
            Value::Map(entries) => {
                let fields =
                    entries.iter().map(|it| (it.key.clone(), it.value.to_json_with_texts(text, texts)));
                fields.collect()
            }
        }
    }

    /// The value as JSON.
    pub fn to_json(&self) -> Json {
        match &self.value {
            Value::Scalar(Scalar::Null) => Json::Null,
            Value::Scalar(Scalar::Bool(value)) => Json::Bool(*value),
            Value::Scalar(Scalar::Number(value)) => Json::Number(value.clone()),
            Value::Scalar(Scalar::Text(text)) => Json::String(text.clone()),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(entries) => {
                entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect()
            }
        }
    }

    /// How many values there are in it, itself included.
    pub fn count(&self) -> usize {
        match &self.value {
            Value::Scalar(_) => 1,
            Value::List(items) => 1 + items.iter().map(Self::count).sum::<usize>(),
            Value::Map(entries) => 1 + entries.iter().map(|entry| entry.value.count()).sum::<usize>(),
        }
    }
}
