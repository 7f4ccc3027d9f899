//! Which fields of two JSON documents differ, and how they are shown. Pure.

use std::collections::BTreeSet;

use kr8tiv_crds::Quantity;
use kr8tiv_crds::meta;
use serde_json::{Map, Value};

use super::FieldChange;
use crate::openclaw::reload::Effect;

/// What stands for a value that looks like a secret.
const HIDDEN: &str = "(hidden)";

/// Ends of names, in small letters, whose texts are taken for secrets. References to secrets are objects.
const SECRET_NAMES: &[&str] = &[
    "apikey",
    "authorization",
    "credential",
    "credentials",
    "identitydata",
    "passphrase",
    "password",
    "privatekey",
    "secret",
    "token",
];

/// Fields by which the entries of a list of objects are told apart, the more telling first.
const LIST_KEYS: &[&str] = &["mountPath", "name", "containerPort", "port", "uid"];

/// Parts of paths of amounts.
const AMOUNTS: &[&str] = &[".limits.", ".requests.", ".sizeLimit"];

/// Changed paths of `openclaw.json`. Lists count as a whole; an object that is new or gone does too, unless `divides`
/// says that its keys are judged one by one.
pub(super) fn config(old: &Value, new: &Value, divides: &dyn Fn(&str) -> bool) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    config_below(Some(old), Some(new), "", divides, &mut changes);
    changes
}

fn config_below(
    old: Option<&Value>,
    new: Option<&Value>,
    path: &str,
    divides: &dyn Fn(&str) -> bool,
    changes: &mut Vec<FieldChange>,
) {
    if old == new {
        return;
    }
    let (old_fields, new_fields) = (old.and_then(Value::as_object), new.and_then(Value::as_object));
    let is_divided = match (old_fields, new_fields) {
        (Some(_), Some(_)) => true,
        (None, None) => false,
        _ => divides(path),
    };
    if !is_divided {
        let name = path.rsplit('.').next().unwrap_or_default();
        changes.push(change(path.to_owned(), name, old, new));
        return;
    }
    for key in keys(old_fields, new_fields) {
        let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let (old, new) = (get(old_fields, key), get(new_fields, key));
        config_below(old, new, &below, divides, changes);
    }
}

/// Changed fields of an object of Kubernetes, each with its effect.
pub(super) fn object(old: &Value, new: &Value) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    object_below(Some(old), Some(new), "", "", &mut changes);
    for change in &mut changes {
        if replaces_pods(&change.path) && !is_sandbox(new) {
            change.effect = Effect::Restart;
        }
    }
    changes
}

/// Whether a change of a workload's field ends its Pods.
pub(super) fn replaces_pods(path: &str) -> bool {
    path == "spec.replicas" || is_of_pods(path)
}

/// Whether a field is of a workload's Pods: with another value they are other Pods.
pub(super) fn is_of_pods(path: &str) -> bool {
    ["spec.template.", "spec.template["].iter().any(|prefix| path.starts_with(prefix))
}

/// Whether an object is of a sandbox: the gateway goes on without it.
pub(super) fn is_sandbox(object: &Value) -> bool {
    object["metadata"]["labels"][meta::COMPONENT] == meta::SANDBOX
}

/// `name` is what the value is called; an entry's `value` is called as the entry.
fn object_below(
    old: Option<&Value>,
    new: Option<&Value>,
    path: &str,
    name: &str,
    changes: &mut Vec<FieldChange>,
) {
    match (old, new) {
        (Some(old), Some(new)) if old == new || is_same_amount(path, old, new) => {}
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            for key in keys(Some(old), Some(new)) {
                let name = if key == "value" { name } else { key };
                object_below(old.get(key), new.get(key), &field_path(path, key), name, changes);
            }
        }
        (Some(Value::Array(old_entries)), Some(Value::Array(new_entries))) => {
            match list_key(old_entries, new_entries) {
                Some(key) => entries_below(key, old_entries, new_entries, path, changes),
                None => changes.push(change(path.to_owned(), name, old, new)),
            }
        }
        _ => changes.push(change(path.to_owned(), name, old, new)),
    }
}

fn entries_below(key: &str, old: &[Value], new: &[Value], path: &str, changes: &mut Vec<FieldChange>) {
    let labels = |entries: &[Value]| entries.iter().map(|entry| entry[key].clone()).collect::<Vec<_>>();
    let (old_labels, new_labels) = (labels(old), labels(new));
    let stayed = |labels: &[Value], others: &[Value]| -> Vec<Value> {
        labels.iter().filter(|label| others.contains(label)).cloned().collect()
    };
    if stayed(&old_labels, &new_labels) != stayed(&new_labels, &old_labels) {
        // The same entries in another order, which init containers are started in.
        let (old, new) = (Value::from(old_labels.clone()), Value::from(new_labels.clone()));
        changes.push(change(path.to_owned(), "", Some(&old), Some(&new)));
    }
    let gone = old_labels.iter().filter(|label| !new_labels.contains(label));
    for label in new_labels.iter().chain(gone) {
        let name = label.as_str().map_or_else(|| label.to_string(), str::to_owned);
        let (old, new) = (entry(old, key, label), entry(new, key, label));
        object_below(old, new, &format!("{path}[{name}]"), &name, changes);
    }
}

/// The entry of a list that a key tells apart.
pub(super) fn entry<'a>(entries: &'a [Value], key: &str, label: &Value) -> Option<&'a Value> {
    entries.iter().find(|entry| entry[key] == *label)
}

/// The field by which the entries of two versions of a list are told apart: every entry has it, none twice.
pub(super) fn list_key(old: &[Value], new: &[Value]) -> Option<&'static str> {
    let identifies = |entries: &[Value], key: &str| {
        let labels: Option<BTreeSet<String>> = entries
            .iter()
            .map(|entry| entry.get(key).filter(|label| label.is_string() || label.is_number()))
            .map(|label| label.map(Value::to_string))
            .collect();
        labels.is_some_and(|labels| labels.len() == entries.len())
    };
    let is_list = !(old.is_empty() && new.is_empty());
    LIST_KEYS.iter().copied().find(|key| is_list && identifies(old, key) && identifies(new, key))
}

/// Whether two texts are the same amount: the API server writes `1.5Gi` as `1536Mi`.
fn is_same_amount(path: &str, old: &Value, new: &Value) -> bool {
    let amount = |value: &Value| value.as_str().and_then(|text| Quantity(text.to_owned()).milli_units());
    let is_amount = AMOUNTS.iter().any(|field| path.contains(field));
    is_amount && amount(old).is_some_and(|old| Some(old) == amount(new))
}

fn get<'a>(fields: Option<&'a Map<String, Value>>, key: &str) -> Option<&'a Value> {
    fields.and_then(|fields| fields.get(key))
}

fn keys<'a>(
    old: Option<&'a Map<String, Value>>,
    new: Option<&'a Map<String, Value>>,
) -> BTreeSet<&'a String> {
    old.into_iter().chain(new).flat_map(Map::keys).collect()
}

fn field_path(path: &str, key: &str) -> String {
    let is_plain = key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    match (is_plain, path.is_empty()) {
        (true, true) => key.to_owned(),
        (true, false) => format!("{path}.{key}"),
        (false, _) => format!("{path}[{key}]"),
    }
}

fn change(path: String, name: &str, old: Option<&Value>, new: Option<&Value>) -> FieldChange {
    let is_text =
        |value: Option<&Value>| value.and_then(Value::as_str).is_some_and(|text| text.contains('\n'));
    let shown = |value: Option<&Value>| value.map(|value| shown(name, value));
    let (old, new) = if is_text(old) || is_text(new) { (None, None) } else { (shown(old), shown(new)) };
    FieldChange { path, old, new, effect: Effect::None }
}

/// A value as it may be shown.
fn shown(name: &str, value: &Value) -> Value {
    match value {
        Value::String(_) if is_secret(name) => Value::from(HIDDEN),
        Value::Array(entries) => entries.iter().map(|entry| shown(name, entry)).collect(),
        Value::Object(fields) => {
            let entry_name = fields.get("name").and_then(Value::as_str).unwrap_or(name);
            let shown = fields.iter().map(|(key, value)| {
                (key.clone(), shown(if key == "value" { entry_name } else { key }, value))
            });
            Value::Object(shown.collect())
        }
        _ => value.clone(),
    }
}

fn is_secret(name: &str) -> bool {
    let letters: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    let letters = letters.to_ascii_lowercase();
    SECRET_NAMES.iter().any(|end| letters.ends_with(end))
}
