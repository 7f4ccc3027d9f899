//! Observation stage, no I/O: what an object is judged against, from the operator's stores.

use std::sync::Arc;

use kr8tiv_compiler::{Surroundings, TokenHolder, credential_claims};
use kr8tiv_crds::{Agent, Harness, Tenant};
use kr8tiv_operator::guard::{CustomKind, Guarded};
use kr8tiv_operator::index::{Claim, harness_of};
use kr8tiv_operator::key::Key;
use kr8tiv_operator::stores::{Stores, custom};
use kube::Resource;

use crate::judge::User;

/// Of the Tenants that use a Harness, this many are compiled with what it becomes: each takes about a millisecond, twice
/// that where something is wrong.
const USERS: usize = 50;

/// What there is around a tenant. Objects whose deletion has begun are not there any more.
#[derive(Clone, Debug, Default)]
pub struct Neighbours {
    /// The Tenant, unless it is what is judged.
    pub tenant: Option<Arc<Guarded<Tenant>>>,
    /// Its Harness, unless that is what is judged.
    pub harness: Option<Arc<Guarded<Harness>>>,
    /// Its Agents.
    pub agents: Vec<Arc<Guarded<Agent>>>,
    /// What the cluster says around it.
    pub surroundings: Surroundings,
    /// The tenant id, and the Tenant that has had it before.
    pub rival: Option<(String, Key)>,
}

fn living<K: CustomKind>(object: Arc<Guarded<K>>) -> Option<Arc<Guarded<K>>> {
    object.meta().deletion_timestamp.is_none().then_some(object)
}

/// What a Tenant is judged against.
pub fn of_tenant(stores: &Stores, tenant: &Tenant) -> Neighbours {
    let mut neighbours = around(stores, tenant);
    let (own, claim) = (Key::of(&tenant.metadata), Claim::of(&tenant.metadata));
    neighbours.rival = kr8tiv_compiler::tenant_id(tenant).and_then(|id| {
        let holder = stores.index.earlier_claim(&id, &claim).filter(|holder| *holder != own)?;
        Some((id, holder))
    });
    // The operator compares what is in the Secrets. Here they are not read: two Tenants that name the same one are seen.
    let wanted = credential_claims(&tenant.spec);
    if wanted.is_empty() {
        return neighbours;
    }
    let earlier = stores.tenants.state().into_iter().filter(|other| {
        let key = Key::of(other.meta());
        key.namespace == own.namespace && key != own && Claim::of(other.meta()) < claim
    });
    for other in earlier.filter_map(living) {
        let Ok(other) = other.readable() else { continue };
        let name = other.metadata.name.clone().unwrap_or_default();
        for theirs in credential_claims(&other.spec) {
            if wanted.iter().any(|claim| claim.secret == theirs.secret) {
                let holder = TokenHolder { tenant: name.clone(), field: theirs.field };
                neighbours.surroundings.taken_tokens.insert(theirs.secret, holder);
            }
        }
    }
    neighbours
}

/// What an Agent is judged against.
pub fn of_agent(stores: &Stores, agent: &Agent) -> Neighbours {
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
    Neighbours {
        tenant: None,
        harness: custom(&stores.harnesses, &harness_of(tenant)),
        agents: agents.collect(),
        surroundings: surroundings(stores, tenant),
        rival: None,
    }
}

fn surroundings(stores: &Stores, tenant: &Tenant) -> Surroundings {
    let namespace = tenant.metadata.namespace.as_deref().unwrap_or_default();
    let labels = kr8tiv_compiler::harness_namespace(tenant).and_then(|_| stores.namespace_labels(namespace));
    let gateway = tenant.status.as_ref().and_then(|status| status.gateway.as_ref());
    Surroundings {
        namespace_labels: labels.as_deref().cloned().unwrap_or_default(),
        running_version: gateway.map(|gateway| gateway.version.clone()),
        ..Surroundings::default()
    }
}

/// The Tenants that are compiled with what a Harness becomes.
pub fn users(stores: &Stores, harness: &Harness) -> Vec<User> {
    let tenants = stores.index.tenants_of_harness(&Key::of(&harness.metadata)).into_iter();
    let users = tenants.filter_map(|key| {
        let found = custom(&stores.tenants, &key).and_then(living)?;
        let around = found.readable().map(|tenant| around(stores, tenant)).unwrap_or_default();
        Some(User { key, neighbours: Neighbours { tenant: Some(found), ..around } })
    });
    users.take(USERS).collect()
}

/// The Tenants that use a Harness: those that refer to it and may.
pub fn keys_of_users(stores: &Stores, harness: &Harness) -> Vec<Key> {
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
    tenants.filter(|tenant| may(tenant) && is_living(tenant)).collect()
}
