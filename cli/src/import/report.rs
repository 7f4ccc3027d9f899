//! What became of each value of a file. Types and counting; pure.

mod human;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde::Serialize;

use crate::import::legacy::{Format, Given};
use crate::report::position;

/// Most characters of a value in the report. The file has all of it.
const SHOWN: usize = 100;

/// What became of a value.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// It means the same in the new place.
    Carried,
    /// It is in the new place in another form.
    Changed,
    /// The file does not have it, and the resource type needs it.
    Added,
    /// It has no place, or not all of it has.
    NotCarried,
}

/// The kinds that are written.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Kind {
    /// A Harness.
    Harness,
    /// A Tenant.
    Tenant,
}

/// A field of a resource.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Target {
    /// The kind of the resource.
    pub kind: Kind,
    /// Path of the field, such as `spec.tools.allow`.
    pub field: &'static str,
}

impl Target {
    /// A field of the Harness.
    pub const fn harness(field: &'static str) -> Self {
        Self { kind: Kind::Harness, field }
    }

    /// A field of the Tenant.
    pub const fn tenant(field: &'static str) -> Self {
        Self { kind: Kind::Tenant, field }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.kind, self.field)
    }
}

/// A field of the file.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Origin {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Path of the field, such as `tools.allowlist[1]`.
    pub field: String,
}

/// What became of one value. Texts never hold a webhook, a key, or the value of a field that is not known.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Entry {
    /// What became of it.
    pub outcome: Outcome,
    /// The field of the file; none for what was added.
    pub from: Option<Origin>,
    /// The field that it is in now.
    pub to: Option<Target>,
    /// The value in the file, where it differs and may be shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// The value that is written, where it differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
    /// Why; empty for what is carried over as it is.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub reason: String,
}

/// A Secret that has to be created before the manifests are applied.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct SecretToCreate {
    /// Its name.
    pub name: String,
    /// What goes into each key.
    pub keys: BTreeMap<String, SecretValue>,
    /// A command that creates it from environment variables, and fails when one of them is not set.
    pub command: String,
}

/// What goes into a key of a Secret.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct SecretValue {
    /// What it is, in words.
    pub content: String,
    /// The environment variable that the command takes it from.
    pub variable: String,
}

/// What became of one file.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct FileReport {
    /// The file.
    pub file: String,
    /// Its format.
    pub format: Format,
    /// Name of the Harness.
    pub harness: String,
    /// Name of the Tenant.
    pub tenant: String,
    /// What became of each value: what was not carried over last.
    pub entries: Vec<Entry>,
    /// The Secret that the Tenant names.
    pub secret: SecretToCreate,
}

/// What became of everything.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Report {
    /// A report for each file.
    pub files: Vec<FileReport>,
}

impl Report {
    /// Whether something could not be carried over.
    pub fn has_losses(&self) -> bool {
        self.files.iter().any(|file| file.count(Outcome::NotCarried) > 0)
    }

    /// The report as JSON, with a line feed at its end. Fields are added to it, never changed.
    pub fn json(&self) -> String {
        // Texts and numbers in structures always have a form in JSON.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// The report for people.
    pub fn human(&self) -> String {
        human::render(self)
    }
}

impl FileReport {
    /// How many values have an outcome.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.entries.iter().filter(|entry| entry.outcome == outcome).count()
    }
}

/// Takes down what becomes of the values of a file.
#[derive(Clone, Debug)]
pub struct Ledger<'a> {
    text: &'a str,
    entries: Vec<Entry>,
}

impl<'a> Ledger<'a> {
    /// For a file with this text.
    pub fn new(text: &'a str) -> Self {
        Self { text, entries: Vec::new() }
    }

    /// Takes down an entry.
    pub fn record(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// Where a field is written.
    pub fn origin(&self, path: &str, span: &Range<usize>) -> Origin {
        let (line, column) = position(self.text, span.start);
        Origin { line, column, field: path.into() }
    }

    /// A value that has no place.
    pub fn lose<T>(&mut self, given: &Given<T>, reason: impl Into<String>) {
        let from = Some(self.origin(&given.path, &given.span));
        let reason = reason.into();
        self.record(Entry { outcome: Outcome::NotCarried, from, to: None, old: None, new: None, reason });
    }

    /// A value that holds without being written down.
    pub fn settle<T>(&mut self, given: &Given<T>, reason: impl Into<String>) {
        let from = Some(self.origin(&given.path, &given.span));
        let reason = reason.into();
        self.record(Entry { outcome: Outcome::Carried, from, to: None, old: None, new: None, reason });
    }

    /// The entries by outcome and place.
    pub fn into_entries(mut self) -> Vec<Entry> {
        self.entries.sort_by(|a, b| (a.outcome, &a.from, a.to).cmp(&(b.outcome, &b.from, b.to)));
        self.entries
    }
}

/// A value as the report shows it: one line, and not too long.
pub fn shown(value: &str) -> String {
    let mut shown: String = value.chars().take(SHOWN).collect();
    if shown.len() < value.len() {
        shown.push('…');
    }
    shown
}
