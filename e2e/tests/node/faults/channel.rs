//! A bot's token that is revoked.

use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kr8tiv_e2e::manifests::{secret, tenant_with_bot};
use kr8tiv_e2e::scope::Scope;
use kr8tiv_e2e::{Outcome, conditions};
use serde_json::json;

use super::telegram::Telegram;
use super::{Patient, TENANT};
use crate::context::{Context, HARNESS};

const TOKEN: &str = "123456789:AAe2eStandsForARealTokenOfABot00001";
const NEW_TOKEN: &str = "123456789:AAe2eStandsForARealTokenOfABot00002";
/// Where the gateway finds the stub's certificate.
const TRUSTED: &str = "/etc/ssl/e2e";

/// It shows, the gateway is Ready all the time, and another token in the Secret heals it with a new Pod.
pub async fn revoked(context: &Context) -> Outcome {
    let telegram = Telegram::start(&context.cluster, TOKEN).await?;
    let scope = Scope::create(&context.cluster, "revoked").await?;
    scope.apply::<Secret>(&secret("bot", "token", TOKEN)).await?;
    let trusted = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "trusted"},
        "data": {"telegram.pem": telegram.certificate()}
    });
    scope.apply::<ConfigMap>(&trusted).await?;
    let patient = Patient::with(context, scope, |_, tenant| {
        tenant["spec"]["channels"] = tenant_with_bot(TENANT, HARNESS, "bot")["spec"]["channels"].take();
        tenant["spec"]["gateway"] = json!({
            "env": [{"name": "NODE_EXTRA_CA_CERTS", "value": format!("{TRUSTED}/telegram.pem")}],
            "podTemplate": {"volumes": [
                {"name": "trusted", "mountPath": TRUSTED, "configMap": {"name": "trusted"}}
            ]}
        });
    })
    .await?;
    let connected = patient.fault("bot_connects");
    connected.is_over("ChannelDown").await?;

    let fault = patient.fault("bot_revoked");
    telegram.set_token(NEW_TOKEN);
    let message = fault.shows("Degraded", "True", "ChannelDown", "telegram/default").await?;
    assert!(message.contains("Blocked"), "{message}");
    conditions::ready(&patient.gateway.tenant().await?)?;
    fault.is_told_alive_with("ChannelDown").await?;

    let fault_ends = patient.fault("bot_revoked_until_another_token");
    patient.gateway.scope.apply::<Secret>(&secret("bot", "token", NEW_TOKEN)).await?;
    patient.gateway.scope.delete::<Pod>(&patient.gateway.pod_name()).await?;
    fault_ends.is_over("ChannelDown").await?;
    fault.was_no_incident();
    patient.discard().await
}
