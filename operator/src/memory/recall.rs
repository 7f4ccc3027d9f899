//! What may be kept of a tenant's memory: over a start of the operator, and when its Harness or key changes. Reads two
//! ConfigMaps of the tenant's own after a start, and nothing later.
//!
//! It is decided before a pass compiles, so that no bundle has lines of a memory that is not its own; also for a tenant
//! that is suspended, for which nothing is fetched.

use k8s_openapi::api::core::v1::ConfigMap;
use kr8tiv_compiler::{CONTEXT_FILE, read_context};
use kr8tiv_crds::memory::Supermemory;
use kube::Api;
use serde::Deserialize;

use super::{Entry, Facts, Memories};
use crate::backoff::Pace;
use crate::child::{ChildId, ChildKind};
use crate::client::said;
use crate::tenant::observe::Observed;
use crate::tenant::stop::pace_of;

/// The file of the configuration that says from which memory the lines beside it are. The configuration is written
/// after the workspaces: it is never ahead of them.
const MEMORY_FILE: &str = "memory.json";

/// The context that the agents have could not be read.
#[derive(Debug, thiserror::Error)]
#[error("ConfigMap {name}: {}", said(source))]
pub struct Error {
    /// The ConfigMap.
    pub name: String,
    /// What the client says.
    pub source: Box<kube::Error>,
}

/// Where lines come from: those of another origin are not this tenant's any more.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Origin {
    base_url: String,
    /// The tag, which stays.
    tag: Option<String>,
    /// Whether there is a query, and a key to ask it with: without, there are no lines.
    is_asked: bool,
}

/// The part of `memory.json` that tells the origin.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Applied {
    base_url: String,
    container_tag: String,
}

impl Origin {
    fn of(observed: &Observed<'_>, memory: &Supermemory) -> Self {
        let (tenant, given) = (observed.tenant, observed.previous.container_tag.as_deref());
        Self {
            base_url: memory.base_url.clone(),
            tag: kr8tiv_compiler::container_tag(tenant, given, &memory.container_tag_prefix),
            is_asked: tenant.spec.supermemory.is_some() && !memory.queries.is_empty(),
        }
    }

    /// Whether lines that were applied with these settings come from here.
    fn is_of(&self, applied: &Applied) -> bool {
        applied.base_url == self.base_url && Some(&applied.container_tag) == self.tag.as_ref()
    }
}

impl Facts {
    /// What is known of a new origin: nothing but what was put in last, which is named by where it is.
    fn elsewhere(self) -> Self {
        Self { ingested: self.ingested, ..Self::default() }
    }
}

impl Entry {
    /// Lets go of everything that comes from elsewhere, with the task that would bring it back.
    fn settle(&mut self, origin: Origin) {
        if self.origin != origin {
            self.following = None;
            self.facts = std::mem::take(&mut self.facts).elsewhere();
            self.origin = origin;
        }
    }
}

impl Memories {
    /// Makes sure that what was known before the start is known, once for each tenant with memory, and that nothing is
    /// known that is of another memory. Asks the API server only when an agent of the tenant has a workspace. On an error
    /// nothing may be applied: agents would lose their context.
    pub async fn recall(&self, observed: &Observed<'_>, settings: &Supermemory) -> Result<(), Error> {
        let origin = Origin::of(observed, settings);
        let is_known = |entry: &&mut Entry| entry.uid == observed.uid;
        if let Some(entry) = self.known.lock().get_mut(&observed.key).filter(is_known) {
            entry.settle(origin);
            return Ok(());
        }
        let lines = self.lines(observed).await?;
        let facts = Facts::of_status(&observed.previous);
        let facts = if lines.is_empty() || self.are_of(&origin, observed).await? {
            Facts { lines, ..facts }
        } else {
            facts.elsewhere()
        };
        let entry = Entry { uid: observed.uid.to_owned(), origin, facts, following: None, served: None };
        self.known.lock().insert(observed.key.clone(), entry);
        Ok(())
    }

    /// The lines that the agents have: all of them have the same.
    async fn lines(&self, observed: &Observed<'_>) -> Result<Vec<String>, Error> {
        let start = format!("{}-workspace.", observed.key.name);
        let mut own = observed.children.keys().filter(|id| id.name.starts_with(&start));
        let content = match own.find(|id| is_own(observed, id)) {
            Some(id) => self.file(observed, id, CONTEXT_FILE).await?,
            None => None,
        };
        Ok(content.map(|content| read_context(&content)).unwrap_or_default())
    }

    /// Whether the lines that the agents have come from there.
    async fn are_of(&self, origin: &Origin, observed: &Observed<'_>) -> Result<bool, Error> {
        let name = format!("{}-gateway-config", observed.key.name);
        let id = ChildId { kind: ChildKind::ConfigMap, name };
        if !origin.is_asked || !is_own(observed, &id) {
            return Ok(false);
        }
        let content = self.file(observed, &id, MEMORY_FILE).await?;
        let applied = content.and_then(|content| serde_json::from_str(&content).ok());
        Ok(applied.is_some_and(|applied| origin.is_of(&applied)))
    }

    /// A file of a ConfigMap.
    async fn file(&self, observed: &Observed<'_>, id: &ChildId, file: &str) -> Result<Option<String>, Error> {
        let api = Api::<ConfigMap>::namespaced(self.client.clone(), &observed.key.namespace);
        let found = match api.get_opt(&id.name).await {
            Ok(found) => found,
            // What is refused stays so: nobody may be kept waiting for it.
            Err(error) if pace_of(&error) == Pace::Refused => None,
            Err(source) => return Err(Error { name: id.name.clone(), source: Box::new(source) }),
        };
        Ok(found.and_then(|found| found.data).and_then(|mut data| data.remove(file)))
    }
}

/// Whether it is a ConfigMap of the tenant.
fn is_own(observed: &Observed<'_>, id: &ChildId) -> bool {
    let child = observed.children.get(id);
    id.kind == ChildKind::ConfigMap && child.is_some_and(|child| child.is_owned_by(observed.uid))
}
