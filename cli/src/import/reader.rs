//! Reading stage, pure: values of a legacy file by name and type. It refuses what the replaced system refused, all of
//! it at once, and it finds what that dropped without a word: fields that nobody asked for.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::import::legacy::{Given, Texts};
use crate::import::report::{Entry, Ledger, Outcome};
use crate::input::node::{Node, Value};
use crate::input::place;
use crate::input::scalar::Scalar;
use crate::problem::{Code, Problem};

/// Why a field of nobody's was not carried over.
const NOBODY: &str = "neither format has this field; the old tools dropped it without a word";

/// What there is to say about an empty list.
pub const NO_ENTRY: &str = "there is no entry";

/// Whether a field must be there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Need {
    /// It must.
    Required,
    /// It may be left out.
    Optional,
}

/// What kind of text a field takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Text {
    /// White space around it is taken off, and something must remain.
    Trimmed,
    /// White space around it is taken off.
    TrimmedOrEmpty,
    /// As it is; it has at least one character.
    Exact,
    /// As it is.
    Any,
}

/// A map of the file.
#[derive(Clone, Debug)]
pub struct Section<'a> {
    node: Option<&'a Node>,
    path: String,
    span: Range<usize>,
}

impl Section<'_> {
    /// Whether it has a field, legal or not.
    pub fn has(&self, key: &str) -> bool {
        self.node.is_some_and(|node| node.entry(key).is_some())
    }

    /// The map as a whole.
    pub fn given(&self) -> Given<()> {
        Given { value: (), path: self.path.clone(), span: self.span.clone() }
    }
}

/// Reads a file.
#[derive(Debug)]
pub struct Reader<'a> {
    source: usize,
    text: &'a str,
    /// Paths of the fields that were asked for, with `[]` for any entry of a list.
    asked: BTreeSet<String>,
    /// Bytes that no message may show: webhooks and addresses, which may hold keys, and what nobody asked for.
    pub hidden: Vec<Range<usize>>,
    /// What is wrong with the file.
    pub problems: Vec<Problem>,
    /// What became of values that were read.
    pub ledger: Ledger<'a>,
}

impl<'a> Reader<'a> {
    /// For the file at a position of the sources.
    pub fn new(source: usize, text: &'a str) -> Self {
        Self {
            source,
            text,
            asked: BTreeSet::new(),
            hidden: Vec::new(),
            problems: Vec::new(),
            ledger: Ledger::new(text),
        }
    }

    /// The file as a whole.
    pub fn root(&self, node: &'a Node) -> Section<'a> {
        Section { node: Some(node), path: String::new(), span: place::of_item(node, self.text) }
    }

    /// Paths of the fields that were asked for, sections among them.
    pub fn into_asked(self) -> BTreeSet<String> {
        self.asked
    }

    /// A map.
    pub fn section(&mut self, of: &Section<'a>, key: &str, need: Need) -> Section<'a> {
        let absent = Section { node: None, path: join(&of.path, key), span: of.span.clone() };
        let Some((node, given)) = self.value(of, key, need) else { return absent };
        if matches!(node.value, Value::Map(_)) {
            return Section { node: Some(node), path: given.path, span: given.span };
        }
        self.wrong_type(&given, node, "a map", "write its fields below it");
        absent
    }

    /// The maps of a list.
    pub fn sections(&mut self, of: &Section<'a>, key: &str) -> Vec<Section<'a>> {
        let Some((list, nodes)) = self.list(of, key, Need::Optional) else { return Vec::new() };
        if nodes.is_empty() {
            self.ledger.settle(&list, NO_ENTRY);
        }
        let mut sections = Vec::new();
        for (position, node) in nodes.iter().enumerate() {
            let entry = self.item(&list, position, node);
            if matches!(node.value, Value::Map(_)) {
                sections.push(Section { node: Some(node), path: entry.path, span: entry.span });
            } else {
                self.wrong_type(&entry, node, "a map", "write its fields");
            }
        }
        sections
    }

    /// A text.
    pub fn text(&mut self, of: &Section<'a>, key: &str, need: Need, kind: Text) -> Option<Given<String>> {
        let (node, given) = self.value(of, key, need)?;
        if key.to_lowercase().ends_with("url") {
            self.hidden.push(node.span.clone());
        }
        self.as_text(node, &given, kind)
    }

    /// A list of texts; `least` is how many there must be.
    pub fn texts(
        &mut self,
        of: &Section<'a>,
        key: &str,
        need: Need,
        least: usize,
        kind: Text,
    ) -> Option<Texts> {
        let (list, nodes) = self.list(of, key, need)?;
        let mut texts = Vec::new();
        for (position, node) in nodes.iter().enumerate() {
            let entry = self.item(&list, position, node);
            texts.extend(self.as_text(node, &entry, kind));
        }
        if nodes.len() < least {
            self.refuse(&list, "the list is empty".into(), "write at least one entry");
            return None;
        }
        Some(list.with(texts))
    }

    /// A boolean.
    pub fn boolean(&mut self, of: &Section<'a>, key: &str) -> Option<Given<bool>> {
        let (node, given) = self.value(of, key, Need::Optional)?;
        if let Value::Scalar(Scalar::Bool(value)) = node.value {
            return Some(given.with(value));
        }
        self.wrong_type(&given, node, "true or false", "write true or false, without quotes");
        None
    }

    /// A whole number, not below `least`. One that is larger than what fits becomes the largest that does.
    pub fn whole(&mut self, of: &Section<'a>, key: &str, least: u64) -> Option<Given<u64>> {
        let (node, given) = self.value(of, key, Need::Optional)?;
        let Value::Scalar(Scalar::Number(number)) = &node.value else {
            self.wrong_type(&given, node, "a whole number", "write it in digits, without quotes");
            return None;
        };
        let float = number.as_f64().unwrap_or_default();
        let whole = number.as_u64().or_else(|| (float.fract() == 0.0 && float > 0.0).then_some(u64::MAX));
        let Some(value) = whole.filter(|value| *value >= least) else {
            let fix = format!("write one, such as {least}");
            self.refuse(&given, format!("{number} is no whole number of at least {least}"), &fix);
            return None;
        };
        Some(given.with(value))
    }

    /// A number from 0 to 1.
    pub fn fraction(&mut self, of: &Section<'a>, key: &str) -> Option<Given<f64>> {
        let (node, given) = self.value(of, key, Need::Optional)?;
        let Value::Scalar(Scalar::Number(number)) = &node.value else {
            self.wrong_type(&given, node, "a number", "write it in digits, without quotes");
            return None;
        };
        let value = number.as_f64().unwrap_or(f64::MAX);
        if (0.0..=1.0).contains(&value) {
            return Some(given.with(value));
        }
        self.refuse(&given, format!("{number} is not between 0 and 1"), "write a number from 0 to 1");
        None
    }

    /// One of several words.
    pub fn choice(&mut self, of: &Section<'a>, key: &str, choices: &[&str]) -> Option<Given<String>> {
        let given = self.text(of, key, Need::Optional, Text::Any)?;
        self.is_choice(&given, choices).then_some(given)
    }

    /// A list of words out of several.
    pub fn choices(&mut self, of: &Section<'a>, key: &str, choices: &[&str], least: usize) -> Option<Texts> {
        let list = self.texts(of, key, Need::Optional, least, Text::Any)?;
        let are_choices = list.value.iter().filter(|word| !self.is_choice(word, choices)).count() == 0;
        are_choices.then_some(list)
    }

    /// A URL. Its value is in no message.
    pub fn url(&mut self, of: &Section<'a>, key: &str) -> Option<Given<String>> {
        let given = self.text(of, key, Need::Optional, Text::Any)?;
        let scheme = given.value.trim().split_once(':').map_or("", |(scheme, _)| scheme);
        let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
        if is_scheme {
            return Some(given.with(given.value.trim().to_owned()));
        }
        self.refuse(&given, "this is no URL".into(), "write one that starts with https://");
        None
    }

    /// Refuses a value.
    pub fn refuse<T>(&mut self, given: &Given<T>, problem: String, fix: &str) {
        self.report(Code::ValueRefused, given, problem, fix);
    }

    /// Takes down every field that nobody asked for.
    pub fn find_unknown(&mut self, node: &Node) {
        self.find_unknown_below(node, "", "");
    }

    fn find_unknown_below(&mut self, node: &Node, path: &str, pattern: &str) {
        for entry in node.entries() {
            let (path, pattern) = (join(path, &entry.key), join(pattern, &entry.key));
            if self.asked.contains(&pattern) {
                self.find_unknown_below(&entry.value, &path, &pattern);
                for (position, item) in entry.value.items().iter().enumerate() {
                    self.find_unknown_below(item, &format!("{path}[{position}]"), &format!("{pattern}[]"));
                }
                continue;
            }
            self.hidden.push(entry.value.span.clone());
            let similar = self.similar(&pattern).map(|name| format!("; did you mean {name}?"));
            self.ledger.record(Entry {
                outcome: Outcome::NotCarried,
                from: Some(self.ledger.origin(&path, &entry.key_span)),
                to: None,
                old: None,
                new: None,
                reason: format!("{NOBODY}{}", similar.unwrap_or_default()),
            });
        }
    }

    /// A field beside an unknown one whose name is much like it.
    fn similar(&self, pattern: &str) -> Option<&str> {
        let split = |path: &str| path.rfind('.').map_or(0, |dot| dot + 1);
        let (parent, name) = pattern.split_at(split(pattern));
        let siblings = self.asked.iter().filter(|known| known[..split(known)] == *parent);
        let scored =
            siblings.map(|known| (strsim::jaro_winkler(&known[split(known)..], name), known.as_str()));
        scored.filter(|(score, _)| *score > 0.85).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, known)| known)
    }

    fn value(&mut self, of: &Section<'a>, key: &str, need: Need) -> Option<(&'a Node, Given<()>)> {
        let path = join(&of.path, key);
        self.asked.insert(without_positions(&path));
        let node = of.node?;
        let Some(entry) = node.entry(key) else {
            if need == Need::Required {
                let given = Given { value: (), path, span: of.span.clone() };
                self.report(Code::FieldMissing, &given, "it is required and not there".into(), "add it");
            }
            return None;
        };
        let span = place::of_entry(entry, self.text);
        let given = Given { value: (), path, span };
        if entry.value.is_null() {
            let fix =
                if need == Need::Required { "write a value" } else { "write a value, or remove the key" };
            self.report(Code::TypeWrong, &given, "it has no value".into(), fix);
            return None;
        }
        Some((&entry.value, given))
    }

    fn list(&mut self, of: &Section<'a>, key: &str, need: Need) -> Option<(Given<()>, &'a [Node])> {
        let (node, given) = self.value(of, key, need)?;
        if let Value::List(items) = &node.value {
            return Some((given, items));
        }
        self.wrong_type(&given, node, "a list", "write one entry per line, each after a dash");
        None
    }

    fn item(&self, list: &Given<()>, position: usize, node: &Node) -> Given<()> {
        let span = place::of_item(node, self.text);
        Given { value: (), path: format!("{}[{position}]", list.path), span }
    }

    fn as_text(&mut self, node: &Node, given: &Given<()>, kind: Text) -> Option<Given<String>> {
        let Value::Scalar(Scalar::Text(text)) = &node.value else {
            self.wrong_type(
                given,
                node,
                "a text",
                "write a text, in quotes where it looks like something else",
            );
            return None;
        };
        let text = match kind {
            Text::Trimmed | Text::TrimmedOrEmpty => text.trim_matches(is_javascript_space),
            Text::Exact | Text::Any => text,
        };
        if text.is_empty() && matches!(kind, Text::Trimmed | Text::Exact) {
            self.refuse(given, "the text is empty".into(), "write one");
            return None;
        }
        Some(given.with(text.to_owned()))
    }

    fn is_choice(&mut self, given: &Given<String>, choices: &[&str]) -> bool {
        let is_one = choices.contains(&given.value.as_str());
        if !is_one {
            let fix = format!("use one of: {}", choices.join(", "));
            self.refuse(given, format!("{:?} is none of the values that the field takes", given.value), &fix);
        }
        is_one
    }

    fn wrong_type(&mut self, given: &Given<()>, node: &Node, expected: &str, fix: &str) {
        let found = match &node.value {
            Value::Scalar(scalar) => scalar.type_name(),
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        };
        self.report(Code::TypeWrong, given, format!("it is {found}, and must be {expected}"), fix);
    }

    fn report<T>(&mut self, code: Code, given: &Given<T>, problem: String, fix: &str) {
        let problem = Problem::new(code, problem, fix).at(self.source, given.span.clone());
        self.problems.push(Problem { field: given.path.clone(), ..problem });
    }
}

/// What `String.prototype.trim` takes off, by which the replaced system told blank texts.
fn is_javascript_space(c: char) -> bool {
    c == '\u{feff}' || (c.is_whitespace() && c != '\u{85}')
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.into() } else { format!("{path}.{key}") }
}

/// `skills.packs[2].name` is `skills.packs[].name`.
fn without_positions(path: &str) -> String {
    let mut result = String::with_capacity(path.len());
    let mut is_position = false;
    for character in path.chars() {
        match character {
            '[' => is_position = true,
            ']' => is_position = false,
            _ if is_position => continue,
            _ => {}
        }
        result.push(character);
    }
    result
}
