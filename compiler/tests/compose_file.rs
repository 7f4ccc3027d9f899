//! The Compose file says what the StatefulSet says; `golden.rs` has it for every example.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod common;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, PodSpec};
use kr8tiv_compiler::compose_file::{ComposeFileError, EXAMPLE_NAME, FILE_NAME, render};
use kr8tiv_compiler::{Bundle, Object};
use serde_json::{Value, json};

fn bundle(example: &str) -> Bundle {
    let (_, case) = common::examples().into_iter().find(|(name, _)| name == example).unwrap();
    case.compile().unwrap()
}

fn pod(bundle: &mut Bundle) -> &mut PodSpec {
    let stateful_set = bundle.objects.iter_mut().find_map(|object| match object {
        Object::StatefulSet(found) => Some(found),
        _ => None,
    });
    stateful_set.unwrap().spec.as_mut().unwrap().template.spec.as_mut().unwrap()
}

/// What a Compose file does not have, and whose lack is no error.
fn leave_out_sandboxes(pod: &mut PodSpec) {
    let is_keys = |name: &str| name == "sandbox" || name.starts_with("sandbox-");
    pod.volumes.as_mut().unwrap().retain(|volume| !is_keys(&volume.name));
    for container in pod.init_containers.iter_mut().flatten().chain(&mut pod.containers) {
        container.volume_mounts.iter_mut().for_each(|mounts| mounts.retain(|mount| !is_keys(&mount.name)));
        container
            .args
            .iter_mut()
            .for_each(|args| args.retain(|argument| !argument.starts_with("--sandbox=")));
    }
}

fn gateway(bundle: &mut Bundle) -> &mut Container {
    &mut pod(bundle).containers[0]
}

fn document(bundle: &Bundle) -> Value {
    serde_saphyr::from_str(&render(bundle).unwrap()[FILE_NAME]).unwrap()
}

fn problems(bundle: &Bundle) -> Vec<(String, String)> {
    let ComposeFileError::Unsupported(unsupported) = render(bundle).unwrap_err() else { panic!() };
    let text = unsupported.to_string();
    for problem in &unsupported.problems {
        assert!(text.contains(&problem.field) && text.contains(&problem.problem), "{text}");
    }
    unsupported.problems.into_iter().map(|problem| (problem.field, problem.problem)).collect()
}

#[test]
fn every_container_is_a_service_with_the_same_program_image_and_rights() {
    for (name, case) in common::examples() {
        let mut bundle = case.compile().unwrap();
        let services = document(&bundle)["services"].clone();
        let workloads = bundle.objects.iter().filter(|object| object.kind() == "StatefulSet").count();
        let told = render(&bundle).unwrap()[FILE_NAME].contains("# There is no sandbox here");
        assert_eq!(told, workloads > 1, "{name}");
        let pod = pod(&mut bundle);
        leave_out_sandboxes(pod);
        let containers: Vec<_> = pod.init_containers.iter().flatten().chain(&pod.containers).collect();
        assert_eq!(services.as_object().unwrap().len(), containers.len() + 2, "{name}");
        for container in containers {
            let service = &services[&container.name];
            assert_eq!(service["image"], json!(container.image), "{name}");
            assert_eq!(service["entrypoint"], json!(container.command), "{name}");
            assert_eq!(service["command"], json!(container.args), "{name}");
            assert_eq!(service["user"], "1000:1000");
            assert_eq!(service["read_only"], true);
            assert_eq!(service["cap_drop"], json!(["ALL"]));
            assert_eq!(service["cap_add"], Value::Null);
            assert_eq!(service["security_opt"], json!(["no-new-privileges:true"]));
            let mounted = service["volumes"].as_array().unwrap().len();
            let in_memory = service["tmpfs"].as_array().map_or(0, Vec::len);
            // What runs once has somewhere to write its termination message.
            let message = usize::from(service["restart"] == "no");
            let mounts = container.volume_mounts.as_ref().unwrap().len();
            assert_eq!(mounted + in_memory, mounts + message, "{name}");
        }
    }
}

#[test]
fn mounted_files_are_those_of_the_config_maps() {
    for (name, case) in common::examples() {
        let bundle = case.compile().unwrap();
        let mut files = render(&bundle).unwrap();
        for name in [FILE_NAME, EXAMPLE_NAME] {
            files.remove(name).unwrap();
        }
        assert_eq!(files["config/openclaw.json"], bundle.config, "{name}");
        assert!(files["config/delivery.json"].contains(&bundle.hash), "{name}");
        let workspaces: BTreeMap<String, String> = bundle
            .workspaces
            .iter()
            .flat_map(|(agent, files)| {
                files
                    .iter()
                    .map(move |(name, file)| (format!("workspace/{agent}/{name}"), file.content.clone()))
            })
            .collect();
        files.retain(|path, _| !path.starts_with("config/"));
        assert_eq!(files, workspaces, "{name}");
    }
}

#[test]
fn secrets_are_variables_and_dollars_are_text() {
    let mut bundle = bundle("two-agents");
    let env = gateway(&mut bundle).env.as_mut().unwrap();
    env.push(
        serde_json::from_value(json!({"name": "PRICE", "value": "5$ ${HOME} $(HOME) $$(HOME)"})).unwrap(),
    );
    let optional = json!({"name": "extra", "key": "token", "optional": true});
    env.push(
        serde_json::from_value(json!({"name": "EXTRA", "valueFrom": {"secretKeyRef": optional}})).unwrap(),
    );
    gateway(&mut bundle).args.as_mut().unwrap().push("$(HOME)/$x".into());
    let files = render(&bundle).unwrap();
    let document = document(&bundle);
    let gateway = &document["services"]["gateway"];
    assert_eq!(gateway["environment"]["PRICE"], "5$$ $${HOME} /home/node $$(HOME)");
    assert_eq!(gateway["command"].as_array().unwrap().last().unwrap(), "/home/node/$$x");
    assert_eq!(gateway["environment"]["EXTRA"], Value::Null);
    assert_eq!(
        gateway["environment"]["TELEGRAM_BOT_TOKEN"],
        "${TELEGRAM_BOT_TOKEN:?set it in .env to key telegram-bot-token of Secret globex-secrets}"
    );
    let example = &files[EXAMPLE_NAME];
    let variables: Vec<_> = example.lines().filter(|line| line.ends_with('=')).collect();
    assert_eq!(
        variables,
        [
            "ANTHROPIC_API_KEY=",
            "EXTRA=",
            "KR8TIV_STATUS_TOKEN=",
            "OPENAI_API_KEY=",
            "OPENCLAW_GATEWAY_TOKEN=",
            "TELEGRAM_BOT_TOKEN="
        ]
    );
    assert_eq!(example.matches("openssl rand").count(), 2, "{example}");
}

#[test]
fn the_same_bundle_gives_the_same_bytes() {
    for (name, case) in common::examples() {
        let bundle = case.compile().unwrap();
        let mut shuffled = case.clone();
        shuffled.agents.reverse();
        assert_eq!(render(&bundle).unwrap(), render(&shuffled.compile().unwrap()).unwrap(), "{name}");
    }
}

#[test]
fn what_compose_has_not_is_named_at_once_and_nothing_is_written() {
    let mut bundle = bundle("first-tenant");
    let pod = pod(&mut bundle);
    pod.host_network = Some(true);
    let volumes = pod.volumes.as_mut().unwrap();
    volumes.push(serde_json::from_value(json!({"name": "code", "csi": {"driver": "x"}})).unwrap());
    let gateway = &mut pod.containers[0];
    gateway.lifecycle = Some(serde_json::from_value(json!({"preStop": {"sleep": {"seconds": 5}}})).unwrap());
    gateway.env.as_mut().unwrap().push(
        serde_json::from_value(
            json!({"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}),
        )
        .unwrap(),
    );
    gateway.volume_mounts.as_mut().unwrap().push(
        serde_json::from_value(json!({"name": "state", "mountPath": "/skills", "subPath": "skills"}))
            .unwrap(),
    );
    let fields: Vec<_> = problems(&bundle).into_iter().map(|(field, _)| field).collect();
    assert_eq!(
        fields,
        [
            "spec.template.spec.volumes[0]",
            "spec.template.spec.hostNetwork",
            "spec.template.spec.volumes[5].csi.driver",
            "spec.template.spec.containers[0].env[11].valueFrom.fieldRef.fieldPath",
            "spec.template.spec.containers[0].lifecycle.preStop.sleep.seconds",
        ]
    );
}

#[test]
fn config_maps_of_the_users_are_folders_to_fill() {
    let mut bundle = bundle("first-tenant");
    let pod = pod(&mut bundle);
    for (name, optional) in [("needed", false), ("wanted", true)] {
        let source = json!({"name": format!("packs.{name}"), "optional": optional});
        let volume = json!({"name": name, "configMap": source});
        pod.volumes.as_mut().unwrap().push(serde_json::from_value(volume).unwrap());
        let mount = json!({"name": name, "mountPath": format!("/{name}"), "readOnly": true});
        pod.containers[0].volume_mounts.as_mut().unwrap().push(serde_json::from_value(mount).unwrap());
    }
    let files = render(&bundle).unwrap();
    let folders: Vec<_> =
        files[FILE_NAME].lines().filter(|line| line.starts_with("# Put the files")).collect();
    assert_eq!(folders.len(), 2);
    assert!(folders[0].contains(" configmaps/packs.needed,"), "{folders:?}");
    assert!(files.keys().all(|path| !path.starts_with("configmaps/")), "they are not the compiler's");
    let mounts = document(&bundle)["services"]["gateway"]["volumes"].clone();
    assert_eq!(mounts[2]["source"], "./configmaps/packs.needed");
    let created: Vec<_> =
        mounts.as_array().unwrap().iter().map(|mount| mount["bind"]["create_host_path"].clone()).collect();
    assert_eq!(created, [Value::Null, Value::Null, json!(false), json!(true)]);
}

#[test]
fn one_variable_does_not_stand_for_two_secrets() {
    let mut bundle = bundle("first-tenant");
    let reference = json!({"secretKeyRef": {"name": "other", "key": "token"}});
    let variable = json!({"name": "OPENCLAW_GATEWAY_TOKEN", "valueFrom": reference});
    let seed = &mut pod(&mut bundle).init_containers.as_mut().unwrap()[0];
    seed.env = Some(vec![serde_json::from_value(variable).unwrap()]);
    let problems = problems(&bundle);
    let fields: Vec<_> = problems.iter().map(|(field, _)| field.as_str()).collect();
    let template = "spec.template.spec";
    assert_eq!(
        fields,
        [format!("{template}.initContainers[1].env[0]"), format!("{template}.containers[0].env[9]")]
    );
    assert!(problems[1].1.contains("is key token of Secret other in another container"), "{problems:?}");
}

#[test]
fn a_variable_of_a_port_stands_for_nothing_else() {
    let mut bundle = bundle("first-tenant");
    let reference = json!({"configMapKeyRef": {"name": "app", "key": "port"}});
    let env = gateway(&mut bundle).env.as_mut().unwrap();
    let position = env.len();
    env.push(serde_json::from_value(json!({"name": "GATEWAY_PORT", "valueFrom": reference})).unwrap());
    let [(field, problem)] = problems(&bundle).try_into().unwrap();
    assert_eq!(field, format!("spec.template.spec.containers[0].env[{position}]"));
    assert!(problem.starts_with("GATEWAY_PORT chooses a port"), "{problem}");
}

#[test]
fn a_suspended_tenant_is_not_started() {
    let (_, mut case) = common::examples().remove(0);
    case.tenant.spec.suspend = true;
    let problems = problems(&case.compile().unwrap());
    assert_eq!(problems[0].0, "spec.replicas");
}
