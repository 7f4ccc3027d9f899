//! The table of what can be wrong in an `openclaw.json`, `tests/openclaw-rules.yaml`.

#![allow(clippy::unwrap_used, reason = "a test ends here")]
#![allow(dead_code, reason = "each test uses a part of this module")]

use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    base: Value,
    cases: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    case: String,
    change: Value,
    at: Option<String>,
    openclaw: Verdict,
}

/// What `openclaw config validate` does.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Refuses,
    Warns,
    Accepts,
}

/// One example.
pub struct Rule {
    pub name: String,
    pub config: Value,
    /// Where the compiler finds fault.
    pub at: Option<String>,
    pub openclaw: Verdict,
}

/// Every example.
pub fn rules() -> Vec<Rule> {
    let table: Table = serde_saphyr::from_str(include_str!("../openclaw-rules.yaml")).unwrap();
    let rule = |row: Row| {
        let mut config = table.base.clone();
        merge(&mut config, &row.change);
        Rule { name: row.case, config, at: row.at, openclaw: row.openclaw }
    };
    table.cases.into_iter().map(rule).collect()
}

/// JSON Merge Patch, RFC 7396.
pub fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else { return };
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else {
            merge(target.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}
