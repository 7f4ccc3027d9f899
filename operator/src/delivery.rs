//! Asks the watchdogs whether the configuration has arrived. Outside the passes; HTTP to the gateways' Pods.
//!
//! A watchdog is asked only while the bundle that its Pod should have is not confirmed: a tenant at rest costs
//! nothing. Passes read the answers from memory, and are woken when the meaning of an answer changes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};

use crate::backoff::jittered;
use crate::key::Key;
use crate::queue::Queues;

/// Watchdogs asked at the same time. An answer takes milliseconds; the bound is for the many that don't answer.
const CONCURRENCY: usize = 64;

/// A delivery takes about half a second after the Pod is patched: the first questions follow each other closely.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// After this many questions in a row without an answer, some fifteen seconds, that is trouble to be shown.
const UNANSWERED: u32 = 6;

/// kubelet refreshes a volume within a second of a change to the Pod; after this it has missed it.
const FIRST_NUDGE: Duration = Duration::from_secs(3);
const LONGEST_NUDGE: Duration = Duration::from_mins(1);

/// What a watchdog says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// Hash of the bundle that is completely on disk.
    pub delivered: Option<String>,
    /// Why a newer one is not.
    pub trouble: Option<String>,
}

/// Why a watchdog could not be asked.
#[derive(Debug, thiserror::Error)]
#[error("the watchdog does not answer: {0}")]
pub struct Unreachable(pub String);

/// Asks one watchdog. A trait, so that tests answer in its place.
pub trait Ask: Send + Sync {
    /// Asks the watchdog in the Pod with this address.
    fn ask<'a>(&'a self, ip: &'a str) -> BoxFuture<'a, Result<Answer, Unreachable>>;
}

/// What is known about a delivery.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Delivery {
    /// Nobody has answered yet.
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
    delivery: Delivery,
    /// The task that asks; it ends by itself once confirmed.
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

    /// What is known about the delivery that is expected of a tenant's Pod; from now on it is followed.
    pub fn follow(&self, tenant: &Key, expected: &Expected) -> Delivery {
        let mut followed = self.followed.lock();
        if let Some(known) = followed.get(tenant).filter(|known| known.expected == *expected) {
            return known.delivery.clone();
        }
        let asking = tokio::spawn(ask_until_confirmed(
            Arc::clone(&self.ask),
            self.queues.clone(),
            Arc::clone(&self.slots),
            Arc::clone(&self.followed),
            tenant.clone(),
            expected.clone(),
        ));
        let entry = Followed {
            expected: expected.clone(),
            delivery: Delivery::Unknown,
            asking: asking.abort_handle(),
            nudges: 0,
            next_nudge: Instant::now() + FIRST_NUDGE,
        };
        followed.insert(tenant.clone(), entry);
        Delivery::Unknown
    }

    /// Nothing is expected of the tenant.
    pub fn forget(&self, tenant: &Key) {
        self.followed.lock().remove(tenant);
    }

    /// For a delivery that is behind: how long until kubelet should be nudged again. Zero means now, and counts.
    pub fn next_nudge(&self, tenant: &Key) -> Option<Duration> {
        let mut followed = self.followed.lock();
        let known = followed.get_mut(tenant)?;
        if !matches!(known.delivery, Delivery::Behind { .. }) {
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

async fn ask_until_confirmed(
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
            ask.ask(&expected.ip).await
        };
        let delivery = match answer {
            Ok(Answer { delivered: Some(hash), .. }) if hash == expected.hash => Delivery::Confirmed,
            Ok(Answer { trouble, .. }) => {
                unanswered = 0;
                Delivery::Behind { trouble }
            }
            Err(error) => {
                unanswered += 1;
                tracing::debug!(kind = "Tenant", namespace = tenant.namespace, name = tenant.name, %error, "asked");
                if unanswered < UNANSWERED {
                    Delivery::Unknown
                } else {
                    Delivery::Behind { trouble: Some("its watchdog does not answer".to_owned()) }
                }
            }
        };
        let confirmed = delivery == Delivery::Confirmed;
        {
            let mut followed = followed.lock();
            let Some(known) = followed.get_mut(&tenant).filter(|known| known.expected == expected) else {
                return;
            };
            if known.delivery != delivery {
                known.delivery = delivery;
                queues.wake_tenant(tenant.clone());
            }
        }
        if confirmed {
            return;
        }
        sleep(jittered(pause)).await;
        pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
    }
}
