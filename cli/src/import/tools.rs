//! Converting stage, pure: from the replaced system's tool ids to OpenClaw's. OpenClaw never knew the old ones, and
//! passes over what it does not know.

use kr8tiv_compiler::{is_reserved_tool, is_tool};

use crate::import::draft::{Difference, Draft};
use crate::import::legacy::{Given, Legacy, Texts, Tools};
use crate::import::limits;
use crate::import::reader::NO_ENTRY;
use crate::import::report::Target;

const ALLOW: Target = Target::harness("spec.tools.allow");
const DENY: Target = Target::harness("spec.tools.deny");
const SANDBOX: Target = Target::harness("spec.tools.sandboxNonMainSessions");
const ELEVATED: Target = Target::harness("spec.tools.elevated");

/// Ids whose new name does not follow from the old one.
pub const RENAMED: &[(&str, &str)] = &[
    ("file.read", "read"),
    ("file.write", "write"),
    ("files.read", "read"),
    ("files.write", "write"),
    ("fs.edit", "edit"),
    ("fs.list", "ls"),
    ("fs.ls", "ls"),
    ("fs.patch", "apply_patch"),
    ("fs.read", "read"),
    ("fs.write", "write"),
    ("message.send", "message"),
    ("messages.send", "message"),
    ("shell", "exec"),
    ("shell.exec", "exec"),
    ("shell.run", "exec"),
    ("system.exec", "exec"),
    ("system.run", "exec"),
];

/// Converts the policy.
pub fn convert(legacy: &Legacy, draft: &mut Draft<'_>) {
    let Tools { allow, deny, sandbox_non_main_sessions, elevated } = &legacy.tools;
    let denied = deny.as_ref().map(|list| policy(list, DENY, &[], draft)).unwrap_or_default();
    if let Some(allow) = allow {
        let allowed = policy(allow, ALLOW, &denied, draft);
        if allowed.is_empty() && !allow.value.is_empty() {
            let reason = "none of the tools that were allowed is left; an agent then has read, message and session_status";
            draft.note_change(allow, ALLOW, None, reason);
        }
    }
    for (given, to) in [(sandbox_non_main_sessions, SANDBOX), (elevated, ELEVATED)] {
        if let Some(given) = given {
            draft.carry(given, to, given.value);
        }
    }
}

/// One list. What is `denied` is left out.
fn policy(list: &Texts, to: Target, denied: &[String], draft: &mut Draft<'_>) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    let most = limits::of(to).entries;
    if list.value.is_empty() {
        draft.ledger.settle(list, NO_ENTRY);
    }
    for given in &list.value {
        let Some(id) = known(&given.value) else {
            let reason = format!("OpenClaw has no such tool{}", hint(&given.value));
            draft.ledger.lose(given, reason);
            continue;
        };
        if to == DENY && is_reserved_tool(&id) {
            draft.ledger.settle(given, format!("{id} is denied in every gateway"));
        } else if is_reserved_tool(&id) {
            draft.ledger.lose(given, format!("{id} is denied in every gateway{}", hint(&given.value)));
        } else if denied.contains(&id) {
            draft.note_change(
                given,
                DENY,
                None,
                format!("{id} is denied as well, and denying wins; the schema takes it in one list only"),
            );
        } else if ids.contains(&id) {
            draft.merge(given, to, format!("{id} is there already"));
        } else if ids.len() >= most {
            draft.ledger.lose(
                given,
                format!("the list takes {most} entries; name a group instead, such as group:fs"),
            );
        } else {
            take(given, to, &id, draft);
            ids.push(id);
        }
    }
    if !ids.is_empty() {
        draft.write(to, ids.clone().into());
    }
    ids
}

fn take(given: &Given<String>, to: Target, id: &str, draft: &mut Draft<'_>) {
    if given.value == id {
        draft.merge(given, to, "");
    } else {
        draft.note_change(
            given,
            to,
            Some(Difference::of(&given.value, &id)),
            "it is OpenClaw's name of the tool",
        );
    }
}

/// OpenClaw's id of a tool.
fn known(old: &str) -> Option<String> {
    let lower = old.trim().to_lowercase();
    let renamed = RENAMED.iter().find(|(name, _)| *name == lower).map(|(_, id)| (*id).to_owned());
    let candidates = [renamed.unwrap_or_default(), lower.clone(), lower.replace(['.', '-'], "_")];
    candidates.into_iter().find(|id| is_tool(id))
}

/// What could be meant.
fn hint(old: &str) -> &'static str {
    let is_about = |words: &[&str]| words.iter().any(|word| old.to_lowercase().contains(word));
    if is_about(&["browser", "http", "url", "page"]) {
        "; web_fetch reads pages"
    } else if is_about(&["shell", "run", "command"]) {
        "; exec runs commands"
    } else if is_about(&["file", "fs"]) {
        "; group:fs is for files"
    } else {
        ""
    }
}
