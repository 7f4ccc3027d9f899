//! What a tenant adds to its Pod and to the gateway's environment: nothing of the operator's, nothing that the API server
//! would drop, and no name that it would refuse. What else it refuses of a Pod, it says when the Pod is applied. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use k8s_openapi::api::core::v1::{
    Affinity, ConfigMapVolumeSource, EmptyDirVolumeSource, PersistentVolumeClaimVolumeSource, Toleration,
    TopologySpreadConstraint,
};
use kr8tiv_crds::meta;
use kr8tiv_crds::pod_template::{ExtraVolume, PodTemplate, Variable, VariableSource, VariablesSource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::channels::accounts;
use crate::diagnostics::{Code, Diagnostics};
use crate::names::{LABEL_FIX, is_key, is_label_value, is_subdomain};
use crate::openclaw::providers::key_variable;
use crate::policy::Findings;
use crate::render::object_names::is_claim_name;
use crate::resolve::Resolved;

/// Labels of a Pod that the operator, or the StatefulSet controller, sets.
const LABELS: [&str; 7] = [
    meta::MANAGED_BY,
    meta::NAME,
    meta::INSTANCE,
    meta::COMPONENT,
    "controller-revision-hash",
    "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
];
/// What belongs to the operator begins so.
const OWN_DOMAIN: &str = "kr8tiv.ai/";
/// Variables that the operator sets, or that would change which program runs.
const VARIABLES: [&str; 7] = ["BASH_ENV", "ENV", "HOME", "NODE_OPTIONS", "NODE_PATH", "PATH", "SHELL"];
/// The same of variables that begin so.
const VARIABLE_PREFIXES: [&str; 13] = [
    "GIT_",
    "OPENSSL_",
    "OPENCLAW_",
    "KR8TIV_",
    "MISSION_CONTROL_",
    "NPM_",
    "npm_",
    "XDG_",
    "LD_",
    "DISCORD_",
    "SLACK_",
    "TELEGRAM_",
    "WHATSAPP_",
];
/// Below these a volume can be mounted: nothing that the operator or OpenClaw needs is there, but for [`TRUST`].
const MOUNT_ROOTS: [&str; 4] = ["/mnt", "/srv", "/opt", "/etc/ssl"];
/// What the image's programs trust, and how they are told so: another authority is added beside it.
const TRUST: [&str; 3] = ["/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/ssl/private"];

/// Checks what a tenant adds.
pub(super) fn check(resolved: &Resolved<'_>, diagnostics: &mut Diagnostics) {
    let mut findings = Findings { object: &resolved.tenant.object, diagnostics };
    let gateway = &resolved.tenant.spec.gateway;
    template(&gateway.pod_template, &mut findings);
    let of_ingress = gateway.ingress.iter().flat_map(|ingress| ingress.annotations.keys());
    for annotation in of_ingress.filter(|annotation| is_own(annotation)) {
        let field = format!("spec.gateway.ingress.annotations[{annotation}]");
        let (problem, fix) = ("this annotation is the operator's", "use another annotation");
        findings.add(Code::PodFieldProtected, field, problem, fix);
    }
    variables(resolved, &mut findings);
}

fn template(template: &PodTemplate, findings: &mut Findings<'_>) {
    // Without `..`: a new field must not go unchecked.
    let PodTemplate {
        labels,
        annotations,
        node_selector,
        tolerations,
        affinity,
        topology_spread_constraints,
        runtime_class_name,
        priority_class_name,
        image_pull_secrets,
        volumes,
        other,
    } = template;
    let at = "spec.gateway.podTemplate";
    for field in other.keys() {
        findings.add(
            Code::PodFieldProtected,
            format!("{at}.{field}"),
            "this part of the Pod is the operator's",
            "remove it; a Tenant may add labels, annotations, nodeSelector, tolerations, affinity, \
             topologySpreadConstraints, runtimeClassName, priorityClassName, imagePullSecrets and volumes",
        );
    }
    for label in labels.keys().filter(|label| is_own(label) || LABELS.contains(&label.as_str())) {
        let problem = "this label is the operator's: Services and policies find the Pod by it";
        findings.add(Code::PodFieldProtected, format!("{at}.labels[{label}]"), problem, "use another label");
    }
    for annotation in annotations.keys().filter(|annotation| is_own(annotation) || is_security(annotation)) {
        let problem = "this annotation is the operator's";
        let fix = "use another annotation";
        findings.add(Code::PodFieldProtected, format!("{at}.annotations[{annotation}]"), problem, fix);
    }
    for (field, labels) in [("labels", labels), ("nodeSelector", node_selector)] {
        for (name, value) in labels.iter().filter(|(name, value)| !is_key(name) || !is_label_value(value)) {
            let problem = format!("{name}={value} can't be a label");
            findings.add(Code::PodTemplateInvalid, format!("{at}.{field}[{name}]"), problem, LABEL_FIX);
        }
    }
    // In these the API server lets capitals stand also where a label's key has none.
    for name in annotations.keys().filter(|name| !is_key(&name.to_ascii_lowercase())) {
        let problem = "this can't be the key of an annotation";
        findings.add(Code::PodTemplateInvalid, format!("{at}.annotations[{name}]"), problem, LABEL_FIX);
    }
    let classes = [("runtimeClassName", runtime_class_name), ("priorityClassName", priority_class_name)];
    for (field, name) in classes {
        object_name(&format!("{at}.{field}"), name.as_deref(), findings);
    }
    for (position, secret) in image_pull_secrets.iter().enumerate() {
        object_name(&format!("{at}.imagePullSecrets[{position}].name"), Some(&secret.name), findings);
    }
    for (position, value) in tolerations.iter().enumerate() {
        fits::<Toleration>(&format!("{at}.tolerations[{position}]"), value, findings);
    }
    for (position, value) in topology_spread_constraints.iter().enumerate() {
        fits::<TopologySpreadConstraint>(
            &format!("{at}.topologySpreadConstraints[{position}]"),
            value,
            findings,
        );
    }
    if let Some(affinity) = affinity {
        fits::<Affinity>(&format!("{at}.affinity"), &Value::Object(affinity.clone()), findings);
    }
    let (mut names, mut paths) = (BTreeSet::new(), BTreeSet::new());
    for (position, volume) in volumes.iter().enumerate() {
        let at = format!("{at}.volumes[{position}]");
        if !names.insert(&volume.name) || !paths.insert(Path::new(&volume.mount_path)) {
            let problem = "another volume has this name, or this mountPath";
            findings.add(Code::PodTemplateInvalid, at.clone(), problem, "give each its own");
        }
        self::volume(&at, volume, findings);
    }
}

/// Checks the name of an object that is not the operator's.
fn object_name(at: &str, name: Option<&str>, findings: &mut Findings<'_>) {
    if let Some(name) = name.filter(|name| !is_subdomain(name)) {
        let problem = format!("no object can be called {name:?}");
        findings.add(
            Code::PodTemplateInvalid,
            at,
            problem,
            "use a-z, 0-9, '-' and '.', a letter or digit first, last and beside each '.', at most 253 characters",
        );
    }
}

fn is_own(name: &str) -> bool {
    name.starts_with(OWN_DOMAIN)
}

/// Settings of security that were annotations once, and may still be heeded.
fn is_security(name: &str) -> bool {
    name.split('/')
        .next()
        .is_some_and(|domain| domain.contains("security.") && domain.ends_with("kubernetes.io"))
}

fn volume(at: &str, volume: &ExtraVolume, findings: &mut Findings<'_>) {
    let ExtraVolume {
        name: _,
        mount_path,
        sub_path,
        read_only: _,
        config_map,
        empty_dir,
        persistent_volume_claim,
        other,
    } = volume;
    for kind in other.keys() {
        findings.add(
            Code::PodFieldProtected,
            format!("{at}.{kind}"),
            "this is no kind of volume that a Tenant may add",
            "use configMap, emptyDir or persistentVolumeClaim; for a Secret, gateway.env",
        );
    }
    let kinds = [config_map, empty_dir, persistent_volume_claim];
    if other.is_empty() && kinds.iter().filter(|kind| kind.is_some()).count() != 1 {
        let fix = "set exactly one of configMap, emptyDir and persistentVolumeClaim";
        findings.add(Code::PodTemplateInvalid, at, "it has no kind, or several", fix);
    }
    let is_plain =
        |path: &str| path.split('/').all(|part| part != ".." && part != ".") && !path.contains(':');
    let path = Path::new(mount_path);
    let is_below = |root: &&str| path.strip_prefix(root).is_ok_and(|rest| rest.components().next().is_some());
    let is_trust = TRUST.iter().any(|trusted| path.starts_with(trusted));
    if !is_plain(mount_path) || !MOUNT_ROOTS.iter().any(is_below) || is_trust {
        findings.add(
            Code::PodTemplateInvalid,
            format!("{at}.mountPath"),
            format!("nothing can be mounted at {mount_path}"),
            "use a path below /mnt, /srv or /opt, or one of your own below /etc/ssl",
        );
    }
    if sub_path.as_ref().is_some_and(|path| path.starts_with('/') || !is_plain(path)) {
        let problem = "it leads out of the volume";
        findings.add(
            Code::PodTemplateInvalid,
            format!("{at}.subPath"),
            problem,
            "use a path within the volume",
        );
    }
    let named = |object: &Option<Map<String, Value>>, key| {
        object.as_ref().and_then(|object| object.get(key)?.as_str().map(str::to_owned))
    };
    object_name(&format!("{at}.configMap.name"), named(config_map, "name").as_deref(), findings);
    let claim = named(persistent_volume_claim, "claimName");
    let claim_at = format!("{at}.persistentVolumeClaim.claimName");
    object_name(&claim_at, claim.as_deref(), findings);
    if claim.is_some_and(|name| is_claim_name(&name)) {
        let problem =
            "claims called <tenant id>-state are tenants' own volumes, with their conversations and sign-ins";
        findings.add(
            Code::PodFieldProtected,
            claim_at,
            problem,
            "use a claim of your own, under another name",
        );
    }
    let value = |object: &Option<_>| object.clone().map(Value::Object);
    if let Some(source) = value(config_map) {
        fits::<ConfigMapVolumeSource>(&format!("{at}.configMap"), &source, findings);
    }
    if let Some(source) = value(empty_dir) {
        fits::<EmptyDirVolumeSource>(&format!("{at}.emptyDir"), &source, findings);
    }
    if let Some(source) = value(persistent_volume_claim) {
        fits::<PersistentVolumeClaimVolumeSource>(&format!("{at}.persistentVolumeClaim"), &source, findings);
    }
}

/// Whether a value is one of the type, with nothing that the type does not have: that would be dropped silently.
fn fits<T: DeserializeOwned + Serialize>(at: &str, value: &Value, findings: &mut Findings<'_>) {
    let (field, problem) = match serde_json::from_value::<T>(value.clone()) {
        Err(error) => (at.to_owned(), format!("it is not as in a Pod: {error}")),
        Ok(read) => match lost(value, &serde_json::to_value(read).unwrap_or_default(), at) {
            Some(field) => (field, "a Pod has no such field".to_owned()),
            None => return,
        },
    };
    findings.add(Code::PodTemplateInvalid, field, problem, "write it as in a Pod (kubectl explain pod.spec)");
}

/// The first field of `given` that is not in `taken`.
fn lost(given: &Value, taken: &Value, at: &str) -> Option<String> {
    match given {
        Value::Object(fields) => {
            fields.iter().filter(|(_, value)| !value.is_null()).find_map(|(name, value)| {
                let at = format!("{at}.{name}");
                match taken.get(name) {
                    None => Some(at),
                    Some(taken) => lost(value, taken, &at),
                }
            })
        }
        Value::Array(list) => list.iter().enumerate().find_map(|(position, value)| {
            lost(value, taken.get(position).unwrap_or(&Value::Null), &format!("{at}[{position}]"))
        }),
        _ => None,
    }
}

fn variables(resolved: &Resolved<'_>, findings: &mut Findings<'_>) {
    let spec = resolved.tenant.spec;
    let tokens = accounts(&spec.channels).into_iter().flat_map(|account| account.credentials);
    let mut taken: BTreeMap<String, String> =
        tokens.map(|token| (token.variable.clone(), "the token of a channel".to_owned())).collect();
    taken.extend(spec.model_credentials.iter().map(|credential| {
        (key_variable(&credential.provider), format!("the key of the model provider {}", credential.provider))
    }));
    let mut seen = BTreeSet::new();
    for (position, Variable { name, value, value_from }) in spec.gateway.env.iter().enumerate() {
        let at = format!("spec.gateway.env[{position}]");
        if let Some(what) = taken.get(name) {
            let problem = format!("{name} is {what} already");
            findings.add(Code::VariableOwned, format!("{at}.name"), problem, "remove it here");
        } else if is_owned(name) {
            let problem = format!("{name} is the operator's to set");
            let fix = "remove it; what OpenClaw can be told by its configuration goes into gateway.config";
            findings.add(Code::VariableOwned, format!("{at}.name"), problem, fix);
        }
        if !seen.insert(name) {
            let problem = format!("there is another variable {name}");
            findings.add(Code::VariableInvalid, format!("{at}.name"), problem, "keep one of the two");
        }
        let sources =
            value_from.as_ref().map_or(0, |VariableSource { secret_key_ref, config_map_key_ref }| {
                usize::from(secret_key_ref.is_some()) + usize::from(config_map_key_ref.is_some())
            });
        if usize::from(value.is_some()) + sources != 1 || (value_from.is_some() && sources == 0) {
            let fix = "set exactly one of value, valueFrom.secretKeyRef and valueFrom.configMapKeyRef";
            findings.add(Code::VariableInvalid, at, "it has no value, or several", fix);
        }
    }
    for (position, VariablesSource { prefix, secret_ref, config_map_ref }) in
        spec.gateway.env_from.iter().enumerate()
    {
        let at = format!("spec.gateway.envFrom[{position}]");
        let may_become_own =
            VARIABLES.iter().chain(&VARIABLE_PREFIXES).any(|own| own.starts_with(prefix.as_str()))
                || taken.keys().any(|own| own.starts_with(prefix.as_str()));
        if is_owned(prefix) || may_become_own {
            findings.add(
                Code::VariableOwned,
                format!("{at}.prefix"),
                format!("with {prefix:?} in front, a key can become a variable of the operator's"),
                "use another prefix, such as APP_",
            );
        }
        if secret_ref.is_some() == config_map_ref.is_some() {
            let fix = "set exactly one of secretRef and configMapRef";
            findings.add(Code::VariableInvalid, at, "it has no source, or several", fix);
        }
    }
}

fn is_owned(name: &str) -> bool {
    VARIABLES.contains(&name) || VARIABLE_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_would_be_dropped_is_found() {
        let taken = json!({"a": {"b": [{"c": 1}]}});
        assert_eq!(lost(&json!({"a": {"b": [{"c": 1}]}, "n": null}), &taken, "x"), None);
        assert_eq!(lost(&json!({"a": {"b": [{"d": 1}]}}), &taken, "x").as_deref(), Some("x.a.b[0].d"));
        assert_eq!(lost(&json!({"z": 1}), &taken, "x").as_deref(), Some("x.z"));
    }

    #[test]
    fn whose_a_variable_is() {
        for own in [
            "HOME",
            "OPENCLAW_X",
            "NODE_OPTIONS",
            "LD_PRELOAD",
            "SLACK_APP_TOKEN",
            "KR8TIV_STATUS_TOKEN",
            "ENV",
        ] {
            assert!(is_owned(own), "{own}");
        }
        for free in
            ["HTTPS_PROXY", "NODE_EXTRA_CA_CERTS", "BRAVE_API_KEY", "HOMEPAGE", "ENVIRONMENT", "GITHUB_TOKEN"]
        {
            assert!(!is_owned(free), "{free}");
        }
        assert!(is_security("container.apparmor.security.beta.kubernetes.io/gateway"));
        assert!(!is_security("cluster-autoscaler.kubernetes.io/safe-to-evict"));
    }
}
