//! Single settings of `openclaw.json`, made from its schema: for every key that it has, a few values that it allows.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

/// No key lies deeper in the schema, but for maps in maps in maps.
const DEEPEST: usize = 9;
/// The key under which something stands in a map.
const ANY_KEY: &str = "k1";
/// Texts of which at least one fits every pattern that the schema has.
const TEXTS: &[&str] = &[
    "x",
    "abc",
    "ABC",
    "123",
    "10m",
    "1h",
    "x:1",
    "/abc",
    "#ffffff",
    "a@b.co",
    "github:x",
    "openai:x",
    "https://example.com",
    "wss://example.com",
    "https://a.cloudflareaccess.com",
    "ghp_0123456789abcdef0123456789abcdef",
    "12345678-1234-4123-8123-123456789abc",
    "2026-01-01T00:00:00Z",
];

/// One key with a value, and with what must stand beside it.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The key, with dots.
    pub path: String,
    /// To be merged into a configuration.
    pub change: Value,
}

/// Every key of the schema with a few values each, in the schema's order.
pub fn settings(schema: &Value) -> Vec<Setting> {
    let mut walk = Walk { root: schema, found: Vec::new(), texts: RefCell::default() };
    walk.below(schema, &mut Vec::new(), &[]);
    let mut seen = BTreeSet::new();
    walk.found.retain(|setting| seen.insert(setting.change.to_string()));
    walk.found
}

struct Walk<'s> {
    root: &'s Value,
    found: Vec<Setting>,
    /// The texts that fit a schema: there are few patterns, and to read one takes long.
    texts: RefCell<BTreeMap<String, Vec<Value>>>,
}

/// A value at a path of keys.
type Needed = (Vec<String>, Value);

impl<'s> Walk<'s> {
    /// A schema, with a reference followed.
    fn follow(&self, schema: &'s Value) -> &'s Value {
        match schema["$ref"].as_str() {
            Some(reference) => self.follow(self.root.pointer(&reference[1..]).unwrap()),
            None => schema,
        }
    }

    /// The schemas that a value may be of, a union taken apart.
    fn forms(&self, schema: &'s Value) -> Vec<&'s Value> {
        let schema = self.follow(schema);
        for union in ["anyOf", "oneOf"] {
            if let Some(forms) = schema[union].as_array() {
                return forms.iter().flat_map(|form| self.forms(form)).collect();
            }
        }
        vec![schema]
    }

    fn setting(&mut self, keys: &[String], value: Value, needed: &[Needed]) {
        let mut change = Value::Object(Map::new());
        for (keys, value) in
            needed.iter().map(|(keys, value)| (keys.as_slice(), value.clone())).chain([(keys, value)])
        {
            let mut place = &mut change;
            for key in keys {
                if !place.is_object() {
                    *place = json!({});
                }
                place = &mut place[key.as_str()];
            }
            *place = value;
        }
        self.found.push(Setting { path: keys.join("."), change });
    }

    /// The settings at a place and below it.
    fn at(&mut self, schema: &'s Value, keys: &mut Vec<String>, needed: &[Needed]) {
        if keys.len() > DEEPEST {
            return;
        }
        for value in self.values(schema) {
            self.setting(keys, value, needed);
        }
        for form in self.forms(schema) {
            self.below(form, keys, needed);
        }
    }

    fn below(&mut self, schema: &'s Value, keys: &mut Vec<String>, needed: &[Needed]) {
        let own: Vec<Needed> = self
            .required(schema)
            .into_iter()
            .map(|(key, value)| ([keys.as_slice(), &[key]].concat(), value))
            .collect();
        for (key, below) in schema["properties"].as_object().into_iter().flatten() {
            keys.push(key.clone());
            let needed: Vec<_> =
                needed.iter().chain(own.iter().filter(|(other, _)| other != keys)).cloned().collect();
            self.at(below, keys, &needed);
            keys.pop();
        }
        if schema["additionalProperties"].is_object() {
            keys.push(ANY_KEY.into());
            self.at(&schema["additionalProperties"], keys, needed);
            keys.pop();
        }
        // What a list holds can't be named by keys: each key of an entry is set in an entry of its own.
        for entry in self.forms(&schema["items"]) {
            let required: Map<String, Value> = self.required(entry).into_iter().collect();
            for (key, below) in entry["properties"].as_object().into_iter().flatten() {
                for value in self.values(below) {
                    let mut entry = required.clone();
                    entry.insert(key.clone(), value);
                    self.setting(keys, json!([entry]), needed);
                }
            }
        }
    }

    fn required(&self, schema: &'s Value) -> Vec<(String, Value)> {
        let keys = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        keys.filter_map(|key| {
            let value = self.values(&schema["properties"][key]).into_iter().next()?;
            Some((key.to_owned(), value))
        })
        .collect()
    }

    /// A few values that a schema allows: each word, both ends of a range, a list with and without something.
    fn values(&self, schema: &'s Value) -> Vec<Value> {
        let mut values: Vec<Value> =
            self.forms(schema).into_iter().flat_map(|form| self.values_of_form(form)).collect();
        values.dedup();
        values
    }

    fn values_of_form(&self, schema: &'s Value) -> Vec<Value> {
        if let Some(value) = schema.get("const") {
            return vec![value.clone()];
        }
        if let Some(values) = schema["enum"].as_array() {
            return values.clone();
        }
        let limit = |name: &str| schema[name].as_i64();
        match schema["type"].as_str() {
            Some("boolean") => vec![json!(true), json!(false)],
            Some("integer" | "number") => {
                // The safe integers of JavaScript are no limit that means something.
                let least = limit("minimum").or(limit("exclusiveMinimum").map(|least| least + 1));
                let least = least.unwrap_or(0).max(-1_000_000);
                let most = limit("maximum").filter(|most| *most < 1_000_000_000).unwrap_or(least + 1_000);
                vec![json!(least), json!(most)]
            }
            Some("string") => self.texts(schema),
            Some("array") if schema["items"].is_array() => {
                let entries = schema["items"].as_array().unwrap().iter();
                vec![entries.filter_map(|entry| self.values(entry).into_iter().next()).collect()]
            }
            Some("array") => {
                let mut lists: Vec<Value> =
                    self.values(&schema["items"]).into_iter().take(2).map(|entry| json!([entry])).collect();
                if limit("minItems").unwrap_or(0) == 0 {
                    lists.push(json!([]));
                }
                lists
            }
            Some("object") => vec![Value::Object(self.required(schema).into_iter().collect())],
            _ => vec![json!("x")],
        }
    }

    fn texts(&self, schema: &Value) -> Vec<Value> {
        let mut known = self.texts.borrow_mut();
        known.entry(schema.to_string()).or_insert_with(|| texts(schema)).clone()
    }
}

fn texts(schema: &Value) -> Vec<Value> {
    let validator = jsonschema::draft7::new(schema).unwrap();
    let mut texts: Vec<Value> =
        TEXTS.iter().map(|text| json!(text)).filter(|text| validator.is_valid(text)).collect();
    // Any text will do where none must be of a form.
    texts.truncate(if schema.get("pattern").is_some() || schema.get("format").is_some() { 3 } else { 1 });
    texts.extend([json!("")].into_iter().filter(|text| validator.is_valid(text)));
    texts
}
