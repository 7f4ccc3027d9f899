//! Observation stage, no I/O: everything the operator knows about the cluster, written by the watches and by the
//! answers to its own writes.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kr8tiv_crds::{Agent, Harness, Tenant};
use kube::runtime::reflector::{ObjectRef, Store, store::Writer};
use parking_lot::RwLock;

use crate::child::{Child, ChildId, ChildKind, Workload, tenant_of};
use crate::guard::{CustomKind, Guarded};
use crate::index::Index;
use crate::key::{Key, version_of};
use crate::pod::GatewayPod;
use crate::table::{Change, Table};
use crate::tokens::Tokens;

/// Objects applied for tenants, by name and by the tenant they are labelled with.
#[derive(Debug, Default)]
struct Children {
    service_accounts: RwLock<Table<Key, Child>>,
    network_policies: RwLock<Table<Key, Child>>,
    claims: RwLock<Table<Key, Child>>,
    services: RwLock<Table<Key, Child>>,
    ingresses: RwLock<Table<Key, Child>>,
    disruption_budgets: RwLock<Table<Key, Child>>,
    config_maps: RwLock<Table<Key, Child>>,
    stateful_sets: RwLock<Table<Key, Child>>,
}

/// Everything known.
#[derive(Debug)]
pub struct Stores {
    /// All Tenants.
    pub tenants: Store<Guarded<Tenant>>,
    /// All Harnesses.
    pub harnesses: Store<Guarded<Harness>>,
    /// All Agents.
    pub agents: Store<Guarded<Agent>>,
    /// Who refers to whom.
    pub index: Index,
    /// Whose channel has which token.
    pub tokens: Tokens,
    children: Children,
    workloads: RwLock<Table<Key, Workload>>,
    pods: RwLock<Table<Key, GatewayPod>>,
    /// Labels of all namespaces.
    namespaces: RwLock<Table<(), BTreeMap<String, String>>>,
}

/// The writing ends of the stores of our own kinds; each belongs to one watch.
#[derive(Debug)]
pub struct Writers {
    /// Tenants.
    pub tenants: Writer<Guarded<Tenant>>,
    /// Harnesses.
    pub harnesses: Writer<Guarded<Harness>>,
    /// Agents.
    pub agents: Writer<Guarded<Agent>>,
}

impl Stores {
    /// Makes empty stores.
    pub fn new() -> (Self, Writers) {
        let writers =
            Writers { tenants: Writer::new(()), harnesses: Writer::new(()), agents: Writer::new(()) };
        let stores = Self {
            tenants: writers.tenants.as_reader(),
            harnesses: writers.harnesses.as_reader(),
            agents: writers.agents.as_reader(),
            index: Index::default(),
            tokens: Tokens::default(),
            children: Children::default(),
            workloads: RwLock::default(),
            pods: RwLock::default(),
            namespaces: RwLock::default(),
        };
        (stores, writers)
    }

    fn table(&self, kind: ChildKind) -> &RwLock<Table<Key, Child>> {
        match kind {
            ChildKind::ServiceAccount => &self.children.service_accounts,
            ChildKind::NetworkPolicy => &self.children.network_policies,
            ChildKind::PersistentVolumeClaim => &self.children.claims,
            ChildKind::Service => &self.children.services,
            ChildKind::Ingress => &self.children.ingresses,
            ChildKind::PodDisruptionBudget => &self.children.disruption_budgets,
            ChildKind::ConfigMap => &self.children.config_maps,
            ChildKind::StatefulSet => &self.children.stateful_sets,
        }
    }

    /// Takes in an object of a tenant.
    pub fn put_child(&self, kind: ChildKind, metadata: &ObjectMeta) -> Option<Change<Key>> {
        let (key, version) = (Key::of(metadata), version_of(metadata));
        self.table(kind).write().insert(key, tenant_of(metadata), version, Child::of(metadata))
    }

    /// Forgets an object of a tenant.
    pub fn drop_child(&self, kind: ChildKind, metadata: &ObjectMeta) -> Option<Change<Key>> {
        self.table(kind).write().remove(&Key::of(metadata), version_of(metadata))
    }

    /// A listing of a kind of children begins.
    pub fn begin_children(&self, kind: ChildKind) {
        self.table(kind).write().begin_listing();
        if kind == ChildKind::StatefulSet {
            self.workloads.write().begin_listing();
        }
    }

    /// A listing of a kind of children is complete.
    pub fn finish_children(&self, kind: ChildKind) -> Vec<Change<Key>> {
        let mut changes = self.table(kind).write().finish_listing();
        if kind == ChildKind::StatefulSet {
            changes.extend(self.workloads.write().finish_listing());
        }
        changes
    }

    /// Takes in the status of a StatefulSet.
    pub fn put_workload(&self, set: &StatefulSet) -> Option<Change<Key>> {
        let (key, version) = (Key::of(&set.metadata), version_of(&set.metadata));
        self.workloads.write().insert(key, tenant_of(&set.metadata), version, Workload::of(set))
    }

    /// Forgets a StatefulSet.
    pub fn drop_workload(&self, metadata: &ObjectMeta) -> Option<Change<Key>> {
        self.workloads.write().remove(&Key::of(metadata), version_of(metadata))
    }

    /// Takes in a Pod.
    pub fn put_pod(&self, pod: &Pod) -> Option<Change<Key>> {
        let (key, version) = (Key::of(&pod.metadata), version_of(&pod.metadata));
        self.pods.write().insert(key, tenant_of(&pod.metadata), version, GatewayPod::of(pod))
    }

    /// Forgets a Pod.
    pub fn drop_pod(&self, metadata: &ObjectMeta) -> Option<Change<Key>> {
        self.pods.write().remove(&Key::of(metadata), version_of(metadata))
    }

    /// A listing of Pods begins.
    pub fn begin_pods(&self) {
        self.pods.write().begin_listing();
    }

    /// A listing of Pods is complete.
    pub fn finish_pods(&self) -> Vec<Change<Key>> {
        self.pods.write().finish_listing()
    }

    /// Takes in a namespace; gives its name when its labels have changed.
    pub fn put_namespace(&self, metadata: &ObjectMeta) -> Option<String> {
        let labels = metadata.labels.clone().unwrap_or_default();
        let change = self.namespaces.write().insert(Key::of(metadata), None, version_of(metadata), labels);
        change.map(|change| change.key.name)
    }

    /// Forgets a namespace; gives its name when it was known.
    pub fn drop_namespace(&self, metadata: &ObjectMeta) -> Option<String> {
        let change = self.namespaces.write().remove(&Key::of(metadata), version_of(metadata));
        change.map(|change| change.key.name)
    }

    /// A listing of namespaces begins.
    pub fn begin_namespaces(&self) {
        self.namespaces.write().begin_listing();
    }

    /// A listing of namespaces is complete; gives the names of those that are gone.
    pub fn finish_namespaces(&self) -> Vec<String> {
        let gone = self.namespaces.write().finish_listing();
        gone.into_iter().map(|change| change.key.name).collect()
    }

    /// The labels of a namespace.
    pub fn namespace_labels(&self, namespace: &str) -> Option<Arc<BTreeMap<String, String>>> {
        self.namespaces.read().get(&Key { namespace: String::new(), name: namespace.to_owned() })
    }

    /// An object of a tenant.
    pub fn child(&self, kind: ChildKind, key: &Key) -> Option<Arc<Child>> {
        self.table(kind).read().get(key)
    }

    /// The objects that are labelled with the tenant.
    pub fn children_of(&self, tenant: &Key) -> BTreeMap<ChildId, Arc<Child>> {
        let mut children = BTreeMap::new();
        for kind in ChildKind::ALL {
            for (key, child) in self.table(kind).read().members(tenant) {
                children.insert(ChildId { kind, name: key.name.clone() }, Arc::clone(child));
            }
        }
        children
    }

    /// The StatefulSets that the Tenant of this uid owns.
    pub fn workloads_of(&self, tenant: &Key, uid: &str) -> Vec<(Key, Arc<Workload>)> {
        let workloads = self.workloads.read();
        let own = workloads.members(tenant).filter(|(_, set)| set.owners.iter().any(|owner| owner == uid));
        own.map(|(key, set)| (key.clone(), Arc::clone(set))).collect()
    }

    /// A Pod.
    pub fn pod(&self, key: &Key) -> Option<Arc<GatewayPod>> {
        self.pods.read().get(key)
    }

    /// A Pod in the namespace, other than those of this Tenant, whose gateway has the volume of this tenant id.
    pub fn pod_of_id(&self, tenant: &Key, tenant_id: &str) -> Option<Key> {
        let pods = self.pods.read();
        let mut others = pods.iter().filter(|(key, other, pod)| {
            key.namespace == tenant.namespace
                && *other != Some(tenant)
                && pod.sandbox.is_none()
                && pod.tenant_id.as_deref() == Some(tenant_id)
        });
        others.next().map(|(key, ..)| key.clone())
    }
}

/// An object of our own kinds, by its key.
pub fn custom<K: CustomKind>(store: &Store<Guarded<K>>, key: &Key) -> Option<Arc<Guarded<K>>> {
    store.get(&ObjectRef::new(&key.name).within(&key.namespace))
}
