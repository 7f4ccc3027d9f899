//! Defaulting stage, pure: what the API server makes of an object before it stores it. The same steps in the same
//! order: nulls where none may be are taken out, and then defaults are filled in, those of a default included.

use serde_json::Value;

/// Takes out nulls that their fields do not take and that no default replaces, then fills in defaults.
pub fn apply(schema: &Value, object: &mut Value) {
    prune_nulls(schema, object);
    fill_in(schema, object);
}

fn is_unwanted_null(schema: &Value, value: &Value) -> bool {
    value.is_null() && schema.is_object() && schema["nullable"] != Value::Bool(true)
}

fn schema_of<'a>(schema: &'a Value, name: &str) -> &'a Value {
    let declared = &schema["properties"][name];
    if declared.is_null() { &schema["additionalProperties"] } else { declared }
}

fn prune_nulls(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, value| {
                let schema = schema_of(schema, name);
                !is_unwanted_null(schema, value) || schema.get("default").is_some()
            });
            for (name, value) in fields {
                prune_nulls(schema_of(schema, name), value);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| prune_nulls(&schema["items"], item)),
        _ => {}
    }
}

fn fill_in(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
                let Some(default) = schema.get("default") else { continue };
                if fields.get(name).is_none_or(|value| is_unwanted_null(schema, value)) {
                    fields.insert(name.clone(), default.clone());
                }
            }
            for (name, value) in fields {
                let schema = schema_of(schema, name);
                if is_unwanted_null(schema, value)
                    && let Some(default) = schema.get("default")
                {
                    *value = default.clone();
                }
                fill_in(schema, value);
            }
        }
        Value::Array(items) => {
            for item in items {
                let schema = &schema["items"];
                if is_unwanted_null(schema, item)
                    && let Some(default) = schema.get("default")
                {
                    *item = default.clone();
                }
                fill_in(schema, item);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn defaults_are_those_of_the_api_server() {
        let schema = json!({"properties": {
            "a": {"type": "object", "default": {}, "properties": {"b": {"type": "integer", "default": 1}}},
            "c": {"type": "string", "default": "x"},
            "d": {"type": "string", "nullable": true, "default": "x"},
            "e": {"type": "string"},
            "f": {"type": "string", "nullable": true},
            "g": {"type": "array", "items": {"properties": {"h": {"type": "boolean", "default": true}}}},
            "i": {"type": "object", "additionalProperties": {"type": "string"}},
        }});
        let mut object =
            json!({"c": null, "d": null, "e": null, "f": null, "g": [{}, {"h": false}], "i": {"j": null}});
        apply(&schema, &mut object);
        let expected =
            json!({"a": {"b": 1}, "c": "x", "d": null, "f": null, "g": [{"h": true}, {"h": false}], "i": {}});
        assert_eq!(object, expected);
    }
}
