//! `import`: files of the replaced system, in either of its two formats, become a Harness and a Tenant each. Pure.
//!
//! Values flow one way: `shape` tells the format, `variant_a` and `variant_b` read with `reader` and refuse what the
//! old tools refused, the converting stages (`texts`, `tools`, `models`, `channels`, `memory`, `operation`,
//! `coordination`) write into a `draft`, and everything that was in a file is in the [`report`] with what became of it.

mod channels;
mod coordination;
mod draft;
pub mod legacy;
mod limits;
mod memory;
mod models;
mod names;
mod operation;
mod overflow;
mod reader;
pub mod report;
mod shape;
mod texts;
mod tools;
mod variant_a;
mod variant_b;
mod window;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use kr8tiv_compiler::manifests::{self, ManifestError};
use serde_json::Value;

pub use models::{ALIASES, BACKEND_MODEL, parse as model};
pub use tools::RENAMED as RENAMED_TOOLS;

use crate::Exit;
use crate::import::draft::Draft;
use crate::import::legacy::{Format, Legacy};
use crate::import::names::Names;
use crate::import::reader::Reader;
use crate::import::report::{FileReport, Report};
use crate::input::node::{Node, Value as NodeValue};
use crate::input::{Input, Source, Sources, yaml};
use crate::problem::{Code, Place, Problem};

/// Every field that a format has, and every section, with `[]` for any entry of a list.
pub fn fields(format: Format) -> BTreeSet<String> {
    // What is asked for does not depend on what is there, but for the fields of a list's entries.
    const SMALLEST: &str = "skills: {packs: [{}]}";
    let reading = yaml::read(SMALLEST);
    let mut reader = Reader::new(0, SMALLEST);
    for document in &reading.documents {
        match format {
            Format::A => variant_a::read(document, &mut reader),
            Format::B => variant_b::read(document, &mut reader),
        };
    }
    reader.into_asked()
}

/// What the files don't say.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The model that answers, `provider/model`; it takes precedence over the file's. See [`model`].
    pub model: Option<String>,
    /// The namespace that is written into the objects; none when not set.
    pub namespace: Option<String>,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Imported {
    /// A Harness and a Tenant for each file, in the order of the files. Empty when there are problems.
    pub objects: Vec<Value>,
    /// What became of each value.
    pub report: Report,
    /// The files, and what makes them unusable; without objects.
    pub input: Input,
}

impl Imported {
    /// The objects as YAML documents, for `kubectl apply -f -`.
    pub fn manifests(&self) -> Result<String, ManifestError> {
        manifests::yaml(&self.objects)
    }

    /// Whether everything could be carried over, something not, or nothing.
    pub fn exit(&self) -> Exit {
        if !self.input.problems.is_empty() {
            Exit::Trouble
        } else if self.report.has_losses() {
            Exit::Found
        } else {
            Exit::Success
        }
    }
}

/// Converts files, each with one document.
pub fn import(sources: Sources, options: &Options) -> Imported {
    let mut imported = Imported { input: Input { sources, ..Input::default() }, ..Imported::default() };
    let mut seen = BTreeMap::new();
    for position in 0..imported.input.sources.len() {
        let source = std::mem::take(&mut imported.input.sources[position]);
        // What a file holds that can't be read is not known: none of it is shown.
        let mut hidden = file(position, &source, options, &mut seen, &mut imported)
            .unwrap_or_else(|| std::iter::once(0..source.text.len()).collect());
        hidden.extend(kr8tiv_compiler::keys_in(&source.text));
        imported.input.sources[position] = Source { hidden, ..source };
    }
    imported.input.problems.sort_by(|a, b| a.place.cmp(&b.place));
    if !imported.input.problems.is_empty() {
        imported.objects.clear();
        imported.report.files.clear();
    }
    imported
}

/// Converts a file. Gives the bytes that must not be shown; `None` when it can't be read.
fn file(
    position: usize,
    source: &Source,
    options: &Options,
    seen: &mut BTreeMap<String, Place>,
    imported: &mut Imported,
) -> Option<Vec<Range<usize>>> {
    let problems = &mut imported.input.problems;
    let yaml::Reading { documents, faults, .. } = yaml::read_as(&source.text, yaml::Dialect::Core);
    if !faults.is_empty() {
        problems.extend(faults.into_iter().map(|fault| of_fault(fault, position)));
        return None;
    }
    let documents: Vec<_> = documents.iter().filter(|document| !document.is_null()).collect();
    let (format, node) = match documents.as_slice() {
        [node] => (shape::of(node, position, &source.text), *node),
        [] => (Err(shape::nothing(position)), &Node { value: NodeValue::Map(Vec::new()), span: 0..0 }),
        [_, second, ..] => (Err(shape::several(position, second)), *second),
    };
    let mut reader = Reader::new(position, &source.text);
    let legacy = match format {
        Ok(Format::A) => variant_a::read(node, &mut reader),
        Ok(Format::B) => variant_b::read(node, &mut reader),
        Err(problem) => {
            problems.push(*problem);
            return None;
        }
    };
    reader.find_unknown(node);
    problems.append(&mut reader.problems);
    let hidden = std::mem::take(&mut reader.hidden);
    let Some(legacy) = legacy else { return Some(hidden) };
    let names = Names::of(&legacy);
    let place = Place { source: position, start: legacy.id.span.start, end: legacy.id.span.end };
    if let Some(first) = seen.get(&names.tenant) {
        problems.push(twice(&legacy, &names, place, first.clone()));
        return Some(hidden);
    }
    seen.insert(names.tenant.clone(), place);
    take(&source.name, &legacy, &names, reader, options, imported);
    Some(hidden)
}

fn take(
    file: &str,
    legacy: &Legacy,
    names: &Names,
    reader: Reader<'_>,
    options: &Options,
    imported: &mut Imported,
) {
    let mut draft = Draft::new(names.clone(), options.namespace.as_deref(), reader.ledger);
    names::convert(&legacy.id, names, &mut draft);
    texts::convert(legacy, &mut draft);
    channels::convert(legacy, &mut draft);
    tools::convert(legacy, &mut draft);
    models::convert(legacy, options.model.as_deref(), &mut draft);
    memory::convert(legacy, &mut draft);
    operation::convert(legacy, &mut draft);
    coordination::convert(legacy, &mut draft);
    let (harness, tenant, secret, entries) = draft.finish();
    imported.objects.extend([harness, tenant]);
    imported.report.files.push(FileReport {
        file: file.into(),
        format: legacy.format,
        harness: names.harness.clone(),
        tenant: names.tenant.clone(),
        entries,
        secret,
    });
}

fn of_fault(fault: yaml::Fault, source: usize) -> Problem {
    let yaml::Fault { code, span, problem, fix, related } = fault;
    let related =
        related.map(|range| (Place { source, start: range.start, end: range.end }, "the other one"));
    Problem { related, ..Problem::new(code, problem, fix).at(source, span) }
}

fn twice(legacy: &Legacy, names: &Names, place: Place, first: Place) -> Problem {
    let problem = format!("another file becomes the Tenant {} as well", names.tenant);
    let problem = Problem::new(Code::ObjectTwice, problem, "import one of them, or change its name before");
    let related = Some((first, "the other one"));
    Problem { field: legacy.id.path.clone(), place: Some(place), related, ..problem }
}
