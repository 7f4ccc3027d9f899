//! A tenant's own settings of `openclaw.json`, put beside the operator's. Pure.

use serde_json::{Map, Value};

use crate::diagnostics::{Code, Diagnostic, Diagnostics, ObjectName};
use crate::openclaw::literal;

/// Sections that belong to the operator as a whole: who may reach the gateway, who may talk, which code is loaded and which
/// programs are started, which agents there are, where their tools and models run. A path in them that the operator does not
/// set today is not free either.
const OWNED: &[&str] = &[
    "$schema",
    "acp",
    "agents.defaults.cwd",
    "agents.defaults.embeddedAgent",
    "agents.defaults.models",
    "agents.defaults.sandbox",
    "agents.defaults.workspace",
    "agents.entries",
    "agents.list",
    "agents.ownership",
    "bindings",
    "broadcast",
    "browser",
    "channels",
    "cloudWorkers",
    "commands",
    "cron",
    "desktop",
    "env",
    "gateway",
    "hooks",
    "mcp",
    "memory",
    "models",
    "nodeHost",
    "plugins",
    "proxy",
    "secrets",
    "security",
    "skills",
    "tools",
    "update",
    "wizard",
    "worktreeRoot",
];

/// A key that is refused at every depth.
struct Refused {
    key: &'static str,
    problem: &'static str,
    fix: &'static str,
}

const REFUSED: &[Refused] = &[
    Refused {
        key: "$include",
        problem: "OpenClaw would put a file of the volume in its place, which agents can write",
        fix: "write what is in the file here instead",
    },
    // Also where the schema takes any key, as for a provider of speech.
    Refused {
        key: "command",
        problem: "OpenClaw would start a program in the gateway, beside its keys",
        fix: "remove it: which programs a gateway runs is the operator's",
    },
];

/// Adds a tenant's settings to the operator's configuration. What the operator sets itself, or may set one day, is
/// refused by name and left out. Gives the paths that were added.
pub(crate) fn merge(
    config: &mut Value,
    own: &Map<String, Value>,
    tenant: &ObjectName,
    diagnostics: &mut Diagnostics,
) -> Vec<String> {
    let mut added = Vec::new();
    let mut merge = Merge { tenant, diagnostics, added: &mut added };
    merge.object(config, own, "");
    added
}

struct Merge<'a> {
    tenant: &'a ObjectName,
    diagnostics: &'a mut Diagnostics,
    added: &'a mut Vec<String>,
}

impl Merge<'_> {
    fn object(&mut self, config: &mut Value, own: &Map<String, Value>, prefix: &str) {
        let Value::Object(config) = config else { return };
        for (key, value) in own {
            let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            if let Some(refused) = refused(key) {
                self.refuse_key(&path, refused);
                continue;
            }
            if OWNED.contains(&path.as_str()) {
                self.refuse(&path);
                continue;
            }
            match (config.get_mut(key), value) {
                (Some(present @ Value::Object(_)), Value::Object(value)) => {
                    self.object(present, value, &path);
                }
                (Some(_), _) => self.refuse(&path),
                (None, value) => {
                    let places = refused_below(value, &path);
                    if !places.is_empty() {
                        for (place, refused) in &places {
                            self.refuse_key(place, refused);
                        }
                        continue;
                    }
                    config.insert(key.clone(), literals(value));
                    self.added.push(path);
                }
            }
        }
    }

    fn refuse(&mut self, path: &str) {
        self.problem(
            path,
            format!("the operator sets {path} itself"),
            "remove it, and use the fields of the Harness, the Tenant or the Agent for it",
        );
    }

    fn refuse_key(&mut self, path: &str, refused: &Refused) {
        self.problem(path, refused.problem.into(), refused.fix);
    }

    fn problem(&mut self, path: &str, problem: String, fix: &str) {
        self.diagnostics.push(Diagnostic {
            code: Code::ConfigPathOwned,
            object: self.tenant.clone(),
            field: format!("spec.gateway.config.{path}"),
            problem,
            fix: fix.into(),
        });
    }
}

fn refused(key: &str) -> Option<&'static Refused> {
    REFUSED.iter().find(|refused| refused.key == key)
}

/// The places below a path that have a refused key.
fn refused_below(value: &Value, path: &str) -> Vec<(String, &'static Refused)> {
    match value {
        Value::Array(list) => {
            let entries = list.iter().enumerate();
            entries
                .flat_map(|(position, value)| refused_below(value, &format!("{path}[{position}]")))
                .collect()
        }
        Value::Object(map) => {
            let below = |(key, value): (&String, &Value)| {
                let path = format!("{path}.{key}");
                refused(key)
                    .map_or_else(|| refused_below(value, &path), |refused| vec![(path.clone(), refused)])
            };
            map.iter().flat_map(below).collect()
        }
        _ => Vec::new(),
    }
}

/// No text of a tenant's reads the gateway's environment: the keys are there.
fn literals(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(literal(text)),
        Value::Array(list) => list.iter().map(literals).collect(),
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), literals(value))).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn merged(own: &Value) -> (Value, Vec<String>, Vec<String>) {
        let mut config = json!({
            "gateway": {"port": 1}, "session": {"scope": "per-sender"}, "logging": {"level": "info"},
            "agents": {"defaults": {}},
        });
        let mut diagnostics = Diagnostics::default();
        let tenant = ObjectName { kind: "Tenant", name: "acme".into() };
        let added = merge(&mut config, own.as_object().unwrap(), &tenant, &mut diagnostics);
        (config, added, diagnostics.iter().map(|diagnostic| diagnostic.field.clone()).collect())
    }

    #[test]
    fn what_is_free_is_added_and_what_is_not_is_named() {
        let own = json!({
            "session": {"scope": "global", "reset": {"mode": "idle"}},
            "logging": "debug",
            "tools": {"web": {}},
            "messages": {"responsePrefix": "${OPENCLAW_GATEWAY_TOKEN}"},
        });
        let (config, added, refused) = merged(&own);
        assert_eq!(config["session"], json!({"scope": "per-sender", "reset": {"mode": "idle"}}));
        assert_eq!(config["messages"]["responsePrefix"], "$${OPENCLAW_GATEWAY_TOKEN}");
        assert_eq!(added, ["messages", "session.reset"]);
        let fields =
            ["spec.gateway.config.logging", "spec.gateway.config.session.scope", "spec.gateway.config.tools"];
        assert_eq!(refused, fields);
    }

    /// Whoever set the command, the key or the host of the connection would run it in the gateway, or somewhere else.
    #[test]
    fn where_tools_run_is_nobody_elses() {
        let own = json!({
            "agents": {"defaults": {
                "sandbox": {"ssh": {"command": "/tmp/x", "identityData": "x", "knownHostsData": "x"}},
                "elevatedDefault": "full",
            }},
            "tools": {"exec": {"security": "full"}},
            "commands": {"allowFrom": {"telegram": ["*"]}},
        });
        let mut config = json!({"agents": {"defaults": {
            "elevatedDefault": "off", "sandbox": {"mode": "non-main", "ssh": {"target": "s"}}
        }}});
        let before = config.clone();
        let mut diagnostics = Diagnostics::default();
        let tenant = ObjectName { kind: "Tenant", name: "acme".into() };
        assert_eq!(merge(&mut config, own.as_object().unwrap(), &tenant, &mut diagnostics), [""; 0]);
        assert_eq!(config, before);
        let fields: Vec<_> = diagnostics.iter().map(|diagnostic| diagnostic.field.as_str()).collect();
        let paths = ["agents.defaults.elevatedDefault", "agents.defaults.sandbox", "commands", "tools"];
        assert_eq!(fields, paths.map(|path| format!("spec.gateway.config.{path}")));
    }

    #[test]
    fn no_program_is_started() {
        let servers = json!({"x": {"command": "sh", "args": ["-c", "env"]}});
        let local = json!({"command": "/bin/sh", "args": ["-c", "env"]});
        let own = json!({
            "mcp": {"servers": servers},
            "models": {"providers": {"anthropic": {"localService": local}}},
            "security": {"installPolicy": {"enabled": true, "exec": {"source": "exec", "command": "/bin/sh"}}},
            "agents": {"defaults": {"models": {"anthropic/x": {"agentRuntime": {"id": "codex"}}}}},
            "tts": {"provider": "tts-local-cli", "providers": {"tts-local-cli": {"command": "sh"}}},
            "session": {"reset": [{"command": "sh"}]},
        });
        let (config, added, refused) = merged(&own);
        assert_eq!(added, [""; 0]);
        assert!(!config.to_string().contains("command"), "{config}");
        let fields = [
            "agents.defaults.models",
            "mcp",
            "models",
            "security",
            "session.reset[0].command",
            "tts.providers.tts-local-cli.command",
        ];
        assert_eq!(refused, fields.map(|path| format!("spec.gateway.config.{path}")));
    }

    #[test]
    fn a_file_is_included_nowhere() {
        let own = json!({
            "$include": "./a.json",
            "session": {"$include": "./b.json", "reset": [{"params": {"$include": "./c.json"}}, {"$include": "./e.json"}]},
            "agents": {"defaults": {"params": {"$include": "./d.json"}}},
        });
        let (config, added, refused) = merged(&own);
        assert!(added.is_empty() && !config.to_string().contains("include"), "{config}");
        let fields = [
            "agents.defaults.params.$include",
            "session.$include",
            "session.reset[0].params.$include",
            "session.reset[1].$include",
        ];
        let fields: Vec<String> =
            ["$include"].iter().chain(&fields).map(|path| format!("spec.gateway.config.{path}")).collect();
        assert_eq!(refused, fields);
    }
}
