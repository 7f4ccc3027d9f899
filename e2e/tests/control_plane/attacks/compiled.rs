//! What the compiler refuses: the Tenant says which field it is, and its gateway goes on with what it has.

use k8s_openapi::api::core::v1::Secret;
use kr8tiv_crds::{Agent, Harness, Tenant};
use kr8tiv_e2e::Outcome;
use kr8tiv_e2e::conditions::{condition, ready};
use kr8tiv_e2e::manifests::{agent, harness, secret, tenant_with_bot};
use kr8tiv_e2e::scope::SOON;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::world::{HARNESS, World, acme, concierge, with};
use super::{Attack, attack, tried};
use crate::context::{CANARY, Context};
use crate::neighbour::{Neighbour, Still};

/// What is applied, and restored afterwards.
enum Step {
    Tenant(fn(&World) -> Value),
    Harness(fn() -> Value),
    Agent(fn() -> Value),
}

type Row = (Attack, Step);

/// The table without what is done.
pub fn attacks() -> Vec<Attack> {
    rows().into_iter().map(|(attack, _)| attack).collect()
}

fn pod(more: &Value) -> Value {
    acme(json!({"gateway": {"podTemplate": more}}))
}

fn volume(kind: &str, source: &Value) -> Value {
    pod(&json!({"volumes": [{"name": "extra", "mountPath": "/mnt/extra", kind: source}]}))
}

fn variable(name: &str) -> Value {
    acme(json!({"gateway": {"env": [{"name": name, "value": "x"}]}}))
}

fn config(more: &Value) -> Value {
    acme(json!({"gateway": {"config": more}}))
}

/// An Agent beside the tenant's default one.
fn second(more: Value) -> Value {
    with(agent("second", "acme"), more)
}

#[rustfmt::skip]
fn rows() -> Vec<Row> {
    vec![
        // Out of the Pod.
        (attack!("host-network", TenantAdmin, "has the gateway use the node's network", Compiler, "spec.gateway.podTemplate.hostNetwork: this part of the Pod is the operator's"),
            Step::Tenant(|_| pod(&json!({"hostNetwork": true})))),
        (attack!("privileged", TenantAdmin, "makes the gateway privileged", Compiler, "spec.gateway.podTemplate.securityContext: "),
            Step::Tenant(|_| pod(&json!({"securityContext": {"privileged": true, "runAsUser": 0}})))),
        (attack!("more-containers", TenantAdmin, "runs a container of its own beside the watchdog", Compiler, "spec.gateway.podTemplate.initContainers: "),
            Step::Tenant(|_| pod(&json!({"initContainers": [{"name": "a", "image": "example.com/a"}]})))),
        (attack!("another-account", TenantAdmin, "runs the gateway as another ServiceAccount, with its token", Compiler, "spec.gateway.podTemplate.serviceAccountName: "),
            Step::Tenant(|_| pod(&json!({"serviceAccountName": "default", "automountServiceAccountToken": true})))),
        (attack!("host-path", TenantAdmin, "mounts the node's files", Compiler, "spec.gateway.podTemplate.volumes[0].hostPath: "),
            Step::Tenant(|_| volume("hostPath", &json!({"path": "/"})))),
        (attack!("account-token", TenantAdmin, "mounts a token of the ServiceAccount by a projected volume", Compiler, "spec.gateway.podTemplate.volumes[0].projected: "),
            Step::Tenant(|_| volume("projected", &json!({"sources": [{"serviceAccountToken": {"path": "token"}}]})))),
        (attack!("neighbours-volume", TenantAdmin, "mounts the volume of another tenant", Compiler, "spec.gateway.podTemplate.volumes[0].persistentVolumeClaim.claimName: "),
            Step::Tenant(|_| volume("persistentVolumeClaim", &json!({"claimName": "neighbour-0a1b2c3d-state"})))),
        (attack!("mount-over-trust", TenantAdmin, "mounts over the authorities that the image trusts", Compiler, "spec.gateway.podTemplate.volumes[0].mountPath: "),
            Step::Tenant(|_| pod(&json!({"volumes": [{"name": "ca", "mountPath": "/etc/ssl/certs", "emptyDir": {}}]})))),
        (attack!("mount-upwards", TenantAdmin, "mounts at /mnt/../etc/openclaw", Compiler, "spec.gateway.podTemplate.volumes[0].mountPath: "),
            Step::Tenant(|_| pod(&json!({"volumes": [{"name": "ca", "mountPath": "/mnt/../etc/openclaw", "emptyDir": {}}]})))),
        (attack!("sub-path-upwards", TenantAdmin, "mounts ../../ of a volume", Compiler, "spec.gateway.podTemplate.volumes[0].subPath: "),
            Step::Tenant(|_| pod(&json!({"volumes": [{"name": "a", "mountPath": "/mnt/a", "subPath": "../../", "emptyDir": {}}]})))),
        (attack!("neighbours-label", TenantAdmin, "labels its Pod as another tenant's, so that their Service leads to it", Compiler, "spec.gateway.podTemplate.labels[app.kubernetes.io/instance]: "),
            Step::Tenant(|_| pod(&json!({"labels": {"app.kubernetes.io/instance": "neighbour"}})))),
        (attack!("own-label", TenantAdmin, "labels its Pod with another tenant's id", Compiler, "spec.gateway.podTemplate.labels[kr8tiv.ai/tenant-id]: "),
            Step::Tenant(|_| pod(&json!({"labels": {"kr8tiv.ai/tenant-id": "neighbour-0a1b2c3d"}})))),
        (attack!("security-annotation", TenantAdmin, "takes AppArmor off by an annotation", Compiler, "spec.gateway.podTemplate.annotations[container.apparmor.security.beta.kubernetes.io/gateway]: "),
            Step::Tenant(|_| pod(&json!({"annotations": {"container.apparmor.security.beta.kubernetes.io/gateway": "unconfined"}})))),
        // Into the program.
        (attack!("node-options", TenantAdmin, "loads code into the gateway by NODE_OPTIONS", Compiler, "spec.gateway.env[0].name: NODE_OPTIONS is the operator's to set"),
            Step::Tenant(|_| variable("NODE_OPTIONS"))),
        (attack!("ld-preload", TenantAdmin, "loads code into the gateway by LD_PRELOAD", Compiler, "spec.gateway.env[0].name: LD_PRELOAD is the operator's to set"),
            Step::Tenant(|_| variable("LD_PRELOAD"))),
        (attack!("writable-configuration", TenantAdmin, "makes the gateway's configuration writable by a variable", Compiler, "spec.gateway.env[0].name: OPENCLAW_CONFIG_READONLY is the operator's to set"),
            Step::Tenant(|_| variable("OPENCLAW_CONFIG_READONLY"))),
        (attack!("variables-of-a-secret", TenantAdmin, "lets the keys of a Secret become any variable", Compiler, "spec.gateway.envFrom[0].prefix: "),
            Step::Tenant(|_| acme(json!({"gateway": {"envFrom": [{"prefix": "LD_", "secretRef": {"name": "s"}}]}})))),
        (attack!("open-gateway", TenantAdmin, "switches the gateway's authentication off", Compiler, "spec.gateway.config.gateway: the operator sets gateway itself"),
            Step::Tenant(|_| config(&json!({"gateway": {"auth": {"mode": "none"}}})))),
        (attack!("included-file", TenantAdmin, "has the gateway include a file", Compiler, "spec.gateway.config.$include: "),
            Step::Tenant(|_| config(&json!({"$include": "/home/node/.openclaw/mine.json"})))),
        (attack!("included-file-below", TenantAdmin, "has the gateway include a file where OpenClaw takes any value", Compiler, "spec.gateway.config.agents.defaults.params.$include: "),
            Step::Tenant(|_| config(&json!({"agents": {"defaults": {"params": {"$include": "./mine.json"}}}})))),
        (attack!("tool-server", TenantAdmin, "has the gateway start a program that serves tools", Compiler, "spec.gateway.config.mcp: the operator sets mcp itself"),
            Step::Tenant(|_| config(&json!({"mcp": {"servers": {"x": {"command": "sh", "args": ["-c", "env"]}}}})))),
        (attack!("model-server", TenantAdmin, "has the gateway start a program that serves a model", Compiler, "spec.gateway.config.models: "),
            Step::Tenant(|_| config(&json!({"models": {"providers": {"anthropic": {"localService": {"command": "/bin/sh"}}}}})))),
        (attack!("install-program", TenantAdmin, "has the gateway run a program at each installation", Compiler, "spec.gateway.config.security: "),
            Step::Tenant(|_| config(&json!({"security": {"installPolicy": {"exec": {"command": "/bin/sh"}}}})))),
        (attack!("runtime-of-a-model", TenantAdmin, "has the agents run in another program", Compiler, "spec.gateway.config.agents.defaults.models: "),
            Step::Tenant(|_| config(&json!({"agents": {"defaults": {"models": {"anthropic/x": {"agentRuntime": {"id": "codex"}}}}}})))),
        (attack!("speaking-program", TenantAdmin, "has the gateway speak with a program", Compiler, "spec.gateway.config.tts.providers.tts-local-cli.command: "),
            Step::Tenant(|_| config(&json!({"tts": {"providers": {"tts-local-cli": {"command": "sh"}}}})))),
        (attack!("prototype", TenantAdmin, "sets __proto__ in the configuration", Compiler, "spec.gateway.config."),
            Step::Tenant(|_| config(&json!({"messages": {"__proto__": {"elevated": true}}})))),
        (attack!("image-of-another-release", TenantAdmin, "runs an older release of the gateway than its configuration is for", Compiler, "spec.gateway.image: "),
            Step::Tenant(|_| acme(json!({"gateway": {"image": "example.com/openclaw:2026.8.1"}})))),
        // Beyond what it was given.
        (attack!("foreign-harness", TenantAdmin, "uses a Harness that is not shared with its namespace", Compiler, "spec.harnessRef.namespace: Harness theirs of namespace "),
            Step::Tenant(|world| acme(json!({"harnessRef": {"name": "theirs", "namespace": world.other.namespace}})))),
        (attack!("reserved-tool", TenantAdmin, "allows the tool that changes the gateway", Compiler, "spec.tools.allow[0]: gateway is denied in every gateway"),
            Step::Harness(|| concierge(json!({"tools": {"allow": ["gateway"]}})))),
        (attack!("wider-agent", TenantAdmin, "gives an Agent a tool that its Tenant does not have", Compiler, "Agent second, spec.tools.allow[0]: "),
            Step::Agent(|| second(json!({"default": true, "tools": {"allow": ["exec"]}})))),
        (attack!("locked-model", TenantAdmin, "gives an Agent another model than the Harness locks", Compiler, "Agent second, spec.model: Harness concierge locks the model"),
            Step::Agent(|| second(json!({"default": true, "model": "openai/gpt-5.5"})))),
        (attack!("block-by-an-address", TenantAdmin, "writes an address for a block, so that more is opened than it looks like", Compiler, "spec.network.egress[0].cidr: "),
            Step::Tenant(|_| acme(json!({"network": {"egress": [{"cidr": "169.254.169.254/16"}]}})))),
        (attack!("taken-bot", TenantAdmin, "takes the messages of another tenant's bot with its token", Compiler, "has the same token"),
            Step::Tenant(|_| tenant_with_bot("acme", HARNESS, "bot"))),
        (attack!("secret-in-a-text", TenantAdmin, "pastes a key into a text, where everybody who may see the Harness reads it", Compiler, "spec.soul.vibe: the text holds what looks like an API key"),
            Step::Harness(|| concierge(json!({"soul": {"vibe": "use sk-ant-api03-0123456789abcdefghijklmn"}})))),
    ]
}

pub async fn by_compiler(context: &Context) -> Outcome {
    // Older than the attacked Tenant's claim, and out of its reach.
    let elsewhere = context.scope("attack-compiled-bot").await?;
    let token = format!("{CANARY}-{}", elsewhere.namespace);
    elsewhere.apply::<Secret>(&secret("bot", "token", &token)).await?;
    elsewhere.apply::<Harness>(&harness(HARNESS)).await?;
    elsewhere.apply::<Tenant>(&tenant_with_bot("first", HARNESS, "bot")).await?;
    context.until_ready(&elsewhere, "first").await?;
    let world = World::create(context, "attack-compiled").await?;
    let scope = &world.scope;
    scope.apply::<Secret>(&secret("bot", "token", &token)).await?;
    let neighbour = Neighbour::create(context, scope).await?;
    context.until_ready(scope, "acme").await?;
    let still = Still::objects_of(scope, "acme").await?;
    for (attack, step) in rows() {
        let Attack { name, actor, says, .. } = *tried(attack.name);
        let failed = |error| format!("{name}: {error}");
        match &step {
            Step::Tenant(object) => {
                drop(world.apply::<Tenant>(actor, &object(&world)).await.map_err(failed)?);
            }
            Step::Harness(object) => drop(world.apply::<Harness>(actor, &object()).await.map_err(failed)?),
            Step::Agent(object) => drop(world.apply::<Agent>(actor, &object()).await.map_err(failed)?),
        }
        scope
            .until(&format!("{name}: {says}"), SOON, async || {
                let tenant: Tenant = scope.api().get("acme").await?;
                let found = condition(&tenant, "Compiled").ok_or("no condition")?;
                let is_told = found.status == "False" && found.message.contains(says);
                if is_told { Ok(()) } else { Err(format!("{}: {}", found.status, found.message).into()) }
            })
            .await?;
        still.unchanged().await.map_err(|error| format!("{name}: {error}"))?;
        match &step {
            Step::Tenant(_) => drop(world.apply::<Tenant>(actor, &acme(json!({}))).await?),
            Step::Harness(_) => drop(world.apply::<Harness>(actor, &concierge(json!({}))).await?),
            Step::Agent(object) => {
                world
                    .of(actor)
                    .delete::<Agent>(object()["metadata"]["name"].as_str().unwrap_or_default())
                    .await?;
            }
        }
        scope
            .until(&format!("Ready again after {name}"), SOON, async || {
                let tenant: Tenant = scope.api().get("acme").await?;
                ready(&tenant)?;
                let compiled = condition(&tenant, "Compiled").ok_or("no condition")?;
                if compiled.status == "True" { Ok(()) } else { Err(tenant.name_any().into()) }
            })
            .await?;
    }
    still.unchanged().await?;
    neighbour.undisturbed().await?;
    elsewhere.discard().await?;
    world.discard().await
}
