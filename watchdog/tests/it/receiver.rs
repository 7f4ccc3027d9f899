//! A receiver of webhooks on loopback, with or without TLS, that keeps what it was sent.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use ring::hmac;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

use crate::support::eventually;

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Received {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn status(&self) -> String {
        self.json()["status"].as_str().unwrap().to_owned()
    }

    /// Whether the signature is that of a key, over the timestamp and the body.
    pub(crate) fn is_signed_with(&self, key: &str) -> bool {
        let signed = format!("{}.{}", self.headers["x-kr8tiv-timestamp"], self.body);
        let digits = self.headers["x-kr8tiv-signature"].strip_prefix("sha256=").unwrap();
        let tag: Vec<u8> = (0..digits.len() / 2)
            .map(|position| u8::from_str_radix(&digits[2 * position..2 * position + 2], 16).unwrap())
            .collect();
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
        hmac::verify(&key, signed.as_bytes(), &tag).is_ok()
    }
}

/// The receiver. It serves until the test's process ends.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    answers: Arc<Mutex<Answers>>,
}

/// Heads and the lengths of their bodies.
#[derive(Default)]
struct Answers {
    next: VecDeque<(String, usize)>,
    /// What is answered when there is no next one; without it everything is taken.
    then: Option<String>,
}

impl Receiver {
    pub(crate) fn start(tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let receiver = Self {
            address: listener.local_addr().unwrap(),
            received: Arc::default(),
            answers: Arc::default(),
        };
        let (requests, answers) = (Arc::clone(&receiver.received), Arc::clone(&receiver.answers));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let take = |stream| take(stream, &requests, &answers);
                let _ = match &tls {
                    None => take(Box::new(stream) as Box<dyn Stream>),
                    Some(config) => {
                        let connection = ServerConnection::new(Arc::clone(config)).unwrap();
                        take(Box::new(StreamOwned::new(connection, stream)))
                    }
                };
            }
        });
        receiver
    }

    /// How the next requests are answered.
    pub(crate) fn answer(&self, heads: &[&str]) {
        self.answer_at_length(heads, 0);
    }

    /// The same, with as many bytes behind each head.
    pub(crate) fn answer_at_length(&self, heads: &[&str], length: usize) {
        let answers = heads.iter().map(|head| ((*head).to_owned(), length));
        self.answers().next.extend(answers);
    }

    /// How every request is answered from now on.
    pub(crate) fn answer_always(&self, head: &str) {
        self.answers().then = Some(head.to_owned());
    }

    /// From now on it takes everything.
    pub(crate) fn take_again(&self) {
        self.answers().then = None;
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Those with this status.
    pub(crate) fn with_status(&self, status: &str) -> Vec<Received> {
        self.received().into_iter().filter(|received| received.status() == status).collect()
    }

    pub(crate) fn wait_for(&self, status: &str) -> Received {
        eventually(&format!("{status} is received"), || !self.with_status(status).is_empty());
        self.with_status(status).remove(0)
    }
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

fn take(stream: Box<dyn Stream>, received: &Mutex<Vec<Received>>, answers: &Mutex<Answers>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let path = first.split(' ').nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8(body).ok()?;
    received.lock().unwrap_or_else(PoisonError::into_inner).push(Received { path, headers, body });
    let (head, length) = {
        let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
        let then = answers.then.clone().unwrap_or_else(|| "204 No Content".to_owned());
        answers.next.pop_front().unwrap_or((then, 0))
    };
    let stream = reader.get_mut();
    write!(stream, "HTTP/1.1 {head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n").ok()?;
    stream.write_all(&vec![b'x'; length]).ok()?;
    stream.flush().ok()
}
