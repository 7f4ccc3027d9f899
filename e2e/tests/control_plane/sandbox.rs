//! Sandboxes on a real API server, in a namespace that enforces Pod Security `restricted`: their objects, their keys, and
//! their end.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kr8tiv_crds::{Agent, Harness, Tenant, meta};
use kr8tiv_e2e::Outcome;
use kr8tiv_e2e::conditions::condition;
use kr8tiv_e2e::manifests::{agent, default_agent, harness, tenant};
use kr8tiv_e2e::scope::{SOON, Scope};
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::json;

use crate::context::Context;
use crate::expect::{SERVING, STARTING};

const SECRET: &str = "acme-sandbox-ssh";

/// From the first apply to the deletion of the Tenant.
pub async fn life(context: &Context) -> Outcome {
    let scope = context.scope("sandbox").await?;
    scope.apply::<Harness>(&harness("concierge")).await?;
    let uid = scope.apply::<Tenant>(&tenant("acme", "concierge")).await?.uid().ok_or("no uid")?;
    scope.until_exactly::<Tenant>("acme", &STARTING).await?;
    let pod = scope
        .until("the sandbox's Pod", SOON, async || Ok(scope.api::<Pod>().get("acme-sandbox-0").await?))
        .await?;
    assert_eq!(pod.status.and_then(|status| status.phase).as_deref(), Some("Pending"));
    assert_eq!(keys_of("acme-sandbox", &scope).await?, [["authorized_keys", "ssh_host_ed25519_key"]]);
    assert_eq!(keys_of("acme-gateway", &scope).await?, [["id_ed25519", "known_hosts"]]);
    let policy = serde_json::to_value(scope.api::<NetworkPolicy>().get("acme-sandbox").await?.spec)?;
    let nowhere = json!([{"to": [{"ipBlock": {"cidr": "127.0.0.1/32"}}]}]);
    assert_eq!(policy["egress"], nowhere, "nothing is let out");
    assert_eq!(policy["policyTypes"], json!(["Ingress", "Egress"]));
    let ports =
        serde_json::to_value(scope.api::<Service>().get("acme-sandbox").await?.spec)?["ports"].clone();
    assert_eq!((ports[0]["port"].as_i64(), ports[0]["targetPort"].as_str()), (Some(2222), Some("ssh")));

    let first = keys(&scope).await?;
    let host = format!("[acme-sandbox.{}.svc]:2222 ssh-ed25519 ", scope.namespace);
    assert!(first["known_hosts"].starts_with(&host), "{}", first["known_hosts"]);

    // Ready, by the stand-in for the node, whose watchdog says that it can log in; and then other keys.
    context.until_ready(&scope, "acme").await?;
    scope.until_exactly::<Tenant>("acme", &SERVING).await?;
    assert_eq!(keys(&scope).await?, first);
    let gateway = scope.api::<Pod>().get("acme-gateway-0").await?;
    let before = (generation(&scope, "acme-gateway").await?, generation(&scope, "acme-sandbox").await?);
    let rotate = json!({"metadata": {"annotations": {meta::ROTATE_SANDBOX_KEYS: "1"}}});
    scope.merge::<Tenant>("acme", rotate).await?;
    scope
        .until("the sandbox rolled", SOON, async || {
            let now = generation(&scope, "acme-sandbox").await?;
            if now == before.1 + 1 { Ok(()) } else { Err(format!("generation {now}").into()) }
        })
        .await?;
    let second = keys(&scope).await?;
    for (name, value) in &first {
        assert_ne!(second.get(name), Some(value), "{name}");
    }
    let told = scope
        .until("the gateway's Pod told", SOON, async || {
            let pod = scope.api::<Pod>().get("acme-gateway-0").await?;
            let was = gateway.annotations().get(meta::SANDBOX_KEYS);
            if pod.annotations().get(meta::SANDBOX_KEYS) == was { Err("not told".into()) } else { Ok(pod) }
        })
        .await?;
    assert_eq!(told.uid(), gateway.uid(), "the gateway goes on");
    assert_eq!(generation(&scope, "acme-gateway").await?, before.0);

    // Without sandboxes, and gone.
    let off = json!({"spec": {"tools": {"sandboxNonMainSessions": false}}});
    scope.merge::<Harness>("concierge", off).await?;
    scope.until_gone::<StatefulSet>("acme-sandbox", SOON).await?;
    scope.until_gone::<Service>("acme-sandbox", SOON).await?;
    scope.until_gone::<NetworkPolicy>("acme-sandbox", SOON).await?;
    scope
        .until("nothing said of it", SOON, async || {
            let tenant: Tenant = scope.api().get("acme").await?;
            condition(&tenant, "SandboxReady").map_or(Ok(()), |told| Err(told.message.clone().into()))
        })
        .await?;
    let on = json!({"spec": {"tools": {"sandboxNonMainSessions": true}}});
    scope.merge::<Harness>("concierge", on).await?;
    scope
        .until("a sandbox", SOON, async || Ok(scope.api::<StatefulSet>().get("acme-sandbox").await?))
        .await?;
    assert_eq!(keys(&scope).await?, second, "its keys were kept");
    scope.delete::<Tenant>("acme").await?;
    scope
        .until("nothing of it left but the volume", SOON, async || {
            let id = format!("{}=acme-{}", meta::TENANT_ID, uid.get(..8).unwrap_or_default());
            let left: Vec<_> = scope.resource_versions(&id).await?.into_keys().collect();
            let is_volume = |name: &String| name.starts_with("PersistentVolumeClaim ");
            if left.iter().all(is_volume) { Ok(()) } else { Err(left.join(", ").into()) }
        })
        .await?;
    scope.discard().await
}

/// With agents' ids at their longest.
pub async fn for_each_agent(context: &Context) -> Outcome {
    let scope = context.scope("sandboxes").await?;
    let mut each = harness("concierge");
    each["spec"]["tools"] = json!({"sandbox": {"scope": "Agent", "egress": [{"cidr": "10.20.0.7/32"}]}});
    scope.apply::<Harness>(&each).await?;
    let long = "a".repeat(40);
    scope.apply::<Agent>(&default_agent("desk", &long)).await?;
    for name in [long.as_str(), "gateway"] {
        scope.apply::<Agent>(&agent(name, &long)).await?;
    }
    scope.apply::<Tenant>(&tenant(&long, "concierge")).await?;
    let sandboxes = ListParams::default().labels(&format!("{}={}", meta::COMPONENT, meta::SANDBOX));
    let pods = scope
        .until("a Pod for each agent", SOON, async || {
            let pods = scope.api::<Pod>().list(&sandboxes).await?.items;
            if pods.len() == 3 { Ok(pods) } else { Err(format!("{} Pods", pods.len()).into()) }
        })
        .await?;
    for pod in pods {
        let set = pod.name_any().trim_end_matches("-0").to_owned();
        assert_eq!(pod.labels().get(meta::SANDBOX_NAME), Some(&set));
        let secret = scope.api::<Secret>().get(&format!("{set}-ssh")).await?;
        assert_eq!(secret.data.map(|data| data.len()), Some(4), "{set}");
        scope.api::<Service>().get(&set).await?;
    }
    assert_eq!(keys_of(&format!("{long}-gateway"), &scope).await?.len(), 3);
    let policies = scope.api::<NetworkPolicy>().list(&sandboxes).await?.items;
    assert_eq!(policies.len(), 1);
    scope.discard().await
}

/// Runs alone: it stops the operator.
pub async fn over_a_restart(context: &Context) -> Outcome {
    let scope = context.scope("sandbox-restart").await?;
    scope.apply::<Harness>(&harness("concierge")).await?;
    scope.apply::<Tenant>(&tenant("acme", "concierge")).await?;
    scope.until_exactly::<Tenant>("acme", &STARTING).await?;
    let before = (keys(&scope).await?, generation(&scope, "acme-sandbox").await?);
    let revision = revision_of(&scope).await?.ok_or("the Tenant shows no revision")?;
    let mut operator = context.operator.lock().await;
    operator.stop().await?;
    operator.resume().await?;
    drop(operator);
    // A pass after the restart: it has looked for the keys before it applies this.
    scope.merge::<Harness>("concierge", json!({"spec": {"soul": {"vibe": "Wet."}}})).await?;
    scope
        .until("a pass", SOON, async || {
            let shown = revision_of(&scope).await?;
            if shown.as_ref().is_some_and(|shown| *shown != revision) {
                Ok(())
            } else {
                Err(format!("the Tenant shows {shown:?}, and {revision} before").into())
            }
        })
        .await?;
    assert_eq!((keys(&scope).await?, generation(&scope, "acme-sandbox").await?), before);
    scope.discard().await
}

/// The revision of the Harness that the Tenant shows.
async fn revision_of(scope: &Scope) -> Outcome<Option<String>> {
    let status = scope.api::<Tenant>().get("acme").await?.status;
    Ok(status.and_then(|status| status.harness).map(|harness| harness.revision))
}

/// The keys in the Secret, as text.
async fn keys(scope: &Scope) -> Outcome<std::collections::BTreeMap<String, String>> {
    let data = scope.api::<Secret>().get(SECRET).await?.data.unwrap_or_default();
    data.into_iter().map(|(name, value)| Ok((name, String::from_utf8(value.0)?))).collect()
}

/// Of each Secret that the Pods of a StatefulSet mount, the keys that they see.
async fn keys_of(set: &str, scope: &Scope) -> Outcome<Vec<Vec<String>>> {
    let set = scope.api::<StatefulSet>().get(set).await?;
    let pod = set.spec.and_then(|spec| spec.template.spec).ok_or("no Pod's spec")?;
    let secrets = pod.volumes.into_iter().flatten().filter_map(|volume| volume.secret);
    let keys = secrets.map(|secret| {
        let items = secret.items.into_iter().flatten();
        let mut keys: Vec<_> = items.map(|item| item.key).collect();
        keys.sort();
        keys
    });
    Ok(keys.collect())
}

async fn generation(scope: &Scope, set: &str) -> Outcome<i64> {
    Ok(scope.api::<StatefulSet>().get(set).await?.metadata.generation.unwrap_or_default())
}
