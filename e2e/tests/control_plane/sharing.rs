//! A Harness of another namespace: used when it is shared, refused when it isn't.

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kr8tiv_crds::{Harness, Tenant};
use kr8tiv_e2e::Outcome;
use kr8tiv_e2e::manifests::{harness, tenant};
use kr8tiv_e2e::scope::{SOON, Scope};
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::context::Context;
use crate::expect::{GATEWAY_UP, NO_GATEWAY, not_compiled};
use crate::wrong_references::heals;

/// A Harness `shared` of a namespace of its own, and a Tenant `acme` that uses it from another one.
async fn borrowed(context: &Context, purpose: &str, sharing: Value) -> Outcome<(Scope, Scope)> {
    let (owner, scope) =
        (context.scope(&format!("{purpose}-owner")).await?, context.scope(&format!("{purpose}-user")).await?);
    let mut shared = harness("shared");
    shared["spec"]["sharing"] = sharing;
    owner.apply::<Harness>(&shared).await?;
    let mut acme = tenant("acme", "shared");
    acme["spec"]["harnessRef"]["namespace"] = json!(owner.namespace);
    scope.apply::<Tenant>(&acme).await?;
    Ok((owner, scope))
}

fn not_shared(owner: &Scope, scope: &Scope) -> String {
    format!(
        "Tenant acme, spec.harnessRef.namespace: Harness shared of namespace {} is not shared with namespace {}; let its \
         owner share it with {} (spec.sharing), or name a Harness of your own namespace (K8T0004)",
        owner.namespace, scope.namespace, scope.namespace
    )
}

async fn until_counted(owner: &Scope, expected: Value) -> Outcome {
    owner
        .until("the Harness's count of its tenants", SOON, async || {
            let harness: Harness = owner.api().get("shared").await?;
            let counted = serde_json::to_value(&harness.status)?["tenants"].clone();
            if counted == expected { Ok(()) } else { Err(counted.to_string().into()) }
        })
        .await
}

pub async fn with_all(context: &Context) -> Outcome {
    let (owner, scope) = borrowed(context, "share-all", json!({"from": "All"})).await?;
    heals(context, &scope).await?;
    until_counted(&owner, json!({"total": 1, "ready": 1, "failed": 0})).await?;
    let status = serde_json::to_value(scope.api::<Tenant>().get("acme").await?.status)?;
    assert_eq!(status["harness"]["namespace"], json!(owner.namespace));

    let vibe = "Known across borders.";
    owner.merge::<Harness>("shared", json!({"spec": {"soul": {"vibe": vibe}}})).await?;
    scope
        .until("the new text in the workspace", SOON, async || {
            let workspace = scope.api::<ConfigMap>().get("acme-workspace.main").await?;
            let soul = workspace.data.unwrap_or_default().remove("SOUL.md").unwrap_or_default();
            if soul.contains(vibe) { Ok(()) } else { Err("the old text".into()) }
        })
        .await?;
    scope.discard().await?;
    owner.discard().await
}

pub async fn with_nobody(context: &Context) -> Outcome {
    let (owner, scope) = borrowed(context, "share-none", json!({"from": "Same"})).await?;
    let message = not_shared(&owner, &scope);
    scope.until_exactly::<Tenant>("acme", &not_compiled("Invalid", &message, "Stalled", NO_GATEWAY)).await?;
    // Whoever is refused does not spoil the status of the owner's Harness.
    until_counted(&owner, json!({"total": 0, "ready": 0, "failed": 0})).await?;
    scope.discard().await?;
    owner.discard().await
}

pub async fn by_label(context: &Context) -> Outcome {
    let sharing = json!({"from": "Selector", "matchLabels": {"example.com/team": "blue"}});
    let (owner, scope) = borrowed(context, "share-label", sharing).await?;
    let message = not_shared(&owner, &scope);
    let refused = |gateway| not_compiled("Invalid", &message, "Stalled", gateway);
    scope.until_exactly::<Tenant>("acme", &refused(NO_GATEWAY)).await?;
    label(&scope, json!("blue")).await?;
    heals(context, &scope).await?;
    // What runs goes on when the label goes, and nothing reaches it any more.
    label(&scope, Value::Null).await?;
    scope.until_exactly::<Tenant>("acme", &refused(GATEWAY_UP)).await?;
    label(&scope, json!("blue")).await?;
    heals(context, &scope).await?;
    scope.discard().await?;
    owner.discard().await
}

async fn label(scope: &Scope, value: Value) -> Outcome {
    let namespaces: Api<Namespace> = Api::all(scope.cluster.client.clone());
    let patch = json!({"metadata": {"labels": {"example.com/team": value}}});
    namespaces.patch(&scope.namespace, &PatchParams::default(), &Patch::Merge(patch)).await?;
    Ok(())
}
