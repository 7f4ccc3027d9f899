//! Observation stage, pure: what passes read of the objects that the operator applies.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use k8s_openapi::jiff::Timestamp;
use kr8tiv_compiler::Object;
use kr8tiv_crds::meta;

use crate::key::{Key, version_of};

/// The kinds of objects that a tenant consists of, in the order in which they are applied.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum ChildKind {
    /// The gateway's identity.
    ServiceAccount,
    /// Which connections the gateway and its sandboxes may make and take.
    NetworkPolicy,
    /// The gateway's volume.
    PersistentVolumeClaim,
    /// The addresses of the gateway and its sandboxes.
    Service,
    /// The way to the gateway from outside of the cluster.
    Ingress,
    /// That a node may be drained of the gateway.
    PodDisruptionBudget,
    /// Configuration and workspaces.
    ConfigMap,
    /// The gateway and its sandboxes.
    StatefulSet,
}

impl ChildKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::ServiceAccount,
        Self::NetworkPolicy,
        Self::PersistentVolumeClaim,
        Self::Service,
        Self::Ingress,
        Self::PodDisruptionBudget,
        Self::ConfigMap,
        Self::StatefulSet,
    ];

    /// The kind of an object of a bundle.
    pub fn of(object: &Object) -> Self {
        match object {
            Object::ServiceAccount(_) => Self::ServiceAccount,
            Object::NetworkPolicy(_) => Self::NetworkPolicy,
            Object::PersistentVolumeClaim(_) => Self::PersistentVolumeClaim,
            Object::Service(_) => Self::Service,
            Object::Ingress(_) => Self::Ingress,
            Object::PodDisruptionBudget(_) => Self::PodDisruptionBudget,
            Object::ConfigMap(_) => Self::ConfigMap,
            Object::StatefulSet(_) => Self::StatefulSet,
        }
    }

    /// The kind as written in manifests.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ServiceAccount => "ServiceAccount",
            Self::NetworkPolicy => "NetworkPolicy",
            Self::PersistentVolumeClaim => "PersistentVolumeClaim",
            Self::Service => "Service",
            Self::Ingress => "Ingress",
            Self::PodDisruptionBudget => "PodDisruptionBudget",
            Self::ConfigMap => "ConfigMap",
            Self::StatefulSet => "StatefulSet",
        }
    }
}

/// An object of a tenant, by kind and name; the namespace is the tenant's.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ChildId {
    /// Its kind.
    pub kind: ChildKind,
    /// Its name.
    pub name: String,
}

impl ChildId {
    /// Kind and name of an object of a bundle.
    pub fn of(object: &Object) -> Self {
        Self { kind: ChildKind::of(object), name: object.metadata().name.clone().unwrap_or_default() }
    }
}

/// What is known of an object that carries our label.
#[derive(Clone, Debug, PartialEq)]
pub struct Child {
    /// The object's uid.
    pub uid: String,
    /// The object's `resourceVersion`.
    pub version: u64,
    /// The object's generation; kinds without one have `None`.
    pub generation: Option<i64>,
    /// All annotations.
    pub annotations: BTreeMap<String, String>,
    /// All labels.
    pub labels: BTreeMap<String, String>,
    /// All owners.
    pub owners: Vec<OwnerReference>,
    /// Whether its deletion has begun.
    pub deleting: bool,
}

impl Child {
    /// Takes from the metadata what passes read.
    pub fn of(metadata: &ObjectMeta) -> Self {
        Self {
            uid: metadata.uid.clone().unwrap_or_default(),
            version: version_of(metadata),
            generation: metadata.generation,
            annotations: metadata.annotations.clone().unwrap_or_default(),
            labels: metadata.labels.clone().unwrap_or_default(),
            owners: metadata.owner_references.clone().unwrap_or_default(),
            deleting: metadata.deletion_timestamp.is_some(),
        }
    }

    /// Whether the object of this uid owns it.
    pub fn is_owned_by(&self, uid: &str) -> bool {
        self.owners.iter().any(|owner| owner.uid == uid)
    }
}

/// The Tenant that an object says it belongs to.
pub fn tenant_of(metadata: &ObjectMeta) -> Option<Key> {
    let name = metadata.labels.as_ref()?.get(meta::TENANT)?;
    Some(Key { namespace: metadata.namespace.clone()?, name: name.clone() })
}

/// What is known of a StatefulSet, a gateway's or a sandbox's, beyond its metadata.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Workload {
    /// `metadata.uid`.
    pub uid: String,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// `metadata.generation`.
    pub generation: i64,
    /// The generation that the StatefulSet controller has acted on.
    pub observed_generation: i64,
    /// Pods asked for.
    pub desired: i32,
    /// Pods that exist.
    pub replicas: i32,
    /// The revision that Pods should have.
    pub update_revision: Option<String>,
    /// The template's annotation [`meta::SANDBOX_KEYS`].
    pub sandbox_keys: Option<String>,
    /// Uids of the owners.
    pub owners: Vec<String>,
}

impl Workload {
    /// Takes from the StatefulSet what passes read.
    pub fn of(set: &StatefulSet) -> Self {
        let status = set.status.as_ref();
        let owners = set.metadata.owner_references.iter().flatten();
        let template = set.spec.as_ref().and_then(|spec| spec.template.metadata.as_ref());
        let annotations = template.and_then(|metadata| metadata.annotations.as_ref());
        Self {
            uid: set.metadata.uid.clone().unwrap_or_default(),
            created: set.metadata.creation_timestamp.as_ref().map(|created| created.0),
            generation: set.metadata.generation.unwrap_or_default(),
            observed_generation: status.and_then(|status| status.observed_generation).unwrap_or_default(),
            desired: set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1),
            replicas: status.map_or(0, |status| status.replicas),
            update_revision: status.and_then(|status| status.update_revision.clone()),
            sandbox_keys: annotations.and_then(|all| all.get(meta::SANDBOX_KEYS)).cloned(),
            owners: owners.map(|owner| owner.uid.clone()).collect(),
        }
    }

    /// Whether the StatefulSet controller has acted on the current generation.
    pub fn is_observed(&self) -> bool {
        self.observed_generation >= self.generation
    }
}
