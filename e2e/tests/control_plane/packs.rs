//! A pack of skills whose image can't be pulled: the Pod that is stuck is replaced by one that does without.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kr8tiv_crds::{Harness, Tenant};
use kr8tiv_e2e::Outcome;
use kr8tiv_e2e::manifests::{harness, tenant};
use kr8tiv_e2e::scope::{SOON, Scope};
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::context::Context;
use crate::expect::SERVING;

const IMAGE: &str = "registry.example.com/skills/base";
const CONTAINER: &str = "skills-base";

pub async fn image_that_can_not_be_pulled(context: &Context) -> Outcome {
    let scope = context.scope("packs").await?;
    let digest = format!("sha256:{}", "1".repeat(64));
    let mut concierge = harness("concierge");
    concierge["spec"]["skills"] = json!({"packs": [{
        "name": "base", "skills": ["refunds"], "source": {"image": {"reference": IMAGE, "digest": digest}}
    }]});
    scope.apply::<Harness>(&concierge).await?;
    scope.apply::<Tenant>(&tenant("acme", "concierge")).await?;
    let stuck = fail_to_pull(&scope, &format!("{IMAGE}@{digest}")).await?;
    without(context, &scope, &digest).await?;
    let pod: Pod = scope.api().get("acme-gateway-0").await?;
    assert_ne!(pod.uid(), stuck, "the stuck Pod is still there");

    // The operator's memory is the Tenant's status: what it wrote there, it heeds after a start too (unit tests), and
    // asks for the image again when it is told to.
    let retry = json!({"metadata": {"annotations": {"kr8tiv.ai/retry-images": "1"}}});
    scope.merge::<Tenant>("acme", retry).await?;
    scope
        .until("the pack in the template again", SOON, async || {
            if has_pack(&scope).await? { Ok(()) } else { Err("it is not".into()) }
        })
        .await?;
    fail_to_pull(&scope, &format!("{IMAGE}@{digest}")).await?;
    without(context, &scope, &digest).await?;
    scope.discard().await
}

async fn has_pack(scope: &Scope) -> Outcome<bool> {
    let set: StatefulSet = scope.api().get("acme-gateway").await?;
    let pod = set.spec.and_then(|spec| spec.template.spec).ok_or("no Pod's spec")?;
    Ok(pod.init_containers.iter().flatten().any(|container| container.name == CONTAINER))
}

/// Does what kubelet does, once there is a Pod with the pack; gives its uid.
async fn fail_to_pull(scope: &Scope, image: &str) -> Outcome<Option<String>> {
    let failed = async || pull(scope, image).await?.ok_or_else(|| "not yet".into());
    Ok(scope.until("a Pod with the pack", SOON, failed).await?.uid())
}

/// Fails to pull the image of the Pod that is there, if it has one.
async fn pull(scope: &Scope, image: &str) -> Outcome<Option<Pod>> {
    let pod: Pod = scope.api().get("acme-gateway-0").await?;
    let init = pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten());
    let has_pack = init.into_iter().any(|container| container.name == CONTAINER);
    if !has_pack || pod.metadata.deletion_timestamp.is_some() {
        return Ok(None);
    }
    let status = json!({"status": {"initContainerStatuses": [{
        "name": CONTAINER, "image": image, "imageID": "", "ready": false, "restartCount": 0,
        "state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}}
    }]}});
    scope
        .api::<Pod>()
        .patch_status("acme-gateway-0", &PatchParams::default(), &Patch::Strategic(status))
        .await?;
    Ok(Some(pod))
}

/// The gateway serves without the pack, and a condition says so.
async fn without(context: &Context, scope: &Scope, digest: &str) -> Outcome {
    scope
        .until("the template without the pack", SOON, async || {
            if has_pack(scope).await? {
                // The StatefulSet may have made the Pod anew: kubelet fails again.
                pull(scope, &format!("{IMAGE}@{digest}")).await?;
                return Err("it is in it".into());
            }
            Ok(())
        })
        .await?;
    // Only then is there a Pod that the stand-in may make Ready.
    scope
        .until("a Pod without the pack", SOON, async || {
            let pod: Pod = scope.api().get("acme-gateway-0").await?;
            let init = pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten());
            if init.into_iter().any(|container| container.name == CONTAINER) {
                Err("not yet".into())
            } else {
                Ok(())
            }
        })
        .await?;
    context.until_ready(scope, "acme").await?;
    let message = format!(
        "the gateway runs without the pack base: image {IMAGE}@{digest} can't be had: not found; to try again, give the \
         Tenant's annotation kr8tiv.ai/retry-images a new value"
    );
    let mut expected = SERVING.to_vec();
    expected.push(("SkillsReady", "False", "SkillPackUnavailable", &message));
    expected.push(("Degraded", "True", "SkillPackUnavailable", &message));
    scope.until_exactly::<Tenant>("acme", &expected).await?;
    Ok(())
}
