//! Legal files of the two formats, with odd, blank and long texts.

use proptest::prelude::*;
use proptest::strategy::Union;
use serde_json::{Map, Value, json};

/// Part of every secret in the generated files.
pub const TOKEN: &str = "s3cr3t-t0k3n";

/// A text that format B takes: odd ones, blank ones and long ones among them.
fn text() -> BoxedStrategy<String> {
    let odd = prop::sample::select(vec![
        "yes",
        "no",
        "~",
        "null",
        "012",
        "0x1F",
        "1_000",
        "1:30",
        "2026-01-02",
        "- a",
        "# b",
        "a: b",
        "a #b",
        "&a",
        "*a",
        "!a",
        "|",
        ">",
        "%",
        "@",
        "`",
        "'",
        "\"",
        "{}",
        "[]",
        "${HOME}",
        "---",
        "...",
        "=",
        "<<",
        " \u{a0}x",
        "\u{feff}x",
        "\u{2028}x",
        "a\nb",
        "a\r\nb",
        "\ta",
        "a ",
        " \n a",
        "a\n\n",
        "\u{85}a",
        "\u{1b}[31m",
        "\u{0}a",
        "\u{7f}",
        "<!-- x",
    ]);
    let long =
        (any::<char>(), 1usize..30_000).prop_map(|(c, length)| format!("{c} word\n").repeat(length / 7 + 1));
    Union::new_weighted(vec![
        (6, "[a-zA-Z ,.]{1,40}".boxed()),
        (3, odd.prop_map(str::to_owned).boxed()),
        (3, any::<String>().prop_filter("one character", |text| !text.is_empty()).boxed()),
        (1, long.boxed()),
        (1, Just(" \t ".to_owned()).boxed()),
    ])
    .boxed()
}

/// A text that format A takes: something is left when white space is taken off.
fn trimmed() -> BoxedStrategy<String> {
    text()
        .prop_map(
            |text| {
                if text.trim().is_empty() || text.trim() == "\u{feff}" { format!("x{text}") } else { text }
            },
        )
        .boxed()
}

fn slug() -> BoxedStrategy<String> {
    prop_oneof![
        "[a-z][a-z0-9-]{0,20}",
        "[a-z0-9][a-z0-9-]{0,80}",
        "[a-z][a-z0-9]{0,20}-[0-9a-f]{8}",
        Just("acme-".to_owned())
    ]
    .boxed()
}

fn whole(least: u64) -> BoxedStrategy<Value> {
    prop_oneof![
        (least..400).prop_map(Value::from),
        (least..=u64::MAX).prop_map(Value::from),
        Just(json!(1e300)),
    ]
    .boxed()
}

/// The address of a service. A path of it is no secret; a user or a query could be.
fn address() -> BoxedStrategy<String> {
    url().prop_map(|url| url.replace(&format!("/{TOKEN}"), "/v1")).boxed()
}

fn url() -> BoxedStrategy<String> {
    prop_oneof![
        Just("https://hooks.example.com".to_owned()),
        Just("HTTPS://Hooks.Example.com:8443/".to_owned()),
        Just(format!("https://hooks.example.com/{TOKEN}")),
        Just(format!("http://user:{TOKEN}@hooks.example.com/")),
        Just(format!("https://hooks.example.com?token={TOKEN}")),
        Just(format!("ftp://hooks.example.com/{TOKEN}")),
        Just(format!("mailto:{TOKEN}@example.com")),
        "https://[a-z]{1,600}\\.example/",
    ]
    .boxed()
}

fn tool() -> BoxedStrategy<String> {
    let known = prop::sample::select(vec![
        "web.search",
        "fs.read",
        "shell.exec",
        "sessions.list",
        "sessions_send",
        "browser.read",
        "read",
        "message",
        "group:fs",
        "cron",
        "Web-Fetch",
        "memory.search",
    ]);
    prop_oneof![known.prop_map(str::to_owned), trimmed()].boxed()
}

fn model() -> BoxedStrategy<String> {
    let known = prop::sample::select(vec![
        "openai-codex/gpt-5.3-codex",
        "nvidia/moonshotai/kimi-k2.5",
        "anthropic/claude-sonnet-4-6",
        "openai/gpt-5.5",
        "zhipuai/glm-5",
        "openai/",
        "openai//x",
        "openai/a b",
        "Anthropic/x",
        "gpt",
    ]);
    prop_oneof![known.prop_map(str::to_owned), text()].boxed()
}

fn list(entry: impl Strategy<Value = String> + Clone + 'static, least: usize) -> BoxedStrategy<Value> {
    prop_oneof![
        8 => prop::collection::vec(entry.clone(), least..5),
        1 => prop::collection::vec("[a-z ]{0,30}x", 45..70),
    ]
    .prop_map(Value::from)
    .boxed()
}

fn one_of(choices: &'static [&'static str]) -> BoxedStrategy<Value> {
    prop::sample::select(choices).prop_map(Value::from).boxed()
}

fn some_of(choices: &'static [&'static str]) -> BoxedStrategy<Value> {
    prop::sample::subsequence(choices, 1..=choices.len()).prop_map(Value::from).boxed()
}

fn boolean() -> BoxedStrategy<Value> {
    any::<bool>().prop_map(Value::from).boxed()
}

fn value(strategy: BoxedStrategy<String>) -> BoxedStrategy<Value> {
    strategy.prop_map(Value::from).boxed()
}

/// A map with some of the fields; the names of those that must be there start with `!`.
fn map(fields: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
    fields
        .into_iter()
        .map(|(name, strategy)| {
            let is_required = name.starts_with('!');
            let name = name.trim_start_matches('!');
            let strategy = strategy.prop_map(Some);
            let strategy = if is_required {
                strategy.boxed()
            } else {
                prop_oneof![2 => strategy, 1 => Just(None)].boxed()
            };
            strategy.prop_map(move |it| (name, it))
        })
        .collect::<Vec<_>>()
        .prop_map(|fields| {
            let given = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
            Value::Object(given.collect::<Map<_, _>>())
        })
        .boxed()
}

#[rustfmt::skip]
#[allow(clippy::too_many_lines, reason = "a table of fields")]
/// A file of format A.
pub fn format_a() -> BoxedStrategy<Value> {
    let texts = |least| list(trimmed(), least);
    let any_text = || value(prop_oneof![text(), Just(String::new())].boxed());
    let channel = || prop_oneof![Just("telegram".to_owned()), Just("Slack".to_owned()), trimmed()];
    let window = prop_oneof![Just("02:00-04:00 UTC".to_owned()), Just("23:50–00:00".to_owned()), text()];
    let variable = prop_oneof![Just("MY_KEY".to_owned()), trimmed()];
    let pack = map(vec![("!name", value(trimmed())), ("!source", value(trimmed())), ("version", any_text())]);
    map(vec![
        ("!tenant", map(vec![
            ("!slug", value(slug())), ("!displayName", value(trimmed())), ("containerTag", any_text()),
        ])),
        ("!identity", map(vec![
            ("!role", value(trimmed())), ("!purpose", value(trimmed())), ("!personality", value(trimmed())),
            ("communicationStyle", any_text()),
        ])),
        ("!soul", map(vec![("!coreTruths", texts(1)), ("!vibe", value(trimmed()))])),
        ("!boundaries", map(vec![("hardLimits", texts(0)), ("escalationRules", texts(0))])),
        ("!jobFunctions", map(vec![("!responsibilities", texts(1)), ("!successCriteria", texts(1))])),
        ("!channels", map(vec![
            ("!allow", list(channel().boxed(), 1)), ("dmPairingRequired", boolean()), ("mentionGating", boolean()),
        ])),
        ("!tools", map(vec![
            ("allowlist", list(tool(), 0)), ("denylist", list(tool(), 0)), ("sandboxNonMainSessions", boolean()),
        ])),
        ("!workspace", map(vec![
            ("root", any_text()), ("retentionDays", whole(1)), ("includeMemorySeed", boolean()),
            ("memorySeed", any_text()),
        ])),
        ("!skills", map(vec![("packs", prop::collection::vec(pack, 0..3).prop_map(Value::from).boxed())])),
        ("!secrets", map(vec![("allowedInWorkspace", texts(0)), ("redactionRules", texts(0))])),
        ("!supermemory", map(vec![
            ("enabled", boolean()), ("apiKeyEnv", value(variable.boxed())),
            ("baseUrl", value(prop_oneof![address(), trimmed()].boxed())), ("containerTagPrefix", value(trimmed())),
            ("topK", whole(1)), ("threshold", (0.0..=1.0).prop_map(Value::from).boxed()),
        ])),
        ("!memoryIngestion", map(vec![
            ("enableAutoIngestion", boolean()), ("dedupeByCustomId", boolean()), ("metadataNamespace", value(trimmed())),
        ])),
        ("!reinforcement", map(vec![("enabled", boolean()), ("reflectionTemplate", value(trimmed()))])),
        ("!observability", map(vec![
            ("ownerWebhookUrl", value(url())), ("managementWebhookUrl", value(url())),
            ("heartbeatIntervalSeconds", whole(1)), ("downAlertThresholdSeconds", whole(1)),
        ])),
        ("!updates", map(vec![
            ("channel", one_of(&["stable", "beta", "dev"])), ("rolloutWindow", value(window.boxed())),
        ])),
        ("!coordination", map(vec![("missionControlEnabled", boolean())])),
    ])
}

#[rustfmt::skip]
#[allow(clippy::too_many_lines, reason = "a table of fields")]
/// A file of format B.
pub fn format_b() -> BoxedStrategy<Value> {
    let texts = |least| list(text(), least);
    let or_text = |usual: &str| value(prop_oneof![Just(usual.to_owned()), text()].boxed());
    let image = prop_oneof![
        Just("ghcr.io/openclaw/openclaw:stable".to_owned()), Just("ghcr.io/openclaw/openclaw:2026.9.6".to_owned()),
        Just("registry.example:5000/claw:v2026.9.6-slim".to_owned()), text(),
    ];
    let pack = prop_oneof!["[a-z0-9][a-z0-9-]{0,20}@[0-9]{1,3}", "[a-z0-9][a-z0-9-]{0,90}@[0-9]{1,12}"];
    map(vec![
        ("!tenantId", value(slug())), ("!name", value(text())), ("!role", value(text())),
        ("!soul", map(vec![("!truths", texts(1)), ("!voice", value(text())), ("boundaries", texts(0))])),
        ("!jobFunctions", texts(1)),
        ("channels", map(vec![
            ("whatsapp", boolean()), ("telegram", boolean()), ("dmPairingRequired", boolean()),
            ("mentionGating", boolean()),
        ])),
        ("tooling", map(vec![("allow", list(tool(), 0)), ("deny", list(tool(), 0)), ("elevatedMode", boolean())])),
        ("sandbox", map(vec![("nonMainSessionsIsolated", boolean())])),
        ("memory", map(vec![
            ("seed", texts(0)), ("retentionPolicy", or_text("local-first")),
            ("supermemory", map(vec![("enabled", boolean()), ("!containerTag", value(slug()))])),
        ])),
        ("updateRing", one_of(&["stable", "beta", "dev"])),
        ("watchdog", map(vec![("enabled", boolean()), ("!webhookUrl", value(url())), ("intervalSeconds", whole(30))])),
        ("skills", map(vec![("workspace", texts(0))])),
        ("openclaw", map(vec![("image", value(image.boxed()))])),
        ("modelPolicy", map(vec![
            ("primary", value(model())), ("fallbacks", list(model(), 0)), ("lockRoutes", boolean()),
            ("allowRuntimeOverride", boolean()),
            ("fallbackOn", some_of(&["rate_limit", "provider_cooldown", "billing_disabled", "auth_profile_unavailable"])),
        ])),
        ("reasoningPolicy", map(vec![
            ("default", one_of(&["max", "high", "normal", "off"])),
            ("fallbackBehavior", one_of(&["highest_or_model_default", "model_default"])),
        ])),
        ("persona", map(vec![
            ("presetRef", or_text("default-team")), ("mode", one_of(&["team", "individual"])),
            ("orchestratorEnabled", boolean()),
        ])),
        ("onboarding", map(vec![
            ("recommendationEnabled", boolean()), ("autoNotebooklmPrompt", boolean()),
            ("personalizedDefaults", some_of(&["voice", "uplay_chromium", "mission_control_tasks", "notebooklm"])),
        ])),
        ("recovery", map(vec![
            ("teamOrder", some_of(&["FRIDAY", "ARSENAL", "JOCASTA", "EDITH"])), ("singleOwner", boolean()),
            ("cooldownSeconds", whole(30)),
        ])),
        ("controlPlane", map(vec![
            ("missionControlUrl", value(address())), ("missionControlTokenFile", value(text())),
            ("tier", one_of(&["personal", "enterprise"])), ("packRef", value(pack.boxed())),
            ("telemetry", map(vec![("enabled", boolean())])),
            ("privacy", map(vec![("crossTenantLearning", boolean()), ("crossUserLearning", boolean())])),
        ])),
    ])
    .prop_map(legal_b)
    .boxed()
}

/// Makes two rules between fields hold.
fn legal_b(mut file: Value) -> Value {
    if file["persona"]["mode"] == "individual" {
        file["persona"]["orchestratorEnabled"] = false.into();
    }
    let allowed = file["tooling"]["allow"].as_array().cloned().unwrap_or_default();
    if let Some(denied) = file.pointer_mut("/tooling/deny").and_then(Value::as_array_mut) {
        denied.retain(|tool| !allowed.contains(tool));
    }
    if let Some(empty) = file.as_object_mut() {
        empty.retain(|_, value| !value.is_null());
    }
    file
}
