//! `schema`: the kinds' schemas for editors. Pure.
//!
//! A resource type's schema is written in the dialect of Kubernetes: `nullable`, and unknown fields refused by a rule of its own. Editors
//! know JSON Schema (draft 7): the same is said in its words.

use serde_json::{Map, Value, json};

use crate::input::kinds::{self, Kind};

const DIALECT: &str = "http://json-schema.org/draft-07/schema#";

/// The schema of a kind by its name, such as `Tenant`; `None` when there is no such kind.
pub fn of_kind(name: &str) -> Option<Value> {
    let kind = kinds::all().iter().find(|kind| kind.name == name)?;
    let mut schema = json!({"$schema": DIALECT, "title": kind.name});
    extend(&mut schema, object(kind));
    Some(schema)
}

/// One schema for files that hold any of the kinds, and objects of others.
pub fn of_all() -> Value {
    let conditions = kinds::all().iter().map(|kind| {
        json!({
            "if": {"properties": {"apiVersion": {"const": kind.api_version}, "kind": {"const": kind.name}},
                   "required": ["apiVersion", "kind"]},
            "then": object(kind),
        })
    });
    json!({
        "$schema": DIALECT,
        "title": "Harness, Tenant or Agent",
        "type": ["object", "null"],
        "allOf": conditions.collect::<Vec<_>>(),
    })
}

fn extend(schema: &mut Value, with: Value) {
    if let (Some(schema), Value::Object(with)) = (schema.as_object_mut(), with) {
        schema.extend(with);
    }
}

fn object(kind: &Kind) -> Value {
    let mut schema = kind.object_schema.clone();
    schema["properties"]["apiVersion"] = json!({"type": "string", "enum": [kind.api_version]});
    schema["properties"]["kind"] = json!({"type": "string", "enum": [kind.name]});
    // What users don't write is not proposed to them.
    schema["properties"]["status"] = json!({"description": "Written by the operator.", "type": "object",
        "x-kubernetes-preserve-unknown-fields": true});
    schema["required"] = json!(["apiVersion", "kind", "metadata", "spec"]);
    translated(&schema)
}

fn translated(schema: &Value) -> Value {
    let Some(keywords) = schema.as_object() else { return schema.clone() };
    let mut result = Map::new();
    for (keyword, value) in keywords {
        match keyword.as_str() {
            "properties" => {
                let fields = value.as_object().into_iter().flatten();
                let fields = fields.map(|(name, schema)| (name.clone(), translated(schema))).collect();
                result.insert(keyword.clone(), Value::Object(fields));
            }
            "items" | "additionalProperties" | "not" => {
                result.insert(keyword.clone(), translated(value));
            }
            "allOf" | "anyOf" | "oneOf" => {
                let branches = value.as_array().into_iter().flatten().map(translated).collect();
                result.insert(keyword.clone(), Value::Array(branches));
            }
            // `exclusiveMinimum: true` beside a `minimum` is of an older draft; ours is without.
            "exclusiveMinimum" | "exclusiveMaximum" | "format" | "nullable" => {}
            _ if keyword.starts_with("x-kubernetes-") => {}
            _ => {
                result.insert(keyword.clone(), value.clone());
            }
        }
    }
    if schema["x-kubernetes-int-or-string"] == true {
        result.insert("type".into(), json!(["integer", "string"]));
    }
    let takes_all = schema["x-kubernetes-preserve-unknown-fields"] == true;
    if schema.get("properties").is_some() && schema.get("additionalProperties").is_none() && !takes_all {
        result.insert("additionalProperties".into(), false.into());
    }
    if schema["nullable"] == true {
        nullable(&mut result);
    }
    Value::Object(result)
}

fn nullable(schema: &mut Map<String, Value>) {
    if let Some(types) = schema.get_mut("type") {
        let mut all: Vec<Value> = match types.take() {
            Value::Array(all) => all,
            one => vec![one],
        };
        all.push("null".into());
        *types = Value::Array(all);
    }
    if let Some(choices) = schema.get_mut("enum").and_then(Value::as_array_mut)
        && !choices.contains(&Value::Null)
    {
        choices.push(Value::Null);
    }
}
