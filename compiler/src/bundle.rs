//! What a compilation gives. Types, and the few questions the operator asks of them; no I/O.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kr8tiv_crds::memory::MemoryIngestion;
use kr8tiv_crds::meta;
use kr8tiv_crds::reference::SecretKeyReference;

use crate::diagnostics::Diagnostics;

/// Everything that a tenant runs, ready to be applied or written to disk.
#[derive(Clone, Debug, PartialEq)]
pub struct Bundle {
    /// The tenant's id, unique in the cluster.
    pub tenant_id: String,
    /// The tag under which the tenant's memory is kept.
    pub container_tag: String,
    /// Hash of the Harness's spec, ten hexadecimal digits.
    pub harness_revision: String,
    /// The OpenClaw release.
    pub gateway_version: String,
    /// Where the gateway is reached within the cluster, `http://NAME.NAMESPACE.svc:18789`.
    pub endpoint: String,
    /// Hash of what is delivered into the running gateway (configuration and workspaces), 64 hexadecimal digits.
    /// The watchdog reports it as delivered.
    pub hash: String,
    /// The same without what was looked up in memory: equal when nothing but that differs.
    pub hash_without_context: String,
    /// `openclaw.json`.
    pub config: String,
    /// The workspace files by agent id and file name.
    pub workspaces: BTreeMap<String, BTreeMap<String, WorkspaceFile>>,
    /// The objects, in the order in which they are applied: what the gateway mounts, the gateway, and the sandboxes, which
    /// it does not wait for.
    pub objects: Vec<Object>,
    /// `skill-pack-manifest.json`: which skills the agents have, from where.
    pub skill_manifest: String,
    /// The packs of skills, by name.
    pub skill_packs: Vec<SkillPack>,
    /// What is done about the tenant's memory, as `memory.json` says it; `None` while nothing is.
    pub memory: Option<MemorySettings>,
    /// The Secret that the operator makes.
    pub minted: MintedSecret,
    /// The sandboxes, whose keys the operator makes.
    pub sandboxes: Vec<SandboxKeys>,
    /// Secrets of the user's that must exist before the gateway can start.
    pub secret_references: Vec<SecretReference>,
    /// What is allowed and probably not meant.
    pub warnings: Diagnostics,
}

/// The Secret that the operator makes for a tenant, with random values. Missing keys are added; what it holds is changed
/// only by a rotation, which replaces the gateway's token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MintedSecret {
    /// Its name.
    pub name: String,
    /// Key of the gateway's token; `None` when the tenant names a Secret of its own for that.
    pub token: Option<String>,
    /// Key of the token with which the watchdog is asked for what not everybody may know.
    pub status_token: String,
}

impl MintedSecret {
    /// The keys that must hold something.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.token.iter().chain([&self.status_token]).map(String::as_str)
    }

    /// Whether a reference is to one of its keys.
    pub fn has(&self, name: &str, key: &str) -> bool {
        self.name == name && self.keys().any(|own| own == key)
    }
}

/// What the operator makes for a sandbox: a Secret with a key pair of the gateway's ([`crate::CLIENT_KEY`],
/// [`crate::AUTHORIZED_KEYS`]) and one of the sandbox's ([`crate::HOST_KEY`], [`crate::KNOWN_HOSTS`]).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SandboxKeys {
    /// Name of the sandbox: of its StatefulSet and its Service.
    pub sandbox: String,
    /// Name of the Secret.
    pub secret: String,
    /// The host name by which the gateway reaches it, on [`crate::SANDBOX_PORT`].
    pub host: String,
}

/// What is done about a tenant's memory in Supermemory: by the operator, not by the gateway.
#[derive(Clone, Debug, PartialEq)]
pub struct MemorySettings {
    /// Base URL of the service.
    pub base_url: String,
    /// The tag under which the tenant's memory is kept.
    pub container_tag: String,
    /// Lines of context at most, over all queries; 1 to 50.
    pub top_k: i64,
    /// How similar a line must be, from 0 to 1.
    pub threshold: f64,
    /// How long one call may take.
    pub timeout: Duration,
    /// How often the context is fetched.
    pub refresh_interval: Duration,
    /// What is looked up.
    pub queries: Vec<String>,
    /// How documents are stored.
    pub ingestion: MemoryIngestion,
    /// The text that is to be stored; `None` for none.
    pub seed: Option<String>,
}

/// A file of an agent's workspace.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WorkspaceFile {
    /// The file's content.
    pub content: String,
    /// Who may change it.
    pub ownership: Ownership,
}

/// Who may change a workspace file.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize)]
pub enum Ownership {
    /// The file is put back when it differs.
    Operator,
    /// The file is written once and belongs to the agent from then on.
    Agent,
}

/// A pack of skills, as far as the operator has to do with it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SkillPack {
    /// The pack's name.
    pub name: String,
    /// The init container that copies it, and says in its termination message why it could not:
    /// `{"packs":[{"name":"…","problem":null|"…"}]}`. `None` when the Pod does without the pack.
    pub container: Option<String>,
    /// The image that it comes from, as in [`crate::Surroundings::unavailable_images`].
    pub image: Option<String>,
}

/// A reference to a user's Secret, with the field that makes it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct SecretReference {
    /// Path of the field in the Tenant.
    pub field: String,
    /// The Secret and its key, in the tenant's namespace.
    pub secret: SecretKeyReference,
}

/// An object of a tenant. It is serialised as the object itself.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(untagged)]
pub enum Object {
    /// The gateway's identity, without a token.
    ServiceAccount(Box<ServiceAccount>),
    /// Which connections the gateway, or its sandboxes, may make and take.
    NetworkPolicy(Box<NetworkPolicy>),
    /// The gateway's volume.
    PersistentVolumeClaim(Box<PersistentVolumeClaim>),
    /// The address of the gateway or of a sandbox.
    Service(Box<Service>),
    /// The way to the gateway from outside of the cluster.
    Ingress(Box<Ingress>),
    /// That a node may be drained of the gateway.
    PodDisruptionBudget(Box<PodDisruptionBudget>),
    /// The configuration, or an agent's workspace.
    ConfigMap(Box<ConfigMap>),
    /// The gateway, or a sandbox.
    StatefulSet(Box<StatefulSet>),
}

impl Object {
    /// The object's kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::ServiceAccount(_) => "ServiceAccount",
            Self::NetworkPolicy(_) => "NetworkPolicy",
            Self::PersistentVolumeClaim(_) => "PersistentVolumeClaim",
            Self::Service(_) => "Service",
            Self::Ingress(_) => "Ingress",
            Self::PodDisruptionBudget(_) => "PodDisruptionBudget",
            Self::ConfigMap(_) => "ConfigMap",
            Self::StatefulSet(_) => "StatefulSet",
        }
    }

    /// The gateway's StatefulSet.
    pub fn gateway(&self) -> Option<&StatefulSet> {
        let Self::StatefulSet(set) = self else { return None };
        let component = set.metadata.labels.as_ref().and_then(|labels| labels.get(meta::COMPONENT));
        component.is_some_and(|component| component == meta::GATEWAY).then_some(set)
    }

    /// The object's metadata: name, namespace, labels, owner, and the annotation
    /// [`kr8tiv_crds::meta::APPLIED_HASH`] with the hash of everything else in the object.
    pub fn metadata(&self) -> &ObjectMeta {
        match self {
            Self::ServiceAccount(object) => &object.metadata,
            Self::NetworkPolicy(object) => &object.metadata,
            Self::PersistentVolumeClaim(object) => &object.metadata,
            Self::Service(object) => &object.metadata,
            Self::Ingress(object) => &object.metadata,
            Self::PodDisruptionBudget(object) => &object.metadata,
            Self::ConfigMap(object) => &object.metadata,
            Self::StatefulSet(object) => &object.metadata,
        }
    }
}
