//! One round for one tenant: puts in the seed that is not in yet, and asks all queries. HTTPS to Supermemory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kr8tiv_supermemory::lines::context_lines;
use kr8tiv_supermemory::{ApiKey, BaseUrl, Client, Document, Error, Search, Transport};
use tokio::time::Instant;

use super::wanted::{Seed, Wanted};

/// What is in the metadata of a seed, beside its namespace and the tenant's id.
const SOURCE: &str = "memorySeed";

/// What the queries gave.
#[derive(Debug, PartialEq)]
pub(super) struct Fetched {
    pub(super) lines: Vec<String>,
    /// How long the slowest query took; `None` without a query.
    pub(super) latency: Option<Duration>,
}

/// What a round came to.
#[derive(Debug)]
pub(super) struct Round {
    /// Whether the seed is in; `None` when there was none to put in.
    pub(super) seeded: Option<Result<(), Error>>,
    /// What was found.
    pub(super) found: Result<Fetched, Error>,
}

/// Does one round. The queries count as a whole: without the answer to one of them, nothing has been fetched.
pub(super) async fn round(
    transport: &Arc<dyn Transport>,
    base: BaseUrl,
    key: ApiKey,
    wanted: &Wanted,
    ingested: Option<&str>,
) -> Round {
    let client = Client::new(Arc::clone(transport), base, key);
    let due = wanted.seed.as_ref().filter(|seed| ingested != Some(seed.custom_id.as_str()));
    let seeded = match due {
        None => None,
        Some(seed) => Some(put_in(&client, wanted, seed).await),
    };
    // Who is refused once is refused for each query as well.
    if let Some(Err(error @ Error::AuthFailed { .. })) = seeded {
        return Round { seeded: None, found: Err(error) };
    }
    Round { seeded, found: ask(&client, wanted).await }
}

async fn put_in(client: &Client, wanted: &Wanted, seed: &Seed) -> Result<(), Error> {
    let metadata = BTreeMap::from([
        ("namespace", seed.namespace.as_str()),
        ("source", SOURCE),
        ("tenantId", seed.tenant_id.as_str()),
    ]);
    let document = Document {
        content: &seed.content,
        container_tag: &wanted.container_tag,
        custom_id: seed.is_named.then_some(seed.custom_id.as_str()),
        metadata,
    };
    client.add(&document, wanted.timeout).await.map(|_| ())
}

async fn ask(client: &Client, wanted: &Wanted) -> Result<Fetched, Error> {
    let mut hits = Vec::new();
    let mut latency = None;
    for query in &wanted.queries {
        let search = Search {
            query,
            container_tag: &wanted.container_tag,
            limit: wanted.limit,
            threshold: wanted.threshold,
        };
        let begun = Instant::now();
        hits.extend(client.search(&search, wanted.timeout).await?);
        latency = latency.max(Some(begun.elapsed()));
    }
    let limit = usize::try_from(wanted.limit).unwrap_or(usize::MAX);
    Ok(Fetched { lines: context_lines(hits, wanted.threshold, limit), latency })
}
