//! Which fields of a Pod a Compose file takes over. Pure.

use k8s_openapi::api::core::v1::{Container, PodSpec};
use serde::Serialize;
use serde_json::Value;

/// The fields of a Pod that are taken over, or that mean nothing outside a cluster, each with all that is below it.
/// A `*` stands for every element of a list.
const POD: &[&str] = &[
    "affinity",
    "automountServiceAccountToken",
    "dnsPolicy",
    "enableServiceLinks",
    "imagePullSecrets",
    "nodeSelector",
    "priorityClassName",
    "schedulerName",
    "securityContext.fsGroup",
    "securityContext.fsGroupChangePolicy",
    "securityContext.runAsGroup",
    "securityContext.runAsNonRoot",
    "securityContext.runAsUser",
    "securityContext.seccompProfile.type",
    "serviceAccountName",
    "terminationGracePeriodSeconds",
    "tolerations",
    "topologySpreadConstraints",
    "volumes.*.configMap.name",
    "volumes.*.configMap.optional",
    "volumes.*.emptyDir",
    "volumes.*.name",
    "volumes.*.persistentVolumeClaim.claimName",
];
/// The same of a container.
const CONTAINER: &[&str] = &[
    "args",
    "command",
    "env.*.name",
    "env.*.value",
    "env.*.valueFrom.configMapKeyRef",
    "env.*.valueFrom.secretKeyRef",
    "image",
    "imagePullPolicy",
    "livenessProbe",
    "name",
    "ports.*.containerPort",
    "ports.*.name",
    "ports.*.protocol",
    "readinessProbe",
    "resources.limits.cpu",
    "resources.limits.memory",
    // A share of the processors can't be set aside on one machine.
    "resources.requests.cpu",
    "resources.requests.memory",
    "restartPolicy",
    "securityContext.allowPrivilegeEscalation",
    "securityContext.capabilities",
    "securityContext.readOnlyRootFilesystem",
    "securityContext.runAsGroup",
    "securityContext.runAsNonRoot",
    "securityContext.runAsUser",
    "startupProbe",
    "terminationMessagePolicy",
    "volumeMounts.*.mountPath",
    "volumeMounts.*.name",
    "volumeMounts.*.readOnly",
    "volumeMounts.*.subPath",
    "workingDir",
];

/// The fields of a Pod, but not of its containers, that are not taken over.
pub(super) fn left_out_of_pod(spec: &PodSpec) -> Vec<String> {
    let without = PodSpec { containers: Vec::new(), init_containers: None, ..spec.clone() };
    left_out(&without, POD)
}

/// The fields of a container that are not taken over.
pub(super) fn left_out_of_container(container: &Container) -> Vec<String> {
    left_out(container, CONTAINER)
}

fn left_out<T: Serialize>(object: &T, carried: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    // Kubernetes types have text keys and plain values: they can always be written as JSON.
    let value = serde_json::to_value(object).unwrap_or_default();
    walk(&value, String::new(), "", carried, &mut found);
    found
}

/// `path` is where `value` stands, `pattern` the same with `*` instead of positions.
fn walk(value: &Value, path: String, pattern: &str, carried: &[&str], found: &mut Vec<String>) {
    if carried.contains(&pattern) {
        return;
    }
    match value {
        Value::Object(map) if !map.is_empty() => {
            let dot = if path.is_empty() { "" } else { "." };
            for (key, value) in map {
                walk(value, format!("{path}{dot}{key}"), &format!("{pattern}{dot}{key}"), carried, found);
            }
        }
        Value::Array(list) => {
            for (position, value) in list.iter().enumerate() {
                walk(value, format!("{path}[{position}]"), &format!("{pattern}.*"), carried, found);
            }
        }
        _ => found.push(path),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_taken_over_is_named_by_its_path() {
        let spec: PodSpec = serde_json::from_value(json!({
            "containers": [{"name": "gateway", "lifecycle": {}}],
            "hostNetwork": true,
            "nodeSelector": {"disk": "fast"},
            "securityContext": {"runAsUser": 1000, "sysctls": [{"name": "a", "value": "b"}]},
            "volumes": [
                {"name": "a", "emptyDir": {}},
                {"name": "b", "csi": {"driver": "x"}},
                {"name": "c", "configMap": {"name": "c", "items": []}},
            ],
        }))
        .unwrap();
        assert_eq!(
            left_out_of_pod(&spec),
            [
                "hostNetwork",
                "securityContext.sysctls[0].name",
                "securityContext.sysctls[0].value",
                "volumes[1].csi.driver",
            ]
        );
        assert_eq!(left_out_of_container(&spec.containers[0]), ["lifecycle"]);
    }
}
