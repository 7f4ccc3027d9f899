//! What a Tenant adds to its Pod and its configuration: taken over as it is, or refused by name.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod common;

use common::settings::settings;
use common::{Case, small};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use kr8tiv_compiler::compose_file::{ComposeFileError, FILE_NAME, render};
use kr8tiv_compiler::{Bundle, Object, SUPPORTED_VERSIONS, openclaw_schema};
use serde_json::json;

fn with(gateway: &str) -> Case {
    let keys = "modelCredentials: [{provider: anthropic, apiKeySecretRef: {name: s, key: k}}]";
    small::with("", &format!("{keys}\n  gateway: {{{gateway}}}"), &[])
}

fn template(bundle: &Bundle) -> PodTemplateSpec {
    let set = bundle.objects.iter().find_map(|object| match object {
        Object::StatefulSet(set) => set.spec.clone(),
        _ => None,
    });
    set.unwrap().template
}

fn refuses(gateway: &str, field: &str, code: &str) {
    let Err(found) = with(gateway).compile() else { panic!("{gateway}") };
    let found: Vec<_> = found.iter().map(|found| (found.field.as_str(), found.code.as_str())).collect();
    assert_eq!(found, [(format!("spec.gateway.{field}").as_str(), code)], "{gateway}");
}

#[test]
fn what_is_the_operators_is_refused_by_name() {
    for (gateway, field, code) in [
        ("podTemplate: {hostNetwork: true}", "podTemplate.hostNetwork", "K8T0111"),
        ("podTemplate: {securityContext: {}}", "podTemplate.securityContext", "K8T0111"),
        ("podTemplate: {serviceAccountName: x}", "podTemplate.serviceAccountName", "K8T0111"),
        ("podTemplate: {containers: []}", "podTemplate.containers", "K8T0111"),
        ("podTemplate: {initContainers: []}", "podTemplate.initContainers", "K8T0111"),
        ("podTemplate: {spec: {}}", "podTemplate.spec", "K8T0111"),
        (
            "podTemplate: {labels: {app.kubernetes.io/name: x}}",
            "podTemplate.labels[app.kubernetes.io/name]",
            "K8T0111",
        ),
        ("podTemplate: {labels: {kr8tiv.ai/x: x}}", "podTemplate.labels[kr8tiv.ai/x]", "K8T0111"),
        (
            "podTemplate: {annotations: {kr8tiv.ai/rotate-token: x}}",
            "podTemplate.annotations[kr8tiv.ai/rotate-token]",
            "K8T0111",
        ),
        (
            "podTemplate: {volumes: [{name: a, mountPath: /mnt/a, hostPath: {path: /}}]}",
            "podTemplate.volumes[0].hostPath",
            "K8T0111",
        ),
        (
            "podTemplate: {volumes: [{name: a, mountPath: /mnt/a, secret: {secretName: s}}]}",
            "podTemplate.volumes[0].secret",
            "K8T0111",
        ),
        (
            "podTemplate: {volumes: [{name: a, mountPath: /mnt/a, configMap: {name: 'a b'}}]}",
            "podTemplate.volumes[0].configMap.name",
            "K8T0327",
        ),
        ("podTemplate: {labels: {a b: x}}", "podTemplate.labels[a b]", "K8T0327"),
        ("podTemplate: {nodeSelector: {disk: 'fa st'}}", "podTemplate.nodeSelector[disk]", "K8T0327"),
        ("podTemplate: {annotations: {a/b/c: x}}", "podTemplate.annotations[a/b/c]", "K8T0327"),
        ("podTemplate: {runtimeClassName: g_visor}", "podTemplate.runtimeClassName", "K8T0327"),
        ("podTemplate: {imagePullSecrets: [{name: -a}]}", "podTemplate.imagePullSecrets[0].name", "K8T0327"),
        ("podTemplate: {volumes: [{name: a, mountPath: /mnt/a}]}", "podTemplate.volumes[0]", "K8T0327"),
        ("podTemplate: {tolerations: [{kye: a}]}", "podTemplate.tolerations[0].kye", "K8T0327"),
        ("env: [{name: PATH, value: x}]", "env[0].name", "K8T0112"),
        ("env: [{name: LD_PRELOAD, value: x}]", "env[0].name", "K8T0112"),
        ("env: [{name: NODE_OPTIONS, value: x}]", "env[0].name", "K8T0112"),
        ("env: [{name: BASH_ENV, value: x}]", "env[0].name", "K8T0112"),
        ("env: [{name: OPENSSL_CONF, value: x}]", "env[0].name", "K8T0112"),
        ("env: [{name: GIT_SSH_COMMAND, value: x}]", "env[0].name", "K8T0112"),
        ("env: [{name: NPM_CONFIG_REGISTRY, value: x}]", "env[0].name", "K8T0112"),
        ("env: [{name: TELEGRAM_BOT_TOKEN, value: x}]", "env[0].name", "K8T0112"),
        ("env: [{name: ANTHROPIC_API_KEY, value: x}]", "env[0].name", "K8T0112"),
        ("env: [{name: A, value: x}, {name: A, value: z}]", "env[1].name", "K8T0328"),
        ("envFrom: [{prefix: OPEN, secretRef: {name: s}}]", "envFrom[0].prefix", "K8T0112"),
        ("envFrom: [{prefix: ANTHROPIC_, secretRef: {name: s}}]", "envFrom[0].prefix", "K8T0112"),
        ("envFrom: [{prefix: '', secretRef: {name: s}}]", "envFrom[0].prefix", "K8T0112"),
        ("envFrom: [{prefix: APP_}]", "envFrom[0]", "K8T0328"),
    ] {
        refuses(gateway, field, code);
    }
}

#[test]
fn what_can_not_be_mounted_is_refused_by_name() {
    for path in
        ["/home/node/.openclaw", "/mnt/", "/mntx/a", "/mnt/../app", "/etc/ssl//", "/etc/ssl//certs/mine"]
    {
        let gateway = format!("podTemplate: {{volumes: [{{name: a, mountPath: {path}, emptyDir: {{}}}}]}}");
        refuses(&gateway, "podTemplate.volumes[0].mountPath", "K8T0327");
    }
    for path in ["/mnt/a", "/mnt//a", "/mnt/a/"] {
        let volumes = format!(
            "{{name: a, mountPath: /mnt/a, emptyDir: {{}}}}, {{name: b, mountPath: {path}, emptyDir: {{}}}}"
        );
        refuses(&format!("podTemplate: {{volumes: [{volumes}]}}"), "podTemplate.volumes[1]", "K8T0327");
    }
    for (claim, code) in
        [("globex-0a1b2c3d-state", "K8T0111"), ("globex-0A1B2C3D-state", "K8T0327"), ("A_b", "K8T0327")]
    {
        let volume = format!("{{name: a, mountPath: /mnt/a, persistentVolumeClaim: {{claimName: {claim}}}}}");
        let field = "podTemplate.volumes[0].persistentVolumeClaim.claimName";
        refuses(&format!("podTemplate: {{volumes: [{volume}]}}"), field, code);
    }
}

#[test]
fn what_is_added_is_in_the_pod_and_the_rest_stays() {
    let bundle = with(
        "env: [{name: A, value: 'x$(HOME)$$'}, {name: B, valueFrom: {secretKeyRef: {name: mine, key: b}}}], \
         envFrom: [{prefix: APP_, configMapRef: {name: app, optional: true}}], podTemplate: {runtimeClassName: \
         gvisor, labels: {team: blue}, annotations: {Example.com/Team: blue}}",
    )
    .compile()
    .unwrap();
    let plain = with("").compile().unwrap();
    let (with, without) = (template(&bundle), template(&plain));
    let (spec, before) = (with.spec.unwrap(), without.spec.unwrap());
    let (gateway, gateway_before) = (&spec.containers[0], &before.containers[0]);
    let (env, env_before) = (gateway.env.as_ref().unwrap(), gateway_before.env.as_ref().unwrap());
    assert_eq!(env[..env_before.len()], env_before[..]);
    assert_eq!(
        env[env_before.len()].value.as_deref(),
        Some("x$$(HOME)$$$$"),
        "kubelet makes x$(HOME)$$ of it"
    );
    let from = serde_json::to_value(&gateway.env_from).unwrap();
    assert_eq!(from, json!([{"prefix": "APP_", "configMapRef": {"name": "app", "optional": true}}]));
    assert_eq!(spec.init_containers, before.init_containers, "only the gateway has the variables");
    assert_eq!(spec.security_context, before.security_context);
    assert_eq!(spec.runtime_class_name.as_deref(), Some("gvisor"));
    let metadata = with.metadata.unwrap();
    assert_eq!(metadata.annotations.unwrap()["Example.com/Team"], "blue");
    let labels = metadata.labels.unwrap();
    assert!(
        without.metadata.unwrap().labels.unwrap().iter().all(|(name, value)| labels.get(name) == Some(value))
    );

    let named: Vec<_> = bundle.secret_references.iter().map(|reference| reference.field.as_str()).collect();
    assert!(named.contains(&"spec.gateway.env[1].valueFrom.secretKeyRef"), "{named:?}");
}

#[test]
fn what_compose_has_not_is_said_by_name() {
    let case =
        with("envFrom: [{prefix: APP_, secretRef: {name: app}}], podTemplate: {runtimeClassName: gvisor}");
    let ComposeFileError::Unsupported(found) = render(&case.compile().unwrap()).unwrap_err() else {
        panic!()
    };
    let fields: Vec<_> = found.problems.iter().map(|problem| problem.field.as_str()).collect();
    assert!(fields.contains(&"spec.template.spec.runtimeClassName"), "{fields:?}");
    assert!(fields.iter().any(|field| field.contains("containers[0].envFrom[0]")), "{fields:?}");
    let case = with(
        "podTemplate: {volumes: [{name: photos, mountPath: /mnt/photos, persistentVolumeClaim: {claimName: photos}}]}",
    );
    let ComposeFileError::Unsupported(found) = render(&case.compile().unwrap()).unwrap_err() else {
        panic!()
    };
    let [problem] = found.problems.as_slice() else { panic!("{found}") };
    assert!(problem.field.ends_with(".persistentVolumeClaim.claimName"), "{found}");
    assert!(problem.problem.contains("photos"), "{found}");
}

#[test]
fn an_empty_folder_that_is_read_only_is_so_in_compose() {
    let case = with(
        "podTemplate: {volumes: [{name: a, mountPath: /mnt/a, emptyDir: {}}, {name: b, mountPath: /mnt/b, readOnly: \
         false, emptyDir: {}}]}",
    );
    let files = render(&case.compile().unwrap()).unwrap();
    let document: serde_json::Value = serde_saphyr::from_str(&files[FILE_NAME]).unwrap();
    let tmpfs = document["services"]["gateway"]["tmpfs"].as_array().unwrap();
    assert!(tmpfs.contains(&json!("/mnt/a:mode=1777,exec,ro")), "{tmpfs:?}");
    assert!(tmpfs.contains(&json!("/mnt/b:mode=1777,exec")), "{tmpfs:?}");
}

/// The schema is asked for them, so that one of a later release is seen.
#[test]
fn what_starts_a_program_or_loads_code_is_refused_by_name() {
    const KEYS: &[&str] = &["agentRuntime", "args", "command", "cwd", "localService"];
    const ENDS: &[&str] = &["Args", "Command", "Path", "Root"];
    // It is only told to the model.
    const FREE: &[&str] = &["agents.defaults.repoRoot"];
    let runs = |key: &str| KEYS.contains(&key) || ENDS.iter().any(|end| key.ends_with(end));
    let schema = serde_json::from_str(openclaw_schema(SUPPORTED_VERSIONS[0]).unwrap()).unwrap();
    let mut settings = settings(&schema);
    settings.retain(|setting| setting.path.split('.').any(runs) && !FREE.contains(&setting.path.as_str()));
    settings.dedup_by(|a, b| a.path == b.path);
    assert!(settings.len() >= 50, "{}", settings.len());
    for setting in settings {
        let mut case = with("");
        case.tenant.spec.gateway.config = setting.change.as_object().cloned();
        assert!(case.codes().contains(&"K8T0108"), "{}: {}", setting.path, case.found());
    }
}
