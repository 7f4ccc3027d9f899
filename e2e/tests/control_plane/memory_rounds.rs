//! Memory on the real API server: what a round writes, and what it does not. Runs alone: it restarts the operator, which
//! talks to a Supermemory beside the node meanwhile.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kr8tiv_crds::{Harness, Tenant};
use kr8tiv_e2e::Outcome;
use kr8tiv_e2e::cluster::NODE_ADDRESS;
use kr8tiv_e2e::conditions::condition;
use kr8tiv_e2e::manifests::{harness, secret, tenant};
use kr8tiv_e2e::scope::{SOON, Scope};
use kr8tiv_supermemory::stub::Stub;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::context::{CANARY, Context};

/// The seed is stored once, over a restart too; other lines reach the workspace and leave the workload as it is.
pub async fn over_a_restart(context: &Context) -> Outcome {
    let scope = context.scope("memory").await?;
    let key = format!("{CANARY}-{}", scope.namespace);
    let stub = Stub::new(&key);
    let listener = TcpListener::bind((NODE_ADDRESS, 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(stub.clone().serve(listener));
    restart(context, Some("private"), || {}).await?;
    scope.apply::<Secret>(&secret("memory", "key", &key)).await?;
    let mut remembers = harness("concierge");
    remembers["spec"]["workspace"] = json!({"memorySeed": "We met in May."});
    remembers["spec"]["supermemory"] =
        json!({"enabled": true, "baseUrl": url, "queries": ["What do they like?"], "refreshInterval": "60s"});
    scope.apply::<Harness>(&remembers).await?;
    let mut acme = tenant("acme", "concierge");
    acme["spec"]["supermemory"] = json!({"apiKeySecretRef": {"name": "memory", "key": "key"}});
    scope.apply::<Tenant>(&acme).await?;
    context.until_ready(&scope, "acme").await?;
    let first = remembered(&scope, 0).await?;
    for field in ["lastSuccess", "latency"] {
        assert!(first["memory"][field].is_string(), "{field}: {first:#}");
    }
    assert_eq!(stored(&stub), 1);
    let tag = first["containerTag"].as_str().ok_or("no tag")?.to_owned();
    let generation = generation(&scope).await?;
    assert_eq!(context_file(&scope).await?, None);

    restart(context, Some("private"), || stub.remember(&tag, "They like tea.", 0.9)).await?;
    let second = remembered(&scope, 1).await?;
    assert_eq!(second["memory"]["ingested"], first["memory"]["ingested"]);
    assert_eq!((stored(&stub), stub.documents().len()), (1, 1), "the seed is stored again");
    let text = context_file(&scope).await?.unwrap_or_default();
    assert!(text.contains("They like tea."), "{text}");
    assert_eq!(self::generation(&scope).await?, generation, "other lines restart the gateway");
    context.until_ready(&scope, "acme").await?;
    restart(context, None, || {}).await?;
    scope.discard().await
}

/// Stops the operator, does something meanwhile, and starts it again.
async fn restart(context: &Context, addresses: Option<&'static str>, meanwhile: impl FnOnce()) -> Outcome {
    let mut operator = context.operator.lock().await;
    operator.stop().await?;
    operator.talk_to(addresses);
    meanwhile();
    operator.resume().await
}

/// Waits until so many lines are fetched; gives the status.
async fn remembered(scope: &Scope, lines: i64) -> Outcome<Value> {
    scope
        .until(&format!("{lines} lines of memory"), SOON, async || {
            let tenant: Tenant = scope.api().get("acme").await?;
            let memory = condition(&tenant, "MemoryHealthy").ok_or("no condition")?.clone();
            let status = serde_json::to_value(tenant.status)?;
            let is_stored = status["memory"]["ingested"].is_string();
            if memory.status == "True" && is_stored && status["memory"]["lines"] == lines {
                Ok(status)
            } else {
                Err(format!("{}: {}", memory.message, status["memory"]).into())
            }
        })
        .await
}

/// How often something was stored.
fn stored(stub: &Stub) -> usize {
    stub.requests().iter().filter(|seen| seen.call == "POST /v3/documents").count()
}

async fn context_file(scope: &Scope) -> Outcome<Option<String>> {
    let workspace: ConfigMap = scope.api().get("acme-workspace.main").await?;
    Ok(workspace.data.unwrap_or_default().remove("CONTEXT.md"))
}

async fn generation(scope: &Scope) -> Outcome<Option<i64>> {
    Ok(scope.api::<StatefulSet>().get("acme-gateway").await?.metadata.generation)
}
