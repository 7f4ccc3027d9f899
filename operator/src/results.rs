//! What the last pass over each tenant came to, for the Agents and the Harness that share its fate. No I/O.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use kr8tiv_compiler::Diagnostic;
use kr8tiv_crds::status::Reason;
use parking_lot::RwLock;

use crate::index::Edition;
use crate::key::Key;

/// Where a tenant stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Progress {
    /// The gateway serves the current generation.
    Done,
    /// It is on the way, or waits for an object that is missing.
    Reconciling,
    /// Somebody must change something.
    Stalled,
    /// It is stopped on purpose.
    Suspended,
}

/// What the last pass over a tenant came to.
#[derive(Clone, Debug, PartialEq)]
pub struct TenantResult {
    /// The Tenant itself.
    pub tenant: Edition,
    /// The Harness that the Tenant refers to, and the edition that the pass found.
    pub harness: (Key, Option<Edition>),
    /// The Agents that the pass found, by name.
    pub agents: BTreeMap<String, Edition>,
    /// Whether it compiled.
    pub compiled: Result<Compiled, Failure>,
    /// Where the tenant stands.
    pub progress: Progress,
    /// Why it stands there.
    pub reason: Reason,
}

/// A compilation that worked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Compiled {
    /// The agents' ids in OpenClaw.
    pub agent_ids: BTreeSet<String>,
}

/// A compilation that didn't.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    /// The errors; empty when a referred object could not be read.
    pub diagnostics: Vec<Diagnostic>,
}

/// The results of all tenants.
#[derive(Debug, Default)]
pub struct Results(RwLock<HashMap<Key, Arc<TenantResult>>>);

impl Results {
    /// Takes in a result; gives the one before when it differs in anything.
    pub fn record(&self, tenant: &Key, result: TenantResult) -> Option<Option<Arc<TenantResult>>> {
        let mut results = self.0.write();
        if results.get(tenant).is_some_and(|old| **old == result) {
            return None;
        }
        Some(results.insert(tenant.clone(), Arc::new(result)))
    }

    /// The last result of a tenant.
    pub fn get(&self, tenant: &Key) -> Option<Arc<TenantResult>> {
        self.0.read().get(tenant).cloned()
    }

    /// The tenant is gone.
    pub fn forget(&self, tenant: &Key) {
        self.0.write().remove(tenant);
    }
}
