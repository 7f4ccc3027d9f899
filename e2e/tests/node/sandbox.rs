//! The sandbox: the commands of a conversation run there, and when they can't, nowhere.

use std::time::Instant;

use k8s_openapi::api::core::v1::{Pod, Secret};
use kr8tiv_crds::{Harness, Tenant, meta};
use kr8tiv_e2e::cluster::{OPERATOR, SYSTEM_NAMESPACE};
use kr8tiv_e2e::conditions::{self, condition};
use kr8tiv_e2e::kubectl::kubectl;
use kr8tiv_e2e::model_server::text_of;
use kr8tiv_e2e::scope::Scope;
use kr8tiv_e2e::{Outcome, figure_seconds};
use serde_json::{Value, json};

use crate::context::{Context, MODEL_KEY, START};
use crate::gateway::Gateway;
use crate::leaks;

const TENANT: &str = "house";
/// Names of the Pods, which are the host names in them.
const SANDBOX: &str = "house-sandbox-0";
const GATEWAY: &str = "house-gateway-0";
/// The Secret with the keys between the two.
const KEYS: &str = "house-sandbox-ssh";
/// Where the gateway has its part of it.
const KNOWN_HOSTS: &str = "/etc/openclaw/ssh/known_hosts";
/// Said by the commands of these tests, when they run.
const RAN: &str = "it-ran-on";

/// A tenant whose agent may run commands.
pub async fn start(context: &Context) -> Outcome<Gateway> {
    let scope = Scope::create(&context.cluster, "sandbox").await?;
    let tools = json!({"allow": ["exec"]});
    context.apply_scripted(&scope, TENANT, |harness, _| harness["spec"]["tools"] = tools).await?;
    scope.until_ready::<Tenant>(TENANT, START).await?;
    let gateway = Gateway::new(scope, TENANT);
    is_ready(&gateway).await?;
    Ok(gateway)
}

pub async fn commands_run_there(context: &Context) -> Outcome {
    let gateway = context.sandboxed().await?;
    let look = "hostname; id; env; ls -a / /home /etc/openclaw /etc/kr8tiv /etc/sandbox/ssh; cat /proc/[0-9]*/environ; \
                ls /var/run/secrets/kubernetes.io; find / -name '*openclaw*.json' -not -path '/proc/*' 2>/dev/null";
    let seen = run(context, gateway, "agent:main:look", look).await?;
    assert!(seen.contains(&format!("{SANDBOX}\n")), "{seen}");
    assert!(seen.contains("uid=1000(sandbox)") && seen.contains("SSH_CONNECTION="), "{seen}");
    assert!(seen.contains("authorized_keys\nssh_host_ed25519_key"), "only the sandbox's own keys: {seen}");
    for gone in ["/etc/openclaw", "/etc/kr8tiv", "/var/run/secrets/kubernetes.io"] {
        assert!(seen.contains(&format!("'{gone}': No such file")), "{gone}: {seen}");
    }
    let token: Secret = gateway.scope.api().get(&format!("{TENANT}-gateway-token")).await?;
    let tokens = token.data.unwrap_or_default().into_values().map(|value| String::from_utf8(value.0));
    let mut secrets = tokens.collect::<Result<Vec<_>, _>>()?;
    assert_eq!(secrets.len(), 2, "the gateway's token and the watchdog's");
    secrets.push(MODEL_KEY.to_owned());
    // OpenClaw marks its commands with a variable of its own.
    for name in
        ["OPENCLAW_GATEWAY_TOKEN", "OPENCLAW_STATE_DIR", "OPENCLAW_CONFIG_PATH", "KR8TIV_", "openclaw.json"]
    {
        assert!(!seen.contains(name), "{name}: {seen}");
    }
    assert!(!secrets.iter().any(|secret| seen.contains(secret)), "a secret of the gateway's");
    assert!(gateway.exec(&["env"]).await?.contains(&secrets[2]), "the search would find it in the gateway");
    Ok(())
}

/// Where each agent has a sandbox of its own, its commands run in that one.
pub async fn commands_of_each_agent(context: &Context) -> Outcome {
    let gateway = context.skilled().await?;
    is_ready(gateway).await?;
    for agent in ["desk", "night"] {
        let said = run(context, gateway, &format!("agent:{agent}:beside"), &whoami()).await?;
        assert!(said.contains(&format!("{RAN}-{}-sandbox-{agent}-", gateway.tenant)), "{said}");
    }
    Ok(())
}

pub async fn commands_of_the_main_session_are_refused(context: &Context) -> Outcome {
    let gateway = context.sandboxed().await?;
    let said = run(context, gateway, "agent:main:main", &whoami()).await?;
    assert!(said.contains("exec host=sandbox requires a sandbox runtime") && !said.contains(RAN), "{said}");
    Ok(())
}

/// Also then those of every other session run in the sandbox.
pub async fn commands_of_the_main_session_run_in_the_gateway_if_the_harness_says_so(
    context: &Context,
) -> Outcome {
    let gateway = context.sandboxed().await?;
    let says = async |said: &str| {
        let tools = json!({"spec": {"tools": {"mainSessionCommands": said}}});
        gateway.scope.merge::<Harness>("scripted", tools).await?;
        gateway.scope.until(said, START, || gateway.ready_with_newest("scripted")).await
    };
    says("Gateway").await?;
    let said = run(context, gateway, "agent:main:main", &whoami()).await?;
    assert!(said.contains(&format!("{RAN}-{GATEWAY}")), "{said}");
    ran_in_the_sandbox(context, gateway, "agent:main:beside").await?;
    says("Refused").await
}

/// With its node closed, a sandbox that ends does not come back.
pub async fn without_it_commands_fail_and_the_gateway_serves(context: &Context) -> Outcome {
    let gateway = context.sandboxed().await?;
    let pod: Pod = gateway.scope.api().get(SANDBOX).await?;
    let node = pod.spec.and_then(|spec| spec.node_name).ok_or("a Pod without a node")?;
    kubectl(&["cordon", &node]).await?;
    let shown = lost(context, gateway).await;
    kubectl(&["uncordon", &node]).await?;
    shown?;
    is_ready(gateway).await?;
    ran_in_the_sandbox(context, gateway, "agent:main:again").await
}

/// Whatever it finds: it must not panic, so that the node is opened again.
async fn lost(context: &Context, gateway: &Gateway) -> Outcome {
    let began = Instant::now();
    kubectl(&["-n", &gateway.scope.namespace, "delete", "pod", SANDBOX]).await?;
    let said = run(context, gateway, "agent:main:lost", &whoami()).await?;
    failed_with("ssh", &said)?;
    gateway
        .scope
        .until("the Tenant says so", START, async || {
            let tenant = gateway.tenant().await?;
            conditions::ready(&tenant)?;
            let found = condition(&tenant, "SandboxReady").ok_or("no condition SandboxReady")?;
            if found.status == "False" && found.reason == "Unschedulable" {
                return Ok(());
            }
            Err(format!("SandboxReady={} {}: {}", found.status, found.reason, found.message).into())
        })
        .await?;
    figure_seconds("fault.sandbox_gone.shown", began.elapsed());
    Ok(())
}

/// While nobody mends the keys, commands fail; then the operator does, and the gateway goes on.
pub async fn another_host_key_is_an_error_until_it_is_mended(context: &Context) -> Outcome {
    let gateway = context.sandboxed().await?;
    let before = gateway.incarnation().await?;
    let deployment = format!("deployment/{OPERATOR}");
    let operator = ["-n", SYSTEM_NAMESPACE, deployment.as_str()];
    let replicas = ["get", "-o", "jsonpath={.spec.replicas}"];
    let replicas = kubectl(&[&replicas[..], &operator].concat()).await?;
    // Their logs go with the operators.
    leaks::none_of(&gateway.scope).await?;
    let pod = keys_of_the_pod(gateway).await?;
    kubectl(&[&["scale", "--replicas=0"][..], &operator].concat()).await?;
    let shown = mistaken(context, gateway).await;
    let replicas = format!("--replicas={replicas}");
    kubectl(&[&["scale", replicas.as_str()][..], &operator].concat()).await?;
    shown?;
    let began = Instant::now();
    gateway
        .scope
        .until("a Pod with other keys", START, async || {
            if keys_of_the_pod(gateway).await? == pod { Err("the one before".into()) } else { Ok(()) }
        })
        .await?;
    is_ready(gateway).await?;
    figure_seconds("fault.sandbox_host_key.over", began.elapsed());
    ran_in_the_sandbox(context, gateway, "agent:main:mended").await?;
    assert_eq!(gateway.incarnation().await?, before, "the gateway was restarted");
    Ok(())
}

/// Puts the key of somebody else into `known_hosts`: the sandbox's host key is then another than that. It must not panic,
/// so that the operator comes back.
async fn mistaken(context: &Context, gateway: &Gateway) -> Outcome {
    gateway
        .scope
        .until("no operator", START, async || {
            let pods = kubectl(&["-n", SYSTEM_NAMESPACE, "get", "pods", "-o", "name"]).await?;
            if pods.contains(&format!("pod/{OPERATOR}-")) { Err(pods.into()) } else { Ok(()) }
        })
        .await?;
    let right = gateway.read(KNOWN_HOSTS).await?;
    let other = gateway
        .exec(&["sh", "-c", "ssh-keygen -q -t ed25519 -N '' -C '' -f /tmp/x && cat /tmp/x.pub"])
        .await?;
    let host = right.split(' ').next().ok_or("no host in known_hosts")?;
    let wrong = format!("{host} {other}");
    gateway.scope.merge::<Secret>(KEYS, json!({"stringData": {"known_hosts": wrong}})).await?;
    // An annotation has kubelet refresh the mounts at once.
    gateway.scope.merge::<Pod>(GATEWAY, json!({"metadata": {"annotations": {"e2e": "keys"}}})).await?;
    gateway
        .scope
        .until("the wrong key is mounted", START, async || {
            if gateway.read(KNOWN_HOSTS).await? == wrong { Ok(()) } else { Err("the right one".into()) }
        })
        .await?;
    let said = run(context, gateway, "agent:main:mistaken", &whoami()).await?;
    failed_with("Host key verification failed", &said)
}

/// Which keys the sandbox's Pod was made for; the Pod is ready.
async fn keys_of_the_pod(gateway: &Gateway) -> Outcome<String> {
    let pod: Pod = gateway.scope.api().get(SANDBOX).await?;
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let mut ready = conditions.filter(|condition| condition.type_ == "Ready" && condition.status == "True");
    ready.next().ok_or("the sandbox's Pod is not ready")?;
    let keys = pod.metadata.annotations.and_then(|mut annotations| annotations.remove(meta::SANDBOX_KEYS));
    Ok(keys.ok_or("a Pod without a mark of its keys")?)
}

/// An error where the caller has something to put right first.
fn failed_with(words: &str, said: &str) -> Outcome {
    if said.contains(words) && !said.contains(RAN) { Ok(()) } else { Err(said.into()) }
}

/// A command that tells where it ran, in words that are not in itself.
fn whoami() -> String {
    let (first, rest) = RAN.split_at(2);
    format!("echo {first}''{rest}-$(hostname)")
}

async fn ran_in_the_sandbox(context: &Context, gateway: &Gateway, session: &str) -> Outcome {
    let said = run(context, gateway, session, &whoami()).await?;
    assert!(said.contains(&format!("{RAN}-{SANDBOX}")), "{said}");
    Ok(())
}

/// One turn in which the model runs a command; gives what it is told of it. The turn itself succeeds in any case.
async fn run(context: &Context, gateway: &Gateway, session: &str, command: &str) -> Outcome<String> {
    let before = context.model.requests().len();
    context.model.call("exec", json!({"command": command}));
    let turn = ["openclaw", "agent", "--session-key", session, "--message", "look around", "--json"];
    let answer = gateway.exec(&turn).await;
    // A later turn must not be answered with it.
    let was_left = context.model.take_back();
    let answer: Value = serde_json::from_str(&answer?)?;
    if was_left || answer["status"] != "ok" {
        return Err(format!("the model's call was left: {was_left}; {answer:#}").into());
    }
    let requests = context.model.requests();
    let told: Vec<_> = requests[before..].iter().map(|request| text_of(request, "tool")).collect();
    let told = told.last().filter(|text| !text.is_empty()).ok_or("the model was told nothing")?;
    println!("{session}: {}", told.lines().next().unwrap_or_default());
    Ok(told.clone())
}

/// Waits until the Tenant is Ready, and says that commands run in its sandbox.
async fn is_ready(gateway: &Gateway) -> Outcome {
    gateway
        .scope
        .until("the sandbox is ready", START, async || {
            let tenant = gateway.tenant().await?;
            conditions::ready(&tenant)?;
            let found = condition(&tenant, "SandboxReady").ok_or("no condition SandboxReady")?;
            if found.status == "True" {
                Ok(())
            } else {
                Err(format!("{}: {}", found.reason, found.message).into())
            }
        })
        .await
}
