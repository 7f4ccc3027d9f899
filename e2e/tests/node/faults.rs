//! Faults of a real gateway: what the Tenant says, what a webhook is told, and that it heals. The seconds from fault to
//! condition are figures. Those that need the gateway's process are in `watchdog/tests/it/real_gateway.rs`.

use std::time::Instant;

use k8s_openapi::api::core::v1::Secret;
use kr8tiv_crds::{Harness, Tenant};
use kr8tiv_e2e::cluster::NODE_ADDRESS;
use kr8tiv_e2e::conditions::{self, condition};
use kr8tiv_e2e::kubectl::output;
use kr8tiv_e2e::manifests::{secret, tenant};
use kr8tiv_e2e::receiver::Receiver;
use kr8tiv_e2e::scope::Scope;
use kr8tiv_e2e::{Outcome, figure_seconds};
use serde_json::json;

use crate::context::{Context, START};
use crate::gateway::Gateway;

/// A model's provider that refuses the key.
pub async fn shown_told_and_healed(context: &Context) -> Outcome {
    let receiver = Receiver::start().await?;
    let gateway = start(context, &receiver).await?;
    wait(&gateway, "the webhook told that it is alive", async || told(&receiver, "alive", 1)).await?;
    provider(context, &gateway).await?;
    assert_eq!((receiver.told("down"), receiver.told("recovered")), (0, 0), "it served all the time");
    gateway.scope.discard().await
}

/// A tenant whose owner is told as early as a Harness allows.
async fn start(context: &Context, receiver: &Receiver) -> Outcome<Gateway> {
    let scope = Scope::create(&context.cluster, "faults").await?;
    scope.apply::<Secret>(&secret("keys", "house", "a-key-for-the-scripted-model")).await?;
    let mut harness = context.scripted_harness();
    harness["spec"]["observability"] = json!({"heartbeatInterval": "30s", "downAlertThreshold": "60s"});
    scope.apply::<Harness>(&harness).await?;
    let mut object = tenant("faulty", "scripted");
    object["spec"]["modelCredentials"] =
        json!([{"provider": "house", "apiKeySecretRef": {"name": "keys", "key": "house"}}]);
    object["spec"]["network"] = json!({"egress": [{"cidr": format!("{NODE_ADDRESS}/32")}]});
    object["spec"]["watchdog"] = json!({"ownerWebhook": {"url": receiver.url()}});
    scope.apply::<Tenant>(&object).await?;
    scope.until_ready::<Tenant>("faulty", START).await?;
    Ok(Gateway::new(scope, "faulty"))
}

async fn provider(context: &Context, gateway: &Gateway) -> Outcome {
    context.model.refuse(true);
    let turn = turn(gateway).await?;
    assert!(!turn.contains(kr8tiv_e2e::model_server::ANSWER), "{turn}");
    let started = Instant::now();
    let degraded = async || is(gateway, "Degraded", "True", "ModelProviderFailing").await;
    wait(gateway, "the provider's refusal shown", degraded).await?;
    figure_seconds("fault.provider_refuses.shown", started.elapsed());
    conditions::ready(&gateway.tenant().await?)?;
    context.model.refuse(false);
    // The gateway puts a refused key aside for a minute.
    let well = async || {
        self::turn(gateway).await?;
        match condition(&gateway.tenant().await?, "Degraded") {
            Some(degraded) if degraded.reason == "ModelProviderFailing" => {
                Err(degraded.message.clone().into())
            }
            _ => Ok(()),
        }
    };
    wait(gateway, "the provider's answer shown", well).await?;
    figure_seconds("fault.provider_refuses.over", started.elapsed());
    Ok(())
}

async fn wait(gateway: &Gateway, what: &str, look: impl AsyncFnMut() -> Outcome) -> Outcome {
    gateway.scope.until(what, START, look).await
}

fn told(receiver: &Receiver, status: &str, times: usize) -> Outcome {
    let told = receiver.told(status);
    if told >= times { Ok(()) } else { Err(format!("{status} was told {told} times").into()) }
}

async fn is(gateway: &Gateway, type_: &str, status: &str, reason: &str) -> Outcome {
    let tenant = gateway.tenant().await?;
    match condition(&tenant, type_) {
        Some(found) if found.status == status && found.reason == reason => Ok(()),
        Some(found) => Err(format!("{type_}={} {}: {}", found.status, found.reason, found.message).into()),
        None => Err(format!("no condition {type_}").into()),
    }
}

/// Takes a turn, and gives what came of it.
async fn turn(gateway: &Gateway) -> Outcome<String> {
    let pod = gateway.pod_name();
    let command = ["openclaw", "agent", "--agent", "main", "--message", "hello", "--json"];
    let arguments = ["-n", &gateway.scope.namespace, "exec", &pod, "-c", "gateway", "--"];
    let done = output(&[&arguments[..], &command[..]].concat()).await?;
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}
