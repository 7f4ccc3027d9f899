//! The sandbox with the real OpenClaw: nobody who writes in a chat moves the commands of a conversation into the gateway.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod common;
mod gateway;

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use common::small::with;
use gateway::Gateway;
use serde_json::{Value, json};

/// For each thing that is waited for.
const DEADLINE: Duration = Duration::from_mins(2);
/// How long a question for news is held.
const POLL: Duration = Duration::from_millis(500);
/// People in chats.
const OWNER: u64 = 1001;
const GUEST: u64 = 1002;
/// What the command says when it runs, and is not in the command itself.
const RAN: &str = "it-ran-on-this-host";
const COMMAND: &str = "echo it-ran''-on-this-host";

/// A gateway that starts beside another one on two cores gives up.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the stub was sent.
enum Sent {
    /// The gateway wrote this into a chat.
    Message(String),
    /// The model was asked this.
    Question(Value),
}

/// A Telegram and a model behind one port.
struct Stub {
    port: u16,
    sent: Receiver<Sent>,
    news: Arc<Mutex<News>>,
}

#[derive(Default)]
struct News {
    updates: VecDeque<Value>,
    next: u64,
}

impl Stub {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let news = Arc::new(Mutex::new(News::default()));
        let (sender, sent) = channel();
        let shared = Arc::clone(&news);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (news, sender) = (Arc::clone(&shared), sender.clone());
                thread::spawn(move || serve(stream, &news, &sender));
            }
        });
        Self { port, sent, news }
    }

    /// Somebody writes to the bot, which is all that has happened since the last message.
    fn write(&self, from: u64, text: &str) {
        let mut news = self.news.lock().unwrap();
        news.next += 1;
        let id = news.next;
        let date = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        news.updates.push_back(json!({
            "update_id": id,
            "message": {
                "message_id": id, "date": date, "text": text,
                "from": {"id": from, "is_bot": false, "first_name": "Somebody"},
                "chat": {"id": from, "type": "private", "first_name": "Somebody"},
            },
        }));
    }

    /// Waits until the gateway has written into a chat; gives its message, and what the model was told of its tool.
    fn answer(&self) -> (String, String) {
        let end = Instant::now() + DEADLINE;
        let mut told = String::new();
        loop {
            match self.sent.recv_timeout(end.saturating_duration_since(Instant::now())).unwrap() {
                // A draft, which the answer takes the place of.
                Sent::Message(text) if text.contains("Working") => {}
                Sent::Message(text) => return (text, told),
                Sent::Question(request) => {
                    let messages = request["messages"].as_array().cloned().unwrap_or_default();
                    let results = messages.iter().filter(|message| message["role"] == "tool");
                    told = results.map(|message| message["content"].to_string()).collect();
                }
            }
        }
    }
}

fn serve(mut stream: TcpStream, news: &Mutex<News>, sender: &Sender<Sent>) -> Option<()> {
    let (path, body) = request(&stream)?;
    let (kind, body) = if path.ends_with("/chat/completions") {
        let asked: Value = serde_json::from_str(&body).ok()?;
        let said = completion(&asked);
        sender.send(Sent::Question(asked)).ok()?;
        ("text/event-stream", said)
    } else {
        let asked: Value = serde_json::from_str(&body).unwrap_or_default();
        let result = telegram(&path, &asked, news, sender);
        ("application/json", json!({"ok": true, "result": result}).to_string())
    };
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nConnection: close");
    write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).ok()
}

fn request(stream: &TcpStream) -> Option<(String, String)> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = String::new();
    reader.take(length).read_to_string(&mut body).ok()?;
    Some((path, body))
}

fn telegram(path: &str, asked: &Value, news: &Mutex<News>, sender: &Sender<Sent>) -> Value {
    match path.rsplit('/').next() {
        Some("getMe") => json!({"id": 123_456, "is_bot": true, "first_name": "Bot", "username": "a_bot"}),
        Some("getUpdates") => {
            let offset = asked["offset"].as_u64().unwrap_or_default();
            let end = Instant::now() + POLL;
            loop {
                let mut news = news.lock().unwrap();
                news.updates.retain(|update| update["update_id"].as_u64() >= Some(offset));
                if !news.updates.is_empty() || Instant::now() > end {
                    return json!(news.updates);
                }
                drop(news);
                thread::sleep(Duration::from_millis(20));
            }
        }
        Some("sendMessage" | "editMessageText" | "sendRichMessage") => {
            let text = asked["text"].as_str().map_or_else(|| asked.to_string(), str::to_owned);
            let _ = sender.send(Sent::Message(text.clone()));
            json!({"message_id": 1000, "date": 1_790_000_000, "chat": asked["chat_id"], "text": text})
        }
        Some("getMyCommands") => json!([]),
        Some("getWebhookInfo") => {
            json!({"url": "", "has_custom_certificate": false, "pending_update_count": 0})
        }
        _ => json!(true),
    }
}

/// The model runs the command when somebody has written last, and then says that it is done.
fn completion(asked: &Value) -> String {
    let last = asked["messages"].as_array().and_then(|messages| messages.last());
    let (delta, end) = if last.is_some_and(|last| last["role"] == "tool") {
        (json!({"role": "assistant", "content": "Done."}), "stop")
    } else {
        let function = json!({"name": "exec", "arguments": json!({"command": COMMAND}).to_string()});
        let call = json!({"index": 0, "id": "call_1", "type": "function", "function": function});
        (json!({"role": "assistant", "tool_calls": [call]}), "tool_calls")
    };
    let chunk = |delta: &Value, end: Value| {
        json!({
            "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "small",
            "choices": [{"index": 0, "delta": delta, "finish_reason": end}],
        })
    };
    format!(
        "data: {}\n\ndata: {}\n\ndata: [DONE]\n\n",
        chunk(&delta, Value::Null),
        chunk(&json!({}), json!(end))
    )
}

/// A gateway whose agent may run commands, and whose owner and guest write to it over Telegram. There is no sandbox
/// here: whatever runs, runs in the gateway.
fn start(stub: &Stub, tools: &str, change: impl FnOnce(&mut Value)) -> Gateway {
    let channels = format!(
        "channels: {{telegram: {{owners: ['{OWNER}'], accounts: [{{botTokenSecretRef: {{name: b, key: t}}, \
         allowFrom: ['{GUEST}']}}]}}}}"
    );
    let mut case = with(&format!("tools: {{allow: [exec, message], {tools}}}"), &channels, &[]);
    let models = json!({"primary": "house/small", "providers": [{
        "name": "house", "baseUrl": format!("http://127.0.0.1:{}/v1", stub.port), "models": [{"id": "small"}]
    }]});
    case.harness.as_mut().unwrap().spec.models = serde_json::from_value(models).unwrap();
    Gateway::with_telegram(&case.compile().unwrap(), stub.port, change).0
}

/// Somebody writes something, and then has the agent run the command; gives what the model is told of it.
fn told(stub: &Stub, who: u64, leave: &str) -> String {
    stub.write(who, leave);
    let (said, _) = stub.answer();
    println!("{who}: {leave}: {said}");
    stub.write(who, "run it");
    let (said, told) = stub.answer();
    println!("{who}: {said}: {told}");
    assert!(!told.is_empty(), "the model ran nothing: {said}");
    told
}

#[test]
fn no_chat_leaves_the_sandbox() {
    let _alone = alone();
    for main_session in ["Refused", "Gateway"] {
        let stub = Stub::start();
        let gateway = start(&stub, &format!("mainSessionCommands: {main_session}"), |_| ());
        for who in [OWNER, GUEST] {
            for leave in ["/exec host=gateway", "/exec host=gateway security=full ask=off", "/elevated full"]
            {
                let told = told(&stub, who, leave);
                assert!(!told.contains(RAN), "{main_session}, {who}, {leave}: {told}");
            }
        }
        drop(gateway);
    }
}

/// What the test above would see: without what the compiler renders against it, everybody could.
#[test]
fn otherwise_every_chat_could() {
    let _alone = alone();
    let stub = Stub::start();
    let _gateway = start(&stub, "", |config| {
        config["commands"].as_object_mut().unwrap().remove("allowFrom").unwrap();
        config["tools"]["exec"] = json!({"host": "sandbox"});
    });
    for who in [OWNER, GUEST] {
        assert!(!told(&stub, who, "hello").contains(RAN), "by itself it does not leave");
        assert!(told(&stub, who, "/exec host=gateway").contains(RAN), "{who}");
    }
}

/// Whoever has the gateway's token can move a session; with `Refused` nothing runs there all the same.
#[test]
fn a_session_that_was_moved_runs_nothing_in_the_gateway() {
    let _alone = alone();
    let stub = Stub::start();
    let gateway = start(&stub, "", |_| ());
    told(&stub, GUEST, "hello");
    let sessions = gateway.call("operator.read", "sessions.list", &json!({}));
    let sessions = sessions["payload"]["sessions"].as_array().cloned().unwrap_or_default();
    let key =
        sessions.iter().find_map(|session| session["key"].as_str().filter(|key| key.contains("telegram")));
    let parameters = json!({"key": key.unwrap(), "execHost": "gateway"});
    let moved = gateway.call("operator.admin", "sessions.patch", &parameters);
    assert_eq!(moved["ok"], true, "{moved}");
    let told = told(&stub, GUEST, "hello again");
    assert!(told.contains("host=gateway") || told.contains("allowlist"), "it was moved: {told}");
    assert!(!told.contains(RAN), "{told}");
}
