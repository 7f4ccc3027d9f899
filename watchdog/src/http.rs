//! I/O: answers probes and the operator over HTTP.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util_tokio::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use crate::clock::Clock;
use crate::gateway_status::GatewayStatus;
use crate::guard::Guard;
use crate::metrics::{self, Metrics};
use crate::status::{SandboxStatus, Status};

/// The whole life of a connection: one small request, one small answer. A client cannot hold it longer,
/// however slowly it sends or reads.
const CONNECTION_DEADLINE: Duration = Duration::from_secs(5);
/// hyper's smallest buffer, and 20 times what a probe sends.
const MAX_HEADER_BYTES: usize = 8 * 1024;
/// More than the operator and kubelet ever open at once; bounds what others can make us keep.
const MAX_CONNECTIONS: usize = 64;
/// Pause after a refused accept (no file descriptors left): trying at once would only burn the CPU.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the delivery loop publishes. When its sender is gone the loop is dead.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// What `/status` answers.
    pub status: Status,
    /// When the loop must have given its next sign of life.
    pub alive_until: Instant,
}

/// What is answered from.
#[derive(Debug, Clone)]
pub struct Sources {
    /// From the delivery loop.
    pub snapshots: watch::Receiver<Snapshot>,
    /// From who watches the gateway.
    pub gateway: watch::Receiver<GatewayStatus>,
    /// From who probes the sandboxes.
    pub sandboxes: watch::Receiver<Vec<SandboxStatus>>,
    /// Counted by everybody.
    pub metrics: Arc<Metrics>,
    /// Who may see `/status`.
    pub guard: Arc<Guard>,
    /// Ages are by it.
    pub clock: Clock,
}

/// Serves for ever.
pub async fn serve(listener: TcpListener, sources: Sources) -> Infallible {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        // The semaphore is never closed; if it were, a connection without a permit is still answered.
        let permit = Arc::clone(&permits).acquire_owned().await.ok();
        match listener.accept().await {
            Ok((stream, _peer)) => {
                let sources = sources.clone();
                tokio::spawn(async move {
                    let _permit = permit;
                    let answered = tokio::time::timeout(CONNECTION_DEADLINE, answer(stream, sources)).await;
                    if answered.is_err() {
                        tracing::debug!("closed a connection that took too long");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn answer(stream: TcpStream, sources: Sources) {
    let service = service_fn(|request: Request<Incoming>| {
        let response = route(&request, &sources);
        async { Ok::<_, Infallible>(response) }
    });
    let served = http1::Builder::new()
        .max_buf_size(MAX_HEADER_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended early");
    }
}

fn route<B>(request: &Request<B>, sources: &Sources) -> Response<Full<Bytes>> {
    let Sources { snapshots, gateway, sandboxes, metrics, guard, clock } = sources;
    let snapshot = snapshots.borrow();
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return json(StatusCode::NOT_FOUND, r#"{"error":"not found"}"#);
    }
    match request.uri().path() {
        "/healthz" => {
            let alive = snapshots.has_changed().is_ok() && Instant::now() <= snapshot.alive_until;
            flag(alive, r#"{"ok":true}"#, r#"{"ok":false}"#)
        }
        "/readyz" => flag(snapshot.status.is_ready(), r#"{"ready":true}"#, r#"{"ready":false}"#),
        "/status" if !guard.admits(request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes)) => {
            let mut response = json(StatusCode::UNAUTHORIZED, r#"{"error":"unauthorized"}"#);
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            response
        }
        "/status" => {
            let (gateway, sandboxes) = (gateway.borrow(), sandboxes.borrow());
            match serde_json::to_vec(&snapshot.status.body(clock.now(), &gateway, &sandboxes)) {
                Ok(body) => json(StatusCode::OK, body),
                Err(_) => {
                    json(StatusCode::INTERNAL_SERVER_ERROR, r#"{"error":"status is not serialisable"}"#)
                }
            }
        }
        "/metrics" => match metrics.encode() {
            Ok(text) => respond(StatusCode::OK, text, metrics::CONTENT_TYPE),
            Err(_) => json(StatusCode::INTERNAL_SERVER_ERROR, r#"{"error":"metrics are not serialisable"}"#),
        },
        _ => json(StatusCode::NOT_FOUND, r#"{"error":"not found"}"#),
    }
}

fn flag(good: bool, yes: &'static str, no: &'static str) -> Response<Full<Bytes>> {
    if good { json(StatusCode::OK, yes) } else { json(StatusCode::SERVICE_UNAVAILABLE, no) }
}

fn json(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    respond(status, body, "application/json")
}

fn respond(status: StatusCode, body: impl Into<Bytes>, media_type: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn sources(snapshots: watch::Receiver<Snapshot>, token: Option<&str>) -> Sources {
        let (_, gateway) = watch::channel(GatewayStatus::unknown("2026-11-25T12:00:00Z".into()));
        Sources {
            snapshots,
            gateway,
            sandboxes: watch::channel(Vec::new()).1,
            metrics: Arc::default(),
            guard: Arc::new(Guard::new(token.map(|token| Secret::new(token.into())))),
            clock: Clock::start(),
        }
    }

    fn get(sources: &Sources, path: &str, authorization: Option<&str>) -> StatusCode {
        let mut request = Request::get(path);
        if let Some(value) = authorization {
            request = request.header(AUTHORIZATION, value);
        }
        route(&request.body(()).unwrap(), sources).status()
    }

    #[test]
    fn only_the_status_wants_a_token() {
        let snapshot = Snapshot { status: Status::default(), alive_until: Instant::now() };
        let (_sender, receiver) = watch::channel(snapshot);
        let closed = sources(receiver.clone(), Some("canary"));
        for path in ["/metrics", "/healthz", "/readyz"] {
            assert_ne!(get(&closed, path, None), StatusCode::UNAUTHORIZED, "{path}");
        }
        assert_eq!(get(&closed, "/status", None), StatusCode::UNAUTHORIZED);
        assert_eq!(get(&closed, "/status", Some("Bearer other")), StatusCode::UNAUTHORIZED);
        assert_eq!(get(&closed, "/status", Some("Bearer canary")), StatusCode::OK);
        assert_eq!(get(&sources(receiver, None), "/status", None), StatusCode::OK);
    }

    #[test]
    fn a_stalled_or_dead_loop_is_unhealthy() {
        let now = Instant::now();
        let fresh = Snapshot { status: Status::default(), alive_until: now + Duration::from_hours(1) };
        let stalled =
            Snapshot { alive_until: now.checked_sub(Duration::from_millis(1)).unwrap(), ..fresh.clone() };
        let (sender, receiver) = watch::channel(fresh.clone());
        let sources = sources(receiver, None);
        let healthz = || get(&sources, "/healthz", None);
        assert_eq!(healthz(), StatusCode::OK);
        sender.send(stalled).unwrap();
        assert_eq!(healthz(), StatusCode::SERVICE_UNAVAILABLE);
        sender.send(fresh).unwrap();
        assert_eq!(healthz(), StatusCode::OK);
        drop(sender);
        assert_eq!(healthz(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
