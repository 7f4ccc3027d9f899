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
use crate::backoff::Pace;
use crate::child::Workload;
use crate::client::said;
use crate::context::Context;
use crate::delivery::{Expected, Known};
use crate::key::Key;
use crate::pod::GatewayPod;
use crate::stores::Stores;
use crate::tenant::observe::{Gateway, Observed};
use crate::tenant::stop::pace_of;

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
    /// Its watchdog must be asked for the bundle.
    Deliver,
}

/// What a gateway's Pod should have.
#[derive(Clone, Copy, Debug)]
pub struct Current<'a> {
    /// The bundle.
    pub hash: &'a str,
    /// Which keys its sandboxes have, by their names.
    pub sandbox_keys: &'a BTreeMap<String, String>,
}

impl Current<'_> {
    /// Whether a Pod must be told by its annotations, at which its kubelet refreshes its mounts at once: one that has
    /// something else, by its watchdog's last word. A Pod starts with what is current then; to tell each one all the same
    /// would be a write for every new tenant. Pure.
    fn is_missed(self, pod: &GatewayPod, known: &Known) -> bool {
        let told = self.annotations();
        let keys = told.get(meta::SANDBOX_KEYS);
        if pod.bundle_hash.as_deref() == Some(self.hash)
            && (keys.is_none() || pod.sandbox_keys.as_ref() == keys)
        {
            return false;
        }
        // A sandbox that the watchdog has not tried yet it tries with what is there then.
        let probed = known.health.as_ref().map(|health| &health.sandboxes);
        let has_other_keys = |(sandbox, mark): (&String, &String)| {
            let probed = probed.and_then(|probed| probed.get(sandbox));
            probed.is_some_and(|probed| probed.keys.as_ref() != Some(mark))
        };
        known.delivered.as_deref().is_some_and(|delivered| delivered != self.hash)
            || self.sandbox_keys.iter().any(has_other_keys)
    }

    fn annotations(self) -> BTreeMap<&'static str, String> {
        let keys: Vec<&str> = self.sandbox_keys.values().map(String::as_str).collect();
        let keys = (!keys.is_empty()).then(|| (meta::SANDBOX_KEYS, keys.join("-")));
        keys.into_iter().chain([(meta::BUNDLE_HASH, self.hash.to_owned())]).collect()
    }
}

/// Decides on a Pod. Pure.
fn step(workload: Option<&Workload>, pod: &GatewayPod) -> Step {
    if pod.deleting {
        return Step::Wait;
    }
    if is_stuck(workload, pod) {
        return Step::Delete;
    }
    if !pod.scheduled {
        return Step::Wait;
    }
    Step::Deliver
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
    current: Current<'_>,
) -> Result<Rollout, kube::Error> {
    let Context { client, stores, deliveries, secrets, .. } = context;
    let idle = Rollout { known: Known::default(), again: None };
    let Some((name, pod)) = &gateway.pod else {
        deliveries.forget(tenant);
        return Ok(idle);
    };
    let api = Api::<Pod>::namespaced(client.clone(), &tenant.namespace);
    match step(gateway.workload.as_deref(), pod) {
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
        Step::Deliver => {
            let Some(ip) = &pod.ip else { return Ok(idle) };
            let (pod_uid, token) = (pod.uid.clone(), secrets.status_token(tenant));
            let expected = Expected { pod_uid, ip: ip.clone(), hash: current.hash.to_owned(), token };
            // Told before it is followed: after a failure the pass goes on to follow what the Pod was told of last, and two
            // that take turns would each be news.
            if current.is_missed(pod, &deliveries.known_of(tenant, &expected.pod_uid)) {
                annotate(&api, stores, name, pod, current.annotations()).await?;
            }
            let known = deliveries.follow(tenant, &expected);
            let mut again = deliveries.next_nudge(tenant);
            if again == Some(Duration::ZERO) {
                // Any new value will do.
                let value = format!("{:08x}", rand::random::<u32>());
                annotate(&api, stores, name, pod, [(NUDGE, value)].into()).await?;
                again = deliveries.next_nudge(tenant);
            }
            Ok(Rollout { known, again })
        }
    }
}

/// Has the StatefulSets of sandboxes make those Pods anew that they would not replace by themselves. Where one could not be
/// deleted, gives how fast that is tried again, by the slowest: the gateway serves all the same.
pub async fn unstick(client: &Client, tenant: &Key, sandboxes: &BTreeMap<String, Gateway>) -> Option<Pace> {
    let Key { namespace, name: tenant } = tenant;
    let api = Api::<Pod>::namespaced(client.clone(), namespace);
    let mut slowest: Option<Pace> = None;
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
                slowest = slowest.max(Some(pace_of(&error)));
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
    slowest
}

/// What is known of a gateway that goes on with the bundle that its Pod was told of last, or has started with.
pub async fn go_on(context: &Context, observed: &Observed<'_>) -> Known {
    let Context { deliveries, secrets, .. } = context;
    let tenant = &observed.key;
    let pod = observed.gateway.pod.as_ref().map(|(_, pod)| pod).filter(|pod| !pod.deleting);
    let told = pod.and_then(|pod| {
        let hash = pod.bundle_hash.as_ref().or(observed.previous.bundle_hash.as_ref());
        Some((pod.uid.clone(), pod.ip.clone()?, hash?.clone()))
    });
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
    annotations: BTreeMap<&str, String>,
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
    use crate::health::Health;
    use crate::sandbox::{Login, Probed};

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

    /// What a watchdog has said last: the bundle on its disk, and the keys that it has tried a sandbox with.
    fn heard(delivered: &str, keys: Option<&str>) -> Known {
        let probed = Probed { login: Login::Ok, keys: keys.map(str::to_owned), at: None };
        let health = Health { sandboxes: [("s".to_owned(), probed)].into(), ..Health::default() };
        Known { delivered: Some(delivered.into()), health: Some(health), ..Known::default() }
    }

    #[test]
    fn a_pod_is_told_of_what_it_does_not_have() {
        let new = pod(|_| ());
        let told = |bundle: &str, keys: &str| {
            pod(|pod| {
                pod.bundle_hash = Some(bundle.into());
                pod.sandbox_keys = Some(keys.into());
            })
        };
        let bare = |delivered: &str| Known { delivered: Some(delivered.into()), ..Known::default() };
        let cases = [
            ("nobody has asked it", new.clone(), Known::default(), false),
            ("it has started with what is current", new.clone(), heard("h", Some("k")), false),
            ("there has been an edit", new.clone(), heard("g", Some("k")), true),
            ("the keys have been rotated", new.clone(), heard("h", Some("j")), true),
            ("it does not say which keys", new.clone(), heard("h", None), true),
            ("no sandbox was tried yet", new, bare("h"), false),
            ("it has been told, and is on its way", told("h", "k"), heard("g", Some("j")), false),
            ("it has been told of another bundle", told("g", "k"), heard("g", Some("k")), true),
            ("it has been told of other keys", told("h", "j"), heard("h", Some("j")), true),
            ("the same, and nobody has asked it", told("g", "j"), Known::default(), false),
            ("kubelet was faster", told("g", "j"), heard("h", Some("k")), false),
        ];
        let sandbox_keys = [("s".to_owned(), "k".to_owned())].into();
        let current = Current { hash: "h", sandbox_keys: &sandbox_keys };
        for (case, pod, known, expected) in cases {
            assert_eq!(current.is_missed(&pod, &known), expected, "{case}");
        }
        let without = Current { hash: "h", sandbox_keys: &BTreeMap::new() };
        assert!(!without.is_missed(&told("h", "j"), &heard("h", Some("j"))), "it has no sandbox any more");
    }

    #[test]
    fn only_a_pod_that_will_never_be_replaced_is_deleted() {
        let cases = [
            ("old and not ready", pod(|_| ()), workload("r2", 2), Step::Delete),
            ("old and ready", pod(|pod| pod.ready = true), workload("r2", 2), Step::Deliver),
            ("revision not computed yet", pod(|_| ()), workload("r2", 1), Step::Deliver),
            ("on its way out", pod(|pod| pod.deleting = true), workload("r2", 2), Step::Wait),
            ("current", pod(|_| ()), workload("r1", 2), Step::Deliver),
            ("without a node", pod(|pod| pod.scheduled = false), workload("r1", 2), Step::Wait),
            ("old and without a node", pod(|pod| pod.scheduled = false), workload("r2", 2), Step::Delete),
        ];
        for (case, pod, workload, expected) in cases {
            assert_eq!(step(Some(&workload), &pod), expected, "{case}");
        }
    }
}
