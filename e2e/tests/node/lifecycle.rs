//! The end of a tenant, and its return.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kr8tiv_crds::{Tenant, meta};
use kr8tiv_e2e::manifests::tenant;
use kr8tiv_e2e::{Outcome, figure_seconds};
use kube::ResourceExt;
use serde_json::json;

use crate::context::{Context, START};
use crate::gateway::{Gateway, STATE};

/// An idle gateway ends within a second; a container that does not is killed after the grace period of 330 s.
const ENDED: Duration = Duration::from_mins(2);

pub async fn deletion(context: &Context) -> Outcome {
    let gateway = context.scripted().await?;
    let scope = &gateway.scope;
    let id = gateway.tenant().await?.status.and_then(|status| status.tenant_id).ok_or("no tenantId")?;
    let claim = format!("{id}-state");
    let volume = scope.api::<PersistentVolumeClaim>().get(&claim).await?.uid();
    gateway.exec(&["sh", "-c", &format!("echo remembered > {STATE}/marker")]).await?;

    let started = Instant::now();
    scope.delete::<Tenant>(&gateway.tenant).await?;
    let kept = format!("PersistentVolumeClaim {claim}");
    scope
        .until("everything of the tenant gone but its volume", ENDED, async || {
            let left = scope.resource_versions(&format!("{}={id}", meta::TENANT_ID)).await?;
            if left.keys().eq([&kept]) { Ok(()) } else { Err(format!("left: {:?}", left.keys()).into()) }
        })
        .await?;
    figure_seconds("tenant_deleted", started.elapsed());
    assert_eq!(volume, scope.api::<PersistentVolumeClaim>().get(&claim).await?.uid());

    let mut successor = tenant("successor", "scripted");
    successor["spec"]["tenantId"] = json!(id);
    let started = Instant::now();
    scope.apply::<Tenant>(&successor).await?;
    scope.until_ready::<Tenant>("successor", START).await?;
    figure_seconds("successor.ready", started.elapsed());
    let successor = Gateway::new(scope.clone(), "successor");
    assert_eq!(successor.read(&format!("{STATE}/marker")).await?, "remembered\n");
    Ok(())
}
