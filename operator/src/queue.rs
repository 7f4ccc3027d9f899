//! Wakes controllers: the way from whatever changed to the passes it concerns. No I/O.

use futures::StreamExt;
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};

use crate::key::Key;

/// The sending ends of all controllers' queues. Sending never blocks and never fails visibly: a closed queue means
/// that the process is on its way out. The queues are unbounded, and always emptied at once: into a scheduler that keeps
/// each object only once, so that their length is bounded by the number of objects, or by [`discard`].
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

/// Empties the queue of a controller that does not run yet, for ever: before it is used it would only grow, with each
/// change in the cluster.
pub async fn discard(queue: &mut UnboundedReceiver<Key>) {
    while queue.next().await.is_some() {}
    std::future::pending::<()>().await;
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn what_comes_while_nobody_works_does_not_pile_up() {
        let (queues, mut receivers) = Queues::new();
        let key = |name: &str| Key { namespace: "n".into(), name: name.into() };
        for name in ["a", "b", "a"] {
            queues.wake_tenant(key(name));
        }
        assert_eq!(discard(&mut receivers.tenants).now_or_never(), None);
        queues.wake_tenant(key("c"));
        assert_eq!(receivers.tenants.next().now_or_never(), Some(Some(key("c"))), "only what came later");
    }
}
