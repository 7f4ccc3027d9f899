//! The replaced system's checklist of what a successor must keep, a test for each point that concerns compiling. Point
//! 3, and what the schema holds of 7, 8 and 14, is in `cli/tests/points.rs`, 2 in `golden.rs`, 10 in `real_openclaw.rs` and
//! `generated.rs`, 20 in `src/openclaw/version.rs`, what 13 says of legacy ids in `cli/tests/import.rs`.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod common;

use common::Case;
use common::small::with;
use kr8tiv_compiler::{Object, Ownership};
use serde_json::{Value, json};

fn config(case: &Case) -> Value {
    serde_json::from_str(&case.compile().unwrap_or_else(|problems| panic!("{problems}")).config).unwrap()
}

/// Every problem or warning, a line each.
fn said(case: &Case) -> String {
    case.found().to_string()
}

#[test]
fn point_01_compiling_is_a_pure_function() {
    for (name, case) in common::realistic() {
        assert!(case.compile() == case.clone().compile(), "{name}");
    }
}

#[test]
fn point_04_what_is_not_said_is_safe() {
    let case = with("", "channels: {telegram: {accounts: [{botTokenSecretRef: {name: b, key: t}}]}}", &[]);
    let config = config(&case);
    let telegram = &config["channels"]["telegram"];
    let account = &telegram["accounts"]["default"];
    let of = |key: &str| if account[key].is_null() { &telegram[key] } else { &account[key] };
    assert_eq!(of("dmPolicy"), "pairing", "{telegram:#}");
    assert_eq!(of("groups")["*"]["requireMention"], true, "{telegram:#}");
    assert_eq!(config["agents"]["defaults"]["sandbox"]["mode"], "non-main");
    assert_eq!(config["update"]["channel"], "stable");
    assert_eq!(config["agents"]["defaults"]["skills"], json!([]));
    assert_eq!(config["tools"]["elevated"], json!({"enabled": false}));
    assert!(!case.compile().unwrap().workspaces["main"].contains_key("MEMORY.md"));
}

#[test]
fn point_05_tools_do_not_contradict_and_the_memory_tag_fits() {
    let contradiction = with("tools: {allow: [read], deny: [read]}", "", &[]);
    assert!(
        said(&contradiction)
            .contains("Harness desk, spec.tools.allow[0]: read is in spec.tools.deny as well")
    );
    let memory = "supermemory: {enabled: true, queries: [q], containerTagPrefix: team}";
    let key = "supermemory: {apiKeySecretRef: {name: m, key: k}}";
    assert_eq!(with(memory, key, &[]).compile().unwrap().container_tag, "team-acme-0a1b2c3d");
    let mut given = with(memory, key, &[]);
    given.surroundings.container_tag = Some("tenant-acme-0a1b2c3d".into());
    assert_eq!(
        given.compile().unwrap().container_tag,
        "tenant-acme-0a1b2c3d",
        "the prefix was another one then"
    );
    let own = with(memory, &format!("{key}\n  containerTag: acme_1"), &[]);
    assert_eq!(own.compile().unwrap().container_tag, "acme_1");
    let colon = with(memory, &format!("{key}\n  containerTag: 'tenant:acme'"), &[]);
    assert!(
        said(&colon).contains("Tenant acme, spec.containerTag: the memory tag \"tenant:acme\""),
        "{}",
        said(&colon)
    );
}

#[test]
fn point_06_a_watchdog_has_a_webhook_and_a_sane_interval() {
    for (tenant, field) in [
        ("watchdog: {}", "spec.watchdog:"),
        ("watchdog: {ownerWebhook: {}}", "spec.watchdog.ownerWebhook: it has no address"),
        ("watchdog: {ownerWebhook: {url: example.com}}", "spec.watchdog.ownerWebhook.url:"),
        (
            "watchdog: {ownerWebhook: {url: 'https://user:pass@example.com/'}}",
            "spec.watchdog.ownerWebhook.url:",
        ),
    ] {
        let case = with("", tenant, &[]);
        assert!(said(&case).contains(field), "{tenant}: {}", said(&case));
        assert!(!said(&case).contains("pass@"), "the value may be a secret");
    }
    let frequent = with("observability: {heartbeatInterval: 29s}", "", &[]);
    assert!(said(&frequent).contains("spec.observability.heartbeatInterval: 29s is not between 30s and"));
    let hasty = with("observability: {heartbeatInterval: 60s, downAlertThreshold: 90s}", "", &[]);
    assert!(said(&hasty).contains("spec.observability.downAlertThreshold"));
    assert_eq!(said(&with("", "watchdog: {ownerWebhook: {url: 'https://example.com/x?y=1'}}", &[])), "");
}

#[test]
fn point_07_the_order_of_recovery_has_known_names() {
    let agents = [("a", "default: true"), ("b", "default: false")];
    assert_eq!(said(&with("recovery: {order: [b, a]}", "", &agents)), "");
    let unknown = said(&with("recovery: {order: [b, friday]}", "", &agents));
    assert!(
        unknown.contains("spec.recovery.order[1]: Tenant acme has no agent friday; its agents are: a, b"),
        "{unknown}"
    );
    let hasty = said(&with("recovery: {cooldown: 29s}", "", &[]));
    assert!(hasty.contains("spec.recovery.cooldown: 29s is not between 30s"), "{hasty}");
}

#[test]
fn point_08_a_single_agent_orchestrates_nobody() {
    let coordination = |persona: &str| {
        with(
            &format!("coordination: {{url: 'https://mc.example.com', packRef: pack@1, persona: {persona}}}"),
            "",
            &[],
        )
    };
    assert_eq!(said(&coordination("{mode: individual}")), "");
    assert_eq!(said(&coordination("{mode: individual, orchestrator: false}")), "");
    assert!(
        said(&coordination("{mode: individual, orchestrator: true}"))
            .contains("spec.coordination.persona.orchestrator")
    );
}

#[test]
fn point_09_a_tenants_id_is_made_once_and_leads_nowhere_else() {
    let case = with("", "", &[]);
    let first = case.compile().unwrap();
    assert_eq!(first.tenant_id, "acme-0a1b2c3d");
    let mut renamed = case.clone();
    renamed.tenant.spec.display_name = "Somebody else".into();
    assert_eq!(renamed.compile().unwrap().tenant_id, first.tenant_id);
    for hostile in ["../x", "a/b", "a.b", "A", "a b", "-a", "a\u{0}"] {
        let mut escaping = case.clone();
        escaping.tenant.metadata.name = Some(hostile.into());
        assert!(escaping.compile().is_err(), "name {hostile:?}");
        let mut escaping = case.clone();
        escaping.tenant.spec.tenant_id = Some(format!("{hostile}-0a1b2c3d"));
        assert!(escaping.compile().is_err(), "id {hostile:?}");
        let mut escaping = with("", "", &[("a", "default: true")]);
        escaping.agents[0].spec.agent_id = Some(hostile.into());
        assert!(escaping.compile().is_err(), "agent {hostile:?}");
    }
    for object in &first.objects {
        assert_eq!(object.metadata().namespace.as_deref(), Some("team"));
    }
}

#[test]
fn point_13_a_locked_model_stays() {
    let other = with("", "", &[("a", "model: anthropic/claude-opus-4-6")]);
    assert!(
        said(&other)
            .contains("Agent a, spec.model: Harness desk locks the model to anthropic/claude-sonnet-4-6")
    );
    let config = config(&with("", "", &[]));
    assert_eq!(config["agents"]["defaults"]["modelPolicy"]["allow"], json!(["anthropic/claude-sonnet-4-6"]));
    // A provider of the old system that OpenClaw no longer has is refused by name.
    let mut legacy = with("", "", &[]);
    legacy.harness.as_mut().unwrap().spec.models.primary = "openai-codex/gpt-5.3-codex".into();
    assert!(said(&legacy).contains("OpenClaw 2026.9.6 has no model provider openai-codex"));
}

#[test]
fn point_14_regular_turns_are_at_least_a_quarter_of_an_hour_apart() {
    let every = |every: &str| with("", "", &[("a", &format!("heartbeat: {{{every}prompt: Look around.}}"))]);
    let frequent = said(&every("every: 14m, "));
    assert!(
        frequent.contains("Agent a, spec.heartbeat.every: 14m is less than 15m; use at least 15m"),
        "{frequent}"
    );
    for (given, rendered) in [("every: 15m, ", "15m"), ("every: 2h, ", "120m"), ("", "30m")] {
        let config = config(&every(given));
        assert_eq!(config["agents"]["entries"]["a"]["heartbeat"]["every"], rendered);
        assert_eq!(config["cron"]["enabled"], true, "without it, no heartbeat happens");
    }
}

/// That no output of the watchdog's shows one is in its `tests/it/webhooks.rs`, and that nothing in a cluster does in
/// `e2e/tests/control_plane/canaries.rs`.
#[test]
fn point_11_the_gateway_asks_for_a_token_that_is_in_a_secret_only() {
    let case = with("", "", &[]);
    let auth = &config(&case)["gateway"]["auth"];
    let reference = json!({"source": "env", "provider": "default", "id": "OPENCLAW_GATEWAY_TOKEN"});
    assert_eq!((&auth["mode"], &auth["token"]), (&json!("token"), &reference));
    let bundle = case.compile().unwrap();
    let gateway = json!(bundle.objects.iter().find_map(Object::gateway).unwrap());
    let containers = gateway["spec"]["template"]["spec"]["containers"].as_array().unwrap();
    let gateway = containers.iter().find(|container| container["name"] == "gateway").unwrap();
    let mut variables = gateway["env"].as_array().unwrap().iter();
    let token = variables.find(|variable| variable["name"] == "OPENCLAW_GATEWAY_TOKEN").unwrap();
    let reference = &token["valueFrom"]["secretKeyRef"];
    assert_eq!((&reference["name"], &reference["key"]), (&json!("acme-gateway-token"), &json!("token")));
}

/// That the agent's files are left alone from then on is in the watchdog's `tests/it/delivery.rs`.
#[test]
fn point_15_user_and_memory_files_are_the_agents_whatever_the_harness_says_later() {
    let mut case = with("workspace: {memorySeed: Opened in 1999.}", "", &[]);
    case.harness.as_mut().unwrap().spec.supermemory.enabled = true;
    let first = case.compile().unwrap();
    case.harness.as_mut().unwrap().spec.workspace.memory_seed = Some("Opened in 2000.".into());
    case.surroundings.retrieved_context = vec!["Opened in 2001.".into()];
    let second = case.compile().unwrap();
    for bundle in [first, second] {
        let files = &bundle.workspaces["main"];
        let of_agent = files.iter().filter(|(_, file)| file.ownership == Ownership::Agent);
        assert_eq!(of_agent.map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["MEMORY.md", "USER.md"]);
    }
}

#[test]
fn point_24_too_many_agents_are_counted_in_the_message() {
    let agents: Vec<(String, String)> =
        (0..5).map(|n| (format!("a{n}"), format!("default: {}", n == 0))).collect();
    let agents: Vec<(&str, &str)> =
        agents.iter().map(|(name, spec)| (name.as_str(), spec.as_str())).collect();
    let personal = said(&with("", "", &agents));
    assert!(
        personal.contains("the tenant has 5 agents, and its tier personal allows 4; remove Agents"),
        "{personal}"
    );
    assert_eq!(said(&with("", "tier: enterprise", &agents)), "");
    assert_eq!(said(&with("", "agents: {max: 5}", &agents)), "");
    let own = said(&with("", "tier: enterprise\n  agents: {max: 2}", &agents));
    assert!(own.contains("the tenant has 5 agents, and its spec.agents.max allows 2"), "{own}");
}
