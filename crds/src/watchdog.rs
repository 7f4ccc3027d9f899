//! Who is told whether a tenant's gateway is alive. Types only.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::reference::SecretKeyReference;

/// Who is told whether the gateway is alive. The Harness says how often (`spec.observability`).
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.ownerWebhook) || has(self.managementWebhook)")
        .message("name ownerWebhook or managementWebhook, or remove watchdog: without a webhook nobody is told")
)]
pub struct Watchdog {
    /// The tenant's own webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_webhook: Option<Webhook>,
    /// The webhook of whoever runs the platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub management_webhook: Option<Webhook>,
}

/// Where a message is sent by HTTP POST.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.url) != has(self.urlSecretRef)")
        .message("set exactly one of url and urlSecretRef")
)]
pub struct Webhook {
    /// The URL, when it holds no secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 500), regex(pattern = r"^https?://[^\s/?#@]+([/?][^\s#]*)?$"))]
    pub url: Option<String>,
    /// The Secret with the URL, where knowing it is enough to send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_secret_ref: Option<SecretKeyReference>,
    /// The Secret with the key by which the receiver knows that a message is genuine (HMAC-SHA256).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_key_secret_ref: Option<SecretKeyReference>,
}
