//! The certificate that is served, which changes while the process runs. No I/O.

use std::sync::Arc;

use parking_lot::RwLock;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

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
