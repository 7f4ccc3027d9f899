//! Answers kubelet's probes and Prometheus. HTTP.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use http::header::CONTENT_TYPE;

use crate::metrics::Metrics;
use crate::readiness::Readiness;
use crate::stores::Stores;

/// What answers are made of.
#[derive(Clone)]
pub struct Sources {
    /// Which watches are complete.
    pub readiness: Readiness,
    /// What was counted.
    pub metrics: Metrics,
    /// What is known of the cluster.
    pub stores: Arc<Stores>,
}

/// `/livez`: the process runs. `/readyz`: everything that is to be watched has been seen; else what is missing. A
/// restart would not bring what is missing, so that liveness does not depend on it. `/metrics`: for Prometheus.
pub fn router(sources: Sources) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(sources)
}

async fn metrics(State(sources): State<Sources>) -> impl IntoResponse {
    let text = sources.metrics.text(&sources.stores, sources.readiness.pending().len());
    ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
}

async fn readyz(State(sources): State<Sources>) -> impl IntoResponse {
    let pending = sources.readiness.pending();
    if pending.is_empty() {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("waiting for:\n{}\n", pending.join("\n")))
    }
}
