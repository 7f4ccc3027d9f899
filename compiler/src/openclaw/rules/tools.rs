//! The tools: lists that exclude each other. Pure.

use serde_json::Value;

use crate::openclaw::violation::{Place, Violation};

/// What OpenClaw can search the web with, out of the package.
const WEB_SEARCH: &[&str] = &["gemini", "grok", "minimax", "ollama"];
/// Where settings of web search stood in older releases.
const OLDER_WEB_SEARCH_KEYS: &[&str] = &[
    "apiKey",
    "brave",
    "duckduckgo",
    "exa",
    "firecrawl",
    "gemini",
    "grok",
    "kimi",
    "minimax",
    "ollama",
    "perplexity",
    "searxng",
    "tavily",
];

pub(super) fn check(root: &Place<'_>, found: &mut Vec<Violation>) {
    tool_settings(&root.child("tools"), found);
    for (_, agent) in root.at("agents.entries").entries() {
        tool_settings(&agent.child("tools"), found);
    }
    let search = root.at("tools.web.search");
    let provider = search.child("provider");
    if provider.text().is_some_and(|name| !WEB_SEARCH.contains(&name.trim())) {
        let message = format!("must be one of {}: no other is in the package", WEB_SEARCH.join(", "));
        found.push(provider.violation(message));
    }
    for (key, place) in search.entries() {
        if OLDER_WEB_SEARCH_KEYS.contains(&key)
            && (key == "apiKey" || place.value.is_some_and(Value::is_object))
        {
            found.push(
                place.violation("stands below plugins.entries.<plugin>.config.webSearch in this release"),
            );
        }
    }
}

fn tool_settings(tools: &Place<'_>, found: &mut Vec<Violation>) {
    exclusive_lists(tools, found);
    let exec = tools.child("exec");
    if exec.child("mode").is_set() && (exec.child("security").is_set() || exec.child("ask").is_set()) {
        found.push(exec.child("mode").violation("can't be combined with security or ask: remove those"));
    }
    if tools.child("github").is_set() && !tools.at("github.profileId").is_set() {
        found.push(tools.at("github.profileId").violation("is missing"));
    }
}

/// `allow` and `alsoAllow` in one place, there or anywhere below.
fn exclusive_lists(place: &Place<'_>, found: &mut Vec<Violation>) {
    if place.child("allow").has_items() && place.child("alsoAllow").has_items() {
        found.push(place.child("alsoAllow").violation("can't stand beside allow: put its entries there"));
    }
    for (_, below) in place.entries() {
        exclusive_lists(&below, found);
    }
}
