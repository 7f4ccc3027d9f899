//! Problems as JSON, for other programs. The shape is part of the interface: fields are added, never changed.

use std::borrow::Cow;

use serde::Serialize;

use crate::input::Input;
use crate::problem::{ObjectId, Problem, Severity};
use crate::report::{position, shown};

/// The report.
#[derive(Debug, Serialize)]
struct Report<'a> {
    valid: bool,
    problems: Vec<Entry<'a>>,
}

#[derive(Debug, Serialize)]
struct Entry<'a> {
    code: &'a str,
    severity: Severity,
    object: Option<&'a ObjectId>,
    field: Cow<'a, str>,
    problem: Cow<'a, str>,
    fix: Cow<'a, str>,
    file: Option<&'a str>,
    line: Option<usize>,
    column: Option<usize>,
}

/// Writes the report, with a line feed at its end.
pub fn render(input: &Input, problems: &[Problem], valid: bool) -> String {
    let entry = |problem: &'_ Problem| {
        let source =
            problem.place.as_ref().and_then(|place| input.sources.get(place.source).map(|it| (it, place)));
        let at = source.map(|(source, place)| position(&source.text, place.start));
        (source.map(|(source, _)| source.name.clone()), at)
    };
    let places: Vec<_> = problems.iter().map(entry).collect();
    let entries = problems.iter().zip(&places).map(|(problem, (file, at))| Entry {
        code: problem.code,
        severity: problem.severity,
        object: problem.object.as_ref(),
        field: shown(&problem.field),
        problem: shown(&problem.problem),
        fix: shown(&problem.fix),
        file: file.as_deref(),
        line: at.map(|(line, _)| line),
        column: at.map(|(_, column)| column),
    });
    let report = Report { valid, problems: entries.collect() };
    // Texts and numbers in structures always have a form in JSON.
    serde_json::to_string_pretty(&report).unwrap_or_default() + "\n"
}
