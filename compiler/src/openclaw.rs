//! What is known of OpenClaw 2026.9.6, the release that is compiled for. Constants and questions to them; pure.
//!
//! Sources: the documentation in the npm package (`docs/concepts/agent-workspace.md`) and runs of the gateway.

pub(crate) mod providers;
pub(crate) mod reload;
pub(crate) mod rules;
pub(crate) mod schema;
pub(crate) mod tools;
pub(crate) mod version;
pub(crate) mod violation;

use serde_json::Value;

pub use violation::Violation;

/// Releases the compiler knows, the one for tenants that name none first.
pub const SUPPORTED_VERSIONS: &[&str] = &["2026.9.6"];

/// The gateway's only port.
pub const GATEWAY_PORT: i32 = 18789;
/// Environment variable of the gateway's token.
pub(crate) const TOKEN_VARIABLE: &str = "OPENCLAW_GATEWAY_TOKEN";
/// Home of the image's user `node`, uid 1000.
pub(crate) const HOME: &str = "/home/node";
/// OpenClaw's state: conversations, memory, workspaces.
pub(crate) const STATE: &str = "/home/node/.openclaw";
/// Folder of `openclaw.json` in the gateway's container.
pub(crate) const CONFIG_FOLDER: &str = "/etc/openclaw/config";

/// Environment variable of the token for Mission Control.
pub(crate) const MISSION_CONTROL_VARIABLE: &str = "MISSION_CONTROL_TOKEN";
/// Folder of the packs of skills in the gateway's container.
pub(crate) const SKILLS_FOLDER: &str = "/etc/openclaw/skills";
/// Skills of an agent that are listed to the model whatever they are called: 18,000 characters are for the list, and
/// without its description a skill with the longest possible name and path takes 264 of them.
pub(crate) const SKILLS_LISTED: usize = 60;

/// Files of a workspace that only the operator or OpenClaw itself writes.
pub(crate) const STANDARD_FILES: &[&str] = &[
    "AGENTS.md",
    "BOOTSTRAP.md",
    "CONTEXT.md",
    "HEARTBEAT.md",
    "IDENTITY.md",
    "MEMORY.md",
    "SOUL.md",
    "TOOLS.md",
    "USER.md",
];

/// Files of a workspace that reach the model in every turn.
pub(crate) const INJECTED_FILES: &[&str] = &["AGENTS.md", "IDENTITY.md", "MEMORY.md", "SOUL.md", "USER.md"];

/// Characters (UTF-16 units, as JavaScript counts) of a workspace file that reach the model; of a longer one the
/// middle is cut out.
pub(crate) const FILE_LIMIT: usize = 20_000;
/// Characters of all workspace files together that reach the model.
pub(crate) const WORKSPACE_LIMIT: usize = 60_000;
/// Characters of USER.md that reach the model.
pub(crate) const USER_FILE_LIMIT: usize = 4_000;

/// The provider of a model, `provider/model`.
pub(crate) fn provider_of(model: &str) -> &str {
    model.split_once('/').map_or(model, |(provider, _)| provider)
}

/// What is wrong with a whole `openclaw.json`, whether OpenClaw would say so or not: by the schema, and by the rules
/// that it does not hold.
pub fn config_violations(config: &Value) -> Vec<Violation> {
    let by_schema = schema::violations(config);
    let is_told = |violation: &Violation| {
        let below = |path: &str| {
            violation.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        by_schema.iter().any(|told| below(&told.path))
    };
    let by_rules: Vec<_> =
        rules::violations(config).into_iter().filter(|violation| !is_told(violation)).collect();
    violation::in_order(by_schema.into_iter().chain(by_rules).collect())
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
#[path = "../tests/common/rules.rs"]
mod table;

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

    /// Every rule of ours has an example in the table, and finds it where the table says and nowhere else.
    #[test]
    fn faults_are_found_where_they_are() {
        let mut wrong = Vec::new();
        for rule in table::rules() {
            let found: Vec<_> = config_violations(&rule.config);
            let places: Vec<&str> = found.iter().map(|violation| violation.path.as_str()).collect();
            if places != rule.at.iter().collect::<Vec<_>>() {
                wrong.push(format!("{}: {found:#?}", rule.name));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
