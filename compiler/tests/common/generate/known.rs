//! What a schema doesn't say: which values of a field go with those of others.

use serde_json::{Value, json};

use super::Generator;

const TOOLS: &[&str] = &[
    "read",
    "write",
    "edit",
    "message",
    "session_status",
    "web_fetch",
    "exec",
    "group:fs",
    "group:web",
    "group:runtime",
];
const MODELS: &[&str] = &[
    "anthropic/claude-sonnet-4-6",
    "openai/gpt-5.5",
    "google/gemini-3.1-pro-preview",
    "openrouter/vendor/model:free",
];

impl Generator {
    /// Values of fields that depend on something which the schema does not say.
    pub(super) fn known(&mut self, path: &str) -> Option<Value> {
        Some(match path {
            "Tenant.harnessRef" => json!({"name": "h"}),
            "Tenant.tenantId" => json!("acme-0a1b2c3d"),
            "Tenant.gateway.version" => json!(kr8tiv_compiler::SUPPORTED_VERSIONS[0]),
            "Tenant.gateway.image" => json!("registry.example.com/openclaw:2026.9.6"),
            "Tenant.tier" => json!("enterprise"),
            "Tenant.agents.max" => json!(64),
            "Tenant.gateway.resources.requests.cpu" => json!("500m"),
            "Tenant.gateway.resources.requests.memory" | "Harness.tools.sandbox.scratchSize" => json!("2Gi"),
            "Tenant.gateway.resources.limits.cpu" => json!(2),
            "Tenant.gateway.resources.limits.memory" => json!("4Gi"),
            "Agent.tenantRef" => json!({"name": "acme"}),
            "Agent.bindings" if self.channels.is_empty() => json!([]),
            "Agent.bindings[]" if !self.channels.is_empty() => self.binding(),
            "Agent.skills" if self.skills.is_empty() => json!([]),
            "Agent.skills[]" if !self.skills.is_empty() => {
                let skills = self.skills.clone();
                self.pick(&skills).clone()
            }
            "Agent.heartbeat.every" => json!(self.pick(&["30m", "1h30m", "24h"])),
            "Agent.heartbeat.activeHours.timeZone" | "Harness.updates.window.timeZone" => {
                json!("Europe/Berlin")
            }
            // Most harnesses lock the model.
            "Agent.model" | "Harness.models.primary" => json!(MODELS[0]),
            "Harness.models.fallbacks[]" => json!(self.pick(MODELS)),
            "Harness.models.providers[].name" => json!(self.pick(&["house", "lab-2"])),
            "Harness.models.providers[].models[].id" => json!(self.pick(&["small", "vendor/large:1"])),
            "Harness.channels.allow" => json!(["discord", "slack", "telegram", "whatsapp"]),
            "Harness.updates.window.schedule" => json!("30 4 * * 1-5"),
            "Harness.updates.window.duration" => json!("2h"),
            "Harness.observability.heartbeatInterval" => json!("1m"),
            "Harness.observability.downAlertThreshold" => json!("10m"),
            "Harness.recovery.cooldown" | "Harness.recovery.alertDedupe" => json!("15m"),
            "Harness.recovery.order" => json!(self.agents.iter().rev().collect::<Vec<_>>()),
            "Harness.supermemory.timeout" => json!("5s"),
            "Harness.supermemory.refreshInterval" => json!("30m"),
            "Harness.supermemory.baseUrl" | "Harness.coordination.url" => json!("https://example.com/api"),
            "Harness.skills.packs[].skills[]" => json!(format!("skill-{}", self.below(1000))),
            "Harness.skills.packs[].source.image.reference" => {
                json!("registry.example.com:5000/packs/base:1.2")
            }
            "Harness.skills.packs[].source.image.path" => json!("/skills"),
            "Harness.sharing" => json!({"from": "Same"}),
            "Harness.coordination.persona.mode" => json!("team"),
            "Harness.tools.allow" => self.tools(),
            "Harness.tools.deny[]" => json!(self.pick(&["x_search", "pdf", "tts"])),
            "Harness.tools.sandboxNonMainSessions" => json!(true),
            "Harness.tools.sandbox.resources.requests.cpu" => json!("50m"),
            "Harness.tools.sandbox.resources.requests.memory" => json!("128Mi"),
            "Harness.tools.sandbox.resources.limits.cpu" => json!(1),
            "Harness.tools.sandbox.resources.limits.memory" => json!("1Gi"),
            "Harness.tools.elevated" => json!(self.chance(10)),
            "Tenant.tools.allow" | "Agent.tools.allow" => json!(["message", "read"]),
            "Tenant.tools.deny[]" | "Agent.tools.deny[]" => json!(self.pick(&["web_fetch", "edit"])),
            "Tenant.network.egress[]" => {
                let mut rule = self.peer();
                if self.chance(50) {
                    rule["ports"] = json!([{"protocol": "UDP", "port": 8000, "endPort": 8010}]);
                }
                rule
            }
            "Tenant.network.ingressFrom[]" | "Harness.tools.sandbox.egress[]" => self.peer(),
            "Tenant.gateway.env[]" => self.variable(),
            "Tenant.gateway.envFrom[]" => {
                let kind = *self.pick(&["secretRef", "configMapRef"]);
                json!({"prefix": "APP_", kind: {"name": "app", "optional": true}})
            }
            "Tenant.gateway.podTemplate.affinity" => json!({"podAntiAffinity": {}}),
            "Tenant.gateway.podTemplate.tolerations[]" => json!({"key": "dedicated", "operator": "Exists"}),
            "Tenant.gateway.podTemplate.topologySpreadConstraints[]" => {
                json!({"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"})
            }
            "Tenant.gateway.podTemplate.volumes[]" => self.volume(),
            path if path.ends_with("Webhook.url") => json!("https://hooks.example.com/in?a=b"),
            _ => return None,
        })
    }

    /// Addresses, or Pods.
    fn peer(&mut self) -> Value {
        let expression = json!({"key": "app", "operator": "In", "values": ["a", "b"]});
        let selector = json!({"matchLabels": {"team": "models"}, "matchExpressions": [expression]});
        self.pick(&[
            json!({"cidr": "10.20.0.0/16"}),
            json!({"cidr": "2001:db8::/48"}),
            json!({"podSelector": selector}),
            json!({"namespaceSelector": selector, "podSelector": {}}),
        ])
        .clone()
    }

    fn variable(&mut self) -> Value {
        let name = format!("VARIABLE_{}", self.below(1_000_000));
        let reference = json!({"name": "app", "key": "region"});
        let mut variable = self
            .pick(&[
                json!({"value": "$(HOME)"}),
                json!({"valueFrom": {"secretKeyRef": reference}}),
                json!({"valueFrom": {"configMapKeyRef": reference}}),
            ])
            .clone();
        variable["name"] = json!(name);
        variable
    }

    fn volume(&mut self) -> Value {
        let name = format!("v{}", self.below(1_000_000));
        let kind = *self.pick(&["configMap", "emptyDir", "persistentVolumeClaim"]);
        let source = match kind {
            "configMap" => json!({"name": "app"}),
            "emptyDir" => json!({"sizeLimit": "1Gi"}),
            _ => json!({"claimName": "app"}),
        };
        json!({"name": name, "mountPath": format!("/mnt/{name}"), "subPath": "a", "readOnly": false, kind: source})
    }

    /// What everybody may use, and something beside.
    fn tools(&mut self) -> Value {
        let mut tools = vec!["message", "read"];
        for _ in 0..self.below(4) {
            let tool = *self.pick(TOOLS);
            if !tools.contains(&tool) {
                tools.push(tool);
            }
        }
        json!(tools)
    }

    /// A conversation of a channel that the tenant has.
    fn binding(&mut self) -> Value {
        let channels = self.channels.clone();
        let (channel, accounts) = self.pick(&channels);
        let mut binding = json!({"channel": channel});
        if self.chance(50) {
            binding["accountId"] = self.pick(accounts).clone();
        }
        let id = self.below(1_000_000).to_string();
        match (channel.as_str(), self.below(3)) {
            ("discord", 0) => {
                binding["guildId"] = json!(id);
                if self.chance(50) {
                    binding["roles"] = json!(["1", "2"]);
                }
            }
            ("slack", 0) => binding["teamId"] = json!(format!("T{id}")),
            (channel, 1) => {
                let id = match channel {
                    "slack" => format!("C{id}"),
                    "whatsapp" => format!("1203{id}@g.us"),
                    _ => id,
                };
                binding["peer"] = json!({"kind": "group", "id": self.pick(&[id.as_str(), "*"])});
            }
            _ => {}
        }
        binding
    }
}
