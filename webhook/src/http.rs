//! Answers the API server's reviews. HTTP.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use http::header::CONTENT_LENGTH;
use kr8tiv_operator::readiness::Readiness;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::metrics::Metrics;
use crate::review::{Asked, answer, read};
use crate::reviewer::Reviewer;

/// A review holds an object as it will be and as it is; etcd stores no more than 1.5 MiB of each.
pub const LONGEST_REVIEW: u32 = 4 << 20;
/// A small review counts as one of this size: 16 of them are judged at a time.
const SMALL_REVIEW: u32 = LONGEST_REVIEW / 16;
/// Nobody waits longer: the chart's `webhook.timeoutSeconds` is at most that.
pub const LONGEST_WAIT: Duration = Duration::from_secs(10);

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

#[derive(Clone)]
struct Service {
    reviews: Reviews,
    /// Room for what is read and judged at the same time, in bytes of reviews. Judging takes a multiple of that.
    room: Arc<Semaphore>,
}

/// `/review`, for the API server. Before everything has been seen nothing is judged: the failure policy decides then.
pub fn reviews(reviews: Reviews) -> Router {
    let room = Arc::new(Semaphore::new(LONGEST_REVIEW as usize));
    Router::new()
        .route("/review", post(review))
        .layer(DefaultBodyLimit::max(LONGEST_REVIEW as usize))
        .with_state(Service { reviews, room })
}

async fn review(State(service): State<Service>, request: Request) -> Response {
    let late = || (StatusCode::SERVICE_UNAVAILABLE, "the webhook has too much to do").into_response();
    timeout(LONGEST_WAIT, service.answered(request)).await.unwrap_or_else(|_| late())
}

impl Service {
    async fn answered(self, request: Request) -> Response {
        let Self { reviews: Reviews { reviewer, readiness, metrics }, room } = self;
        let started = Instant::now();
        let pending = readiness.pending();
        if !pending.is_empty() {
            let waiting = format!("the webhook is starting and waits for {}", pending.join(", "));
            return (StatusCode::SERVICE_UNAVAILABLE, waiting).into_response();
        }
        // It is never closed.
        let Ok(place) = room.acquire_many_owned(size(&request)).await else {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        };
        let body = match Bytes::from_request(request, &()).await {
            Ok(body) => body,
            Err(rejection) => return rejection.into_response(),
        };
        let Asked { uid, kind, question } = match read(&body) {
            Ok(asked) => asked,
            Err(error) => return (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
        };
        drop(body);
        // A task of its own: whoever gives up waiting does not end what is being judged, and it keeps its room.
        let judged = tokio::spawn(async move {
            let verdict = reviewer.verdict(question).await;
            drop(place);
            verdict
        });
        let Ok(verdict) = judged.await else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
        let is_allowed = verdict.refusal.is_none();
        metrics.review(&kind, is_allowed, started.elapsed());
        tracing::debug!(kind, allowed = is_allowed, "reviewed");
        Json(answer(&uid, &verdict)).into_response()
    }
}

/// What a request counts for: its length by its own account, beyond which nothing is read.
fn size(request: &Request) -> u32 {
    let length = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    length.unwrap_or(LONGEST_REVIEW).clamp(SMALL_REVIEW, LONGEST_REVIEW)
}
