//! MCP servers: how they are reached, and as whom. Pure.

use super::formats::{http_host, is_http_origin, is_secure_url};
use crate::openclaw::violation::{Place, Violation};

/// Keys of other programs' notations that OpenClaw refuses instead of ignoring.
const FOREIGN_KEYS: &[&str] = &[
    "client_cert",
    "client_key",
    "connectTimeout",
    "connect_timeout",
    "ssl_verify",
    "supports_parallel_tool_calls",
    "timeout",
    "workingDirectory",
];

pub(super) fn check(root: &Place<'_>, found: &mut Vec<Violation>) {
    for path in ["mcp.servers", "nodeHost.mcp.servers"] {
        for (name, server) in root.at(path).entries() {
            if name == "__proto__" || name.trim() != name || name.is_empty() {
                found.push(server.violation("can't be the name of a server"));
            }
            check_server(&server, found);
        }
    }
    let origin = root.at("mcp.apps.sandboxOrigin");
    if origin.text().is_some_and(|url| !is_http_origin(url)) {
        found.push(origin.violation("must be an http or https origin without a path"));
    }
}

fn check_server(server: &Place<'_>, found: &mut Vec<Violation>) {
    for (key, place) in server.entries() {
        if FOREIGN_KEYS.contains(&key) {
            found.push(place.violation("OpenClaw has no such key"));
        }
    }
    let disabled = server.child("disabled");
    if disabled.is_set() {
        found.push(disabled.violation("OpenClaw has no such key; it has enabled"));
    }
    let older = server.at("codex.default_tools_approval_mode");
    if older.is_set() {
        found.push(older.violation("OpenClaw has no such key; it has defaultToolsApprovalMode"));
    }
    for url in [server.child("url"), server.at("oauth.redirectUrl")] {
        if url.text().is_some_and(|text| http_host(text).is_none()) {
            found.push(url.violation("must begin with http:// or https://"));
        }
    }
    let metadata = server.at("oauth.clientMetadataUrl");
    if metadata.text().is_some_and(|url| !is_metadata_url(url)) {
        found.push(metadata.violation("must begin with https:// and have a path"));
    }
    if server.child("transport").text() == Some("stdio") && server.child("command").word().is_none() {
        found.push(server.child("command").violation("is missing for the transport stdio"));
    }
    per_requester(server, found);
}

fn is_metadata_url(url: &str) -> bool {
    let path = url.trim().split_once("://").and_then(|(_, rest)| rest.split_once('/'));
    url.trim().to_ascii_lowercase().starts_with("https://")
        && is_secure_url(url)
        && path.is_some_and(|(_, path)| !path.starts_with(['?', '#']) && !path.is_empty())
}

/// Every user has tokens of their own.
fn per_requester(server: &Place<'_>, found: &mut Vec<Violation>) {
    let identity = server.at("oauth.identity");
    if identity.text() != Some("per-requester") {
        return;
    }
    if server.child("auth").text() != Some("oauth") {
        found.push(server.child("auth").violation("must be \"oauth\" when oauth.identity is per-requester"));
    }
    if !server.child("url").is_set() {
        found.push(server.child("url").violation("is missing when oauth.identity is per-requester"));
    }
    if server.child("command").is_set() || server.child("transport").text() == Some("stdio") {
        found.push(identity.violation("can't be per-requester for a server that is a program"));
    }
    let profile = server.at("oauth.authProfileId");
    if profile.is_set() {
        found.push(profile.violation("can't be set when oauth.identity is per-requester"));
    }
}
