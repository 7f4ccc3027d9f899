//! What is found wrong, and where. Types shared by every command; no I/O.

use std::ops::Range;

use kr8tiv_compiler::Diagnostic;

/// Which file, and which bytes of it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Place {
    /// Position of the file in [`crate::input::Sources`].
    pub source: usize,
    /// First byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

impl Place {
    /// The bytes.
    pub fn range(&self) -> Range<usize> {
        self.start..self.end
    }
}

/// How grave a problem is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The API server would refuse it, or the operator would not compile it.
    Error,
    /// It is accepted, and probably not what was meant.
    Warning,
    /// What the files alone can't tell.
    Note,
}

/// The object that a problem is in.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, serde::Serialize)]
pub struct ObjectId {
    /// Kind of the object.
    pub kind: String,
    /// Namespace of the object.
    pub namespace: String,
    /// Name of the object; empty when it has none.
    pub name: String,
}

/// What the command line finds wrong itself, before or beside the compiler. A code never changes its meaning and is
/// never used again.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Code {
    /// The file is not YAML.
    NotYaml,
    /// A map has the same key twice.
    KeyTwice,
    /// A construct of YAML that is not taken here.
    YamlUnsupported,
    /// A file is larger, deeper or has more values than is read.
    FileTooLarge,
    /// An object's kind or version is none of this API's.
    KindUnknown,
    /// A field does not exist.
    FieldUnknown,
    /// A required field is not set.
    FieldMissing,
    /// A value is of another type than its field.
    TypeWrong,
    /// A value is not one that its field takes.
    ValueRefused,
    /// Two entries of a list are the same, or have the same key.
    EntryTwice,
    /// A rule of the resource type does not hold.
    RuleBroken,
    /// A rule of the resource type can't be judged without an API server.
    RuleNotJudged,
    /// An object is there twice.
    ObjectTwice,
    /// An Agent's Tenant is not among the files.
    TenantNotGiven,
    /// A Secret that is named is not among the files, which hold others.
    SecretNotGiven,
    /// A Secret among the files does not have the key that is named.
    SecretKeyMissing,
}

/// Every code, in the order of their numbers.
pub const CODES: [Code; 16] = [
    Code::NotYaml,
    Code::KeyTwice,
    Code::YamlUnsupported,
    Code::FileTooLarge,
    Code::KindUnknown,
    Code::FieldUnknown,
    Code::FieldMissing,
    Code::TypeWrong,
    Code::ValueRefused,
    Code::EntryTwice,
    Code::RuleBroken,
    Code::RuleNotJudged,
    Code::ObjectTwice,
    Code::TenantNotGiven,
    Code::SecretNotGiven,
    Code::SecretKeyMissing,
];

impl Code {
    /// The code as users see it. The compiler has the hundreds below 09.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotYaml => "K8T0901",
            Self::KeyTwice => "K8T0902",
            Self::YamlUnsupported => "K8T0903",
            Self::FileTooLarge => "K8T0904",
            Self::KindUnknown => "K8T0905",
            Self::FieldUnknown => "K8T0911",
            Self::FieldMissing => "K8T0912",
            Self::TypeWrong => "K8T0913",
            Self::ValueRefused => "K8T0914",
            Self::EntryTwice => "K8T0915",
            Self::RuleBroken => "K8T0916",
            Self::RuleNotJudged => "K8T0917",
            Self::ObjectTwice => "K8T0921",
            Self::TenantNotGiven => "K8T0922",
            Self::SecretNotGiven => "K8T0923",
            Self::SecretKeyMissing => "K8T0924",
        }
    }

    /// How grave it is.
    pub fn severity(self) -> Severity {
        match self {
            Self::RuleNotJudged | Self::TenantNotGiven | Self::SecretNotGiven => Severity::Note,
            Self::SecretKeyMissing => Severity::Warning,
            _ => Severity::Error,
        }
    }
}

/// One problem. Its texts never hold the value of a Secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// What kind of problem it is, such as `K8T0104`.
    pub code: &'static str,
    /// How grave it is.
    pub severity: Severity,
    /// The object it is in; `None` when the file could not be read that far.
    pub object: Option<ObjectId>,
    /// Path of the field, such as `spec.tools.allow[1]`; empty for the object or file as a whole.
    pub field: String,
    /// What is wrong, with the value that is.
    pub problem: String,
    /// What to do.
    pub fix: String,
    /// Where it is; `None` when it is in no file.
    pub place: Option<Place>,
    /// Another place that belongs to it, and what is there.
    pub related: Option<(Place, &'static str)>,
}

impl Problem {
    /// A problem that the command line found itself. The rest is filled in by whoever knows it.
    pub fn new(code: Code, problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            code: code.as_str(),
            severity: code.severity(),
            object: None,
            field: String::new(),
            problem: problem.into(),
            fix: fix.into(),
            place: None,
            related: None,
        }
    }

    /// What the compiler says of an object in a namespace.
    pub fn of_compiler(diagnostic: &Diagnostic, namespace: &str) -> Self {
        let Diagnostic { code, object, field, problem, fix } = diagnostic;
        Self {
            code: code.as_str(),
            severity: match code.severity() {
                kr8tiv_compiler::Severity::Error => Severity::Error,
                kr8tiv_compiler::Severity::Warning => Severity::Warning,
            },
            object: Some(ObjectId {
                kind: object.kind.into(),
                namespace: namespace.into(),
                name: object.name.clone(),
            }),
            field: field.clone(),
            problem: problem.clone(),
            fix: fix.clone(),
            place: None,
            related: None,
        }
    }

    /// The same, at a place.
    #[must_use]
    pub fn at(mut self, source: usize, range: Range<usize>) -> Self {
        self.place = Some(Place { source, start: range.start, end: range.end });
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_not_the_compilers() {
        let mut texts: Vec<_> = CODES.iter().map(|code| code.as_str()).collect();
        assert!(texts.is_sorted(), "in the order of their numbers");
        texts.dedup();
        assert_eq!(texts.len(), CODES.len());
        assert!(kr8tiv_compiler::CODES.iter().all(|code| !texts.contains(&code.as_str())));
    }
}
