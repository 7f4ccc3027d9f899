//! What is known of a tenant's memory when the operator has just started. Reads one ConfigMap of the tenant's own.

use k8s_openapi::api::core::v1::ConfigMap;
use kr8tiv_compiler::{CONTEXT_FILE, read_context};
use kube::Api;

use super::{Entry, Facts, Memories};
use crate::backoff::Pace;
use crate::child::ChildKind;
use crate::client::said;
use crate::tenant::observe::Observed;
use crate::tenant::stop::pace_of;

/// The context that the agents have could not be read.
#[derive(Debug, thiserror::Error)]
#[error("ConfigMap {name}: {}", said(source))]
pub struct Error {
    /// The ConfigMap.
    pub name: String,
    /// What the client says.
    pub source: Box<kube::Error>,
}

impl Memories {
    /// Makes sure that what was known before the start is known: once for each tenant with memory. Asks the API server
    /// only when an agent of the tenant has a workspace. On an error nothing may be applied: agents would lose their
    /// context.
    pub async fn recall(&self, observed: &Observed<'_>) -> Result<(), Error> {
        let is_known = |entry: &Entry| entry.uid == observed.uid;
        if self.known.lock().get(&observed.key).is_some_and(is_known) {
            return Ok(());
        }
        let lines = self.lines(observed).await?;
        let facts = Facts { lines, ..Facts::of_status(&observed.previous) };
        let entry = Entry { uid: observed.uid.to_owned(), facts, following: None, served: None };
        self.known.lock().insert(observed.key.clone(), entry);
        Ok(())
    }

    /// The lines that the agents have: all of them have the same.
    async fn lines(&self, observed: &Observed<'_>) -> Result<Vec<String>, Error> {
        let start = format!("{}-workspace.", observed.key.name);
        let mut own = observed.children.iter().filter(|(id, child)| {
            id.kind == ChildKind::ConfigMap && id.name.starts_with(&start) && child.is_owned_by(observed.uid)
        });
        let Some((id, _)) = own.next() else { return Ok(Vec::new()) };
        let api = Api::<ConfigMap>::namespaced(self.client.clone(), &observed.key.namespace);
        let found = match api.get_opt(&id.name).await {
            Ok(found) => found,
            // What is refused stays so: nobody may be kept waiting for it.
            Err(error) if pace_of(&error) == Pace::Refused => None,
            Err(source) => return Err(Error { name: id.name.clone(), source: Box::new(source) }),
        };
        let data = found.and_then(|found| found.data).unwrap_or_default();
        Ok(data.get(CONTEXT_FILE).map(|content| read_context(content)).unwrap_or_default())
    }
}
