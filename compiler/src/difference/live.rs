//! What counts of a live object: the fields that a bundle sets, and those that were applied for it before. Pure.
//!
//! `managedFields` is the API server's own account of who set what, in the format of
//! `sigs.k8s.io/structured-merge-diff`: `f:NAME` is a field, `k:KEYS` the entry of a list with these keys, `v:VALUE`
//! that value in a set; an empty object is a field without parts.

use serde_json::{Map, Value};

use super::fields;

/// The part of a live object that a field manager set or `planned` sets.
pub(super) fn restrict(live: &Value, planned: &Value, manager: &str) -> Value {
    let owned: Vec<&Value> = live
        .pointer("/metadata/managedFields")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter(|entry| entry["manager"] == manager)
        .filter_map(|entry| entry.get("fieldsV1"))
        .collect();
    part(live, Some(planned), &owned).unwrap_or_default()
}

/// `None` when nothing of a value counts.
fn part(live: &Value, planned: Option<&Value>, owned: &[&Value]) -> Option<Value> {
    let is_whole = owned.iter().any(|owned| owned.as_object().is_some_and(Map::is_empty));
    match live {
        _ if planned.is_none() && owned.is_empty() => None,
        _ if planned.is_none() && is_whole => Some(live.clone()),
        // A map that is applied as a whole, such as a selector: the API server adds nothing to it.
        Value::Object(_) if is_whole && planned.is_some_and(has_fields) => Some(live.clone()),
        Value::Object(fields) => {
            let kept = fields.iter().filter_map(|(name, value)| {
                let owned = below(owned, &format!("f:{name}"));
                Some((name.clone(), part(value, planned.and_then(|planned| planned.get(name)), &owned)?))
            });
            Some(Value::Object(kept.collect()))
        }
        Value::Array(entries) => {
            let planned_entries = planned.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let Some(key) = fields::list_key(entries, planned_entries) else {
                return Some(list_without_keys(entries, planned_entries));
            };
            let kept = entries.iter().filter_map(|entry| {
                let planned = fields::entry(planned_entries, key, &entry[key]);
                let owned: Vec<&Value> = owned
                    .iter()
                    .filter_map(|owned| owned.as_object())
                    .flatten()
                    .filter(|(name, _)| is_entry(name, entry))
                    .map(|(_, owned)| owned)
                    .collect();
                part(entry, planned, &owned)
            });
            Some(Value::Array(kept.collect()))
        }
        _ => Some(live.clone()),
    }
}

fn has_fields(value: &Value) -> bool {
    value.as_object().is_some_and(|fields| !fields.is_empty())
}

/// Nobody knows who set what within such a list: of equally long ones, an entry's fields that `planned` sets count.
fn list_without_keys(entries: &[Value], planned: &[Value]) -> Value {
    if entries.len() != planned.len() {
        return Value::from(entries);
    }
    entries.iter().zip(planned).filter_map(|(entry, planned)| part(entry, Some(planned), &[])).collect()
}

fn below<'a>(owned: &[&'a Value], name: &str) -> Vec<&'a Value> {
    owned.iter().filter_map(|owned| owned.get(name)).collect()
}

/// Whether `k:KEYS` means an entry of a list.
fn is_entry(name: &str, entry: &Value) -> bool {
    let keys = name.strip_prefix("k:").and_then(|keys| serde_json::from_str::<Map<String, Value>>(keys).ok());
    keys.is_some_and(|keys| keys.iter().all(|(key, value)| entry.get(key) == Some(value)))
}
