//! A stub of Telegram's Bot API, under its real name. I/O: a listening socket, objects of the cluster.
//!
//! In a Pod a name with two dots is looked for in the cluster first: `api.telegram.org` is the host `api` of a Service
//! `telegram` in a namespace `org`. The gateway takes the stub's certificate for good because its Tenant says so.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::serve::Listener;
use axum::{Json, Router};
use k8s_openapi::api::core::v1::{Namespace, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kr8tiv_e2e::Outcome;
use kr8tiv_e2e::cluster::{Cluster, NODE_ADDRESS};
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::server::TlsStream;

const HOST: &str = "api.telegram.org";
/// How long a question for news is held at most.
const POLL: Duration = Duration::from_secs(20);

/// The running stub.
pub struct Telegram {
    token: watch::Sender<String>,
    certificate: String,
}

impl Telegram {
    /// Starts to serve a bot with this token.
    pub async fn start(cluster: &Cluster, token: &str) -> Outcome<Self> {
        let own = rcgen::generate_simple_self_signed([HOST.to_owned()])?;
        let provider = Arc::new(ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], own.signing_key.serialize_der().try_into()?)?;
        let (token, valid) = watch::channel(token.to_owned());
        let listener = Tls {
            listener: TcpListener::bind((NODE_ADDRESS, 443)).await?,
            acceptor: TlsAcceptor::from(Arc::new(config)),
        };
        let router = Router::new().fallback(answer).with_state(valid);
        tokio::spawn(async move { axum::serve(listener, router).await });
        name(cluster).await?;
        Ok(Self { token, certificate: own.cert.pem() })
    }

    /// From now on another token is the bot's.
    pub fn set_token(&self, token: &str) {
        self.token.send_replace(token.to_owned());
    }

    /// The certificate that it is known by.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }
}

/// Gives it its name in the cluster.
async fn name(cluster: &Cluster) -> Outcome {
    let parameters = PatchParams::apply("e2e").force();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "org"}});
    Api::<Namespace>::all(cluster.client.clone()).patch("org", &parameters, &Patch::Apply(namespace)).await?;
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "telegram"},
        "spec": {"clusterIP": "None", "ports": [{"name": "https", "port": 443}]}
    });
    Api::<Service>::namespaced(cluster.client.clone(), "org")
        .patch("telegram", &parameters, &Patch::Apply(service))
        .await?;
    let host = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": "telegram", "labels": {"kubernetes.io/service-name": "telegram"}},
        "addressType": "IPv4", "ports": [{"name": "https", "port": 443}],
        "endpoints": [{"addresses": [NODE_ADDRESS], "hostname": "api", "conditions": {"ready": true}}]
    });
    Api::<EndpointSlice>::namespaced(cluster.client.clone(), "org")
        .patch("telegram", &parameters, &Patch::Apply(host))
        .await?;
    Ok(())
}

/// What the real one answers to a bot that nobody writes to.
async fn answer(State(mut token): State<watch::Receiver<String>>, uri: Uri) -> (StatusCode, Json<Value>) {
    let known = |token: &str| {
        uri.path().strip_prefix("/bot").is_some_and(|rest| rest.starts_with(&format!("{token}/")))
    };
    let valid = token.borrow_and_update().clone();
    if known(&valid) && uri.path().ends_with("/getUpdates") {
        // It ends early when the token is no longer good, so the answer says that.
        let _ = timeout(POLL, token.changed()).await;
    }
    if !known(&token.borrow().clone()) {
        let body = json!({"ok": false, "error_code": 401, "description": "Unauthorized"});
        return (StatusCode::UNAUTHORIZED, Json(body));
    }
    let result = match uri.path().rsplit('/').next() {
        Some("getMe") => json!({
            "id": 123_456_789, "is_bot": true, "first_name": "Bot", "username": "e2e_bot",
            "can_join_groups": true, "can_read_all_group_messages": false, "supports_inline_queries": false
        }),
        Some("getUpdates" | "getMyCommands") => json!([]),
        Some("getWebhookInfo") => {
            json!({"url": "", "has_custom_certificate": false, "pending_update_count": 0})
        }
        _ => json!(true),
    };
    (StatusCode::OK, Json(json!({"ok": true, "result": result})))
}

struct Tls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, from) = Listener::accept(&mut self.listener).await;
            match self.acceptor.accept(stream).await {
                Ok(stream) => return (stream, from),
                Err(error) => eprintln!("the stub of Telegram and {from}: {error}"),
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}
