//! I/O: one HTTP request and its answer on a connection that is made, with bounds on what is taken. Nothing is followed.

use std::error::Error;

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, Response, StatusCode};
use hyper_util_tokio::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

/// The head of an answer may have this much.
const MAX_HEAD: usize = 16 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The connection broke, or the other side speaks no HTTP.
    #[error("no HTTP answer: {0}")]
    Broken(#[source] Box<dyn Error + Send + Sync>),
    /// The body is larger than it may be.
    #[error("the answer is too large")]
    TooLarge,
}

/// Sends a request and reads the answer, of whose body `max_body` bytes are taken. There is no time limit in here.
pub async fn exchange<S, B>(
    stream: S,
    request: Request<B>,
    max_body: usize,
) -> Result<(StatusCode, Bytes), ExchangeError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let response = send(stream, request).await?;
    let status = response.status();
    let body = Limited::new(response.into_body(), max_body).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() { ExchangeError::TooLarge } else { ExchangeError::Broken(error) }
    })?;
    Ok((status, body.to_bytes()))
}

/// Sends a request and reads the head of the answer. What is not read of the body is left with the connection.
pub async fn send<S, B>(stream: S, request: Request<B>) -> Result<Response<Incoming>, ExchangeError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let broken = |error: hyper::Error| ExchangeError::Broken(Box::new(error));
    let (mut sender, connection) =
        http1::Builder::new().max_buf_size(MAX_HEAD).handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // It ends by itself when the sender and the answer are dropped, also when this future is dropped halfway.
    tokio::spawn(connection);
    sender.send_request(request).await.map_err(broken)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http_body_util::Full;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_connection_ends_although_the_rest_of_the_answer_never_comes() {
        let (ours, mut theirs) = tokio::io::duplex(1024);
        let server = tokio::spawn(async move {
            let mut asked = Vec::new();
            while !asked.ends_with(b"{}") {
                theirs.read_buf(&mut asked).await.unwrap();
            }
            theirs.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345").await.unwrap();
            theirs.read_to_end(&mut asked).await.unwrap();
        });
        let request = Request::post("/").body(Full::new(Bytes::from_static(b"{}"))).unwrap();
        let response = send(ours, request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        drop(response);
        timeout(Duration::from_secs(30), server).await.unwrap().unwrap();
    }
}
