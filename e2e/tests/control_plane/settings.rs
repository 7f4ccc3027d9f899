//! What a Tenant and its Agents may set beyond the Harness, and what becomes of every section of one.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kr8tiv_crds::{Agent, Harness, Tenant, meta};
use kr8tiv_e2e::Outcome;
use kr8tiv_e2e::conditions::{condition, exactly_besides};
use kr8tiv_e2e::manifests::{agent, default_agent, harness, secret, tenant};
use kr8tiv_e2e::scope::{SOON, Scope};
use serde_json::{Value, json};

use crate::context::{CANARY, Context};
use crate::expect::{COMPILED, GATEWAY_UP, NO_GATEWAY, SERVING, not_compiled};
use crate::neighbour::Still;
use crate::wrong_references::heals;

/// A Ready tenant with the default agent `desk`.
async fn running(context: &Context, purpose: &str) -> Outcome<Scope> {
    let scope = context.scope(purpose).await?;
    scope.apply::<Harness>(&harness("concierge")).await?;
    scope.apply::<Agent>(&default_agent("desk", "acme")).await?;
    scope.apply::<Tenant>(&tenant("acme", "concierge")).await?;
    heals(context, &scope).await?;
    Ok(scope)
}

/// The Tenant is refused for this and what runs goes on.
async fn refused(scope: &Scope, message: &str) -> Outcome {
    scope.until_exactly::<Tenant>("acme", &not_compiled("Invalid", message, "Stalled", GATEWAY_UP)).await?;
    Ok(())
}

pub async fn raw_config(context: &Context) -> Outcome {
    let scope = running(context, "raw-config").await?;
    let config = |value: Value| json!({"spec": {"gateway": {"config": value}}});
    let free = json!({"messages": {"responsePrefix": "Ada of ${OPENCLAW_GATEWAY_TOKEN}"}});
    scope.merge::<Tenant>("acme", config(free)).await?;
    scope
        .until("the setting in the configuration", SOON, async || {
            let name = openclaw(&scope).await?["messages"]["responsePrefix"].clone();
            // Doubled, the sign stays text: OpenClaw puts no variable there.
            if name == "Ada of $${OPENCLAW_GATEWAY_TOKEN}" { Ok(()) } else { Err(name.to_string().into()) }
        })
        .await?;
    heals(context, &scope).await?;

    let last_good = Still::objects_of(&scope, "acme").await?;
    scope.merge::<Tenant>("acme", config(json!({"gateway": {"port": 1}}))).await?;
    let message = "Tenant acme, spec.gateway.config.gateway: the operator sets gateway itself; remove it, and use the \
                   fields of the Harness, the Tenant or the Agent for it (K8T0108)";
    refused(&scope, message).await?;
    last_good.unchanged().await?;
    scope.merge::<Tenant>("acme", config(json!({"gateway": null}))).await?;
    heals(context, &scope).await?;
    last_good.unchanged().await?;
    scope.discard().await
}

pub async fn too_many_agents(context: &Context) -> Outcome {
    let scope = context.scope("many-agents").await?;
    scope.apply::<Harness>(&harness("concierge")).await?;
    scope.apply::<Agent>(&default_agent("desk", "acme")).await?;
    for number in 1..=4 {
        scope.apply::<Agent>(&agent(&format!("more-{number}"), "acme")).await?;
    }
    scope.apply::<Tenant>(&tenant("acme", "concierge")).await?;
    let message = "Tenant acme, spec.agents.max: the tenant has 5 agents, and its tier personal allows 4; remove Agents, \
                   raise spec.agents.max, or choose a larger spec.tier (K8T0109)";
    scope.until_exactly::<Tenant>("acme", &not_compiled("Invalid", message, "Stalled", NO_GATEWAY)).await?;
    scope.merge::<Tenant>("acme", json!({"spec": {"tier": "enterprise"}})).await?;
    heals(context, &scope).await?;
    scope.until_ready::<Agent>("more-4", SOON).await?;
    scope.discard().await
}

pub async fn widened_tools(context: &Context) -> Outcome {
    let scope = running(context, "widened-tools").await?;
    let last_good = Still::objects_of(&scope, "acme").await?;
    scope.merge::<Tenant>("acme", json!({"spec": {"tools": {"allow": ["message", "exec"]}}})).await?;
    let tenant = scope
        .until("the Tenant refused", SOON, async || {
            let tenant: Tenant = scope.api().get("acme").await?;
            let compiled = kr8tiv_e2e::conditions::condition(&tenant, "Compiled").ok_or("no condition")?;
            if compiled.status == "False" { Ok(tenant.clone()) } else { Err(compiled.message.clone().into()) }
        })
        .await?;
    let message = kr8tiv_e2e::conditions::condition(&tenant, "Compiled")
        .map(|it| it.message.clone())
        .unwrap_or_default();
    assert!(
        message.starts_with("Tenant acme, spec.tools.allow[1]: ") && message.ends_with("(K8T0107)"),
        "{message}"
    );
    last_good.unchanged().await?;
    scope.merge::<Tenant>("acme", json!({"spec": {"tools": {"allow": null}}})).await?;
    heals(context, &scope).await?;
    last_good.unchanged().await?;
    scope.discard().await
}

/// A Harness with every section, and a Tenant that gives what they ask for.
pub async fn every_section(context: &Context) -> Outcome {
    let scope = context.scope("every-section").await?;
    let given = format!("{CANARY}-{}", scope.namespace);
    for name in ["bot", "supermemory", "mission-control", "signing"] {
        scope.apply::<Secret>(&secret(name, "value", &format!("{given}-{name}"))).await?;
    }
    let file = json!({"name": "PRICES.md", "description": "what things cost", "content": "Tea: 2\n"});
    let mut whole = harness("concierge");
    let spec = json!({
        "boundaries": {"hardLimits": ["Never gamble."], "escalationRules": ["Ask Kim about money."]},
        "channels": {"allow": ["telegram"], "dmPairingRequired": true, "mentionGating": true},
        "tools": {"allow": ["read", "write", "message"]},
        "workspace": {"memorySeed": "We met in May.", "retentionDays": 7, "files": [file]},
        "skills": {"packs": [{"name": "base", "skills": ["triage"], "source": {"configMap": {"name": "base"}}}]},
        "secrets": {"redactionRules": ["account numbers"]},
        "supermemory": {"enabled": true, "baseUrl": "https://127.0.0.1:9", "queries": ["What matters to them?"]},
        "memoryIngestion": {"enabled": true},
        "reinforcement": {"reflectionTemplate": "Did | Learnt"},
        "observability": {"heartbeatInterval": "2m", "downAlertThreshold": "10m"},
        "recovery": {"maxRestartsPerHour": 1, "cooldown": "1m"},
        "updates": {"channel": "dev", "window": {"schedule": "30 4 * * *", "timeZone": "Europe/Berlin", "duration": "90m"}},
        "coordination": {"url": "https://mc.example.com", "packRef": "pack@3"},
        "sharing": {"from": "All"}
    });
    for (section, value) in spec.as_object().ok_or("no spec")? {
        whole["spec"][section] = value.clone();
    }
    scope.apply::<Harness>(&whole).await?;
    let reference = |name: &str| json!({"name": name, "key": "value"});
    let mut acme = tenant("acme", "concierge");
    acme["spec"]["channels"] = json!({"telegram": {"owners": ["1"], "accounts": [
        {"botTokenSecretRef": reference("bot"), "groupAllowFrom": ["1"]}
    ]}});
    acme["spec"]["supermemory"] = json!({"apiKeySecretRef": reference("supermemory")});
    acme["spec"]["missionControl"] = json!({"tokenSecretRef": reference("mission-control")});
    acme["spec"]["watchdog"] = json!({"ownerWebhook": {
        "url": "https://example.com/alive", "signingKeySecretRef": reference("signing")
    }});
    scope.apply::<Tenant>(&acme).await?;
    context.until_ready(&scope, "acme").await?;
    let mut expected = SERVING.to_vec();
    let pending = "the packs of skills are copied when the gateway starts";
    expected.push(("SkillsReady", "Unknown", "Starting", pending));
    scope
        .until("the Tenant with the expected conditions, and told of its memory", SOON, async || {
            let tenant: Tenant = scope.api().get("acme").await?;
            exactly_besides(&tenant, &expected, &["MemoryHealthy", "Degraded"])?;
            let memory = condition(&tenant, "MemoryHealthy").ok_or("no condition MemoryHealthy")?;
            match (memory.status.as_str(), memory.reason.as_str()) {
                // Not an address that the operator talks to.
                ("False", "Unreachable") => Ok(()),
                other => Err(format!("{other:?}: {}", memory.message).into()),
            }
        })
        .await?;
    assert_eq!(expected[1], COMPILED, "without a warning");
    scope.until_told("acme", ("Warning", "MemoryHealthy", "Unreachable")).await?;

    let config = scope.api::<ConfigMap>().get("acme-gateway-config").await?.data.unwrap_or_default();
    for name in ["openclaw.json", "delivery.json", "watchdog.json", "memory.json"] {
        let text = config.get(name).ok_or_else(|| format!("no {name} in {:?}", config.keys()))?;
        serde_json::from_str::<Value>(text)?;
    }
    assert_eq!(openclaw(&scope).await?["update"]["channel"], json!("dev"));
    let workspace = scope.api::<ConfigMap>().get("acme-workspace.main").await?.data.unwrap_or_default();
    let agents = workspace.get("AGENTS.md").ok_or("no AGENTS.md")?;
    for text in
        ["Never gamble.", "Ask Kim about money.", "account numbers", "Did | Learnt", "PRICES.md", "pack@3"]
    {
        assert!(agents.contains(text), "{text} is not in AGENTS.md:\n{agents}");
    }
    assert_eq!(workspace.get("PRICES.md").map(String::as_str), Some("Tea: 2\n"));
    assert!(workspace.get("MEMORY.md").is_some_and(|text| text.contains("We met in May.")));

    let set: StatefulSet = scope.api().get("acme-gateway").await?;
    let labels = set.metadata.labels.unwrap_or_default();
    assert_eq!(labels.get(meta::UPDATE_CHANNEL).map(String::as_str), Some("dev"));
    let annotations = set.metadata.annotations.unwrap_or_default();
    let window = annotations.get(meta::UPDATE_WINDOW).map(String::as_str).unwrap_or_default();
    assert!(window.starts_with("30 4 * * * Europe/Berlin"), "{window}");
    let pod = set.spec.and_then(|spec| spec.template.spec).ok_or("no Pod's spec")?;
    let containers = pod.init_containers.into_iter().flatten().chain(pod.containers);
    let containers: Vec<_> = containers.collect();
    let names: Vec<&str> = containers.iter().map(|container| container.name.as_str()).collect();
    assert!(names.contains(&"skills-base"), "{names:?}");
    let gateway = containers.iter().find(|container| container.name == "gateway").ok_or("no gateway")?;
    let variables: Vec<&str> = gateway.env.iter().flatten().map(|variable| variable.name.as_str()).collect();
    assert!(variables.contains(&"MISSION_CONTROL_TOKEN"), "{variables:?}");
    scope.discard().await
}

async fn openclaw(scope: &Scope) -> Outcome<Value> {
    let config = scope.api::<ConfigMap>().get("acme-gateway-config").await?;
    let text = config.data.unwrap_or_default().remove("openclaw.json").ok_or("no openclaw.json")?;
    Ok(serde_json::from_str(&text)?)
}
