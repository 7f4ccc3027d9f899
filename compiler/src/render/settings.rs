//! `watchdog.json` and `memory.json`: what a harness says about watching and remembering, for the parts of ours that
//! act on it. Pure.
//!
//! They lie beside `openclaw.json` in the tenant's ConfigMap. Secrets are in them as names of environment variables, or
//! not at all.

use std::time::Duration;

use kr8tiv_crds::reference::SecretKeyReference;
use kr8tiv_crds::watchdog::Webhook;
use serde::Serialize;
use serde_json::{Value, json};

use crate::bundle::MemorySettings;
use crate::resolve::Resolved;

/// A variable of the watchdog's container that comes from a Secret.
pub(crate) struct SecretVariable<'a> {
    pub(crate) name: String,
    /// Path of the field in the Tenant that names the Secret.
    pub(crate) field: String,
    pub(crate) secret: &'a SecretKeyReference,
}

/// `watchdog.json`.
pub(crate) fn watchdog(resolved: &Resolved<'_>) -> String {
    let observability = &resolved.harness.observability;
    let recovery = &resolved.harness.recovery;
    let webhooks: Vec<Value> = webhooks(resolved)
        .into_iter()
        .map(|(name, _, webhook)| {
            let mut rendered = json!({"name": name});
            match &webhook.url {
                Some(url) => rendered["url"] = json!(url),
                None => rendered["urlVariable"] = json!(variable(name, "URL")),
            }
            if webhook.signing_key_secret_ref.is_some() {
                rendered["signingKeyVariable"] = json!(variable(name, "SIGNING_KEY"));
            }
            rendered
        })
        .collect();
    text(&json!({
        "apiVersion": "kr8tiv.ai/watchdog/v1",
        "tenantId": resolved.tenant.id,
        "heartbeatSeconds": seconds(observability.heartbeat_interval),
        "downAlertSeconds": seconds(observability.down_alert_threshold),
        "alertDedupeSeconds": seconds(recovery.alert_dedupe),
        "recovery": {
            "maxRestartsPerHour": recovery.max_restarts_per_hour,
            "cooldownSeconds": seconds(recovery.cooldown),
        },
        "webhooks": webhooks,
    }))
}

/// What is done about the tenant's memory; `None` while nothing is.
pub(crate) fn memory(resolved: &Resolved<'_>) -> Option<MemorySettings> {
    let memory = &resolved.harness.supermemory;
    let ingestion = &resolved.harness.memory_ingestion;
    let seed = resolved.harness.workspace.memory_seed.as_ref();
    memory.enabled.then(|| MemorySettings {
        base_url: memory.base_url.clone(),
        container_tag: resolved.tenant.container_tag.clone(),
        top_k: memory.top_k,
        threshold: memory.threshold,
        timeout: memory.timeout.into(),
        refresh_interval: memory.refresh_interval.into(),
        queries: memory.queries.clone(),
        ingestion: ingestion.clone(),
        seed: seed.filter(|seed| ingestion.enabled && !seed.trim().is_empty()).cloned(),
    })
}

/// `memory.json`.
pub(crate) fn memory_file(settings: &MemorySettings) -> String {
    // Without `..`: a new setting must not be forgotten here. The seed is a file of the workspace already.
    let MemorySettings {
        base_url,
        container_tag,
        top_k,
        threshold,
        timeout,
        refresh_interval,
        queries,
        ingestion,
        seed: _,
    } = settings;
    text(&json!({
        "apiVersion": "kr8tiv.ai/memory/v1",
        "baseUrl": base_url,
        "containerTag": container_tag,
        "topK": top_k,
        "threshold": threshold,
        "timeoutSeconds": timeout.as_secs(),
        "refreshSeconds": refresh_interval.as_secs(),
        "queries": queries,
        "ingestion": {
            "enabled": ingestion.enabled,
            "dedupeByCustomId": ingestion.dedupe_by_custom_id,
            "namespace": ingestion.metadata_namespace,
        },
    }))
}

/// The variables of the watchdog's container that come from Secrets.
pub(crate) fn watchdog_variables<'a>(resolved: &Resolved<'a>) -> Vec<SecretVariable<'a>> {
    let mut variables = Vec::new();
    for (name, field, webhook) in webhooks(resolved) {
        if let (None, Some(secret)) = (&webhook.url, &webhook.url_secret_ref) {
            let field = format!("{field}.urlSecretRef");
            variables.push(SecretVariable { name: variable(name, "URL"), field, secret });
        }
        if let Some(secret) = &webhook.signing_key_secret_ref {
            let field = format!("{field}.signingKeySecretRef");
            variables.push(SecretVariable { name: variable(name, "SIGNING_KEY"), field, secret });
        }
    }
    variables
}

fn webhooks<'a>(resolved: &Resolved<'a>) -> Vec<(&'static str, &'static str, &'a Webhook)> {
    let Some(watchdog) = &resolved.tenant.spec.watchdog else { return Vec::new() };
    let owner =
        watchdog.owner_webhook.as_ref().map(|webhook| ("owner", "spec.watchdog.ownerWebhook", webhook));
    let management = watchdog
        .management_webhook
        .as_ref()
        .map(|webhook| ("management", "spec.watchdog.managementWebhook", webhook));
    owner.into_iter().chain(management).collect()
}

fn variable(webhook: &str, what: &str) -> String {
    format!("{}_WEBHOOK_{what}", webhook.to_ascii_uppercase())
}

fn seconds(duration: kube::core::Duration) -> u64 {
    Duration::from(duration).as_secs()
}

fn text<T: Serialize>(value: &T) -> String {
    // Plain values with string keys: serialising them can't fail.
    format!("{}\n", serde_json::to_string_pretty(value).unwrap_or_default())
}
