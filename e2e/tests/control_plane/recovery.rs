//! What becomes of a gateway that does not serve, and of whom it is told. The stand-in for the node says how it is.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kr8tiv_crds::{Harness, Tenant};
use kr8tiv_e2e::Outcome;
use kr8tiv_e2e::conditions::condition;
use kr8tiv_e2e::manifests::{harness, tenant};
use kr8tiv_e2e::scope::{SOON, Scope};
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::context::Context;

/// One gateway that stays down is restarted once, one that was restarted a moment ago is not, and one that is only ill is
/// told of. Takes the three minutes that a gateway is given to come back by itself.
pub async fn of_gateways(context: &Context) -> Outcome {
    let scope = context.scope("recovery").await?;
    let mut patient = harness("concierge");
    patient["spec"]["recovery"] = json!({"maxRestartsPerHour": 3, "cooldown": "10m"});
    scope.apply::<Harness>(&patient).await?;
    for name in ["down", "held", "ill"] {
        scope.apply::<Tenant>(&tenant(name, "concierge")).await?;
    }
    for name in ["down", "held", "ill"] {
        context.until_ready(&scope, name).await?;
        scope.until_told(name, ("Normal", "Ready", "Serving")).await?;
    }
    let recent = Patch::Merge(json!({"status": {"restarts": [Timestamp::now().to_string()]}}));
    scope.api::<Tenant>().patch_status("held", &PatchParams::default(), &recent).await?;
    let down = json!({"state": "Down", "reasons": ["GatewayFrozen"]});
    let (first, held) = (pod(&scope, "down").await?, pod(&scope, "held").await?);
    for name in ["down", "held"] {
        context.node.say(&scope, &format!("{name}-gateway-0"), Some(down.clone())).await?;
    }

    let full = json!({"state": "Degraded", "reasons": ["DiskFull"]});
    context.node.say(&scope, "ill-gateway-0", Some(full)).await?;
    scope.until_told("ill", ("Warning", "Degraded", "DiskFull")).await?;
    context.node.say(&scope, "ill-gateway-0", None).await?;
    scope.until_told("ill", ("Normal", "Degraded", "Succeeded")).await?;
    assert_eq!(restarts(&scope, "ill").await?, 0);

    scope.until_told("down", ("Warning", "Ready", "GatewayDown")).await?;
    scope
        .until("another Pod", 2 * SOON, async || match pod(&scope, "down").await? {
            now if now == first => Err("it is the same".into()),
            _ => Ok(()),
        })
        .await?;
    scope.until_told("down", ("Warning", "Restart", "GatewayRestarted")).await?;
    assert_eq!(restarts(&scope, "down").await?, 1);
    scope
        .until("a restart held back", 2 * SOON, async || {
            let tenant: Tenant = scope.api().get("held").await?;
            let gateway = condition(&tenant, "GatewayReady").ok_or("no condition")?;
            let is_told = gateway.message.ends_with("; it is restarted again when recovery.cooldown is over");
            if is_told { Ok(()) } else { Err(gateway.message.clone().into()) }
        })
        .await?;
    assert_eq!((restarts(&scope, "held").await?, pod(&scope, "held").await?), (1, held));

    context.node.say(&scope, "held-gateway-0", None).await?;
    for name in ["down", "held"] {
        context.until_ready(&scope, name).await?;
    }
    scope.discard().await
}

/// Which Pod a gateway has.
async fn pod(scope: &Scope, tenant: &str) -> Outcome<Option<String>> {
    Ok(scope.api::<Pod>().get(&format!("{tenant}-gateway-0")).await?.uid())
}

/// How many restarts the status counts.
async fn restarts(scope: &Scope, tenant: &str) -> Outcome<usize> {
    Ok(scope.api::<Tenant>().get(tenant).await?.status.map_or(0, |status| status.restarts.len()))
}
