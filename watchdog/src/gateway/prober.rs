//! Probing stage, I/O: one round of questions to the gateway.

use std::net::SocketAddr;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::gateway::answers::{
    Config, Health, MODEL_EVENTS, Readiness, Stability, SystemInfo, failing_models,
};
use crate::gateway::channels::ChannelsStatus;
use crate::gateway::http;
use crate::gateway::rpc::{Rpc, RpcError};
use crate::judge::observation::{Failure, Phase};
use crate::secret::Secret;

/// What the gateway said over the WebSocket. `None` where it did not, in another release for example.
#[derive(Debug, Default)]
pub struct Answers {
    /// `health`.
    pub health: Option<Health>,
    /// `config.get`.
    pub config: Option<Config>,
    /// `channels.status`.
    pub channels: Option<ChannelsStatus>,
    /// From `diagnostics.stability`.
    pub failing_models: Option<Vec<String>>,
    /// From `system.info`.
    pub rss_bytes: Option<u64>,
}

impl Answers {
    /// Whether it answered nothing at all: it does not let us.
    pub fn is_empty(&self) -> bool {
        let Self { health, config, channels, failing_models, rss_bytes } = self;
        health.is_none()
            && config.is_none()
            && channels.is_none()
            && failing_models.is_none()
            && rss_bytes.is_none()
    }
}

/// What a round gave.
#[derive(Debug)]
pub struct Round {
    /// From `/startupz` and `/healthz`.
    pub contact: Result<Phase, Failure>,
    /// OpenClaw's release.
    pub version: Option<String>,
    /// `/readyz`.
    pub readiness: Result<Readiness, Failure>,
    /// `None` when it was not asked, because it does not serve.
    pub rpc: Option<Result<Answers, RpcError>>,
}

/// Asks one gateway.
pub struct Prober {
    address: SocketAddr,
    token: Option<Secret>,
    within: Duration,
    rpc: Option<Rpc>,
}

impl Prober {
    /// Each question is given `within`.
    pub fn new(address: SocketAddr, token: Option<Secret>, within: Duration) -> Self {
        Self { address, token, within, rpc: None }
    }

    /// Asks everything once. It takes `within` at most for HTTP, and twice that for all questions over the WebSocket: so
    /// long nobody can be told anything.
    pub async fn round(&mut self) -> Round {
        let Self { address, within, .. } = *self;
        let (startup, live, readiness) = tokio::join!(
            http::startup(address, within),
            http::live(address, within),
            http::ready(address, within)
        );
        let version = startup.as_ref().ok().and_then(|startup| startup.version.clone());
        let contact = startup.and_then(|startup| live.map(|_| startup.phase()));
        let rpc = match contact {
            Ok(Phase::Started) => {
                let within = within * 2;
                let asked = timeout(within, self.ask()).await;
                Some(asked.unwrap_or(Err(RpcError::Timeout { within })))
            }
            // While it starts or drains it refuses most questions.
            Ok(Phase::Starting | Phase::Draining) => None,
            Err(_) => {
                self.rpc = None;
                None
            }
        };
        Round { contact, version, readiness, rpc }
    }

    /// Waits for as long as it is not dropped, and keeps the connection empty meanwhile.
    pub async fn idle(&mut self) {
        if let Some(rpc) = &mut self.rpc {
            let error = rpc.drain().await;
            tracing::debug!(%error, "the connection to the gateway ended between two rounds");
            self.rpc = None;
        }
        std::future::pending::<()>().await;
    }

    async fn ask(&mut self) -> Result<Answers, RpcError> {
        let Some(token) = &self.token else { return Err(RpcError::NoToken) };
        if let Some(mut rpc) = self.rpc.take() {
            match answers(&mut rpc).await {
                Ok(answers) => {
                    self.rpc = Some(rpc).filter(Rpc::is_small);
                    return Ok(answers);
                }
                Err(error @ RpcError::Timeout { .. }) => return Err(error),
                // A connection that broke since the last round says nothing about the gateway now: one more try.
                Err(_) => {}
            }
        }
        let mut rpc = Rpc::connect(self.address, token, self.within).await?;
        let answers = answers(&mut rpc).await?;
        self.rpc = Some(rpc).filter(Rpc::is_small);
        Ok(answers)
    }
}

async fn answers(rpc: &mut Rpc) -> Result<Answers, RpcError> {
    let none = json!({});
    let health = ask(rpc, "health", &none).await?;
    let config = ask(rpc, "config.get", &none).await?;
    // Without a probe of its own: that would ask the chat service, every time.
    let channels = ask(rpc, "channels.status", &json!({"probe": false})).await?;
    let events = |kind: &str| json!({"type": kind, "limit": MODEL_EVENTS});
    let errors: Option<Stability> = ask(rpc, "diagnostics.stability", &events("model.call.error")).await?;
    let completions: Option<Stability> =
        ask(rpc, "diagnostics.stability", &events("model.call.completed")).await?;
    let failing_models =
        errors.zip(completions).map(|(errors, completed)| failing_models(&errors, &completed));
    let system: Option<SystemInfo> = ask(rpc, "system.info", &none).await?;
    let rss_bytes = system.map(|system| system.rss_bytes());
    Ok(Answers { health, config, channels, failing_models, rss_bytes })
}

async fn ask<T: DeserializeOwned>(
    rpc: &mut Rpc,
    method: &str,
    params: &Value,
) -> Result<Option<T>, RpcError> {
    match rpc.call(method, params).await {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.keeps_connection() => {
            tracing::debug!(method, %error, "no answer");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
