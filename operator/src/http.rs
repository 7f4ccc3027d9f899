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

/// [`probes`] of the operator.
pub fn router(sources: Sources) -> Router {
    let Sources { readiness, metrics, stores } = sources;
    probes(readiness, move |pending| metrics.text(&stores, pending))
}

/// `/livez`: the process runs. `/readyz`: everything that is to be watched has been seen; else what is missing. A
/// restart would not bring what is missing, so that liveness does not depend on it. `/metrics`: for Prometheus, the text
/// when so many watches are not complete.
pub fn probes(readiness: Readiness, text: impl Fn(usize) -> String + Send + Sync + 'static) -> Router {
    let (of_metrics, text) = (readiness.clone(), Arc::new(text));
    let metrics = async move || {
        let text = text(of_metrics.pending().len());
        ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
    };
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(readiness)
}

async fn readyz(State(readiness): State<Readiness>) -> impl IntoResponse {
    let pending = readiness.pending();
    if pending.is_empty() {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("waiting for:\n{}\n", pending.join("\n")))
    }
}
