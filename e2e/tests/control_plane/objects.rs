//! What a tenant consists of, and how changes reach it.

use std::collections::BTreeSet;
use std::time::Instant;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kr8tiv_crds::{Agent, Harness, Tenant, meta};
use kr8tiv_e2e::cluster::repository_file;
use kr8tiv_e2e::conditions::{self, condition};
use kr8tiv_e2e::kubectl::kubectl;
use kr8tiv_e2e::manifests::{default_agent, harness, tenant};
use kr8tiv_e2e::scope::{Kind, SOON, Scope};
use kr8tiv_e2e::{Outcome, figure_seconds};
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::context::Context;
use crate::expect::{SERVING, STARTING};

/// Every file of examples/, applied as a user would, compiles; and a gateway that starts makes it Ready.
pub async fn examples(context: &Context) -> Outcome {
    let mut applied = 0;
    for entry in std::fs::read_dir(repository_file("examples"))? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let scope = context.scope("example").await?;
        let file = path.to_str().ok_or("a path that is no text")?;
        kubectl(&["apply", "--server-side", "--validate=strict", "-n", &scope.namespace, "-f", file]).await?;
        let tenants = scope.api::<Tenant>().list(&ListParams::default()).await?;
        assert!(!tenants.items.is_empty(), "{file} has no Tenant");
        for tenant in tenants {
            context.until_ready(&scope, &tenant.name_any()).await?;
        }
        for agent in scope.api::<Agent>().list(&ListParams::default()).await? {
            // Each that is seen later than the Tenant was ready is another Pod.
            scope
                .until(&format!("Agent {} Ready", agent.name_any()), SOON, async || {
                    context.node.make_ready(&scope).await?;
                    conditions::ready(&scope.api::<Agent>().get(&agent.name_any()).await?)
                })
                .await?;
        }
        for harness in scope.api::<Harness>().list(&ListParams::default()).await? {
            scope.until_ready::<Harness>(&harness.name_any(), SOON).await?;
        }
        applied += 1;
        scope.discard().await?;
    }
    assert!(applied >= 2, "only {applied} examples were found");
    Ok(())
}

pub async fn every_object(context: &Context) -> Outcome {
    let scope = context.scope("objects").await?;
    scope.apply::<Harness>(&harness("concierge")).await?;
    let tenant = scope.apply::<Tenant>(&tenant("acme", "concierge")).await?;
    let uid = tenant.uid().ok_or("a Tenant without uid")?;
    let tenant = scope.until_exactly::<Tenant>("acme", &STARTING).await?;
    let id = format!("acme-{}", uid.get(..8).ok_or("a short uid")?);

    // The Pod is there: the API server took it although the namespace enforces `restricted`.
    let pod = scope
        .until("the gateway's Pod", SOON, async || Ok(scope.api::<Pod>().get("acme-gateway-0").await?))
        .await?;
    assert_eq!(pod.status.and_then(|status| status.phase).as_deref(), Some("Pending"));

    // So was the sandbox's.
    scope
        .until("the sandbox's Pod", SOON, async || Ok(scope.api::<Pod>().get("acme-sandbox-0").await?))
        .await?;

    let claim = format!("{id}-state");
    let expected = [
        owned::<ServiceAccount>(&scope, "acme-gateway", &uid).await?,
        owned::<NetworkPolicy>(&scope, "acme-gateway", &uid).await?,
        owned::<PodDisruptionBudget>(&scope, "acme-gateway", &uid).await?,
        owned::<Service>(&scope, "acme-gateway", &uid).await?,
        owned::<ConfigMap>(&scope, "acme-gateway-config", &uid).await?,
        owned::<ConfigMap>(&scope, "acme-workspace.main", &uid).await?,
        owned::<Secret>(&scope, "acme-gateway-token", &uid).await?,
        owned::<StatefulSet>(&scope, "acme-gateway", &uid).await?,
        owned::<NetworkPolicy>(&scope, "acme-sandbox", &uid).await?,
        owned::<Service>(&scope, "acme-sandbox", &uid).await?,
        owned::<Secret>(&scope, "acme-sandbox-ssh", &uid).await?,
        owned::<StatefulSet>(&scope, "acme-sandbox", &uid).await?,
        "Pod acme-sandbox-0".to_owned(),
        format!("PersistentVolumeClaim {claim}"),
        "Pod acme-gateway-0".to_owned(),
    ];
    let labelled = scope.resource_versions(&format!("{}={id}", meta::TENANT_ID)).await?;
    assert_eq!(labelled.into_keys().collect::<BTreeSet<_>>(), BTreeSet::from(expected));
    let volume = scope.api::<PersistentVolumeClaim>().get(&claim).await?;
    assert_eq!(volume.metadata.owner_references, None, "the volume would be deleted with the Tenant");
    let token = scope.api::<Secret>().get("acme-gateway-token").await?.data.unwrap_or_default();
    for key in ["token", "statusToken"] {
        assert!(token.get(key).is_some_and(|token| token.0.len() >= 32), "{key} is too short");
    }

    let status = serde_json::to_value(tenant.status)?;
    let delivery = delivery(&scope, "acme").await?;
    assert_eq!(status["tenantId"], json!(id));
    assert_eq!(status["containerTag"], json!(format!("tenant-{id}")));
    assert_eq!(status["bundleHash"], delivery["bundleHash"]);
    assert_eq!(status["agents"], json!({"desired": 1}));
    let endpoint = format!("http://acme-gateway.{}.svc:18789", scope.namespace);
    assert_eq!(status["gateway"], json!({"version": "2026.9.6", "endpoint": endpoint}));
    let revision = scope.api::<Harness>().get("concierge").await?.status.and_then(|status| status.revision);
    assert_eq!(status["harness"], json!({"name": "concierge", "revision": revision}));

    let table = kubectl(&["-n", &scope.namespace, "get", "tenants.kr8tiv.ai"]).await?;
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        rows[0],
        ["NAME", "READY", "REASON", "HARNESS", "REVISION", "AGENTS", "MEMORY", "VERSION", "AGE"]
    );
    let revision = revision.unwrap_or_default();
    assert_eq!(rows[1][..7], ["acme", "False", "Starting", "concierge", &revision, "1", "2026.9.6"]);
    scope.discard().await
}

pub async fn becomes_ready(context: &Context) -> Outcome {
    let scope = context.scope("ready").await?;
    scope.apply::<Harness>(&harness("concierge")).await?;
    scope.apply::<Agent>(&default_agent("desk", "acme")).await?;
    scope.apply::<Tenant>(&tenant("acme", "concierge")).await?;
    context.until_ready(&scope, "acme").await?;
    scope.until_exactly::<Tenant>("acme", &SERVING).await?;
    scope.until_ready::<Agent>("desk", SOON).await?;
    let harness = scope
        .until("the Harness counts its tenant", SOON, async || {
            let harness: Harness = scope.api().get("concierge").await?;
            let status = serde_json::to_value(&harness.status)?;
            let counted = json!({"total": 1, "ready": 1, "failed": 0});
            if status["tenants"] == counted { Ok(harness) } else { Err(status["tenants"].to_string().into()) }
        })
        .await?;
    assert_eq!(condition(&harness, "Compiled").map(|c| c.status.as_str()), Some("True"));

    // A change that the gateway takes up while it runs: the same Pod, told of the new bundle.
    let pod = scope.api::<Pod>().get("acme-gateway-0").await?;
    let before = pod.annotations().get(meta::BUNDLE_HASH).cloned();
    scope.merge::<Harness>("concierge", json!({"spec": {"soul": {"vibe": "Wet."}}})).await?;
    let after = scope
        .until("the Pod told of another bundle", SOON, async || {
            let pod: Pod = scope.api().get("acme-gateway-0").await?;
            let told = pod.annotations().get(meta::BUNDLE_HASH).cloned();
            if told == before { Err("not told".into()) } else { Ok(pod) }
        })
        .await?;
    assert_eq!(pod.uid(), after.uid(), "the Pod was replaced for a change that needs no restart");
    let delivery = delivery(&scope, "acme").await?;
    assert_eq!(
        after.annotations().get(meta::BUNDLE_HASH).map(String::as_str),
        delivery["bundleHash"].as_str()
    );
    scope
        .until("the Tenant Ready with the new bundle", SOON, async || {
            let tenant: Tenant = scope.api().get("acme").await?;
            let status = serde_json::to_value(&tenant.status)?;
            if status["bundleHash"] != delivery["bundleHash"] {
                return Err("it shows the old bundle".into());
            }
            kr8tiv_e2e::conditions::ready(&tenant)
        })
        .await?;
    scope.discard().await
}

pub async fn harness_edit(context: &Context) -> Outcome {
    const TENANTS: usize = 10;
    let scope = context.scope("fan-out").await?;
    scope.apply::<Harness>(&harness("concierge")).await?;
    let names: Vec<String> = (0..TENANTS).map(|number| format!("t{number}")).collect();
    for name in &names {
        scope.apply::<Tenant>(&tenant(name, "concierge")).await?;
    }
    for name in &names {
        scope.until_exactly::<Tenant>(name, &STARTING).await?;
    }
    let vibe = "Patient as a stone in a river.";
    let started = Instant::now();
    scope.merge::<Harness>("concierge", json!({"spec": {"soul": {"vibe": vibe}}})).await?;
    scope
        .until("the new text in every workspace", SOON, async || {
            for name in &names {
                let workspace = scope.api::<ConfigMap>().get(&format!("{name}-workspace.main")).await?;
                let soul = workspace.data.unwrap_or_default().remove("SOUL.md").unwrap_or_default();
                if !soul.contains(vibe) {
                    return Err(format!("{name} has the old text").into());
                }
            }
            Ok(())
        })
        .await?;
    figure_seconds(&format!("harness_edit_to_{TENANTS}_tenants"), started.elapsed());
    scope
        .until("every Tenant shows the Harness's revision", SOON, async || {
            let revision =
                scope.api::<Harness>().get("concierge").await?.status.and_then(|status| status.revision);
            for name in &names {
                let status = scope.api::<Tenant>().get(name).await?.status.unwrap_or_default();
                if status.harness.map(|harness| harness.revision) != revision {
                    return Err(format!("{name} shows another revision").into());
                }
            }
            Ok(())
        })
        .await?;
    scope.discard().await
}

/// The object exists, belongs to the Tenant and carries the labels; gives its kind and name.
async fn owned<K: Kind>(scope: &Scope, name: &str, uid: &str) -> Outcome<String> {
    let object: K = scope.api().get(name).await?;
    let owners = object.owner_references();
    assert_eq!(owners.len(), 1, "{} {name}: {owners:?}", K::kind(&()));
    assert_eq!((owners[0].kind.as_str(), owners[0].uid.as_str()), ("Tenant", uid));
    assert_eq!(owners[0].controller, Some(true));
    let label = |key: &str| object.labels().get(key).map(String::as_str);
    assert_eq!((label(meta::MANAGED_BY), label(meta::TENANT)), (Some(meta::MANAGED_BY_VALUE), Some("acme")));
    Ok(format!("{} {name}", K::kind(&())))
}

/// What the watchdog is told to deliver.
async fn delivery(scope: &Scope, tenant: &str) -> Outcome<Value> {
    let config = scope.api::<ConfigMap>().get(&format!("{tenant}-gateway-config")).await?;
    let text = config.data.unwrap_or_default().remove("delivery.json").ok_or("no delivery.json")?;
    Ok(serde_json::from_str(&text)?)
}
