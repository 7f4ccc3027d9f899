//! Connections over TLS, to a server of this process.

use std::io;
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
    let policy = Policy { names: vec!["127.0.0.1".into()], lifetime: SignedDuration::from_hours(1) };
    let pair = make(&policy, Timestamp::now()).unwrap();
    let served = Served::default();
    served.serve(&pair.certificate, &pair.key).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // More than the kernel takes for a client that does not read.
    let much = get(async || "x".repeat(64 << 20));
    let router = Router::new().route("/", get(async || "here")).route("/much", much);
    let stop = CancellationToken::new();
    let ended = tokio::spawn(serve(listener, served, router, limits, stop.clone()));
    Server { address, connector: trusting(&pair.authority), stop, ended }
}

/// What connects to whoever shows a certificate of this authority.
pub fn trusting(authority: &str) -> TlsConnector {
    // Another test may have been first.
    drop(rustls::crypto::ring::default_provider().install_default());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

pub async fn greeted(connector: &TlsConnector, address: SocketAddr) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    connector.connect(ServerName::from(address.ip()), stream).await
}

impl Server {
    async fn greeted(&self) -> TlsStream<TcpStream> {
        greeted(&self.connector, self.address).await.unwrap()
    }
}

/// Asks once. An error when the connection ends before there is an answer.
async fn ask(connection: &mut TlsStream<TcpStream>) -> io::Result<()> {
    ask_with(connection, "GET / HTTP/1.1\r\nhost: it\r\n\r\n", "\r\n\r\nhere").await
}

/// The same with a request, whose answer has something in it.
pub async fn ask_with(
    connection: &mut TlsStream<TcpStream>,
    request: &str,
    expected: &str,
) -> io::Result<()> {
    connection.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    while !String::from_utf8_lossy(&answer).contains(expected) {
        if connection.read_buf(&mut answer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

#[tokio::test]
async fn more_connections_wait_for_others_to_end() {
    let server = Arc::new(server(Limits { connections: 1, ..Limits::default() }).await);
    let mut first = server.greeted().await;
    let waiting = Arc::clone(&server);
    let second = tokio::spawn(async move { waiting.greeted().await });
    // Time enough for the second, if it were let.
    for _ in 0..100 {
        ask(&mut first).await.unwrap();
    }
    assert!(!second.is_finished());
    drop(first);
    ask(&mut second.await.unwrap()).await.unwrap();
}

#[tokio::test]
async fn silence_ends_a_connection() {
    let server = server(Limits { silence: Duration::from_millis(100), ..Limits::default() }).await;
    let after_a_request = loop {
        let mut connection = server.greeted().await;
        // On a busy machine it may be ended before it has asked.
        if ask(&mut connection).await.is_ok() {
            break connection;
        }
    };
    let mut within_headers = server.greeted().await;
    drop(within_headers.write_all(b"GET / HTTP/1.1\r\nhost:").await);
    for mut silent in [after_a_request, within_headers] {
        // What comes before the end is no concern of this test: an answer may.
        drop(silent.read_to_end(&mut Vec::new()).await);
    }
}

#[tokio::test]
async fn whoever_does_not_greet_is_not_waited_for() {
    let server = server(Limits { greeting: Duration::from_millis(100), ..Limits::default() }).await;
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(silent.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn whoever_does_not_read_loses_its_place() {
    let limits = Limits { connections: 1, unread: Duration::from_millis(100), ..Limits::default() };
    let server = server(limits).await;
    let mut unread = server.greeted().await;
    unread.write_all(b"GET /much HTTP/1.1\r\nhost: it\r\n\r\n").await.unwrap();
    ask(&mut server.greeted().await).await.unwrap();
    drop(unread);
}

#[tokio::test]
async fn a_stop_ends_idle_connections() {
    let server = server(Limits::default()).await;
    let mut idle = server.greeted().await;
    ask(&mut idle).await.unwrap();
    server.stop.cancel();
    server.ended.await.unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}
