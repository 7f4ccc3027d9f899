//! Serves under a certificate that changes while it runs. I/O: sockets.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener;
use parking_lot::RwLock;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, crypto::ring};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Whoever connects greets within this time.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Connections that may be greeting at the same time; more wait in the kernel's queue.
const GREETING: usize = 128;
/// Connections that wait to be taken over, after their greeting.
const WAITING: usize = 32;

/// Why a certificate can't be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is no PEM, or lacks a part.
    #[error("the certificate or its key is no PEM: {0}")]
    Pem(#[from] pem::Error),
    /// The key does not fit, or is of a kind that is not served.
    #[error("the certificate and its key can't be used: {0}")]
    Unusable(#[from] rustls::Error),
}

/// The certificate that new connections get.
#[derive(Clone, Debug, Default)]
pub struct Served(Arc<RwLock<Option<Arc<CertifiedKey>>>>);

impl Served {
    /// Serves this chain and key, in PEM, from now on. Connections that exist go on.
    pub fn serve(&self, chain: &str, key: &str) -> Result<(), Error> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<_, _>>()?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes())?;
        let certified = CertifiedKey::from_der(chain, key, &ring::default_provider())?;
        *self.0.write() = Some(Arc::new(certified));
        Ok(())
    }
}

impl ResolvesServerCert for Served {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.read().clone()
    }
}

/// Takes connections over after their greeting: one that is slow to greet keeps nobody waiting.
pub struct TlsListener {
    address: SocketAddr,
    accepted: Receiver<(TlsStream<TcpStream>, SocketAddr)>,
}

impl TlsListener {
    /// Listens, and greets with what is served.
    pub fn new(listener: TcpListener, served: Served) -> Result<Self, io::Error> {
        let address = listener.local_addr()?;
        let config = ServerConfig::builder().with_no_client_auth().with_cert_resolver(Arc::new(served));
        let (sender, accepted) = channel(WAITING);
        tokio::spawn(accept(listener, TlsAcceptor::from(Arc::new(config)), sender));
        Ok(Self { address, accepted })
    }
}

async fn accept(
    mut listener: TcpListener,
    acceptor: TlsAcceptor,
    accepted: Sender<(TlsStream<TcpStream>, SocketAddr)>,
) {
    let greeting = Arc::new(Semaphore::new(GREETING));
    // It is never closed.
    while let Ok(place) = Arc::clone(&greeting).acquire_owned().await {
        let (stream, address) = tokio::select! {
            connection = Listener::accept(&mut listener) => connection,
            () = accepted.closed() => return,
        };
        let (acceptor, accepted) = (acceptor.clone(), accepted.clone());
        tokio::spawn(async move {
            let greeted = timeout(HANDSHAKE, acceptor.accept(stream)).await;
            drop(place);
            match greeted {
                // Nobody takes it when the server stops.
                Ok(Ok(stream)) => drop(accepted.send((stream, address)).await),
                Ok(Err(error)) => tracing::warn!(%address, %error, "a connection failed to greet"),
                Err(_) => tracing::warn!(%address, "a connection did not greet in time"),
            }
        });
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.accepted.recv().await {
            Some(connection) => connection,
            // The task that accepts ends only with this.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(self.address)
    }
}
