//! `docs/import.md` has every field of both formats, and says of each where the code puts it. `UPDATE=1` writes its
//! tables anew.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use kr8tiv_cli::import::legacy::Format;
use kr8tiv_cli::import::{ALIASES, BACKEND_MODEL, Options, RENAMED_TOOLS, fields, import};
use kr8tiv_cli::input::Source;

/// A field, the fields that it becomes, and what there is to know.
type Row = (&'static str, &'static [&'static str], &'static str);

const FORMAT_A: &[Row] = &[
    (
        "tenant.slug",
        &["Tenant metadata.name"],
        "the Harness has the same name; without `-` at its end, at most 40 characters (a hash keeps longer ones apart), `t-` before a digit, and `spec.slug` then has the old one",
    ),
    ("tenant.displayName", &["Tenant spec.displayName"], "at most 100 characters"),
    (
        "tenant.containerTag",
        &["Tenant spec.containerTag"],
        "`:` and the like become `-`: Supermemory takes no other",
    ),
    ("identity.role", &["Harness spec.identity.role"], ""),
    ("identity.purpose", &["Harness spec.identity.purpose"], ""),
    ("identity.personality", &["Harness spec.identity.personality"], ""),
    ("identity.communicationStyle", &["Harness spec.identity.communicationStyle"], ""),
    ("soul.coreTruths", &["Harness spec.soul.coreTruths"], ""),
    ("soul.vibe", &["Harness spec.soul.vibe"], ""),
    ("boundaries.hardLimits", &["Harness spec.boundaries.hardLimits"], ""),
    ("boundaries.escalationRules", &["Harness spec.boundaries.escalationRules"], ""),
    ("jobFunctions.responsibilities", &["Harness spec.jobFunctions.responsibilities"], ""),
    ("jobFunctions.successCriteria", &["Harness spec.jobFunctions.successCriteria"], ""),
    (
        "channels.allow",
        &["Harness spec.channels.allow"],
        "the Tenant gets an account for each; other channels than OpenClaw's four are not carried over",
    ),
    ("channels.dmPairingRequired", &["Harness spec.channels.dmPairingRequired"], ""),
    ("channels.mentionGating", &["Harness spec.channels.mentionGating"], ""),
    (
        "tools.allowlist",
        &["Harness spec.tools.allow", "Harness spec.tools.deny"],
        "OpenClaw's ids; what is denied as well is denied",
    ),
    ("tools.denylist", &["Harness spec.tools.deny"], "OpenClaw's ids"),
    ("tools.sandboxNonMainSessions", &["Harness spec.tools.sandboxNonMainSessions"], ""),
    ("workspace.root", &[], "the old tools did not use it"),
    ("workspace.retentionDays", &["Harness spec.workspace.retentionDays"], "at most 3650"),
    ("workspace.includeMemorySeed", &[], "decides whether there is a seed"),
    (
        "workspace.memorySeed",
        &["Harness spec.workspace.memorySeed"],
        "not carried over unless it is included",
    ),
    (
        "skills.packs[].name",
        &[],
        "nothing installed packs; put the pack into a ConfigMap or an image and name it in `spec.skills`",
    ),
    ("skills.packs[].source", &[], "the same"),
    ("skills.packs[].version", &[], "the same"),
    ("secrets.allowedInWorkspace", &["Harness spec.secrets.allowedInWorkspace"], ""),
    ("secrets.redactionRules", &["Harness spec.secrets.redactionRules"], ""),
    (
        "supermemory.enabled",
        &["Harness spec.supermemory.enabled"],
        "off when its address has no place; write `queries`, which the old formats lack",
    ),
    ("supermemory.apiKeyEnv", &["Tenant spec.supermemory.apiKeySecretRef"], "a Secret instead of a variable"),
    (
        "supermemory.baseUrl",
        &["Harness spec.supermemory.baseUrl"],
        "http or https, without user, query and fragment",
    ),
    (
        "supermemory.containerTagPrefix",
        &["Harness spec.supermemory.containerTagPrefix"],
        "`:` and the like become `-`",
    ),
    ("supermemory.topK", &["Harness spec.supermemory.topK"], "at most 50"),
    ("supermemory.threshold", &["Harness spec.supermemory.threshold"], ""),
    (
        "memoryIngestion.enableAutoIngestion",
        &["Harness spec.memoryIngestion.enabled"],
        "the old tools did not act on it",
    ),
    (
        "memoryIngestion.dedupeByCustomId",
        &["Harness spec.memoryIngestion.dedupeByCustomId"],
        "the old tools did not act on it",
    ),
    (
        "memoryIngestion.metadataNamespace",
        &["Harness spec.memoryIngestion.metadataNamespace"],
        "`:` and the like become `-`",
    ),
    ("reinforcement.enabled", &["Harness spec.reinforcement.enabled"], ""),
    ("reinforcement.reflectionTemplate", &["Harness spec.reinforcement.reflectionTemplate"], ""),
    (
        "observability.ownerWebhookUrl",
        &["Tenant spec.watchdog.ownerWebhook"],
        "from a Secret, unless it is a bare host; `ftp` and the like are not carried over",
    ),
    ("observability.managementWebhookUrl", &["Tenant spec.watchdog.managementWebhook"], "the same"),
    (
        "observability.heartbeatIntervalSeconds",
        &["Harness spec.observability.heartbeatInterval"],
        "30s to half a day",
    ),
    (
        "observability.downAlertThresholdSeconds",
        &["Harness spec.observability.downAlertThreshold"],
        "at least two intervals, at most a day",
    ),
    ("updates.channel", &["Harness spec.updates.channel"], ""),
    (
        "updates.rolloutWindow",
        &["Harness spec.updates.window"],
        "of the form `02:00-04:00 UTC`; other words are not carried over",
    ),
    (
        "coordination.missionControlEnabled",
        &[],
        "the format does not say where Mission Control is; write `spec.coordination`",
    ),
];

const FORMAT_B: &[Row] = &[
    (
        "tenantId",
        &["Tenant metadata.name"],
        "as `tenant.slug` of format A; one that ends with eight hexadecimal digits is `spec.tenantId` too",
    ),
    ("name", &["Tenant spec.displayName"], "at most 100 characters"),
    (
        "role",
        &["Harness spec.identity.role"],
        "purpose, personality and success criteria, which the format lacks, are made up: write your own",
    ),
    ("soul.truths", &["Harness spec.soul.coreTruths"], ""),
    ("soul.voice", &["Harness spec.soul.vibe"], ""),
    ("soul.boundaries", &["Harness spec.boundaries.hardLimits"], ""),
    ("jobFunctions", &["Harness spec.jobFunctions.responsibilities"], ""),
    ("channels.whatsapp", &["Harness spec.channels.allow"], "the Tenant gets an account"),
    ("channels.telegram", &["Harness spec.channels.allow"], "the Tenant gets an account"),
    ("channels.dmPairingRequired", &["Harness spec.channels.dmPairingRequired"], ""),
    ("channels.mentionGating", &["Harness spec.channels.mentionGating"], ""),
    ("tooling.allow", &["Harness spec.tools.allow"], "OpenClaw's ids"),
    ("tooling.deny", &["Harness spec.tools.deny"], "OpenClaw's ids"),
    ("tooling.elevatedMode", &["Harness spec.tools.elevated"], ""),
    ("sandbox.nonMainSessionsIsolated", &["Harness spec.tools.sandboxNonMainSessions"], ""),
    ("memory.seed", &["Harness spec.workspace.memorySeed"], "one line for each entry"),
    ("memory.retentionPolicy", &[], "`local-first` is what there is; the old tools acted on no other"),
    (
        "memory.supermemory.enabled",
        &["Harness spec.supermemory.enabled"],
        "write `queries`, which the old formats lack",
    ),
    ("memory.supermemory.containerTag", &["Tenant spec.containerTag"], "at most 100 characters"),
    ("updateRing", &["Harness spec.updates.channel"], ""),
    ("watchdog.enabled", &[], "decides whether the Tenant names the webhook"),
    (
        "watchdog.webhookUrl",
        &["Tenant spec.watchdog.ownerWebhook"],
        "from a Secret, unless it is a bare host; not carried over while the watchdog is off",
    ),
    (
        "watchdog.intervalSeconds",
        &["Harness spec.observability.heartbeatInterval"],
        "at most half a day; an alert comes after two intervals at the earliest",
    ),
    (
        "skills.workspace",
        &[],
        "folders beside the file; put them into a ConfigMap or an image and name it in `spec.skills`",
    ),
    (
        "openclaw.image",
        &["Tenant spec.gateway.version", "Tenant spec.gateway.image"],
        "the tag must name a release that the operator knows; a floating one gives way to the newest",
    ),
    ("modelPolicy.primary", &["Harness spec.models.primary"], "see above"),
    ("modelPolicy.fallbacks", &["Harness spec.models.fallbacks"], "the same, each once, at most 8"),
    (
        "modelPolicy.lockRoutes",
        &["Harness spec.models.lock"],
        "locked is what was locked and could not be overridden",
    ),
    ("modelPolicy.allowRuntimeOverride", &["Harness spec.models.lock"], "the same"),
    ("modelPolicy.fallbackOn", &[], "OpenClaw decides itself which failures lead to the next model"),
    (
        "reasoningPolicy.default",
        &["Harness spec.models.reasoning"],
        "`normal` is now `medium`; without it, `max`",
    ),
    ("reasoningPolicy.fallbackBehavior", &[], "OpenClaw decides it itself"),
    ("persona.presetRef", &["Harness spec.coordination.persona.presetRef"], "a-z, 0-9 and `-`"),
    ("persona.mode", &["Harness spec.coordination.persona.mode"], ""),
    ("persona.orchestratorEnabled", &["Harness spec.coordination.persona.orchestrator"], ""),
    ("onboarding.recommendationEnabled", &["Harness spec.coordination.onboarding.recommendations"], ""),
    ("onboarding.personalizedDefaults", &["Harness spec.coordination.onboarding.defaults"], ""),
    ("onboarding.autoNotebooklmPrompt", &[], "nothing offers NotebookLM any more"),
    ("recovery.teamOrder", &["Harness spec.recovery.order"], "ids in lower case"),
    ("recovery.singleOwner", &[], "the operator is always the only one that restarts"),
    ("recovery.cooldownSeconds", &["Harness spec.recovery.cooldown"], "at most a day"),
    (
        "controlPlane.missionControlUrl",
        &["Harness spec.coordination.url"],
        "http or https, without user, query and fragment; else all of `spec.coordination` is left out",
    ),
    (
        "controlPlane.missionControlTokenFile",
        &["Tenant spec.missionControl.tokenSecretRef"],
        "a Secret instead of a file",
    ),
    ("controlPlane.tier", &["Harness spec.coordination.tier", "Tenant spec.tier"], ""),
    ("controlPlane.packRef", &["Harness spec.coordination.packRef"], "`@0` is now `@1`"),
    ("controlPlane.telemetry.enabled", &["Harness spec.coordination.telemetry"], ""),
    (
        "controlPlane.privacy.crossTenantLearning",
        &["Harness spec.coordination.privacy.crossTenantLearning"],
        "",
    ),
    ("controlPlane.privacy.crossUserLearning", &["Harness spec.coordination.privacy.crossUserLearning"], ""),
];

fn rows(format: Format) -> &'static [Row] {
    match format {
        Format::A => FORMAT_A,
        Format::B => FORMAT_B,
    }
}

/// Where the values of some files go, by field.
fn seen(format: Format) -> BTreeMap<String, BTreeSet<String>> {
    let name = if format == Format::A { "format-a" } else { "format-b" };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import").join(name).join("legacy.yaml");
    let example = fs::read_to_string(path).unwrap();
    // What the example shows of a field in one way only.
    let others = [
        example.replace("ftp://status.example.com/riverbank", "https://status.example.com"),
        example.replace("openclaw:stable", "openclaw:2026.9.6").replace("whatsapp: false", "whatsapp: true"),
        example.replace("ghcr.io/openclaw/openclaw:stable", "registry.example.com/claw:2026.9.6"),
    ];
    let mut seen: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for text in [example].into_iter().chain(others) {
        let source = Source { name: String::new(), text, hidden: Vec::new() };
        let imported = import(vec![source], &Options::default());
        assert_eq!(imported.input.problems, []);
        for entry in &imported.report.files[0].entries {
            let Some(from) = &entry.from else { continue };
            // Entries of lists are their list's.
            let field = from.field.split('[').next().unwrap().to_owned();
            seen.entry(field).or_default().extend(entry.to.map(|to| to.to_string()));
        }
    }
    seen
}

#[test]
fn every_field_is_in_the_table() {
    for format in [Format::A, Format::B] {
        let all = fields(format);
        let is_section = |field: &str| {
            all.iter().any(|other| other.strip_prefix(field).is_some_and(|rest| rest.starts_with(['.', '['])))
        };
        let leaves: BTreeSet<&str> =
            all.iter().map(String::as_str).filter(|field| !is_section(field)).collect();
        let documented: BTreeSet<&str> = rows(format).iter().map(|(field, ..)| *field).collect();
        assert_eq!(leaves, documented, "{format:?}");
    }
}

#[test]
fn fields_become_what_the_table_says() {
    for format in [Format::A, Format::B] {
        let seen = seen(format);
        for (field, becomes, _) in rows(format) {
            let list = field.split('[').next().unwrap();
            let found: BTreeSet<&str> = seen[list].iter().map(String::as_str).collect();
            let expected: BTreeSet<&str> = becomes.iter().copied().collect();
            assert_eq!(found, expected, "{format:?} {field}");
        }
    }
}

fn table(rows: &[Row]) -> String {
    let rows = rows.iter().map(|(field, becomes, note)| {
        let becomes = becomes.iter().map(|target| {
            let (kind, path) = target.split_once(' ').unwrap();
            format!("{kind} `{path}`")
        });
        let becomes: Vec<String> = becomes.collect();
        let becomes = if becomes.is_empty() { "–".into() } else { becomes.join(", ") };
        format!("| `{field}` | {becomes} | {note} |\n")
    });
    format!("| Field | Becomes | To know |\n| --- | --- | --- |\n{}", rows.collect::<String>())
}

fn between(text: &str, name: &str, content: &str) -> String {
    let begin = format!("<!-- begin: {name} -->");
    let (before, rest) = text.split_once(&begin).unwrap();
    let (_, after) = rest.split_once("<!-- end -->").unwrap();
    format!("{before}{begin}{content}<!-- end -->{after}")
}

#[test]
fn the_document_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/import.md");
    let written = fs::read_to_string(&path).unwrap();
    let aliases: String = ALIASES.iter().map(|id| format!("- `{id}`\n")).collect();
    let tools = RENAMED_TOOLS.iter().map(|(old, new)| format!("| `{old}` | `{new}` |\n"));
    let tools = format!("| Old | OpenClaw's |\n| --- | --- |\n{}", tools.collect::<String>());
    let mut text = between(&written, "backend model", &format!("`{BACKEND_MODEL}`"));
    for (name, content) in
        [("aliases", aliases), ("tools", tools), ("format A", table(FORMAT_A)), ("format B", table(FORMAT_B))]
    {
        text = between(&text, name, &format!("\n{content}"));
    }
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &text).unwrap();
    }
    assert!(
        fs::read_to_string(&path).unwrap() == text,
        "docs/import.md is not what the code says: run UPDATE=1 cargo test -p kr8tiv-cli --test import_docs"
    );
}
