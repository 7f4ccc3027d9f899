//! Reading stage, pure: format B, with five required fields and eight rules between fields.

use crate::import::legacy::{
    Character, Coordination, Format, Given, Legacy, Memory, Models, Operation, Reasoning, Texts, Tools,
};
use crate::import::reader::Need::{Optional, Required};
use crate::import::reader::{NO_ENTRY, Reader, Section, Text};
use crate::import::variant_a::is_slug;
use crate::input::node::Node;

/// The sections that stand for the contract with Mission Control.
const CONTRACT: [&str; 3] = ["controlPlane", "persona", "onboarding"];
/// The replaced system's agents.
const TEAM: [&str; 4] = ["FRIDAY", "ARSENAL", "JOCASTA", "EDITH"];

/// Reads a file. `None` when it is not a legal one; what is wrong is among the reader's problems.
pub fn read<'a>(node: &'a Node, reader: &mut Reader<'a>) -> Option<Legacy> {
    let root = reader.root(node);
    let id = reader.text(&root, "tenantId", Required, Text::Exact);
    let id = id.filter(|id| is_slug(id, reader));
    let display_name = reader.text(&root, "name", Required, Text::Exact);
    let character = character(&root, reader);
    let section = reader.section(&root, "channels", Optional);
    let mut channels = Vec::new();
    for channel in ["whatsapp", "telegram"] {
        match reader.boolean(&section, channel) {
            Some(on) if on.value => channels.push(on.with(channel.to_owned())),
            Some(off) => reader.ledger.settle(&off, "the channel is not among those that are allowed"),
            None => {}
        }
    }
    let dm_pairing_required = reader.boolean(&section, "dmPairingRequired");
    let mention_gating = reader.boolean(&section, "mentionGating");
    let tools = tools(&root, reader);
    let memory = memory(&root, reader);
    let operation = operation(&root, reader);
    let models = models(&root, reader);
    skills(&root, reader);
    let contract = coordination(&root, reader);
    let has_contract = CONTRACT.iter().any(|name| node.entry(name).is_some());
    Some(Legacy {
        format: Format::B,
        id: id?,
        display_name: display_name?,
        character: character?,
        channels,
        dm_pairing_required,
        mention_gating,
        tools,
        models,
        memory,
        operation,
        coordination: has_contract.then_some(contract),
    })
    .filter(|_| reader.problems.is_empty())
}

fn character<'a>(root: &Section<'a>, reader: &mut Reader<'a>) -> Option<Character> {
    let role = reader.text(root, "role", Required, Text::Exact);
    let soul = reader.section(root, "soul", Required);
    let core_truths = reader.texts(&soul, "truths", Required, 1, Text::Exact);
    let vibe = reader.text(&soul, "voice", Required, Text::Exact);
    let hard_limits = reader.texts(&soul, "boundaries", Optional, 0, Text::Exact);
    let responsibilities = reader.texts(root, "jobFunctions", Required, 1, Text::Exact);
    Some(Character {
        role: role?,
        purpose: None,
        personality: None,
        communication_style: None,
        core_truths: core_truths?,
        vibe: vibe?,
        hard_limits,
        escalation_rules: None,
        responsibilities: responsibilities?,
        success_criteria: None,
        allowed_in_workspace: None,
        redaction_rules: None,
    })
}

fn tools<'a>(root: &Section<'a>, reader: &mut Reader<'a>) -> Tools {
    let tooling = reader.section(root, "tooling", Optional);
    let sandbox = reader.section(root, "sandbox", Optional);
    let tools = Tools {
        allow: reader.texts(&tooling, "allow", Optional, 0, Text::Exact),
        deny: reader.texts(&tooling, "deny", Optional, 0, Text::Exact),
        sandbox_non_main_sessions: reader.boolean(&sandbox, "nonMainSessionsIsolated"),
        elevated: reader.boolean(&tooling, "elevatedMode"),
    };
    let denied: Vec<&str> = entries(tools.deny.as_ref()).map(|tool| tool.value.as_str()).collect();
    for tool in entries(tools.allow.as_ref()).filter(|tool| denied.contains(&tool.value.as_str())) {
        let problem = format!("{:?} is in tooling.deny as well", tool.value);
        reader.refuse(tool, problem, "remove it from one of the two");
    }
    tools
}

fn memory<'a>(root: &Section<'a>, reader: &mut Reader<'a>) -> Memory {
    let memory = reader.section(root, "memory", Optional);
    let seed = reader.texts(&memory, "seed", Optional, 0, Text::Exact).and_then(|seed| {
        let lines: Vec<String> = seed.value.iter().map(|line| format!("- {}\n", line.value)).collect();
        if lines.is_empty() {
            reader.ledger.settle(&seed, "no seed is written");
            return None;
        }
        Some(seed.with(lines.concat()))
    });
    match reader.text(&memory, "retentionPolicy", Optional, Text::Exact) {
        Some(policy) if policy.value == "local-first" => {
            reader.ledger.settle(&policy, "memory is on the tenant's own volume");
        }
        Some(policy) => {
            let reason = "the old tools copied the text and acted on none of it; spec.workspace.retentionDays of the \
                 Harness says how long notes are kept";
            reader.ledger.lose(&policy, reason);
        }
        None => {}
    }
    let supermemory = reader.section(&memory, "supermemory", Optional);
    let enabled = reader.boolean(&supermemory, "enabled");
    let container_tag = reader.text(&supermemory, "containerTag", Optional, Text::Any);
    let container_tag = container_tag.filter(|tag| is_slug(tag, reader));
    let is_untagged = !supermemory.has("containerTag");
    if let Some(enabled) = enabled.as_ref().filter(|enabled| enabled.value && is_untagged) {
        let problem = "Supermemory is on and has no containerTag".into();
        reader.refuse(enabled, problem, "add memory.supermemory.containerTag");
    }
    Memory { seed, enabled, container_tag, ..Memory::default() }
}

fn operation<'a>(root: &Section<'a>, reader: &mut Reader<'a>) -> Operation {
    let watchdog = reader.section(root, "watchdog", Optional);
    let enabled = reader.boolean(&watchdog, "enabled");
    let webhook = reader.url(&watchdog, "webhookUrl");
    let heartbeat_seconds = reader.whole(&watchdog, "intervalSeconds", 30);
    let is_enabled = enabled.as_ref().is_some_and(|enabled| enabled.value);
    if let Some(enabled) = &enabled {
        if is_enabled && !watchdog.has("webhookUrl") {
            reader.refuse(enabled, "the watchdog is on and has no webhook".into(), "add watchdog.webhookUrl");
        }
        let reason = if is_enabled { "the Tenant names a webhook" } else { "the Tenant names no webhook" };
        reader.ledger.settle(enabled, reason);
    }
    if let Some(webhook) = webhook.as_ref().filter(|_| !is_enabled) {
        reader.ledger.lose(
            webhook,
            "the watchdog was off; name the webhook in the Tenant's spec.watchdog to switch it on",
        );
    }
    let recovery = reader.section(root, "recovery", Optional);
    let recovery_order = reader.choices(&recovery, "teamOrder", &TEAM, 1);
    let order: Vec<&Given<String>> = entries(recovery_order.as_ref()).collect();
    for (position, name) in order.iter().enumerate() {
        if order[..position].iter().any(|earlier| earlier.value == name.value) {
            reader.refuse(name, format!("{} is there twice", name.value), "keep one of them");
        }
    }
    match reader.boolean(&recovery, "singleOwner") {
        Some(single) if single.value => {
            reader.ledger.settle(&single, "the operator is the only one that restarts");
        }
        Some(single) => {
            reader.ledger.lose(&single, "the operator is always the only one that restarts a gateway");
        }
        None => {}
    }
    let openclaw = reader.section(root, "openclaw", Optional);
    Operation {
        owner_webhook: webhook.filter(|_| is_enabled),
        heartbeat_seconds,
        cooldown_seconds: reader.whole(&recovery, "cooldownSeconds", 30),
        recovery_order,
        update_channel: reader.choice(root, "updateRing", &["stable", "beta", "dev"]),
        image: reader.text(&openclaw, "image", Optional, Text::Exact),
        ..Operation::default()
    }
}

fn models<'a>(root: &Section<'a>, reader: &mut Reader<'a>) -> Models {
    let policy = reader.section(root, "modelPolicy", Optional);
    let triggers = ["rate_limit", "provider_cooldown", "billing_disabled", "auth_profile_unavailable"];
    if let Some(triggers) = reader.choices(&policy, "fallbackOn", &triggers, 0) {
        let reason =
            "OpenClaw decides itself which failures lead to the next model, and has no setting for it";
        reader.ledger.lose(&triggers, reason);
    }
    let reasoning = reader.section(root, "reasoningPolicy", Optional);
    let behaviour = ["highest_or_model_default", "model_default"];
    if let Some(behaviour) = reader.choice(&reasoning, "fallbackBehavior", &behaviour) {
        let reason = "OpenClaw decides itself how much a model reasons that does not know the level";
        reader.ledger.lose(&behaviour, reason);
    }
    let level = reader.choice(&reasoning, "default", &["max", "high", "normal", "off"]);
    Models {
        primary: reader.text(&policy, "primary", Optional, Text::Exact),
        fallbacks: reader.texts(&policy, "fallbacks", Optional, 0, Text::Exact),
        lock_routes: reader.boolean(&policy, "lockRoutes"),
        allow_runtime_override: reader.boolean(&policy, "allowRuntimeOverride"),
        reasoning: level.map(|level| {
            let value = match level.value.as_str() {
                "max" => Reasoning::Max,
                "high" => Reasoning::High,
                "normal" => Reasoning::Normal,
                _ => Reasoning::Off,
            };
            level.with(value)
        }),
    }
}

fn skills<'a>(root: &Section<'a>, reader: &mut Reader<'a>) {
    let skills = reader.section(root, "skills", Optional);
    let folders = reader.texts(&skills, "workspace", Optional, 0, Text::Exact);
    if let Some(folders) = folders.as_ref().filter(|folders| folders.value.is_empty()) {
        reader.ledger.settle(folders, NO_ENTRY);
    }
    for folder in entries(folders.as_ref()) {
        let reason = "it is a folder beside the file, which a cluster does not have; put it into a ConfigMap or an image \
             and name that in the Harness's spec.skills";
        reader.ledger.lose(folder, reason);
    }
}

fn coordination<'a>(root: &Section<'a>, reader: &mut Reader<'a>) -> Coordination {
    let control = reader.section(root, "controlPlane", Optional);
    let telemetry = reader.section(&control, "telemetry", Optional);
    let privacy = reader.section(&control, "privacy", Optional);
    let persona = reader.section(root, "persona", Optional);
    let onboarding = reader.section(root, "onboarding", Optional);
    let abilities = ["voice", "uplay_chromium", "mission_control_tasks", "notebooklm"];
    match reader.boolean(&onboarding, "autoNotebooklmPrompt") {
        Some(prompt) if prompt.value => reader.ledger.lose(&prompt, "nothing offers NotebookLM any more"),
        Some(prompt) => reader.ledger.settle(&prompt, "nothing offers NotebookLM any more"),
        None => {}
    }
    let pack_ref = reader.text(&control, "packRef", Optional, Text::Any);
    let pack_ref = pack_ref.filter(|pack| {
        let is_pack = pack.value.split_once('@').is_some_and(|(key, version)| {
            is_key(key) && !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit())
        });
        if !is_pack {
            reader.refuse(
                pack,
                format!("{:?} is not of the form KEY@NUMBER", pack.value),
                "write it like base-pack@1",
            );
        }
        is_pack
    });
    let mode = reader.choice(&persona, "mode", &["team", "individual"]);
    let orchestrator = reader.boolean(&persona, "orchestratorEnabled");
    let is_individual = mode.as_ref().filter(|mode| mode.value == "individual");
    if let Some(mode) = is_individual.filter(|_| orchestrator.as_ref().is_none_or(|it| it.value)) {
        let problem =
            "a single agent has nobody to orchestrate, and orchestratorEnabled is true when it is not set";
        reader.refuse(mode, problem.into(), "add persona.orchestratorEnabled: false");
    }
    Coordination {
        url: reader.url(&control, "missionControlUrl"),
        token_file: reader.text(&control, "missionControlTokenFile", Optional, Text::Exact),
        tier: reader.choice(&control, "tier", &["personal", "enterprise"]),
        pack_ref,
        telemetry: reader.boolean(&telemetry, "enabled"),
        cross_tenant_learning: reader.boolean(&privacy, "crossTenantLearning"),
        cross_user_learning: reader.boolean(&privacy, "crossUserLearning"),
        preset: reader.text(&persona, "presetRef", Optional, Text::Exact),
        mode,
        orchestrator,
        recommendations: reader.boolean(&onboarding, "recommendationEnabled"),
        defaults: reader.choices(&onboarding, "personalizedDefaults", &abilities, 0),
    }
}

fn is_key(key: &str) -> bool {
    key.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn entries(texts: Option<&Texts>) -> impl Iterator<Item = &Given<String>> {
    texts.into_iter().flat_map(|texts| &texts.value)
}
