//! What a value of the right type must keep to: choices, lengths, patterns, ranges, entries without their like.

use std::collections::HashMap;

use serde_json::Value as Json;

use crate::input::node::{Node, Value};
use crate::input::place;
use crate::input::scalar::Scalar;
use crate::input::schema::{Finding, Spot, Walk, pattern, wording};
use crate::problem::Code;

impl Walk<'_> {
    pub(super) fn limits(&mut self, schema: &Json, node: &Node, spot: &Spot) {
        if let Some(choices) = schema["enum"].as_array()
            && !choices.contains(&node.to_json())
        {
            let (problem, fix) = wording::no_choice(node, choices, spot.is_shown());
            self.report(Code::ValueRefused, spot, problem, fix);
            return;
        }
        match &node.value {
            Value::Scalar(Scalar::Text(text)) => self.text(schema, text, spot),
            Value::Scalar(Scalar::Number(number)) => {
                self.number(schema, number.as_f64().unwrap_or_default(), &number.to_string(), spot);
            }
            Value::List(items) => self.count(schema, "Items", "entries", items.len(), spot),
            Value::Map(entries) => self.count(schema, "Properties", "entries", entries.len(), spot),
            Value::Scalar(_) => {}
        }
    }

    fn text(&mut self, schema: &Json, text: &str, spot: &Spot) {
        let characters = text.chars().count();
        let before = self.judgement.findings.len();
        self.count(schema, "Length", "characters", characters, spot);
        if self.judgement.findings.len() > before {
            return;
        }
        let Some(pattern) = schema["pattern"].as_str() else { return };
        if pattern::matches(pattern, text) == Some(false) {
            let (problem, fix) = wording::no_match(text, pattern, schema, spot.is_shown());
            self.report(Code::ValueRefused, spot, problem, fix);
        }
    }

    fn number(&mut self, schema: &Json, value: f64, written: &str, spot: &Spot) {
        let limit = |keyword: &str| schema[keyword].as_f64();
        let excludes = |keyword: &str| schema[keyword] == Json::Bool(true);
        if let Some(least) = limit("minimum") {
            let is_open = excludes("exclusiveMinimum");
            if value < least || (is_open && value <= least) {
                let bound = if is_open { format!("more than {least}") } else { format!("{least} or more") };
                self.report(
                    Code::ValueRefused,
                    spot,
                    format!("{written} is too small"),
                    format!("write {bound}"),
                );
            }
        }
        if let Some(most) = limit("maximum") {
            let is_open = excludes("exclusiveMaximum");
            if value > most || (is_open && value >= most) {
                let bound = if is_open { format!("less than {most}") } else { format!("{most} at most") };
                self.report(
                    Code::ValueRefused,
                    spot,
                    format!("{written} is too large"),
                    format!("write {bound}"),
                );
            }
        }
        let range = match schema["format"].as_str() {
            Some("int32") => Some((f64::from(i32::MIN), f64::from(i32::MAX))),
            _ => None,
        };
        if let Some((least, most)) = range
            && !(least..=most).contains(&value)
        {
            let fix = format!("write a number from {least} to {most}");
            self.report(Code::ValueRefused, spot, format!("{written} is not a number of 32 bits"), fix);
        }
        if let Some(unit) = limit("multipleOf")
            && unit > 0.0
            && value % unit != 0.0
        {
            let problem = format!("{written} is not a multiple of {unit}");
            self.report(Code::ValueRefused, spot, problem, format!("write a multiple of {unit}"));
        }
    }

    /// The bounds `min…` and `max…` of a number of things.
    fn count(&mut self, schema: &Json, what: &str, things: &str, count: usize, spot: &Spot) {
        let bound = |side: &str| schema[format!("{side}{what}")].as_u64();
        let count = count as u64;
        if let Some(least) = bound("min").filter(|least| count < *least) {
            let (problem, fix) = if count == 0 {
                ("it is empty".to_owned(), wording::not_empty(things, least))
            } else {
                let fix = format!("write at least {least} of them{}", wording::about_it(schema));
                (format!("it has {count} {things}, and at least {least} are needed"), fix)
            };
            self.report(Code::ValueRefused, spot, problem, fix);
        }
        if let Some(most) = bound("max").filter(|most| count > *most) {
            let fix = if things == "characters" { "shorten it" } else { "remove some" };
            self.report(
                Code::ValueRefused,
                spot,
                format!("it has {count} {things}, and {most} are the most there may be"),
                fix,
            );
        }
    }

    /// Entries of a list that are the same, or have the same key where the list is a map by a key.
    pub(super) fn twice(&mut self, schema: &Json, items: &[Node], spot: &Spot) {
        let keys: Option<Vec<&str>> = match schema["x-kubernetes-list-type"].as_str() {
            Some("set") => None,
            Some("map") => {
                let keys = schema["x-kubernetes-list-map-keys"].as_array().into_iter().flatten();
                Some(keys.filter_map(Json::as_str).collect())
            }
            _ => return,
        };
        let mut seen: HashMap<String, usize> = HashMap::new();
        for (position, item) in items.iter().enumerate() {
            let identity = match &keys {
                None => item.to_json(),
                Some(keys) => {
                    let value = |key: &&str| {
                        let default = || schema["items"]["properties"][*key]["default"].clone();
                        item.entry(key).map_or_else(default, |entry| entry.value.to_json())
                    };
                    keys.iter().map(value).collect()
                }
            };
            let Some(first) = seen.get(&identity.to_string()).copied() else {
                seen.insert(identity.to_string(), position);
                continue;
            };
            let what = keys.as_deref().map(|keys| wording::same_key(keys, &identity));
            let what = what.unwrap_or_else(|| identity.to_string());
            let entry = spot.entry(position, place::of_item(item, self.text));
            self.judgement.findings.push(Finding {
                code: Code::EntryTwice,
                field: entry.path.clone(),
                range: entry.range,
                problem: format!("another entry has {what} as well"),
                fix: "keep one of them".into(),
                related: Some((place::of_item(&items[first], self.text), "the other one")),
                concealed: None,
            });
        }
    }
}
