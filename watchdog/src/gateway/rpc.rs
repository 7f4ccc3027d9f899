//! Probing stage, I/O: one WebSocket connection to the gateway.

use std::net::SocketAddr;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::gateway::frames::{self, Kind};
use crate::judge::observation::Failure;
use crate::secret::Secret;

/// `config.get` quotes the configuration five times, and a ConfigMap holds 1 MiB: this is what it can reach, as far as
/// we put up with it. What is larger closes the connection.
const MAX_MESSAGE: usize = 8 * 1024 * 1024;
/// Every other answer is small; what is larger is not read.
const MAX_OTHER: usize = 512 * 1024;
/// The only answer that may be as large as a message.
const LARGE: &str = "config.get";
/// A connection keeps the memory that its largest message took. One that had more than this is not kept.
const MAX_KEPT: usize = 1024 * 1024;
/// Answers are read in pieces of this; every tenant pays for the buffer.
const BUFFER: usize = 16 * 1024;

/// Why a question over the WebSocket has no answer.
#[derive(Debug, thiserror::Error)]
pub enum RpcError {
    /// We have no token, so it is not asked: it would only log that it refuses.
    #[error("there is no token for the gateway")]
    NoToken,
    /// There was no answer in time.
    #[error("the gateway does not answer within {} s", within.as_secs())]
    Timeout {
        /// How long it was waited for.
        within: Duration,
    },
    /// The connection could not be made, or broke.
    #[error("the connection to the gateway failed: {0}")]
    Transport(#[from] Box<tungstenite::Error>),
    /// The gateway closed the connection.
    #[error("the gateway closed the connection")]
    Closed,
    /// The gateway said no.
    #[error("the gateway refuses: {code}")]
    Refused {
        /// Its code.
        code: String,
    },
    /// It is not what we know.
    #[error("the gateway's answer is not understood")]
    NotUnderstood,
}

impl RpcError {
    /// Whether the connection can still be used.
    pub(super) fn keeps_connection(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::NotUnderstood)
    }

    /// What it is for the metrics.
    pub fn failure(&self) -> Failure {
        match self {
            Self::Timeout { .. } => Failure::Frozen,
            Self::Transport(_) | Self::Closed => Failure::Unreachable,
            Self::NoToken | Self::Refused { .. } | Self::NotUnderstood => Failure::Unexpected,
        }
    }
}

impl From<tungstenite::Error> for RpcError {
    fn from(error: tungstenite::Error) -> Self {
        Self::Transport(Box::new(error))
    }
}

/// A connection on which the gateway answers questions.
pub(super) struct Rpc {
    stream: WebSocketStream<TcpStream>,
    within: Duration,
    asked: u64,
    largest: usize,
}

impl Rpc {
    /// Connects. The whole of it, and later each question, takes `within` at most.
    pub(super) async fn connect(
        address: SocketAddr,
        token: &Secret,
        within: Duration,
    ) -> Result<Self, RpcError> {
        timeout(within, Self::connect_without_limit(address, token, within))
            .await
            .unwrap_or(Err(RpcError::Timeout { within }))
    }

    async fn connect_without_limit(
        address: SocketAddr,
        token: &Secret,
        within: Duration,
    ) -> Result<Self, RpcError> {
        let tcp = TcpStream::connect(address).await.map_err(tungstenite::Error::Io)?;
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .write_buffer_size(0)
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        let (stream, _) = client_async_with_config(format!("ws://{address}/"), tcp, Some(config)).await?;
        let mut rpc = Self { stream, within, asked: 0, largest: 0 };
        while frames::kind(&rpc.next().await?)? != Kind::Challenge {}
        rpc.ask::<serde::de::IgnoredAny>("connect", &frames::connect(token)).await?;
        Ok(rpc)
    }

    /// Whether it may stay open.
    pub(super) fn is_small(&self) -> bool {
        self.largest <= MAX_KEPT
    }

    /// Asks one question.
    pub(super) async fn call<T: DeserializeOwned>(
        &mut self,
        method: &str,
        params: &Value,
    ) -> Result<T, RpcError> {
        let within = self.within;
        timeout(within, self.ask(method, params)).await.unwrap_or(Err(RpcError::Timeout { within }))
    }

    async fn ask<T: DeserializeOwned>(&mut self, method: &str, params: &Value) -> Result<T, RpcError> {
        self.asked += 1;
        let id = self.asked.to_string();
        self.stream.send(Message::text(frames::request(&id, method, params))).await?;
        loop {
            let text = self.next().await?;
            if frames::kind(&text)? == Kind::Response(id.clone()) {
                if text.len() > MAX_OTHER && method != LARGE {
                    return Err(RpcError::NotUnderstood);
                }
                return frames::payload(&text);
            }
        }
    }

    /// Reads what the gateway announces, which we do not need, so that it does not pile up. Returns when the connection
    /// ends.
    pub(super) async fn drain(&mut self) -> RpcError {
        loop {
            if let Err(error) = self.next().await {
                return error;
            }
        }
    }

    async fn next(&mut self) -> Result<tungstenite::Utf8Bytes, RpcError> {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Text(text))) => {
                    self.largest = self.largest.max(text.len());
                    return Ok(text);
                }
                Some(Ok(Message::Close(_))) | None => return Err(RpcError::Closed),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
            }
        }
    }
}
