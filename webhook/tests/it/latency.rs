//! How long a review takes with 1,000 tenants known. Figures only: a busy machine fails nothing.

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use kr8tiv_operator::readiness::Readiness;
use kr8tiv_webhook::http::{Reviews, reviews};
use kr8tiv_webhook::judge::warm_up;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::cluster::{Cluster, agent, harness, request, tenant, with};

const TENANTS: usize = 1_000;
/// Of each kind, so that the slowest hundredth is one at least. A Harness takes as many compilations as Tenants are looked
/// at.
const REVIEWS: usize = 100;

#[tokio::test]
#[ignore = "a measurement: cargo test --release -p kr8tiv-webhook --test it -- --ignored --nocapture"]
async fn of_a_review_among_many_tenants() {
    let h = harness("h");
    let mut cluster = Cluster::with(std::slice::from_ref(&h));
    for number in 0..TENANTS {
        cluster.add(&tenant(&format!("t{number}"), "h"));
        cluster.add(&agent(&format!("a{number}"), &format!("t{number}"), true));
    }
    // As the webhook does before it is ready.
    let started = Instant::now();
    warm_up();
    println!("figure: admission.warm_up {:.2} ms", started.elapsed().as_secs_f64() * 1e3);
    let (reviewer, metrics) = (cluster.reviewer(), cluster.metrics.clone());
    let router = reviews(Reviews { reviewer, readiness: Readiness::default(), metrics: metrics.clone() });
    let edited = with(h.clone(), "soul.vibe", json!("Warm."));
    let cases = [
        ("tenant", request("CREATE", &tenant("new", "h"), &Value::Null)),
        ("agent", request("CREATE", &agent("new", "t500", false), &Value::Null)),
        ("harness", request("UPDATE", &edited, &h)),
        ("harness_in_use", request("DELETE", &Value::Null, &h)),
    ];
    for (name, request) in cases {
        let body = request.to_string();
        let mut times = Vec::new();
        for _ in 0..REVIEWS {
            let request = Request::post("/review").header("content-type", "application/json");
            let request = request.body(Body::from(body.clone())).unwrap();
            let started = Instant::now();
            let response = router.clone().oneshot(request).await.unwrap();
            let answer = response.into_body().collect().await.unwrap().to_bytes();
            times.push(started.elapsed());
            let answer: Value = serde_json::from_slice(&answer).unwrap();
            assert_eq!(answer["response"]["allowed"], json!(name != "harness_in_use"), "{answer}");
        }
        let figure = |what: &str, time: Duration| {
            println!("figure: admission.{name}.{what} {:.2} ms", time.as_secs_f64() * 1e3);
        };
        figure("first", times[0]);
        times.sort();
        figure("median", times[REVIEWS / 2]);
        figure("p99", times[REVIEWS * 99 / 100]);
    }
    let counted = metrics.text(0);
    let line = format!("kr8tiv_webhook_reviews_total{{kind=\"Harness\",allowed=\"false\"}} {REVIEWS}");
    assert!(counted.contains(&line), "{counted}");
}
