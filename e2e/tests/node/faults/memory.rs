//! Supermemory breaks.

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use kr8tiv_e2e::cluster::NODE_ADDRESS;
use kr8tiv_e2e::manifests::secret;
use kr8tiv_e2e::scope::Scope;
use kr8tiv_e2e::{Outcome, conditions};
use kr8tiv_supermemory::stub::{Fault, Stub};
use kube::api::ListParams;
use serde_json::json;
use tokio::net::TcpListener;

use super::Patient;
use crate::context::Context;
use crate::gateway::Gateway;

const KEY: &str = "a-key-for-the-stub-of-supermemory";
const TAG: &str = "e2e-faults";
const REMEMBERED: &str = "They never ship on a Friday.";
/// What the stub remembers when it is back.
const LATER: &str = "They ship on Mondays.";

/// It shows, the Tenant stays Ready, nothing restarts, and the agent keeps what was fetched last.
pub async fn broken(context: &Context) -> Outcome {
    let stub = Stub::new(KEY);
    stub.remember(TAG, REMEMBERED, 0.9);
    let listener = TcpListener::bind((NODE_ADDRESS, 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(stub.clone().serve(listener));
    let scope = Scope::create(&context.cluster, "memory").await?;
    scope.apply::<Secret>(&secret("memory", "key", KEY)).await?;
    let patient = Patient::with(context, scope, |harness, tenant| {
        harness["spec"]["supermemory"] =
            json!({"enabled": true, "baseUrl": url, "queries": ["When do they ship?"], "refreshInterval": "60s"});
        tenant["spec"]["supermemory"] = json!({"apiKeySecretRef": {"name": "memory", "key": "key"}});
        tenant["spec"]["containerTag"] = json!(TAG);
    })
    .await?;
    holds(&patient, REMEMBERED).await?;
    let before = patient.gateway.incarnation().await?;

    stub.set_fault(Some(Fault::Refuse));
    let fault = patient.fault("memory_unreachable");
    fault.shows("MemoryHealthy", "False", "Unreachable", "").await?;
    told_by_event(&patient, "Warning", "Unreachable").await?;
    conditions::ready(&patient.gateway.tenant().await?)?;
    holds(&patient, REMEMBERED).await?;

    stub.forget();
    stub.remember(TAG, LATER, 0.9);
    let fault_ends = patient.fault("memory_unreachable_until_back");
    stub.set_fault(None);
    fault_ends.shows("MemoryHealthy", "True", "Succeeded", "").await?;
    told_by_event(&patient, "Normal", "Succeeded").await?;
    holds(&patient, LATER).await?;

    stub.set_key("another-key-than-the-tenant-has");
    let refused = patient.fault("memory_refuses_the_key");
    refused.shows("MemoryHealthy", "False", "AuthFailed", TAG).await?;
    conditions::ready(&patient.gateway.tenant().await?)?;
    holds(&patient, LATER).await?;
    let accepted = patient.fault("memory_refuses_the_key_until_put_back");
    stub.set_key(KEY);
    accepted.shows("MemoryHealthy", "True", "Succeeded", "").await?;
    // Webhooks tell of gateways.
    fault.was_no_incident();
    assert_eq!(patient.gateway.incarnation().await?, before, "the gateway was restarted");
    patient.discard().await
}

/// Waits until an Event of the Tenant tells what its memory is like.
async fn told_by_event(patient: &Patient, type_: &str, reason: &str) -> Outcome {
    let look = async || {
        let events = patient.gateway.scope.api::<Event>().list(&ListParams::default()).await?;
        let is_it = |event: &Event| {
            event.regarding.as_ref().is_some_and(|object| object.kind.as_deref() == Some("Tenant"))
                && event.action.as_deref() == Some("MemoryHealthy")
                && (event.type_.as_deref(), event.reason.as_deref()) == (Some(type_), Some(reason))
        };
        if events.items.iter().any(is_it) { Ok(()) } else { Err("there is none".into()) }
    };
    patient.until(&format!("an Event {type_} {reason} of memory"), look).await
}

/// Waits until the agent's workspace holds a text.
async fn holds(patient: &Patient, text: &str) -> Outcome {
    let file = Gateway::workspace_file("main", kr8tiv_compiler::CONTEXT_FILE);
    let look = async || {
        let found = patient.gateway.read(&file).await?;
        if found.contains(text) { Ok(()) } else { Err(found.into()) }
    };
    patient.until("the context in the workspace", look).await
}
