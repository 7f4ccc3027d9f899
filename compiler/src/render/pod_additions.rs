//! What a tenant adds to its Pod and to the gateway's environment. Pure.
//!
//! [`crate::policy`] has refused what is the operator's, so nothing here replaces anything.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    ConfigMapEnvSource, ConfigMapKeySelector, Container, EnvFromSource, EnvVar, EnvVarSource,
    LocalObjectReference, PodSpec, PodTemplateSpec, SecretEnvSource, Volume, VolumeMount,
};
use kr8tiv_crds::pod_template::{ExtraVolume, PodTemplate, Variable, VariableSource, VariablesSource};
use kr8tiv_crds::tenant::Gateway;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::render::pod_parts::{from_secret, mount, plain};

/// Adds everything.
pub(super) fn add(gateway: &Gateway, template: &mut PodTemplateSpec) {
    let wanted = &gateway.pod_template;
    let metadata = template.metadata.get_or_insert_default();
    merge(&wanted.labels, metadata.labels.get_or_insert_default());
    if !wanted.annotations.is_empty() {
        merge(&wanted.annotations, metadata.annotations.get_or_insert_default());
    }
    let Some(spec) = &mut template.spec else { return };
    place(wanted, spec);
    spec.affinity = wanted.affinity.clone().and_then(object);
    spec.topology_spread_constraints = list(&wanted.topology_spread_constraints);
    spec.volumes.get_or_insert_default().extend(wanted.volumes.iter().map(volume));
    for container in &mut spec.containers {
        container.volume_mounts.get_or_insert_default().extend(wanted.volumes.iter().map(volume_mount));
        environment(gateway, container);
    }
}

/// Adds what every Pod of the tenant's needs: on which nodes it runs and how its image is pulled.
pub(super) fn place(wanted: &PodTemplate, spec: &mut PodSpec) {
    spec.node_selector = (!wanted.node_selector.is_empty()).then(|| wanted.node_selector.clone());
    spec.tolerations = list(&wanted.tolerations);
    spec.runtime_class_name.clone_from(&wanted.runtime_class_name);
    spec.priority_class_name.clone_from(&wanted.priority_class_name);
    let pull: Vec<_> = wanted
        .image_pull_secrets
        .iter()
        .map(|secret| LocalObjectReference { name: secret.name.clone() })
        .collect();
    spec.image_pull_secrets = (!pull.is_empty()).then_some(pull);
}

/// Names of the operator's own labels and annotations are not taken over, whatever was said of them.
fn merge(wanted: &BTreeMap<String, String>, into: &mut BTreeMap<String, String>) {
    for (name, value) in wanted {
        into.entry(name.clone()).or_insert_with(|| value.clone());
    }
}

fn list<T: DeserializeOwned>(values: &[Value]) -> Option<Vec<T>> {
    let values: Vec<T> =
        values.iter().filter_map(|value| serde_json::from_value(value.clone()).ok()).collect();
    (!values.is_empty()).then_some(values)
}

fn object<T: DeserializeOwned>(value: Map<String, Value>) -> Option<T> {
    serde_json::from_value(Value::Object(value)).ok()
}

fn volume_name(volume: &ExtraVolume) -> String {
    // The operator's own volumes begin otherwise.
    format!("extra-{}", volume.name)
}

fn volume(wanted: &ExtraVolume) -> Volume {
    Volume {
        name: volume_name(wanted),
        config_map: wanted.config_map.clone().and_then(object),
        empty_dir: wanted.empty_dir.clone().and_then(object),
        persistent_volume_claim: wanted.persistent_volume_claim.clone().and_then(object),
        ..Volume::default()
    }
}

fn volume_mount(wanted: &ExtraVolume) -> VolumeMount {
    VolumeMount {
        sub_path: wanted.sub_path.clone(),
        read_only: wanted.read_only.then_some(true),
        ..mount(&volume_name(wanted), &wanted.mount_path)
    }
}

fn environment(gateway: &Gateway, container: &mut Container) {
    container.env.get_or_insert_default().extend(gateway.env.iter().map(variable));
    let from: Vec<_> = gateway
        .env_from
        .iter()
        .map(|VariablesSource { prefix, secret_ref, config_map_ref }| EnvFromSource {
            prefix: Some(prefix.clone()),
            secret_ref: secret_ref
                .as_ref()
                .map(|secret| SecretEnvSource { name: secret.name.clone(), optional: Some(secret.optional) }),
            config_map_ref: config_map_ref
                .as_ref()
                .map(|map| ConfigMapEnvSource { name: map.name.clone(), optional: Some(map.optional) }),
        })
        .collect();
    container.env_from = (!from.is_empty()).then_some(from);
}

fn variable(Variable { name, value, value_from }: &Variable) -> EnvVar {
    match value_from {
        Some(VariableSource { secret_key_ref: Some(secret), .. }) => from_secret(name, secret),
        Some(VariableSource { config_map_key_ref: Some(map), .. }) => EnvVar {
            name: name.clone(),
            value: None,
            value_from: Some(EnvVarSource {
                config_map_key_ref: Some(ConfigMapKeySelector {
                    name: map.name.clone(),
                    key: map.key.clone(),
                    optional: Some(false),
                }),
                ..EnvVarSource::default()
            }),
        },
        // kubelet replaces $(NAME), and $$ by $: a value of the tenant's is a text.
        _ => plain(name, value.as_deref().unwrap_or_default().replace('$', "$$")),
    }
}
