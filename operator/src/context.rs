//! What all passes work with. No I/O of its own.

use std::sync::Arc;

use kr8tiv_crds::Tenant;
use kr8tiv_supermemory::Transport;
use kube::Client;

use crate::backoff::Failures;
use crate::compiler::Compiler;
use crate::delivery::{Ask, Deliveries};
use crate::events::Events;
use crate::key::Key;
use crate::ledger::Ledger;
use crate::memory::Memories;
use crate::metrics::Metrics;
use crate::queue::Queues;
use crate::results::{Results, TenantResult};
use crate::secrets::Secrets;
use crate::statuses::Statuses;
use crate::stores::Stores;

/// What all passes work with.
pub struct Context {
    /// The way to the API server.
    pub client: Client,
    /// What is known of the cluster.
    pub stores: Arc<Stores>,
    /// The way to other passes.
    pub queues: Queues,
    /// The compiler.
    pub compiler: Compiler,
    /// The writer of statuses.
    pub statuses: Statuses,
    /// The teller of what no status says.
    pub events: Events,
    /// The keeper of Secrets.
    pub secrets: Secrets,
    /// How our objects were left.
    pub ledger: Ledger,
    /// The follower of deliveries.
    pub deliveries: Deliveries,
    /// The fetcher of context.
    pub memories: Memories,
    /// What the last passes over the tenants came to.
    pub results: Results,
    /// Passes that failed in a row, by Tenant.
    pub failures: Failures,
    /// Passes in a row that could not see to the sandboxes' keys, by Tenant.
    pub key_failures: Failures,
    /// Passes in a row that could not delete a stuck Pod of a sandbox, by Tenant.
    pub stuck_failures: Failures,
    /// Where passes are counted.
    pub metrics: Metrics,
}

/// The ways to everything but the API server.
pub struct Ways {
    /// To the watchdogs.
    pub ask: Arc<dyn Ask>,
    /// To Supermemory.
    pub memory: Arc<dyn Transport>,
    /// To whoever reads events.
    pub events: Events,
    /// To whoever reads metrics.
    pub metrics: Metrics,
}

impl Context {
    /// Makes a context that remembers nothing.
    pub fn new(client: Client, stores: Arc<Stores>, queues: Queues, compiler: Compiler, ways: Ways) -> Self {
        let Ways { ask, memory, events, metrics } = ways;
        Self {
            statuses: Statuses::new(client.clone(), events.clone()),
            events,
            secrets: Secrets::new(client.clone()),
            deliveries: Deliveries::new(ask, queues.clone()),
            memories: Memories::new(client.clone(), memory, queues.clone()),
            ledger: Ledger::default(),
            results: Results::default(),
            failures: Failures::default(),
            key_failures: Failures::default(),
            stuck_failures: Failures::default(),
            client,
            stores,
            queues,
            compiler,
            metrics,
        }
    }

    /// Takes in what a pass over a tenant came to, and wakes the Agents and Harnesses that it concerns.
    pub fn record(&self, tenant: &Key, result: TenantResult) {
        let harness = result.harness.0.clone();
        let Some(before) = self.results.record(tenant, result) else { return };
        if let Some(before) = before.map(|before| before.harness.0.clone()).filter(|key| *key != harness) {
            self.queues.wake_harness(before);
        }
        self.queues.wake_harness(harness);
        self.wake_agents(tenant);
    }

    /// A Tenant is gone, or on its way out.
    pub fn forget_tenant(&self, tenant: &Key) {
        let Self {
            client: _,
            stores,
            queues,
            compiler: _,
            statuses,
            events: _,
            secrets,
            ledger,
            deliveries,
            memories,
            results,
            failures,
            key_failures,
            stuck_failures,
            metrics: _,
        } = self;
        statuses.forget::<Tenant>(tenant);
        for other in stores.tokens.release(tenant) {
            queues.wake_tenant(other);
        }
        secrets.forget(tenant);
        ledger.forget(tenant);
        deliveries.forget(tenant);
        memories.forget(tenant);
        failures.forget(tenant);
        key_failures.forget(tenant);
        stuck_failures.forget(tenant);
        if let Some(result) = results.get(tenant) {
            queues.wake_harness(result.harness.0.clone());
        }
        results.forget(tenant);
        self.wake_agents(tenant);
    }

    fn wake_agents(&self, tenant: &Key) {
        let agents = self.stores.index.agents_of_tenant(tenant);
        for agent in agents {
            self.queues.wake_agent(agent);
        }
    }
}
