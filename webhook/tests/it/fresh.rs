//! What a refusal rests on is read once more: from an API server that knows more than the watches have seen.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::{Request, Response, StatusCode};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::time::sleep;
use tower::service_fn;

use crate::cluster::{Cluster, agent, harness, moved, tenant, with};
use crate::rules::{refused, silent, telegram};

/// What an API server that has these objects answers.
fn answers(objects: &[Value]) -> impl Fn(&Request<Body>) -> Response<Body> + Clone + Send + 'static {
    let path = |object: &Value| {
        let (metadata, text) = (&object["metadata"], |value: &Value| value.as_str().unwrap().to_owned());
        let (kind, name) = (text(&object["kind"]), text(&metadata["name"]));
        match kind.as_str() {
            "Namespace" => format!("/api/v1/namespaces/{name}"),
            "Harness" => format!("{}/harnesses/{name}", namespaced(&text(&metadata["namespace"]))),
            kind => {
                format!("{}/{}s/{name}", namespaced(&text(&metadata["namespace"])), kind.to_lowercase())
            }
        }
    };
    let objects: BTreeMap<_, _> = objects.iter().map(|object| (path(object), object.clone())).collect();
    move |request| {
        let path = request.uri().path();
        let (status, answer) = if path.ends_with("/agents") {
            let below = format!("{path}/");
            let items: Vec<_> = objects.iter().filter(|(path, _)| path.starts_with(&below)).collect();
            let items: Vec<_> = items.into_iter().map(|(_, object)| object).collect();
            (StatusCode::OK, json!({"metadata": {}, "items": items}))
        } else if let Some(object) = objects.get(path) {
            (StatusCode::OK, object.clone())
        } else {
            let status = json!({"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404});
            (StatusCode::NOT_FOUND, status)
        };
        let answer = Response::builder().status(status).body(Body::from(answer.to_string().into_bytes()));
        answer.unwrap()
    }
}

/// An API server that has these objects.
fn server(objects: &[Value]) -> Client {
    let answers = answers(objects);
    let answer = move |request| std::future::ready(Ok::<_, Infallible>(answers(&request)));
    Client::new(service_fn(answer), "default")
}

fn namespaced(namespace: &str) -> String {
    format!("/apis/kr8tiv.ai/v1alpha1/namespaces/{namespace}")
}

#[tokio::test]
async fn an_id_and_a_tag_are_free_when_their_tenant_is_gone() {
    let h = harness("h");
    for (field, value) in [("tenantId", "acme-00000001"), ("containerTag", "shared")] {
        let first = with(tenant("first", "h"), field, json!(value));
        let second = with(tenant("second", "h"), field, json!(value));
        let mut cluster = Cluster::with(&[h.clone(), first.clone()]);
        cluster.client = Some(server(&[h.clone(), first]));
        refused(&cluster.create(&second).await, "belongs to Tenant a/first");
        cluster.client = Some(server(std::slice::from_ref(&h)));
        silent(&cluster.create(&second).await);
    }
}

#[tokio::test]
async fn a_token_is_free_when_its_tenant_lets_go_of_it() {
    let h = harness("h");
    let (first, second) = (telegram(tenant("first", "h"), "bot"), telegram(tenant("second", "h"), "bot"));
    let mut leaving = first.clone();
    leaving["metadata"]["deletionTimestamp"] = json!("2026-11-30T00:00:00Z");
    let mut cluster = Cluster::with(&[h.clone(), first.clone()]);
    cluster.client = Some(server(&[h.clone(), first.clone()]));
    refused(&cluster.create(&second).await, "Tenant first, spec.channels.telegram");
    for mended in [vec![], vec![leaving], vec![telegram(first, "other")]] {
        cluster.client = Some(server(&[vec![h.clone()], mended].concat()));
        silent(&cluster.create(&second).await);
    }
}

#[tokio::test]
async fn labels_of_a_namespace_count_as_they_are() {
    let labelled = json!({"from": "Selector", "matchLabels": {"team": "blue"}});
    let h = with(harness("h"), "sharing", labelled);
    let mut borrowed = moved(tenant("acme", "h"), "b");
    borrowed["spec"]["harnessRef"]["namespace"] = json!("a");
    let namespace = |labels| json!({"kind": "Namespace", "metadata": {"name": "b", "labels": labels, "resourceVersion": "9"}});
    let (bare, blue) = (namespace(json!({})), namespace(json!({"team": "blue"})));

    let mut cluster = Cluster::with(&[h.clone(), bare.clone()]);
    cluster.client = Some(server(&[h.clone(), bare.clone()]));
    refused(&cluster.create(&borrowed).await, "is not shared with namespace b");
    cluster.client = Some(server(&[h.clone(), blue.clone()]));
    silent(&cluster.create(&borrowed).await);

    let mut cluster = Cluster::with(&[h.clone(), borrowed.clone(), blue.clone()]);
    cluster.client = Some(server(&[h.clone(), borrowed.clone(), blue]));
    refused(&cluster.delete(&h).await, "is in use by Tenant b/acme");
    cluster.client = Some(server(&[h.clone(), borrowed, bare]));
    silent(&cluster.delete(&h).await);
}

#[tokio::test]
async fn what_is_not_watched_is_not_there_and_not_asked_for() {
    let (h, first) = (harness("h"), telegram(tenant("first", "h"), "bot"));
    let second = telegram(tenant("second", "h"), "bot");
    let mut before = second.clone();
    before["spec"]["harnessRef"]["namespace"] = json!("b");
    let mut cluster = Cluster::with(&[h.clone(), first.clone(), before.clone()]);
    cluster.namespace = Some("a".to_owned());
    // As an API server that allows nothing elsewhere.
    let of_one_namespace = |objects: &[Value]| {
        let answers = answers(objects);
        let answer = move |request: Request<Body>| {
            let path = request.uri().path();
            assert!(path.starts_with(&namespaced("a")), "it asks for {path}");
            std::future::ready(Ok::<_, Infallible>(answers(&request)))
        };
        Client::new(service_fn(answer), "default")
    };
    cluster.client = Some(of_one_namespace(&[h.clone(), first]));
    refused(&cluster.update(&before, &second).await, "Tenant first, spec.channels.telegram");
    cluster.client = Some(of_one_namespace(&[h]));
    silent(&cluster.update(&before, &second).await);
}

#[tokio::test(start_paused = true)]
async fn many_who_left_a_harness_are_read_in_time_and_labels_where_they_count() {
    let selector = json!({"from": "Selector", "matchLabels": {"team": "blue"}});
    for (sharing, labels_read) in [(json!({"from": "All"}), 0), (selector, 1)] {
        let h = with(harness("h"), "sharing", sharing);
        let mut cluster = Cluster::with(std::slice::from_ref(&h));
        let blue = json!({"kind": "Namespace", "metadata": {
            "name": "b", "labels": {"team": "blue"}, "resourceVersion": "9"}});
        cluster.add(&blue);
        let mut now = vec![h.clone()];
        for number in 0..20 {
            let mut user = moved(tenant(&format!("t{number:02}"), "h"), "b");
            user["spec"]["harnessRef"]["namespace"] = json!("a");
            cluster.add(&user);
            if number > 17 {
                now.push(user);
            }
        }
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, answers) = (Arc::clone(&asked), answers(&now));
        let slow = move |request: Request<Body>| {
            log.lock().unwrap().push(request.uri().path().to_owned());
            let answer = answers(&request);
            async {
                sleep(Duration::from_millis(100)).await;
                Ok::<_, Infallible>(answer)
            }
        };
        cluster.client = Some(Client::new(service_fn(slow), "default"));
        let verdict = cluster.delete(&h).await;
        assert!(cluster.metrics.text(0).contains("kr8tiv_webhook_unread_total 0\n"));
        let read = asked.lock().unwrap().iter().filter(|path| *path == "/api/v1/namespaces/b").count();
        assert_eq!(read, labels_read);
        // The namespace has lost its labels.
        if labels_read == 0 { refused(&verdict, "is in use by Tenants b/t18") } else { silent(&verdict) }
    }
}

#[tokio::test]
async fn harnesses_and_agents_count_as_they_are() {
    let (h, narrow) = (harness("h"), with(harness("narrow"), "channels.allow", json!(["slack"])));
    let stored = telegram(tenant("acme", "h"), "bot");
    let moved = with(stored.clone(), "harnessRef", json!({"name": "narrow"}));
    let mut cluster = Cluster::with(&[h.clone(), narrow.clone()]);
    cluster.client = Some(server(&[h.clone(), narrow]));
    refused(&cluster.update(&stored, &moved).await, "the Harness does not allow the channel telegram");
    cluster.client = Some(server(&[h.clone(), harness("narrow")]));
    silent(&cluster.update(&stored, &moved).await);

    let (desk, front) = (agent("desk", "acme", true), agent("front", "acme", true));
    let mut cluster = Cluster::with(&[h.clone(), stored.clone(), desk.clone()]);
    cluster.client = Some(server(&[h.clone(), stored.clone(), desk]));
    refused(&cluster.create(&front).await, "is the tenant's default agent as well");
    cluster.client = Some(server(&[h, stored]));
    silent(&cluster.create(&front).await);
}

#[tokio::test(start_paused = true)]
async fn a_silent_api_server_holds_no_refusal_up() {
    let first = telegram(tenant("first", "h"), "bot");
    let mut cluster = Cluster::with(&[harness("h"), first]);
    let never = |_: Request<Body>| std::future::pending::<Result<Response<Body>, Infallible>>();
    cluster.client = Some(Client::new(service_fn(never), "default"));
    let verdict = cluster.create(&telegram(tenant("second", "h"), "bot")).await;
    refused(&verdict, "Tenant first, spec.channels.telegram");
    assert!(cluster.metrics.text(0).contains("kr8tiv_webhook_unread_total 1\n"));
}
