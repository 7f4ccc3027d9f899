//! The calls: what is sent, for how long, how often, and what the answer means. I/O through [`Transport`].

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use serde::Serialize;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout_at};

use crate::base_url::BaseUrl;
use crate::error::{BadResponse, Error};
use crate::key::ApiKey;
use crate::lines::{self, Hit};
use crate::retry::{self, Repeat};
use crate::transport::{Body, Transport, TransportError};
use crate::wire::{Added, Document, Profile, ProfileRequest, Search};

/// Bytes of an answer that are read: fifty hits with all that can stand beside them are a tenth of it.
pub const RESPONSE_LIMIT: usize = 1024 * 1024;

/// Who is asking.
const AGENT: &str = concat!("kr8tiv/", env!("CARGO_PKG_VERSION"));

/// Calls one service with one key. Cheap to make.
pub struct Client {
    transport: Arc<dyn Transport>,
    base: BaseUrl,
    key: ApiKey,
}

impl Client {
    /// Makes a client. Connects later.
    pub fn new(transport: Arc<dyn Transport>, base: BaseUrl, key: ApiKey) -> Self {
        Self { transport, base, key }
    }

    /// Looks something up. `within` is for the whole call, with its retries.
    pub async fn search(&self, search: &Search<'_>, within: Duration) -> Result<Vec<Hit>, Error> {
        let answer = self.call("/v4/search", encoded(&search.body()), Repeat::Harmless, within).await?;
        lines::hits(&answer).map_err(Error::BadResponse)
    }

    /// Stores a document. `within` is for the whole call, with its retries.
    pub async fn add(&self, document: &Document<'_>, within: Duration) -> Result<Added, Error> {
        let repeat = if document.custom_id.is_some() { Repeat::Harmless } else { Repeat::Harmful };
        let answer = self.call("/v3/documents", encoded(document), repeat, within).await?;
        Added::read(&answer).map_err(Error::BadResponse)
    }

    /// Gives the profile of a tag. `within` is for the whole call, with its retries.
    pub async fn profile(&self, request: &ProfileRequest<'_>, within: Duration) -> Result<Profile, Error> {
        let answer = self.call("/v4/profile", encoded(request), Repeat::Harmless, within).await?;
        Profile::read(&answer).map_err(Error::BadResponse)
    }

    async fn call(
        &self,
        path: &'static str,
        body: Bytes,
        repeat: Repeat,
        within: Duration,
    ) -> Result<Value, Error> {
        let deadline = Instant::now() + within;
        let attempts = self.attempts(path, &body, repeat, deadline);
        timeout_at(deadline, attempts).await.unwrap_or(Err(Error::Timeout { within }))
    }

    async fn attempts(
        &self,
        path: &str,
        body: &Bytes,
        repeat: Repeat,
        deadline: Instant,
    ) -> Result<Value, Error> {
        let mut attempt = 1;
        loop {
            let error = match self.attempt(path, body.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            // What would come after the deadline is not waited for: the reason says more than a timeout.
            let pause = retry::pause(&error, attempt, repeat);
            let Some(pause) =
                pause.filter(|pause| *pause < deadline.saturating_duration_since(Instant::now()))
            else {
                return Err(error);
            };
            sleep(pause).await;
            attempt += 1;
        }
    }

    async fn attempt(&self, path: &str, body: Bytes) -> Result<Value, Error> {
        let request = Request::post(self.base.join(path))
            .header(AUTHORIZATION, self.key.header())
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, AGENT)
            .body(Full::new(body))
            .map_err(|error| Error::BadResponse(BadResponse::Request(error)))?;
        let response = self.transport.send(request).await.map_err(Error::Unreachable)?;
        judge(response.status(), response.headers())?;
        read(response).await
    }
}

fn encoded<B: Serialize>(body: &B) -> Bytes {
    // Structs of texts and numbers: serialising them can't fail.
    Bytes::from(serde_json::to_vec(body).unwrap_or_default())
}

/// What a status means.
fn judge(status: StatusCode, headers: &HeaderMap) -> Result<(), Error> {
    let retry_after = || retry::retry_after(headers, SystemTime::now());
    let code = status.as_u16();
    Err(match code {
        200..=299 => return Ok(()),
        401 | 403 => Error::AuthFailed { status: code },
        402 => Error::QuotaExceeded { status: code },
        429 => Error::RateLimited { retry_after: retry_after() },
        500..=599 => Error::ServerFailed { status: code, retry_after: retry_after() },
        _ => Error::BadResponse(BadResponse::Status(code)),
    })
}

async fn read(response: Response<Body>) -> Result<Value, Error> {
    let mut body = response.into_body();
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Error::Unreachable(TransportError::Broken(error)))?;
        if let Ok(data) = frame.into_data() {
            if bytes.len() + data.len() > RESPONSE_LIMIT {
                return Err(Error::BadResponse(BadResponse::TooLarge));
            }
            bytes.extend_from_slice(&data);
        }
    }
    // Read as any JSON first: an error about a type would quote the value.
    serde_json::from_slice(&bytes).map_err(|error| Error::BadResponse(BadResponse::NotJson(error)))
}
