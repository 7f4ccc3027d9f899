//! What must be true of everything that all other tests left behind. Runs last.

use k8s_openapi::api::core::v1::{ConfigMap, Event, Secret};
use kr8tiv_crds::{Agent, Harness, Tenant, meta};
use kr8tiv_e2e::Outcome;
use kr8tiv_e2e::audit::{AuditLog, Request, by_verb_and_resource};
use kr8tiv_e2e::cluster::OPERATOR_USER;
use kr8tiv_e2e::manifests::{harness, secret, tenant_with_bot};
use kr8tiv_e2e::scope::Kind;
use kube::api::ListParams;
use kube::{Api, Client};
use serde::Serialize;

use crate::context::{CANARY, Context};

/// Characters of a part of a key that is nothing else.
const LEAST: usize = 32;

pub async fn conventions(context: &Context) -> Outcome {
    let (statuses, violations) = context.invariants.result();
    kr8tiv_e2e::figure("statuses_checked", statuses, "statuses");
    assert!(statuses > 0, "no status was seen");
    assert!(violations.is_empty(), "{violations:#?}");
    Ok(())
}

/// The rights that the chart gives are enough for everything that the tests had the operator do.
pub async fn permissions(context: &Context) -> Outcome {
    let requests = context.cluster.audit.requests_since(AuditLog::start(), OPERATOR_USER)?;
    assert!(!requests.is_empty(), "the operator made no request");
    let forbidden: Vec<_> = requests.into_iter().filter(Request::is_unauthorised).collect();
    assert!(forbidden.is_empty(), "{:#?}", by_verb_and_resource(&forbidden));
    Ok(())
}

/// Neither the values of users' Secrets nor the gateways' tokens appear anywhere but in Secrets.
pub async fn secrets(context: &Context) -> Outcome {
    let client = &context.cluster.client;
    // The other tests' Secrets may be gone by now; their traces are not.
    let scope = context.scope("leaks").await?;
    scope.apply::<Harness>(&harness("concierge")).await?;
    scope.apply::<Secret>(&secret("bot", "token", &format!("{CANARY}-{}", scope.namespace))).await?;
    scope.apply::<Tenant>(&tenant_with_bot("acme", "concierge", "bot")).await?;
    context.until_ready(&scope, "acme").await?;
    let mut values = vec![CANARY.to_owned()];
    let selector = format!("{}={}", meta::MANAGED_BY, meta::MANAGED_BY_VALUE);
    let tokens = Api::<Secret>::all(client.clone()).list(&ListParams::default().labels(&selector)).await?;
    for token in tokens
        .items
        .into_iter()
        .filter_map(|secret| secret.data)
        .flat_map(std::collections::BTreeMap::into_values)
    {
        let value = String::from_utf8(token.0)?;
        // Where a key is quoted in JSON, its lines are not divided by line feeds.
        let is_secret = |line: &&str| line.len() >= LEAST && !line.starts_with("-----");
        values.extend(value.lines().filter(is_secret).map(str::to_owned));
    }
    let own = Api::<Secret>::all(client.clone()).list(&ListParams::default()).await?;
    let planted = own.items.iter().filter_map(|secret| secret.data.as_ref()).flat_map(|data| data.values());
    let planted = planted.filter(|value| value.0.starts_with(CANARY.as_bytes())).count();
    assert!(planted > 0 && values.len() > 1, "{planted} planted, {} tokens", values.len() - 1);

    let (log, metrics) = {
        let operator = context.operator.lock().await;
        (operator.log().text_since(0)?, operator.get("/metrics").await?.1)
    };
    let places = [
        ("ConfigMaps", everything::<ConfigMap>(client).await?),
        ("Events", everything::<Event>(client).await?),
        ("Tenants", everything::<Tenant>(client).await?),
        ("Harnesses", everything::<Harness>(client).await?),
        ("Agents", everything::<Agent>(client).await?),
        ("the operator's metrics", metrics),
        ("the operator's log", log),
        ("the audit log", context.cluster.audit.text_since(AuditLog::start())?),
    ];
    for (place, text) in places {
        assert!(!text.is_empty(), "{place}: nothing to look through");
        for value in &values {
            assert!(!text.contains(value), "a secret value is in {place}");
        }
    }
    scope.discard().await
}

async fn everything<K: Kind + Serialize>(client: &Client) -> Outcome<String> {
    let objects = Api::<K>::all(client.clone()).list(&ListParams::default()).await?;
    Ok(serde_json::to_string(&objects.items)?)
}
