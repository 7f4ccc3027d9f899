//! The work that is measured: tenants that share a harness, and what the operator does with them. `bench/run compiler`
//! runs it. Pure, but for the manifest that [`Fleet::read`] reads.

mod fleet;
mod work;

use std::path::PathBuf;

use kr8tiv_compiler::Diagnostics;

pub use fleet::Fleet;
pub use work::{Work, Workload};

/// Why nothing can be measured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The manifest is not there or not readable.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// The manifest.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The manifest is not YAML.
    #[error("the manifest is not YAML: {0}")]
    Yaml(#[from] serde_saphyr::Error),
    /// An object of the manifest is not what its kind says, or figures can't be written.
    #[error("JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The manifest has no object of this kind.
    #[error("the manifest has no {0}")]
    Missing(&'static str),
    /// A tenant does not compile.
    #[error("a tenant does not compile:\n{0}")]
    Diagnostics(Diagnostics),
    /// The edit of the harness changes nothing that could be compared.
    #[error("the edit of the harness does not change the configuration")]
    SameBundle,
}
