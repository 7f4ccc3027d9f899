//! Why a call failed. Types only; no text has a key or anything of an answer's body.

use std::time::Duration;

use crate::transport::TransportError;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// 401 or 403: the key is wrong, or is not for this tag.
    #[error("Supermemory refuses the API key (status {status})")]
    AuthFailed {
        /// The status.
        status: u16,
    },
    /// 402: the plan's quota is used up.
    #[error("the quota at Supermemory is used up (status {status})")]
    QuotaExceeded {
        /// The status.
        status: u16,
    },
    /// 429: too many requests.
    #[error("Supermemory asks for fewer requests (status 429)")]
    RateLimited {
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// No complete answer in time.
    #[error("no answer from Supermemory within {} s", .within.as_secs_f64())]
    Timeout {
        /// How long the call was given.
        within: Duration,
    },
    /// No connection, or one that broke.
    #[error("Supermemory can't be reached: {0}")]
    Unreachable(#[source] TransportError),
    /// 5xx: the service itself is out of order.
    #[error("Supermemory fails (status {status})")]
    ServerFailed {
        /// The status.
        status: u16,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// There is an answer, and it is none of Supermemory's.
    #[error("the answer is none of Supermemory's: {0}")]
    BadResponse(#[source] BadResponse),
}

/// What is wrong with an answer.
#[derive(Debug, thiserror::Error)]
pub enum BadResponse {
    /// A status that a well-made request does not get. Redirections are among them: they are not followed.
    #[error("status {0}")]
    Status(u16),
    /// A body that is longer than any answer.
    #[error("it has more than {} bytes", crate::RESPONSE_LIMIT)]
    TooLarge,
    /// A body that is no JSON. The source names the place, not the content.
    #[error("it is no JSON")]
    NotJson(#[source] serde_json::Error),
    /// JSON without what it should have.
    #[error("it lacks {0}")]
    Lacks(&'static str),
    /// A request that can't be written: a base URL that is too long, for one.
    #[error("the request can't be written")]
    Request(#[source] http::Error),
}

impl Error {
    /// How long the service asks to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } | Self::ServerFailed { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
