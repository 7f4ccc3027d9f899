//! Observation stage: the objects that are watched. I/O: the way to the API server.

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Namespace;
use kube::core::PartialObjectMeta;
use kube::{Api, Client, Resource};

/// The objects that are watched: those of the cluster, or of a single namespace. What is in others is not there then, and
/// nothing need be allowed in them.
#[derive(Clone)]
pub struct Watched {
    client: Client,
    namespace: Option<String>,
}

impl Watched {
    /// Those of a namespace; `None` is all of them.
    pub fn new(client: Client, namespace: Option<String>) -> Self {
        Self { client, namespace }
    }

    /// The objects of a kind.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        let client = self.client.clone();
        match &self.namespace {
            None => Api::all(client),
            Some(namespace) => Api::namespaced(client, namespace),
        }
    }

    /// The objects of a kind in a namespace; `None` where that one is not watched.
    pub fn within<K>(&self, namespace: &str) -> Option<Api<K>>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        let is_watched = self.namespace.as_deref().is_none_or(|watched| watched == namespace);
        is_watched.then(|| Api::namespaced(self.client.clone(), namespace))
    }

    /// The namespaces, whose labels say which Harnesses of others they may use; `None` where nothing of others is.
    pub fn namespaces(&self) -> Option<Api<PartialObjectMeta<Namespace>>> {
        self.namespace.is_none().then(|| Api::all(self.client.clone()))
    }
}
