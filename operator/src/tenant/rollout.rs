//! Apply stage: gets the running Pod to take up what was applied. Writes to the API.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kr8tiv_compiler::DOWN_GRACE_SECONDS;
use kr8tiv_crds::meta;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Api, Client};
use serde_json::json;

use crate::FIELD_MANAGER;
use crate::child::Workload;
use crate::client::said;
use crate::context::Context;
use crate::delivery::{Expected, Known};
use crate::key::Key;
use crate::pod::GatewayPod;
use crate::stores::Stores;
use crate::tenant::observe::{Gateway, Observed};

/// Annotation that is changed only to make kubelet look at the Pod again.
const NUDGE: &str = "kr8tiv.ai/nudge";

/// How the running Pod stands to the bundle.
#[derive(Debug)]
pub struct Rollout {
    /// What the gateway's watchdog says.
    pub known: Known,
    /// When to look again.
    pub again: Option<Duration>,
}

/// What is to be done with a Pod.
#[derive(Debug, Eq, PartialEq)]
enum Step {
    /// Nothing before it changes.
    Wait,
    /// It will never be replaced by itself.
    Delete,
    /// Its kubelet must be told of the bundle, and its watchdog asked for it.
    Deliver {
        /// Whether the Pod doesn't name the bundle yet.
        announce: bool,
    },
}

/// What a Pod is told by its annotations.
#[derive(Clone, Copy, Debug)]
pub struct Announcement<'a> {
    /// The bundle that it should serve.
    pub hash: &'a str,
    /// Which keys its sandboxes have; `None` when it has no sandbox.
    pub sandbox_keys: Option<&'a str>,
}

/// Decides on a Pod. Pure.
fn step(workload: Option<&Workload>, pod: &GatewayPod, announced: Announcement<'_>) -> Step {
    if pod.deleting {
        return Step::Wait;
    }
    if is_stuck(workload, pod) {
        return Step::Delete;
    }
    if !pod.scheduled {
        return Step::Wait;
    }
    let Announcement { hash, sandbox_keys } = announced;
    let is_told = pod.bundle_hash.as_deref() == Some(hash)
        && sandbox_keys.is_none_or(|keys| pod.sandbox_keys.as_deref() == Some(keys));
    Step::Deliver { announce: !is_told }
}

/// Whether a Pod will never be replaced by itself. A StatefulSet replaces a Pod of an old revision only once it has been
/// ready: one that can't become ready, because of the very fault that the new revision mends, would stay for ever.
fn is_stuck(workload: Option<&Workload>, pod: &GatewayPod) -> bool {
    let outdated = workload.is_some_and(|workload| {
        workload.is_observed()
            && workload.update_revision.is_some()
            && workload.update_revision != pod.revision
    });
    outdated && !pod.ready && !pod.deleting
}

/// Gets the running Pod, if there is one, to take up the bundle.
pub async fn roll_out(
    context: &Context,
    tenant: &Key,
    gateway: &Gateway,
    announced: Announcement<'_>,
) -> Result<Rollout, kube::Error> {
    let Context { client, stores, deliveries, secrets, .. } = context;
    let idle = Rollout { known: Known::default(), again: None };
    let Some((name, pod)) = &gateway.pod else {
        deliveries.forget(tenant);
        return Ok(idle);
    };
    let api = Api::<Pod>::namespaced(client.clone(), &tenant.namespace);
    match step(gateway.workload.as_deref(), pod, announced) {
        Step::Wait => {
            deliveries.forget(tenant);
            Ok(idle)
        }
        Step::Delete => {
            deliveries.forget(tenant);
            delete(&api, name, pod, None).await?;
            tracing::info!(
                kind = "Tenant",
                namespace = tenant.namespace,
                name = tenant.name,
                pod = name,
                "stuck Pod deleted"
            );
            Ok(idle)
        }
        Step::Deliver { announce } => {
            if announce {
                let Announcement { hash, sandbox_keys } = announced;
                let keys = sandbox_keys.map(|keys| (meta::SANDBOX_KEYS, keys));
                let told = keys.into_iter().chain([(meta::BUNDLE_HASH, hash)]);
                annotate(&api, stores, name, pod, told.collect()).await?;
            }
            let Some(ip) = &pod.ip else { return Ok(idle) };
            let (pod_uid, token) = (pod.uid.clone(), secrets.status_token(tenant));
            let expected = Expected { pod_uid, ip: ip.clone(), hash: announced.hash.to_owned(), token };
            let known = deliveries.follow(tenant, &expected);
            let mut again = deliveries.next_nudge(tenant);
            if again == Some(Duration::ZERO) {
                // Any new value will do.
                let value = format!("{:08x}", rand::random::<u32>());
                annotate(&api, stores, name, pod, [(NUDGE, value.as_str())].into()).await?;
                again = deliveries.next_nudge(tenant);
            }
            Ok(Rollout { known, again })
        }
    }
}

/// Has the StatefulSets of sandboxes make those Pods anew that they would not replace by themselves. Says whether one could
/// not be deleted now: the gateway serves all the same.
pub async fn unstick(client: &Client, tenant: &Key, sandboxes: &BTreeMap<String, Gateway>) -> bool {
    let Key { namespace, name: tenant } = tenant;
    let api = Api::<Pod>::namespaced(client.clone(), namespace);
    let mut is_left = false;
    for sandbox in sandboxes.values() {
        let Some((name, pod)) = &sandbox.pod else { continue };
        if !is_stuck(sandbox.workload.as_deref(), pod) {
            continue;
        }
        match delete(&api, name, pod, None).await {
            Ok(()) => {
                tracing::info!(kind = "Tenant", namespace, name = tenant, pod = name, "stuck Pod deleted");
            }
            Err(error) => {
                is_left = true;
                let error = said(&error);
                tracing::warn!(
                    kind = "Tenant",
                    namespace,
                    name = tenant,
                    pod = name,
                    error,
                    "stuck Pod not deleted"
                );
            }
        }
    }
    is_left
}

/// What is known of a gateway that goes on with the bundle that its Pod was told of last.
pub async fn go_on(context: &Context, observed: &Observed<'_>) -> Known {
    let Context { deliveries, secrets, .. } = context;
    let tenant = &observed.key;
    let pod = observed.gateway.pod.as_ref().map(|(_, pod)| pod).filter(|pod| !pod.deleting);
    let told = pod.and_then(|pod| Some((pod.uid.clone(), pod.ip.clone()?, pod.bundle_hash.clone()?)));
    let Some((pod_uid, ip, hash)) = told else {
        deliveries.forget(tenant);
        return Known::default();
    };
    // A watchdog that is asked without its token says nothing of its gateway.
    let id = observed.previous.tenant_id.as_deref().unwrap_or_default();
    let Some(token) = secrets.recall_status_token(observed.tenant, id).await else {
        return Known::default();
    };
    deliveries.follow(tenant, &Expected { pod_uid, ip, hash, token: Some(token) })
}

/// Has the StatefulSet make a gateway's Pod anew. One that can't be deleted now is looked at again. A gateway that serves has
/// the time that its Pod gives it, for its running turns.
pub async fn restart(client: &Client, tenant: &Key, gateway: &Gateway, serves: bool) {
    let Some((name, pod)) = &gateway.pod else { return };
    let Key { namespace, name: tenant_name } = tenant;
    let api = Api::<Pod>::namespaced(client.clone(), namespace);
    match delete(&api, name, pod, (!serves).then_some(DOWN_GRACE_SECONDS)).await {
        Ok(()) => {
            tracing::warn!(kind = "Tenant", namespace, name = tenant_name, pod = name, "gateway restarted");
        }
        Err(error) => {
            let error = said(&error);
            tracing::warn!(
                kind = "Tenant",
                namespace,
                name = tenant_name,
                pod = name,
                error,
                "not restarted"
            );
        }
    }
}

async fn annotate(
    api: &Api<Pod>,
    stores: &Stores,
    name: &str,
    pod: &GatewayPod,
    annotations: BTreeMap<&str, &str>,
) -> Result<(), kube::Error> {
    let body = json!({"metadata": {"uid": pod.uid, "annotations": annotations}});
    let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
    match api.patch(name, &parameters, &Patch::Merge(body)).await {
        Ok(answer) => {
            stores.put_pod(&answer);
            Ok(())
        }
        Err(error) => gone_is_fine(error),
    }
}

/// `grace_seconds` instead of the Pod's own.
async fn delete(
    api: &Api<Pod>,
    name: &str,
    pod: &GatewayPod,
    grace_seconds: Option<u32>,
) -> Result<(), kube::Error> {
    let parameters = DeleteParams {
        grace_period_seconds: grace_seconds,
        preconditions: Some(Preconditions { uid: Some(pod.uid.clone()), resource_version: None }),
        ..DeleteParams::default()
    };
    api.delete(name, &parameters).await.map(|_| ()).or_else(gone_is_fine)
}

/// The Pod is gone, or another one by now: the watch brings what there is to do. A patch with the uid of another Pod
/// is refused as invalid (422), a deletion as a conflict (409).
fn gone_is_fine(error: kube::Error) -> Result<(), kube::Error> {
    match error {
        kube::Error::Api(status) if matches!(status.code, 404 | 409 | 422) => Ok(()),
        other => Err(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(revision: &str, observed_generation: i64) -> Workload {
        Workload {
            generation: 2,
            observed_generation,
            update_revision: Some(revision.into()),
            ..Workload::default()
        }
    }

    fn pod(change: impl FnOnce(&mut GatewayPod)) -> GatewayPod {
        let mut pod = GatewayPod { scheduled: true, revision: Some("r1".into()), ..GatewayPod::default() };
        change(&mut pod);
        pod
    }

    #[test]
    fn a_pod_is_told_of_other_keys_of_its_sandboxes() {
        let told = pod(|pod| {
            pod.bundle_hash = Some("h".into());
            pod.sandbox_keys = Some("k".into());
        });
        for (sandbox_keys, announce) in [(Some("k"), false), (Some("l"), true), (None, false)] {
            let announced = Announcement { hash: "h", sandbox_keys };
            assert_eq!(step(Some(&workload("r1", 2)), &told, announced), Step::Deliver { announce });
        }
    }

    #[test]
    fn only_a_pod_that_will_never_be_replaced_is_deleted() {
        let cases = [
            ("old and not ready", pod(|_| ()), workload("r2", 2), Step::Delete),
            (
                "old and ready",
                pod(|pod| pod.ready = true),
                workload("r2", 2),
                Step::Deliver { announce: true },
            ),
            ("revision not computed yet", pod(|_| ()), workload("r2", 1), Step::Deliver { announce: true }),
            ("on its way out", pod(|pod| pod.deleting = true), workload("r2", 2), Step::Wait),
            ("current", pod(|_| ()), workload("r1", 2), Step::Deliver { announce: true }),
            ("without a node", pod(|pod| pod.scheduled = false), workload("r1", 2), Step::Wait),
            ("old and without a node", pod(|pod| pod.scheduled = false), workload("r2", 2), Step::Delete),
            (
                "told",
                pod(|pod| pod.bundle_hash = Some("h".into())),
                workload("r1", 2),
                Step::Deliver { announce: false },
            ),
        ];
        for (case, pod, workload, expected) in cases {
            let announced = Announcement { hash: "h", sandbox_keys: None };
            assert_eq!(step(Some(&workload), &pod, announced), expected, "{case}");
        }
    }
}
