//! The rules of the resource types, one wrong object for each. The operator has no part in these tests.

use kr8tiv_crds::{Agent, Harness, Tenant};
use kr8tiv_e2e::Outcome;
use kr8tiv_e2e::manifests::{agent, harness, tenant};
use serde_json::{Value, json};

use crate::api::refused;
use crate::context::Context;

/// The object with this below its `spec`.
fn with(mut object: Value, section: &str, value: Value) -> Value {
    object["spec"][section] = value;
    object
}

pub async fn of_harnesses(context: &Context) -> Outcome {
    let scope = context.scope("rules-harness").await?;
    let image = json!({"reference": "example.com/base", "digest": format!("sha256:{}", "0".repeat(64))});
    let both = json!({"configMap": {"name": "base"}, "image": image});
    let pack = |source: Value| json!({"packs": [{"name": "base", "skills": ["a"], "source": source}]});
    let coordination = json!({
        "url": "https://mc.example.com", "packRef": "base@1", "persona": {"mode": "individual", "orchestrator": true}
    });
    let sandbox = |value: Value| json!({"sandbox": value});
    let source = "a pack has one source: set either configMap or image";
    let labels = "matchLabels goes with from: Selector, and from: Selector needs matchLabels";
    let cases = [
        ("skills", pack(both), "spec.skills.packs[0].source", source),
        ("skills", pack(json!({})), "spec.skills.packs[0].source", source),
        (
            "tools",
            sandbox(json!({"scratchSize": "1k"})),
            "spec.tools.sandbox.scratchSize",
            "scratchSize must be at least 1Mi",
        ),
        (
            "tools",
            sandbox(json!({"egress": [{"cidr": "10.0.0.0/33"}]})),
            "spec.tools.sandbox.egress[0].cidr",
            "cidr must be a block of addresses such as 10.20.0.0/16 or 10.20.0.7/32",
        ),
        (
            "tools",
            sandbox(json!({"egress": [{"ports": [{"port": 80}]}]})),
            "spec.tools.sandbox.egress[0]",
            "set either cidr, or podSelector and namespaceSelector",
        ),
        ("sharing", json!({"from": "Selector"}), "spec.sharing", labels),
        ("sharing", json!({"from": "All", "matchLabels": {"a": "b"}}), "spec.sharing", labels),
        (
            "coordination",
            coordination,
            "spec.coordination.persona.orchestrator",
            "orchestrator needs mode team: a single agent has nobody to orchestrate",
        ),
        (
            "observability",
            json!({"heartbeatInterval": "10s"}),
            "spec.observability.heartbeatInterval",
            "heartbeatInterval must be at least 30s",
        ),
        (
            "observability",
            json!({"heartbeatInterval": "5m", "downAlertThreshold": "6m"}),
            "spec.observability.downAlertThreshold",
            "downAlertThreshold must be at least twice heartbeatInterval: one missed sign of life is no alarm",
        ),
        ("recovery", json!({"cooldown": "5s"}), "spec.recovery.cooldown", "cooldown must be at least 30s"),
        (
            "updates",
            json!({"window": {"schedule": "0 4 * * *", "duration": "5m"}}),
            "spec.updates.window.duration",
            "duration must be between 15m and 168h",
        ),
        (
            "supermemory",
            json!({"timeout": "2m"}),
            "spec.supermemory.timeout",
            "timeout must be between 1s and 60s",
        ),
        (
            "supermemory",
            json!({"refreshInterval": "10s"}),
            "spec.supermemory.refreshInterval",
            "refreshInterval must be at least 60s: every refresh asks Supermemory once per query",
        ),
    ];
    for (section, value, field, rule) in cases {
        refused::<Harness>(&scope, &with(harness("h"), section, value), field, rule).await;
    }
    scope.discard().await
}

pub async fn of_tenants_and_agents(context: &Context) -> Outcome {
    let scope = context.scope("rules-tenant").await?;
    let secret = json!({"name": "hooks", "key": "url"});
    let two_addresses = json!({"url": "https://example.com/a", "urlSecretRef": secret});
    let one_address = "set exactly one of url and urlSecretRef";
    let in_both = "a tool is in both allow and deny: remove it from one of them";
    let cases = [
        (
            "watchdog",
            json!({}),
            "spec.watchdog",
            "name ownerWebhook or managementWebhook, or remove watchdog: without a webhook nobody is told",
        ),
        ("watchdog", json!({"ownerWebhook": two_addresses}), "spec.watchdog.ownerWebhook", one_address),
        (
            "watchdog",
            json!({"managementWebhook": two_addresses}),
            "spec.watchdog.managementWebhook",
            one_address,
        ),
        ("tools", json!({"allow": ["read"], "deny": ["read"]}), "spec.tools", in_both),
    ];
    for (section, value, field, rule) in cases {
        refused::<Tenant>(&scope, &with(tenant("acme", "h"), section, value), field, rule).await;
    }
    let mut tagged = tenant("acme", "h");
    tagged["spec"]["containerTag"] = json!("mine");
    scope.apply::<Tenant>(&tagged).await?;
    tagged["spec"]["containerTag"] = json!("theirs");
    let rule =
        "containerTag can't be changed: the tenant's memory is found by it; create a new Tenant instead";
    refused::<Tenant>(&scope, &tagged, "spec", rule).await;

    let cases = [
        (
            "heartbeat",
            json!({"every": "5m", "prompt": "Look around."}),
            "spec.heartbeat.every",
            "every must be at least 15m: each turn costs a call of the model",
        ),
        ("tools", json!({"allow": ["read"], "deny": ["read"]}), "spec.tools", in_both),
        (
            "bindings",
            json!([{"channel": "discord", "guildId": "1", "peer": {"kind": "channel", "id": "2"}}]),
            "spec.bindings[0]",
            "peer, guildId and teamId exclude each other: make a binding of each",
        ),
        (
            "bindings",
            json!([{"channel": "telegram", "guildId": "1"}]),
            "spec.bindings[0]",
            "guildId is for the channel discord",
        ),
        (
            "bindings",
            json!([{"channel": "discord", "teamId": "T1"}]),
            "spec.bindings[0]",
            "teamId is for the channel slack",
        ),
        (
            "bindings",
            json!([{"channel": "discord", "roles": ["1"]}]),
            "spec.bindings[0]",
            "roles are those of a Discord server: set guildId",
        ),
    ];
    for (section, value, field, rule) in cases {
        refused::<Agent>(&scope, &with(agent("desk", "acme"), section, value), field, rule).await;
    }
    scope.discard().await
}

pub async fn of_networks_and_environments(context: &Context) -> Outcome {
    let scope = context.scope("rules-network").await?;
    let cases = [
        (
            "network",
            json!({"egress": [{"cidr": "10.0.0.0/33"}]}),
            "spec.network.egress[0].cidr",
            "cidr must be a block of addresses such as 10.20.0.0/16 or 10.20.0.7/32",
        ),
        (
            "network",
            json!({"egress": [{"ports": [{"port": 80}]}]}),
            "spec.network.egress[0]",
            "set either cidr, or podSelector and namespaceSelector",
        ),
        (
            "network",
            json!({"egress": [{"podSelector": {}, "ports": [{"port": 80, "endPort": 79}]}]}),
            "spec.network.egress[0].ports[0].endPort",
            "endPort must not be below port",
        ),
        (
            "network",
            json!({"ingressFrom": [{"cidr": "10.0.0.0"}]}),
            "spec.network.ingressFrom[0].cidr",
            "cidr must be a block of addresses such as 10.20.0.0/16 or 10.20.0.7/32",
        ),
        (
            "network",
            json!({"ingressFrom": [{"cidr": "10.0.0.0/8", "podSelector": {}}]}),
            "spec.network.ingressFrom[0]",
            "set either cidr, or podSelector and namespaceSelector",
        ),
        (
            "network",
            json!({"ingressFrom": [{"podSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}]}),
            "spec.network.ingressFrom[0].podSelector.matchExpressions[0].values",
            "values goes with the operators In and NotIn, which need it",
        ),
        (
            "gateway",
            json!({"env": [{"name": "A"}]}),
            "spec.gateway.env[0]",
            "set exactly one of value and valueFrom",
        ),
        (
            "gateway",
            json!({"env": [{"name": "A", "valueFrom": {}}]}),
            "spec.gateway.env[0].valueFrom",
            "set exactly one of secretKeyRef and configMapKeyRef",
        ),
        (
            "gateway",
            json!({"envFrom": [{"prefix": "APP_"}]}),
            "spec.gateway.envFrom[0]",
            "set exactly one of secretRef and configMapRef",
        ),
    ];
    for (section, value, field, rule) in cases {
        refused::<Tenant>(&scope, &with(tenant("acme", "h"), section, value), field, rule).await;
    }
    scope.discard().await
}
