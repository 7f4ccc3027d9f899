//! Which namespaces' Tenants may use a Harness. Types only.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which namespaces' Tenants may use a Harness.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(self.from == 'Selector') == has(self.matchLabels)")
        .message("matchLabels goes with from: Selector, and from: Selector needs matchLabels")
)]
pub struct Sharing {
    /// From where Tenants may refer to the Harness.
    #[serde(default)]
    #[schemars(default)]
    pub from: SharedFrom,
    /// Labels that a namespace must have, with `from: Selector`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "labels_schema")]
    pub match_labels: Option<BTreeMap<String, String>>,
}

/// From where Tenants may refer to a Harness.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum SharedFrom {
    /// From the Harness's own namespace.
    #[default]
    Same,
    /// From every namespace.
    All,
    /// From its own namespace and those with certain labels.
    Selector,
}

fn labels_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "object",
        "minProperties": 1,
        "maxProperties": 16,
        "additionalProperties": {"type": "string", "maxLength": 63}
    })
}
