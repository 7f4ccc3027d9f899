//! Takes connections: their number, their greeting, their silence and how long they leave an answer unread are bounded, as
//! whoever reaches the port may connect. I/O: sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::impatient::Impatient;
use crate::tls::Served;

/// What is read of a request before its body is asked for. An API server's has some hundred bytes before that.
const BUFFER: usize = 16 << 10;

/// What connections may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at the same time; more wait in the kernel's queue.
    pub connections: usize,
    /// Whoever connects greets within this time.
    pub greeting: Duration,
    /// From the end of a request to the end of the next one's headers. An API server closes a connection after 90 s
    /// without a request; who closes first may cut a request off.
    pub silence: Duration,
    /// Whoever asks reads some of the answer within this time.
    pub unread: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let (greeting, unread) = (Duration::from_secs(5), Duration::from_secs(10));
        Self { connections: 256, greeting, silence: Duration::from_mins(2), unread }
    }
}

/// How a connection is served.
#[derive(Clone)]
struct Service {
    acceptor: TlsAcceptor,
    http: http1::Builder,
    router: Router,
    limits: Limits,
}

/// Serves until `stop`, then finishes the requests that have begun.
pub async fn serve(
    mut listener: TcpListener,
    served: Served,
    router: Router,
    limits: Limits,
    stop: CancellationToken,
) {
    let config = ServerConfig::builder().with_no_client_auth().with_cert_resolver(Arc::new(served));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.silence).max_buf_size(BUFFER);
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let service = Service { acceptor, http, router, limits };
    let places = Arc::new(Semaphore::new(limits.connections));
    let connections = GracefulShutdown::new();
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, Listener::accept(&mut listener).await)
        };
        let (place, (stream, address)) = tokio::select! {
            next = next => next,
            () = stop.cancelled() => break,
        };
        let (service, watcher) = (service.clone(), connections.watcher());
        tokio::spawn(async move {
            service.connection(stream, address, watcher).await;
            drop(place);
        });
    }
    drop(listener);
    connections.shutdown().await;
}

impl Service {
    async fn connection(self, stream: TcpStream, address: SocketAddr, watcher: Watcher) {
        let stream = Impatient::new(stream, self.limits.unread);
        let stream = match timeout(self.limits.greeting, self.acceptor.accept(stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                tracing::warn!(%address, %error, "a connection failed to greet");
                return;
            }
            Err(_) => {
                tracing::warn!(%address, "a connection did not greet in time");
                return;
            }
        };
        let service = TowerToHyperService::new(self.router);
        let connection = self.http.serve_connection(TokioIo::new(stream), service);
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(%address, %error, "a connection is cut off");
        }
    }
}
