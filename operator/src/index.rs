//! Observation stage, no I/O: which objects of our own kinds refer to which.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kr8tiv_crds::{Agent, Harness, Tenant};
use parking_lot::RwLock;

use crate::guard::Guarded;
use crate::key::{Key, version_of};
use crate::table::{Change, Table};
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

/// A Tenant's claim to a tenant id. The least claim holds: the oldest, and of equally old ones that of the smaller
/// uid, so that every operator comes to the same answer.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Claim {
    created: Option<k8s_openapi::jiff::Timestamp>,
    uid: String,
}

impl Claim {
    /// The claim of the Tenant with this metadata.
    pub fn of(metadata: &ObjectMeta) -> Self {
        Self {
            created: metadata.creation_timestamp.as_ref().map(|time| time.0),
            uid: metadata.uid.clone().unwrap_or_default(),
        }
    }
}

/// What whoever comes second to a tenant id reads.
pub fn id_taken(tenant_id: &str, holder: &Key) -> String {
    format!(
        "the tenant id {tenant_id} belongs to Tenant {holder}; delete that one, or create this Tenant anew with another \
         spec.tenantId"
    )
}

/// What whoever comes second to a memory's tag reads.
pub fn tag_taken(tag: &str, holder: &Key) -> String {
    format!(
        "the memory tag {tag} belongs to Tenant {holder}, in another namespace; delete that one, or create this Tenant anew \
         with another spec.containerTag"
    )
}

/// The tag of a Tenant's memory, as far as it is known.
fn tag_of(tenant: &Tenant) -> Option<String> {
    let told = tenant.status.as_ref().and_then(|status| status.container_tag.as_ref());
    tenant.spec.container_tag.as_ref().or(told).cloned()
}

/// The Harness that a Tenant refers to.
pub fn harness_of(tenant: &Tenant) -> Key {
    let own = Key::of(&tenant.metadata).sibling(&tenant.spec.harness_ref.name);
    let namespace = kr8tiv_compiler::harness_namespace(tenant).map(str::to_owned);
    Key { namespace: namespace.unwrap_or(own.namespace), name: own.name }
}

/// The references, from their targets' side.
#[derive(Debug, Default)]
pub struct Index {
    tenants_by_harness: RwLock<Table<Key, Edition>>,
    tenants_by_id: RwLock<Table<String, Claim>>,
    tenants_by_tag: RwLock<Table<String, Claim>>,
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

impl Index {
    /// Takes in a Tenant.
    pub fn tenant(&self, tenant: &Guarded<Tenant>) -> TenantImpact {
        let metadata = tenant.meta();
        let (key, version) = (Key::of(metadata), version_of(metadata));
        let (harness, id, tag) = match tenant.readable() {
            Ok(tenant) => (Some(harness_of(tenant)), kr8tiv_compiler::tenant_id(tenant), tag_of(tenant)),
            Err(unreadable) => {
                let (id, tag) = (unreadable.tenant_id.clone(), unreadable.container_tag.clone());
                (unreadable.refers_to.clone(), id, tag)
            }
        };
        let is_borrower = harness.as_ref().is_some_and(|harness| harness.namespace != key.namespace);
        let borrower = is_borrower.then(|| key.namespace.clone());
        self.borrowers_by_namespace.write().insert(key.clone(), borrower, version, ());
        let edition = Edition::of(metadata);
        let harnesses = self.tenants_by_harness.write().insert(key.clone(), harness, version, edition);
        let ids = self.tenants_by_id.write().insert(key.clone(), id, version, Claim::of(metadata));
        let tags = self.tenants_by_tag.write().insert(key, tag, version, Claim::of(metadata));
        self.impact(harnesses, ids, tags)
    }

    /// Forgets a Tenant.
    pub fn tenant_gone(&self, metadata: &ObjectMeta) -> TenantImpact {
        let (key, version) = (Key::of(metadata), version_of(metadata));
        let harnesses = self.tenants_by_harness.write().remove(&key, version);
        let ids = self.tenants_by_id.write().remove(&key, version);
        let tags = self.tenants_by_tag.write().remove(&key, version);
        self.borrowers_by_namespace.write().remove(&key, version);
        self.impact(harnesses, ids, tags)
    }

    fn impact(
        &self,
        harnesses: Option<Change<Key>>,
        ids: Option<Change<String>>,
        tags: Option<Change<String>>,
    ) -> TenantImpact {
        let rivals = |table: &RwLock<Table<String, Claim>>, change: Option<Change<String>>| {
            change.map_or_else(Vec::new, |change| {
                let claims = table.read();
                let same = change.groups.iter().flat_map(|group| claims.members(group));
                same.map(|(key, _)| key.clone()).filter(|key| *key != change.key).collect()
            })
        };
        let mut all: Vec<Key> = rivals(&self.tenants_by_id, ids);
        all.extend(rivals(&self.tenants_by_tag, tags));
        let rivals = all;
        TenantImpact { harnesses: harnesses.map_or_else(Vec::new, |change| change.groups), rivals }
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

    /// The Tenant whose claim to the id comes before `claim`, if any.
    pub fn earlier_claim(&self, tenant_id: &str, claim: &Claim) -> Option<Key> {
        let (claims, tenant_id) = (self.tenants_by_id.read(), tenant_id.to_owned());
        let earlier = claims.members(&tenant_id).filter(|(_, other)| ***other < *claim);
        earlier.min_by(|(_, one), (_, other)| one.cmp(other)).map(|(key, _)| key.clone())
    }

    /// The Tenant that has the memory's tag, when it is of another namespace and its claim comes before `claim`. Within a
    /// namespace all Tenants may use the same keys, and with them any tag; whoever has come second from elsewhere does not
    /// change that.
    pub fn earlier_tag(&self, tag: &str, tenant: &Key, claim: &Claim) -> Option<Key> {
        let (claims, tag) = (self.tenants_by_tag.read(), tag.to_owned());
        let (holder, first) = claims.members(&tag).min_by(|(_, one), (_, other)| one.cmp(other))?;
        (holder.namespace != tenant.namespace && **first < *claim).then(|| holder.clone())
    }

    /// A listing of Tenants begins.
    pub fn begin_tenants(&self) {
        self.tenants_by_tag.write().begin_listing();
        self.tenants_by_harness.write().begin_listing();
        self.tenants_by_id.write().begin_listing();
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
        let (ids, tags) =
            (self.tenants_by_id.write().finish_listing(), self.tenants_by_tag.write().finish_listing());
        for change in ids {
            impact.rivals.extend(self.impact(None, Some(change), None).rivals);
        }
        for change in tags {
            impact.rivals.extend(self.impact(None, None, Some(change)).rivals);
        }
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
