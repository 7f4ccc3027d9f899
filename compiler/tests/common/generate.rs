//! Objects as users might write them: made from the schemas of the CustomResourceDefinitions, so that a new field is
//! tried as soon as it is there. The same each time.
//!
//! A schema doesn't know what goes together. What does is in `known`, by the field's path: without it the
//! field is still set, but to a value that the compiler mostly refuses.

mod known;

use std::collections::{BTreeMap, BTreeSet};

use kr8tiv_crds::definitions;
use proptest::strategy::{SBoxedStrategy, Strategy, ValueTree};
use proptest::string::string_regex;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Map, Value, json};

use super::settings::{Setting, settings};
use super::{Case, objects};

/// Pieces of text that mean something in JSON, JavaScript, Markdown, YAML or OpenClaw.
const PIECES: &[&str] = &[
    "plain words",
    "${HOME}",
    "$${OPENCLAW_GATEWAY_TOKEN}",
    "${lower}",
    "\"quoted\"",
    "it's",
    "back\\slash",
    "\u{0}\u{1}\u{7f}",
    "\r\n",
    "\n---\n",
    "\n# Heading\n",
    "\n```\n",
    "<!-- -->",
    "{{now}}",
    "äöü",
    "日本語",
    "🛟👩‍🚀",
    "\u{202e}\u{200b}",
    "\u{2028}",
    "{\"a\": [1]}",
    "\t",
];

/// Sections of openclaw.json that a tenant may add to.
const FREE_SECTIONS: &[&str] =
    &["agents.defaults.", "diagnostics.", "logging.", "messages.", "session.", "ui."];

/// Tenants with their Harness and Agents, by name.
pub fn cases(count: usize) -> Vec<(String, Case)> {
    let mut generator = Generator::new();
    (0..count).map(|number| (format!("generated {number}"), generator.case())).collect()
}

/// The paths of fields that are set in none of the cases.
pub fn unset<'c>(cases: impl Iterator<Item = &'c Case>) -> BTreeSet<String> {
    let mut set = BTreeSet::new();
    for case in cases {
        paths_of_value("Tenant", &json!(case.tenant.spec), &mut set);
        paths_of_value("Harness", &json!(case.harness.as_ref().map(|harness| &harness.spec)), &mut set);
        for agent in &case.agents {
            paths_of_value("Agent", &json!(agent.spec), &mut set);
        }
    }
    let mut all = BTreeSet::new();
    for (kind, schema) in specs() {
        paths_of_schema(&kind, &schema, &mut all);
    }
    all.difference(&set).cloned().collect()
}

fn paths_of_value(path: &str, value: &Value, paths: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let path = format!("{path}.{key}");
                paths.insert(path.clone());
                paths_of_value(&path, value, paths);
            }
        }
        Value::Array(list) => {
            for value in list {
                paths_of_value(path, value, paths);
            }
        }
        _ => {}
    }
}

fn paths_of_schema(path: &str, schema: &Value, paths: &mut BTreeSet<String>) {
    for (key, below) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{key}");
        paths.insert(path.clone());
        paths_of_schema(&path, below, paths);
    }
    if schema["items"].is_object() {
        paths_of_schema(path, &schema["items"], paths);
    }
}

/// The schema of each kind's spec.
fn specs() -> Vec<(String, Value)> {
    let spec = |definition| {
        let definition = serde_json::to_value(definition).unwrap();
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
        (definition["spec"]["names"]["kind"].as_str().unwrap().to_owned(), schema.clone())
    };
    definitions::all().into_iter().map(spec).collect()
}

struct Generator {
    runner: TestRunner,
    specs: Vec<(String, Value)>,
    patterns: BTreeMap<String, SBoxedStrategy<String>>,
    /// What a tenant may put into `gateway.config`.
    settings: Vec<Setting>,
    /// Of a hundred optional fields, how many are set.
    density: usize,
    /// Of a hundred fields with a value that fits the others, how many have it.
    sense: usize,
    /// Ids of this case's agents.
    agents: Vec<&'static str>,
    /// Skills of this case's harness.
    skills: Vec<Value>,
    /// Channels of this case's tenant, each with the names of its accounts.
    channels: Vec<(String, Vec<Value>)>,
}

impl Generator {
    fn new() -> Self {
        let seed = TestRng::from_seed(RngAlgorithm::ChaCha, &[4; 32]);
        let schema = kr8tiv_compiler::openclaw_schema(kr8tiv_compiler::SUPPORTED_VERSIONS[0]).unwrap();
        let mut settings = settings(&serde_json::from_str(schema).unwrap());
        settings.retain(|setting| FREE_SECTIONS.iter().any(|section| setting.path.starts_with(section)));
        Self {
            runner: TestRunner::new_with_rng(Config::default(), seed),
            specs: specs(),
            patterns: BTreeMap::new(),
            settings,
            density: 0,
            sense: 100,
            agents: Vec::new(),
            skills: Vec::new(),
            channels: Vec::new(),
        }
    }

    fn case(&mut self) -> Case {
        self.density = *self.pick(&[0, 10, 30, 50, 80, 100]);
        self.sense = *self.pick(&[90, 100, 100, 100, 100]);
        self.agents = ["desk", "ops", "lab"][..self.below(4)].to_vec();
        let harness = self.spec("Harness");
        let packs = harness["skills"]["packs"].as_array().into_iter().flatten();
        self.skills = packs.flat_map(|pack| pack["skills"].as_array().unwrap().clone()).collect();
        let mut tenant = self.spec("Tenant");
        if let Some(channels) = tenant.get_mut("channels").and_then(Value::as_object_mut) {
            let allowed = harness["channels"]["allow"].as_array().cloned().unwrap_or_default();
            channels.retain(|name, _| allowed.contains(&json!(name)) || !self.chance(self.sense));
        }
        self.keys(&harness, &mut tenant);
        let accounts = |channel: &Value| {
            let name = |account: &Value| account.get("name").cloned().unwrap_or_else(|| json!("default"));
            channel["accounts"].as_array().unwrap().iter().map(name).collect()
        };
        let channels = tenant["channels"].as_object().into_iter().flatten();
        self.channels = channels.map(|(name, channel)| (name.clone(), accounts(channel))).collect();
        let mut all = vec![object("Harness", "h", &harness), object("Tenant", "acme", &tenant)];
        let default = self.below(self.agents.len().max(1));
        for (position, id) in self.agents.clone().iter().enumerate() {
            let mut agent = self.spec("Agent");
            agent["agentId"] = json!(id);
            agent["default"] = json!(position == default);
            all.push(object("Agent", id, &agent));
        }
        objects(all)
    }

    fn spec(&mut self, kind: &str) -> Value {
        let schema = self.specs.iter().find(|(name, _)| name == kind).unwrap().1.clone();
        self.value(kind, &schema)
    }

    /// The keys that the harness makes necessary.
    fn keys(&mut self, harness: &Value, tenant: &mut Value) {
        let models = &harness["models"];
        let used: BTreeSet<&str> = std::iter::once(&models["primary"])
            .chain(models["fallbacks"].as_array().into_iter().flatten())
            .filter_map(|model| model.as_str()?.split('/').next())
            .collect();
        let secret = |key| json!({"name": "keys", "key": key});
        if self.chance(self.sense) {
            let credential = |provider| json!({"provider": provider, "apiKeySecretRef": secret(provider)});
            tenant["modelCredentials"] = used.into_iter().map(credential).collect();
        }
        if harness["supermemory"]["enabled"] == true && self.chance(self.sense) {
            tenant["supermemory"] = json!({"apiKeySecretRef": secret("supermemory")});
        }
    }

    fn value(&mut self, path: &str, schema: &Value) -> Value {
        if self.chance(self.sense)
            && let Some(value) = self.known(path)
        {
            return value;
        }
        if let Some(values) = schema["enum"].as_array() {
            return self.pick(values).clone();
        }
        match schema["type"].as_str() {
            Some("object") => self.object(path, schema),
            Some("array") => self.list(path, schema),
            Some("boolean") => json!(self.chance(50)),
            Some("integer") => {
                let (least, most) = range(schema);
                json!(*self.pick(&[least, least + (most - least) / 1000, most]))
            }
            Some("number") => json!(*self.pick(&[0.0, 0.5, 1.0])),
            Some("string") => json!(self.text(schema)),
            // A quantity, which is a number or a text.
            _ => json!(self.pick(&["1", "2Gi", "20Gi"])),
        }
    }

    fn object(&mut self, path: &str, schema: &Value) -> Value {
        if schema["x-kubernetes-preserve-unknown-fields"] == true && schema["properties"].is_null() {
            return self.setting();
        }
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mut object = Map::new();
        for (key, below) in schema["properties"].as_object().into_iter().flatten() {
            if required.contains(&key.as_str()) || self.chance(self.density) {
                object.insert(key.clone(), self.value(&format!("{path}.{key}"), below));
            }
        }
        self.alternatives(path, schema, &mut object);
        if schema["additionalProperties"].is_object() {
            object.insert("team".into(), self.value(&format!("{path}.*"), &schema["additionalProperties"]));
        }
        Value::Object(object)
    }

    /// Pairs of fields of which one must be there; of some, no second one.
    fn alternatives(&mut self, path: &str, schema: &Value, object: &mut Map<String, Value>) {
        let pairs = [
            ("url", "urlSecretRef", true),
            ("configMap", "image", true),
            ("ownerWebhook", "managementWebhook", false),
        ];
        for (one, other, exclusive) in pairs {
            if schema["properties"].get(one).is_none() || schema["properties"].get(other).is_none() {
                continue;
            }
            let (kept, gone) = if self.chance(50) { (one, other) } else { (other, one) };
            if exclusive {
                object.remove(gone);
            }
            let value = self.value(&format!("{path}.{kept}"), &schema["properties"][kept]);
            object.entry(kept).or_insert(value);
        }
    }

    fn list(&mut self, path: &str, schema: &Value) -> Value {
        let (least, most) =
            (schema["minItems"].as_u64().unwrap_or(0), schema["maxItems"].as_u64().unwrap_or(4));
        let length = least + u64::try_from(self.below(4)).unwrap();
        let mut list: Vec<Value> = Vec::new();
        for _ in 0..length.min(most) {
            let entry = self.value(&format!("{path}[]"), &schema["items"]);
            let key = |entry: &Value| {
                schema["x-kubernetes-list-map-keys"][0].as_str().map(|key| entry[key].clone())
            };
            // What the API server would refuse as a second one.
            let is_second = match schema["x-kubernetes-list-type"].as_str() {
                Some("map") => list.iter().any(|other| key(other) == key(&entry)),
                Some("set") => list.contains(&entry),
                _ => false,
            };
            if !is_second {
                list.push(entry);
            }
        }
        Value::Array(list)
    }

    fn text(&mut self, schema: &Value) -> String {
        let least = usize::try_from(schema["minLength"].as_u64().unwrap_or(0)).unwrap();
        let most = usize::try_from(schema["maxLength"].as_u64().unwrap_or(100)).unwrap();
        match schema["pattern"].as_str() {
            None | Some(r"\S") => {
                let pieces = 1 + self.below(4);
                let text: String = (0..pieces).map(|_| *self.pick(PIECES)).collect();
                let text: String = text.chars().take(most).collect();
                if text.trim().is_empty() { "x".into() } else { text }
            }
            Some(pattern) => {
                let strategy = self.pattern(pattern);
                let fits = |text: &String| (least..=most).contains(&text.chars().count());
                (0..100).map(|_| self.draw(&strategy)).find(fits).unwrap_or_else(|| "x".into())
            }
        }
    }

    /// A setting of openclaw.json, in some of the cases: OpenClaw and the operator refuse many.
    fn setting(&mut self) -> Value {
        if !self.chance(40) {
            return json!({});
        }
        let position = self.below(self.settings.len());
        self.settings[position].change.clone()
    }

    /// Texts of a pattern. To read one takes long, and there are few.
    fn pattern(&mut self, pattern: &str) -> SBoxedStrategy<String> {
        let read = || {
            let whole = pattern.trim_start_matches('^').trim_end_matches('$');
            string_regex(whole).unwrap().sboxed()
        };
        self.patterns.entry(pattern.to_owned()).or_insert_with(read).clone()
    }

    fn below(&mut self, limit: usize) -> usize {
        self.draw(&(0..limit))
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<'v, T>(&mut self, values: &'v [T]) -> &'v T {
        let position = self.below(values.len());
        &values[position]
    }

    fn draw<S: Strategy>(&mut self, strategy: &S) -> S::Value {
        strategy.new_tree(&mut self.runner).unwrap().current()
    }
}

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "kr8tiv.ai/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

fn range(schema: &Value) -> (i64, i64) {
    #[expect(clippy::cast_possible_truncation, reason = "limits of whole numbers are whole")]
    let limit = |name: &str, otherwise: i64| schema[name].as_f64().map_or(otherwise, |limit| limit as i64);
    (limit("minimum", 0), limit("maximum", 1_000_000))
}
