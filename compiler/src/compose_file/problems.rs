//! What of a Pod can't be written as a Compose file, collected. Pure.

use std::fmt;

/// Why there is no Compose file.
#[derive(Debug, thiserror::Error)]
pub enum ComposeFileError {
    /// The Pod has something that Compose has not, or that this release does not write.
    #[error("{0}")]
    Unsupported(Unsupported),
    /// The file can't be written as YAML.
    #[error("the Compose file can't be written as YAML: {0}")]
    Yaml(#[from] serde_saphyr::ser::Error),
}

/// Everything that stands in the way.
#[derive(Debug)]
pub struct Unsupported {
    /// The tenant's StatefulSet, `namespace/name`.
    pub object: String,
    /// The fields, in the order in which they were met.
    pub problems: Vec<Problem>,
}

/// One field that can't be written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// Its path in the StatefulSet.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { object, problems } = self;
        write!(f, "StatefulSet {object} can't be run by Docker Compose:")?;
        for Problem { field, problem } in problems {
            write!(f, "\n  {field}: {problem}")?;
        }
        f.write_str("\nchange what the Tenant says about it, or run the tenant in a cluster")
    }
}

/// The problems met so far.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<Problem>);

impl Problems {
    pub(super) fn add(&mut self, field: impl Into<String>, problem: impl Into<String>) {
        self.0.push(Problem { field: field.into(), problem: problem.into() });
    }

    /// The value if nothing is wrong.
    pub(super) fn finish<T>(self, object: String, value: T) -> Result<T, ComposeFileError> {
        if self.0.is_empty() {
            Ok(value)
        } else {
            Err(ComposeFileError::Unsupported(Unsupported { object, problems: self.0 }))
        }
    }
}
