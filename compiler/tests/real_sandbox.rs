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

/// A Telegram and a model behind one port.
struct Stub {
    port: u16,
    /// What the model is asked.
    questions: Receiver<Value>,
    news: Arc<Mutex<News>>,
}

#[derive(Default)]
struct News {
    updates: VecDeque<Value>,
    next: u64,
    /// Mark and arguments of the call by which the model runs the command when it is asked next, and how many there have
    /// been.
    call: Option<(String, Value)>,
    calls: usize,
}

impl Stub {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let news = Arc::new(Mutex::new(News::default()));
        let (sender, questions) = channel();
        let shared = Arc::clone(&news);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (news, sender) = (Arc::clone(&shared), sender.clone());
                thread::spawn(move || serve(stream, &news, &sender));
            }
        });
        Self { port, questions, news }
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

    /// Somebody has the model run the command, with these arguments; gives what it is told of it.
    fn run(&self, from: u64, mut arguments: Value) -> String {
        let call = {
            let mut news = self.news.lock().unwrap();
            news.calls += 1;
            let call = format!("call{:04}", news.calls);
            arguments["command"] = json!(format!("{COMMAND} # {call}"));
            news.call = Some((call.clone(), arguments));
            call
        };
        self.write(from, "run it");
        let end = Instant::now() + DEADLINE;
        loop {
            let asked = self.questions.recv_timeout(end.saturating_duration_since(Instant::now())).unwrap();
            let messages = asked["messages"].as_array().cloned().unwrap_or_default();
            // OpenClaw gives calls ids of its own.
            let calls =
                messages.iter().flat_map(|message| message["tool_calls"].as_array().into_iter().flatten());
            let mut calls = calls.filter(|made| made["function"].to_string().contains(&call));
            let Some(id) = calls.next().map(|made| &made["id"]) else { continue };
            if let Some(result) = messages.iter().find(|message| message["tool_call_id"] == *id) {
                return result["content"].to_string();
            }
        }
    }
}

fn serve(mut stream: TcpStream, news: &Mutex<News>, sender: &Sender<Value>) -> Option<()> {
    let (path, body) = request(&stream)?;
    let (kind, body) = if path.ends_with("/chat/completions") {
        let asked: Value = serde_json::from_str(&body).ok()?;
        let said = completion(&asked, news);
        sender.send(asked).ok()?;
        ("text/event-stream", said)
    } else {
        let asked: Value = serde_json::from_str(&body).unwrap_or_default();
        let result = telegram(&path, &asked, news);
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

fn telegram(path: &str, asked: &Value, news: &Mutex<News>) -> Value {
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
            println!("to {}: {}", asked["chat_id"], asked["text"]);
            json!({"message_id": 1000, "date": 1_790_000_000, "chat": asked["chat_id"], "text": asked["text"]})
        }
        Some("getMyCommands") => json!([]),
        Some("getWebhookInfo") => {
            json!({"url": "", "has_custom_certificate": false, "pending_update_count": 0})
        }
        _ => json!(true),
    }
}

/// The model runs the command once for each time that it is to.
fn completion(asked: &Value, news: &Mutex<News>) -> String {
    let tools = asked["tools"].as_array();
    let offered = tools.is_some_and(|tools| tools.iter().any(|tool| tool["function"]["name"] == "exec"));
    let call = if offered { news.lock().unwrap().call.take() } else { None };
    let (delta, end) = if let Some((call, arguments)) = call {
        let function = json!({"name": "exec", "arguments": arguments.to_string()});
        let call = json!({"index": 0, "id": call, "type": "function", "function": function});
        (json!({"role": "assistant", "tool_calls": [call]}), "tool_calls")
    } else {
        (json!({"role": "assistant", "content": "Done."}), "stop")
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

/// Somebody writes something, and then has the agent run the command; gives what the model is told of it. Of somebody who may
/// give no commands, those that set something for a session reach the model as text.
fn told(stub: &Stub, who: u64, leave: &str) -> String {
    stub.write(who, leave);
    let told = stub.run(who, json!({}));
    println!("{who}, {leave}: {told}");
    told
}

#[test]
fn no_chat_leaves_the_sandbox() {
    let _alone = alone();
    for tools in ["mainSessionCommands: Refused", "mainSessionCommands: Gateway", "elevated: true"] {
        let stub = Stub::start();
        let gateway = start(&stub, tools, |_| ());
        for who in [OWNER, GUEST] {
            for leave in ["/exec host=gateway", "/exec host=gateway security=full ask=off", "/elevated full"]
            {
                let told = told(&stub, who, leave);
                assert!(!told.contains(RAN), "{tools}, {who}, {leave}: {told}");
            }
        }
        // An owner may have one command run outside of it where the harness says so, and nobody else.
        for who in [OWNER, GUEST] {
            let told = stub.run(who, json!({"elevated": true}));
            println!("{who}, elevated: {told}");
            assert_eq!(
                told.contains(RAN),
                tools == "elevated: true" && who == OWNER,
                "{tools}, {who}: {told}"
            );
        }
        drop(gateway);
    }
}

/// What the test above would see: without what the compiler renders against it, everybody who may give commands could.
#[test]
fn otherwise_an_owner_could() {
    let _alone = alone();
    let stub = Stub::start();
    let _gateway = start(&stub, "", |config| {
        config["commands"].as_object_mut().unwrap().remove("allowFrom").unwrap();
        config["tools"]["exec"] = json!({"host": "sandbox"});
    });
    assert!(!told(&stub, OWNER, "hello").contains(RAN), "by itself it does not leave");
    assert!(told(&stub, OWNER, "/exec host=gateway").contains(RAN));
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
    assert!(told.contains("exec denied: allowlist miss"), "it was moved: {told}");
    assert!(!told.contains(RAN), "{told}");
}
