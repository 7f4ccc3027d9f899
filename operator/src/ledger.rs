//! What each object looked like after our last write, so that somebody else's change to it is noticed. No I/O.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use kr8tiv_crds::meta;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::child::{Child, ChildId, ChildKind};
use crate::key::Key;

/// Of an object that somebody changes over and over again is told once in this time.
const TOLD_AGAIN: Duration = Duration::from_mins(1);

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

/// What somebody else has done to an object of ours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Meddling {
    /// It is there, and not as it was left.
    Changed,
    /// It is gone, or another one is in its place.
    Deleted,
}

/// What is known of one object.
#[derive(Debug)]
struct Left {
    mark: Mark,
    /// Whether a write of ours has begun since: what it has become may be our doing.
    in_doubt: bool,
    /// When it was last told that somebody else had a hand in it.
    told: Option<Instant>,
}

impl Left {
    fn with(mark: Mark) -> Self {
        Self { mark, in_doubt: false, told: None }
    }
}

/// What is known of the objects of one Tenant.
#[derive(Debug, Default)]
struct Page {
    uid: String,
    objects: HashMap<ChildId, Left>,
}

/// The marks of all tenants' objects. Empty after a start: what is there then with the right hash is trusted.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<HashMap<Key, Page>>);

impl Ledger {
    /// A pass plans these objects for the Tenant of this uid. What was known of others is forgotten: nobody misses them.
    pub fn open(&self, tenant: &Key, uid: &str, planned: &BTreeSet<ChildId>) {
        let mut ledger = self.0.lock();
        let page = ledger.entry(tenant.clone()).or_default();
        if page.uid != uid {
            *page = Page { uid: uid.to_owned(), objects: HashMap::new() };
        }
        page.objects.retain(|id, _| planned.contains(id));
    }

    /// Whether an object is as it was left. The first look at one settles how it was left.
    pub fn is_untouched(&self, tenant: &Key, id: &ChildId, child: &Child) -> bool {
        let mark = Mark::of(id.kind, child);
        let mut ledger = self.0.lock();
        let objects = &mut ledger.entry(tenant.clone()).or_default().objects;
        if let Some(left) = objects.get(id) {
            return left.mark == mark;
        }
        objects.insert(id.clone(), Left::with(mark));
        true
    }

    /// We are about to write an object, of which this hash is planned. Says what somebody else has done to it since it was
    /// left; `None` also when it can't be told from what we have done, or did not get an answer to.
    pub fn begin(&self, tenant: &Key, id: &ChildId, child: Option<&Child>, hash: &str) -> Option<Meddling> {
        let mut ledger = self.0.lock();
        let left = ledger.get_mut(tenant)?.objects.get_mut(id).filter(|left| !left.in_doubt)?;
        let meddling = match child {
            None => Some(Meddling::Deleted),
            Some(child) if child.uid != left.mark.uid => Some(Meddling::Deleted),
            // What is as planned by its own hash, and yet to be written, has been changed where the mark does not show it.
            Some(child) => {
                let has_hash = child.annotations.get(meta::APPLIED_HASH).is_some_and(|has| has == hash);
                (has_hash || Mark::of(id.kind, child) != left.mark).then_some(Meddling::Changed)
            }
        };
        left.in_doubt = meddling.is_none();
        meddling
    }

    /// We have written the object, and this is how it is now.
    pub fn settle(&self, tenant: &Key, id: ChildId, child: &Child) {
        let mark = Mark::of(id.kind, child);
        let mut ledger = self.0.lock();
        let objects = &mut ledger.entry(tenant.clone()).or_default().objects;
        let told = objects.get(&id).and_then(|left| left.told);
        objects.insert(id, Left { told, ..Left::with(mark) });
    }

    /// Whether to tell that an object has been put back; if so, it is taken for told.
    pub fn is_news(&self, tenant: &Key, id: &ChildId, now: Instant) -> bool {
        let mut ledger = self.0.lock();
        let Some(left) = ledger.get_mut(tenant).and_then(|page| page.objects.get_mut(id)) else {
            return true;
        };
        let is_news = left.told.is_none_or(|told| now.duration_since(told) >= TOLD_AGAIN);
        if is_news {
            left.told = Some(now);
        }
        is_news
    }

    /// The tenant is gone.
    pub fn forget(&self, tenant: &Key) {
        self.0.lock().remove(tenant);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: ChildKind = ChildKind::StatefulSet;

    fn child(generation: i64, hash: &str) -> Child {
        Child {
            uid: "u".into(),
            version: 1,
            generation: Some(generation),
            annotations: [(meta::APPLIED_HASH.to_owned(), hash.to_owned())].into(),
            labels: [].into(),
            owners: Vec::new(),
            deleting: false,
        }
    }

    struct Case {
        ledger: Ledger,
        tenant: Key,
        id: ChildId,
    }

    impl Case {
        /// A ledger that knows of one object, of the generation 1 and the hash `h`.
        fn new() -> Self {
            let tenant = Key { namespace: "n".into(), name: "acme".into() };
            let case = Self {
                ledger: Ledger::default(),
                tenant,
                id: ChildId { kind: KIND, name: "acme-gateway".into() },
            };
            case.open("t");
            case.settle(&child(1, "h"));
            case
        }

        fn open(&self, uid: &str) {
            self.ledger.open(&self.tenant, uid, &[self.id.clone()].into());
        }

        fn settle(&self, child: &Child) {
            self.ledger.settle(&self.tenant, self.id.clone(), child);
        }

        fn begin(&self, child: Option<&Child>, hash: &str) -> Option<Meddling> {
            self.ledger.begin(&self.tenant, &self.id, child, hash)
        }
    }

    #[test]
    fn what_somebody_else_does_is_told_from_what_is_planned() {
        assert_eq!(Case::new().begin(Some(&child(1, "h")), "other"), None, "our own change");
        assert_eq!(Case::new().begin(Some(&child(2, "h")), "h"), Some(Meddling::Changed));
        assert_eq!(Case::new().begin(Some(&child(2, "h")), "other"), Some(Meddling::Changed));
        assert_eq!(
            Case::new().begin(Some(&child(1, "h")), "h"),
            Some(Meddling::Changed),
            "a label, by its hash"
        );
        assert_eq!(Case::new().begin(None, "h"), Some(Meddling::Deleted));
        let unknown = Ledger::default();
        let Case { tenant, id, .. } = Case::new();
        assert_eq!(unknown.begin(&tenant, &id, None, "h"), None, "an operator that has just started");
    }

    /// It may have the hash of what it was made after, and other data.
    #[test]
    fn what_somebody_else_has_made_anew_is_not_trusted() {
        let case = Case::new();
        let other = Child { uid: "other".into(), ..child(1, "h") };
        assert!(!case.ledger.is_untouched(&case.tenant, &case.id, &other));
        assert_eq!(case.begin(Some(&other), "h"), Some(Meddling::Deleted));
        let unknown = Ledger::default();
        assert!(unknown.is_untouched(&case.tenant, &case.id, &other), "an operator that has just started");
    }

    #[test]
    fn what_came_of_a_write_without_an_answer_is_nobody_elses() {
        let case = Case::new();
        assert_eq!(case.begin(Some(&child(1, "h")), "h2"), None);
        let landed = child(2, "h2");
        assert!(
            !case.ledger.is_untouched(&case.tenant, &case.id, &landed),
            "it is written again, to be sure"
        );
        assert_eq!(case.begin(Some(&landed), "h2"), None);
        case.settle(&landed);
        assert_eq!(case.begin(Some(&child(3, "h2")), "h2"), Some(Meddling::Changed));
        assert_eq!(case.begin(Some(&child(3, "h2")), "h2"), Some(Meddling::Changed), "until it is put back");
    }

    #[test]
    fn what_is_planned_no_more_or_was_another_tenants_is_not_missed() {
        let case = Case::new();
        case.ledger.open(&case.tenant, "t", &BTreeSet::new());
        assert_eq!(case.begin(None, "h"), None);
        let case = Case::new();
        case.open("t2");
        assert_eq!(case.begin(None, "h"), None);
    }

    #[test]
    fn whoever_fights_over_an_object_is_told_of_now_and_then() {
        let case = Case::new();
        let start = Instant::now();
        let is_news = |after: Duration| case.ledger.is_news(&case.tenant, &case.id, start + after);
        assert!(is_news(Duration::ZERO));
        case.settle(&child(2, "h"));
        assert!(!is_news(TOLD_AGAIN / 2));
        assert!(is_news(TOLD_AGAIN));
    }
}
