//! A certificate that somebody else puts into the Secret, as cert-manager does: served, and followed by the next one.

use std::collections::BTreeMap;
use std::convert::Infallible;

use axum::http::{Request, Response};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kr8tiv_operator::readiness::Readiness;
use kr8tiv_webhook::certificate::{Pair, Policy, make};
use kr8tiv_webhook::connections::{Limits, serve};
use kr8tiv_webhook::http::{Reviews, reviews};
use kr8tiv_webhook::keeper::{Keeper, Place, Source};
use kr8tiv_webhook::metrics::Metrics;
use kr8tiv_webhook::tls::Served;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower::service_fn;

use crate::cluster::{Cluster, harness, request};
use crate::connections::{ask_with, greeted, trusting};

/// The Secret in this version, with a pair in it or without.
fn secret(version: u32, pair: Option<&Pair>) -> Secret {
    let data = pair.map(|pair| {
        let chain = format!("{}{}", pair.certificate, pair.authority);
        let values = [("tls.crt", &chain), ("tls.key", &pair.key)];
        values.map(|(key, value)| (key.to_owned(), ByteString(value.clone().into_bytes()))).into()
    });
    let mut secret = Secret { data, ..Secret::default() };
    secret.metadata.name = Some("webhook-tls".to_owned());
    secret.metadata.namespace = Some("system".to_owned());
    secret.metadata.resource_version = Some(version.to_string());
    secret
}

fn version(secret: &Secret) -> u32 {
    secret.metadata.resource_version.as_ref().unwrap().parse().unwrap()
}

/// An API server with that Secret alone. A watch ends with its first event, as one may at any time.
async fn answer(request: Request<Body>, mut secrets: watch::Receiver<Secret>) -> Value {
    assert_eq!(request.uri().path(), "/api/v1/namespaces/system/secrets");
    let query: BTreeMap<_, _> = request
        .uri()
        .query()
        .unwrap_or_default()
        .split('&')
        .filter_map(|part| part.split_once('='))
        .collect();
    if !query.contains_key("watch") {
        let secret = secrets.borrow().clone();
        return json!({"metadata": {"resourceVersion": secret.metadata.resource_version}, "items": [secret]});
    }
    let since: u32 = query["resourceVersion"].parse().unwrap();
    let secret = secrets.wait_for(|secret| version(secret) > since).await.unwrap().clone();
    let mut object = serde_json::to_value(secret).unwrap();
    object["apiVersion"] = json!("v1");
    object["kind"] = json!("Secret");
    json!({"type": "MODIFIED", "object": object})
}

#[tokio::test]
async fn a_given_certificate_is_served_and_followed_by_the_next() {
    let policy = Policy { names: vec!["127.0.0.1".into()], lifetime: SignedDuration::from_hours(1) };
    let [first, second] = [(); 2].map(|()| make(&policy, Timestamp::now()).unwrap());
    let (secrets, seen) = watch::channel(secret(1, None));
    let api = service_fn(move |request| {
        let answer = answer(request, seen.clone());
        async move { Ok::<_, Infallible>(Response::new(Body::from(answer.await.to_string().into_bytes()))) }
    });
    let (readiness, metrics, served) = (Readiness::default(), Metrics::default(), Served::default());
    let keeper = Keeper {
        client: Client::new(api, "default"),
        place: Place { namespace: "system".into(), name: "webhook-tls".into() },
        source: Source::Given,
        served: served.clone(),
        gate: readiness.gate("Certificate"),
        metrics: metrics.clone(),
    };
    tokio::spawn(keeper.run());

    let h = harness("h");
    let reviewer = Cluster::with(std::slice::from_ref(&h)).reviewer();
    let router = reviews(Reviews { reviewer, readiness: Readiness::default(), metrics });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, served, router, Limits::default(), CancellationToken::new()));

    assert!(greeted(&trusting(&first.authority), address).await.is_err(), "there is none yet");
    assert_eq!(readiness.pending().len(), 1);

    let review = request("CREATE", &h, &Value::Null).to_string();
    for (number, (pair, other)) in [(&first, &second), (&second, &first)].into_iter().enumerate() {
        // New ones each time: one that has been connected before takes up its session, and looks at no certificate.
        let [client, other] = [pair, other].map(|pair| trusting(&pair.authority));
        secrets.send_replace(secret(u32::try_from(number).unwrap() + 2, Some(pair)));
        let mut connection = loop {
            match greeted(&client, address).await {
                Ok(connection) => break connection,
                // The watch is not there yet.
                Err(_) => tokio::task::yield_now().await,
            }
        };
        let head = "POST /review HTTP/1.1\r\nhost: it\r\ncontent-type: application/json";
        let asked = format!("{head}\r\ncontent-length: {}\r\n\r\n{review}", review.len());
        ask_with(&mut connection, &asked, r#""allowed":true"#).await.unwrap();
        assert!(greeted(&other, address).await.is_err(), "this one is not served");
        assert_eq!(readiness.pending(), Vec::<String>::new());
    }
}
