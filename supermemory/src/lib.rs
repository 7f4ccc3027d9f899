//! Client of Supermemory: searches what is remembered under a tag, adds documents, and gives the profile of a tag.
//!
//! Layers, each with one job: [`Transport`] moves one request (HTTPS in production, a stub in tests), [`Client`] makes
//! calls of requests (deadline, retries, what an answer means), and [`lines`] makes lines of context of the hits.
//!
//! The contract is that of the official SDK, `supermemory` on npm, at the version in `tests/sdk/package.json`: a test
//! compares the requests of both, and the SDK runs against the stub.
//!
//! No error, log or value of this crate shows an API key or the content of an answer.

mod address;
mod base_url;
mod client;
mod error;
mod https;
mod key;
pub mod lines;
mod retry;
#[cfg(feature = "test-support")]
pub mod stub;
mod transport;
mod wire;

pub use address::Reach;
pub use base_url::{BaseUrl, InvalidBaseUrl};
pub use client::{Client, RESPONSE_LIMIT};
pub use error::{BadResponse, Error};
pub use https::Https;
pub use key::{ApiKey, InvalidKey};
pub use lines::Hit;
pub use transport::{Body, Transport, TransportError};
pub use wire::{Added, Document, Profile, ProfileRequest, Search};
