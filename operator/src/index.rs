//! Observation stage, no I/O: which objects of our own kinds refer to which.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kr8tiv_crds::{Agent, Harness, Tenant};
use parking_lot::RwLock;

use crate::claims::{Claim, Claims, Property, Taken};
use crate::guard::Guarded;
use crate::key::{Key, version_of};
use crate::table::Table;
use kube::Resource;

/// Which version of an object something was made from.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Edition {
    /// The object's uid.
    pub uid: String,
    /// The object's generation.
    pub generation: i64,
    /// Whether its deletion has begun.
    pub deleting: bool,
}

impl Edition {
    /// The edition that the metadata is of.
    pub fn of(metadata: &ObjectMeta) -> Self {
        Self {
            uid: metadata.uid.clone().unwrap_or_default(),
            generation: metadata.generation.unwrap_or_default(),
            deleting: metadata.deletion_timestamp.is_some(),
        }
    }
}

/// The Harness that a Tenant refers to.
pub fn harness_of(tenant: &Tenant) -> Key {
    let own = Key::of(&tenant.metadata).sibling(&tenant.spec.harness_ref.name);
    let namespace = kr8tiv_compiler::harness_namespace(tenant).map(str::to_owned);
    Key { namespace: namespace.unwrap_or(own.namespace), name: own.name }
}

/// The references, from their targets' side.
#[derive(Debug)]
pub struct Index {
    tenants_by_harness: RwLock<Table<Key, Edition>>,
    tenant_ids: Claims,
    container_tags: Claims,
    /// Tenants whose Harness is in another namespace, by their own.
    borrowers_by_namespace: RwLock<Table<String, ()>>,
    agents_by_tenant: RwLock<Table<Key, Edition>>,
    harnesses: RwLock<Table<(), Edition>>,
}

/// The objects that an event of a Tenant concerns besides that Tenant.
#[derive(Debug, Default)]
pub struct TenantImpact {
    /// Harnesses whose users have changed.
    pub harnesses: Vec<Key>,
    /// Tenants that claim the same tenant id, or the same tag.
    pub rivals: Vec<Key>,
}

impl Default for Index {
    fn default() -> Self {
        Self {
            tenants_by_harness: RwLock::default(),
            tenant_ids: Claims::to(Property::TenantId),
            container_tags: Claims::to(Property::ContainerTag),
            borrowers_by_namespace: RwLock::default(),
            agents_by_tenant: RwLock::default(),
            harnesses: RwLock::default(),
        }
    }
}

impl Index {
    /// Takes in a Tenant.
    pub fn tenant(&self, tenant: &Guarded<Tenant>) -> TenantImpact {
        let metadata = tenant.meta();
        let (key, version) = (Key::of(metadata), version_of(metadata));
        let harness = match tenant.readable() {
            Ok(tenant) => Some(harness_of(tenant)),
            Err(unreadable) => unreadable.refers_to.clone(),
        };
        let is_borrower = harness.as_ref().is_some_and(|harness| harness.namespace != key.namespace);
        let borrower = is_borrower.then(|| key.namespace.clone());
        self.borrowers_by_namespace.write().insert(key.clone(), borrower, version, ());
        let mut rivals = self.tenant_ids.insert(key.clone(), version, tenant);
        rivals.extend(self.container_tags.insert(key.clone(), version, tenant));
        let change = self.tenants_by_harness.write().insert(key, harness, version, Edition::of(metadata));
        TenantImpact { harnesses: change.map_or_else(Vec::new, |change| change.groups), rivals }
    }

    /// Forgets a Tenant.
    pub fn tenant_gone(&self, metadata: &ObjectMeta) -> TenantImpact {
        let (key, version) = (Key::of(metadata), version_of(metadata));
        let mut rivals = self.tenant_ids.remove(&key, version);
        rivals.extend(self.container_tags.remove(&key, version));
        self.borrowers_by_namespace.write().remove(&key, version);
        let change = self.tenants_by_harness.write().remove(&key, version);
        TenantImpact { harnesses: change.map_or_else(Vec::new, |change| change.groups), rivals }
    }

    /// Takes in an Agent; gives the Tenants it concerns.
    pub fn agent(&self, agent: &Guarded<Agent>) -> Vec<Key> {
        let metadata = agent.meta();
        let key = Key::of(metadata);
        let tenant = match agent.readable() {
            Ok(agent) => Some(key.sibling(&agent.spec.tenant_ref.name)),
            Err(unreadable) => unreadable.refers_to.clone(),
        };
        let version = version_of(metadata);
        let change = self.agents_by_tenant.write().insert(key, tenant, version, Edition::of(metadata));
        change.map_or_else(Vec::new, |change| change.groups)
    }

    /// Forgets an Agent; gives the Tenants it concerns.
    pub fn agent_gone(&self, metadata: &ObjectMeta) -> Vec<Key> {
        let change = self.agents_by_tenant.write().remove(&Key::of(metadata), version_of(metadata));
        change.map_or_else(Vec::new, |change| change.groups)
    }

    /// Takes in a Harness; gives the Tenants it concerns.
    pub fn harness(&self, harness: &Guarded<Harness>) -> Vec<Key> {
        let metadata = harness.meta();
        let (key, version) = (Key::of(metadata), version_of(metadata));
        let change = self.harnesses.write().insert(key.clone(), None, version, Edition::of(metadata));
        if change.is_some() { self.tenants_of_harness(&key) } else { Vec::new() }
    }

    /// Forgets a Harness; gives the Tenants it concerns.
    pub fn harness_gone(&self, metadata: &ObjectMeta) -> Vec<Key> {
        let key = Key::of(metadata);
        let change = self.harnesses.write().remove(&key, version_of(metadata));
        if change.is_some() { self.tenants_of_harness(&key) } else { Vec::new() }
    }

    /// The Tenants that refer to a Harness, by name.
    pub fn tenants_of_harness(&self, harness: &Key) -> Vec<Key> {
        self.tenants_by_harness.read().members(harness).map(|(key, _)| key.clone()).collect()
    }

    /// The Tenants of a namespace whose Harness is in another one, by name.
    pub fn borrowers(&self, namespace: &str) -> Vec<Key> {
        let borrowers = self.borrowers_by_namespace.read();
        borrowers.members(&namespace.to_owned()).map(|(key, _)| key.clone()).collect()
    }

    /// The Agents that refer to a Tenant, by name.
    pub fn agents_of_tenant(&self, tenant: &Key) -> Vec<Key> {
        self.agents_by_tenant.read().members(tenant).map(|(key, _)| key.clone()).collect()
    }

    /// What another Tenant has had before, of the id and the tag that a Tenant has as far as they are known.
    pub fn taken(
        &self,
        tenant_id: Option<&str>,
        container_tag: Option<&str>,
        claim: &Claim,
    ) -> Option<Taken> {
        let id = || self.tenant_ids.earlier(tenant_id?, claim);
        id().or_else(|| self.container_tags.earlier(container_tag?, claim))
    }

    /// A listing of Tenants begins.
    pub fn begin_tenants(&self) {
        self.tenants_by_harness.write().begin_listing();
        self.tenant_ids.begin_listing();
        self.container_tags.begin_listing();
        self.borrowers_by_namespace.write().begin_listing();
    }

    /// A listing of Tenants is complete; gives the ones that are gone and whom that concerns.
    pub fn finish_tenants(&self) -> (Vec<Key>, TenantImpact) {
        let mut gone = Vec::new();
        let mut impact = TenantImpact::default();
        for change in self.tenants_by_harness.write().finish_listing() {
            gone.push(change.key);
            impact.harnesses.extend(change.groups);
        }
        self.borrowers_by_namespace.write().finish_listing();
        impact.rivals = self.tenant_ids.finish_listing();
        impact.rivals.extend(self.container_tags.finish_listing());
        (gone, impact)
    }

    /// A listing of Agents begins.
    pub fn begin_agents(&self) {
        self.agents_by_tenant.write().begin_listing();
    }

    /// A listing of Agents is complete; gives the ones that are gone, and the Tenants that concerns.
    pub fn finish_agents(&self) -> (Vec<Key>, Vec<Key>) {
        let changes = self.agents_by_tenant.write().finish_listing();
        let mut tenants = Vec::new();
        let gone = changes.into_iter().map(|change| {
            tenants.extend(change.groups);
            change.key
        });
        (gone.collect(), tenants)
    }

    /// A listing of Harnesses begins.
    pub fn begin_harnesses(&self) {
        self.harnesses.write().begin_listing();
    }

    /// A listing of Harnesses is complete; gives the ones that are gone, and the Tenants that concerns.
    pub fn finish_harnesses(&self) -> (Vec<Key>, Vec<Key>) {
        let changes = self.harnesses.write().finish_listing();
        let gone: Vec<Key> = changes.into_iter().map(|change| change.key).collect();
        let tenants = gone.iter().flat_map(|key| self.tenants_of_harness(key)).collect();
        (gone, tenants)
    }
}
