//! What reviews may take: their length, their room, their time. Time is the runtime's own, which jumps when all wait.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use kr8tiv_operator::readiness::Readiness;
use kr8tiv_webhook::http::{LONGEST_REVIEW, LONGEST_WAIT, Reviews, reviews};
use serde_json::{Value, json};
use tokio::time::timeout;
use tower::ServiceExt;

use crate::cluster::{Cluster, harness, request};

fn router() -> Router {
    let cluster = Cluster::with(&[harness("h")]);
    let (reviewer, metrics) = (cluster.reviewer(), cluster.metrics.clone());
    reviews(Reviews { reviewer, readiness: Readiness::default(), metrics })
}

fn post(length: u32, body: Body) -> Request<Body> {
    Request::post("/review").header("content-length", length).body(body).unwrap()
}

fn small() -> Request<Body> {
    let review = request("CREATE", &harness("new"), &Value::Null).to_string();
    post(u32::try_from(review.len()).unwrap(), Body::from(review))
}

/// One that is announced and never comes.
fn stuck(length: u32) -> Request<Body> {
    post(length, Body::from_stream(futures::stream::pending::<Result<Bytes, Infallible>>()))
}

#[tokio::test]
async fn a_review_has_a_length() {
    let long = Body::from(vec![b' '; LONGEST_REVIEW as usize + 1]);
    let answer = router().oneshot(post(LONGEST_REVIEW + 1, long)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let answer = router().oneshot(post(2, Body::from("{}"))).await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test(start_paused = true)]
async fn a_review_has_a_time() {
    let answer = timeout(2 * LONGEST_WAIT, router().oneshot(stuck(100))).await;
    assert_eq!(answer.unwrap().unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test(start_paused = true)]
async fn reviews_wait_for_room() {
    let second = Duration::from_secs(1);
    // A long one takes all of it, and so do many small ones.
    for stuck_ones in [vec![LONGEST_REVIEW], vec![100; 16]] {
        let router = router();
        let mut stuck_ones: Vec<_> = stuck_ones
            .into_iter()
            .map(|length| tokio::spawn(router.clone().oneshot(stuck(length))))
            .collect();
        // Each has its room from here on.
        tokio::task::yield_now().await;
        assert!(timeout(second, router.clone().oneshot(small())).await.is_err(), "there is no room");
        // Whoever goes away leaves room.
        let gone = stuck_ones.pop().unwrap();
        gone.abort();
        assert!(gone.await.is_err());
        let answer = router.oneshot(small()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let answer = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(serde_json::from_slice::<Value>(&answer).unwrap()["response"]["allowed"], json!(true));
    }
}
