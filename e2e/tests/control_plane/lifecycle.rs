//! Suspending and deleting a Tenant: what the garbage collector takes, and what stays.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kr8tiv_crds::{Harness, Tenant, meta};
use kr8tiv_e2e::Outcome;
use kr8tiv_e2e::manifests::{harness, tenant};
use kr8tiv_e2e::scope::{SOON, Scope};
use kube::ResourceExt;
use serde_json::json;

use crate::context::Context;
use crate::expect::{COMPILED, STARTING};

pub async fn deletion_retains(context: &Context) -> Outcome {
    let scope = context.scope("retain").await?;
    let id = pending_tenant(&scope).await?;
    let claim = format!("{id}-state");
    let before = scope.api::<PersistentVolumeClaim>().get(&claim).await?;

    scope.delete::<Tenant>("acme").await?;
    only_left(&scope, &id, &[&format!("PersistentVolumeClaim {claim}")]).await?;
    let kept = scope.api::<PersistentVolumeClaim>().get(&claim).await?;
    assert_eq!((before.uid(), None), (kept.uid(), kept.metadata.deletion_timestamp));

    // A new Tenant with the old id takes the volume up again.
    let mut successor = tenant("successor", "concierge");
    successor["spec"]["tenantId"] = json!(id);
    scope.apply::<Tenant>(&successor).await?;
    scope.until_exactly::<Tenant>("successor", &STARTING).await?;
    let workload = scope.api::<StatefulSet>().get("successor-gateway").await?;
    let volumes =
        workload.spec.and_then(|spec| spec.template.spec).and_then(|spec| spec.volumes).unwrap_or_default();
    let mounted = volumes.into_iter().find_map(|volume| volume.persistent_volume_claim).map(|c| c.claim_name);
    assert_eq!(mounted, Some(claim.clone()));
    let taken = scope.api::<PersistentVolumeClaim>().get(&claim).await?;
    assert_eq!(before.uid(), taken.uid());
    assert_eq!(taken.labels().get(meta::TENANT).map(String::as_str), Some("successor"));
    scope.discard().await
}

/// A claim that somebody has made, with the label that says whose it is, as from a snapshot.
pub async fn restoration(context: &Context) -> Outcome {
    const ID: &str = "acme-0a1b2c3d";
    let scope = context.scope("restore").await?;
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": format!("{ID}-state"), "labels": {meta::TENANT_ID: ID}},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}}}
    });
    let restored: PersistentVolumeClaim = scope.apply(&claim).await?;
    scope.apply::<Harness>(&harness("concierge")).await?;
    let mut acme = tenant("acme", "concierge");
    acme["spec"]["tenantId"] = json!(ID);
    scope.apply::<Tenant>(&acme).await?;
    scope.until_exactly::<Tenant>("acme", &STARTING).await?;
    let taken = scope.api::<PersistentVolumeClaim>().get(&format!("{ID}-state")).await?;
    assert_eq!(restored.uid(), taken.uid());
    assert_eq!(taken.labels().get(meta::TENANT).map(String::as_str), Some("acme"));
    scope.discard().await
}

pub async fn deletion_deletes(context: &Context) -> Outcome {
    let scope = context.scope("delete").await?;
    let id = pending_tenant(&scope).await?;
    let claim = format!("{id}-state");
    let owners = async || -> Outcome<usize> {
        Ok(scope.api::<PersistentVolumeClaim>().get(&claim).await?.owner_references().len())
    };
    // The policy can be changed, in both directions, as long as the Tenant is there.
    for (policy, expected) in [("Delete", 1), ("Retain", 0), ("Delete", 1)] {
        scope.merge::<Tenant>("acme", json!({"spec": {"deletionPolicy": policy}})).await?;
        scope
            .until(&format!("a volume with {expected} owners"), SOON, async || match owners().await? {
                count if count == expected => Ok(()),
                count => Err(format!("it has {count}").into()),
            })
            .await?;
    }
    scope.delete::<Tenant>("acme").await?;
    only_left(&scope, &id, &[]).await?;
    scope.discard().await
}

pub async fn suspension(context: &Context) -> Outcome {
    const MESSAGE: &str = "the Tenant is suspended; set spec.suspend to false to start it";
    let scope = context.scope("suspend").await?;
    let id = pending_tenant(&scope).await?;
    scope.merge::<Tenant>("acme", json!({"spec": {"suspend": true}})).await?;
    let suspended = [
        ("Ready", "False", "Suspended", MESSAGE),
        COMPILED,
        ("GatewayReady", "False", "Suspended", MESSAGE),
        ("Suspended", "True", "Suspended", MESSAGE),
        ("SandboxReady", "Unknown", "Suspended", "the sandboxes are stopped with the gateway"),
    ];
    scope.until_exactly::<Tenant>("acme", &suspended).await?;
    let left = scope.resource_versions(&format!("{}={id}", meta::TENANT_ID)).await?;
    assert!(!left.contains_key("Pod acme-gateway-0"), "{left:?}");
    assert!(left.contains_key(&format!("PersistentVolumeClaim {id}-state")), "{left:?}");
    scope.merge::<Tenant>("acme", json!({"spec": {"suspend": false}})).await?;
    scope.until_exactly::<Tenant>("acme", &STARTING).await?;
    scope.discard().await
}

/// Creates a Tenant whose Pod waits for a node; gives the tenant's id.
async fn pending_tenant(scope: &Scope) -> Outcome<String> {
    scope.apply::<Harness>(&harness("concierge")).await?;
    scope.apply::<Tenant>(&tenant("acme", "concierge")).await?;
    let tenant = scope.until_exactly::<Tenant>("acme", &STARTING).await?;
    Ok(tenant.status.and_then(|status| status.tenant_id).ok_or("no tenantId")?)
}

async fn only_left(scope: &Scope, id: &str, expected: &[&str]) -> Outcome {
    scope
        .until("everything of the tenant gone but what is to stay", SOON, async || {
            let left = scope.resource_versions(&format!("{}={id}", meta::TENANT_ID)).await?;
            if left.keys().eq(expected.iter()) {
                Ok(())
            } else {
                Err(format!("left: {:?}", left.keys()).into())
            }
        })
        .await
}
