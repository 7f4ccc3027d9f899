//! `docs/reference.md` is what the types say. `UPDATE=1 cargo test -p kr8tiv-crds` writes it anew.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::{fs, path::Path};

use kr8tiv_crds::definitions::all;
use kr8tiv_crds::status::{ConditionType, Reason};
use kr8tiv_crds::{Agent, Harness, Tenant};
use schemars::{JsonSchema, schema_for};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const INTRODUCTION: &str = "\
<!-- Generated from crds/src by `UPDATE=1 cargo test -p kr8tiv-crds`. Edit the types, not this file. -->
# Reference of the resource types

Three kinds in the group `kr8tiv.ai`, version `v1alpha1`, all of them in a namespace. What they are for is in
[concepts.md](concepts.md); the same texts are on the command line, for example `kubectl explain tenants.spec.gateway`.

How to read the tables:
- `a.b` is a field `b` in `a`, and `a[].b` a field of each entry of the list `a`. **Required** fields are marked.
- *Filled in* means: when the whole object is left out, it is made of its fields' defaults.
- A field that is not listed does not exist: with `--validate=strict`, kubectl's default, the API server refuses it.
- A *rule* is checked by the API server when an object is written. A rule on changes holds the old object against
  the new one. What needs a look at other objects is checked by the operator: [diagnostics.md](diagnostics.md).
";

#[test]
fn the_reference_equals_the_types() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference.md");
    let text = reference();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &text).unwrap();
    }
    assert!(
        fs::read_to_string(&path).unwrap_or_default() == text,
        "{} is not what the types say: run UPDATE=1 cargo test -p kr8tiv-crds",
        path.display()
    );
}

#[test]
fn nothing_is_undocumented() {
    let text = reference();
    for line in text.lines().filter(|line| line.starts_with('|')) {
        assert!(!line.ends_with("|  |"), "no documentation: {line}");
    }
}

fn reference() -> String {
    let mut values = BTreeMap::new();
    for schema in [schema_for!(Harness), schema_for!(Tenant), schema_for!(Agent)] {
        for (_, definition) in schema.get("$defs").and_then(Value::as_object).into_iter().flatten() {
            let documented = documented_values(definition);
            values.insert(documented.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(), documented);
        }
    }
    let mut text = INTRODUCTION.to_owned();
    for definition in all() {
        text.push_str(&kind(&serde_json::to_value(&definition).unwrap(), &values));
    }
    text.push_str("\n## Conditions\n");
    text.push_str(
        "\nEvery condition has the `observedGeneration` that it speaks of. `Ready`, `Reconciling` and `Stalled` follow\n\
         kstatus, so that Flux, Argo CD and `kubectl wait` understand them. What to do about each reason is in\n\
         [operations.md](operations.md#troubleshooting).\n",
    );
    text.push_str(&named_values("Condition", ConditionType::as_str));
    text.push_str("\nThe list of reasons is closed; alerts and scripts may rely on it.\n");
    text.push_str(&named_values("Reason", Reason::as_str));
    text
}

type Values = BTreeMap<Vec<String>, Vec<(String, String)>>;

/// The values of an enumeration with their documentation; the CRD itself has no room for the latter.
fn documented_values(schema: &Value) -> Vec<(String, String)> {
    let variants = schema["oneOf"].as_array().into_iter().flatten();
    variants.filter_map(|variant| Some((variant["const"].as_str()?.to_owned(), doc(variant)))).collect()
}

fn named_values<T: JsonSchema + DeserializeOwned>(title: &str, written: fn(T) -> &'static str) -> String {
    let rows = documented_values(schema_for!(T).as_value());
    assert!(!rows.is_empty());
    for (name, _) in &rows {
        assert_eq!(written(serde_json::from_value(json!(name)).unwrap()), name);
    }
    table(&[title, "Meaning"], rows.into_iter().map(|(name, doc)| vec![code(&name), doc]))
}

fn kind(definition: &Value, values: &Values) -> String {
    let names = &definition["spec"]["names"];
    let version = &definition["spec"]["versions"][0];
    let schema = &version["schema"]["openAPIV3Schema"];
    let mut text = format!(
        "\n## {}\n\n{}\n\n`{}` (short `{}`), category `{}`.\n",
        string(&names["kind"]),
        doc(schema),
        string(&definition["metadata"]["name"]),
        string(&names["shortNames"][0]),
        string(&names["categories"][0]),
    );
    for part in ["spec", "status"] {
        let (mut fields, mut rules) = (Vec::new(), Vec::new());
        if part == "spec" {
            collect_rules("metadata", schema, &mut rules);
        }
        walk(part, &schema["properties"][part], values, &mut fields, &mut rules);
        let _ = write!(text, "\n### {} {part}\n", string(&names["kind"]));
        let mut titles = vec!["Field", "Type", "Default", "Bounds", "Meaning"];
        if part == "status" {
            // Nobody but the operator writes a status.
            for row in &mut fields {
                row.drain(2..4);
            }
            titles.drain(2..4);
        }
        text.push_str(&table(&titles, fields));
        if !rules.is_empty() {
            text.push_str("\nRules:\n");
            text.push_str(&table(&["Where", "When", "Message"], rules));
        }
    }
    let columns = version["additionalPrinterColumns"].as_array().into_iter().flatten().map(|column| {
        let wide = if column["priority"].as_i64().unwrap_or(0) > 0 { "`-o wide`" } else { "always" };
        vec![string(&column["name"]).to_uppercase(), wide.to_owned(), code(string(&column["jsonPath"]))]
    });
    let _ = write!(text, "\n### {} columns of `kubectl get`\n", string(&names["kind"]));
    text.push_str(&table(&["Column", "Shown", "Value"], columns));
    text
}

/// Adds the fields below `schema`, each before its own fields, in the order of the alphabet.
fn walk(
    path: &str,
    schema: &Value,
    values: &Values,
    rows: &mut Vec<Vec<String>>,
    rules: &mut Vec<Vec<String>>,
) {
    collect_rules(path, schema, rules);
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        let default = match (&field["default"], required.contains(&name.as_str())) {
            (_, true) => "**required**".to_owned(),
            (Value::Null, _) => String::new(),
            (Value::Object(_), _) => "filled in".to_owned(),
            (value, _) => code(&value.to_string()),
        };
        let meaning = doc(field);
        let chosen = enumeration(field).or_else(|| enumeration(&field["items"]));
        let known = chosen.and_then(|names| values.get(&names)).into_iter().flatten();
        let choices: Vec<String> = known.map(|(name, doc)| format!("<br>{}: {doc}", code(name))).collect();
        rows.push(vec![code(&path), type_of(field), default, bounds(field), meaning + &choices.concat()]);
        walk(&path, field, values, rows, rules);
        if field["items"].is_object() {
            walk(&format!("{path}[]"), &field["items"], values, rows, rules);
        }
    }
}

fn collect_rules(path: &str, schema: &Value, rules: &mut Vec<Vec<String>>) {
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        let when = if string(&rule["rule"]).contains("oldSelf") { "on changes" } else { "always" };
        rules.push(vec![code(path), when.to_owned(), cell(string(&rule["message"]))]);
    }
}

fn enumeration(schema: &Value) -> Option<Vec<String>> {
    let values = schema["enum"].as_array()?;
    Some(values.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

fn type_of(schema: &Value) -> String {
    if schema["x-kubernetes-int-or-string"] == true {
        return "quantity".into();
    }
    if let Some(values) = enumeration(schema) {
        return values.iter().map(|value| code(value)).collect::<Vec<_>>().join(", ");
    }
    match (string(&schema["type"]), string(&schema["format"])) {
        ("array", _) => format!("list of {}", type_of(&schema["items"])),
        ("string", "date-time") => "time".into(),
        (name, _) => name.into(),
    }
}

fn bounds(schema: &Value) -> String {
    let mut bounds = Vec::new();
    let range = |low: &str, high: &str, unit: &str| match (schema[low].as_f64(), schema[high].as_f64()) {
        (None, None) => None,
        (None, Some(high)) => Some(format!("at most {high}{unit}")),
        (Some(low), None) => Some(format!("at least {low}{unit}")),
        (Some(low), Some(high)) => Some(format!("{low} to {high}{unit}")),
    };
    bounds.extend(range("minLength", "maxLength", " characters"));
    bounds.extend(range("minItems", "maxItems", " entries"));
    bounds.extend(range("minimum", "maximum", ""));
    let keys: Vec<&str> = schema["x-kubernetes-list-map-keys"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if !keys.is_empty() {
        bounds.push(format!("unique by {}", code(&keys.join(", "))));
    }
    if let Some(pattern) = schema["pattern"].as_str() {
        bounds.push(code(pattern));
    }
    let each = bounds_of_entries(&schema["items"]);
    bounds.extend((!each.is_empty()).then(|| format!("each: {each}")));
    bounds.join("; ")
}

/// Entries that are objects have rows of their own.
fn bounds_of_entries(items: &Value) -> String {
    if items.is_object() && items["type"] != "object" { bounds(items) } else { String::new() }
}

fn table(titles: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut text = format!("\n| {} |\n|{}\n", titles.join(" | "), " --- |".repeat(titles.len()));
    for row in rows {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    text
}

fn string(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn doc(schema: &Value) -> String {
    cell(string(&schema["description"]))
}

/// A bar ends a table's cell, also within a code span.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

fn code(text: &str) -> String {
    format!("`{}`", cell(text))
}
