//! Observation stage: one watch per kind feeds the stores and wakes the passes concerned. Reads the API.
//!
//! Each watch has one owner, which passes on every event, deletions included: stock predicates and shared streams
//! lose some of them.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kr8tiv_crds::{Agent, Harness, Tenant, meta};
use kube::core::PartialObjectMeta;
use kube::runtime::WatchStreamExt;
use kube::runtime::reflector::store::Writer;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

use crate::child::ChildKind;
use crate::claims::Claim;
use crate::guard::{CustomKind, Guarded};
use crate::index::TenantImpact;
use crate::key::Key;
use crate::queue::Queues;
use crate::readiness::Gate;
use crate::stores::Stores;
use crate::table::Change;
use crate::tokens::channel_tokens;
use crate::watched::Watched;

/// A definition that is installed after the operator, or an API server that comes back, is noticed within this time.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// kube's backoff for watches with a shorter longest pause.
struct CappedBackoff(watcher::DefaultBackoff);

impl Iterator for CappedBackoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.0.next().map(|pause| pause.min(LONGEST_PAUSE))
    }
}

impl Backoff for CappedBackoff {
    fn reset(&mut self) {
        self.0.reset();
    }
}

/// Watches a kind until the process ends.
async fn watch<K>(api: Api<K>, config: watcher::Config, gate: Gate, mut take: impl FnMut(Event<K>) + Send)
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let mut interrupted = false;
    let mut events = watcher(api, config).backoff(CappedBackoff(watcher::DefaultBackoff::default())).boxed();
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                let complete = matches!(event, Event::InitDone);
                // `Init` comes before the list is even asked for.
                if !matches!(event, Event::Init) && std::mem::take(&mut interrupted) {
                    tracing::info!(kind = gate.kind(), "watch resumed");
                }
                take(event);
                if complete {
                    gate.synced();
                    tracing::debug!(kind = gate.kind(), "listed");
                }
            }
            Err(error) => {
                let why = explain(&error);
                // Once for each interruption, and for each new reason of a watch that never began.
                let is_news = gate.failed(&why) || !interrupted;
                interrupted = true;
                if is_news {
                    tracing::warn!(kind = gate.kind(), error = why, "watch interrupted");
                }
            }
        }
    }
}

fn explain(error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status)) if status.code == 404 => {
            "the API server does not know this kind; install the chart kr8tiv-crds".into()
        }
        watcher::Error::InitialListFailed(kube::Error::Api(status)) if status.code == 403 => {
            format!("not allowed: {}; the operator's role lacks a rule", status.message)
        }
        other => other.to_string(),
    }
}

/// What the watches of our own kinds do with what they see.
pub trait References<K> {
    /// An object exists, or has changed.
    fn seen(&self, object: &Guarded<K>) -> Wakes;
    /// An object is gone.
    fn gone(&self, object: &Guarded<K>) -> Wakes;
    /// All objects follow.
    fn begin(&self);
    /// All objects have followed.
    fn finish(&self) -> Wakes;
}

/// The passes to ask for.
#[derive(Debug, Default)]
pub struct Wakes {
    tenants: Vec<Key>,
    agents: Vec<Key>,
    harnesses: Vec<Key>,
}

impl Wakes {
    fn send(self, queues: &Queues) {
        self.tenants.into_iter().for_each(|key| queues.wake_tenant(key));
        self.agents.into_iter().for_each(|key| queues.wake_agent(key));
        self.harnesses.into_iter().for_each(|key| queues.wake_harness(key));
    }

    fn extend(&mut self, other: Self) {
        self.tenants.extend(other.tenants);
        self.agents.extend(other.agents);
        self.harnesses.extend(other.harnesses);
    }

    fn of_tenants(mut gone: Vec<Key>, impact: TenantImpact) -> Self {
        gone.extend(impact.rivals);
        Self { tenants: gone, harnesses: impact.harnesses, ..Self::default() }
    }
}

impl References<Tenant> for Stores {
    fn seen(&self, tenant: &Guarded<Tenant>) -> Wakes {
        let key = Key::of(tenant.meta());
        let mut wakes = Wakes::of_tenants(vec![key.clone()], self.index.tenant(tenant));
        let Ok(readable) = tenant.readable() else {
            wakes.tenants.extend(self.tokens.pass_over(&key));
            return wakes;
        };
        if !channel_tokens(readable).is_empty() && tenant.meta().deletion_timestamp.is_none() {
            wakes.tenants.extend(self.tokens.expect(&key, &Claim::of(tenant.meta())));
        }
        wakes
    }

    fn gone(&self, tenant: &Guarded<Tenant>) -> Wakes {
        let key = Key::of(tenant.meta());
        let released = self.tokens.release(&key);
        let mut wakes = Wakes::of_tenants(vec![key], self.index.tenant_gone(tenant.meta()));
        wakes.tenants.extend(released);
        wakes
    }

    fn begin(&self) {
        self.index.begin_tenants();
    }

    fn finish(&self) -> Wakes {
        let (gone, impact) = self.index.finish_tenants();
        let released: Vec<Key> = gone.iter().flat_map(|key| self.tokens.release(key)).collect();
        let mut wakes = Wakes::of_tenants(gone, impact);
        wakes.tenants.extend(released);
        wakes
    }
}

impl References<Agent> for Stores {
    fn seen(&self, agent: &Guarded<Agent>) -> Wakes {
        Wakes { agents: vec![Key::of(agent.meta())], tenants: self.index.agent(agent), ..Wakes::default() }
    }

    fn gone(&self, agent: &Guarded<Agent>) -> Wakes {
        let tenants = self.index.agent_gone(agent.meta());
        Wakes { agents: vec![Key::of(agent.meta())], tenants, ..Wakes::default() }
    }

    fn begin(&self) {
        self.index.begin_agents();
    }

    fn finish(&self) -> Wakes {
        let (agents, tenants) = self.index.finish_agents();
        Wakes { tenants, agents, ..Wakes::default() }
    }
}

impl References<Harness> for Stores {
    fn seen(&self, harness: &Guarded<Harness>) -> Wakes {
        let tenants = self.index.harness(harness);
        Wakes { harnesses: vec![Key::of(harness.meta())], tenants, ..Wakes::default() }
    }

    fn gone(&self, harness: &Guarded<Harness>) -> Wakes {
        let tenants = self.index.harness_gone(harness.meta());
        Wakes { harnesses: vec![Key::of(harness.meta())], tenants, ..Wakes::default() }
    }

    fn begin(&self) {
        self.index.begin_harnesses();
    }

    fn finish(&self) -> Wakes {
        let (harnesses, tenants) = self.index.finish_harnesses();
        Wakes { tenants, harnesses, ..Wakes::default() }
    }
}

/// Watches one of our own kinds.
pub async fn custom<K: CustomKind>(
    watched: Watched,
    stores: Arc<Stores>,
    queues: Queues,
    gate: Gate,
    mut writer: Writer<Guarded<K>>,
) where
    Stores: References<K>,
{
    // The store takes over a listing only when it is complete: to wake a pass before would show it the old state,
    // and nothing would wake it again.
    let mut listing: Option<Wakes> = None;
    watch(watched.api::<Guarded<K>>(), watcher::Config::default(), gate, move |mut event| {
        if let Event::Apply(object) | Event::InitApply(object) | Event::Delete(object) = &mut event {
            object.meta_mut().managed_fields = None;
        }
        writer.apply_watcher_event(&event);
        let references: &dyn References<K> = &*stores;
        match event {
            Event::Apply(object) => references.seen(&object).send(&queues),
            Event::Delete(object) => references.gone(&object).send(&queues),
            Event::Init => {
                references.begin();
                listing = Some(Wakes::default());
            }
            Event::InitApply(object) => {
                let wakes = references.seen(&object);
                listing.get_or_insert_default().extend(wakes);
            }
            Event::InitDone => {
                listing.take().unwrap_or_default().send(&queues);
                references.finish().send(&queues);
            }
        }
    })
    .await;
}

/// Children, and only they, carry this label: everything else stays out of memory.
fn children() -> watcher::Config {
    watcher::Config::default().labels(&format!("{}={}", meta::MANAGED_BY, meta::MANAGED_BY_VALUE))
}

fn wake(queues: &Queues, changes: impl IntoIterator<Item = Change<Key>>) {
    let tenants = changes.into_iter().flat_map(|change| change.groups);
    tenants.for_each(|tenant| queues.wake_tenant(tenant));
}

/// Watches the metadata of a kind of children.
pub async fn metadata<K>(watched: Watched, stores: Arc<Stores>, queues: Queues, gate: Gate, kind: ChildKind)
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static,
{
    watch(watched.api::<PartialObjectMeta<K>>(), children(), gate, move |event| match event {
        Event::Apply(object) | Event::InitApply(object) => {
            wake(&queues, stores.put_child(kind, &object.metadata));
        }
        Event::Delete(object) => wake(&queues, stores.drop_child(kind, &object.metadata)),
        Event::Init => stores.begin_children(kind),
        Event::InitDone => wake(&queues, stores.finish_children(kind)),
    })
    .await;
}

/// Watches the gateways' StatefulSets.
pub async fn workloads(watched: Watched, stores: Arc<Stores>, queues: Queues, gate: Gate) {
    let kind = ChildKind::StatefulSet;
    watch(watched.api::<StatefulSet>(), children(), gate, move |event| match event {
        Event::Apply(set) | Event::InitApply(set) => {
            let changes = [stores.put_child(kind, &set.metadata), stores.put_workload(&set)];
            wake(&queues, changes.into_iter().flatten());
        }
        Event::Delete(set) => {
            let changes = [stores.drop_child(kind, &set.metadata), stores.drop_workload(&set.metadata)];
            wake(&queues, changes.into_iter().flatten());
        }
        Event::Init => stores.begin_children(kind),
        Event::InitDone => wake(&queues, stores.finish_children(kind)),
    })
    .await;
}

/// Watches the gateways' Pods.
pub async fn pods(watched: Watched, stores: Arc<Stores>, queues: Queues, gate: Gate) {
    watch(watched.api::<Pod>(), children(), gate, move |event| match event {
        Event::Apply(pod) | Event::InitApply(pod) => wake(&queues, stores.put_pod(&pod)),
        Event::Delete(pod) => wake(&queues, stores.drop_pod(&pod.metadata)),
        Event::Init => stores.begin_pods(),
        Event::InitDone => wake(&queues, stores.finish_pods()),
    })
    .await;
}

/// Watches the metadata of namespaces: a Harness may be shared by their labels.
pub async fn namespaces(
    api: Api<PartialObjectMeta<Namespace>>,
    stores: Arc<Stores>,
    queues: Queues,
    gate: Gate,
) {
    let wake = move |stores: &Stores, namespaces: Vec<String>| {
        let borrowers = namespaces.iter().flat_map(|namespace| stores.index.borrowers(namespace));
        borrowers.for_each(|tenant| queues.wake_tenant(tenant));
    };
    watch(api, watcher::Config::default(), gate, move |event| match event {
        Event::Apply(object) | Event::InitApply(object) => {
            wake(&stores, stores.put_namespace(&object.metadata).into_iter().collect());
        }
        Event::Delete(object) => {
            wake(&stores, stores.drop_namespace(&object.metadata).into_iter().collect());
        }
        Event::Init => stores.begin_namespaces(),
        Event::InitDone => wake(&stores, stores.finish_namespaces()),
    })
    .await;
}
