//! What is wanted of a tenant's memory. Pure.
//!
//! The bundle says it: the compiler is the one place where a Harness takes effect (docs/adr/0013).

use std::time::Duration;

use kr8tiv_compiler::{Bundle, MemorySettings};
use kr8tiv_crds::memory::MemoryIngestion;
use kr8tiv_crds::reference::SecretKeyReference;
use kr8tiv_crds::tenant::TenantSpec;
use ring::digest;

/// Hexadecimal digits of a seed's hash in its `customId`, which has at most 100 characters: a tenant id has up to 49.
const HASH_DIGITS: usize = 32;

/// What is fetched and put in for a tenant, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// Base URL of the service.
    pub base_url: String,
    /// The tag, which bounds everything that is asked and stored.
    pub container_tag: String,
    /// Where the key is, in the tenant's namespace; `None` when the Tenant names none.
    pub key: Option<SecretKeyReference>,
    /// What is looked up.
    pub queries: Vec<String>,
    /// Lines at most.
    pub limit: u32,
    /// How similar a line must be, from 0 to 1.
    pub threshold: f64,
    /// How long one call may take.
    pub timeout: Duration,
    /// How often is fetched.
    pub refresh: Duration,
    /// What is put in.
    pub seed: Option<Seed>,
}

/// The memory seed of a Harness, as a document of one tenant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Seed {
    /// Names this content of this tenant in one memory: the same content has the same name, and replaces itself. In
    /// another memory, of another service or tag, it has another: there it is not in yet.
    pub custom_id: String,
    /// Whether the document is given that name, so that a second addition is harmless.
    pub is_named: bool,
    /// Where it came from, for its metadata.
    pub namespace: String,
    /// The tenant's id, for its metadata.
    pub tenant_id: String,
    /// The text.
    pub content: String,
}

/// What a bundle asks for a tenant; `None` when it has no use for memory.
pub fn wanted(tenant: &TenantSpec, bundle: &Bundle) -> Option<Wanted> {
    let settings = bundle.memory.as_ref()?;
    // Without `..`: a new setting must not be forgotten here.
    let MemorySettings {
        base_url,
        container_tag,
        top_k,
        threshold,
        timeout,
        refresh_interval,
        queries,
        ingestion,
        seed,
    } = settings;
    Some(Wanted {
        base_url: base_url.clone(),
        container_tag: container_tag.clone(),
        key: tenant.supermemory.as_ref().map(|access| access.api_key_secret_ref.clone()),
        queries: queries.clone(),
        limit: u32::try_from(*top_k).unwrap_or(1),
        threshold: *threshold,
        timeout: *timeout,
        refresh: *refresh_interval,
        seed: seed.as_ref().map(|content| {
            let place = [base_url.as_str(), container_tag];
            Seed::new(content, ingestion, &bundle.tenant_id, place)
        }),
    })
}

impl Seed {
    /// `place` has the base URL and the tag.
    fn new(content: &str, ingestion: &MemoryIngestion, tenant_id: &str, place: [&str; 2]) -> Self {
        let namespace = &ingestion.metadata_namespace;
        let [base_url, container_tag] = place;
        let named = format!("{base_url}\n{container_tag}\n{namespace}\n{content}");
        let hash = digest::digest(&digest::SHA256, named.as_bytes());
        let mut hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        hash.truncate(HASH_DIGITS);
        Self {
            custom_id: format!("{tenant_id}-{hash}"),
            is_named: ingestion.dedupe_by_custom_id,
            namespace: namespace.clone(),
            tenant_id: tenant_id.to_owned(),
            content: content.to_owned(),
        }
    }
}

impl Wanted {
    /// Whether there is anything to ask, and a key to ask with.
    pub fn asks(&self) -> bool {
        self.key.is_some() && !(self.queries.is_empty() && self.seed.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_named_by_tenant_content_and_memory() {
        let id_in = |content: &str, namespace: &str, tenant: &str, place: [&str; 2]| {
            let ingestion =
                MemoryIngestion { metadata_namespace: namespace.into(), ..MemoryIngestion::default() };
            Seed::new(content, &ingestion, tenant, place).custom_id
        };
        let place = ["https://memory.example.com", "tenant-a"];
        let id = |content: &str, namespace: &str, tenant: &str| id_in(content, namespace, tenant, place);
        let long = format!("{}-01234567", "t".repeat(40));
        let name = id("Likes tea.", "kr8tiv", &long);
        assert_eq!(name, id("Likes tea.", "kr8tiv", &long));
        assert!(name.len() <= 100 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'), "{name}");
        for other in [
            id("Likes coffee.", "kr8tiv", &long),
            id("Likes tea.", "other", &long),
            id("Likes tea.", "kr8tiv", "acme-01234567"),
            id_in("Likes tea.", "kr8tiv", &long, ["https://other.example.com", place[1]]),
            id_in("Likes tea.", "kr8tiv", &long, [place[0], "tenant-b"]),
        ] {
            assert_ne!(name, other);
        }
    }
}
