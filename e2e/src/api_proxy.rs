//! Stands between an operator and the API server, to cut it off at a chosen moment. I/O: sockets.
//!
//! Everything else is real: what is let through is answered by the API server, with the operator's own rights.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use futures::StreamExt;
use http_body_util::BodyExt;
use hyper::header::{HeaderValue, USER_AGENT};
use hyper::{Method, StatusCode};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::Outcome;
use crate::cluster::variable;

/// What the API server's log says of who went this way: the user is the same.
pub const AGENT: &str = "kr8tiv-e2e-proxy";

/// The way to the API server, open until it is cut.
pub struct ApiProxy {
    way: Arc<Way>,
    kubeconfig: PathBuf,
    server: JoinHandle<()>,
}

struct Way {
    client: Client,
    /// Writes that may still pass; then the way is cut.
    allowed: AtomicUsize,
    open: watch::Sender<bool>,
    /// Requests that were not let through.
    refused: AtomicUsize,
}

impl ApiProxy {
    /// Starts one for the operator, in front of the API server that its kubeconfig names.
    pub async fn start() -> Outcome<Self> {
        let operators = PathBuf::from(variable("KR8TIV_E2E_OPERATOR_KUBECONFIG")?);
        let kubeconfig = Kubeconfig::read_from(&operators)?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        let client = Client::try_from(config)?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let server = format!("http://{}", listener.local_addr()?);
        let text = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "proxy",
            "clusters": [{"name": "proxy", "cluster": {"server": server}}],
            "users": [{"name": "proxy", "user": {}}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
        });
        let kubeconfig = operators.with_file_name("operator-through-proxy.kubeconfig");
        std::fs::write(&kubeconfig, text.to_string())?;
        let (open, allowed) = (watch::Sender::new(true), AtomicUsize::new(usize::MAX));
        let way = Arc::new(Way { client, allowed, open, refused: AtomicUsize::new(0) });
        let router = Router::new().fallback(forward).with_state(Arc::clone(&way));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                eprintln!("the proxy ended: {error}");
            }
        });
        Ok(Self { way, kubeconfig, server })
    }

    /// The kubeconfig of an operator that goes this way.
    pub fn kubeconfig(&self) -> &PathBuf {
        &self.kubeconfig
    }

    /// Opens the way for so many writes.
    pub fn open(&self, writes: usize) {
        self.way.allowed.store(writes, Ordering::SeqCst);
        self.way.open.send_replace(true);
    }

    /// Cuts the way. Watches end, and nothing is answered but that nothing is.
    pub fn cut(&self) {
        self.way.open.send_replace(false);
    }

    /// Whether it is cut.
    pub fn is_cut(&self) -> bool {
        !*self.way.open.borrow()
    }

    /// How many requests it has refused.
    pub fn refused(&self) -> usize {
        self.way.refused.load(Ordering::SeqCst)
    }
}

impl Drop for ApiProxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn forward(State(way): State<Arc<Way>>, request: Request) -> Response {
    let tells = request.uri().path().contains("/apis/events.k8s.io/");
    if request.method() != Method::GET && !tells {
        let one_less = |allowed: usize| allowed.checked_sub(1);
        if way.allowed.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_err() {
            way.open.send_replace(false);
        }
    }
    if !*way.open.borrow() {
        way.refused.fetch_add(1, Ordering::SeqCst);
        return refusal("the way is cut");
    }
    match pass_on(&way, request).await {
        Ok(response) => response,
        Err(error) => refusal(&error.to_string()),
    }
}

async fn pass_on(way: &Way, request: Request) -> Outcome<Response> {
    let (mut parts, body) = request.into_parts();
    parts.headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    let body = body.collect().await?.to_bytes();
    let request = axum::http::Request::from_parts(parts, kube::client::Body::from(body.to_vec()));
    let (parts, body) = way.client.send(request).await?.into_parts();
    let mut open = way.open.subscribe();
    let cut = async move {
        // The sender lives as long as the proxy.
        let _ = open.wait_for(|open| !open).await;
    };
    // A watch is a body without an end.
    let body = body.into_data_stream().take_until(Box::pin(cut));
    Ok(Response::from_parts(parts, Body::from_stream(body)))
}

fn refusal(why: &str) -> Response {
    let mut response = Response::new(Body::from(why.to_owned()));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response
}
