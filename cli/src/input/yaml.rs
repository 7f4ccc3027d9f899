//! Reading stage, pure: YAML, and so JSON, becomes trees of values that know their places.
//!
//! The parser is the one below serde-saphyr. Its events carry positions, and it goes on with the next document after
//! an error, so that a user sees all of them at once. What is bounded: depth, and the values after the expansion of
//! aliases.

mod advice;

use std::collections::HashMap;
use std::ops::Range;

use crate::input::node::{Entry, Node, Value};
use crate::input::scalar::{self, Scalar};
use crate::problem::Code;
use granit_parser::{Event, Options, Parser, ScalarStyle, Span, StructureStyle, Tag};

/// Deepest nesting of lists and maps. The resources' schemas are less than half as deep.
const DEPTH_LIMIT: usize = 64;
/// Most values in one file, those that aliases repeat included: a few thousand large Harnesses.
const NODES_LIMIT: usize = 1_000_000;

/// What is wrong with a file as YAML. Its texts never repeat what is in the file, which may be a Secret.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// What kind of problem it is.
    pub code: Code,
    /// The bytes it is in.
    pub span: Range<usize>,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub fix: &'static str,
    /// Another place that belongs to it.
    pub related: Option<Range<usize>>,
}

/// A file, read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// The documents that could be read.
    pub documents: Vec<Node>,
    /// What is wrong.
    pub faults: Vec<Fault>,
    /// Whether a document could not be read, so that what it holds is not known.
    pub incomplete: bool,
}

/// Reads a file.
pub fn read(text: &str) -> Reading {
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.emit_unresolved_aliases = true;
    let mut parser = Parser::new_from_str_with_options(text, options);
    let mut builder = Builder { text, ..Builder::default() };
    loop {
        let stop = match parser.next_event() {
            None => break,
            Some(Ok((event, span))) => builder.take(event, span).err(),
            Some(Err(error)) => {
                let start = error.marker().byte_offset().unwrap_or(text.len()).min(text.len());
                let next = text[start..].chars().next().filter(|c| *c != '\n').map_or(0, char::len_utf8);
                let problem = format!("this is not YAML: {}", error.info());
                builder.fault(Code::NotYaml, start..start + next, problem, advice::on(error.kind()));
                Some(Stop::Document)
            }
        };
        match stop {
            None => {}
            Some(Stop::File) => {
                builder.reading.incomplete = true;
                break;
            }
            Some(Stop::Document) => {
                builder.abandon();
                // Every call ends one document more: this comes to an end.
                if !parser.proceed_next_document().unwrap_or(false) {
                    break;
                }
            }
        }
    }
    builder.reading
}

/// What can't be read on.
enum Stop {
    /// This document.
    Document,
    /// This file.
    File,
}

/// A list or map that has begun.
enum Open {
    List { items: Vec<Node>, span: Range<usize>, anchor: usize },
    Map(OpenMap),
}

#[derive(Default)]
struct OpenMap {
    entries: Vec<Entry>,
    /// Where each key was seen first.
    seen: HashMap<String, Range<usize>>,
    /// The key whose value comes next; without a text when it can't be one.
    key: Option<(Option<String>, Range<usize>)>,
    span: Range<usize>,
    anchor: usize,
}

#[derive(Default)]
struct Builder<'a> {
    text: &'a str,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    reading: Reading,
}

impl Builder<'_> {
    fn fault(&mut self, code: Code, span: Range<usize>, problem: impl Into<String>, fix: &'static str) {
        self.reading.faults.push(Fault { code, span, problem: problem.into(), fix, related: None });
    }

    fn unsupported(&mut self, span: Range<usize>, problem: impl Into<String>, fix: &'static str) {
        self.fault(Code::YamlUnsupported, span, problem, fix);
    }

    fn abandon(&mut self) {
        self.open.clear();
        self.anchors.clear();
        self.reading.incomplete = true;
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Stop> {
        let mut range = span.byte_range().unwrap_or_default();
        let tag_place = span.tag_span().and_then(|span| span.byte_range()).unwrap_or(range.clone());
        match event {
            Event::DocumentStart(..) => self.anchors.clear(),
            Event::Scalar(text, style, anchor, tag) => {
                let value = self.scalar(&text, style, tag.as_deref(), &tag_place);
                if style == ScalarStyle::Plain && text.is_empty() {
                    range.end = range.start;
                }
                self.node(Node { value: Value::Scalar(value), span: range }, anchor)?;
            }
            Event::SequenceStart(style, anchor, tag) => {
                self.collection(tag.as_deref(), "seq", &tag_place)?;
                let span = if style == StructureStyle::Flow { range } else { range.start..range.start };
                self.open.push(Open::List { items: Vec::new(), span, anchor });
            }
            Event::MappingStart(style, anchor, tag) => {
                self.collection(tag.as_deref(), "map", &tag_place)?;
                let span = if style == StructureStyle::Flow { range } else { range.start..range.start };
                self.open.push(Open::Map(OpenMap { span, anchor, ..OpenMap::default() }));
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(&range)?,
            Event::Alias(id) => self.alias(id, range)?,
            Event::UnresolvedAlias(_) => {
                let problem = "there is no anchor of this name before the alias";
                self.fault(Code::NotYaml, range, problem, "put a text that starts with '*' in quotes");
                return Err(Stop::Document);
            }
            _ => {}
        }
        Ok(())
    }

    fn alias(&mut self, id: usize, span: Range<usize>) -> Result<(), Stop> {
        let Some(node) = self.anchors.get(&id) else {
            self.unsupported(span, "the alias is inside of what it stands for", "write it out");
            return Err(Stop::Document);
        };
        // Counted before it is copied: aliases of aliases grow fast.
        self.nodes += node.count();
        let copy = (self.nodes <= NODES_LIMIT).then(|| node.value.clone());
        self.within_limits(&span)?;
        match copy {
            Some(value) => self.node(Node { value, span }, 0),
            None => Ok(()),
        }
    }

    fn within_limits(&mut self, span: &Range<usize>) -> Result<(), Stop> {
        let problem = if self.open.len() >= DEPTH_LIMIT {
            format!("lists and maps are more than {DEPTH_LIMIT} deep")
        } else if self.nodes > NODES_LIMIT {
            format!("the file has more than {NODES_LIMIT} values, with those that aliases repeat")
        } else {
            return Ok(());
        };
        let place = span.start..span.start.saturating_add(1).min(self.text.len());
        self.fault(Code::FileTooLarge, place, problem, "split it, or write it flatter");
        Err(Stop::File)
    }

    fn collection(&mut self, tag: Option<&Tag>, expected: &str, span: &Range<usize>) -> Result<(), Stop> {
        if tag.is_some_and(|tag| tag.core_suffix() != Some(expected)) {
            self.unsupported(span.clone(), "this tag means nothing here", "remove it");
        }
        self.within_limits(span)
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>, span: &Range<usize>) -> Scalar {
        let core = tag.map(|tag| (tag.core_suffix(), tag.original()));
        let resolved = match core {
            None if style != ScalarStyle::Plain => return Scalar::Text(text.into()),
            Some((Some("str"), _)) => return Scalar::Text(text.into()),
            Some((_, original)) if original == "!" => return Scalar::Text(text.into()),
            None | Some((Some("null" | "bool" | "int" | "float"), _)) => scalar::plain(text),
            Some(_) => {
                self.unsupported(span.clone(), "this tag means nothing here", "remove it");
                return Scalar::Text(text.into());
            }
        };
        let value = resolved.unwrap_or_else(|_| {
            self.unsupported(span.clone(), "JSON has no such number", "write a number, or a text in quotes");
            Scalar::Text(text.into())
        });
        let fits = match (core_name(tag), &value) {
            (None, _)
            | (Some("null"), Scalar::Null)
            | (Some("bool"), Scalar::Bool(_))
            | (Some("float"), Scalar::Number(_)) => true,
            (Some("int"), Scalar::Number(number)) => !number.is_f64(),
            _ => false,
        };
        if !fits {
            self.unsupported(span.clone(), "the value is not what its tag says", "remove the tag");
        }
        value
    }

    fn node(&mut self, node: Node, anchor: usize) -> Result<(), Stop> {
        self.nodes += 1;
        self.within_limits(&node.span)?;
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            None => self.reading.documents.push(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map(map)) => {
                let fault = match map.key.take() {
                    None => map.begin(node),
                    Some((key, key_span)) => key.and_then(|key| map.end(key, key_span, node, self.text)),
                };
                self.reading.faults.extend(fault);
            }
        }
        Ok(())
    }

    fn close(&mut self, end: &Range<usize>) -> Result<(), Stop> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let (value, mut span, anchor) = match open {
            Open::List { items, span, anchor } => (Value::List(items), span, anchor),
            Open::Map(OpenMap { entries, span, anchor, .. }) => (Value::Map(unmerged(entries)), span, anchor),
        };
        // A flow collection ends with its bracket, a block with its last value.
        let last = match &value {
            Value::List(items) => items.last().map(|item| item.span.end),
            Value::Map(entries) => {
                entries.iter().map(|entry| entry.value.span.end.max(entry.key_span.end)).max()
            }
            Value::Scalar(_) => None,
        };
        span.end = if span.is_empty() { last.unwrap_or(span.start).max(span.start) } else { end.end };
        self.node(Node { value, span }, anchor)
    }
}

impl OpenMap {
    /// Takes a key.
    fn begin(&mut self, node: Node) -> Option<Fault> {
        let key = match node.value {
            Value::Scalar(scalar) => scalar.into_key(),
            _ => None,
        };
        let fault = key.is_none().then(|| Fault {
            code: Code::YamlUnsupported,
            span: node.span.clone(),
            problem: "a key must be a text".into(),
            fix: "write a text before the colon",
            related: None,
        });
        self.key = Some((key, node.span));
        fault
    }

    /// Takes the value of a key.
    fn end(&mut self, key: String, key_span: Range<usize>, value: Node, text: &str) -> Option<Fault> {
        if let Some(first) = self.seen.get(&key) {
            return Some(Fault {
                code: Code::KeyTwice,
                span: key_span,
                problem: "the same key is there twice, and one of the two would be lost".into(),
                fix: "keep one of them",
                related: Some(first.clone()),
            });
        }
        self.seen.insert(key.clone(), key_span.clone());
        // Without quotes it is a merge key.
        let is_merge = key == "<<" && text.get(key_span.clone()) == Some("<<");
        let value = if is_merge { merged(value) } else { value };
        self.entries.push(Entry { key, key_span, value });
        None
    }
}

fn core_name(tag: Option<&Tag>) -> Option<&str> {
    tag.and_then(Tag::core_suffix)
}

/// The entries that a merge key brings, the first of a key winning.
fn merged(value: Node) -> Node {
    let Value::List(items) = value.value else { return value };
    let mut all: Vec<Entry> = Vec::new();
    for entry in items.into_iter().flat_map(|item| match item.value {
        Value::Map(entries) => entries,
        _ => Vec::new(),
    }) {
        if all.iter().all(|known| known.key != entry.key) {
            all.push(entry);
        }
    }
    Node { value: Value::Map(all), span: value.span }
}

/// Puts what merge keys bring behind what is written.
fn unmerged(entries: Vec<Entry>) -> Vec<Entry> {
    let (merges, mut own): (Vec<Entry>, Vec<Entry>) =
        entries.into_iter().partition(|entry| entry.key == "<<");
    for merge in merges {
        match merge.value.value {
            Value::Map(brought) => {
                for entry in brought {
                    if own.iter().all(|known| known.key != entry.key) {
                        own.push(Entry { key_span: merge.key_span.clone(), ..entry });
                    }
                }
            }
            // Not a merge: a key of this name, which no resource has.
            _ => own.push(merge),
        }
    }
    own
}

#[cfg(test)]
mod tests;
