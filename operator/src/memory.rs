//! Fetches context from Supermemory, beside the passes. I/O by its parts: Supermemory over HTTPS, Secrets by name.
//!
//! A pass says what is wanted for a tenant ([`wanted`]) and reads what is known ([`Facts`]); it never waits. A task for
//! each tenant fetches at the Harness's interval ([`schedule`]) and wakes the tenant only when the lines, or what is to be
//! said of them, change. What a failure leaves is the context that was fetched last.
//!
//! After a start, the lines are read back from the tenant's own ConfigMaps, so that agents do not lose them until the
//! first fetch. Lines that were found in another memory are not kept, at whatever time it changes ([`recall`]).

mod fetch;
mod keys;
mod recall;
pub mod report;
mod schedule;
mod verdict;
pub mod wanted;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kr8tiv_compiler::Bundle;
use kr8tiv_crds::TenantStatus;
use kr8tiv_crds::status::{ConditionType, Finding};
use kr8tiv_supermemory::Transport;
use kube::Client;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

use crate::delivery::{Delivery, Known};
use crate::health::Applied;
use crate::key::Key;
use crate::queue::Queues;
use recall::Origin;
use report::Report;
use wanted::Wanted;

pub use recall::Error;

/// Tenants for which is fetched at the same time. A round is a few requests of less than a second; the bound is for a
/// service that answers slowly.
const CONCURRENCY: usize = 32;

/// What is known of a tenant's memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// The lines that were fetched last, the best first.
    pub lines: Vec<String>,
    /// What is to be said of it; `None` before the first fetch of a new tenant.
    pub finding: Option<Finding>,
    /// When every query was last answered.
    pub last_success: Option<Time>,
    /// How long the slowest query took then.
    pub latency: Option<Duration>,
    /// The `customId` of the seed that was put in last.
    pub ingested: Option<String>,
}

impl Facts {
    /// What a status tells, for an operator that has just started.
    fn of_status(status: &TenantStatus) -> Self {
        let mut conditions = status.conditions.iter();
        let condition = conditions.find(|condition| condition.type_ == ConditionType::MemoryHealthy.as_str());
        let memory = status.memory.clone().unwrap_or_default();
        Self {
            lines: Vec::new(),
            finding: condition.and_then(Finding::kept),
            last_success: memory.last_success,
            latency: memory.latency.map(Duration::from),
            ingested: memory.ingested,
        }
    }

    /// Whether the meaning is the same. The order of lines is none: equally good ones may come in any.
    fn means(&self, other: &Self) -> bool {
        let sorted = |lines: &[String]| {
            let mut lines = lines.to_vec();
            lines.sort_unstable();
            lines
        };
        sorted(&self.lines) == sorted(&other.lines)
            && self.finding == other.finding
            && self.ingested == other.ingested
    }
}

/// What a pass has planned for a tenant's memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Planned {
    /// What is to be fetched; `None` when the Harness has no use for memory.
    pub wanted: Option<Wanted>,
    /// What is said of it.
    pub report: Report,
}

/// The memory of all tenants.
pub struct Memories {
    client: Client,
    transport: Arc<dyn Transport>,
    queues: Queues,
    slots: Arc<Semaphore>,
    known: Arc<Mutex<HashMap<Key, Entry>>>,
}

struct Entry {
    /// Uid of the Tenant.
    uid: String,
    /// Where the lines among the facts come from.
    origin: Origin,
    facts: Facts,
    following: Option<Following>,
    /// [`kr8tiv_compiler::Bundle::hash_without_context`] of what the gateway was last known to serve.
    served: Option<String>,
}

/// A task that fetches.
struct Following {
    wanted: Wanted,
    task: AbortHandle,
}

impl Drop for Following {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Memories {
    /// Makes one that knows nothing.
    pub fn new(client: Client, transport: Arc<dyn Transport>, queues: Queues) -> Self {
        let slots = Arc::new(Semaphore::new(CONCURRENCY));
        Self { client, transport, queues, slots, known: Arc::default() }
    }

    /// What is known of a tenant.
    pub fn facts(&self, tenant: &Key) -> Facts {
        self.known.lock().get(tenant).map(|entry| entry.facts.clone()).unwrap_or_default()
    }

    /// From now on this is fetched for a tenant that has been recalled. Nothing begins anew when it is fetched already.
    pub fn follow(&self, tenant: &Key, wanted: Wanted) {
        let mut known = self.known.lock();
        let Some(entry) = known.get_mut(tenant) else { return };
        let before = entry.following.take();
        // A task goes on for ever, over panics too: one that has ended all the same is replaced.
        let goes_on = |before: &Following| before.wanted == wanted && !before.task.is_finished();
        if before.as_ref().is_some_and(goes_on) {
            entry.following = before;
            return;
        }
        if !wanted.asks() {
            return;
        }
        // After a start all tenants come at once; what they had before they still have.
        let is_urgent = before.is_some() || entry.facts.last_success.is_none();
        drop(before);
        let fetcher = schedule::Fetcher {
            client: self.client.clone(),
            transport: Arc::clone(&self.transport),
            queues: self.queues.clone(),
            slots: Arc::clone(&self.slots),
            known: Arc::clone(&self.known),
            tenant: tenant.clone(),
            wanted: wanted.clone(),
        };
        let task = tokio::spawn(fetcher.run(is_urgent)).abort_handle();
        entry.following = Some(Following { wanted, task });
    }

    /// Whether a gateway serves all of a bundle but lines of context that are on their way: no reason to call it unready.
    /// `was_ready` says whether it was called ready, in the same generation.
    pub fn lacks_context(&self, tenant: &Key, bundle: &Bundle, was_ready: bool, gateway: &Known) -> bool {
        let mut known = self.known.lock();
        let Some(entry) = known.get_mut(tenant) else { return false };
        let is_served = entry.served.as_ref() == Some(&bundle.hash_without_context);
        match (&gateway.delivery, gateway.applied(&bundle.hash)) {
            (Delivery::Confirmed, Applied::Yes) => {
                entry.served = Some(bundle.hash_without_context.clone());
                false
            }
            (Delivery::Unknown | Delivery::Behind { trouble: None }, _)
            | (Delivery::Confirmed, Applied::NotYet) => was_ready && is_served,
            (Delivery::Behind { .. } | Delivery::Confirmed, _) => false,
        }
    }

    /// Nothing is fetched for a tenant that is stopped. What is known stays.
    pub fn pause(&self, tenant: &Key) {
        if let Some(entry) = self.known.lock().get_mut(tenant) {
            entry.following = None;
        }
    }

    /// The tenant is gone, or its Harness asks for nothing.
    pub fn forget(&self, tenant: &Key) {
        self.known.lock().remove(tenant);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_lines_means_nothing() {
        let facts = |lines: &[&str]| Facts {
            lines: lines.iter().map(|line| (*line).to_owned()).collect(),
            ..Facts::default()
        };
        assert!(facts(&["a", "b"]).means(&facts(&["b", "a"])));
        assert!(!facts(&["a", "b"]).means(&facts(&["a"])));
        let later = Facts { latency: Some(Duration::from_secs(1)), ..facts(&["a"]) };
        assert!(facts(&["a"]).means(&later), "nor does the time of a refresh");
    }
}
