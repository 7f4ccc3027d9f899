//! Asks the watchdogs whether the configuration has arrived, and how the gateways are. Outside the passes; HTTP to the
//! gateways' Pods.
//!
//! A watchdog is asked often while something is on its way, and now and then when all is settled. Passes read the
//! answers from memory, and are woken when the meaning of an answer changes: a tenant at rest costs the API server
//! nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};

use crate::backoff::jittered;
use crate::health::{Applied, Health, State};
use crate::key::Key;
use crate::queue::Queues;
use crate::secrets::StatusToken;

/// Watchdogs asked at the same time. An answer takes milliseconds; the bound is for the many that don't answer.
const CONCURRENCY: usize = 64;

/// A delivery takes about half a second after the Pod is patched: the first questions follow each other closely.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Pause between two questions to a watchdog that has nothing new: how late at most a fault is seen here that the
/// watchdog has seen. A thousand tenants are 67 small requests a second.
const SETTLED_PAUSE: Duration = Duration::from_secs(15);

/// After this many questions in a row without an answer, some fifteen seconds, that is trouble to be shown.
const UNANSWERED: u32 = 6;

/// kubelet refreshes a volume within a second of a change to the Pod; after this it has missed it.
const FIRST_NUDGE: Duration = Duration::from_secs(3);
const LONGEST_NUDGE: Duration = Duration::from_mins(1);

/// What a watchdog says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Answer {
    /// Hash of the bundle that is completely on disk.
    pub delivered: Option<String>,
    /// Why a newer one is not.
    pub trouble: Option<String>,
    /// How the gateway is; `None` when it does not say.
    pub health: Option<Health>,
}

/// Why a watchdog could not be asked.
#[derive(Debug, thiserror::Error)]
#[error("the watchdog does not answer: {0}")]
pub struct Unreachable(pub String);

/// Asks one watchdog. A trait, so that tests answer in its place.
pub trait Ask: Send + Sync {
    /// Asks the watchdog in the Pod with this address.
    fn ask<'a>(
        &'a self,
        ip: &'a str,
        token: Option<&'a StatusToken>,
    ) -> BoxFuture<'a, Result<Answer, Unreachable>>;
}

/// What is known of a gateway by its watchdog.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Known {
    /// The bundle's delivery.
    pub delivery: Delivery,
    /// The bundle on the Pod's disk, whichever it is, by the last answer of its watchdog.
    pub delivered: Option<String>,
    /// How the gateway is, as the watchdog of this Pod said last, whichever delivery it was.
    pub health: Option<Health>,
    /// Whether the watchdog has not answered for too long.
    pub silent: bool,
    /// Since when the gateway does not serve, or not take over its configuration.
    pub at_fault_since: Option<Instant>,
}

impl Known {
    /// How the gateway stands to the bundle.
    pub fn applied(&self, hash: &str) -> Applied {
        self.health.as_ref().map_or(Applied::NotYet, |health| health.applied(hash))
    }

    fn is_settled(&self, hash: &str) -> bool {
        let healths = self.health.as_ref();
        let at_work = healths.is_some_and(|health| matches!(health.state, State::Alive | State::Degraded));
        self.delivery == Delivery::Confirmed && at_work && self.applied(hash) != Applied::NotYet
    }
}

/// What is known about a delivery.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Delivery {
    /// Nobody has answered yet.
    #[default]
    Unknown,
    /// The watchdog has an older bundle, and maybe a reason.
    Behind {
        /// What the watchdog says of it.
        trouble: Option<String>,
    },
    /// The bundle is on disk.
    Confirmed,
}

/// The delivery that is expected of a Pod.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Expected {
    /// The Pod.
    pub pod_uid: String,
    /// Its address.
    pub ip: String,
    /// The bundle.
    pub hash: String,
    /// What its watchdog is asked with.
    pub token: Option<StatusToken>,
}

/// Follows the deliveries of all tenants.
pub struct Deliveries {
    ask: Arc<dyn Ask>,
    queues: Queues,
    slots: Arc<Semaphore>,
    followed: Arc<Mutex<HashMap<Key, Followed>>>,
}

struct Followed {
    expected: Expected,
    known: Known,
    /// The task that asks.
    asking: AbortHandle,
    nudges: u32,
    next_nudge: Instant,
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.asking.abort();
    }
}

impl Deliveries {
    /// Makes one that follows nothing.
    pub fn new(ask: Arc<dyn Ask>, queues: Queues) -> Self {
        Self { ask, queues, slots: Arc::new(Semaphore::new(CONCURRENCY)), followed: Arc::default() }
    }

    /// What is known of a tenant's gateway, and of the delivery that is expected of its Pod; from now on it is followed.
    pub fn follow(&self, tenant: &Key, expected: &Expected) -> Known {
        let mut followed = self.followed.lock();
        if let Some(known) = followed.get(tenant).filter(|known| known.expected == *expected) {
            return known.known.clone();
        }
        let asking = tokio::spawn(ask_again_and_again(
            Arc::clone(&self.ask),
            self.queues.clone(),
            Arc::clone(&self.slots),
            Arc::clone(&self.followed),
            tenant.clone(),
            expected.clone(),
        ));
        // The same Pod is still as it was, and so is the silence of its watchdog; only the delivery is another one.
        let before = followed.remove(tenant).filter(|before| before.expected.pod_uid == expected.pod_uid);
        let Known { delivered, health, silent, at_fault_since, .. } =
            before.map(|it| it.known.clone()).unwrap_or_default();
        // A gateway that is down is not less so for being given something new.
        let is_down = health.as_ref().is_some_and(|health| health.state == State::Down);
        let at_fault_since = at_fault_since.filter(|_| is_down);
        let known = Known { delivery: Delivery::Unknown, delivered, health, silent, at_fault_since };
        let entry = Followed {
            expected: expected.clone(),
            known: known.clone(),
            asking: asking.abort_handle(),
            nudges: 0,
            next_nudge: Instant::now() + FIRST_NUDGE,
        };
        followed.insert(tenant.clone(), entry);
        known
    }

    /// What is known of a tenant's gateway.
    pub fn known(&self, tenant: &Key) -> Known {
        self.followed.lock().get(tenant).map(|followed| followed.known.clone()).unwrap_or_default()
    }

    /// The same, as far as it is known of this Pod.
    pub fn known_of(&self, tenant: &Key, pod_uid: &str) -> Known {
        let followed = self.followed.lock();
        let of_this = followed.get(tenant).filter(|followed| followed.expected.pod_uid == pod_uid);
        of_this.map(|followed| followed.known.clone()).unwrap_or_default()
    }

    /// Nothing is expected of the tenant.
    pub fn forget(&self, tenant: &Key) {
        self.followed.lock().remove(tenant);
    }

    /// For a delivery that is behind: how long until kubelet should be nudged again. Zero means now, and counts. Of one whose
    /// watchdog does not answer nobody knows whether it is behind; its answer is news.
    pub fn next_nudge(&self, tenant: &Key) -> Option<Duration> {
        let mut followed = self.followed.lock();
        let known = followed.get_mut(tenant)?;
        if known.known.silent || !matches!(known.known.delivery, Delivery::Behind { .. }) {
            return None;
        }
        let now = Instant::now();
        if known.next_nudge > now {
            return Some(known.next_nudge - now);
        }
        known.nudges += 1;
        let pause = FIRST_NUDGE.saturating_mul(1 << known.nudges.min(8)).min(LONGEST_NUDGE);
        known.next_nudge = now + pause;
        Some(Duration::ZERO)
    }
}

async fn ask_again_and_again(
    ask: Arc<dyn Ask>,
    queues: Queues,
    slots: Arc<Semaphore>,
    followed: Arc<Mutex<HashMap<Key, Followed>>>,
    tenant: Key,
    expected: Expected,
) {
    let mut pause = FIRST_PAUSE;
    let mut unanswered = 0;
    loop {
        let answer = {
            // The semaphore is never closed.
            let Ok(_slot) = slots.acquire().await else { return };
            ask.ask(&expected.ip, expected.token.as_ref()).await
        };
        match &answer {
            Ok(_) => unanswered = 0,
            Err(error) => {
                unanswered += 1;
                tracing::debug!(kind = "Tenant", namespace = tenant.namespace, name = tenant.name, %error, "asked");
            }
        }
        let settled = {
            let mut followed = followed.lock();
            let Some(entry) = followed.get_mut(&tenant).filter(|known| known.expected == expected) else {
                return;
            };
            let known = learn(&entry.known, answer.ok(), unanswered, &expected.hash, Instant::now());
            let settled = unanswered == 0 && known.is_settled(&expected.hash);
            let is_news = entry.known != known;
            entry.known = known;
            if is_news {
                queues.wake_tenant(tenant.clone());
            }
            settled
        };
        // What changes is looked at closely again.
        let next = if settled { SETTLED_PAUSE } else { pause };
        pause = if settled { FIRST_PAUSE } else { pause.saturating_mul(2).min(LONGEST_PAUSE) };
        sleep(jittered(next)).await;
    }
}

/// What is known after a question. `unanswered` counts those in a row without an answer, this one included. Pure.
fn learn(before: &Known, answer: Option<Answer>, unanswered: u32, hash: &str, now: Instant) -> Known {
    match answer {
        Some(Answer { delivered, trouble, health }) => {
            let arrived = delivered.as_deref() == Some(hash);
            let delivery = if arrived { Delivery::Confirmed } else { Delivery::Behind { trouble } };
            let at_fault = health
                .as_ref()
                .is_some_and(|health| health.state == State::Down || health.applied(hash) == Applied::Never);
            let at_fault_since = at_fault.then(|| before.at_fault_since.unwrap_or(now));
            Known { delivery, delivered, health, silent: false, at_fault_since }
        }
        None if unanswered < UNANSWERED => before.clone(),
        // What was delivered stays on the disk.
        None => Known {
            delivery: match &before.delivery {
                Delivery::Confirmed => Delivery::Confirmed,
                _ => Delivery::Behind { trouble: Some("its watchdog does not answer".to_owned()) },
            },
            delivered: before.delivered.clone(),
            health: before.health.clone(),
            silent: true,
            // Whoever does not answer says nothing of a fault either.
            at_fault_since: None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_is_believed_after_a_while_and_takes_back_no_delivery() {
        let now = Instant::now();
        let confirmed = learn(
            &Known::default(),
            Some(Answer { delivered: Some("h".into()), ..Answer::default() }),
            0,
            "h",
            now,
        );
        assert_eq!((&confirmed.delivery, confirmed.silent), (&Delivery::Confirmed, false));
        assert_eq!(learn(&confirmed, None, UNANSWERED - 1, "h", now), confirmed);
        let silent = learn(&confirmed, None, UNANSWERED, "h", now);
        assert_eq!((silent.delivery, silent.silent), (Delivery::Confirmed, true));
        let never = learn(&Known::default(), None, UNANSWERED, "h", now);
        assert!(matches!(never.delivery, Delivery::Behind { trouble: Some(_) }));
        let other = Answer { delivered: Some("other".into()), ..Answer::default() };
        assert_eq!(learn(&confirmed, Some(other), 0, "h", now).delivery, Delivery::Behind { trouble: None });
    }

    #[test]
    fn a_fault_has_a_beginning() {
        let (start, later) = (Instant::now(), Instant::now() + Duration::from_mins(1));
        let with =
            |state| Some(Answer { health: Some(Health { state, ..Health::default() }), ..Answer::default() });
        let down = learn(&Known::default(), with(State::Down), 0, "h", start);
        assert_eq!(down.at_fault_since, Some(start));
        assert_eq!(learn(&down, with(State::Down), 0, "h", later), down, "time alone is no news");
        assert_eq!(learn(&down, with(State::Alive), 0, "h", later).at_fault_since, None);
    }
}
