//! Connections over TLS, to a server of this process.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kr8tiv_webhook::certificate::{Policy, make};
use kr8tiv_webhook::connections::{Limits, serve};
use kr8tiv_webhook::tls::Served;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

struct Server {
    address: SocketAddr,
    connector: TlsConnector,
    stop: CancellationToken,
    ended: JoinHandle<()>,
}

async fn server(limits: Limits) -> Server {
    // Another test may have been first.
    drop(rustls::crypto::ring::default_provider().install_default());
    let policy = Policy { names: vec!["127.0.0.1".into()], lifetime: SignedDuration::from_hours(1) };
    let pair = make(&policy, Timestamp::now()).unwrap();
    let served = Served::default();
    served.serve(&pair.certificate, &pair.key).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pair.authority.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/", get(async || "here"));
    let stop = CancellationToken::new();
    let ended = tokio::spawn(serve(listener, served, router, limits, stop.clone()));
    Server { address, connector: TlsConnector::from(Arc::new(config)), stop, ended }
}

impl Server {
    async fn greeted(&self) -> TlsStream<TcpStream> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::from(self.address.ip());
        self.connector.connect(name, stream).await.unwrap()
    }
}

async fn asks(connection: &mut TlsStream<TcpStream>) {
    connection.write_all(b"GET / HTTP/1.1\r\nhost: it\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\nhere") {
        assert_ne!(connection.read_buf(&mut answer).await.unwrap(), 0, "it is closed");
    }
}

#[tokio::test]
async fn more_connections_wait_for_others_to_end() {
    let server = Arc::new(server(Limits { connections: 1, ..Limits::default() }).await);
    let mut first = server.greeted().await;
    let waiting = Arc::clone(&server);
    let second = tokio::spawn(async move { waiting.greeted().await });
    // Time enough for the second, if it were let.
    for _ in 0..100 {
        asks(&mut first).await;
    }
    assert!(!second.is_finished());
    drop(first);
    asks(&mut second.await.unwrap()).await;
}

#[tokio::test]
async fn silence_ends_a_connection() {
    let short = Duration::from_millis(100);
    let server = server(Limits { silence: short, greeting: short, ..Limits::default() }).await;
    let mut after_a_request = server.greeted().await;
    asks(&mut after_a_request).await;
    let mut within_headers = server.greeted().await;
    within_headers.write_all(b"GET / HTTP/1.1\r\nhost:").await.unwrap();
    for mut silent in [after_a_request, within_headers] {
        // What comes before the end is no concern of this test: an answer may.
        drop(silent.read_to_end(&mut Vec::new()).await);
    }
    let mut without_greeting = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(without_greeting.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_stop_ends_idle_connections() {
    let server = server(Limits::default()).await;
    let mut idle = server.greeted().await;
    asks(&mut idle).await;
    server.stop.cancel();
    server.ended.await.unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}
