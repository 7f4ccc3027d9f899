//! The CustomResourceDefinitions, as manifests. Pure.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{CustomResourceDefinition, JSON};
use kube::{CustomResourceExt, ResourceExt};
use serde_json::json;

use crate::{Agent, Harness, Tenant};

/// The definitions of all kinds, in the order in which a reader meets them.
pub fn all() -> Vec<CustomResourceDefinition> {
    vec![Harness::crd(), Tenant::crd(), Agent::crd()].into_iter().map(unobserved_at_first).collect()
}

/// Gives new objects a status of no generation. kstatus takes an object without any status for one that is as it should
/// be: whoever waits would be told so before the operator has looked at it.
fn unobserved_at_first(mut definition: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut definition.spec.versions {
        let schema = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut());
        let properties = schema.and_then(|schema| schema.properties.as_mut());
        if let Some(status) = properties.and_then(|properties| properties.get_mut("status")) {
            status.default = Some(JSON(json!({"observedGeneration": -1})));
        }
    }
    definition
}

/// File name of a definition below `crds/yaml/` and in the chart.
pub fn file_name(definition: &CustomResourceDefinition) -> String {
    format!("{}.yaml", definition.name_any())
}
