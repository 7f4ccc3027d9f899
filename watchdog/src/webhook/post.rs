//! Alerting stage, I/O: sends one message to one receiver by HTTP POST.
//!
//! Over TLS the receiver must have a certificate of a root that is in `SSL_CERT_FILE`, or else in the image. Redirects
//! are not followed: the address is the one that somebody wrote down.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Request, Uri};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::exchange;
use crate::secret::Secret;
use crate::webhook::message::Message;
use crate::webhook::retry;
use crate::webhook::signature::{SIGNATURE_HEADER, TIMESTAMP_HEADER, signature};

/// The whole of a try: name, connection, TLS, request and the head of the answer.
const WITHIN: Duration = Duration::from_secs(10);
/// Where the image has the roots of trust.
const ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Name of the header with the message's id.
const ID_HEADER: &str = "x-kr8tiv-id";

/// Where a message is sent, and how it is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The URL.
    pub url: Secret,
    /// The key, when messages are signed.
    pub signing_key: Option<Secret>,
}

/// Why a message was not taken. Nothing of the address is in it, so what the libraries say, who quote names of hosts,
/// is left out.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// The URL is none.
    #[error("the URL is not http://HOST… or https://HOST…")]
    Url,
    /// The roots of trust cannot be read.
    #[error("no roots of trust for TLS in {path}: {problem}", path = path.display())]
    Roots {
        /// Where they should be.
        path: PathBuf,
        /// What is wrong with them.
        problem: String,
    },
    /// No connection.
    #[error("no connection: {0}")]
    Connect(io::ErrorKind),
    /// No TLS.
    #[error("no TLS connection: the certificate is not trusted, not for this host, or out of date")]
    Tls,
    /// No answer in time.
    #[error("no answer within {} s", WITHIN.as_secs())]
    Timeout,
    /// The connection broke before there was an answer.
    #[error("no HTTP answer")]
    Broken,
    /// An answer that is not success.
    #[error("the receiver answered {0}")]
    Status(u16),
}

impl PostError {
    /// Whether it may be better next time.
    pub fn is_worth_another_try(&self) -> bool {
        match self {
            Self::Url => false,
            Self::Status(code) => retry::is_worth_another_try(*code),
            Self::Roots { .. } | Self::Connect(_) | Self::Tls | Self::Timeout | Self::Broken => true,
        }
    }
}

/// Sends messages.
#[derive(Default)]
pub struct Poster {
    /// Read when the first message goes out over TLS: many tenants have no webhook.
    tls: OnceCell<TlsConnector>,
}

impl Poster {
    /// Sends a message once. `timestamp` is now, in seconds since 1970.
    pub async fn post(&self, target: &Target, message: &Message, timestamp: u64) -> Result<(), PostError> {
        timeout(WITHIN, self.post_without_limit(target, message, timestamp))
            .await
            .unwrap_or(Err(PostError::Timeout))
    }

    async fn post_without_limit(
        &self,
        target: &Target,
        message: &Message,
        timestamp: u64,
    ) -> Result<(), PostError> {
        let url: Uri = target.url.expose().trim().parse().map_err(|_| PostError::Url)?;
        let authority = url.authority().ok_or(PostError::Url)?;
        let tls = match url.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(PostError::Url),
        };
        if authority.as_str().contains('@') {
            return Err(PostError::Url);
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let path = url.path_and_query().map_or("/", |path| path.as_str());

        let mut request = Request::post(path)
            .header(HOST, authority.as_str())
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("kr8tiv-watchdog/", env!("CARGO_PKG_VERSION")))
            .header(ID_HEADER, &message.id)
            .header(TIMESTAMP_HEADER, timestamp);
        if let Some(key) = &target.signing_key {
            request = request.header(SIGNATURE_HEADER, signature(key, timestamp, &message.body));
        }
        let request =
            request.body(Full::new(Bytes::from(message.body.clone()))).map_err(|_| PostError::Url)?;

        let stream =
            TcpStream::connect((host, port)).await.map_err(|error| PostError::Connect(error.kind()))?;
        if tls {
            let name = ServerName::try_from(host.to_owned()).map_err(|_| PostError::Url)?;
            let connector = self.tls.get_or_try_init(|| async { connector() }).await?;
            send(connector.connect(name, stream).await.map_err(|_| PostError::Tls)?, request).await
        } else {
            send(stream, request).await
        }
    }
}

async fn send<S>(stream: S, request: Request<Full<Bytes>>) -> Result<(), PostError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // The code says it all: what a receiver writes behind it, however much and slowly, is not read.
    let status = exchange::send(stream, request).await.map_err(|_| PostError::Broken)?.status();
    if status.is_success() { Ok(()) } else { Err(PostError::Status(status.as_u16())) }
}

fn connector() -> Result<TlsConnector, PostError> {
    let path = env::var_os("SSL_CERT_FILE").filter(|path| !path.is_empty());
    let path = path.map_or_else(|| PathBuf::from(ROOTS), PathBuf::from);
    let roots = roots(&path).map_err(|problem| PostError::Roots { path: path.clone(), problem })?;
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| PostError::Roots { path, problem: error.to_string() })?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn roots(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())?;
    for certificate in certificates.flatten() {
        // Some bundles have roots that rustls does not take; the others are enough.
        let _ = roots.add(certificate);
    }
    if roots.is_empty() { Err("it holds no certificate".to_owned()) } else { Ok(roots) }
}
