//! Answers the API server's reviews, kubelet's probes and Prometheus. HTTP.

use std::time::Instant;

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::header::CONTENT_TYPE;
use kr8tiv_operator::readiness::Readiness;

use crate::metrics::Metrics;
use crate::review::{Review, answer};
use crate::reviewer::Reviewer;

/// A review holds an object twice, each of at most 3 MiB by the API server's own limit.
const LONGEST_REVIEW: usize = 8 << 20;

/// What reviews are answered with.
#[derive(Clone)]
pub struct Reviews {
    /// Judges them.
    pub reviewer: Reviewer,
    /// Which watches are complete.
    pub readiness: Readiness,
    /// Where they are counted.
    pub metrics: Metrics,
}

/// `/review`, for the API server. Before everything has been seen nothing is judged: the failure policy decides then.
pub fn reviews(reviews: Reviews) -> Router {
    Router::new()
        .route("/review", post(review))
        .layer(DefaultBodyLimit::max(LONGEST_REVIEW))
        .with_state(reviews)
}

async fn review(State(reviews): State<Reviews>, body: Result<Json<Review>, JsonRejection>) -> Response {
    let started = Instant::now();
    let request = match body {
        Ok(Json(Review { request })) => request,
        Err(rejection) => return rejection.into_response(),
    };
    let pending = reviews.readiness.pending();
    if !pending.is_empty() {
        let waiting = format!("the webhook is starting and waits for {}", pending.join(", "));
        return (StatusCode::SERVICE_UNAVAILABLE, waiting).into_response();
    }
    let verdict = reviews.reviewer.verdict(&request).await;
    let kind = &request.kind.kind;
    reviews.metrics.review(kind, verdict.refusal.is_none(), started.elapsed());
    tracing::debug!(kind, operation = ?request.operation, allowed = verdict.refusal.is_none(), "reviewed");
    Json(answer(&request.uid, &verdict)).into_response()
}

/// `/livez`, `/readyz` and `/metrics`, as the operator has them.
pub fn probes(readiness: Readiness, metrics: Metrics) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(text))
        .with_state((readiness, metrics))
}

async fn readyz(State((readiness, _)): State<(Readiness, Metrics)>) -> impl IntoResponse {
    let pending = readiness.pending();
    if pending.is_empty() {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("waiting for:\n{}\n", pending.join("\n")))
    }
}

async fn text(State((readiness, metrics)): State<(Readiness, Metrics)>) -> impl IntoResponse {
    let text = metrics.text(readiness.pending().len());
    ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
}
