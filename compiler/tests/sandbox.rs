//! Sandboxes: when there is one, who has which key, and what restarts for what.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod common;

use common::Case;
use common::small::with;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::PodSpec;
use kr8tiv_compiler::{Bundle, Object};
use serde_json::{Value, json};

/// Two agents that run commands, and one that doesn't.
const SEVERAL: [(&str, &str); 3] =
    [("front", "default: true"), ("back", "agentId: back"), ("mute", "tools: {allow: [message]}")];

fn compiled(case: &Case) -> Bundle {
    case.compile().unwrap_or_else(|problems| panic!("{problems}"))
}

fn config(bundle: &Bundle) -> Value {
    serde_json::from_str(&bundle.config).unwrap()
}

fn sets(bundle: &Bundle) -> Vec<&StatefulSet> {
    let sets = bundle.objects.iter().filter_map(|object| match object {
        Object::StatefulSet(set) => Some(set.as_ref()),
        _ => None,
    });
    sets.collect()
}

fn name(set: &StatefulSet) -> &str {
    set.metadata.name.as_deref().unwrap()
}

fn spec(set: &StatefulSet) -> &PodSpec {
    set.spec.as_ref().unwrap().template.spec.as_ref().unwrap()
}

/// Kind and name of what is called as sandboxes are.
fn objects(bundle: &Bundle) -> Vec<String> {
    let named = bundle
        .objects
        .iter()
        .map(|object| format!("{} {}", object.kind(), object.metadata().name.as_deref().unwrap_or_default()));
    named.filter(|named| named.contains("sandbox")).collect()
}

#[test]
fn there_is_a_sandbox_where_a_tool_needs_one() {
    let all = ["NetworkPolicy acme-sandbox", "Service acme-sandbox", "StatefulSet acme-sandbox"];
    assert_eq!(objects(&compiled(&with("", "", &[]))), all);
    for tool in ["exec", "read", "view_image", "pdf", "image_generate"] {
        let bundle = compiled(&with(&format!("tools: {{allow: [{tool}]}}"), "", &[]));
        assert_eq!(objects(&bundle), all, "{tool} works on files in it");
    }
    for without in [
        "tools: {allow: [exec, read], sandboxNonMainSessions: false}",
        "tools: {allow: [message]}",
        "tools: {allow: [code_execution, web_fetch]}",
    ] {
        let bundle = compiled(&with(without, "", &[]));
        assert_eq!(objects(&bundle), [""; 0], "{without}");
        assert!(bundle.sandboxes.is_empty(), "{without}");
        assert!(!serde_json::to_string(&bundle.objects).unwrap().contains("--sandbox="), "{without}");
    }
    let bundle = compiled(&with("tools: {sandbox: {scope: Agent}}", "", &SEVERAL));
    let names: Vec<_> = bundle.sandboxes.iter().map(|sandbox| sandbox.sandbox.as_str()).collect();
    assert_eq!(names.len(), 2);
    assert!(names[0].starts_with("acme-sandbox-back-") && names[1].starts_with("acme-sandbox-front-"));
    assert_eq!(objects(&bundle).len(), 1 + 2 * names.len(), "and one policy for all of them");
}

#[test]
fn a_sandbox_passes_pod_security_restricted() {
    for scope in ["Tenant", "Agent"] {
        let bundle = compiled(&with(&format!("tools: {{sandbox: {{scope: {scope}}}}}"), "", &SEVERAL));
        let sandboxes: Vec<_> = sets(&bundle).into_iter().filter(|set| name(set) != "acme-gateway").collect();
        assert_eq!(sandboxes.len(), if scope == "Tenant" { 1 } else { 2 });
        for set in sandboxes {
            let pod = spec(set);
            let security = serde_json::to_value(&pod.security_context).unwrap();
            let expected = json!({
                "runAsNonRoot": true, "runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 1000,
                "fsGroupChangePolicy": "OnRootMismatch", "seccompProfile": {"type": "RuntimeDefault"}
            });
            assert_eq!(security, expected);
            assert_eq!(
                (pod.automount_service_account_token, pod.enable_service_links),
                (Some(false), Some(false))
            );
            let [container] = pod.containers.as_slice() else { panic!() };
            let security = serde_json::to_value(&container.security_context).unwrap();
            let expected = json!({
                "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}
            });
            assert_eq!(security, expected);
            assert_eq!(
                (&container.env, &container.env_from),
                (&None, &None),
                "it has no environment of ours"
            );
        }
    }
}

#[test]
fn no_pod_has_the_other_sides_key() {
    for scope in ["Tenant", "Agent"] {
        let bundle = compiled(&with(&format!("tools: {{sandbox: {{scope: {scope}}}}}"), "", &SEVERAL));
        for set in sets(&bundle) {
            let expected = if name(set) == "acme-gateway" {
                ["id_ed25519", "known_hosts"]
            } else {
                ["authorized_keys", "ssh_host_ed25519_key"]
            };
            let secrets: Vec<_> =
                spec(set).volumes.iter().flatten().filter_map(|volume| volume.secret.as_ref()).collect();
            assert!(!secrets.is_empty(), "{}", name(set));
            for secret in secrets {
                let keys: Vec<_> = secret.items.iter().flatten().map(|item| item.key.as_str()).collect();
                assert_eq!((keys.as_slice(), secret.default_mode), (&expected[..], Some(0o440)));
            }
        }
    }
}

#[test]
fn openclaw_is_told_of_the_sandbox_of_each_agent() {
    let ssh = |host: &str, folder: &str| {
        json!({
            "target": format!("sandbox@{host}:2222"), "workspaceRoot": "/workspaces", "strictHostKeyChecking": true,
            "updateHostKeys": false, "identityFile": format!("{folder}/id_ed25519"),
            "knownHostsFile": format!("{folder}/known_hosts")
        })
    };
    let shared = config(&compiled(&with("", "", &SEVERAL)));
    let section = &shared["agents"]["defaults"]["sandbox"];
    assert_eq!((&section["mode"], &section["backend"]), (&json!("non-main"), &json!("ssh")));
    assert_eq!(section["ssh"], ssh("acme-sandbox.team.svc", "/etc/openclaw/ssh"));
    assert_eq!(shared["agents"]["entries"]["front"]["sandbox"], Value::Null);

    let bundle = compiled(&with("tools: {sandbox: {scope: Agent}}", "", &SEVERAL));
    let own = config(&bundle);
    for (agent, sandbox) in ["back", "front"].into_iter().zip(&bundle.sandboxes) {
        let section = &own["agents"]["entries"][agent]["sandbox"];
        assert_eq!(section["mode"], "non-main");
        assert_eq!(section["ssh"], ssh(&sandbox.host, &format!("/etc/openclaw/ssh/{agent}")), "{agent}");
    }
    assert_eq!(own["agents"]["entries"]["mute"]["sandbox"], Value::Null);
    let nowhere = &own["agents"]["defaults"]["sandbox"]["ssh"]["target"];
    assert_eq!(nowhere, "sandbox@sandbox.invalid:2222", "an agent without one fails closed");
}

/// Where commands run, who gives the gateway commands, and who may leave the sandbox. What the real OpenClaw makes of it is in
/// `real_sandbox.rs`.
#[test]
fn commands_run_where_the_harness_says() {
    /// Names of agents, with their specs.
    type Agents<'a> = &'a [(&'a str, &'a str)];
    // The tools of the harness, the tenant's agents, and whether one of them runs commands.
    let agents: [(&str, Agents<'_>, bool); 4] = [
        ("[exec, message]", &[], true),
        ("[read, message]", &[], false),
        ("[exec, message]", &SEVERAL, true),
        ("[exec, message]", &[("front", "default: true, tools: {deny: [exec]}")], false),
    ];
    for (allow, agents, runs_commands) in agents {
        for sandbox in [true, false] {
            for main_session in ["Refused", "Gateway"] {
                for (elevated, owners) in [(false, "['1001']"), (true, "['1001']"), (true, "[]")] {
                    let tools = format!(
                        "allow: {allow}, sandboxNonMainSessions: {sandbox}, mainSessionCommands: {main_session}, \
                         elevated: {elevated}"
                    );
                    let channels = format!(
                        "channels: {{telegram: {{owners: {owners}, accounts: [{{botTokenSecretRef: {{name: b, key: t}}, \
                         allowFrom: ['1002']}}]}}}}"
                    );
                    let bundle = compiled(&with(&format!("tools: {{{tools}}}"), &channels, agents));
                    let config = config(&bundle);
                    let what = format!("{tools}, {owners}, {agents:?}");

                    let lets_out = elevated && owners != "[]";
                    let exec = match (sandbox, main_session) {
                        (false, _) => json!({"host": "gateway"}),
                        (true, "Gateway") => json!({"host": "auto"}),
                        _ if lets_out => json!({"host": "sandbox"}),
                        // Those of the main session, which has no sandbox, are then refused.
                        _ => json!({"host": "sandbox", "mode": "allowlist", "safeBins": []}),
                    };
                    assert_eq!(config["tools"]["exec"], exec, "{what}");
                    let nobody = if sandbox && runs_commands { json!({"*": []}) } else { Value::Null };
                    assert_eq!(config["commands"]["allowFrom"], nobody, "{what}");
                    let leave = if lets_out {
                        json!({"enabled": true, "allowFrom": {"telegram": ["1001"]}})
                    } else {
                        json!({"enabled": false})
                    };
                    assert_eq!(config["tools"]["elevated"], leave, "{what}");
                    let warned = bundle.warnings.iter().any(|warning| warning.code.as_str() == "K8T0318");
                    assert_eq!(warned, !sandbox && runs_commands, "{what}");
                    let told = bundle.workspaces.values().any(|files| {
                        files["AGENTS.md"]
                            .content
                            .contains("Only an owner may have you run a command outside")
                    });
                    assert_eq!(told, sandbox && runs_commands && lets_out, "{what}");
                }
            }
        }
    }
}

/// What an agent writes down in a chat is lost with the sandbox, and it must not say otherwise.
#[test]
fn an_agent_is_told_where_its_memory_lasts() {
    let told = |tools: &str| {
        let bundle = compiled(&with(&format!("tools: {{{tools}}}"), "", &[]));
        let text = &bundle.workspaces["main"]["AGENTS.md"].content;
        let says = |words: &str| text.contains(words);
        (
            says("`MEMORY.md` is yours"),
            says("in your main session lasts"),
            says("When a task of your main session"),
        )
    };
    assert_eq!(told("allow: [read, write]"), (true, true, true));
    assert_eq!(told("allow: [read, write], sandboxNonMainSessions: false"), (true, false, false));
    assert_eq!(told("allow: [read]"), (false, false, false), "it writes nothing down");
}

#[test]
fn other_keys_are_another_sandbox_and_the_same_gateway() {
    let case = with("", "", &[]);
    let keyed = |keys: &str| {
        let mut case = case.clone();
        case.surroundings.sandbox_keys = [("acme-sandbox".to_owned(), keys.to_owned())].into();
        compiled(&case)
    };
    let (before, after) = (keyed("k1"), keyed("k2"));
    for (one, other) in sets(&before).into_iter().zip(sets(&after)) {
        assert_eq!(one == other, name(one) == "acme-gateway", "{}", name(one));
    }
    assert_eq!(before.hash, after.hash, "nor is anything delivered");
}

#[test]
fn a_suspended_tenants_sandbox_is_stopped() {
    let bundle = compiled(&with("", "suspend: true", &[]));
    let replicas: Vec<_> = sets(&bundle).iter().map(|set| set.spec.as_ref().unwrap().replicas).collect();
    assert_eq!(replicas, [Some(0), Some(0)]);
}

#[test]
fn amounts_and_peers_that_can_not_be_are_the_harnesss_fault() {
    for (sandbox, field) in [
        ("scratchSize: '0'", "spec.tools.sandbox.scratchSize"),
        ("resources: {requests: {memory: 1Gi}}", "spec.tools.sandbox.resources.requests.memory"),
        ("resources: {limits: {cpu: 0m}}", "spec.tools.sandbox.resources.limits.cpu"),
        ("egress: [{}]", "spec.tools.sandbox.egress[0]"),
        ("egress: [{cidr: 10.0.0.1/8}]", "spec.tools.sandbox.egress[0].cidr"),
    ] {
        let found = with(&format!("tools: {{sandbox: {{{sandbox}}}}}"), "", &[]).found();
        let place = found.iter().find(|found| found.field == field);
        assert!(place.is_some_and(|place| place.object.to_string() == "Harness desk"), "{sandbox}: {found}");
    }
}

#[test]
fn a_sandbox_is_placed_as_its_gateway() {
    let template = "gateway: {podTemplate: {nodeSelector: {disk: fast}, runtimeClassName: gvisor, priorityClassName: high, \
                    imagePullSecrets: [{name: registry}], tolerations: [{key: dedicated, operator: Exists}], \
                    labels: {team: blue}}}";
    let bundle = compiled(&with("", template, &[]));
    let [gateway, sandbox] = sets(&bundle)[..] else { panic!() };
    let placed = |set: &StatefulSet| {
        let PodSpec {
            node_selector,
            runtime_class_name,
            priority_class_name,
            image_pull_secrets,
            tolerations,
            ..
        } = spec(set).clone();
        json!([node_selector, runtime_class_name, priority_class_name, image_pull_secrets, tolerations])
    };
    let as_asked = json!([
        {"disk": "fast"}, "gvisor", "high", [{"name": "registry"}], [{"key": "dedicated", "operator": "Exists"}]
    ]);
    assert_eq!(placed(gateway), as_asked);
    assert_eq!(placed(sandbox), as_asked);
    // What selects the gateway's Pod must not select this one.
    let label = |set: &StatefulSet| {
        let template = &set.spec.as_ref().unwrap().template;
        template.metadata.as_ref().unwrap().labels.as_ref().unwrap().get("team").cloned()
    };
    assert_eq!((label(gateway).as_deref(), label(sandbox)), (Some("blue"), None));
}
