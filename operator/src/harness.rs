//! The pass over a Harness: how the tenants that use it fare. Everything is decided by the tenants' passes; this one
//! only counts, and writes the Harness's status.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kr8tiv_compiler::Code;
use kr8tiv_crds::harness::HarnessTenants;
use kr8tiv_crds::status::{ConditionStatus, ConditionType, Finding, Reason, conditions};
use kr8tiv_crds::{Harness, HarnessStatus};
use kube::Resource;
use kube::runtime::controller::Action;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::context::Context;
use crate::controller::{Reconciler, fault};
use crate::guard::Guarded;
use crate::index::Edition;
use crate::key::Key;
use crate::metrics::Metrics;
use crate::results::{Progress, TenantResult};
use crate::statuses::{self, now};
use crate::stores::custom;

/// A change of a Harness sets all its tenants in motion: they are counted, and their progress written down, at most
/// this often.
const INTERVAL: Duration = Duration::from_secs(1);

/// A message names this many tenants.
const NAMED: usize = 10;

/// Reconciles Harnesses.
pub struct Harnesses {
    context: Arc<Context>,
    looked: Mutex<HashMap<Key, Instant>>,
}

impl Harnesses {
    /// Makes one that has not looked at any.
    pub fn new(context: Arc<Context>) -> Self {
        Self { context, looked: Mutex::default() }
    }

    /// How long the last look must still do; `None` when it was long enough ago, and then this is the next one.
    fn look_again_in(&self, key: &Key) -> Option<Duration> {
        let now = Instant::now();
        let mut looked = self.looked.lock();
        let wait =
            looked.get(key).map(|last| INTERVAL.saturating_sub(now - *last)).filter(|wait| !wait.is_zero());
        if wait.is_none() {
            looked.insert(key.clone(), now);
        }
        wait
    }

    /// Results of the tenants that use the Harness, by name, with the namespace of those in another one; `None` while one has none yet.
    fn results(&self, key: &Key) -> Option<Vec<(String, Arc<TenantResult>)>> {
        let stores = &self.context.stores;
        let tenants = stores.index.tenants_of_harness(key).into_iter();
        let living = tenants.filter(|tenant| {
            custom(&stores.tenants, tenant).is_some_and(|tenant| tenant.meta().deletion_timestamp.is_none())
        });
        let results: Option<Vec<_>> = living
            .map(|tenant| {
                let result = self.context.results.get(&tenant)?;
                let is_near = tenant.namespace == key.namespace;
                Some((if is_near { tenant.name } else { tenant.to_string() }, result))
            })
            .collect();
        // Whoever refers to a Harness that isn't shared with them has no part in how its users fare.
        results.map(|results| results.into_iter().filter(|(_, result)| !is_refused(result)).collect())
    }
}

impl Reconciler for Harnesses {
    type Kind = Harness;

    async fn pass(&self, harness: &Guarded<Harness>) -> Result<Action, statuses::Error> {
        let harness = match harness.readable() {
            Ok(harness) => harness,
            Err(unreadable) => {
                self.context.statuses.write_unreadable::<Harness>(unreadable).await?;
                return Ok(Action::await_change());
            }
        };
        let key = Key::of(&harness.metadata);
        if harness.metadata.deletion_timestamp.is_some() {
            return Ok(Action::await_change());
        }
        let statuses = &self.context.statuses;
        let previous = statuses.latest(harness);
        // Its own edit is looked at at once.
        if previous.observed_generation == harness.metadata.generation
            && let Some(wait) = self.look_again_in(&key)
        {
            return Ok(Action::requeue(wait));
        }
        // After a start the tenants' passes come in one by one; a count of the first few would be wrong. The last
        // one wakes this pass.
        let Some(results) = self.results(&key) else { return Ok(Action::await_change()) };
        let revision = (self.context.compiler.harness_revision)(&harness.spec);
        let status = status(harness, &previous, revision, &results, &now());
        if statuses.write(harness, &status).await? {
            tracing::info!(kind = "Harness", namespace = key.namespace, name = key.name, "status written");
        }
        Ok(Action::await_change())
    }

    async fn panicked(&self, harness: &Guarded<Harness>) -> Result<Action, statuses::Error> {
        let Ok(harness) = harness.readable() else { return Ok(Action::await_change()) };
        let previous = self.context.statuses.latest(harness);
        let finding = Finding {
            type_: ConditionType::Ready,
            status: ConditionStatus::False,
            reason: Reason::InternalError,
            message: fault("Harness"),
        };
        let stalled =
            Finding { type_: ConditionType::Stalled, status: ConditionStatus::True, ..finding.clone() };
        let generation = harness.metadata.generation;
        let conditions = conditions(&previous.conditions, vec![finding, stalled], generation, &now());
        let status = HarnessStatus { observed_generation: generation, conditions, ..previous };
        self.context.statuses.write(harness, &status).await?;
        Ok(Action::await_change())
    }

    fn metrics(&self) -> &Metrics {
        &self.context.metrics
    }

    fn gone(&self, key: &Key) {
        self.looked.lock().remove(key);
        self.context.statuses.forget::<Harness>(key);
    }
}

fn is_refused(result: &TenantResult) -> bool {
    let diagnostics = result.compiled.as_ref().err().into_iter().flat_map(|failure| &failure.diagnostics);
    diagnostics.into_iter().any(|diagnostic| diagnostic.code == Code::HarnessNotShared)
}

/// Builds a Harness's status. Pure.
fn status(
    harness: &Harness,
    previous: &HarnessStatus,
    revision: String,
    results: &[(String, Arc<TenantResult>)],
    now: &Time,
) -> HarnessStatus {
    let generation = harness.metadata.generation;
    let tally = Tally::of(&Edition::of(&harness.metadata), results);
    HarnessStatus {
        observed_generation: generation,
        revision: Some(revision),
        tenants: Some(tally.counts()),
        conditions: conditions(&previous.conditions, tally.findings(), generation, now),
    }
}

/// How the tenants fare, by name.
#[derive(Default)]
struct Tally<'a> {
    total: usize,
    /// The gateway serves this edition of the Harness.
    ready: usize,
    /// This edition does not compile.
    failed: Vec<&'a str>,
    /// Compiled, and held up by something else.
    stalled: Vec<&'a str>,
    /// On the way.
    waiting: Vec<&'a str>,
}

impl<'a> Tally<'a> {
    fn of(edition: &Edition, results: &'a [(String, Arc<TenantResult>)]) -> Self {
        let mut tally = Self { total: results.len(), ..Self::default() };
        for (name, result) in results {
            let is_current = result.harness.1.as_ref() == Some(edition);
            match (&result.compiled, result.progress) {
                // What a pass over an earlier edition came to says nothing about this one.
                _ if !is_current && result.reason != Reason::Unreadable => tally.waiting.push(name),
                (Err(_), _) => tally.failed.push(name),
                (Ok(_), Progress::Done) => tally.ready += 1,
                (Ok(_), Progress::Suspended) => {}
                (Ok(_), Progress::Stalled) => tally.stalled.push(name),
                (Ok(_), Progress::Reconciling) => tally.waiting.push(name),
            }
        }
        tally
    }

    fn counts(&self) -> HarnessTenants {
        let count = |number| i64::try_from(number).unwrap_or(i64::MAX);
        HarnessTenants {
            total: count(self.total),
            ready: count(self.ready),
            failed: count(self.failed.len()),
        }
    }

    fn findings(&self) -> Vec<Finding> {
        use ConditionStatus::{False, True};
        use ConditionType::{Compiled, Ready, Reconciling, Stalled};
        let finding = |type_, status, reason, message: &str| Finding {
            type_,
            status,
            reason,
            message: message.to_owned(),
        };
        let unused = "no Tenant uses the Harness";
        let compiled = if !self.failed.is_empty() {
            let message =
                format!("does not compile for {}; their condition Compiled says why", listed(&self.failed));
            finding(Compiled, False, Reason::Invalid, &message)
        } else if self.total == 0 {
            finding(Compiled, True, Reason::Succeeded, unused)
        } else {
            finding(Compiled, True, Reason::Succeeded, "the Harness compiles for every Tenant that uses it")
        };
        let (ready, reason, message, progress) = if compiled.status == False {
            (False, Reason::Invalid, compiled.message.clone(), Some(Stalled))
        } else if !self.stalled.is_empty() {
            let message = format!("held up at {}; their condition Ready says why", listed(&self.stalled));
            (False, Reason::TenantInvalid, message, Some(Stalled))
        } else if !self.waiting.is_empty() {
            (False, Reason::Delivering, format!("on its way to {}", listed(&self.waiting)), Some(Reconciling))
        } else if self.total == 0 {
            (True, Reason::Succeeded, unused.to_owned(), None)
        } else {
            (True, Reason::Serving, "every Tenant that uses the Harness serves it".to_owned(), None)
        };
        let mut findings = vec![finding(Ready, ready, reason, &message), compiled];
        findings.extend(progress.map(|type_| finding(type_, True, reason, &message)));
        findings
    }
}

fn listed(names: &[&str]) -> String {
    let kind = if names.len() == 1 { "Tenant" } else { "Tenants" };
    let more = if names.len() > NAMED { " and others" } else { "" };
    format!("{kind} {}{more}", names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", "))
}
