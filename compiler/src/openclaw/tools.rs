//! The tools of OpenClaw 2026.9.6, and what a harness's policy makes of them. Pure.
//!
//! Source: `docs/gateway/config-tools/tool-policy.md` in the npm package, and runs of the gateway.

use std::collections::BTreeSet;

use kr8tiv_crds::tools::{ToolNarrowing, ToolPolicy};

/// Groups of tools by the name with which a policy refers to them.
const GROUPS: &[(&str, &[&str])] = &[
    (
        "group:agents",
        &[
            "agents_list",
            "ask_user",
            "create_goal",
            "get_goal",
            "progress_card",
            "skill_workshop",
            "update_goal",
        ],
    ),
    ("group:automation", &["automations", "gateway", "heartbeat_respond", "openclaw", "plugins"]),
    ("group:fs", &["apply_patch", "edit", "ls", "read", "write"]),
    ("group:media", &["image_generate", "music_generate", "pdf", "tts", "video_generate", "view_image"]),
    ("group:memory", &["memory_get", "memory_search"]),
    ("group:messaging", &["message"]),
    ("group:nodes", &["computer", "nodes"]),
    ("group:runtime", &["code_execution", "exec", "process"]),
    (
        "group:sessions",
        &[
            "conversations_list",
            "conversations_send",
            "conversations_turn",
            "dismiss_task",
            "session_status",
            "sessions",
            "sessions_history",
            "sessions_list",
            "sessions_search",
            "sessions_send",
            "sessions_spawn",
            "sessions_yield",
            "subagents",
            "suggest_task",
        ],
    ),
    ("group:ui", &["browser", "canvas", "dashboard", "portal", "screen", "show_widget", "terminal", "theme"]),
    ("group:web", &["web_fetch", "web_search", "x_search"]),
];

/// Tools that every gateway denies: they change the gateway itself, reach other sessions or machines, or need a
/// part that is switched off.
pub(crate) const RESERVED: &[&str] = &[
    "automations",
    "browser",
    "canvas",
    "computer",
    "conversations_send",
    "conversations_turn",
    "cron",
    "gateway",
    "memory_get",
    "memory_search",
    "nodes",
    "openclaw",
    "plugins",
    "portal",
    "sessions_send",
    "sessions_spawn",
    "skill_workshop",
    "terminal",
];

/// What a harness that allows nothing by name gets: reading and answering.
const DEFAULT: &[&str] = &["message", "read", "session_status"];

/// Everything that plugins add; which tools those are is known only in the gateway.
const PLUGINS: &str = "group:plugins";
/// Every built-in tool but those of the file system, of the runtime and the canvas.
const OPENCLAW: &str = "group:openclaw";

/// What a policy comes to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ToolSet<'a> {
    /// The tools that may be used. OpenClaw takes an empty list for "everything": `deny` has `*` then.
    pub(crate) allow: BTreeSet<&'a str>,
    /// The tools that may not be used, whatever else allows them.
    pub(crate) deny: BTreeSet<&'a str>,
}

/// Whether an id is a tool or a group of this release.
pub fn is_known(id: &str) -> bool {
    [PLUGINS, OPENCLAW, "bash", "cron"].contains(&id)
        || GROUPS.iter().any(|(group, tools)| *group == id || tools.contains(&id))
}

/// Whether an id is a tool that no gateway of this operator has.
pub fn is_reserved(id: &str) -> bool {
    RESERVED.contains(&id)
}

/// Puts a policy together: groups are taken apart, denying wins.
pub(crate) fn effective(policy: &ToolPolicy) -> ToolSet<'_> {
    let denied: BTreeSet<&str> = policy.deny.iter().flat_map(|id| expand(id)).collect();
    let mut allow: BTreeSet<&str> = if policy.allow.is_empty() {
        DEFAULT.iter().copied().collect()
    } else {
        policy.allow.iter().flat_map(|id| expand(id)).collect()
    };
    allow.retain(|tool| !denied.contains(tool) && !is_reserved(tool));
    let mut deny: BTreeSet<&str> = RESERVED.iter().copied().chain(denied).collect();
    close(&allow, &mut deny);
    ToolSet { allow, deny }
}

/// What of a set is left below a narrowing. A tool that the set does not have stays out: nothing is ever added.
pub(crate) fn narrowed<'a>(set: &ToolSet<'a>, narrowing: &'a ToolNarrowing) -> ToolSet<'a> {
    let taken: BTreeSet<&str> = narrowing.deny.iter().flat_map(|id| expand(id)).collect();
    let mut allow = set.allow.clone();
    if let Some(only) = &narrowing.allow {
        let only: BTreeSet<&str> = only.iter().flat_map(|id| expand(id)).collect();
        allow.retain(|tool| only.contains(tool));
    }
    allow.retain(|tool| !taken.contains(tool));
    let mut deny: BTreeSet<&str> = set.deny.iter().copied().chain(taken).collect();
    close(&allow, &mut deny);
    ToolSet { allow, deny }
}

/// Whether an entry of a narrowing's `allow` asks for what the set does not have: none of a group's tools, or not this
/// tool.
pub(crate) fn widens(set: &ToolSet<'_>, id: &str) -> bool {
    !expand(id).iter().any(|tool| set.allow.contains(tool))
}

/// Denies what would be open without a word.
fn close<'a>(allow: &BTreeSet<&'a str>, deny: &mut BTreeSet<&'a str>) {
    if !allow.contains("apply_patch") {
        // OpenClaw takes the permission to write for the permission to patch.
        deny.insert("apply_patch");
    }
    if allow.is_empty() {
        deny.insert("*");
    }
}

/// The tools of a group; a tool itself otherwise, by the name that OpenClaw prefers.
fn expand(id: &str) -> Vec<&str> {
    const NOT_OPENCLAW: &[&str] =
        &["apply_patch", "canvas", "code_execution", "edit", "exec", "ls", "process", "read", "write"];
    match id {
        "bash" => vec!["exec"],
        "cron" => vec!["automations"],
        OPENCLAW => GROUPS
            .iter()
            .flat_map(|(_, tools)| tools.iter().copied())
            .filter(|tool| !NOT_OPENCLAW.contains(tool))
            .collect(),
        id => GROUPS.iter().find(|(group, _)| *group == id).map_or(vec![id], |(_, tools)| tools.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn policy(allow: &[&str], deny: &[&str]) -> ToolPolicy {
        let owned = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
        ToolPolicy { allow: owned(allow), deny: owned(deny), ..ToolPolicy::default() }
    }

    fn allowed(allow: &[&str], deny: &[&str]) -> Vec<String> {
        effective(&policy(allow, deny)).allow.into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn narrowing_never_adds() {
        let policy = policy(&["group:fs", "message"], &["write"]);
        let set = effective(&policy);
        let narrowing = |allow: Option<&[&str]>, deny: &[&str]| ToolNarrowing {
            allow: allow.map(|ids| ids.iter().map(|id| (*id).to_owned()).collect()),
            deny: deny.iter().map(|id| (*id).to_owned()).collect(),
        };
        let left = |narrowing: &ToolNarrowing| -> Vec<String> {
            narrowed(&set, narrowing).allow.into_iter().map(str::to_owned).collect()
        };
        assert_eq!(left(&narrowing(None, &["group:fs"])), ["message"]);
        assert_eq!(left(&narrowing(Some(&["read", "write", "exec"]), &[])), ["read"]);
        assert!(narrowed(&set, &narrowing(Some(&[]), &[])).deny.contains("*"));
        assert!(widens(&set, "exec") && widens(&set, "write") && widens(&set, "group:web"));
        assert!(!widens(&set, "read") && !widens(&set, "group:fs"));
    }

    #[test]
    fn denying_wins_over_groups() {
        assert_eq!(allowed(&[], &[]), ["message", "read", "session_status"]);
        assert_eq!(allowed(&["group:fs"], &["write", "group:web"]), ["apply_patch", "edit", "ls", "read"]);
        assert_eq!(allowed(&["read", "message"], &["group:fs"]), ["message"]);
        assert_eq!(allowed(&["group:automation"], &[]), ["heartbeat_respond"]);
        assert_eq!(allowed(&["bash"], &[]), ["exec"]);
        assert!(effective(&policy(&["write"], &[])).deny.contains("apply_patch"));
    }

    fn id() -> impl Strategy<Value = String> {
        let mut ids: Vec<&str> = GROUPS
            .iter()
            .flat_map(|(group, tools)| [*group].into_iter().chain(tools.iter().copied()))
            .collect();
        ids.extend([PLUGINS, OPENCLAW, "bash", "cron"]);
        prop::sample::select(ids).prop_map(str::to_owned)
    }

    proptest! {
        /// OpenClaw takes an empty list for "everything is allowed".
        #[test]
        fn nothing_allowed_is_everything_denied(allow in prop::collection::vec(id(), 0..6), deny in prop::collection::vec(id(), 0..20)) {
            let policy = ToolPolicy { allow, deny, ..ToolPolicy::default() };
            let set = effective(&policy);
            prop_assert_eq!(set.allow.is_empty(), set.deny.contains("*"));
            prop_assert!(set.allow.is_disjoint(&set.deny));
            for denied in &policy.deny {
                prop_assert!(expand(denied).iter().all(|tool| set.deny.contains(tool)));
            }
        }
    }
}
