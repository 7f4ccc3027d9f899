//! What tenants at rest cost, counted in the API server's audit log. Runs alone: other tests make requests too.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Pod, Secret};
use kr8tiv_crds::{Agent, Harness, Tenant, meta};
use kr8tiv_e2e::audit::{Mark, by_verb_and_resource};
use kr8tiv_e2e::cluster::{Mode, OPERATOR_USER};
use kr8tiv_e2e::manifests::{default_agent, harness, secret, tenant, tenant_with_bot};
use kr8tiv_e2e::operator_process::OperatorLog;
use kr8tiv_e2e::scope::{SOON, Scope};
use kr8tiv_e2e::{Outcome, figure, figure_seconds};
use serde_json::json;

use crate::context::{CANARY, Context};

/// Tenants, unless `KR8TIV_E2E_TENANTS` says otherwise: `bench/run operator` has more.
const TENANTS: usize = 20;

/// Without a request for this long, the operator is at rest: passes take milliseconds, retries of Secrets and
/// deliveries start after two and three seconds.
const REST: Duration = Duration::from_secs(5);

/// How long the benchmark watches tenants at rest: as long as others were watched.
const WATCHED: Duration = Duration::from_secs(330);

pub async fn at_no_cost(context: &Context) -> Outcome {
    // The other tests' objects would have the operator do things of its own.
    let scope = context.scope("rest").await?;
    let tenants = match std::env::var("KR8TIV_E2E_TENANTS") {
        Ok(text) => text.parse()?,
        Err(_) => TENANTS,
    };
    let names: Vec<String> = (0..tenants).map(|number| format!("t{number:03}")).collect();
    create(context, &scope, &names).await?;
    at_rest(context, &scope).await?;
    if context.cluster.mode == Mode::Kwok {
        left_alone(context).await?;
    }
    forced_passes(context, &scope, &names).await?;
    restart(context, &scope, &names).await?;
    new_tenant(context, &scope).await?;
    scope.discard().await
}

/// Tenants of several shapes: with a Secret of the user's, with Agents, and plain.
async fn create(context: &Context, scope: &Scope, names: &[String]) -> Outcome {
    scope.apply::<Harness>(&harness("concierge")).await?;
    let (some, more) = names.split_at(names.len() / 2);
    apply(scope, some).await?;
    for name in some {
        context.until_ready(scope, name).await?;
    }
    at_rest(context, scope).await?;
    let before = series(context).await?;
    apply(scope, more).await?;
    for name in more {
        context.until_ready(scope, name).await?;
    }
    figure("tenants_at_rest", names.len(), "tenants");
    at_rest(context, scope).await?;
    let grown: Vec<_> = series(context).await?.difference(&before).cloned().collect();
    assert!(grown.is_empty(), "as many tenants again, and more series: {grown:#?}");
    Ok(())
}

/// The names of the operator's metrics with their labels, but for those of requests and passes that failed: these come when
/// they come, whatever tenants there are.
async fn series(context: &Context) -> Outcome<BTreeSet<String>> {
    let (code, text) = context.operator.lock().await.get("/metrics").await?;
    assert_eq!(code, 200, "{text}");
    let fails = |series: &&str| {
        let is_taken = !series.contains("code=\"") || series.contains("code=\"2");
        let is_finished = !series.contains("outcome=\"") || series.contains("outcome=\"finished\"");
        !(is_taken && is_finished)
    };
    let names = text.lines().filter(|line| !line.starts_with('#'));
    let names = names.filter_map(|line| line.rsplit_once(' ').map(|(series, _)| series));
    let series: BTreeSet<String> = names.filter(|series| !fails(series)).map(str::to_owned).collect();
    assert!(series.iter().any(|series| series.contains("kr8tiv_operator_passes_total{")), "{text}");
    Ok(series)
}

async fn apply(scope: &Scope, names: &[String]) -> Outcome {
    for (number, name) in names.iter().enumerate() {
        if number % 3 == 1 {
            scope.apply::<Agent>(&default_agent(&format!("{name}-desk"), name)).await?;
        }
        match number % 3 {
            0 => {
                // Each its own: one token has one consumer.
                let token = format!("{CANARY}-{}-{name}", scope.namespace);
                scope.apply::<Secret>(&secret(name, "token", &token)).await?;
                scope.apply::<Tenant>(&tenant_with_bot(name, "concierge", name)).await?
            }
            _ => scope.apply::<Tenant>(&tenant(name, "concierge")).await?,
        };
    }
    Ok(())
}

/// Nobody touches anything, for minutes.
async fn left_alone(context: &Context) -> Outcome {
    let mark = context.cluster.audit.mark()?;
    tokio::time::sleep(WATCHED).await;
    let requests = context.cluster.audit.requests_since(mark, OPERATOR_USER)?;
    figure("requests_in_330_s_at_rest", requests.len(), "requests");
    assert!(requests.is_empty(), "{:#?}", by_verb_and_resource(&requests));
    Ok(())
}

/// A touch of every Tenant makes the operator look at it, find nothing to do, and ask the API server for nothing.
async fn forced_passes(context: &Context, scope: &Scope, names: &[String]) -> Outcome {
    let mark = context.cluster.audit.mark()?;
    let log = context.operator.lock().await.log();
    let log_mark = log.mark()?;
    for name in names {
        scope.merge::<Tenant>(name, json!({"metadata": {"annotations": {"e2e": "touched"}}})).await?;
    }
    passes_over(scope, &log, log_mark, names).await?;
    at_rest(context, scope).await?;
    let requests = context.cluster.audit.requests_since(mark, OPERATOR_USER)?;
    figure("requests_of_a_forced_pass_at_rest", requests.len(), "requests");
    assert!(requests.is_empty(), "{:#?}", by_verb_and_resource(&requests));
    // The log does hold requests: those of this test.
    let touches = context.cluster.audit.text_since(mark)?;
    let touches = touches.lines().filter(|line| line.contains("\"verb\":\"patch\"")).count();
    assert!(touches >= names.len(), "the audit log has {touches} of {} touches", names.len());
    Ok(())
}

/// A restart reads, and writes nothing.
async fn restart(context: &Context, scope: &Scope, names: &[String]) -> Outcome {
    let before = scope.resource_versions("").await?;
    let mut operator = context.operator.lock().await;
    let status = operator.stop().await?;
    assert!(status.success(), "the operator ended with {status}");
    let (mark, log) = (context.cluster.audit.mark()?, operator.log());
    let log_mark = log.mark()?;
    let started = Instant::now();
    operator.resume().await?;
    figure_seconds("operator_restart_to_ready", started.elapsed());
    passes_over(scope, &log, log_mark, names).await?;
    drop(operator);
    at_rest(context, scope).await?;
    let requests = context.cluster.audit.requests_since(mark, OPERATOR_USER)?;
    let counts = by_verb_and_resource(&requests);
    figure("requests_of_a_restart", requests.len(), "requests");
    for (what, count) in &counts {
        figure(&format!("requests_of_a_restart.{}", what.replace(' ', ".")), count, "requests");
    }
    let writes: Vec<_> =
        requests.iter().filter(|request| !matches!(request.verb.as_str(), "get" | "list")).collect();
    assert!(writes.is_empty(), "{writes:#?}");
    assert_eq!(before, scope.resource_versions("").await?, "the restart wrote something");
    Ok(())
}

/// What one more tenant costs: one write for each of its objects and three besides, but for the status of its Harness, which
/// is written once a second at most, however many come.
async fn new_tenant(context: &Context, scope: &Scope) -> Outcome {
    let mark = context.cluster.audit.mark()?;
    scope.apply::<Tenant>(&tenant("one-more", "concierge")).await?;
    // The sandbox is up before the gateway is, as on a node.
    for pod in ["one-more-sandbox-0", "one-more-gateway-0"] {
        scope.until("its Pod", SOON, async || Ok(scope.api::<Pod>().get(pod).await?)).await?;
    }
    context.until_ready(scope, "one-more").await?;
    at_rest(context, scope).await?;
    let requests = context.cluster.audit.requests_since(mark, OPERATOR_USER)?;
    figure("requests_of_a_new_tenant", requests.len(), "requests");
    let counts = by_verb_and_resource(&requests);
    for (what, count) in &counts {
        figure(&format!("requests_of_a_new_tenant.{}", what.replace(' ', ".")), count, "requests");
    }
    for written in ["patch statefulsets", "patch configmaps", "patch tenants/status", "create secrets"] {
        assert!(counts.contains_key(written), "{written} is not in {counts:?}");
    }
    let objects = scope.resource_versions(&format!("{}=one-more", meta::TENANT)).await?;
    let own = objects.keys().filter(|object| !object.starts_with("Pod ")).count();
    let of_harness = counts.get("patch harnesses/status").copied().unwrap_or_default();
    let besides = requests.len() - of_harness - own;
    figure("requests_of_a_new_tenant_beside_its_objects", besides, "requests");
    // kwok makes both Pods ready at once: a sandbox that is the later one is a status of its own.
    let allowed = if context.cluster.mode == Mode::Kwok { 4 } else { 3 };
    assert!(besides <= allowed, "{own} objects, and {counts:?}");
    Ok(())
}

/// Waits until the operator has made no request for a while.
async fn at_rest(context: &Context, scope: &Scope) -> Outcome {
    let mut since = (Instant::now(), context.cluster.audit.mark()?);
    scope
        .until("the operator at rest", SOON, async || {
            let (quiet_since, mark): (Instant, Mark) = since;
            let requests = context.cluster.audit.requests_since(mark, OPERATOR_USER)?;
            if !requests.is_empty() {
                since = (Instant::now(), context.cluster.audit.mark()?);
                return Err(format!("its last requests: {:?}", by_verb_and_resource(&requests)).into());
            }
            if quiet_since.elapsed() < REST { Err("not quiet for long enough".into()) } else { Ok(()) }
        })
        .await
}

/// Waits until the operator's log has a pass over each Tenant.
async fn passes_over(scope: &Scope, log: &OperatorLog, mark: u64, names: &[String]) -> Outcome {
    scope
        .until("a pass over every Tenant", SOON, async || {
            let lines = log.lines_since(mark)?;
            let passed: BTreeSet<&str> = lines
                .iter()
                .filter(|line| {
                    let field = |name: &str| line[name].as_str().or_else(|| line["fields"][name].as_str());
                    field("message") == Some("pass")
                        && field("kind") == Some("Tenant")
                        && field("namespace") == Some(&scope.namespace)
                })
                .filter_map(|line| line["name"].as_str().or_else(|| line["fields"]["name"].as_str()))
                .collect();
            match names.iter().find(|name| !passed.contains(name.as_str())) {
                None => Ok(()),
                Some(name) => Err(format!("none over {name}").into()),
            }
        })
        .await
}
