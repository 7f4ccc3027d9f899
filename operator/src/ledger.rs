//! What each object looked like after our last write, so that somebody else's change to it is noticed. No I/O.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::child::{Child, ChildId, ChildKind};
use crate::key::Key;

/// The state of an object's content, as far as its metadata tell.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mark {
    uid: String,
    state: State,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum State {
    /// Counts changes of the spec only.
    Generation(i64),
    /// Counts every change.
    Version(u64),
    /// The content can't be changed by anybody, or others' changes are none of our business.
    Fixed,
}

impl Mark {
    /// The present state of an object.
    pub fn of(kind: ChildKind, child: &Child) -> Self {
        let state = match kind {
            // Their controllers write a status, and so another version, whenever something happens to a Pod.
            ChildKind::StatefulSet
            | ChildKind::PodDisruptionBudget
            | ChildKind::Ingress
            | ChildKind::NetworkPolicy => State::Generation(child.generation.unwrap_or_default()),
            // A claim's spec is immutable but for its size, and binding it changes it in places that aren't ours.
            ChildKind::PersistentVolumeClaim => State::Fixed,
            ChildKind::ServiceAccount | ChildKind::Service | ChildKind::ConfigMap => {
                State::Version(child.version)
            }
        };
        Self { uid: child.uid.clone(), state }
    }
}

/// The marks of all tenants' objects. Empty after a start: what is there then with the right hash is trusted.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<HashMap<Key, HashMap<ChildId, Mark>>>);

impl Ledger {
    /// Whether an object is as it was left. The first look at one settles how it was left.
    pub fn is_untouched(&self, tenant: &Key, id: &ChildId, child: &Child) -> bool {
        let mark = Mark::of(id.kind, child);
        let mut ledger = self.0.lock();
        match ledger.get(tenant).and_then(|marks| marks.get(id)) {
            Some(known) if known.uid == mark.uid => *known == mark,
            _ => {
                ledger.entry(tenant.clone()).or_default().insert(id.clone(), mark);
                true
            }
        }
    }

    /// We have written the object, and this is how it is now.
    pub fn settle(&self, tenant: &Key, id: ChildId, child: &Child) {
        let mark = Mark::of(id.kind, child);
        self.0.lock().entry(tenant.clone()).or_default().insert(id, mark);
    }

    /// We have deleted the object.
    pub fn strike(&self, tenant: &Key, id: &ChildId) {
        if let Some(marks) = self.0.lock().get_mut(tenant) {
            marks.remove(id);
        }
    }

    /// The tenant is gone.
    pub fn forget(&self, tenant: &Key) {
        self.0.lock().remove(tenant);
    }
}
