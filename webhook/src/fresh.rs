//! Observation stage: what a refusal rests on, read anew. Reads the API.
//!
//! What a watch has seen may be some milliseconds old, and `kubectl apply` of one file is faster. Nobody may be refused for
//! what has just been mended: before that, what the refusal rests on is read once more. Who passes by what is old is
//! judged by the operator. What is not watched is not there, as for the watches, and not asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt};
use kr8tiv_compiler::credential_claims;
use kr8tiv_crds::reference::SecretKeyReference;
use kr8tiv_crds::sharing::SharedFrom;
use kr8tiv_crds::{Agent, Harness, Tenant};
use kr8tiv_operator::client::said;
use kr8tiv_operator::guard::{CustomKind, Guarded};
use kr8tiv_operator::index::harness_of;
use kr8tiv_operator::key::Key;
use kr8tiv_operator::watched::Watched;
use kube::api::ListParams;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::neighbours::{Neighbours, User, living};
use crate::review::{Change, Question};

/// A Harness in use is looked for in this many of its Tenants.
const USERS: usize = 20;
/// So many of them are read at the same time.
const AT_ONCE: usize = 10;
/// Longer than any of this takes, and short beside what the API server waits.
const LONGEST: Duration = Duration::from_secs(1);

/// Why something is not known anew.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An object can't be read.
    #[error("{kind} {key} can't be read: {}", said(.source))]
    Object {
        /// Its kind.
        kind: String,
        /// Its name.
        key: Key,
        /// What the API server says.
        source: kube::Error,
    },
    /// The labels of a namespace can't be read.
    #[error("namespace {namespace} can't be read: {}", said(.source))]
    Namespace {
        /// The namespace.
        namespace: String,
        /// What the API server says.
        source: kube::Error,
    },
    /// The Agents of a namespace can't be listed.
    #[error("the Agents of namespace {namespace} can't be listed: {}", said(.source))]
    Agents {
        /// The namespace.
        namespace: String,
        /// What the API server says.
        source: kube::Error,
    },
    /// The API server does not answer.
    #[error("the API server did not answer within {} s", LONGEST.as_secs())]
    Late,
}

/// What the object of a question is judged against, as it is now. `None` when the refusal rests on the object alone.
pub async fn of(
    watched: &Watched,
    question: &Question,
    known: &Neighbours,
) -> Result<Option<Neighbours>, Error> {
    let reading = async {
        match question {
            Question::Tenant(change) => of_tenant(watched, change, known).await.map(Some),
            Question::Agent(change) => of_agent(watched, &change.new, known).await.map(Some),
            Question::Harness(_) => Ok(None),
            Question::HarnessGone(harness) => {
                let users = users(watched, harness, &known.users).await?;
                Ok(Some(Neighbours { users, ..Neighbours::default() }))
            }
        }
    };
    timeout(LONGEST, reading).await.map_err(|_| Error::Late)?
}

async fn get<K: CustomKind>(watched: &Watched, key: &Key) -> Result<Option<Arc<Guarded<K>>>, Error> {
    let Some(objects) = watched.within::<Guarded<K>>(&key.namespace) else { return Ok(None) };
    let found = objects.get_opt(&key.name).await;
    let failed = |source| Error::Object { kind: K::kind(&()).into_owned(), key: key.clone(), source };
    Ok(found.map_err(failed)?.map(Arc::new))
}

async fn labels_of(watched: &Watched, namespace: &str) -> Result<BTreeMap<String, String>, Error> {
    let Some(namespaces) = watched.namespaces() else { return Ok(BTreeMap::new()) };
    let found = namespaces.get_metadata_opt(namespace).await;
    let found = found.map_err(|source| Error::Namespace { namespace: namespace.to_owned(), source })?;
    Ok(found.and_then(|namespace| namespace.metadata.labels).unwrap_or_default())
}

async fn of_tenant(
    watched: &Watched,
    change: &Change<Tenant>,
    known: &Neighbours,
) -> Result<Neighbours, Error> {
    let mut neighbours = around(watched, &change.new, known).await?;
    if let Some(old) = &change.old {
        let before = harness_of(old);
        let is_same = before == harness_of(&change.new);
        neighbours.harness_before =
            if is_same { neighbours.harness.clone() } else { get(watched, &before).await? };
    }
    if let Some(taken) = &known.taken {
        let holder = get::<Tenant>(watched, &taken.holder).await?;
        let has_it = holder.and_then(|holder| taken.property.of(&holder)).as_ref() == Some(&taken.value);
        neighbours.taken = known.taken.clone().filter(|_| has_it);
    }
    let taken = &mut neighbours.surroundings.taken_tokens;
    let holders: BTreeSet<_> = taken.values().map(|holder| holder.tenant.clone()).collect();
    for name in holders {
        let found = get::<Tenant>(watched, &Key::of(&change.new.metadata).sibling(&name)).await?;
        let found = found.and_then(living);
        let readable = found.as_ref().and_then(|tenant| tenant.readable().ok());
        let claims = readable.map(|tenant| credential_claims(&tenant.spec)).unwrap_or_default();
        let is_claimed = |secret: &SecretKeyReference| claims.iter().any(|claim| claim.secret == *secret);
        taken.retain(|secret, holder| holder.tenant != name || is_claimed(secret));
    }
    Ok(neighbours)
}

async fn of_agent(watched: &Watched, agent: &Agent, known: &Neighbours) -> Result<Neighbours, Error> {
    let key = Key::of(&agent.metadata).sibling(&agent.spec.tenant_ref.name);
    let Some(found) = get::<Tenant>(watched, &key).await?.and_then(living) else {
        return Ok(Neighbours { tenant: None, ..known.clone() });
    };
    let neighbours = match found.readable() {
        Ok(tenant) => around(watched, tenant, known).await?,
        Err(_) => known.clone(),
    };
    Ok(Neighbours { tenant: Some(found), ..neighbours })
}

/// What else a tenant is compiled from.
async fn around(watched: &Watched, tenant: &Tenant, known: &Neighbours) -> Result<Neighbours, Error> {
    let (own, harness) = (Key::of(&tenant.metadata), harness_of(tenant));
    let mut neighbours = Neighbours { harness: get(watched, &harness).await?, ..known.clone() };
    if harness.namespace != own.namespace {
        neighbours.surroundings.namespace_labels = labels_of(watched, &own.namespace).await?;
    }
    let is_its_own = |agent: &Guarded<Agent>| {
        let refers_to = match agent.readable() {
            Ok(agent) => Some(own.sibling(&agent.spec.tenant_ref.name)),
            Err(unreadable) => unreadable.refers_to.clone(),
        };
        refers_to.as_ref() == Some(&own)
    };
    let Some(agents) = watched.within::<Guarded<Agent>>(&own.namespace) else { return Ok(neighbours) };
    let agents = agents.list(&ListParams::default()).await;
    let agents = agents.map_err(|source| Error::Agents { namespace: own.namespace.clone(), source })?;
    let agents = agents.items.into_iter().filter(is_its_own).map(Arc::new);
    neighbours.agents = agents.filter_map(living).collect();
    Ok(neighbours)
}

/// Of the Tenants that were seen to use a Harness, the first that still does and may, and all behind it: one is enough to
/// know that it is in use. Where none of the first [`USERS`] does, those behind them count as they were seen.
async fn users(watched: &Watched, harness: &Harness, known: &[User]) -> Result<Vec<User>, Error> {
    let (looked_at, rest) = known.split_at(known.len().min(USERS));
    let labels: BTreeMap<_, _> =
        looked_at.iter().map(|user| (user.key.namespace.as_str(), OnceCell::new())).collect();
    let answers: Vec<_> = looked_at
        .iter()
        .map(|user| holds(watched, &user.key, harness, &labels[user.key.namespace.as_str()]))
        .collect();
    let mut answers = pin!(stream::iter(answers).buffered(AT_ONCE).enumerate());
    while let Some((position, holds)) = answers.next().await {
        if holds? {
            return Ok(known[position..].to_vec());
        }
    }
    Ok(rest.to_vec())
}

/// Whether a Tenant uses a Harness and may. `labels` are those of its namespace, which are read once for all in it.
async fn holds(
    watched: &Watched,
    tenant: &Key,
    harness: &Harness,
    labels: &OnceCell<BTreeMap<String, String>>,
) -> Result<bool, Error> {
    let (own, sharing) = (Key::of(&harness.metadata), &harness.spec.sharing);
    let Some(found) = get::<Tenant>(watched, tenant).await?.and_then(living) else { return Ok(false) };
    let used = match found.readable() {
        Ok(tenant) => Some(harness_of(tenant)),
        Err(unreadable) => unreadable.refers_to.clone(),
    };
    if used.is_none_or(|used| used != own) {
        return Ok(false);
    }
    if tenant.namespace == own.namespace {
        return Ok(true);
    }
    if sharing.from != SharedFrom::Selector {
        return Ok(kr8tiv_compiler::is_shared(sharing, &BTreeMap::new()));
    }
    let labels = labels.get_or_try_init(|| labels_of(watched, &tenant.namespace)).await?;
    Ok(kr8tiv_compiler::is_shared(sharing, labels))
}
