//! A tenant's own settings of `openclaw.json`, put beside the operator's. Pure.

use serde_json::{Map, Value};

use crate::diagnostics::{Code, Diagnostic, Diagnostics, ObjectName};
use crate::openclaw::literal;

/// Sections that belong to the operator as a whole: who may reach the gateway, who may talk, which code is loaded,
/// which agents there are, where their tools run. A path in them that the operator does not set today is not free either.
const OWNED: &[&str] = &[
    "$schema",
    "agents.defaults.sandbox",
    "agents.entries",
    "agents.list",
    "agents.ownership",
    "bindings",
    "channels",
    "commands",
    "cron",
    "env",
    "gateway",
    "hooks",
    "nodeHost",
    "plugins",
    "proxy",
    "secrets",
    "skills",
    "tools",
    "update",
    "wizard",
];

/// At every depth OpenClaw puts the file of this name in the place of the object that it is in.
const INCLUDE: &str = "$include";

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
            if key == INCLUDE {
                self.refuse_include(&path);
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
                    let places = includes(value, &path);
                    if !places.is_empty() {
                        for place in &places {
                            self.refuse_include(place);
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

    fn refuse_include(&mut self, path: &str) {
        let problem = "OpenClaw would put a file of the volume in its place, which agents can write";
        self.problem(path, problem.into(), "write what is in the file here instead");
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

/// The places below a path where a file would be included.
fn includes(value: &Value, path: &str) -> Vec<String> {
    match value {
        Value::Array(list) => {
            let entries = list.iter().enumerate();
            entries.flat_map(|(position, value)| includes(value, &format!("{path}[{position}]"))).collect()
        }
        Value::Object(map) => {
            let below = |(key, value): (&String, &Value)| {
                let path = format!("{path}.{key}");
                if key == INCLUDE { vec![path] } else { includes(value, &path) }
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
        let mut config =
            json!({"gateway": {"port": 1}, "session": {"scope": "per-sender"}, "logging": {"level": "info"}});
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
