//! The kinds that are read, with their schemas. Pure.

use std::sync::OnceLock;

use kr8tiv_crds::definitions;
use kube_cel::{CompiledSchema, compile_schema};
use serde_json::{Value, json};

/// The API's group.
pub const GROUP: &str = "kr8tiv.ai";

/// A kind of the API.
#[derive(Debug)]
pub struct Kind {
    /// Its name, such as `Tenant`.
    pub name: String,
    /// Its name in paths of the API, such as `tenants`.
    pub plural: String,
    /// Its group and version.
    pub api_version: String,
    /// The schema of the definition, as the API server has it.
    pub schema: Value,
    /// The same with what the API server adds: the fields that every object has. What an object says of its own
    /// status is left out by the API server, so it is not judged.
    pub object_schema: Value,
    /// The rules of the schema, compiled.
    pub rules: CompiledSchema,
}

/// All kinds, in the order of the definitions.
pub fn all() -> &'static [Kind] {
    static KINDS: OnceLock<Vec<Kind>> = OnceLock::new();
    KINDS.get_or_init(|| {
        let definitions = definitions::all().into_iter();
        definitions
            .flat_map(|definition| {
                let spec = definition.spec;
                let (group, name, plural) = (spec.group, spec.names.kind, spec.names.plural);
                let stored = spec.versions.into_iter().filter(|version| version.served);
                stored.map(move |version| {
                    // A schema is plain data: it can be written as JSON.
                    let schema = version.schema.and_then(|schema| schema.open_api_v3_schema);
                    let schema = serde_json::to_value(schema).unwrap_or_default();
                    Kind {
                        name: name.clone(),
                        plural: plural.clone(),
                        api_version: format!("{group}/{}", version.name),
                        object_schema: with_common_fields(&schema),
                        rules: compile_schema(&schema),
                        schema,
                    }
                })
            })
            .collect()
    })
}

/// The kind of that name and version.
pub fn find(name: &str, api_version: &str) -> Option<&'static Kind> {
    all().iter().find(|kind| kind.name == name && kind.api_version == api_version)
}

fn with_common_fields(schema: &Value) -> Value {
    let mut schema = schema.clone();
    schema["properties"]["apiVersion"] = json!({"type": "string"});
    schema["properties"]["kind"] = json!({"type": "string"});
    schema["properties"]["metadata"] = metadata();
    schema["properties"]["status"] = json!({"x-kubernetes-preserve-unknown-fields": true, "nullable": true});
    if let Some(required) = schema["required"].as_array_mut() {
        required.push("metadata".into());
    }
    schema
}

/// The metadata that every object has, as far as users write them; the rest is the API server's.
fn metadata() -> Value {
    let label = r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$";
    let any = json!({"x-kubernetes-preserve-unknown-fields": true, "nullable": true});
    json!({
        "type": "object",
        "description": "Name, namespace, labels and annotations.",
        "required": ["name"],
        "properties": {
            "name": {
                "type": "string", "minLength": 1, "maxLength": 253,
                "pattern": r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
                "description": "The object's name, unique in its namespace.",
            },
            "namespace": {
                "type": "string", "maxLength": 63, "pattern": r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$",
                "description": "The namespace; the command's or the context's when it is not set.",
            },
            "labels": {
                "type": "object",
                "description": "Labels, by which objects are selected.",
                "additionalProperties": {"type": "string", "maxLength": 63, "pattern": label},
            },
            "annotations": {
                "type": "object",
                "description": "Notes for people and programs.",
                "additionalProperties": {"type": "string"},
            },
            "finalizers": {"type": "array", "items": {"type": "string"}},
            "uid": {"type": "string"},
            "creationTimestamp": any, "deletionGracePeriodSeconds": any, "deletionTimestamp": any,
            "generateName": any, "generation": any, "managedFields": any, "ownerReferences": any,
            "resourceVersion": any, "selfLink": any,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keywords that the stages of reading judge, and those that only describe.
    const KEYWORDS: [&str; 33] = [
        "additionalProperties",
        "allOf",
        "anyOf",
        "default",
        "description",
        "enum",
        "example",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "format",
        "items",
        "maxItems",
        "maxLength",
        "maxProperties",
        "maximum",
        "minItems",
        "minLength",
        "minProperties",
        "minimum",
        "multipleOf",
        "not",
        "nullable",
        "oneOf",
        "pattern",
        "properties",
        "required",
        "title",
        "type",
        "x-kubernetes-int-or-string",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-list-type",
        "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-validations",
    ];

    fn unknown_keywords(schema: &Value, found: &mut Vec<String>) {
        let Some(keywords) = schema.as_object() else { return };
        for (keyword, value) in keywords {
            if !KEYWORDS.contains(&keyword.as_str()) {
                found.push(keyword.clone());
            }
            match keyword.as_str() {
                "properties" => {
                    value.as_object().into_iter().flatten().for_each(|(_, it)| unknown_keywords(it, found));
                }
                "items" | "additionalProperties" | "not" => unknown_keywords(value, found),
                "allOf" | "anyOf" | "oneOf" => {
                    value.as_array().into_iter().flatten().for_each(|it| unknown_keywords(it, found));
                }
                _ => {}
            }
        }
    }

    #[test]
    fn every_keyword_of_the_schemas_is_judged() {
        assert!(all().len() >= 3);
        for kind in all() {
            let mut found = Vec::new();
            unknown_keywords(&kind.object_schema, &mut found);
            assert_eq!(found, [""; 0], "{}: nothing judges these", kind.name);
        }
    }

    #[test]
    fn metadata_has_every_field_that_kubernetes_has() {
        let object = k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
            annotations: Some([].into()),
            creation_timestamp: None,
            finalizers: Some(vec![]),
            generate_name: Some(String::new()),
            labels: Some([].into()),
            name: Some(String::new()),
            namespace: Some(String::new()),
            owner_references: Some(vec![]),
            managed_fields: Some(vec![]),
            generation: Some(1),
            resource_version: Some(String::new()),
            self_link: Some(String::new()),
            uid: Some(String::new()),
            deletion_grace_period_seconds: Some(1),
            deletion_timestamp: None,
        };
        let object = serde_json::to_value(object).unwrap();
        for (name, _) in object.as_object().unwrap() {
            assert!(metadata()["properties"].get(name).is_some(), "{name}");
        }
    }
}
