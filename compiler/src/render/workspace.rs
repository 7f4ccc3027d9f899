//! The workspace files of an agent: what it reads as its instructions. Pure.
//!
//! OpenClaw 2026.9.6 gives AGENTS.md, SOUL.md, IDENTITY.md, USER.md and MEMORY.md to the model. TOOLS.md and
//! HEARTBEAT.md are for people and older releases: what an agent must know of them stands in AGENTS.md too.

use std::collections::BTreeMap;

use kr8tiv_crds::duration;

use crate::bundle::{Ownership, WorkspaceFile};
use crate::compose::Composition;
use crate::render::markdown::{line, list, paragraphs};
use crate::render::retrieved::{self, CONTEXT_FILE};
use crate::render::{instructions, mission_control};
use crate::resolve::{Resolved, ResolvedAgent};

/// How an agent writes when nobody says.
const DEFAULT_STYLE: &str = "Direct, concise and practical.";

/// The files of one agent by name.
pub(crate) fn files(
    resolved: &Resolved<'_>,
    composition: &Composition<'_>,
    agent: &ResolvedAgent<'_>,
    retrieved_context: &[String],
) -> BTreeMap<String, WorkspaceFile> {
    let mut files = BTreeMap::new();
    let mut add = |name: &str, ownership, content: String| {
        // `policy` refuses a file of the user's with a standard name; here the standard file stays.
        files.entry(name.to_owned()).or_insert(WorkspaceFile { content, ownership });
    };
    add("AGENTS.md", Ownership::Operator, instructions::render(resolved, composition, agent));
    add("SOUL.md", Ownership::Operator, soul(resolved, agent));
    add("IDENTITY.md", Ownership::Operator, identity(agent));
    add("TOOLS.md", Ownership::Operator, tools(resolved, agent));
    add("HEARTBEAT.md", Ownership::Operator, heartbeat(resolved, agent));
    add("USER.md", Ownership::Agent, user(resolved));
    if let Some(seed) = &resolved.harness.workspace.memory_seed {
        add("MEMORY.md", Ownership::Agent, ended(seed));
    }
    for file in resolved.harness.workspace.files.iter().chain(agent.own_files) {
        add(&file.name, Ownership::Operator, ended(&file.content));
    }
    let context = resolved.harness.supermemory.enabled.then(|| retrieved::render(retrieved_context, &files));
    if let Some(content) = context.flatten() {
        files.insert(CONTEXT_FILE.into(), WorkspaceFile { content, ownership: Ownership::Operator });
    }
    files
}

fn soul(resolved: &Resolved<'_>, agent: &ResolvedAgent<'_>) -> String {
    let soul = &resolved.harness.soul;
    let style = agent.identity.communication_style.as_deref().unwrap_or(DEFAULT_STYLE);
    format!(
        "# Soul\n\n{}\n\n## What you hold true\n\n{}\n## How you sound\n\n{}\n\n## How you write\n\n{}\n",
        paragraphs(&agent.identity.personality),
        list(&soul.core_truths),
        paragraphs(&soul.vibe),
        paragraphs(style),
    )
}

fn identity(agent: &ResolvedAgent<'_>) -> String {
    let mut text = format!(
        "# Identity\n\n- Name: {}\n- Role: {}\n",
        line(agent.display_name),
        line(&agent.identity.role)
    );
    if let Some(emoji) = agent.emoji {
        text.push_str(&format!("- Emoji: {}\n", line(emoji)));
    }
    text
}

fn tools(resolved: &Resolved<'_>, agent: &ResolvedAgent<'_>) -> String {
    let mut text = format!("# Tools\n\n{}", instructions::tools(resolved, agent));
    if let Some(coordination) = &resolved.harness.coordination {
        text.push_str(&format!("\n## Mission Control\n\n{}", mission_control::endpoints(coordination)));
    }
    text
}

/// How the agent is watched and what it does unasked, for people: OpenClaw does not read the file.
fn heartbeat(resolved: &Resolved<'_>, agent: &ResolvedAgent<'_>) -> String {
    let observability = &resolved.harness.observability;
    let mut text = String::from("# Heartbeat\n\n");
    match agent.heartbeat {
        None => text.push_str("- No periodic work is planned.\n"),
        Some(heartbeat) => {
            let prompt = line(&heartbeat.prompt);
            text.push_str(&format!(
                "- Every {}, the answer goes to {}: {prompt}\n",
                duration::text(heartbeat.every),
                heartbeat.target.as_str()
            ));
        }
    }
    let Some(watchdog) = &resolved.tenant.spec.watchdog else { return text };
    let told: Vec<&str> =
        [("the owner", &watchdog.owner_webhook), ("the management", &watchdog.management_webhook)]
            .into_iter()
            .filter_map(|(who, webhook)| webhook.as_ref().map(|_| who))
            .collect();
    text.push_str(&format!(
        "- Every {} the watchdog tells {} that the gateway is alive, and after {} that it is down.\n",
        duration::text(observability.heartbeat_interval),
        told.join(" and "),
        duration::text(observability.down_alert_threshold)
    ));
    text
}

fn user(resolved: &Resolved<'_>) -> String {
    format!(
        "# The people you work for\n\nYou work for {}.\n\n## What you have learned about them\n\nNothing yet.\n",
        line(&resolved.tenant.spec.display_name)
    )
}

/// A user's file as it is, with a line feed at its end.
fn ended(content: &str) -> String {
    let end = if content.ends_with('\n') { "" } else { "\n" };
    format!("{content}{end}")
}
