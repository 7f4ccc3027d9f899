//! One case for every code.

use super::common::small::{TENANT, with, with_both, with_tenant};
use super::common::{Case, case};
use super::given::{
    TELEGRAM, filled_workspace, large_object, many_skills, pack, packs, rotated, taken_token,
    unreadable_skills,
};

/// One case for every code, and the start of what a user reads.
#[allow(clippy::too_many_lines, reason = "a table, a row for every code")]
pub(crate) fn cases() -> Vec<(&'static str, Case, &'static str)> {
    let mut without_uid = with("", "", &[]);
    without_uid.tenant.metadata.uid = None;
    let group = "bindings: [{channel: telegram, peer: {kind: group, id: '-5'}}]";
    vec![
        (
            "K8T0001",
            case(TENANT),
            "Tenant acme, spec.harnessRef.name: there is no Harness desk in namespace team; create it, or name an \
             existing one (kubectl get harnesses.kr8tiv.ai) (K8T0001)",
        ),
        ("K8T0002", without_uid, "Tenant acme, spec.tenantId: the tenant has no uid yet"),
        (
            "K8T0003",
            with("", "gateway: {version: 2025.1.1}", &[]),
            "Tenant acme, spec.gateway.version: OpenClaw 2025.1.1 is not known to this operator; use one of: 2026.9.6",
        ),
        (
            "K8T0004",
            with_tenant("harnessRef: {name: desk}", "harnessRef: {name: desk, namespace: shared}"),
            "Tenant acme, spec.harnessRef.namespace: Harness desk of namespace shared is not shared with namespace team",
        ),
        (
            "K8T0101",
            with_both("[telegram]", "[]", TELEGRAM),
            "Tenant acme, spec.channels.telegram: the Harness does not allow the channel telegram; add telegram to",
        ),
        (
            "K8T0102",
            with("", "", &[("a", "model: openai/gpt-5.5")]),
            "Agent a, spec.model: Harness desk locks the model to anthropic/claude-sonnet-4-6, and this is \
             openai/gpt-5.5; remove spec.model, or set spec.models.lock: false in the Harness (K8T0102)",
        ),
        (
            "K8T0103",
            with_both(
                "anthropic/claude-sonnet-4-6",
                "house/big, providers: [{name: house, baseUrl: 'https://m.example.com/v1', models: [{id: small}]}]",
                "",
            ),
            "Harness desk, spec.models.primary: the Harness's provider house has no model big; use one of: small",
        ),
        (
            "K8T0104",
            with("tools: {allow: [read, shell]}", "", &[]),
            "Harness desk, spec.tools.allow[1]: shell is not a tool of OpenClaw 2026.9.6",
        ),
        (
            "K8T0105",
            with("tools: {allow: [gateway]}", "", &[]),
            "Harness desk, spec.tools.allow[0]: gateway is denied in every gateway of this operator; remove it",
        ),
        (
            "K8T0106",
            with_both("anthropic/claude-sonnet-4-6", "antropic/claude", ""),
            "Harness desk, spec.models.primary: OpenClaw 2026.9.6 has no model provider antropic; describe it in",
        ),
        (
            "K8T0107",
            with("", "", &[("a", "tools: {allow: [read, exec]}")]),
            "Agent a, spec.tools.allow[1]: Tenant acme does not have exec, and nobody below can add it; remove it here",
        ),
        (
            "K8T0108",
            with("", "gateway: {config: {gateway: {port: 1}}}", &[]),
            "Tenant acme, spec.gateway.config.gateway: the operator sets gateway itself; remove it",
        ),
        (
            "K8T0109",
            with("", "agents: {max: 1}", &[("a", "default: true"), ("b", "default: false")]),
            "Tenant acme, spec.agents.max: the tenant has 2 agents, and its spec.agents.max allows 1; remove Agents",
        ),
        (
            "K8T0110",
            with("tools: {elevated: true}", TELEGRAM, &[]),
            "Tenant acme, spec.channels: Harness desk lets owners run commands in the gateway, and no channel names",
        ),
        (
            "K8T0111",
            with("", "gateway: {podTemplate: {hostNetwork: true}}", &[]),
            "Tenant acme, spec.gateway.podTemplate.hostNetwork: this part of the Pod is the operator's; remove it;",
        ),
        (
            "K8T0112",
            with("", "gateway: {env: [{name: OPENCLAW_STATE_DIR, value: /tmp}]}", &[]),
            "Tenant acme, spec.gateway.env[0].name: OPENCLAW_STATE_DIR is the operator's to set; remove it;",
        ),
        (
            "K8T0140",
            packs(&pack("base", "[refunds, triage]"), &[("a", "skills: [refunds, gardening]")]),
            "Agent a, spec.skills[1]: no pack of Harness desk has a skill gardening; use one of: refunds, triage; or add",
        ),
        (
            "K8T0141",
            unreadable_skills(),
            "Harness desk, spec.tools: the agents have skills but may not use read, and OpenClaw lists no skill without \
             it; add read to spec.tools.allow, or remove spec.skills (K8T0141)",
        ),
        (
            "K8T0201",
            with("", "", &[("a", "default: true"), ("b", "agentId: a")]),
            "Agent b, spec.agentId: Agent a has the agent id a as well",
        ),
        (
            "K8T0202",
            with("", "", &[("b", "default: true"), ("a", "default: true")]),
            "Agent b, spec.default: Agent a is the tenant's default agent as well; set spec.default: false",
        ),
        (
            "K8T0203",
            with("", "", &[("b", "default: false"), ("a", "default: false")]),
            "Tenant acme, Agent spec.default: none of the tenant's agents (a, b) is the default one",
        ),
        (
            "K8T0204",
            with("", TELEGRAM, &[("a", &format!("default: true, {group}")), ("b", group)]),
            "Agent b, spec.bindings[0]: spec.bindings[0] of Agent a is to the same conversations; remove one of the two",
        ),
        (
            "K8T0205",
            with("", "", &[("a", group)]),
            "Agent a, spec.bindings[0]: Tenant acme has no channel telegram; configure spec.channels.telegram",
        ),
        (
            "K8T0206",
            taken_token(),
            "Tenant acme, spec.channels.telegram.accounts[0].botTokenSecretRef: Tenant other, \
             spec.channels.telegram.accounts[0].botTokenSecretRef has the same token; give each its own bot",
        ),
        (
            "K8T0207",
            with(
                "",
                "",
                &[(
                    "a",
                    "workspace: {files: [{name: A.md, description: d, content: c}, {name: A.md, description: d, content: e}]}",
                )],
            ),
            "Agent a, spec.workspace.files[1].name: the agent has a file A.md already; choose another name",
        ),
        (
            "K8T0220",
            with("", TELEGRAM, &[("a", "bindings: [{channel: telegram, accountId: shop}]")]),
            "Agent a, spec.bindings[0].accountId: Tenant acme has no account shop in spec.channels.telegram; use one of: \
             default; or add",
        ),
        (
            "K8T0221",
            with(
                "",
                TELEGRAM,
                &[
                    (
                        "a",
                        "default: true, bindings: [{channel: telegram, accountId: default, peer: {kind: group, id: '-5'}}]",
                    ),
                    ("b", "bindings: [{channel: telegram, peer: {kind: group, id: '-5'}}]"),
                ],
            ),
            "Agent b, spec.bindings[0]: ",
        ),
        (
            "K8T0240",
            packs(&format!("{}, {}", pack("base", "[a, b]"), pack("more", "[c, b]")), &[]),
            "Harness desk, spec.skills.packs[1].skills[1]: the pack base has a skill b as well; remove it from one of",
        ),
        (
            "K8T0241",
            packs(&format!("{}, {}", pack("base", "[a]"), pack("base", "[b]")), &[]),
            "Harness desk, spec.skills.packs[1].name: another pack is called base as well",
        ),
        (
            "K8T0301",
            with("", "gateway: {resources: {limits: {memory: 512Mi}, requests: {memory: 256Mi}}}", &[]),
            "Tenant acme, spec.gateway.resources.limits.memory: 512Mi is less than a gateway needs; give it at least",
        ),
        (
            "K8T0302",
            with("", &TELEGRAM.replace(", groupAllowFrom: ['1']", ""), &[]),
            "Tenant acme, spec.channels.telegram.accounts[0].groupAllowFrom: nothing is listed, so every message in a group",
        ),
        (
            "K8T0303",
            with("", "modelCredentials: [{provider: openai, apiKeySecretRef: {name: k, key: k}}]", &[]),
            "Tenant acme, spec.modelCredentials[0].provider: no model of the tenant is of the provider openai",
        ),
        (
            "K8T0304",
            with(
                "",
                "modelCredentials: [{provider: anthropic, apiKeySecretRef: {name: k, key: k}}, \
                 {provider: anthropic, apiKeySecretRef: {name: l, key: k}}]",
                &[],
            ),
            "Tenant acme, spec.modelCredentials[1].provider: another entry's key is in the environment variable \
             ANTHROPIC_API_KEY as well",
        ),
        (
            "K8T0305",
            with_both("[telegram]", "[telegram], dmPairingRequired: false", TELEGRAM),
            "Tenant acme, spec.channels.telegram.accounts[0].allowFrom: nobody is listed and the Harness asks for no pairing",
        ),
        (
            "K8T0306",
            with("workspace: {files: [{name: ../x.md, description: d, content: c}]}", "", &[]),
            "Harness desk, spec.workspace.files[0].name: \"../x.md\" can't be used as a name here; use letters",
        ),
        (
            "K8T0307",
            with("", "gateway: {config: {messages: {responsePrefx: Ada}}}", &[]),
            "Tenant acme, spec.gateway.config.messages.responsePrefx: OpenClaw has no such key",
        ),
        (
            "K8T0308",
            with("", "containerTag: 'tenant:acme'", &[]),
            "Tenant acme, spec.containerTag: the memory tag \"tenant:acme\" is none that Supermemory takes; use letters",
        ),
        (
            "K8T0309",
            with("supermemory: {enabled: true, queries: [What do they like?]}", "", &[]),
            "Tenant acme, spec.supermemory.apiKeySecretRef: Harness desk wants context from Supermemory, and there is no",
        ),
        (
            "K8T0310",
            with("supermemory: {enabled: true}", "supermemory: {apiKeySecretRef: {name: m, key: k}}", &[]),
            "Harness desk, spec.supermemory.queries: there is no query, so no context is ever fetched; say what",
        ),
        (
            "K8T0311",
            with("", "watchdog: {ownerWebhook: {url: 'ftp://example.com/alarm'}}", &[]),
            "Tenant acme, spec.watchdog.ownerWebhook.url: the value is no URL, or one with a user name; write https://",
        ),
        (
            "K8T0312",
            with("observability: {heartbeatInterval: 10s}", "", &[]),
            "Harness desk, spec.observability.heartbeatInterval: 10s is not between 30s and 24h; use at least 30s",
        ),
        (
            "K8T0313",
            with("recovery: {order: [main, friday]}", "", &[]),
            "Harness desk, spec.recovery.order[1]: Tenant acme has no agent friday; its agents are: main",
        ),
        (
            "K8T0314",
            with("updates: {window: {schedule: '0 25 * * *', duration: 2h}}", "", &[]),
            "Harness desk, spec.updates.window.schedule: \"0 25 * * *\" is no cron expression",
        ),
        (
            "K8T0315",
            with("", "gateway: {image: 'example.com/openclaw:2026.8.1'}", &[]),
            "Tenant acme, spec.gateway.image: the image is of OpenClaw 2026.8.1, and the configuration is made for 2026.9.6",
        ),
        (
            "K8T0316",
            with_both("Be kind.", "The key is sk-ant-api03-0123456789abcdefghij", ""),
            "Harness desk, spec.soul.coreTruths[0]: the text holds what looks like an API key of a model provider; put it",
        ),
        (
            "K8T0317",
            with("tools: {allow: [read, write], deny: [write]}", "", &[]),
            "Harness desk, spec.tools.allow[1]: write is in spec.tools.deny as well; remove it from one of the two lists",
        ),
        (
            "K8T0318",
            with("tools: {allow: [exec], sandboxNonMainSessions: false}", "", &[]),
            "Harness desk, spec.tools.sandboxNonMainSessions: commands that a chat leads to run in the gateway",
        ),
        (
            "K8T0319",
            with(
                "coordination: {url: 'https://mc.example.com', packRef: a@1, persona: {mode: individual, orchestrator: true}}",
                "",
                &[],
            ),
            "Harness desk, spec.coordination.persona.orchestrator: in mode individual there is one agent",
        ),
        (
            "K8T0320",
            with("", "channels: {telegram: {accounts: []}}", &[]),
            "Tenant acme, spec.channels.telegram.accounts: the channel telegram has no account, so nobody can reach the",
        ),
        (
            "K8T0321",
            with(
                "",
                "channels: {telegram: {accounts: [{botTokenSecretRef: {name: b, key: t}, groupAllowFrom: ['1']}, \
                 {botTokenSecretRef: {name: c, key: t}, groupAllowFrom: ['1']}]}}",
                &[],
            ),
            "Tenant acme, spec.channels.telegram.accounts[1].name: spec.channels.telegram.accounts[0] has the name default",
        ),
        (
            "K8T0322",
            with("", TELEGRAM, &[("a", "bindings: [{channel: telegram, guildId: '7'}]")]),
            "Agent a, spec.bindings[0].guildId: ",
        ),
        (
            "K8T0323",
            with("", TELEGRAM, &[("a", "bindings: [{channel: telegram, peer: {kind: group, id: kitchen}}]")]),
            "Agent a, spec.bindings[0].peer.id: kitchen is no id of a conversation in telegram, so no message would ever",
        ),
        (
            "K8T0324",
            rotated(),
            "Tenant acme, metadata.annotations[kr8tiv.ai/rotate-token]: the gateway's token is yours, in Secret mine, \
             which the operator does not change; put",
        ),
        (
            "K8T0325",
            with("", "network: {egress: [{cidr: 10.1.2.3/16}]}", &[]),
            "Tenant acme, spec.network.egress[0].cidr: \"10.1.2.3/16\" is no block of addresses; write 10.1.0.0/16, or \
             10.1.2.3/32 (K8T0325)",
        ),
        (
            "K8T0326",
            with("", "watchdog: {ownerWebhook: {url: 'http://alerts.monitoring.svc:8080/'}}", &[]),
            "Tenant acme, spec.watchdog.ownerWebhook.url: the tenant's NetworkPolicy lets nobody reach \
             alerts.monitoring.svc on port 8080; add",
        ),
        (
            "K8T0327",
            with("", "gateway: {podTemplate: {affinity: {podAffinty: {}}}}", &[]),
            "Tenant acme, spec.gateway.podTemplate.affinity.podAffinty: a Pod has no such field; write it as in a Pod",
        ),
        (
            "K8T0328",
            with("", "gateway: {env: [{name: A}]}", &[]),
            "Tenant acme, spec.gateway.env[0]: it has no value, or several; set exactly one of value,",
        ),
        (
            "K8T0329",
            with("", "gateway: {ingress: {host: acme.example.com}}", &[]),
            "Tenant acme, spec.gateway.ingress: the tenant's NetworkPolicy lets nobody connect to the gateway,",
        ),
        (
            "K8T0340",
            packs(
                "{name: base, source: {image: {reference: example.com/base, digest: latest}}, skills: [a]}",
                &[],
            ),
            "Harness desk, spec.skills.packs[0].source.image.digest: \"latest\" is no digest; write sha256: and 64",
        ),
        (
            "K8T0341",
            many_skills(),
            "Tenant acme, spec.skills: the agent has 61 skills, and OpenClaw lists 60 to the model for certain; name at",
        ),
        (
            "K8T0401",
            with_both("[Help.]", &format!("[{}]", vec!["x".repeat(900); 25].join(",")), ""),
            "Tenant acme, workspace AGENTS.md: the file has ",
        ),
        ("K8T0402", filled_workspace(), "Tenant acme, workspace: the files have 60"),
        ("K8T0403", large_object(), "Tenant acme, ConfigMap acme-workspace.main: the object has "),
    ]
}
