//! A gateway that says what a test wants: OpenClaw's health endpoints and its WebSocket protocol on one port.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{self, Message};

/// What it says.
pub(crate) struct Script {
    pub(crate) startup: (u16, Value),
    pub(crate) ready: (u16, Value),
    /// By method; what is missing is refused.
    pub(crate) answers: BTreeMap<&'static str, Value>,
    /// Takes connections and answers nothing.
    pub(crate) frozen: bool,
    /// Takes connections and closes them.
    pub(crate) gone: bool,
    /// How long it takes for each answer over the WebSocket, but the first.
    pub(crate) slow: Duration,
    /// Answers every path with HTML, as with its web interface on.
    pub(crate) html: bool,
    /// What it demands in `connect`.
    pub(crate) token: &'static str,
    /// The parameters of every `connect`.
    pub(crate) connects: Vec<Value>,
}

/// The gateway. It serves until the test's process ends.
pub(crate) struct FakeGateway {
    pub(crate) address: SocketAddr,
    script: Arc<Mutex<Script>>,
}

impl FakeGateway {
    /// One with which all is well.
    pub(crate) fn start() -> Self {
        let stability = json!({"generatedAt": "2026-11-25T12:00:00.000Z", "events": []});
        let account = json!({
            "accountId": "default", "enabled": true, "running": true, "connected": true, "lifecycle": "ready",
        });
        let script = Script {
            startup: (200, json!({"ok": true, "status": "started", "version": "2026.9.6", "uptimeMs": 1})),
            ready: (200, json!({"ready": true, "failing": [], "uptimeMs": 1})),
            answers: BTreeMap::from([
                ("health", json!({"ok": true, "eventLoop": {"degraded": false}})),
                ("config.get", config("one", "one")),
                ("channels.status", json!({"channelAccounts": {"telegram": [account]}})),
                ("diagnostics.stability", stability),
                ("system.info", json!({"processMemory": {"rssBytes": 900_000_000_u64}})),
            ]),
            frozen: false,
            gone: false,
            slow: Duration::ZERO,
            html: false,
            token: "gateway-token",
            connects: Vec::new(),
        };
        let script = Arc::new(Mutex::new(script));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::clone(&script);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let script = Arc::clone(&shared);
                thread::spawn(move || serve(stream, &script));
            }
        });
        Self { address, script }
    }

    pub(crate) fn script(&self) -> MutexGuard<'_, Script> {
        lock(&self.script)
    }
}

/// An answer to `config.get` for a file that is valid.
pub(crate) fn config(revision: &str, applied: &str) -> Value {
    json!({"valid": true, "issues": [], "configRevisionHash": revision, "appliedConfigHash": applied})
}

fn lock(script: &Mutex<Script>) -> MutexGuard<'_, Script> {
    script.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(mut stream: TcpStream, script: &Mutex<Script>) -> Option<()> {
    let mut head = [0; 2048];
    let head = loop {
        let length = stream.peek(&mut head).ok()?;
        let text = std::str::from_utf8(&head[..length]).ok()?;
        if length == 0 || text.contains("\r\n\r\n") {
            break text.to_owned();
        }
    };
    if lock(script).gone {
        return None;
    }
    while lock(script).frozen {
        thread::sleep(Duration::from_millis(5));
    }
    if head.to_ascii_lowercase().contains("upgrade: websocket") {
        return answer_questions(stream, script);
    }
    stream.read_exact(&mut vec![0; head.len()]).ok()?;
    let path = head.split(' ').nth(1)?;
    let (code, media, body) = {
        let script = lock(script);
        let json = |(code, body): &(u16, Value)| (*code, "application/json", body.to_string());
        match path {
            _ if script.html => (200, "text/html", "<!doctype html><title>OpenClaw</title>".to_owned()),
            "/healthz" => json(&(200, json!({"ok": true, "status": "live"}))),
            "/startupz" => json(&script.startup),
            "/readyz" => json(&script.ready),
            _ => (404, "text/plain", String::new()),
        }
    };
    write!(
        stream,
        "HTTP/1.1 {code} X\r\nContent-Type: {media}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .ok()
}

fn answer_questions(stream: TcpStream, script: &Mutex<Script>) -> Option<()> {
    let mut socket = tungstenite::accept(stream).ok()?;
    let send = |socket: &mut tungstenite::WebSocket<TcpStream>, value: Value| {
        socket.send(Message::text(value.to_string())).ok()
    };
    let challenge =
        json!({"type": "event", "event": "connect.challenge", "payload": {"nonce": "n", "ts": 1}});
    send(&mut socket, challenge)?;
    loop {
        let request: Value = serde_json::from_str(socket.read().ok()?.to_text().ok()?).ok()?;
        let (id, method, params) = (&request["id"], request["method"].as_str()?, &request["params"]);
        // Something that nobody asked for comes in between.
        send(&mut socket, json!({"type": "event", "event": "tick", "payload": {"ts": 1}}))?;
        let answer = {
            let mut script = lock(script);
            if script.gone {
                return None;
            }
            if method == "connect" {
                script.connects.push(params.clone());
                (params["auth"]["token"] == script.token).then(|| json!({"type": "hello-ok", "protocol": 4}))
            } else if params["type"] == "model.call.completed" {
                Some(json!({"generatedAt": "2026-11-25T12:00:00.000Z", "events": []}))
            } else {
                script.answers.get(method).cloned()
            }
        };
        while lock(script).frozen {
            thread::sleep(Duration::from_millis(5));
        }
        if method != "connect" {
            let slow = lock(script).slow;
            thread::sleep(slow);
        }
        let response = answer.map_or_else(
            || {
                let error = json!({"code": "INVALID_REQUEST", "message": request.to_string()});
                json!({"type": "res", "id": id, "ok": false, "error": error})
            },
            |payload| json!({"type": "res", "id": id, "ok": true, "payload": payload}),
        );
        send(&mut socket, response)?;
    }
}
