//! Apply stage: server-side apply of what differs, then deletion of what is no longer planned. Writes to the API.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kr8tiv_compiler::Object;
use kr8tiv_crds::{Tenant, meta};
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::core::ObjectMeta;
use kube::{Api, Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::time::Instant;

use crate::FIELD_MANAGER;
use crate::child::{Child, ChildId, ChildKind};
use crate::client::said;
use crate::events::Events;
use crate::key::Key;
use crate::ledger::{Ledger, Mark, Meddling};
use crate::stores::Stores;
use crate::tenant::diff::{Changes, Prune, Write, diff};
use crate::tenant::observe::Observed;
use crate::tenant::plan::{Applied, Plan, Prepared};

/// Field manager of a patch that replaces lists as a whole. It has a name of its own, by which [`replace`] finds and
/// drops what it owns.
const REPAIRER: &str = "kr8tiv-operator-repair";

/// A `resourceVersion` that no object has: etcd counts from 1, and its first write is the second revision.
const NO_VERSION: &str = "1";

/// Why an object could not be applied or deleted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An object of that name exists and isn't ours.
    #[error("{kind} {name} exists and was not made by the operator for this Tenant; delete or rename it")]
    Taken {
        /// Kind of the object.
        kind: &'static str,
        /// Name of the object.
        name: String,
    },
    /// The object is on its way out; when it is gone, it is made anew.
    #[error("{kind} {name} is being deleted; it is made anew when it is gone")]
    Leaving {
        /// Kind of the object.
        kind: &'static str,
        /// Name of the object.
        name: String,
    },
    /// The API server refused, or could not be reached.
    #[error("{kind} {name}: {}", said(source))]
    Api {
        /// Kind of the object.
        kind: &'static str,
        /// Name of the object.
        name: String,
        /// What the client says.
        source: Box<kube::Error>,
    },
}

/// What the apply stage works with.
#[derive(Clone, Copy)]
pub struct Tools<'a> {
    /// The way to the API server.
    pub client: &'a Client,
    /// What is known of the cluster.
    pub stores: &'a Stores,
    /// How our objects were left.
    pub ledger: &'a Ledger,
    /// Who is told of what was put back.
    pub events: &'a Events,
}

/// Makes the cluster equal to the plan. Does nothing when it is.
pub async fn apply(
    tools: Tools<'_>,
    observed: &Observed<'_>,
    plan: Plan<Prepared>,
) -> Result<Plan<Applied>, (Plan<Prepared>, Error)> {
    let outcome = {
        let planned = plan.bundle.objects.iter().map(ChildId::of).collect();
        tools.ledger.open(&observed.key, observed.uid, &planned);
        let changes = diff(
            &plan.bundle.objects,
            observed.uid,
            &observed.children,
            |id| observed.child(tools.stores, id.kind, &id.name),
            |id, child| tools.ledger.is_untouched(&observed.key, id, child),
        );
        execute(tools, observed, &plan.bundle.tenant_id, changes).await
    };
    match outcome {
        Ok(()) => Ok(plan.applied()),
        Err(error) => Err((plan, error)),
    }
}

async fn execute(
    tools: Tools<'_>,
    observed: &Observed<'_>,
    tenant_id: &str,
    changes: Changes<'_>,
) -> Result<(), Error> {
    // Without `..`: a new kind of change must not be forgotten here.
    let Changes { writes, prunes } = changes;
    for write in writes {
        let target = Target { tools, observed, tenant_id, write: &write };
        match write.object {
            Object::ServiceAccount(object) => target.write::<ServiceAccount>(object).await?,
            Object::NetworkPolicy(object) => target.write::<NetworkPolicy>(object).await?,
            Object::PersistentVolumeClaim(object) => target.write::<PersistentVolumeClaim>(object).await?,
            Object::Service(object) => target.write::<Service>(object).await?,
            Object::Ingress(object) => target.write::<Ingress>(object).await?,
            Object::PodDisruptionBudget(object) => target.write::<PodDisruptionBudget>(object).await?,
            Object::ConfigMap(object) => target.write::<ConfigMap>(object).await?,
            Object::StatefulSet(object) => target.write::<StatefulSet>(object).await?,
        }
    }
    for prune in prunes {
        match prune.id.kind {
            ChildKind::ServiceAccount => delete::<ServiceAccount>(tools, &observed.key, &prune).await?,
            ChildKind::NetworkPolicy => delete::<NetworkPolicy>(tools, &observed.key, &prune).await?,
            ChildKind::Ingress => delete::<Ingress>(tools, &observed.key, &prune).await?,
            ChildKind::PodDisruptionBudget => {
                delete::<PodDisruptionBudget>(tools, &observed.key, &prune).await?;
            }
            ChildKind::Service => delete::<Service>(tools, &observed.key, &prune).await?,
            ChildKind::ConfigMap => delete::<ConfigMap>(tools, &observed.key, &prune).await?,
            ChildKind::StatefulSet => delete::<StatefulSet>(tools, &observed.key, &prune).await?,
            // The diff never asks for it, and the operator isn't allowed to.
            ChildKind::PersistentVolumeClaim => {}
        }
    }
    Ok(())
}

/// An object of a tenant, as the client sees it.
trait Applicable:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + Serialize + DeserializeOwned + Clone + Debug
{
}

impl<K> Applicable for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Serialize
        + DeserializeOwned
        + Clone
        + Debug
{
}

/// Whose an existing object is.
enum Belonging {
    Ours,
    Leaving,
    Foreign,
}

struct Target<'a> {
    tools: Tools<'a>,
    observed: &'a Observed<'a>,
    tenant_id: &'a str,
    write: &'a Write<'a>,
}

impl Target<'_> {
    async fn write<K: Applicable>(&self, object: &K) -> Result<(), Error> {
        let Tools { client, stores, ledger, .. } = self.tools;
        let ChildId { kind, name } = &self.write.id;
        let key = &self.observed.key;
        let api = Api::<K>::namespaced(client.clone(), &key.namespace);
        let failed =
            |source| Error::Api { kind: kind.as_str(), name: name.clone(), source: Box::new(source) };
        let hash = object.meta().annotations.as_ref().and_then(|all| all.get(meta::APPLIED_HASH));
        let hash = hash.map(String::as_str).unwrap_or_default();
        let begin = |child| ledger.begin(key, &self.write.id, child, hash);
        // Not among the objects with our label: it does not exist, somebody has taken off the label, or it is somebody
        // else's.
        let existing = if let Some(known) = &self.write.known {
            Child::clone(known)
        } else {
            let meddling = begin(None);
            if let Some(created) = create(&api, name, object).await.map_err(failed)? {
                self.remember(stores, ledger, &created);
                self.log("created");
                self.tell(meddling);
                return Ok(());
            }
            match api.get_metadata_opt(name).await.map_err(failed)? {
                Some(found) => Child::of(&found.metadata),
                // It was deleted in between.
                None => return Err(Error::Leaving { kind: kind.as_str(), name: name.clone() }),
            }
        };
        match self.belonging(&existing) {
            Belonging::Ours => {}
            Belonging::Leaving => return Err(Error::Leaving { kind: kind.as_str(), name: name.clone() }),
            Belonging::Foreign => return Err(Error::Taken { kind: kind.as_str(), name: name.clone() }),
        }
        let meddling = begin(Some(&existing));
        // Ours: other writers' values give way.
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let patch = Patch::Apply(object);
        let apply = || api.patch_metadata(name, &parameters, &patch);
        let answer = match apply().await {
            // Somebody else's entry in one of our lists can make the whole invalid, and an apply removes only
            // what it has set itself.
            Err(kube::Error::Api(status)) if status.code == 422 => {
                replace(&api, name, object).await.map_err(failed)?;
                apply().await
            }
            answer => answer,
        }
        .map_err(failed)?;
        let applied = answer.metadata;
        let metadata = disown(&api, name, applied.clone()).await.map_err(failed)?.unwrap_or(applied);
        self.remember(stores, ledger, &metadata);
        self.log("updated");
        // An apply that finds every field of ours as it should be changes nothing: what somebody else has put beside them is
        // theirs.
        self.tell(meddling.filter(|_| differs(*kind, &existing, &Child::of(&metadata))));
        Ok(())
    }

    /// Tells whoever looks at the Tenant that somebody else had a hand in the object.
    fn tell(&self, meddling: Option<Meddling>) {
        let Tools { ledger, events, .. } = self.tools;
        let (Observed { key, tenant, .. }, id) = (self.observed, &self.write.id);
        if let Some(meddling) = meddling
            && ledger.is_news(key, id, Instant::now())
        {
            events.tell_of_restored::<Tenant>(&tenant.metadata, id, meddling);
        }
    }

    fn log(&self, done: &str) {
        let Key { namespace, name } = &self.observed.key;
        let ChildId { kind, name: child } = &self.write.id;
        tracing::info!(
            kind = "Tenant",
            namespace,
            name,
            object = format!("{} {child}", kind.as_str()),
            "{done}"
        );
    }

    /// Whose an existing object is. What a deleted Tenant owned is not taken over: the garbage collector is about to
    /// remove it, and its data were meant to go.
    fn belonging(&self, existing: &Child) -> Belonging {
        let has_our_id = existing.labels.get(meta::TENANT_ID).is_some_and(|id| id == self.tenant_id);
        let was_a_tenants = existing.owners.iter().any(|owner| owner.kind == Tenant::kind(&()));
        if existing.deleting {
            Belonging::Leaving
        } else if existing.is_owned_by(self.observed.uid) || (has_our_id && existing.owners.is_empty()) {
            Belonging::Ours
        } else if was_a_tenants {
            Belonging::Leaving
        } else {
            Belonging::Foreign
        }
    }

    fn remember(&self, stores: &Stores, ledger: &Ledger, answer: &ObjectMeta) {
        stores.put_child(self.write.id.kind, answer);
        ledger.settle(&self.observed.key, self.write.id.clone(), &Child::of(answer));
    }
}

/// Whether a write has changed what is ours to see of an object. Of most kinds the version alone says nothing: a controller may
/// have written a status meanwhile.
fn differs(kind: ChildKind, before: &Child, after: &Child) -> bool {
    let apart_from_version = Child { version: after.version, ..before.clone() };
    Mark::of(kind, before) != Mark::of(kind, after) || apart_from_version != *after
}

/// Applies an object that does not exist; `None` when it does exist. One request: an apply with a version is taken when
/// there is no object, and refused when there is one of another version. Without, it would merge into somebody else's
/// object where no field is disputed.
async fn create<K: Applicable>(
    api: &Api<K>,
    name: &str,
    object: &K,
) -> Result<Option<ObjectMeta>, kube::Error> {
    let mut object = object.clone();
    object.meta_mut().resource_version = Some(NO_VERSION.into());
    match api.patch_metadata(name, &PatchParams::apply(FIELD_MANAGER), &Patch::Apply(object)).await {
        Ok(created) => Ok(Some(created.metadata)),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(None),
        Err(error) => Err(error),
    }
}

/// Sets every field of an object, lists as a whole.
async fn replace<K: Applicable>(api: &Api<K>, name: &str, object: &K) -> Result<(), kube::Error> {
    let parameters = PatchParams { field_manager: Some(REPAIRER.into()), ..PatchParams::default() };
    api.patch_metadata(name, &parameters, &Patch::Merge(object)).await.map(|_| ())
}

/// Gives up what a [`replace`], of this pass or of an earlier one, has made its own: a field that has a second owner
/// outlives an apply without it. Gives how it was left; `None` when somebody else has written in between: what is known
/// of it is how it was applied, so that their change is seen, and the next write tries again.
async fn disown<K: Applicable>(
    api: &Api<K>,
    name: &str,
    mut metadata: ObjectMeta,
) -> Result<Option<ObjectMeta>, kube::Error> {
    let mut alone = true;
    let mut attempts = 3;
    let parameters = PatchParams { field_manager: Some(REPAIRER.into()), ..PatchParams::default() };
    let is_repairers = |owner: &ManagedFieldsEntry| owner.manager.as_deref() == Some(REPAIRER);
    while attempts > 0 && metadata.managed_fields.iter().flatten().any(is_repairers) {
        attempts -= 1;
        let mut owners = metadata.managed_fields.clone().unwrap_or_default();
        owners.retain(|owner| !is_repairers(owner));
        let body =
            json!({"metadata": {"resourceVersion": metadata.resource_version, "managedFields": owners}});
        metadata = match api.patch_metadata(name, &parameters, &Patch::Merge(body)).await {
            Ok(answer) => answer.metadata,
            Err(kube::Error::Api(status)) if status.code == 409 => {
                alone = false;
                api.get_metadata(name).await?.metadata
            }
            Err(error) => return Err(error),
        };
    }
    Ok(alone.then_some(metadata))
}

async fn delete<K: Applicable>(tools: Tools<'_>, tenant: &Key, prune: &Prune) -> Result<(), Error> {
    let Prune { id, uid } = prune;
    let parameters = DeleteParams {
        preconditions: Some(Preconditions { uid: Some(uid.clone()), resource_version: None }),
        ..DeleteParams::background()
    };
    let api = Api::<K>::namespaced(tools.client.clone(), &tenant.namespace);
    match api.delete(&id.name, &parameters).await {
        Ok(_) => {}
        // Gone already, or another object by now.
        Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => {}
        Err(source) => {
            let (kind, name) = (id.kind.as_str(), id.name.clone());
            return Err(Error::Api { kind, name, source: Box::new(source) });
        }
    }
    let object = format!("{} {}", id.kind.as_str(), id.name);
    tracing::info!(kind = "Tenant", namespace = tenant.namespace, name = tenant.name, object, "deleted");
    Ok(())
}
