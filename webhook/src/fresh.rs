//! Observation stage: what an object is judged against, read anew. Reads the API.
//!
//! What a watch has seen may be some milliseconds old, and `kubectl apply` of one file is faster. Nobody may be refused for
//! what has just been mended: before that, what the refusal rests on is read once more. Who passes by what is old is
//! judged by the operator.

use std::sync::Arc;

use kr8tiv_crds::{Agent, Harness, Tenant};
use kr8tiv_operator::guard::Guarded;
use kr8tiv_operator::index::harness_of;
use kr8tiv_operator::key::Key;
use kube::api::ListParams;
use kube::{Api, Client, Error, Resource};

use crate::neighbours::Neighbours;

/// A Harness in use is looked for in this many of its Tenants.
const USERS: usize = 20;

/// A tenant's Harness and Agents.
pub async fn of_tenant(client: &Client, tenant: &Tenant, known: Neighbours) -> Result<Neighbours, Error> {
    let (own, harness) = (Key::of(&tenant.metadata), harness_of(tenant));
    let harnesses: Api<Guarded<Harness>> = Api::namespaced(client.clone(), &harness.namespace);
    let agents: Api<Guarded<Agent>> = Api::namespaced(client.clone(), &own.namespace);
    let harness = harnesses.get_opt(&harness.name).await?.map(Arc::new);
    let is_its_own = |agent: &Guarded<Agent>| {
        let refers_to = match agent.readable() {
            Ok(agent) => Some(own.sibling(&agent.spec.tenant_ref.name)),
            Err(unreadable) => unreadable.refers_to.clone(),
        };
        agent.meta().deletion_timestamp.is_none() && refers_to.as_ref() == Some(&own)
    };
    let agents = agents.list(&ListParams::default()).await?.items.into_iter().filter(is_its_own);
    Ok(Neighbours { harness, agents: agents.map(Arc::new).collect(), ..known })
}

/// An Agent's Tenant with its Harness and Agents.
pub async fn of_agent(client: &Client, agent: &Agent, known: Neighbours) -> Result<Neighbours, Error> {
    let key = Key::of(&agent.metadata).sibling(&agent.spec.tenant_ref.name);
    let tenants: Api<Guarded<Tenant>> = Api::namespaced(client.clone(), &key.namespace);
    let found = tenants.get_opt(&key.name).await?;
    let Some(found) = found.filter(|tenant| tenant.meta().deletion_timestamp.is_none()) else {
        return Ok(Neighbours { tenant: None, ..known });
    };
    let neighbours = match found.readable() {
        Ok(tenant) => of_tenant(client, tenant, known).await?,
        Err(_) => known,
    };
    Ok(Neighbours { tenant: Some(Arc::new(found)), ..neighbours })
}

/// Of the Tenants that were seen to use a Harness, those that still do.
pub async fn users(client: &Client, harness: &Key, known: &[Key]) -> Result<Vec<Key>, Error> {
    let mut users = Vec::new();
    for (position, key) in known.iter().enumerate() {
        // One is enough to know that it is in use.
        if !users.is_empty() || position == USERS {
            users.extend(known[position..].iter().cloned());
            break;
        }
        let tenants: Api<Guarded<Tenant>> = Api::namespaced(client.clone(), &key.namespace);
        let found = tenants.get_opt(&key.name).await?;
        let found = found.filter(|tenant| tenant.meta().deletion_timestamp.is_none());
        let is_using = |tenant: &Guarded<Tenant>| match tenant.readable() {
            Ok(tenant) => harness_of(tenant) == *harness,
            Err(unreadable) => unreadable.refers_to.as_ref() == Some(harness),
        };
        users.extend(found.is_some_and(|tenant| is_using(&tenant)).then(|| key.clone()));
    }
    Ok(users)
}
