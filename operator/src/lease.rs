//! Holds the Lease that lets one of several processes write. Reads and writes the API.

use std::time::Duration;

use futures::future::BoxFuture;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::backoff::jittered;
use crate::client::said;
use crate::election::{
    ATTEMPT, Candidate, Observation, RENEW_DEADLINE, RENEW_PERIOD, RENEW_RETRY_PERIOD, RETRY_PERIOD, Step,
};

/// Why an attempt brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The Lease could not be read.
    #[error("reading Lease {name}: {}", said(source))]
    Read {
        /// Name of the Lease.
        name: String,
        /// What the client says.
        source: Box<kube::Error>,
    },
    /// The Lease could not be written.
    #[error("writing Lease {name}: {}", said(source))]
    Write {
        /// Name of the Lease.
        name: String,
        /// What the client says.
        source: Box<kube::Error>,
    },
    /// The API server did not answer.
    #[error("no answer within {} s", ATTEMPT.as_secs())]
    Silent,
    /// No attempt to renew it succeeded in time; each has been logged.
    #[error("it could not be renewed within {} s", RENEW_DEADLINE.as_secs())]
    Expired,
    /// Another process has it.
    #[error("{0} holds it")]
    Lost(String),
}

impl Error {
    /// Nothing but a change of the operator's rights brings another answer.
    fn is_refusal(&self) -> bool {
        let (Self::Read { source, .. } | Self::Write { source, .. }) = self else { return false };
        matches!(&**source, kube::Error::Api(status) if status.code == 401 || status.code == 403)
    }
}

/// A process that stands for election.
pub struct Election {
    api: Api<Lease>,
    candidate: Candidate,
    seen: Option<Observation>,
}

/// The Lease, as this process wrote it last.
pub struct Held {
    lease: Lease,
    /// Measured from before the request: until then nobody else can have taken it.
    until: Instant,
}

impl Election {
    /// Makes a candidate. The client must not retry by itself: its pauses would outlast the Lease.
    pub fn new(client: Client, candidate: Candidate) -> Self {
        Self { api: Api::namespaced(client, &candidate.namespace), candidate, seen: None }
    }

    /// Who it is.
    pub fn identity(&self) -> &str {
        &self.candidate.identity
    }

    /// Returns once this process holds the Lease.
    pub async fn acquire(&mut self) -> Held {
        loop {
            let pause = match self.attempt(None).await {
                Ok(Outcome::Held(held)) => return *held,
                Ok(Outcome::Wait(pause)) => pause,
                Err(error) => {
                    self.tell(&error);
                    RETRY_PERIOD
                }
            };
            sleep(jittered(pause)).await;
        }
    }

    /// Renews the Lease for as long as that is possible. Returns why it was lost, before anybody else can have it.
    pub async fn keep(&mut self, held: &mut Held) -> Error {
        loop {
            sleep(RENEW_PERIOD).await;
            // Whatever an attempt is waiting for: from then on somebody else may have taken it.
            let renewed = timeout_at(held.until, self.renew(held)).await;
            if let Err(error) = renewed.unwrap_or(Err(Error::Expired)) {
                return error;
            }
        }
    }

    async fn renew(&mut self, held: &mut Held) -> Result<(), Error> {
        let mut known = Some(held.lease.clone());
        loop {
            let error = match self.attempt(known.take()).await {
                Ok(Outcome::Held(renewed)) => {
                    *held = *renewed;
                    return Ok(());
                }
                Ok(Outcome::Wait(_)) => {
                    let holder = self.seen.as_ref().and_then(Observation::holder).unwrap_or_default();
                    return Err(Error::Lost(holder.to_owned()));
                }
                Err(error) => error,
            };
            self.tell(&error);
            sleep(RENEW_RETRY_PERIOD).await;
        }
    }

    /// Gives the Lease up. Best effort: it ends by itself.
    pub async fn release(&self, held: Held) {
        let released = self.candidate.released(&held.lease, Timestamp::now());
        match timeout(ATTEMPT, self.write(&released)).await {
            Ok(Ok(_)) => tracing::info!(lease = self.candidate.name, "released"),
            Ok(Err(error)) => tracing::warn!(%error, "the Lease is not released; it ends by itself"),
            Err(_) => tracing::warn!("the Lease is not released in time; it ends by itself"),
        }
    }

    /// One look at the Lease and, where that is right, one write. `known` spares the look.
    async fn attempt(&mut self, known: Option<Lease>) -> Result<Outcome, Error> {
        let begun = Instant::now();
        timeout(ATTEMPT, self.attempt_from(begun, known)).await.unwrap_or(Err(Error::Silent))
    }

    fn attempt_from(
        &mut self,
        begun: Instant,
        known: Option<Lease>,
    ) -> BoxFuture<'_, Result<Outcome, Error>> {
        Box::pin(async move {
            let found = match known {
                Some(known) => Some(known),
                None => self.api.get_opt(&self.candidate.name).await.map_err(|source| Error::Read {
                    name: self.candidate.name.clone(),
                    source: Box::new(source),
                })?,
            };
            let step = self.candidate.next(found.as_ref(), &mut self.seen, begun, Timestamp::now());
            let lease = match step {
                Step::Wait(pause) => return Ok(Outcome::Wait(pause)),
                Step::Create(lease) => self.create(&lease).await?,
                Step::Replace(lease) => self.write(&lease).await?,
            };
            Ok(Outcome::Held(Box::new(Held { lease, until: begun + RENEW_DEADLINE })))
        })
    }

    async fn create(&self, lease: &Lease) -> Result<Lease, Error> {
        let answer = self.api.create(&PostParams::default(), lease).await;
        answer.map_err(|source| self.not_written(source))
    }

    async fn write(&self, lease: &Lease) -> Result<Lease, Error> {
        let answer = self.api.replace(&self.candidate.name, &PostParams::default(), lease).await;
        answer.map_err(|source| self.not_written(source))
    }

    fn not_written(&self, source: kube::Error) -> Error {
        Error::Write { name: self.candidate.name.clone(), source: Box::new(source) }
    }

    fn tell(&self, error: &Error) {
        let lease = &self.candidate.name;
        if error.is_refusal() {
            tracing::error!(lease, %error, "the operator may not hold its Lease; its Role is missing");
        } else {
            tracing::warn!(lease, %error, "the Lease was not taken or renewed");
        }
    }
}

enum Outcome {
    Held(Box<Held>),
    Wait(Duration),
}
