//! The task of one tenant: round after round, and what each changes. I/O by the rounds.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use kr8tiv_crds::status::Reason;
use kr8tiv_supermemory::{ApiKey, BaseUrl, Transport};
use kube::Client;
use parking_lot::Mutex;
use rand::Rng;
use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::fetch::{Fetched, Round, round};
use super::verdict::{Trouble, well};
use super::wanted::Wanted;
use super::{Entry, Facts, keys};
use crate::backoff::jittered;
use crate::key::Key;
use crate::queue::Queues;
use crate::statuses::now;

/// After a start, the first fetches of tenants that have their context already are spread over this time.
const SPREAD: Duration = Duration::from_mins(1);

/// What the task works with.
pub(super) struct Fetcher {
    pub(super) client: Client,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) queues: Queues,
    pub(super) slots: Arc<Semaphore>,
    pub(super) known: Arc<Mutex<HashMap<Key, Entry>>>,
    pub(super) tenant: Key,
    pub(super) wanted: Wanted,
}

impl Fetcher {
    /// Fetches until it is aborted.
    pub(super) async fn run(self, is_urgent: bool) {
        if !is_urgent {
            let share = rand::rng().random_range(0.0..1.0);
            sleep(SPREAD.mul_f64(share)).await;
        }
        let mut key = None;
        let mut failures = 0;
        loop {
            let outcome = {
                // The semaphore is never closed.
                let Ok(_slot) = Arc::clone(&self.slots).acquire_owned().await else { return };
                // A panic must not end the task: nothing would be fetched any more, and nobody be told.
                let fetched = AssertUnwindSafe(self.fetch(&mut key)).catch_unwind().await;
                fetched.unwrap_or_else(|panic| Err(Trouble::by_panic(&*panic)))
            };
            let pause = match outcome {
                Ok(()) => {
                    failures = 0;
                    jittered(self.wanted.refresh)
                }
                Err(trouble) => {
                    failures += 1;
                    if trouble.finding.reason == Reason::AuthFailed {
                        // Somebody may put another one there.
                        key = None;
                    }
                    self.change(|facts| {
                        facts.finding = Some(trouble.shown(facts.finding.as_ref(), failures));
                    });
                    let reason = trouble.finding.reason.as_str();
                    let (namespace, name) = (&self.tenant.namespace, &self.tenant.name);
                    let detail = &trouble.detail;
                    if trouble.finding.reason == Reason::InternalError {
                        tracing::error!(
                            kind = "Tenant",
                            namespace,
                            name,
                            detail,
                            "a round of memory panicked"
                        );
                    } else {
                        tracing::info!(
                            kind = "Tenant",
                            namespace,
                            name,
                            reason,
                            detail,
                            failures,
                            "no context fetched"
                        );
                    }
                    trouble.pause(failures, self.wanted.refresh)
                }
            };
            sleep(pause).await;
        }
    }

    /// One round, with the key that is at hand; without one, it is read.
    async fn fetch(&self, key: &mut Option<ApiKey>) -> Result<(), Trouble> {
        let Some(secret) = &self.wanted.key else { return Ok(()) };
        let base = BaseUrl::parse(&self.wanted.base_url).map_err(|_| Trouble::by_base_url(&self.wanted))?;
        let used = if let Some(key) = key {
            key.clone()
        } else {
            let read = keys::read(&self.client, &self.tenant, secret).await;
            key.insert(read.map_err(|error| Trouble::by_key(&self.tenant, &error))?).clone()
        };
        let ingested = self.facts().ingested;
        let Round { seeded, found } =
            round(&self.transport, base, used, &self.wanted, ingested.as_deref()).await;
        if let Some(Ok(())) = seeded {
            let put_in = self.wanted.seed.as_ref().map(|seed| seed.custom_id.clone());
            self.change(|facts| facts.ingested = put_in);
        }
        let trouble = |error| Trouble::by_call(&self.wanted, &error);
        let Fetched { lines, latency } = found.map_err(trouble)?;
        let seeding = seeded.and_then(Result::err).map(trouble);
        let is_well = seeding.is_none();
        self.change(|facts| {
            // Another order of the same lines would be a write for nothing.
            let unordered = Facts { lines: lines.clone(), ..facts.clone() };
            if !facts.means(&unordered) {
                facts.lines = lines;
            }
            facts.last_success = Some(now());
            facts.latency = latency;
            if is_well {
                facts.finding = Some(well());
            }
        });
        seeding.map_or(Ok(()), Err)
    }

    fn facts(&self) -> Facts {
        self.known.lock().get(&self.tenant).map(|entry| entry.facts.clone()).unwrap_or_default()
    }

    /// Takes in what a round changes; wakes the tenant when that means something.
    fn change(&self, change: impl FnOnce(&mut Facts)) {
        let is_news = {
            let mut known = self.known.lock();
            // Another Tenant, or other wishes: this task has been aborted, and is on its way out.
            let entry = known.get_mut(&self.tenant).filter(|entry| {
                entry.following.as_ref().is_some_and(|following| following.wanted == self.wanted)
            });
            let Some(entry) = entry else { return };
            let before = entry.facts.clone();
            change(&mut entry.facts);
            !before.means(&entry.facts)
        };
        if is_news {
            self.queues.wake_tenant(self.tenant.clone());
        }
    }
}
