//! What is refused, what is told, what passes in silence.

use kr8tiv_webhook::judge::{Refusal, Verdict};
use serde_json::{Value, json};

use crate::cluster::{Cluster, agent, harness, moved, tenant, with};

#[track_caller]
pub fn refused(verdict: &Verdict, expected: &str) {
    let text = verdict.refusal.as_ref().map(ToString::to_string).unwrap_or_default();
    assert!(text.contains(expected), "refused for {text:?}, told {:?}", verdict.warnings);
}

#[track_caller]
pub fn told(verdict: &Verdict, expected: &str) {
    assert_eq!(verdict.refusal, None);
    assert!(verdict.warnings.iter().any(|warning| warning.contains(expected)), "{:?}", verdict.warnings);
}

#[track_caller]
pub fn silent(verdict: &Verdict) {
    assert_eq!(*verdict, Verdict::default());
}

pub fn telegram(object: Value, secret: &str) -> Value {
    let token = json!({"name": secret, "key": "token"});
    with(
        object,
        "channels",
        json!({"telegram": {"accounts": [{"botTokenSecretRef": token, "groupAllowFrom": ["1"]}]}}),
    )
}

/// A Tenant that connects a channel that the Harness does not allow, at a version that nobody knows.
fn wrong_twice(object: Value) -> Value {
    let object = with(object, "gateway", json!({"version": "1999.1.1"}));
    let token = json!({"name": "bot", "key": "token"});
    with(
        object,
        "channels",
        json!({"discord": {"accounts": [{"tokenSecretRef": token, "guilds": [{"id": "1"}]}]}}),
    )
}

#[tokio::test]
async fn a_tenant_is_refused_for_everything_that_is_wrong_in_it() {
    let cluster = Cluster::with(&[harness("h")]);
    silent(&cluster.create(&tenant("acme", "h")).await);
    let verdict = cluster.create(&wrong_twice(tenant("acme", "h"))).await;
    refused(&verdict, "Tenant acme, spec.gateway.version:");
    refused(&verdict, "(K8T0101)");
}

#[tokio::test]
async fn what_was_wrong_before_refuses_nothing() {
    let cluster = Cluster::with(&[harness("h")]);
    let stored = wrong_twice(tenant("acme", "h"));
    let better = with(stored.clone(), "gateway", json!({}));
    told(&cluster.update(&stored, &better).await, "(K8T0101)");
    let renamed = with(stored.clone(), "displayName", json!("Acme & Sons"));
    told(&cluster.update(&stored, &renamed).await, "(K8T0101)");
    refused(&cluster.update(&better, &stored).await, "(K8T0003)");
}

#[tokio::test]
async fn another_harness_is_another_judge() {
    let narrow = with(harness("slack-only"), "channels.allow", json!(["slack"]));
    let mut far = moved(harness("far"), "b");
    far["spec"]["sharing"] = json!({"from": "Selector", "matchLabels": {"team": "blue"}});
    let mut cluster = Cluster::with(&[harness("h"), narrow, far]);
    let stored = telegram(tenant("acme", "h"), "bot");
    let narrowed = with(stored.clone(), "harnessRef", json!({"name": "slack-only"}));
    refused(&cluster.update(&stored, &narrowed).await, "the Harness does not allow the channel telegram");
    silent(&cluster.update(&narrowed, &stored).await);
    let renamed = with(narrowed.clone(), "displayName", json!("Acme & Sons"));
    told(&cluster.update(&narrowed, &renamed).await, "the Harness does not allow the channel telegram");
    // And between namespaces.
    let borrowed = with(stored.clone(), "harnessRef", json!({"name": "far", "namespace": "b"}));
    refused(&cluster.update(&stored, &borrowed).await, "is not shared with namespace a");
    let metadata = json!({"name": "a", "labels": {"team": "blue"}, "resourceVersion": "9"});
    cluster.add(&json!({"kind": "Namespace", "metadata": metadata}));
    silent(&cluster.update(&stored, &borrowed).await);
    refused(&cluster.update(&borrowed, &narrowed).await, "the Harness does not allow the channel telegram");
}

#[tokio::test]
async fn objects_may_come_in_any_order() {
    let (h, t) = (harness("h"), tenant("acme", "h"));
    let agents = [agent("a", "acme", false), agent("b", "acme", false), agent("c", "acme", true)];
    let mut cluster = Cluster::new();
    for agent in &agents {
        told(&cluster.create(agent).await, "there is no Tenant acme yet");
        cluster.add(agent);
    }
    told(&cluster.create(&t).await, "there is no Harness h in namespace a");
    cluster.add(&t);
    silent(&cluster.create(&h).await);

    let mut cluster = Cluster::with(&[h, t]);
    silent(&cluster.create(&agents[0]).await);
    cluster.add(&agents[0]);
    told(&cluster.create(&agents[1]).await, "is the default one");
    cluster.add(&agents[1]);
    silent(&cluster.create(&agents[2]).await);
}

#[tokio::test]
async fn an_agent_answers_for_every_conflict_that_it_brings() {
    let cluster = Cluster::with(&[harness("h"), tenant("acme", "h"), agent("m", "acme", true)]);
    // The compiler shows the conflict in the one whose id comes second.
    for name in ["a", "z"] {
        refused(&cluster.create(&agent(name, "acme", true)).await, "is the tenant's default agent as well");
    }
    let locked = with(agent("z", "acme", false), "model", json!("anthropic/claude-opus-4-6"));
    refused(&cluster.create(&locked).await, "Agent z, spec.model:");
    let bound = with(agent("z", "acme", false), "bindings", json!([{"channel": "telegram"}]));
    refused(&cluster.create(&bound).await, "Agent z, spec.bindings[0]");
}

#[tokio::test]
async fn a_conflict_of_others_is_not_an_agents() {
    let known = [agent("a", "acme", true), agent("b", "acme", true)];
    let cluster = Cluster::with(&[vec![harness("h"), tenant("acme", "h")], known.to_vec()].concat());
    silent(&cluster.create(&agent("c", "acme", false)).await);
    let mended = with(known[1].clone(), "default", json!(false));
    silent(&cluster.update(&known[1], &mended).await);
}

#[tokio::test]
async fn a_token_an_id_and_a_tag_are_for_one_tenant() {
    let first = telegram(tenant("first", "h"), "bot");
    let claimed = with(tenant("third", "h"), "tenantId", json!("acme-00000001"));
    let claimed = with(claimed, "containerTag", json!("shared"));
    let cluster = Cluster::with(&[harness("h"), first.clone(), claimed]);
    let second = telegram(tenant("second", "h"), "bot");
    refused(
        &cluster.create(&second).await,
        "Tenant first, spec.channels.telegram.accounts[0].botTokenSecretRef",
    );
    // The earlier one keeps it, and another namespace has other Secrets.
    let edited = with(first.clone(), "displayName", json!("First"));
    silent(&cluster.update(&first, &edited).await);
    // Of several the first is named, in whatever order they are known.
    let mut crowded = Cluster::with(&[harness("h"), first, second]);
    for number in 0..20 {
        crowded.add(&telegram(tenant(&format!("t{number}"), "h"), "bot"));
    }
    refused(&crowded.create(&telegram(tenant("last", "h"), "bot")).await, "Tenant first, ");
    let id = with(tenant("fourth", "h"), "tenantId", json!("acme-00000001"));
    refused(
        &cluster.create(&id).await,
        "spec.tenantId: the tenant id acme-00000001 belongs to Tenant a/third",
    );
    let tag = with(tenant("fifth", "h"), "containerTag", json!("shared"));
    refused(
        &cluster.create(&tag).await,
        "spec.containerTag: the memory tag shared belongs to Tenant a/third",
    );
}

#[tokio::test]
async fn of_a_harness_that_is_not_shared_nothing_is_told() {
    let mut borrowed = wrong_twice(moved(tenant("acme", "h"), "b"));
    borrowed["spec"]["harnessRef"]["namespace"] = json!("a");
    let cluster = Cluster::with(&[harness("h")]);
    let verdict = cluster.create(&borrowed).await;
    refused(&verdict, "is not shared with namespace b");
    let text = verdict.refusal.unwrap().to_string();
    assert_eq!(text.lines().count(), 1, "{text}");

    let labelled = json!({"from": "Selector", "matchLabels": {"team": "blue"}});
    let mut cluster = Cluster::with(&[with(harness("h"), "sharing", labelled)]);
    refused(&cluster.create(&borrowed).await, "is not shared");
    let metadata = json!({"name": "b", "labels": {"team": "blue"}, "resourceVersion": "9"});
    cluster.add(&json!({"kind": "Namespace", "metadata": metadata}));
    refused(&cluster.create(&borrowed).await, "(K8T0101)");
}

#[tokio::test]
async fn a_harness_answers_for_itself_and_tells_of_its_users() {
    let h = with(harness("h"), "sharing", json!({"from": "All"}));
    let near = telegram(tenant("near", "h"), "bot");
    let mut far = moved(telegram(tenant("far", "h"), "bot"), "b");
    far["spec"]["harnessRef"]["namespace"] = json!("a");
    let cluster = Cluster::with(&[h.clone(), near, far]);
    let unknown = with(h.clone(), "tools", json!({"allow": ["telepathy"]}));
    refused(&cluster.update(&h, &unknown).await, "Harness h, spec.tools.allow");
    let narrowed = with(h.clone(), "channels.allow", json!(["slack"]));
    let verdict = cluster.update(&h, &narrowed).await;
    told(&verdict, "in Tenant near: Tenant near, spec.channels.telegram");
    told(&verdict, "Tenant b/far would not compile any more (K8T0101)");
    silent(&cluster.update(&h, &with(h.clone(), "soul.vibe", json!("Warm."))).await);
}

#[tokio::test]
async fn a_harness_in_use_stays() {
    let h = harness("h");
    let mut leaving = tenant("leaving", "h");
    leaving["metadata"]["deletionTimestamp"] = json!("2026-11-30T00:00:00Z");
    let mut stranger = moved(tenant("stranger", "h"), "b");
    stranger["spec"]["harnessRef"]["namespace"] = json!("a");
    let mut cluster = Cluster::with(&[h.clone(), leaving, stranger]);
    silent(&cluster.delete(&h).await);
    cluster.add(&tenant("acme", "h"));
    let expected = "Harness h is in use by Tenant acme; delete them first, or name another Harness in their \
                    spec.harnessRef";
    assert_eq!(cluster.delete(&h).await.refusal, Some(Refusal::InUse(expected.into())));
    for number in 0..9 {
        cluster.add(&tenant(&format!("b{number}"), "h"));
    }
    refused(&cluster.delete(&h).await, "Tenants acme, b0, b1, b2, b3 and 5 more;");
}

#[tokio::test]
async fn what_a_neighbour_says_that_can_not_be_read_refuses_nothing() {
    let mut unreadable = harness("h");
    unreadable["spec"]["models"] = json!(7);
    let cluster = Cluster::with(&[unreadable]);
    let own = wrong_twice(tenant("acme", "h"));
    told(&cluster.create(&own).await, "Harness h can't be read by this version of the webhook: invalid type");
    // Why is for its own namespace.
    let mut borrowed = moved(own, "b");
    borrowed["spec"]["harnessRef"]["namespace"] = json!("a");
    let verdict = cluster.create(&borrowed).await;
    assert_eq!(verdict.warnings, ["not judged: Harness h can't be read by this version of the webhook"]);
}
