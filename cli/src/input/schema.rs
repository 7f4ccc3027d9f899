//! Judging stage, pure: an object against the schema of its kind, as the API server judges it with strict field
//! validation, all problems at once. Defaults are not in the object yet: a required field that has one is not missing.

mod limits;
mod pattern;
mod wording;

use std::collections::BTreeSet;
use std::ops::Range;

use serde_json::Value as Json;

use crate::input::node::{Entry, Node, Value};
use crate::input::place;
use crate::input::scalar::Scalar;
use crate::problem::Code;

/// What is wrong with a field of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What kind of problem it is.
    pub code: Code,
    /// Path of the field.
    pub field: String,
    /// The bytes to point at.
    pub range: Range<usize>,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub fix: String,
    /// Another place that belongs to it, and what is there.
    pub related: Option<(Range<usize>, &'static str)>,
    /// The bytes of a value that may be something that must not be shown.
    pub concealed: Option<Range<usize>>,
}

/// What a schema says of an object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judgement {
    /// What is wrong, in the order of the object.
    pub findings: Vec<Finding>,
    /// Where the values begin that were meant as texts, such as `no`.
    pub meant_as_texts: BTreeSet<usize>,
}

/// Judges an object. `text` is the file that it is in, `kind` the kind as `kubectl explain` knows it.
pub fn check(schema: &Json, object: &Node, text: &str, kind: &str) -> Judgement {
    let mut walk = Walk { text, kind, judgement: Judgement::default() };
    let range = place::find(object, "", text).range;
    walk.node(schema, object, &Spot { path: String::new(), range, is_structural: true });
    walk.judgement
}

/// A node's path and the place that stands for it.
#[derive(Clone, Debug)]
struct Spot {
    path: String,
    range: Range<usize>,
    /// Whether the schema here says which fields there are; below `anyOf` and its like it only says more of them.
    is_structural: bool,
}

impl Spot {
    fn field(&self, name: &str, range: Range<usize>) -> Self {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        Self { path, range, is_structural: self.is_structural }
    }

    fn entry(&self, position: usize, range: Range<usize>) -> Self {
        Self { path: format!("{}[{position}]", self.path), range, is_structural: self.is_structural }
    }

    /// Whether the value may be part of a message.
    fn is_shown(&self) -> bool {
        !wording::is_reference_to_a_secret(&self.path)
    }
}

struct Walk<'a> {
    text: &'a str,
    kind: &'a str,
    judgement: Judgement,
}

impl Walk<'_> {
    fn report(&mut self, code: Code, spot: &Spot, problem: impl Into<String>, fix: impl Into<String>) {
        self.judgement.findings.push(Finding {
            code,
            field: spot.path.clone(),
            range: spot.range.clone(),
            problem: problem.into(),
            fix: fix.into(),
            related: None,
            concealed: (!spot.is_shown()).then(|| spot.range.clone()),
        });
    }

    fn node(&mut self, schema: &Json, node: &Node, spot: &Spot) {
        if node.is_null() && is_true(schema, "nullable") {
            return;
        }
        if !self.type_fits(schema, node, spot) {
            return;
        }
        self.limits(schema, node, spot);
        match &node.value {
            Value::Map(entries) => self.map(schema, node, entries, spot),
            Value::List(items) => self.list(schema, items, spot),
            Value::Scalar(_) => {}
        }
        self.branches(schema, node, spot);
    }

    fn type_fits(&mut self, schema: &Json, node: &Node, spot: &Spot) -> bool {
        let expected = schema["type"].as_str();
        let fits = match (expected, &node.value) {
            (None | Some("string"), Value::Scalar(Scalar::Text(_)))
            | (Some("boolean"), Value::Scalar(Scalar::Bool(_)))
            | (Some("number"), Value::Scalar(Scalar::Number(_)))
            | (Some("object"), Value::Map(_))
            | (Some("array"), Value::List(_)) => true,
            (Some("integer"), Value::Scalar(Scalar::Number(number))) => !number.is_f64(),
            (None, Value::Scalar(Scalar::Number(number))) => {
                !is_true(schema, "x-kubernetes-int-or-string") || !number.is_f64()
            }
            (None, _) => !is_true(schema, "x-kubernetes-int-or-string"),
            _ => false,
        };
        if !fits {
            let written = self.text.get(node.span.clone()).unwrap_or_default();
            let (problem, fix) = wording::wrong_type(expected, node, written, schema, spot.is_shown());
            self.report(Code::TypeWrong, spot, problem, fix);
            if expected == Some("string") && matches!(node.value, Value::Scalar(_)) {
                self.judgement.meant_as_texts.insert(node.span.start);
            }
        }
        fits
    }

    fn map(&mut self, schema: &Json, node: &Node, entries: &[Entry], spot: &Spot) {
        let properties = schema["properties"].as_object();
        let others = schema.get("additionalProperties").filter(|schema| schema.is_object());
        let takes_all = is_true(schema, "x-kubernetes-preserve-unknown-fields")
            || schema["additionalProperties"] == Json::Bool(true)
            || !spot.is_structural;
        for entry in entries {
            let below = spot.field(&entry.key, place::of_entry(entry, self.text));
            let known = properties.and_then(|properties| properties.get(&entry.key));
            match known.or(others) {
                Some(schema) if is_left_out(schema, &entry.value) => {}
                Some(schema) => self.node(schema, &entry.value, &below),
                None if takes_all => {}
                None => self.unknown(schema, entry, &below),
            }
        }
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Json::as_str);
        for name in required {
            let schema = &schema["properties"][name];
            let given = node.entry(name).filter(|entry| !is_left_out(schema, &entry.value));
            if given.is_none() && schema.get("default").is_none() {
                let place = node.entry(name).map_or(spot.range.clone(), |entry| entry.key_span.clone());
                let missing = spot.field(name, place);
                let (problem, fix) = wording::missing(name, schema);
                self.report(Code::FieldMissing, &missing, problem, fix);
            }
        }
    }

    fn unknown(&mut self, schema: &Json, entry: &Entry, spot: &Spot) {
        let known: Vec<&str> =
            schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
        let (problem, fix) = wording::unknown(&entry.key, &known, &spot.path, self.kind);
        let at_key = Spot { range: entry.key_span.clone(), ..spot.clone() };
        self.report(Code::FieldUnknown, &at_key, problem, fix);
        if let Some(finding) = self.judgement.findings.last_mut() {
            let may_be = wording::may_be_secret(&entry.key);
            finding.concealed = may_be.then(|| entry.value.span.clone());
        }
    }

    fn list(&mut self, schema: &Json, items: &[Node], spot: &Spot) {
        if let Some(below) = schema.get("items") {
            for (position, item) in items.iter().enumerate() {
                self.node(below, item, &spot.entry(position, place::of_item(item, self.text)));
            }
        }
        self.twice(schema, items, spot);
    }

    /// `allOf`, `anyOf`, `oneOf` and `not`, which our schemas hardly use: what they say is repeated, not explained.
    fn branches(&mut self, schema: &Json, node: &Node, spot: &Spot) {
        let spot = Spot { is_structural: false, ..spot.clone() };
        let branches = |keyword: &str| schema[keyword].as_array().into_iter().flatten();
        for branch in branches("allOf") {
            self.node(branch, node, &spot);
        }
        let fitting =
            |keyword: &str| branches(keyword).filter(|branch| self.fits(branch, node, &spot)).count();
        let problem = if schema.get("anyOf").is_some() && fitting("anyOf") == 0 {
            Some("is none of the forms that the field takes")
        } else if schema.get("oneOf").is_some() && fitting("oneOf") != 1 {
            Some("must be exactly one of the forms that the field takes")
        } else if schema.get("not").is_some_and(|schema| self.fits(schema, node, &spot)) {
            Some("has a form that the field does not take")
        } else {
            None
        };
        if let Some(problem) = problem {
            let fix = format!("see {}", wording::explain(self.kind, &spot.path));
            self.report(Code::ValueRefused, &spot, format!("the value {problem}"), fix);
        }
    }

    fn fits(&self, schema: &Json, node: &Node, spot: &Spot) -> bool {
        let mut walk = Walk { text: self.text, kind: self.kind, judgement: Judgement::default() };
        walk.node(schema, node, spot);
        walk.judgement.findings.is_empty()
    }
}

fn is_true(schema: &Json, keyword: &str) -> bool {
    schema[keyword] == Json::Bool(true)
}

/// The API server takes a field that is set to nothing, and must not be, for one that is not set.
fn is_left_out(schema: &Json, value: &Node) -> bool {
    value.is_null() && !is_true(schema, "nullable")
}
