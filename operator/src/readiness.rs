//! Which watches are complete. No I/O.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

/// What each watch still waits for.
#[derive(Clone, Debug)]
pub struct Readiness {
    watches: Arc<Mutex<Vec<(&'static str, State)>>>,
    ready: Arc<watch::Sender<bool>>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum State {
    Pending(String),
    Synced,
}

/// The part of [`Readiness`] that one watch reports to.
#[derive(Clone, Debug)]
pub struct Gate {
    readiness: Readiness,
    kind: &'static str,
}

impl Default for Readiness {
    fn default() -> Self {
        Self { watches: Arc::default(), ready: Arc::new(watch::Sender::new(false)) }
    }
}

impl Readiness {
    /// Adds a watch, which is pending at first.
    pub fn gate(&self, kind: &'static str) -> Gate {
        self.watches.lock().push((kind, State::Pending("not listed yet".into())));
        Gate { readiness: self.clone(), kind }
    }

    /// What is missing, one line for each watch; empty when nothing is.
    pub fn pending(&self) -> Vec<String> {
        let watches = self.watches.lock();
        let lines = watches.iter().filter_map(|(kind, state)| match state {
            State::Pending(why) => Some(format!("{kind}: {why}")),
            State::Synced => None,
        });
        lines.collect()
    }

    /// Returns once every watch has been complete once.
    pub async fn complete(&self) {
        let mut ready = self.ready.subscribe();
        // The sender lives as long as `self`.
        let _ = ready.wait_for(|ready| *ready).await;
    }
}

impl Gate {
    /// The kind that is watched.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Everything that exists has been seen. A watch that breaks later resumes by itself: what is known stays good.
    pub fn synced(&self) {
        self.set(|_| State::Synced);
        if self.readiness.pending().is_empty() {
            self.readiness.ready.send_replace(true);
        }
    }

    /// The watch could not be established. Says whether that is news.
    pub fn failed(&self, why: impl fmt::Display) -> bool {
        let why = why.to_string();
        self.set(|state| match state {
            State::Synced => State::Synced,
            State::Pending(_) => State::Pending(why),
        })
    }

    fn set(&self, next: impl FnOnce(&State) -> State) -> bool {
        let mut watches = self.readiness.watches.lock();
        let Some((_, state)) = watches.iter_mut().find(|(kind, _)| *kind == self.kind) else { return false };
        let new = next(state);
        let changed = new != *state;
        *state = new;
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_is_missing_until_all_is_there() {
        let readiness = Readiness::default();
        let (tenants, pods) = (readiness.gate("Tenant"), readiness.gate("Pod"));
        assert!(tenants.failed("its definition is not installed"));
        assert!(!tenants.failed("its definition is not installed"), "no news");
        pods.synced();
        assert_eq!(readiness.pending(), ["Tenant: its definition is not installed"]);
        tenants.synced();
        tenants.failed("connection reset");
        assert!(readiness.pending().is_empty());
    }
}
