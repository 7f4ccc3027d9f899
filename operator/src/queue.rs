//! Wakes controllers: the way from whatever changed to the passes it concerns. No I/O.

use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};

use crate::key::Key;

/// The sending ends of all controllers' queues. Sending never blocks and never fails visibly: a closed queue means
/// that the process is on its way out. The queues are unbounded, and emptied at once into a scheduler that keeps
/// each object only once, so that their length is bounded by the number of objects.
#[derive(Clone, Debug)]
pub struct Queues {
    tenants: UnboundedSender<Key>,
    agents: UnboundedSender<Key>,
    harnesses: UnboundedSender<Key>,
}

/// The receiving ends.
#[derive(Debug)]
pub struct Receivers {
    /// Tenants to look at.
    pub tenants: UnboundedReceiver<Key>,
    /// Agents to look at.
    pub agents: UnboundedReceiver<Key>,
    /// Harnesses to look at.
    pub harnesses: UnboundedReceiver<Key>,
}

impl Queues {
    /// Makes the queues.
    pub fn new() -> (Self, Receivers) {
        let (tenants, tenants_out) = unbounded();
        let (agents, agents_out) = unbounded();
        let (harnesses, harnesses_out) = unbounded();
        let receivers = Receivers { tenants: tenants_out, agents: agents_out, harnesses: harnesses_out };
        (Self { tenants, agents, harnesses }, receivers)
    }

    /// Asks for a pass over a Tenant.
    pub fn wake_tenant(&self, key: Key) {
        let _ = self.tenants.unbounded_send(key);
    }

    /// Asks for a pass over an Agent.
    pub fn wake_agent(&self, key: Key) {
        let _ = self.agents.unbounded_send(key);
    }

    /// Asks for a pass over a Harness.
    pub fn wake_harness(&self, key: Key) {
        let _ = self.harnesses.unbounded_send(key);
    }
}
