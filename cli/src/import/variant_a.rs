//! Reading stage, pure: format A, with its sixteen sections. All of them must be there, each may be empty where every
//! field in it has a default.

use crate::import::legacy::{Character, Format, Given, Legacy, Memory, Models, Operation, Tools};
use crate::import::reader::Need::{Optional, Required};
use crate::import::reader::{Reader, Section, Text};
use crate::input::node::Node;

/// Reads a file. `None` when it is not a legal one; what is wrong is among the reader's problems.
pub fn read<'a>(node: &'a Node, reader: &mut Reader<'a>) -> Option<Legacy> {
    let root = reader.root(node);
    let tenant = reader.section(&root, "tenant", Required);
    let id = reader.text(&tenant, "slug", Required, Text::Trimmed);
    let id = id.filter(|id| is_slug(id, reader));
    let display_name = reader.text(&tenant, "displayName", Required, Text::Trimmed);
    let container_tag = reader.text(&tenant, "containerTag", Optional, Text::TrimmedOrEmpty);

    let character = character(&root, reader);
    let channels = reader.section(&root, "channels", Required);
    let allowed = reader.texts(&channels, "allow", Required, 1, Text::Trimmed);
    let dm_pairing_required = reader.boolean(&channels, "dmPairingRequired");
    let mention_gating = reader.boolean(&channels, "mentionGating");
    let tools = reader.section(&root, "tools", Required);
    let tools = Tools {
        allow: reader.texts(&tools, "allowlist", Optional, 0, Text::Trimmed),
        deny: reader.texts(&tools, "denylist", Optional, 0, Text::Trimmed),
        sandbox_non_main_sessions: reader.boolean(&tools, "sandboxNonMainSessions"),
        elevated: None,
    };
    let memory = memory(&root, container_tag, reader);
    let operation = operation(&root, reader);
    skills(&root, reader);
    coordination(&root, reader);
    Some(Legacy {
        format: Format::A,
        id: id?,
        display_name: display_name?,
        character: character?,
        channels: allowed?.value,
        dm_pairing_required,
        mention_gating,
        tools,
        models: Models::default(),
        memory,
        operation,
        coordination: None,
    })
    .filter(|_| reader.problems.is_empty())
}

/// What both formats take for a name.
pub fn is_slug(given: &Given<String>, reader: &mut Reader<'_>) -> bool {
    let is_slug =
        given.value.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !given.value.starts_with('-')
            && !given.value.is_empty();
    if !is_slug {
        let problem =
            format!("{:?} has other characters than a-z, 0-9 and '-', or starts with '-'", given.value);
        reader.refuse(given, problem, "use a-z, 0-9 and '-', a letter or a digit first");
    }
    is_slug
}

fn character<'a>(root: &Section<'a>, reader: &mut Reader<'a>) -> Option<Character> {
    let identity = reader.section(root, "identity", Required);
    let role = reader.text(&identity, "role", Required, Text::Trimmed);
    let purpose = reader.text(&identity, "purpose", Required, Text::Trimmed);
    let personality = reader.text(&identity, "personality", Required, Text::Trimmed);
    let communication_style = reader.text(&identity, "communicationStyle", Optional, Text::TrimmedOrEmpty);
    let soul = reader.section(root, "soul", Required);
    let core_truths = reader.texts(&soul, "coreTruths", Required, 1, Text::Trimmed);
    let vibe = reader.text(&soul, "vibe", Required, Text::Trimmed);
    let boundaries = reader.section(root, "boundaries", Required);
    let hard_limits = reader.texts(&boundaries, "hardLimits", Optional, 0, Text::Trimmed);
    let escalation_rules = reader.texts(&boundaries, "escalationRules", Optional, 0, Text::Trimmed);
    let jobs = reader.section(root, "jobFunctions", Required);
    let responsibilities = reader.texts(&jobs, "responsibilities", Required, 1, Text::Trimmed);
    let success_criteria = reader.texts(&jobs, "successCriteria", Required, 1, Text::Trimmed);
    let secrets = reader.section(root, "secrets", Required);
    Some(Character {
        allowed_in_workspace: reader.texts(&secrets, "allowedInWorkspace", Optional, 0, Text::Trimmed),
        redaction_rules: reader.texts(&secrets, "redactionRules", Optional, 0, Text::Trimmed),
        role: role?,
        purpose,
        personality,
        communication_style,
        core_truths: core_truths?,
        vibe: vibe?,
        hard_limits,
        escalation_rules,
        responsibilities: responsibilities?,
        success_criteria,
    })
}

fn memory<'a>(root: &Section<'a>, container_tag: Option<Given<String>>, reader: &mut Reader<'a>) -> Memory {
    let workspace = reader.section(root, "workspace", Required);
    if let Some(folder) = reader.text(&workspace, "root", Optional, Text::Any) {
        let reason = "the old tools did not use it; an agent's workspace is on the gateway's volume, under the agent's id";
        reader.ledger.lose(&folder, reason);
    }
    let retention_days = reader.whole(&workspace, "retentionDays", 1);
    let seed = seed(&workspace, reader);
    let supermemory = reader.section(root, "supermemory", Required);
    let ingestion = reader.section(root, "memoryIngestion", Required);
    let reinforcement = reader.section(root, "reinforcement", Required);
    Memory {
        seed,
        retention_days,
        enabled: reader.boolean(&supermemory, "enabled"),
        key_variable: reader.text(&supermemory, "apiKeyEnv", Optional, Text::Trimmed),
        base_url: reader.text(&supermemory, "baseUrl", Optional, Text::Trimmed),
        tag_prefix: reader.text(&supermemory, "containerTagPrefix", Optional, Text::Trimmed),
        container_tag,
        top_k: reader.whole(&supermemory, "topK", 1),
        threshold: reader.fraction(&supermemory, "threshold"),
        ingestion: reader.boolean(&ingestion, "enableAutoIngestion"),
        dedupe: reader.boolean(&ingestion, "dedupeByCustomId"),
        namespace: reader.text(&ingestion, "metadataNamespace", Optional, Text::Trimmed),
        reflection: reader.boolean(&reinforcement, "enabled"),
        reflection_template: reader.text(&reinforcement, "reflectionTemplate", Optional, Text::Trimmed),
    }
}

/// The seed was written only when two fields agreed.
fn seed<'a>(workspace: &Section<'a>, reader: &mut Reader<'a>) -> Option<Given<String>> {
    let include = reader.boolean(workspace, "includeMemorySeed");
    let seed = reader.text(workspace, "memorySeed", Optional, Text::Any);
    let is_included = include.as_ref().is_some_and(|include| include.value);
    match (&include, &seed) {
        (Some(include), None) if include.value => {
            reader.ledger.lose(
                include,
                "there is no memorySeed; the old tools wrote a placeholder, which is left out",
            );
        }
        (Some(include), _) => {
            let reason =
                if include.value { "a seed is written when there is one" } else { "no seed is written" };
            reader.ledger.settle(include, reason);
        }
        (None, _) => {}
    }
    if let Some(seed) = seed.as_ref().filter(|_| !is_included) {
        let reason = "includeMemorySeed is not true, so the old tools left the seed out";
        reader.ledger.lose(seed, reason);
    }
    seed.filter(|_| is_included)
}

fn operation<'a>(root: &Section<'a>, reader: &mut Reader<'a>) -> Operation {
    let observability = reader.section(root, "observability", Required);
    let updates = reader.section(root, "updates", Required);
    Operation {
        owner_webhook: reader.url(&observability, "ownerWebhookUrl"),
        management_webhook: reader.url(&observability, "managementWebhookUrl"),
        heartbeat_seconds: reader.whole(&observability, "heartbeatIntervalSeconds", 1),
        down_alert_seconds: reader.whole(&observability, "downAlertThresholdSeconds", 1),
        update_channel: reader.choice(&updates, "channel", &["stable", "beta", "dev"]),
        update_window: reader.text(&updates, "rolloutWindow", Optional, Text::Any),
        ..Operation::default()
    }
}

fn skills<'a>(root: &Section<'a>, reader: &mut Reader<'a>) {
    let skills = reader.section(root, "skills", Required);
    for pack in reader.sections(&skills, "packs") {
        reader.text(&pack, "name", Required, Text::Trimmed);
        reader.text(&pack, "source", Required, Text::Trimmed);
        reader.text(&pack, "version", Optional, Text::Any);
        let reason = "the old tools listed packs and installed none; put the pack's folders into a ConfigMap or an image \
             and name that in the Harness's spec.skills";
        reader.ledger.lose(&pack.given(), reason);
    }
}

fn coordination<'a>(root: &Section<'a>, reader: &mut Reader<'a>) {
    let coordination = reader.section(root, "coordination", Required);
    match reader.boolean(&coordination, "missionControlEnabled") {
        Some(enabled) if enabled.value => {
            let reason = "this format does not say where Mission Control is; name it in the Harness's spec.coordination";
            reader.ledger.lose(&enabled, reason);
        }
        Some(enabled) => reader.ledger.settle(&enabled, "there is no spec.coordination"),
        None => {}
    }
}
