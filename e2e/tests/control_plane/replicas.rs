//! Two operators of one cluster. Runs alone: it kills the operator.

use std::time::Instant;

use k8s_openapi::api::coordination::v1::Lease;
use kr8tiv_crds::{Harness, Tenant};
use kr8tiv_e2e::api_proxy::{AGENT, ApiProxy};
use kr8tiv_e2e::audit::Request;
use kr8tiv_e2e::cluster::{OPERATOR, OPERATOR_USER, SYSTEM_NAMESPACE};
use kr8tiv_e2e::manifests::{harness, tenant};
use kr8tiv_e2e::operator_process::OperatorProcess;
use kr8tiv_e2e::scope::{SOON, Scope};
use kr8tiv_e2e::{Outcome, figure_seconds};
use kube::Api;
use serde_json::json;

use crate::context::Context;

pub async fn take_over(context: &Context) -> Outcome {
    let scope = context.scope("replicas").await?;
    scope.apply::<Harness>(&harness("concierge")).await?;
    let mut first = context.operator.lock().await;
    let mut second = first.start_beside().await?;
    serve(context, &scope, "one").await?;
    only_the_first_one_works(context, &first, &second).await?;

    let before = scope.resource_versions("").await?;
    let started = Instant::now();
    first.kill()?;
    leads(&scope, &second).await?;
    figure_seconds("replicas.leading_after_a_kill", started.elapsed());
    serve(context, &scope, "two").await?;
    let after = scope.resource_versions("").await?;
    for (object, version) in before.iter().filter(|(object, _)| !object.starts_with("Harness ")) {
        assert_eq!(after.get(object), Some(version), "{object}: the one that took over wrote what was there");
    }

    first.resume().await?;
    assert_eq!(metric(&first, "kr8tiv_operator_leading").await?, Some(0.0));
    let started = Instant::now();
    let status = second.stop().await?;
    assert!(status.success(), "the operator ended with {status}");
    leads(&scope, &first).await?;
    figure_seconds("replicas.leading_after_a_stop", started.elapsed());
    drop(first);
    serve(context, &scope, "three").await?;
    scope.discard().await
}

/// An operator that loses the API server while it works ends, and has written for the last time before another begins.
pub async fn cut_off(context: &Context) -> Outcome {
    let scope = context.scope("cut-off").await?;
    scope.apply::<Harness>(&harness("concierge")).await?;
    let mut second = context.operator.lock().await;
    second.stop().await?;
    let mark = context.cluster.audit.mark()?;
    let proxy = ApiProxy::start().await?;
    let mut first = second.candidate_through(&proxy, "cut-off");
    first.resume().await?;
    leads(&scope, &first).await?;
    second.resume().await?;
    serve(context, &scope, "one").await?;

    proxy.cut();
    // Work for both.
    scope.merge::<Harness>("concierge", json!({"spec": {"soul": {"vibe": "Changed meanwhile."}}})).await?;
    let started = Instant::now();
    leads(&scope, &second).await?;
    figure_seconds("replicas.leading_after_a_cut", started.elapsed());
    proxy.open(usize::MAX);
    let status = first.ended().await?;
    assert!(!status.success(), "it ended with {status}");
    drop(second);
    serve(context, &scope, "two").await?;
    scope.until_ready::<Harness>("concierge", SOON).await?;

    let writes = context.cluster.audit.requests_since(mark, OPERATOR_USER)?;
    let (firsts, seconds): (Vec<_>, Vec<_>) =
        writes.into_iter().filter(Request::is_write).partition(|write| write.user_agent == AGENT);
    let last = firsts.iter().map(|write| &write.stage_timestamp).max().ok_or("the first wrote nothing")?;
    let next = seconds.iter().map(|write| &write.request_received_timestamp).min();
    let next = next.ok_or("the second wrote nothing")?;
    assert!(last < next, "the first wrote at {last}, and the second at {next}");
    scope.discard().await
}

async fn serve(context: &Context, scope: &Scope, name: &str) -> Outcome {
    scope.apply::<Tenant>(&tenant(name, "concierge")).await?;
    context.until_ready(scope, name).await?;
    Ok(())
}

async fn only_the_first_one_works(
    context: &Context,
    first: &OperatorProcess,
    second: &OperatorProcess,
) -> Outcome {
    assert_eq!(metric(first, "kr8tiv_operator_leading").await?, Some(1.0));
    assert_eq!(metric(second, "kr8tiv_operator_leading").await?, Some(0.0));
    let passes = r#"kr8tiv_operator_passes_total{kind="Tenant",outcome="finished"}"#;
    assert!(metric(first, passes).await?.is_some_and(|passes| passes > 0.0));
    assert_eq!(metric(second, passes).await?, None, "the one that stands by looks at nothing");
    // It knows everything all the same.
    let serving = r#"kr8tiv_operator_objects{kind="Tenant",status="True",reason="Serving"}"#;
    assert!(metric(second, serving).await?.is_some_and(|tenants| tenants > 0.0));
    let lease =
        Api::<Lease>::namespaced(context.cluster.client.clone(), SYSTEM_NAMESPACE).get(OPERATOR).await?;
    let holder = lease.spec.and_then(|spec| spec.holder_identity).unwrap_or_default();
    assert!(holder.starts_with("first_"), "{holder}");
    Ok(())
}

async fn leads(scope: &Scope, operator: &OperatorProcess) -> Outcome {
    scope
        .until("the Lease taken", SOON, async || match metric(operator, "kr8tiv_operator_leading").await? {
            Some(1.0) => Ok(()),
            other => Err(format!("it leads: {other:?}").into()),
        })
        .await
}

/// The value of a metric, given with its labels.
async fn metric(operator: &OperatorProcess, name: &str) -> Outcome<Option<f64>> {
    let (code, text) = operator.get("/metrics").await?;
    assert_eq!(code, 200, "{text}");
    assert!(text.ends_with("# EOF\n"), "no OpenMetrics: {text}");
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(value.map(str::parse).transpose()?)
}
