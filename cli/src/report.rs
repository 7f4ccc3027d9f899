//! Output stage: problems as text or JSON. Pure.

mod human;
mod json;

use std::borrow::Cow;
use std::collections::BTreeSet;

pub use human::render as human;
pub use json::render as json;

use crate::input::{Input, Objects};
use crate::problem::{Problem, Severity};

/// How many problems of each severity there are.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Errors.
    pub errors: usize,
    /// Warnings.
    pub warnings: usize,
    /// Notes.
    pub notes: usize,
}

impl Counts {
    /// Counts.
    pub fn of(problems: &[Problem]) -> Self {
        let of = |severity| problems.iter().filter(|problem| problem.severity == severity).count();
        Self { errors: of(Severity::Error), warnings: of(Severity::Warning), notes: of(Severity::Note) }
    }
}

/// A text of a problem, which may repeat values of the files, without keys that were put in the wrong place.
fn shown(text: &str) -> Cow<'_, str> {
    kr8tiv_compiler::without_keys(text).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// One line about everything: what is wrong, or what was found to be right.
pub fn summary(input: &Input, problems: &[Problem]) -> String {
    let Counts { errors, warnings, notes } = Counts::of(problems);
    let files = problems.iter().filter_map(|problem| problem.place.as_ref()).map(|place| place.source);
    let files = files.collect::<BTreeSet<_>>().len();
    let found: Vec<String> = [(errors, "error"), (warnings, "warning"), (notes, "note")]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| counted(count, what))
        .collect();
    let Objects { harnesses, tenants, agents, others, .. } = &input.objects;
    let kinds = [(harnesses.len(), "Harness"), (tenants.len(), "Tenant"), (agents.len(), "Agent")];
    let kinds: Vec<String> =
        kinds.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| counted(count, what)).collect();
    let passed_over = match others {
        0 => String::new(),
        _ => format!("; {} passed over", counted(*others, "other object")),
    };
    let read = format!("{} in {}{passed_over}", listed(&kinds), counted(input.sources.len(), "file"));
    match (errors, found.is_empty()) {
        (0, true) => format!("valid: {read}"),
        (0, false) => format!("valid ({}): {read}", listed(&found)),
        _ => format!("not valid: {} in {}", listed(&found), counted(files, "file")),
    }
}

fn counted(count: usize, what: &str) -> String {
    match (count, what) {
        (1, _) => format!("1 {what}"),
        (_, "Harness") => format!("{count} Harnesses"),
        _ => format!("{count} {what}s"),
    }
}

fn listed(parts: &[String]) -> String {
    if parts.is_empty() { "no object".into() } else { parts.join(", ") }
}

/// The line and column of a byte, both from one; columns count characters.
pub(crate) fn position(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    (line, column)
}
