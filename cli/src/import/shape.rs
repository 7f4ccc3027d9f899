//! Reading stage, pure: which of the two formats a file has. Each has names at its top that the other one lacks.

use crate::import::legacy::Format;
use crate::input::kinds::GROUP;
use crate::input::node::{Entry, Node};
use crate::input::place;
use crate::problem::{Code, Problem};
use crate::report::position;

/// Names that only format A has at its top, and must have.
const OF_A: [&str; 2] = ["tenant", "identity"];
/// Names that only format B has at its top, and must have.
const OF_B: [&str; 2] = ["tenantId", "role"];

/// What a file must be.
const EXPECTED: &str = "give a harness of the replaced system: format A has `tenant` and `identity` at its top, format B \
     has `tenantId` and `role`";

/// Tells the format.
pub fn of(node: &Node, source: usize, text: &str) -> Result<Format, Box<Problem>> {
    let first = |names: [&str; 2]| names.into_iter().find_map(|name| node.entry(name));
    match (first(OF_A), first(OF_B)) {
        (Some(_), None) => Ok(Format::A),
        (None, Some(_)) => Ok(Format::B),
        (Some(a), Some(b)) => Err(both(a, b, source, text)),
        (None, None) => Err(neither(node, source, text)),
    }
}

fn both(a: &Entry, b: &Entry, source: usize, text: &str) -> Box<Problem> {
    let (line, column) = position(text, b.key_span.start);
    let problem = format!("`{}` is of format A, and `{}` at {line}:{column} is of format B", a.key, b.key);
    let fix = "keep the fields of one format";
    Box::new(Problem::new(Code::FormatUnknown, problem, fix).at(source, a.key_span.clone()))
}

fn neither(node: &Node, source: usize, text: &str) -> Box<Problem> {
    let is_ours = node.text(&["apiVersion"]).is_some_and(|version| version.split('/').next() == Some(GROUP));
    let (problem, fix) = if is_ours {
        ("this is a resource of the operator already", "apply it, or judge it with validate")
    } else {
        ("this has neither of the two formats", EXPECTED)
    };
    Box::new(Problem::new(Code::FormatUnknown, problem, fix).at(source, place::of_item(node, text)))
}

/// The problem of a file without a value.
pub fn nothing(source: usize) -> Box<Problem> {
    Box::new(Problem::new(Code::FormatUnknown, "the file is empty", EXPECTED).at(source, 0..0))
}

/// The problem of a file with more than one document.
pub fn several(source: usize, second: &Node) -> Box<Problem> {
    let problem = "the file has more than one document, and the old tools took one";
    let span = second.span.start..second.span.start;
    Box::new(Problem::new(Code::FormatUnknown, problem, "put each into a file of its own").at(source, span))
}
