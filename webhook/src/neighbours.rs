//! Observation stage, no I/O: what an object is judged against, from the operator's stores.

use std::sync::Arc;

use kr8tiv_compiler::{Surroundings, TokenHolder, credential_claims};
use kr8tiv_crds::{Agent, Harness, Tenant};
use kr8tiv_operator::claims::{Claim, Taken};
use kr8tiv_operator::guard::{CustomKind, Guarded};
use kr8tiv_operator::index::harness_of;
use kr8tiv_operator::key::Key;
use kr8tiv_operator::stores::{Stores, custom};
use kube::Resource;

use crate::review::{Change, Question};

/// Of the Tenants that use a Harness, this many are compiled with what it becomes: once, and twice where something is
/// wrong. All of them together take about as long as the API server should ever be kept waiting.
const USERS: usize = 50;

/// What there is around an object. Tenants and Agents whose deletion has begun are not there any more.
#[derive(Clone, Debug, Default)]
pub struct Neighbours {
    /// The Tenant of an Agent, or one that uses a Harness.
    pub tenant: Option<Arc<Guarded<Tenant>>>,
    /// The Tenant's Harness.
    pub harness: Option<Arc<Guarded<Harness>>>,
    /// The Harness that the Tenant had before the change.
    pub harness_before: Option<Arc<Guarded<Harness>>>,
    /// The Tenant's Agents.
    pub agents: Vec<Arc<Guarded<Agent>>>,
    /// What the cluster says around the Tenant.
    pub surroundings: Surroundings,
    /// What the Tenant asks for and another one has had before.
    pub taken: Option<Taken>,
    /// Who uses a Harness.
    pub users: Vec<User>,
}

/// A Tenant that uses a Harness, with what else it is compiled from.
#[derive(Clone, Debug)]
pub struct User {
    /// The Tenant.
    pub key: Key,
    /// It and its Agents; empty where nothing is compiled.
    pub neighbours: Neighbours,
}

/// What the object of a question is judged against.
pub fn of(stores: &Stores, question: &Question) -> Neighbours {
    match question {
        Question::Tenant(change) => of_tenant(stores, change),
        Question::Agent(change) => of_agent(stores, &change.new),
        Question::Harness(change) => {
            Neighbours { users: users(stores, &change.new), ..Neighbours::default() }
        }
        Question::HarnessGone(harness) => {
            Neighbours { users: holders(stores, harness), ..Neighbours::default() }
        }
    }
}

/// An object whose deletion has not begun.
pub(crate) fn living<K: CustomKind>(object: Arc<Guarded<K>>) -> Option<Arc<Guarded<K>>> {
    object.meta().deletion_timestamp.is_none().then_some(object)
}

fn of_tenant(stores: &Stores, change: &Change<Tenant>) -> Neighbours {
    let tenant = &change.new;
    let mut neighbours = around(stores, tenant);
    let before = change.old.as_ref().map(|old| harness_of(old));
    neighbours.harness_before = before.and_then(|harness| custom(&stores.harnesses, &harness));
    let (own, claim) = (Key::of(&tenant.metadata), Claim::of(&tenant.metadata));
    let (id, tag) = (kr8tiv_compiler::tenant_id(tenant), tenant.spec.container_tag.as_deref());
    let taken = stores.index.taken(id.as_deref(), tag, &claim);
    neighbours.taken = taken.filter(|taken| taken.holder != own);
    // The operator compares what is in the Secrets. Here they are not read: two Tenants that name the same one are seen.
    let wanted = credential_claims(&tenant.spec);
    if wanted.is_empty() {
        return neighbours;
    }
    let mut earlier: Vec<_> = stores.tenants.state().into_iter().filter_map(living).collect();
    earlier.retain(|other| {
        let key = Key::of(other.meta());
        key.namespace == own.namespace && key != own && Claim::of(other.meta()) < claim
    });
    // Whoever was first is named, in whatever order they are stored.
    earlier.sort_by_cached_key(|other| Claim::of(other.meta()));
    for other in earlier {
        let Ok(other) = other.readable() else { continue };
        let name = other.metadata.name.clone().unwrap_or_default();
        for theirs in credential_claims(&other.spec) {
            if wanted.iter().any(|claim| claim.secret == theirs.secret) {
                let holder = TokenHolder { tenant: name.clone(), field: theirs.field };
                neighbours.surroundings.taken_tokens.entry(theirs.secret).or_insert(holder);
            }
        }
    }
    neighbours
}

fn of_agent(stores: &Stores, agent: &Agent) -> Neighbours {
    let key = Key::of(&agent.metadata).sibling(&agent.spec.tenant_ref.name);
    let Some(found) = custom(&stores.tenants, &key).and_then(living) else { return Neighbours::default() };
    let neighbours = found.readable().map(|tenant| around(stores, tenant)).unwrap_or_default();
    Neighbours { tenant: Some(found), ..neighbours }
}

/// What else a tenant is compiled from.
fn around(stores: &Stores, tenant: &Tenant) -> Neighbours {
    let key = Key::of(&tenant.metadata);
    let agents = stores.index.agents_of_tenant(&key);
    let agents = agents.iter().filter_map(|agent| custom(&stores.agents, agent)).filter_map(living);
    let status = tenant.status.as_ref();
    let gateway = status.and_then(|status| status.gateway.as_ref());
    let labels = stores.namespace_labels(&key.namespace);
    Neighbours {
        harness: custom(&stores.harnesses, &harness_of(tenant)),
        agents: agents.collect(),
        surroundings: Surroundings {
            namespace_labels: labels.as_deref().cloned().unwrap_or_default(),
            running_version: gateway.map(|gateway| gateway.version.clone()),
            container_tag: status.and_then(|status| status.container_tag.clone()),
            ..Surroundings::default()
        },
        ..Neighbours::default()
    }
}

/// The Tenants that are compiled with what a Harness becomes.
fn users(stores: &Stores, harness: &Harness) -> Vec<User> {
    let tenants = stores.index.tenants_of_harness(&Key::of(&harness.metadata)).into_iter();
    let users = tenants.filter_map(|key| {
        let found = custom(&stores.tenants, &key).and_then(living)?;
        let around = found.readable().map(|tenant| around(stores, tenant)).unwrap_or_default();
        Some(User { key, neighbours: Neighbours { tenant: Some(found), ..around } })
    });
    users.take(USERS).collect()
}

/// The Tenants that hold a Harness: those that refer to it and may.
fn holders(stores: &Stores, harness: &Harness) -> Vec<User> {
    let own = Key::of(&harness.metadata);
    let may = |tenant: &Key| {
        let labels = stores.namespace_labels(&tenant.namespace);
        tenant.namespace == own.namespace
            || kr8tiv_compiler::is_shared(
                &harness.spec.sharing,
                &labels.as_deref().cloned().unwrap_or_default(),
            )
    };
    let is_living = |tenant: &Key| custom(&stores.tenants, tenant).and_then(living).is_some();
    let tenants = stores.index.tenants_of_harness(&own).into_iter();
    let holders = tenants.filter(|tenant| may(tenant) && is_living(tenant));
    holders.map(|key| User { key, neighbours: Neighbours::default() }).collect()
}
