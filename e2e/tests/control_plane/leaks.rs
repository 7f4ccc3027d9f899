//! What must be true of everything that all other tests left behind.

use k8s_openapi::api::core::v1::Secret;
use kr8tiv_crds::{Harness, Tenant, meta};
use kr8tiv_e2e::Outcome;
use kr8tiv_e2e::audit::AuditLog;
use kr8tiv_e2e::canary::Canary;
use kr8tiv_e2e::manifests::{harness, secret, tenant_with_bot};
use kr8tiv_e2e::search;
use kube::Api;
use kube::api::ListParams;

use crate::context::{CANARY, Context};

/// Characters of a part of a key that is nothing else.
const LEAST: usize = 32;

/// Comes before whatever the watch of statuses does not survive.
pub async fn conventions(context: &Context) -> Outcome {
    let (statuses, violations) = context.invariants.result();
    kr8tiv_e2e::figure("statuses_checked", statuses, "statuses");
    assert!(statuses > 0, "no status was seen");
    assert!(violations.is_empty(), "{violations:#?}");
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
    let mut values = vec![Canary::found("value of a user's Secret", CANARY)];
    let selector = format!("{}={}", meta::MANAGED_BY, meta::MANAGED_BY_VALUE);
    let minted = Api::<Secret>::all(client.clone()).list(&ListParams::default().labels(&selector)).await?;
    for value in minted.items.into_iter().flat_map(|secret| secret.data.unwrap_or_default().into_values()) {
        let value = String::from_utf8(value.0)?;
        // Where a key is quoted in JSON, its lines are not divided by line feeds.
        let is_secret = |line: &&str| line.len() >= LEAST && !line.starts_with("-----");
        let found = |line| Canary::found("token or key that the operator has made", line);
        values.extend(value.lines().filter(is_secret).map(found));
    }
    assert!(values.len() > 1, "no token was made");

    let of_users = search::cluster(client, &values[..1], |_| false).await?;
    assert!(of_users.iter().any(|place| !place.found.is_empty()), "no Secret of a user was found");
    let mut places =
        search::cluster(client, &values, |spot| spot.resource == "secrets" && spot.is_data).await?;
    let (log, metrics) = {
        let operator = context.operator.lock().await;
        (operator.log().text_since(0)?, operator.get("/metrics").await?.1)
    };
    for (name, text) in [
        ("the operator's metrics", metrics),
        ("the operator's log", log),
        ("the audit log", context.cluster.audit.text_since(AuditLog::start())?),
    ] {
        places.push(search::text(name, &text, &values));
    }
    for place in &places {
        assert!(place.may_be_empty || place.amount > 0, "{}: nothing to look through", place.name);
        assert!(place.found.is_empty(), "in {}: {:?}", place.name, place.found);
    }
    scope.discard().await
}
