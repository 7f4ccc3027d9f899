//! The operator killed, and the API server gone. Runs alone: both are everybody's.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Secret;
use kr8tiv_crds::{Agent, Harness, Tenant};
use kr8tiv_e2e::api_proxy::ApiProxy;
use kr8tiv_e2e::audit::by_verb_and_resource;
use kr8tiv_e2e::cluster::OPERATOR_USER;
use kr8tiv_e2e::manifests::{default_agent, harness, tenant};
use kr8tiv_e2e::operator_process::OperatorProcess;
use kr8tiv_e2e::scope::{SOON, Scope};
use kr8tiv_e2e::{Outcome, figure, figure_seconds};
use serde_json::{Value, json};

use crate::context::Context;
use crate::drift::essence;
use crate::expect::SERVING;

/// How long the API server is gone.
const OUTAGE: Duration = Duration::from_mins(2);
const TENANTS: usize = 5;

/// `kill -9` after each of the operator's writes for a new tenant, one run for each.
pub async fn between_any_two_writes(context: &Context) -> Outcome {
    let mut usual = context.operator.lock().await;
    usual.stop().await?;
    let proxy = ApiProxy::start().await?;
    let mut operator = usual.through(&proxy);
    let mut expected = None;
    let mut writes = 0;
    loop {
        let scope = context.scope("crash").await?;
        scope.apply::<Harness>(&harness("concierge")).await?;
        let cut = killed_after(context, &scope, &proxy, &mut operator, writes).await?;
        scope.until_exactly::<Tenant>("acme", &SERVING).await?;
        let tenant: Tenant = scope.api().get("acme").await?;
        let id = tenant.status.and_then(|status| status.tenant_id).ok_or("no id")?;
        let objects = left(&scope, &id).await?;
        assert_eq!(expected.get_or_insert_with(|| objects.clone()), &objects, "killed after {writes} writes");
        operator.kill()?;
        scope.discard().await?;
        if !cut {
            break;
        }
        writes += 1;
    }
    figure("crashes.killed_after_each_of", writes, "writes");
    assert!(writes >= 8, "{writes} writes are not all that a tenant needs");
    usual.resume().await
}

/// What is there in the end, by kind and name, but for what is another one in each run: names, hashes of what holds them,
/// what the API server gives, and the values of Secrets, of which [`minted`] sees to it that they stay.
async fn left(scope: &Scope, id: &str) -> Outcome<BTreeMap<String, String>> {
    let mut left = BTreeMap::new();
    for (name, object) in scope.objects("").await? {
        // A Pod is its controller's.
        if name.starts_with("Pod ") {
            continue;
        }
        let mut object = essence(&object)?;
        for field in [
            "/metadata/uid",
            "/metadata/creationTimestamp",
            "/spec/clusterIP",
            "/spec/clusterIPs",
            "/spec/volumeName",
        ] {
            object.pointer_mut(field).map(Value::take);
        }
        for owner in object["metadata"]["ownerReferences"].as_array_mut().into_iter().flatten() {
            owner["uid"].take();
        }
        if name.starts_with("Secret ") {
            object["data"].as_object_mut().into_iter().flatten().for_each(|(_, value)| *value = Value::Null);
        }
        let text = object.to_string().replace(id, "ID").replace(&scope.namespace, "NAMESPACE");
        left.insert(name.replace(id, "ID"), without_hashes(&text));
    }
    Ok(left)
}

/// A text without its longer runs of hexadecimal digits.
fn without_hashes(text: &str) -> String {
    const SHORTEST: usize = 10;
    let is_digit = |c: char| c.is_ascii_hexdigit();
    let mut kept = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(is_digit) {
        let (before, run) = rest.split_at(start);
        let (run, after) = run.split_at(run.find(|c| !is_digit(c)).unwrap_or(run.len()));
        kept.push_str(before);
        kept.push_str(if run.len() < SHORTEST { run } else { "HASH" });
        rest = after;
    }
    kept + rest
}

/// Creates a tenant, kills the operator when it has made so many writes, starts it again and sees to the tenant's
/// becoming ready. Says whether there were so many writes.
async fn killed_after(
    context: &Context,
    scope: &Scope,
    proxy: &ApiProxy,
    operator: &mut OperatorProcess,
    writes: usize,
) -> Outcome<bool> {
    proxy.open(usize::MAX);
    operator.resume().await?;
    scope
        .until("the Harness known", SOON, async || {
            let harness: Harness = scope.api().get("concierge").await?;
            harness.status.map(|_| ()).ok_or_else(|| "no status".into())
        })
        .await?;
    proxy.open(writes);
    scope.apply::<Agent>(&default_agent("support", "acme")).await?;
    scope.apply::<Tenant>(&tenant("acme", "concierge")).await?;
    scope
        .until("the cut, or the tenant Ready", SOON, async || {
            context.node.make_ready(scope).await?;
            let object: Tenant = scope.api().get("acme").await?;
            let ready = kr8tiv_e2e::conditions::ready(&object);
            if proxy.is_cut() { Ok(()) } else { ready }
        })
        .await?;
    let cut = proxy.is_cut();
    let minted = minted(scope).await?;
    operator.kill()?;
    proxy.open(usize::MAX);
    operator.resume().await?;
    context.until_ready(scope, "acme").await?;
    let afterwards = self::minted(scope).await?;
    for (name, secret) in &minted {
        assert_eq!(
            afterwards.get(name),
            Some(secret),
            "killed after {writes} writes: {name} was minted twice"
        );
    }
    Ok(cut)
}

/// Uids and contents of the Secrets that the operator makes, by their names, as far as they are there.
async fn minted(scope: &Scope) -> Outcome<BTreeMap<&'static str, (Option<String>, String)>> {
    let mut minted = BTreeMap::new();
    for name in ["acme-gateway-token", "acme-sandbox-ssh"] {
        let secret: Option<Secret> = scope.api().get_opt(name).await?;
        if let Some(secret) = secret {
            minted.insert(name, (secret.metadata.uid, serde_json::to_string(&secret.data)?));
        }
    }
    Ok(minted)
}

/// The API server is gone for two minutes, during which a Harness changes. The operator stays, and catches up with a
/// bounded number of requests.
pub async fn api_server_gone(context: &Context) -> Outcome {
    let mut usual = context.operator.lock().await;
    usual.stop().await?;
    let proxy = ApiProxy::start().await?;
    let mut operator = usual.through(&proxy);
    operator.resume().await?;
    let scope = context.scope("outage").await?;
    scope.apply::<Harness>(&harness("concierge")).await?;
    let names: Vec<String> = (0..TENANTS).map(|number| format!("t{number}")).collect();
    for name in &names {
        scope.apply::<Tenant>(&tenant(name, "concierge")).await?;
    }
    for name in &names {
        context.until_ready(&scope, name).await?;
    }
    proxy.cut();
    scope.merge::<Harness>("concierge", json!({"spec": {"soul": {"vibe": "Changed meanwhile."}}})).await?;
    tokio::time::sleep(OUTAGE).await;
    let tries = proxy.refused();
    figure("outage.requests_meanwhile", tries, "requests");
    // A watch of each of 13 kinds, the Lease, and each tenant's pass: every two seconds at the very most.
    let bound = (13 + 1 + TENANTS as u64) * OUTAGE.as_secs() / 2;
    assert!(tries as u64 <= bound, "{tries} requests in {OUTAGE:?}");
    let (mark, back) = (context.cluster.audit.mark()?, Instant::now());
    proxy.open(usize::MAX);
    scope
        .until("every tenant at the Harness's new revision", SOON, async || {
            context.node.make_ready(&scope).await?;
            let harness: Harness = scope.api().get("concierge").await?;
            kr8tiv_e2e::conditions::ready(&harness)?;
            let revision = harness.status.and_then(|status| status.revision);
            for name in &names {
                let tenant: Tenant = scope.api().get(name).await?;
                kr8tiv_e2e::conditions::ready(&tenant)?;
                let at = tenant.status.and_then(|status| status.harness).map(|harness| harness.revision);
                if at != revision {
                    return Err(format!("{name} is at {at:?}, the Harness at {revision:?}").into());
                }
            }
            Ok(())
        })
        .await?;
    figure_seconds("outage.caught_up_after", back.elapsed());
    let requests = context.cluster.audit.requests_since(mark, OPERATOR_USER)?;
    figure("outage.requests_afterwards", requests.len(), "requests");
    // A list of each of 13 kinds, and for each tenant: two Secrets, a workspace, a configuration, an announcement, two
    // statuses, an event. Half of it again is for the Harness, and for what a slow machine does twice. Nothing is in
    // proportion to the time that the API server was gone.
    let bound = (13 + 8 * TENANTS) * 3;
    assert!(requests.len() <= bound, "{:?}", by_verb_and_resource(&requests));
    operator.stop().await?;
    usual.resume().await?;
    scope.discard().await
}
