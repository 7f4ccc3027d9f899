//! The admission webhook, over TLS, from the real API server: what users read, and what becomes of their objects when it is
//! down and while its certificate is replaced. Runs alone: there is one configuration.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, Pod, Secret};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kr8tiv_crds::{Agent, Harness, Tenant};
use kr8tiv_e2e::audit::{AuditLog, Request, by_verb_and_resource};
use kr8tiv_e2e::cluster::SYSTEM_NAMESPACE;
use kr8tiv_e2e::kubectl;
use kr8tiv_e2e::manifests::{agent, default_agent, harness, tenant, tenant_with_bot};
use kr8tiv_e2e::scope::{Kind, SOON, Scope};
use kr8tiv_e2e::webhook_process::{JUDGED, WEBHOOK, WEBHOOK_USER, WebhookProcess, configure};
use kr8tiv_e2e::{Outcome, figure, wait};
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::context::Context;
use crate::expect::{NO_GATEWAY, not_compiled};

/// As long as no test rotates it.
const LASTING: &str = "90d";
/// Replaced after 20 s, and the next one served 3 s later.
const SHORT: &str = "30s";
/// Between two of those, less a second for how exactly times are stored.
const BETWEEN: SignedDuration = SignedDuration::from_secs(19);
const ROTATIONS: Duration = Duration::from_mins(3);

const DENIED: &str = "admission webhook \"admission.kr8tiv.ai\" denied the request: ";

/// A webhook that the API server asks.
pub async fn started(context: &Context) -> Outcome<WebhookProcess> {
    let client = &context.cluster.client;
    let webhook = WebhookProcess::start(client, 18443, 18083, LASTING).await?;
    webhook.serve(client).await?;
    Ok(webhook)
}

/// A namespace in which it judges.
pub async fn judged(context: &Context, purpose: &str) -> Outcome<Scope> {
    let scope = context.scope(purpose).await?;
    let namespaces: Api<Namespace> = Api::all(scope.cluster.client.clone());
    let patch = Patch::Merge(json!({"metadata": {"labels": {JUDGED.0: JUDGED.1}}}));
    namespaces.patch(&scope.namespace, &PatchParams::default(), &patch).await?;
    Ok(scope)
}

/// A Tenant with a version that nobody knows.
fn wrong(name: &str) -> Value {
    let mut object = tenant(name, "concierge");
    object["spec"]["gateway"] = json!({"version": "1999.1.1"});
    object
}

fn why_wrong(name: &str) -> String {
    format!("Tenant {name}, spec.gateway.version: ")
}

/// What creating an object comes to, without creating it.
async fn tried<K: Kind + Serialize>(scope: &Scope, object: &Value) -> Result<K, kube::Error> {
    let object: K = serde_json::from_value(object.clone()).map_err(kube::Error::SerdeError)?;
    scope.api::<K>().create(&PostParams { dry_run: true, ..PostParams::default() }, &object).await
}

/// Waits until the API server asks the webhook and trusts it.
pub async fn answering(context: &Context, scope: &Scope) -> Outcome {
    configure(&context.cluster.client, json!({"failurePolicy": "Fail"})).await?;
    wait::until("a refusal by the webhook", SOON, async || {
        scope.apply::<Harness>(&harness("concierge")).await?;
        match tried::<Tenant>(scope, &wrong("acme")).await {
            Err(kube::Error::Api(status)) if status.message.starts_with(DENIED) => Ok(()),
            other => Err(format!("{other:?}").into()),
        }
    })
    .await?;
    Ok(())
}

/// Waits until an object is refused: what was applied a moment ago may not have been seen yet, and then it passes.
async fn refused<K: Kind>(scope: &Scope, object: &Value, expected: &str) -> Outcome {
    let name = object["metadata"]["name"].as_str().ok_or("an object without a name")?;
    let parameters = PatchParams::apply("e2e").force().dry_run();
    wait::until(&format!("a refusal for {expected}"), SOON, async || {
        match scope.api::<K>().patch(name, &parameters, &Patch::Apply(object)).await {
            Ok(_) => Err("it passes".into()),
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains(DENIED) && text.contains(expected), "{text}\nis not\n{expected}");
                Ok(())
            }
        }
    })
    .await?;
    Ok(())
}

/// What `kubectl apply` prints.
async fn applied(scope: &Scope, object: &Value) -> Outcome<(bool, String)> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), object.to_string())?;
    let path = file.path().to_string_lossy();
    let output = kubectl::output(&["apply", "-n", &scope.namespace, "-f", &path]).await?;
    Ok((output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned()))
}

pub async fn messages(context: &Context) -> Outcome {
    let webhook = started(context).await?;
    let scope = judged(context, "admission").await?;
    answering(context, &scope).await?;

    of_kubectl(&scope).await?;
    of_tenants(&scope).await?;
    of_agents(&scope).await?;
    of_harnesses(context, &scope).await?;

    let (code, metrics) = webhook.get("/metrics").await?;
    assert_eq!(code, 200);
    let counted = |line: &str| metrics.lines().any(|it| it.starts_with(line));
    assert!(counted(r#"kr8tiv_webhook_reviews_total{kind="Tenant",allowed="false"}"#), "{metrics}");
    webhook.stop().await?;
    unasked(context).await?;
    scope.discard().await
}

/// All that is wrong at once, in the words that a user sees; and what may come in any order.
async fn of_kubectl(scope: &Scope) -> Outcome {
    let mut object = wrong("acme");
    object["spec"]["channels"] = json!({"slack": {"accounts": [{
        "botTokenSecretRef": {"name": "s", "key": "b"}, "appTokenSecretRef": {"name": "s", "key": "a"}
    }]}});
    let (succeeded, text) = applied(scope, &object).await?;
    let is_told = text.contains("\nThe request is invalid: error when creating \"") && text.contains(DENIED);
    assert!(!succeeded && is_told && text.starts_with("Warning: "), "{text}");
    assert!(text.contains(&why_wrong("acme")) && text.contains("(K8T0003)"), "{text}");
    assert!(text.contains("spec.channels.slack") && text.contains("(K8T0101)"), "{text}");

    let (succeeded, text) = applied(scope, &agent("early", "later")).await?;
    let warning = "Warning: Agent early, spec.tenantRef.name: there is no Tenant later yet; the Agent is judged when there is";
    assert!(succeeded && text.contains(warning), "{text}");
    let (succeeded, text) = applied(scope, &tenant("later", "nobody")).await?;
    let warning = format!("there is no Harness nobody in namespace {}", scope.namespace);
    assert!(succeeded && text.contains("Warning: Tenant later, ") && text.contains(&warning), "{text}");

    let (succeeded, text) = applied(scope, &tenant("later", "concierge")).await?;
    assert!(succeeded && !text.contains("Warning"), "{text}");
    Ok(())
}

async fn of_tenants(scope: &Scope) -> Outcome {
    scope.apply::<Tenant>(&tenant_with_bot("first", "concierge", "bot")).await?;
    let expected = "Tenant first, spec.channels.telegram.accounts[0].botTokenSecretRef has the same token";
    // The second is created within the same second at most once: the older one holds.
    wait::until("the second to be later than the first", SOON, async || {
        match tried::<Tenant>(scope, &tenant_with_bot("second", "concierge", "bot")).await {
            Err(error) if error.to_string().contains(expected) => Ok(()),
            other => Err(format!("{other:?}").into()),
        }
    })
    .await?;
    let mut borrowed = tenant("borrower", "concierge");
    borrowed["spec"]["harnessRef"]["namespace"] = json!(scope.namespace);
    scope.apply::<Tenant>(&borrowed).await?;
    Ok(())
}

async fn of_agents(scope: &Scope) -> Outcome {
    scope.apply::<Tenant>(&tenant("team", "concierge")).await?;
    scope.apply::<Agent>(&default_agent("desk", "team")).await?;
    refused::<Agent>(scope, &default_agent("front", "team"), "is the tenant's default agent as well").await?;
    let mut locked = agent("other", "team");
    locked["spec"]["model"] = json!("anthropic/claude-opus-4-6");
    refused::<Agent>(scope, &locked, "Agent other, spec.model: ").await?;
    let mut bound = agent("other", "team");
    bound["spec"]["bindings"] = json!([{"channel": "telegram"}]);
    refused::<Agent>(scope, &bound, "Agent other, spec.bindings[0]").await
}

async fn of_harnesses(context: &Context, scope: &Scope) -> Outcome {
    let mut object = harness("concierge");
    object["spec"]["tools"] = json!({"allow": ["telepathy"]});
    refused::<Harness>(scope, &object, "Harness concierge, spec.tools.allow").await?;

    let mut narrowed = harness("concierge");
    narrowed["spec"]["channels"] = json!({"allow": ["slack"]});
    let (succeeded, text) = applied(scope, &narrowed).await?;
    assert!(
        succeeded && text.contains("Warning: in Tenant first: Tenant first, spec.channels.telegram"),
        "{text}"
    );

    let borrower = judged(context, "admission-far").await?;
    let mut far = tenant("far", "concierge");
    far["spec"]["harnessRef"]["namespace"] = json!(scope.namespace);
    let expected = format!("is not shared with namespace {}", borrower.namespace);
    refused::<Tenant>(&borrower, &far, &expected).await?;

    let error = scope.delete::<Harness>("concierge").await.err().map(|error| error.to_string());
    let expected = "Harness concierge is in use by Tenants borrower, first, later, team; delete them first, or name \
                    another Harness in their spec.harnessRef";
    assert!(error.as_ref().is_some_and(|error| error.contains(expected)), "{error:?}");
    for tenant in ["borrower", "first", "later", "team"] {
        scope.delete::<Tenant>(tenant).await?;
    }
    // What was just deleted holds nothing up, however late the watch is.
    scope.delete::<Harness>("concierge").await?;
    borrower.discard().await
}

/// The chart's settings, so that nobody else waits for a webhook that does not run.
pub async fn unasked(context: &Context) -> Outcome {
    configure(&context.cluster.client, json!({"failurePolicy": "Ignore"})).await
}

pub async fn down(context: &Context) -> Outcome {
    let webhook = started(context).await?;
    let scope = judged(context, "admission-down").await?;
    let ending = judged(context, "admission-ending").await?;
    answering(context, &ending).await?;
    answering(context, &scope).await?;
    for scope in [&scope, &ending] {
        scope.apply::<Tenant>(&tenant("early", "concierge")).await?;
    }
    webhook.stop().await?;

    unanswered(&scope).await?;
    // A namespace ends with everything in it, in whatever order it goes.
    let namespaces: Api<Namespace> = Api::all(context.cluster.client.clone());
    let name = ending.namespace.clone();
    ending.clone().discard().await?;
    ending
        .until("the namespace gone", SOON, async || match namespaces.get_opt(&name).await? {
            None => Ok(()),
            Some(_) => Err("it is still there".into()),
        })
        .await?;

    // Ignore: it passes, and the operator says the same.
    configure(&context.cluster.client, json!({"failurePolicy": "Ignore"})).await?;
    wait::until("the policy to be known", SOON, async || Ok(scope.apply::<Tenant>(&wrong("acme")).await?))
        .await?;
    let message = scope
        .until("what the operator says", SOON, async || {
            let tenant: Tenant = scope.api().get("acme").await?;
            let conditions = tenant.status.unwrap_or_default().conditions;
            let ready = conditions.into_iter().find(|condition| condition.type_ == "Ready");
            ready.map(|ready| ready.message).filter(|it| it.contains("K8T")).ok_or_else(|| "nothing".into())
        })
        .await?;
    assert!(message.starts_with(&why_wrong("acme")), "{message}");
    scope.until_exactly::<Tenant>("acme", &not_compiled("Invalid", &message, "Stalled", NO_GATEWAY)).await?;

    // Up again: what is stored is no worse afterwards, and is told; what mends it passes in silence.
    let webhook = started(context).await?;
    answering(context, &scope).await?;
    let mut renamed = wrong("acme");
    renamed["spec"]["displayName"] = json!("Acme & Sons");
    let (succeeded, text) = applied(&scope, &renamed).await?;
    assert!(succeeded && text.contains(&format!("Warning: {}", why_wrong("acme"))), "{text}");
    let (succeeded, text) = applied(&scope, &tenant("acme", "concierge")).await?;
    assert!(succeeded && !text.contains("Tenant acme, "), "{text}");
    scope.discard().await?;
    webhook.stop().await?;
    unasked(context).await
}

/// With `Fail` nothing new is stored while no webhook answers, and no Harness is deleted. All else passes.
async fn unanswered(scope: &Scope) -> Outcome {
    let failed = |what: &str, done: Outcome| {
        let error = done.err().map(|error| error.to_string());
        let is_expected = error.as_ref().is_some_and(|error| error.contains("failed calling webhook"));
        assert!(is_expected, "{what}: {error:?}");
    };
    failed("a new Tenant", scope.apply::<Tenant>(&tenant("acme", "concierge")).await.map(drop));
    failed("another Harness", scope.merge::<Harness>("concierge", renamed()).await.map(drop));
    failed("a deletion", scope.delete::<Harness>("concierge").await);

    let finalizers = |names: Value| json!({"metadata": {"finalizers": names}});
    scope.merge::<Harness>("concierge", finalizers(json!(["example.com/e2e"]))).await?;
    scope.merge::<Harness>("concierge", finalizers(Value::Null)).await?;
    let status = Patch::Merge(json!({"status": {"conditions": []}}));
    scope.api::<Harness>().patch_status("concierge", &PatchParams::default(), &status).await?;
    // One whose deletion has begun may even be changed.
    scope.merge::<Tenant>("early", finalizers(json!(["example.com/e2e"]))).await?;
    scope.delete::<Tenant>("early").await?;
    scope.merge::<Tenant>("early", json!({"spec": {"displayName": "Late"}})).await?;
    scope.merge::<Tenant>("early", finalizers(Value::Null)).await?;
    scope.until_gone::<Tenant>("early", SOON).await
}

/// A change that a Harness can always have.
fn renamed() -> Value {
    json!({"spec": {"identity": {"role": "another"}}})
}

/// When the newest certificate was made. Replicas that don't know of each other's would make two at a time.
async fn newest(context: &Context) -> Outcome<Timestamp> {
    let secrets: Api<Secret> = Api::namespaced(context.cluster.client.clone(), SYSTEM_NAMESPACE);
    let stored = secrets.get(WEBHOOK).await?.data.unwrap_or_default();
    let stored = stored.get("certificates.json").ok_or("no certificate")?;
    let pairs: Vec<Pair> = serde_json::from_slice(&stored.0)?;
    for (one, next) in pairs.iter().zip(pairs.iter().skip(1)) {
        let apart = next.made.duration_since(one.made);
        assert!(apart >= BETWEEN, "{} and {} are {apart:#} apart", one.made, next.made);
    }
    Ok(pairs.last().ok_or("no certificate")?.made)
}

/// What is stored of a certificate, as far as it is looked at.
#[derive(Deserialize)]
struct Pair {
    made: Timestamp,
}

/// The serving certificate's expiry by a replica's own account: it changes when the replica changes what it serves.
async fn expiry(webhook: &WebhookProcess) -> Outcome<String> {
    let (_, text) = webhook.get("/metrics").await?;
    let name = "kr8tiv_webhook_certificate_expiry_timestamp_seconds ";
    Ok(text.lines().find_map(|line| line.strip_prefix(name)).ok_or("no expiry")?.to_owned())
}

pub async fn rotating(context: &Context) -> Outcome {
    let client = &context.cluster.client;
    // What is stored lasts for long: begin anew, as after an installation.
    let secrets: Api<Secret> = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
    secrets.patch(WEBHOOK, &PatchParams::default(), &Patch::Merge(json!({"data": null}))).await?;
    let (one, two) = tokio::try_join!(
        WebhookProcess::start(client, 18443, 18083, SHORT),
        WebhookProcess::start(client, 18444, 18084, SHORT)
    )?;
    one.serve(client).await?;
    let scope = judged(context, "admission-rotating").await?;
    answering(context, &scope).await?;
    let mut requests = 0;
    for asked in [&one, &two] {
        asked.serve(client).await?;
        let (stored, served) = (newest(context).await?, expiry(asked).await?);
        wait::until("the next certificate served", ROTATIONS, async || {
            // With the policy Fail, a request that does not reach the webhook is an error of another kind.
            let error = tried::<Tenant>(&scope, &wrong("acme")).await.err().map(|error| error.to_string());
            assert!(
                error.as_ref().is_some_and(|error| error.contains(DENIED)),
                "after {requests}: {error:?}"
            );
            requests += 1;
            // The API server keeps connections: others come anew.
            for replica in [&one, &two] {
                let greeted = replica.greet(client).await.err().map(|error| error.to_string());
                assert_eq!(greeted, None, "after {requests}");
            }
            let is_next = newest(context).await? != stored && expiry(asked).await? != served;
            if is_next { Ok(()) } else { Err("still the one before".into()) }
        })
        .await?;
        // And with what is served now.
        let error = tried::<Tenant>(&scope, &wrong("acme")).await.err().map(|error| error.to_string());
        assert!(error.as_ref().is_some_and(|error| error.contains(DENIED)), "{error:?}");
    }
    figure("admission.requests_during_two_rotations", requests, "requests, none failed");
    figure("admission.connections_during_two_rotations", 2 * requests, "connections, none failed");
    one.stop().await?;
    two.stop().await?;
    unasked(context).await?;
    scope.discard().await
}

/// The rights that the chart gives are enough, its Pods are let into their namespace, and no key is told.
pub async fn traces(context: &Context) -> Outcome {
    let requests = context.cluster.audit.requests_since(AuditLog::start(), WEBHOOK_USER)?;
    assert!(!requests.is_empty(), "the webhook made no request");
    let forbidden: Vec<_> = requests.into_iter().filter(Request::is_unauthorised).collect();
    assert!(forbidden.is_empty(), "{:#?}", by_verb_and_resource(&forbidden));

    let pods: Api<Pod> = Api::namespaced(context.cluster.client.clone(), SYSTEM_NAMESPACE);
    let selector = format!("app.kubernetes.io/name={WEBHOOK}");
    let pods = pods.list(&ListParams::default().labels(&selector)).await?;
    assert_eq!(pods.items.len(), 2, "Pod Security refuses them, or nobody makes them");

    let log = std::fs::read_to_string(WebhookProcess::log()?)?;
    assert!(log.contains("serving a certificate") && !log.contains("PRIVATE KEY"));
    Ok(())
}
