//! What moves one request. A trait, so that tests answer in the place of the network.

use std::error::Error as StdError;

use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::Full;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Bytes;

/// The body of an answer.
pub type Body = UnsyncBoxBody<Bytes, Box<dyn StdError + Send + Sync>>;

/// Moves one request, and follows no redirection.
pub trait Transport: Send + Sync {
    /// Sends a request to the server in its URI; gives the head of the answer.
    fn send(&self, request: Request<Full<Bytes>>) -> BoxFuture<'_, Result<Response<Body>, TransportError>>;
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The server's address is none that may be talked to.
    #[error("the address of {host} is not allowed")]
    AddressRefused {
        /// The host in the URL.
        host: String,
    },
    /// There was no connection: nothing has been sent.
    #[error("no connection")]
    Connect(#[source] Box<dyn StdError + Send + Sync>),
    /// The connection broke; the request may have arrived.
    #[error("the connection broke")]
    Broken(#[source] Box<dyn StdError + Send + Sync>),
}
