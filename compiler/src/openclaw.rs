//! What is known of OpenClaw 2026.9.6, the release that is compiled for. Constants and questions to them; pure.
//!
//! Sources: the documentation in the npm package (`docs/gateway/config-tools/tool-policy.md`,
//! `docs/concepts/agent-workspace.md`) and runs of the gateway.

/// Releases the compiler knows.
pub const SUPPORTED_VERSIONS: &[&str] = &["2026.9.6"];

/// The gateway's only port.
pub const GATEWAY_PORT: i32 = 18789;
/// Environment variable of the gateway's token.
pub(crate) const TOKEN_VARIABLE: &str = "OPENCLAW_GATEWAY_TOKEN";
/// Environment variable of the Telegram bot's token.
pub(crate) const TELEGRAM_VARIABLE: &str = "TELEGRAM_BOT_TOKEN";
/// Home of the image's user `node`, uid 1000.
pub(crate) const HOME: &str = "/home/node";
/// OpenClaw's state: conversations, memory, workspaces.
pub(crate) const STATE: &str = "/home/node/.openclaw";
/// Folder of `openclaw.json` in the gateway's container.
pub(crate) const CONFIG_FOLDER: &str = "/etc/openclaw/config";

/// Characters (UTF-16 units, as JavaScript counts) of a workspace file that reach the model; of a longer one the
/// middle is cut out.
pub(crate) const FILE_LIMIT: usize = 20_000;
/// Characters of all workspace files together that reach the model.
pub(crate) const WORKSPACE_LIMIT: usize = 60_000;
/// Characters of USER.md that reach the model.
pub(crate) const USER_FILE_LIMIT: usize = 4_000;

/// Tools that every gateway denies: they change the gateway itself, reach other sessions or machines, or need a
/// part that is switched off.
pub(crate) const RESERVED_TOOLS: &[&str] = &[
    "automations",
    "browser",
    "canvas",
    "computer",
    "conversations_send",
    "conversations_turn",
    "cron",
    "gateway",
    "nodes",
    "openclaw",
    "plugins",
    "portal",
    "sessions_send",
    "sessions_spawn",
    "skill_workshop",
    "terminal",
];

/// What a Harness that allows nothing by name gets: reading, remembering and answering.
pub(crate) const DEFAULT_TOOLS: &[&str] =
    &["memory_get", "memory_search", "message", "read", "session_status"];

/// The other built-in tools and groups of tools.
const OTHER_TOOLS: &[&str] = &[
    "agents_list",
    "apply_patch",
    "ask_user",
    "bash",
    "code_execution",
    "conversations_list",
    "create_goal",
    "dashboard",
    "dismiss_task",
    "edit",
    "exec",
    "get_goal",
    "group:agents",
    "group:automation",
    "group:fs",
    "group:media",
    "group:memory",
    "group:messaging",
    "group:nodes",
    "group:openclaw",
    "group:plugins",
    "group:runtime",
    "group:sessions",
    "group:ui",
    "group:web",
    "heartbeat_respond",
    "image_generate",
    "ls",
    "music_generate",
    "pdf",
    "process",
    "progress_card",
    "screen",
    "sessions",
    "sessions_history",
    "sessions_list",
    "sessions_search",
    "sessions_yield",
    "show_widget",
    "subagents",
    "suggest_task",
    "theme",
    "tts",
    "update_goal",
    "video_generate",
    "view_image",
    "web_fetch",
    "web_search",
    "write",
    "x_search",
];

/// Whether an id is a tool or group of this release.
pub(crate) fn is_tool(id: &str) -> bool {
    [DEFAULT_TOOLS, OTHER_TOOLS, RESERVED_TOOLS].iter().any(|list| list.contains(&id))
}

/// The provider of a model, `provider/model`.
pub(crate) fn provider_of(model: &str) -> &str {
    model.split_once('/').map_or(model, |(provider, _)| provider)
}

/// The environment variable in which OpenClaw looks for a provider's key.
pub(crate) fn key_variable(provider: &str) -> String {
    format!("{}_API_KEY", provider.to_ascii_uppercase().replace('-', "_"))
}

/// Text for a string of `openclaw.json`: OpenClaw replaces `${NAME}` by an environment variable there, unless a
/// dollar sign stands before it.
pub(crate) fn literal(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let name = &rest[start + 2..];
        let is_variable = name.find('}').is_some_and(|end| {
            let name = &name[..end];
            name.starts_with(|first: char| first.is_ascii_uppercase() || first == '_')
                && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
        });
        escaped.push_str(&rest[..start]);
        if is_variable {
            escaped.push('$');
        }
        escaped.push_str("${");
        rest = name;
    }
    escaped.push_str(rest);
    escaped
}

/// Length of a text as OpenClaw counts it.
pub(crate) fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_stay_text() {
        for (text, written) in [
            ("plain", "plain"),
            ("${HOME}", "$${HOME}"),
            ("a ${A_1} b ${B}", "a $${A_1} b $${B}"),
            ("$${HOME}", "$$${HOME}"),
            ("${lower} ${} ${OPEN", "${lower} ${} ${OPEN"),
        ] {
            assert_eq!(literal(text), written);
        }
    }

    #[test]
    fn the_tool_lists_are_disjoint() {
        let mut all: Vec<_> = [DEFAULT_TOOLS, OTHER_TOOLS, RESERVED_TOOLS].concat();
        all.sort_unstable();
        let before = all.len();
        all.dedup();
        assert_eq!(all.len(), before);
    }

    #[test]
    fn keys_go_where_openclaw_looks() {
        assert_eq!(key_variable("anthropic"), "ANTHROPIC_API_KEY");
        assert_eq!(key_variable("my-proxy"), "MY_PROXY_API_KEY");
    }
}
