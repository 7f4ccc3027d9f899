//! The compiler as the passes see it. No I/O.

use std::sync::Arc;

use kr8tiv_compiler::{Bundle, Diagnostics, Inputs, Platform};
use kr8tiv_crds::HarnessSpec;

/// Compiles one tenant.
pub type Compile = dyn Fn(&Inputs<'_>) -> Result<Bundle, Diagnostics> + Send + Sync;

/// The compiler's functions, with what is the same for all tenants. Functions rather than calls, so that tests can
/// put in a compiler that fails in ways in which the real one should not.
#[derive(Clone)]
pub struct Compiler {
    /// What the operator was installed with.
    pub platform: Platform,
    /// Compiles one tenant.
    pub compile: Arc<Compile>,
    /// The revision of a Harness, as it is in the bundles made from it.
    pub harness_revision: Arc<dyn Fn(&HarnessSpec) -> String + Send + Sync>,
}

impl Compiler {
    /// The real one.
    pub fn new(platform: Platform) -> Self {
        Self {
            platform,
            compile: Arc::new(kr8tiv_compiler::compile),
            harness_revision: Arc::new(kr8tiv_compiler::harness_revision),
        }
    }
}
