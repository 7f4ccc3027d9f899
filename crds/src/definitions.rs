//! The CustomResourceDefinitions, as manifests. Pure.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{CustomResourceExt, ResourceExt};

use crate::{Agent, Harness, Tenant};

/// The definitions of all kinds, in the order in which a reader meets them.
pub fn all() -> Vec<CustomResourceDefinition> {
    vec![Harness::crd(), Tenant::crd(), Agent::crd()]
}

/// File name of a definition below `crds/yaml/` and in the chart.
pub fn file_name(definition: &CustomResourceDefinition) -> String {
    format!("{}.yaml", definition.name_any())
}
