//! Problems with their place and fix, and the list that a compilation gives. Pure.

use std::fmt;

use super::{Code, Severity};
use crate::secret_marks;

/// The object that a problem is in.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ObjectName {
    /// Kind of the object.
    pub kind: &'static str,
    /// Name of the object; the namespace is the tenant's.
    pub name: String,
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// One problem. Its texts never hold the value of a Secret: the compiler sees references only.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Diagnostic {
    /// What kind of problem it is.
    pub code: Code,
    /// The object it is in.
    pub object: ObjectName,
    /// Path of the field, such as `spec.channels.telegram`.
    pub field: String,
    /// What is wrong, with the value that is.
    pub problem: String,
    /// What to do.
    pub fix: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, object, field, problem, fix } = self;
        write!(f, "{object}, {field}: {problem}; {fix} ({})", code.as_str())
    }
}

/// All problems of a compilation, each once, in a fixed order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// Adds a problem. A key that somebody has put in the wrong place is not repeated: problems go into statuses and logs.
    pub fn push(&mut self, mut diagnostic: Diagnostic) {
        let Diagnostic { code: _, object: _, field, problem, fix } = &mut diagnostic;
        for text in [field, problem, fix] {
            if let Some(clean) = secret_marks::without_keys(text) {
                *text = clean;
            }
        }
        if let Err(place) = self.0.binary_search(&diagnostic) {
            self.0.insert(place, diagnostic);
        }
    }

    /// Whether a problem keeps the tenant from being compiled.
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|diagnostic| diagnostic.code.severity() == Severity::Error)
    }

    /// The problems, by code, object and field.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.0.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, diagnostic) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{diagnostic}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_problem_repeats_a_key() {
        let mut diagnostics = Diagnostics::default();
        let text = |what: &str| format!("{what} sk-ant-api03-0123456789abcdefghij;");
        diagnostics.push(Diagnostic {
            code: Code::PodTemplateInvalid,
            object: ObjectName { kind: "Tenant", name: "acme".into() },
            field: text("labels"),
            problem: text("it is not as in a Pod:"),
            fix: "write it as in a Pod".into(),
        });
        let told = diagnostics.to_string();
        assert!(
            told.starts_with("Tenant acme, labels [redacted];: it is not as in a Pod: [redacted];; write"),
            "{told}"
        );
    }
}
