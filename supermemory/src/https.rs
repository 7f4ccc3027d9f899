//! The way to a real server: HTTP and HTTPS, to allowed addresses only. Network I/O.

use std::error::Error as StdError;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use hyper_util::rt::TokioExecutor;
use rustls::{ClientConfig, RootCertStore};
use tower_service::Service;

use crate::address::Reach;
use crate::transport::{Body, Transport, TransportError};

/// Talks to real servers. One connection for each request: they are minutes apart.
pub struct Https {
    client: Client<HttpsConnector<HttpConnector<Resolver>>, Full<Bytes>>,
    reach: Reach,
}

impl Https {
    /// Makes one that trusts the roots of this system, or of the file that `SSL_CERT_FILE` names. Without any root no
    /// TLS connection comes about. Fails when rustls lacks its protocol versions.
    pub fn new(reach: Reach) -> Result<Self, rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut connector = HttpConnector::new_with_resolver(Resolver { inner: GaiResolver::new(), reach });
        connector.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector),
            reach,
        })
    }
}

impl Transport for Https {
    fn send(&self, request: Request<Full<Bytes>>) -> BoxFuture<'_, Result<Response<Body>, TransportError>> {
        async move {
            let host = request.uri().host().unwrap_or_default().to_owned();
            // Only names are resolved: an address in the URL is checked here.
            let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
            if address.is_some_and(|address| !self.reach.allows(address)) {
                return Err(TransportError::AddressRefused { host });
            }
            match self.client.request(request).await {
                Ok(response) => Ok(response.map(|body| body.map_err(Into::into).boxed_unsync())),
                Err(error) if is_refused(&error) => Err(TransportError::AddressRefused { host }),
                Err(error) if error.is_connect() => Err(TransportError::Connect(error.into())),
                Err(error) => Err(TransportError::Broken(error.into())),
            }
        }
        .boxed()
    }
}

/// All addresses of a name are refused.
#[derive(Clone, Copy, Debug)]
struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the address is not allowed")
    }
}

impl StdError for Refused {}

fn is_refused(error: &(dyn StdError + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<Refused>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Resolves names and leaves out the addresses that are refused. As it does so for each connection, a name that leads
/// elsewhere the second time leads nowhere.
#[derive(Clone)]
struct Resolver {
    inner: GaiResolver,
    reach: Reach,
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Box<dyn StdError + Send + Sync>;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (found, reach) = (self.inner.call(name), self.reach);
        async move {
            let allowed: Vec<SocketAddr> =
                found.await?.filter(|address| reach.allows(address.ip())).collect();
            if allowed.is_empty() { Err(Refused.into()) } else { Ok(allowed.into_iter()) }
        }
        .boxed()
    }
}
