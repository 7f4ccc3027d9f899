//! Observation stage, no I/O: gathers from the stores what a pass over a tenant looks at.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use kr8tiv_crds::{Agent, Harness, Tenant, TenantStatus};
use kube::Resource;

use crate::child::{Child, ChildId, ChildKind, Workload};
use crate::guard::Guarded;
use crate::index::{Edition, harness_of};
use crate::key::Key;
use crate::pod::{GatewayPod, unmounted};
use crate::stores::{Stores, custom};

/// Everything a pass over a tenant looks at, as it was at one moment.
pub struct Observed<'a> {
    /// The Tenant's key.
    pub key: Key,
    /// The Tenant.
    pub tenant: &'a Tenant,
    /// Its status, as this operator wrote it last.
    pub previous: TenantStatus,
    /// The Tenant's uid.
    pub uid: &'a str,
    /// The Harness that the Tenant refers to.
    pub harness: Option<Arc<Guarded<Harness>>>,
    /// Labels of the Tenant's namespace, when its Harness is in another one: they may decide whether it is shared.
    pub namespace_labels: Option<Arc<BTreeMap<String, String>>>,
    /// The Agents that refer to the Tenant, by name, without those that are being deleted.
    pub agents: Vec<Arc<Guarded<Agent>>>,
    /// The objects labelled with the tenant.
    pub children: BTreeMap<ChildId, Arc<Child>>,
    /// The gateway.
    pub gateway: Gateway,
    /// The sandboxes, by their names.
    pub sandboxes: BTreeMap<String, Gateway>,
    /// When time alone will have changed what is seen here.
    pub again: Option<Duration>,
}

/// What there is of a gateway, or of a sandbox.
#[derive(Clone, Debug, Default)]
pub struct Gateway {
    /// Its StatefulSet.
    pub workload: Option<Arc<Workload>>,
    /// Its Pod, with the Pod's name.
    pub pod: Option<(String, Arc<GatewayPod>)>,
}

impl Gateway {
    /// Whether the StatefulSet would make the Pod the same today.
    pub fn is_current(&self) -> bool {
        let (Some(workload), Some((_, pod))) = (&self.workload, &self.pod) else { return false };
        workload.is_observed()
            && workload
                .update_revision
                .as_ref()
                .is_none_or(|revision| pod.revision.as_ref() == Some(revision))
    }
}

/// Looks at everything.
pub fn observe<'a>(
    stores: &Stores,
    tenant: &'a Tenant,
    previous: TenantStatus,
    now: Timestamp,
) -> Observed<'a> {
    let key = Key::of(&tenant.metadata);
    let uid = tenant.metadata.uid.as_deref().unwrap_or_default();
    let harness = custom(&stores.harnesses, &harness_of(tenant));
    let namespace_labels =
        kr8tiv_compiler::harness_namespace(tenant).and_then(|_| stores.namespace_labels(&key.namespace));
    let agents = stores.index.agents_of_tenant(&key);
    let agents = agents.iter().filter_map(|agent| custom(&stores.agents, agent));
    let agents = agents.filter(|agent| agent.meta().deletion_timestamp.is_none()).collect();
    let children = stores.children_of(&key);
    let mut gateway = Gateway::default();
    let mut sandboxes = BTreeMap::new();
    let mut again: Option<Duration> = None;
    let gateway_name = kr8tiv_compiler::gateway_name(&key.name);
    for (set, workload) in stores.workloads_of(&key, uid) {
        // A StatefulSet of one replica names its Pod so.
        let pod = format!("{}-0", set.name);
        let pod = stores.pod(&key.sibling(&pod)).map(|found| {
            let (found, later) = unmounted::at(found, now);
            again = [again, later].into_iter().flatten().min();
            (pod, found)
        });
        let found = Gateway { workload: Some(workload), pod };
        // By its name: a label may have been taken off by hand.
        if set.name == gateway_name {
            gateway = found;
        } else {
            sandboxes.insert(set.name, found);
        }
    }
    Observed {
        key,
        tenant,
        previous,
        uid,
        harness,
        namespace_labels,
        agents,
        children,
        gateway,
        sandboxes,
        again,
    }
}

impl Observed<'_> {
    /// The Agents' editions, by name.
    pub fn agent_editions(&self) -> BTreeMap<String, Edition> {
        let agents = self.agents.iter().map(|agent| agent.meta());
        agents.map(|metadata| (metadata.name.clone().unwrap_or_default(), Edition::of(metadata))).collect()
    }

    /// The Harness's key and edition.
    pub fn harness_edition(&self) -> (Key, Option<Edition>) {
        let edition = self.harness.as_ref().map(|harness| Edition::of(harness.meta()));
        (harness_of(self.tenant), edition)
    }

    /// An object by name. A retained volume still has the label of the Tenant that had it before: it is found by
    /// its name, which is made of the tenant id.
    pub fn child(&self, stores: &Stores, kind: ChildKind, name: &str) -> Option<Arc<Child>> {
        let labelled = self.children.get(&ChildId { kind, name: name.to_owned() }).cloned();
        labelled.or_else(|| stores.child(kind, &self.key.sibling(name)))
    }
}
