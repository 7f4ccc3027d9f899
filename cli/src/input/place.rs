//! From the path of a field to the place where it is written. Pure.

use std::ops::Range;

use crate::input::node::{Entry, Node, Value};

/// Where a field is written, or where it would be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// The bytes to point at.
    pub range: Range<usize>,
    /// Whether they are the field's own; else the nearest field's above it that is there.
    pub exact: bool,
}

/// Finds a field by its path, such as `spec.tools.allow[1]`, in an object. A key may hold dots; a map's key may also
/// stand in brackets, as the API server writes it.
pub fn find(object: &Node, path: &str, text: &str) -> Found {
    let mut node = object;
    let mut found = Found { range: whole(object, text), exact: path.is_empty() };
    let mut rest = path;
    while !rest.is_empty() {
        let Some((next, range, after)) = step(node, rest, text) else {
            return Found { exact: false, ..found };
        };
        found = Found { range, exact: true };
        (node, rest) = (next, after);
    }
    found
}

/// The place that stands for an object as a whole: its name, else its kind, else its first line.
fn whole(object: &Node, text: &str) -> Range<usize> {
    let name = object.entry("metadata").and_then(|metadata| metadata.value.entry("name"));
    match name.or_else(|| object.entry("kind")) {
        Some(entry) => of_entry(entry, text),
        None => of_item(object, text),
    }
}

fn step<'a, 'b>(node: &'a Node, path: &'b str, text: &str) -> Option<(&'a Node, Range<usize>, &'b str)> {
    if let Some(bracketed) = path.strip_prefix('[') {
        let (inside, after) = bracketed.split_once(']')?;
        let after = after.strip_prefix('.').unwrap_or(after);
        if let Some(item) = inside.parse().ok().and_then(|index: usize| node.items().get(index)) {
            return Some((item, of_item(item, text), after));
        }
        let entry = node.entry(inside.trim_matches('"'))?;
        return Some((&entry.value, of_entry(entry, text), after));
    }
    let candidates = node.entries().iter().filter_map(|entry| {
        let after = path.strip_prefix(entry.key.as_str())?;
        match after.as_bytes().first() {
            None | Some(b'[') => Some((entry, after)),
            Some(b'.') => Some((entry, &after[1..])),
            Some(_) => None,
        }
    });
    let (entry, after) = candidates.max_by_key(|(entry, _)| entry.key.len())?;
    Some((&entry.value, of_entry(entry, text), after))
}

/// What to point at for a key and its value: the value when it is short enough to be seen at once, else the key.
pub fn of_entry(entry: &Entry, text: &str) -> Range<usize> {
    let span = &entry.value.span;
    let is_single = matches!(entry.value.value, Value::Scalar(_)) && is_on_one_line(span, text);
    // What an alias or a merge key brings stands elsewhere; the key is where it is used.
    if is_single && span.start >= entry.key_span.end { span.clone() } else { entry.key_span.clone() }
}

/// What to point at for an entry of a list: all of it when it is on one line, else its beginning.
pub fn of_item(item: &Node, text: &str) -> Range<usize> {
    if is_on_one_line(&item.span, text) {
        return item.span.clone();
    }
    match &item.value {
        Value::Map(entries) if !entries.is_empty() => entries[0].key_span.clone(),
        _ => first_line(&item.span, text),
    }
}

fn is_on_one_line(span: &Range<usize>, text: &str) -> bool {
    !span.is_empty() && text.get(span.clone()).is_some_and(|written| !written.contains('\n'))
}

fn first_line(span: &Range<usize>, text: &str) -> Range<usize> {
    let written = text.get(span.clone()).unwrap_or_default();
    let line = written.lines().next().unwrap_or_default();
    span.start..span.start + line.trim_end().len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::yaml;

    const TEXT: &str = "\
kind: Harness
metadata: {name: desk, labels: {a.b/c: x, a: y}}
spec:
  tools:
    allow: [read, \"exec\"]
  soul:
    vibe: |
      two
      lines
  bindings:
    - channel: telegram
      peer: {kind: group}
    - {channel: slack}
  nothing:
";

    fn written(path: &str) -> (&str, bool) {
        let document = &yaml::read(TEXT).documents[0];
        let Found { range, exact } = find(document, path, TEXT);
        (&TEXT[range], exact)
    }

    #[test]
    fn a_path_leads_to_its_place_or_to_the_nearest_above() {
        assert_eq!(written("spec.tools.allow[1]"), ("\"exec\"", true));
        assert_eq!(written("spec.tools.allow[2]"), ("allow", false));
        assert_eq!(written("spec.tools.deny[0]"), ("tools", false));
        assert_eq!(written("spec.tools"), ("tools", true));
        assert_eq!(written("spec.soul.vibe"), ("vibe", true));
        assert_eq!(written("spec.bindings[0]"), ("channel", true));
        assert_eq!(written("spec.bindings[0].peer.kind"), ("group", true));
        assert_eq!(written("spec.bindings[1]"), ("{channel: slack}", true));
        assert_eq!(written("spec.bindings[1].peer"), ("{channel: slack}", false));
        assert_eq!(written("spec.nothing"), ("nothing", true));
        assert_eq!(written("metadata.labels.a.b/c"), ("x", true));
        assert_eq!(written("metadata.labels[a.b/c]"), ("x", true));
        assert_eq!(written("metadata.labels.a"), ("y", true));
        assert_eq!(written("workspace AGENTS.md"), ("desk", false));
        assert_eq!(written(""), ("desk", true));
    }
}
