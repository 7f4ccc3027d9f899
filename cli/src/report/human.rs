//! Problems for people: the line of the file with the place underlined, what is wrong, and what to do.

use std::ops::Range;

use annotate_snippets::{
    Annotation, AnnotationKind, Element, Level, Origin, Renderer, Snippet, normalize_untrusted_str,
};

use crate::input::{Input, Source};
use crate::problem::{Place, Problem, Severity};
use crate::report::{position, shown};

/// Writes all problems, each with an empty line after it; `styled` with colours for a terminal.
pub fn render(input: &Input, problems: &[Problem], styled: bool) -> String {
    let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
    problems.iter().map(|problem| one(input, problem, &renderer) + "\n\n").collect()
}

fn one(input: &Input, problem: &Problem, renderer: &Renderer) -> String {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    // The texts repeat values of the files, which must not steer a terminal.
    let subject = normalize_untrusted_str(&subject(problem));
    let mut elements = place(input, problem, &subject);
    elements.push(Level::HELP.message(normalize_untrusted_str(&shown(&problem.fix))).into());
    let title = level.primary_title(normalize_untrusted_str(&shown(&problem.problem))).id(problem.code);
    renderer.render(&[title.elements(elements)])
}

/// The object and the field, such as `Harness desk, spec.tools.allow[1]`.
fn subject(problem: &Problem) -> String {
    let object = problem.object.as_ref().map(|id| format!("{} {}", id.kind, id.name).trim_end().to_owned());
    let parts: Vec<String> = object
        .into_iter()
        .chain([shown(&problem.field).into_owned()])
        .filter(|part| !part.is_empty())
        .collect();
    parts.join(", ")
}

fn place<'a>(input: &'a Input, problem: &Problem, subject: &str) -> Vec<Element<'a>> {
    let note = |text: String| Element::from(Level::NOTE.message(text));
    let about = || (!subject.is_empty()).then(|| note(subject.to_owned()));
    let Some((place, source)) =
        problem.place.as_ref().and_then(|place| Some((place, input.sources.get(place.source)?)))
    else {
        return about().into_iter().collect();
    };
    let lines = lines(&source.text, &place.range());
    if is_hidden(source, &lines) {
        let (line, column) = position(&source.text, place.start);
        let origin = Origin::path(source.name.as_str()).line(line).char_column(column);
        let reason = note("the line is not shown: it may hold a secret".into());
        return [Some(origin.into()), about(), Some(reason)].into_iter().flatten().collect();
    }
    let main = (AnnotationKind::Primary, place.range(), subject);
    let Some((other, label)) = &problem.related else {
        return vec![snippet(source, lines, &[main]).into()];
    };
    // Lines between two places may be shown as well.
    let both = self::lines(&source.text, &(place.start.min(other.start)..place.end.max(other.end)));
    if other.source == place.source && !is_hidden(source, &both) {
        return vec![snippet(source, both, &[main, (AnnotationKind::Context, other.range(), label)]).into()];
    }
    vec![snippet(source, lines, &[main]).into(), note(format!("{label} is at {}", at(input, other)))]
}

fn at(input: &Input, place: &Place) -> String {
    input.sources.get(place.source).map_or_else(String::new, |source| {
        let (line, column) = position(&source.text, place.start);
        format!("{}:{line}:{column}", normalize_untrusted_str(&source.name))
    })
}

/// The whole lines that hold these bytes.
fn lines(text: &str, range: &Range<usize>) -> Range<usize> {
    let start = text.get(..range.start).and_then(|before| before.rfind('\n')).map_or(0, |feed| feed + 1);
    let end = text.get(range.end..).and_then(|after| after.find('\n'));
    start..end.map_or(text.len(), |feed| range.end + feed)
}

fn is_hidden(source: &Source, lines: &Range<usize>) -> bool {
    source.hidden.iter().any(|hidden| hidden.start < lines.end && lines.start < hidden.end)
}

/// A part of a file, so that a large one is not gone through for every problem.
fn snippet<'a>(
    source: &'a Source,
    lines: Range<usize>,
    marks: &[(AnnotationKind, Range<usize>, &str)],
) -> Snippet<'a, Annotation<'a>> {
    let (first, _) = position(&source.text, lines.start);
    let annotations = marks.iter().map(|(kind, range, label)| {
        let span = range.start.saturating_sub(lines.start)..range.end.saturating_sub(lines.start);
        let label = (!label.is_empty()).then(|| (*label).to_owned());
        kind.span(span).label(label)
    });
    let annotations: Vec<_> = annotations.collect();
    let text = source.text.get(lines).unwrap_or_default();
    Snippet::source(text).line_start(first).path(source.name.as_str()).annotations(annotations)
}
