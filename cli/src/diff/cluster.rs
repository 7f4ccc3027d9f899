//! What a cluster has of the tenants that files concern. I/O: lists objects of the API server, and changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kr8tiv_crds::meta;
use kr8tiv_crds::sharing::SharedFrom;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams};
use kube::config::KubeConfigOptions;
use kube::{Client, Config};
use serde_json::Value;

use crate::diff::Key;
use crate::input::{self, Input, Source, kinds};
use crate::tenants;

/// The kinds of a tenant's objects.
const CHILDREN: [(&str, &str, &str); 8] = [
    ("", "v1", "ServiceAccount"),
    ("", "v1", "PersistentVolumeClaim"),
    ("", "v1", "Service"),
    ("", "v1", "ConfigMap"),
    ("apps", "v1", "StatefulSet"),
    ("networking.k8s.io", "v1", "NetworkPolicy"),
    ("networking.k8s.io", "v1", "Ingress"),
    ("policy", "v1", "PodDisruptionBudget"),
];

/// Why the cluster could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no configuration of a client.
    #[error("no way to a cluster: {0}; set KUBECONFIG, or compare two sets of files with --to")]
    NotConfigured(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The API server refused, or could not be reached.
    #[error(
        "{what} can't be read from the cluster: {source}; check that it is reachable and that you may list them"
    )]
    Api {
        /// What was asked for.
        what: String,
        /// What the client says.
        source: Box<kube::Error>,
    },
}

/// What the cluster has.
#[derive(Debug)]
pub struct Found {
    /// The files, and the objects of the cluster that the files do not replace.
    pub input: Input,
    /// The objects of the cluster alone.
    pub live: Input,
    /// The tenants that the files concern: their own, those of their Harnesses, and those of their Agents.
    pub concerned: Vec<Key>,
    /// The live objects of each of these tenants.
    pub children: BTreeMap<Key, Vec<Value>>,
}

/// Connects to the cluster of a context of the kubeconfig, or the current one. Gives the context's namespace as well.
pub async fn connect(context: Option<&str>) -> Result<(Client, String), Error> {
    let config = match context {
        Some(context) => {
            let options = KubeConfigOptions { context: Some(context.into()), ..KubeConfigOptions::default() };
            Config::from_kubeconfig(&options).await.map_err(|error| Error::NotConfigured(Box::new(error)))
        }
        None => Config::infer().await.map_err(|error| Error::NotConfigured(Box::new(error))),
    };
    let mut config = config?;
    // Whoever has installed one before has installed one that will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Somebody waits in front of a terminal.
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(10));
    let namespace = config.default_namespace.clone();
    let client = Client::try_from(config).map_err(|error| Error::NotConfigured(Box::new(error)))?;
    Ok((client, namespace))
}

/// Reads what belongs to the objects of the files. They must be valid.
pub async fn read(client: &Client, files: Vec<Source>, namespace: &str) -> Result<Found, Error> {
    let given = input::judge(files.clone(), namespace);
    let reader = Reader { client };
    let mut objects = BTreeMap::new();
    for namespace in reader.namespaces(&given).await? {
        for kind in ["Harness", "Tenant", "Agent"] {
            for object in reader.ours(kind, Some(&namespace)).await? {
                let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
                objects.insert((kind, namespace.clone(), name), object);
            }
        }
        if let Some(object) = reader.namespace(&namespace).await? {
            objects.insert(("Namespace", String::new(), namespace), object);
        }
    }
    let is_replaced = |(kind, namespace, name): &(&str, String, String)| {
        given.ids().any(|id| id.kind == *kind && id.namespace == *namespace && id.name == *name)
    };
    let kept = objects.iter().filter(|(id, _)| !is_replaced(id)).map(|(_, object)| source(object));
    let mut input = input::judge(files.into_iter().chain(kept).collect(), namespace);
    let live = input::judge(objects.values().map(source).collect(), namespace);
    adopt(&mut input, &live);
    let concerned = concerned(&input, &given);
    let mut children = BTreeMap::new();
    for key in &concerned {
        children.insert(key.clone(), reader.children(key).await?);
    }
    Ok(Found { input, live, concerned, children })
}

/// An object of the cluster as a file, so that it is read in the same way and has places.
fn source(object: &Value) -> Source {
    let text = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (kind, name, namespace) = (text("/kind"), text("/metadata/name"), text("/metadata/namespace"));
    let name = format!("<cluster: {kind} {name} in namespace {namespace}>");
    Source { name, text: format!("{object:#}"), hidden: Vec::new() }
}

/// What the API server knows of the tenants of the files.
fn adopt(input: &mut Input, live: &Input) {
    for read in &mut input.objects.tenants {
        let known = live.objects.tenants.iter().find(|known| known.id == read.id);
        let known = known.and_then(|known| known.object.as_ref());
        if let (Some(tenant), Some(known)) = (&mut read.object, known) {
            tenant.metadata.uid.clone_from(&known.metadata.uid);
            tenant.status.clone_from(&known.status);
        }
    }
}

fn concerned(input: &Input, given: &Input) -> Vec<Key> {
    let is_concerned = |read: &&input::Read<kr8tiv_crds::Tenant>| {
        let harness = read.object.as_ref().and_then(|tenant| tenants::harness_of(input, tenant));
        let mut agents = given.objects.agents.iter();
        given.ids().any(|id| *id == read.id || harness.is_some_and(|harness| *id == harness.id))
            || agents.any(|agent| {
                let of = agent.object.as_ref().map(|agent| agent.spec.tenant_ref.name.as_str());
                agent.id.namespace == read.id.namespace && of == Some(read.id.name.as_str())
            })
    };
    let tenants = input.objects.tenants.iter().filter(is_concerned);
    tenants.map(|read| (read.id.namespace.clone(), read.id.name.clone())).collect()
}

struct Reader<'a> {
    client: &'a Client,
}

impl Reader<'_> {
    /// The namespaces of what the files hold, of the Harnesses that they refer to, and of who uses theirs.
    async fn namespaces(&self, given: &Input) -> Result<BTreeSet<String>, Error> {
        let mut namespaces: BTreeSet<String> = given.ids().map(|id| id.namespace.clone()).collect();
        let tenants = given.objects.tenants.iter().filter_map(|read| read.object.as_ref());
        namespaces.extend(tenants.filter_map(kr8tiv_compiler::harness_namespace).map(str::to_owned));
        let mut harnesses = given.objects.harnesses.iter().filter_map(|read| read.object.as_ref());
        if harnesses.any(|harness| harness.spec.sharing.from != SharedFrom::Same) {
            // Who uses a shared Harness may be anywhere.
            namespaces.extend(self.ours("Tenant", None).await?.iter().filter_map(|tenant| {
                let reference = &tenant["spec"]["harnessRef"];
                let harnesses = &given.objects.harnesses;
                let is_given = harnesses.iter().any(|read| {
                    reference["name"] == *read.id.name && reference["namespace"] == *read.id.namespace
                });
                tenant["metadata"]["namespace"].as_str().filter(|_| is_given).map(str::to_owned)
            }));
        }
        Ok(namespaces)
    }

    async fn ours(&self, kind: &str, namespace: Option<&str>) -> Result<Vec<Value>, Error> {
        let Some(known) = kinds::all().iter().find(|known| known.name == kind) else { return Ok(Vec::new()) };
        let (group, version) = known.api_version.split_once('/').unwrap_or_default();
        let mut resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        resource.plural.clone_from(&known.plural);
        self.list(&resource, namespace, &ListParams::default()).await
    }

    async fn children(&self, (namespace, tenant): &Key) -> Result<Vec<Value>, Error> {
        let labels = format!("{}={tenant},{}={}", meta::TENANT, meta::MANAGED_BY, meta::MANAGED_BY_VALUE);
        let parameters = ListParams::default().labels(&labels);
        let mut objects = Vec::new();
        for (group, version, kind) in CHILDREN {
            let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
            objects.extend(self.list(&resource, Some(namespace), &parameters).await?);
        }
        Ok(objects)
    }

    /// A namespace, for its labels; `None` when it is not there or may not be read.
    async fn namespace(&self, name: &str) -> Result<Option<Value>, Error> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Namespace"));
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource);
        match api.get_opt(name).await {
            Ok(object) => Ok(object.map(|object| with_type(&object, &resource))),
            Err(kube::Error::Api(status)) if status.code == 403 => Ok(None),
            Err(source) => Err(Error::Api { what: format!("Namespace {name}"), source: Box::new(source) }),
        }
    }

    async fn list(
        &self,
        resource: &ApiResource,
        namespace: Option<&str>,
        parameters: &ListParams,
    ) -> Result<Vec<Value>, Error> {
        let api: Api<DynamicObject> = match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, resource),
            None => Api::all_with(self.client.clone(), resource),
        };
        match api.list(parameters).await {
            Ok(list) => Ok(list.items.iter().map(|object| with_type(object, resource)).collect()),
            // Nothing of a type that is not installed.
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(Vec::new()),
            Err(source) => Err(Error::Api { what: resource.plural.clone(), source: Box::new(source) }),
        }
    }
}

/// The object as JSON with its kind, which the entries of a list leave out.
fn with_type(object: &DynamicObject, resource: &ApiResource) -> Value {
    let mut value = serde_json::to_value(object).unwrap_or_default();
    value["apiVersion"] = resource.api_version.clone().into();
    value["kind"] = resource.kind.clone().into();
    value
}
