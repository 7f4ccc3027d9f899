//! A real gateway on loopback, with what it logs. It reaches no network: its Telegram is a stub, by default one that
//! refuses the token, because a gateway whose Telegram can't be reached takes minutes to restart.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use kr8tiv_compiler::Bundle;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common;
use crate::common::http::request;
use crate::common::real::CALL;

/// For each thing that is waited for. A cold start takes half a minute on two cores, on busy ones more.
const DEADLINE: Duration = Duration::from_mins(3);
/// Between two questions whether the gateway has started.
const POLL: Duration = Duration::from_millis(100);
/// Home in the Pod.
const HOME: &str = "/home/node";
/// Where the Pod mounts the configuration.
const CONFIG_FOLDER: &str = "/etc/openclaw/config";

/// Every secret of the tenant.
const SECRET: &str = "123456:not-a-secret";
/// kubelet starts a container again that ends. On a busy machine OpenClaw ends when a step of its start takes more than 5 s.
const STARTS: usize = 3;
/// What the gateway's log says of its configuration.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The file has changed in these paths.
    Evaluating(Vec<String>),
    /// The change was reloaded.
    Reloaded,
    /// The gateway restarts because of the change.
    Restarting,
    /// The change was not taken.
    Refused(String),
    /// The gateway listens, after a start or a restart.
    Listening,
}

impl Event {
    fn of(line: &str) -> Option<Self> {
        let entry: Value = serde_json::from_str(line).ok()?;
        let message = entry["message"].as_str()?;
        if entry["subsystem"] == "gateway" && message.starts_with("http server listening") {
            return Some(Self::Listening);
        }
        if entry["subsystem"] != "gateway/reload" {
            return None;
        }
        let paths = message.strip_prefix("config change detected; evaluating reload (");
        if let Some(paths) = paths.and_then(|paths| paths.strip_suffix(')')) {
            return Some(Self::Evaluating(paths.split(", ").map(str::to_owned).collect()));
        }
        let starts = |start: &str| message.starts_with(start);
        if starts("config hot reload applied (") {
            Some(Self::Reloaded)
        } else if starts("config change requires gateway restart (") {
            Some(Self::Restarting)
        } else if ["config reload s", "config reload failed", "config restart"]
            .iter()
            .any(|start| starts(start))
        {
            Some(Self::Refused(message.to_owned()))
        } else {
            None
        }
    }
}

/// A running gateway; it ends with this value.
pub struct Gateway {
    folder: TempDir,
    port: u16,
    child: Child,
    lines: Receiver<String>,
    /// Everything of the log that was an event, in order.
    pub events: Vec<Event>,
    /// The last lines, for a failure's message.
    tail: Vec<String>,
}

/// Starts the program; what it says comes line by line.
fn spawn(command: &mut Command) -> (Child, Receiver<String>) {
    let (output, log) = std::io::pipe().unwrap();
    // Warnings go to the standard error output. The command must not keep the pipe open.
    let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let (sender, lines) = channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    (child, lines)
}

impl Gateway {
    /// Starts a bundle's gateway, with the environment of its Pod, and waits until it has started.
    #[allow(dead_code, reason = "not every test that has this module uses all of it")]
    pub fn start(bundle: &Bundle) -> (Self, Value) {
        Self::with_telegram(bundle, refuse_telegram(), |_| ())
    }

    /// The same with a Telegram that listens on this port, and with a change to the configuration.
    pub fn with_telegram(bundle: &Bundle, telegram: u16, change: impl FnOnce(&mut Value)) -> (Self, Value) {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home").to_str().unwrap().to_owned();
        let config_folder = folder.path().join("config").to_str().unwrap().to_owned();
        for folder in [&home, &config_folder] {
            fs::create_dir_all(folder).unwrap();
        }
        let local = |text: &str| text.replace(HOME, &home).replace(CONFIG_FOLDER, &config_folder);
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();

        let mut config: Value = serde_json::from_str(&local(&bundle.config)).unwrap();
        config["gateway"]["bind"] = json!("loopback");
        config["gateway"]["port"] = json!(port);
        if let Some(channel) = config.pointer_mut("/channels/telegram") {
            channel["apiRoot"] = json!(format!("http://127.0.0.1:{telegram}"));
        }
        change(&mut config);
        let environment = common::pod(bundle).containers[0].env.iter().flatten().map(|variable| {
            let value = variable.value.as_deref().map_or_else(|| SECRET.into(), local);
            (variable.name.clone(), value)
        });

        write(folder.path(), &config);
        let mut command = Command::new(common::openclaw());
        command
            .arg("gateway")
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .envs(environment)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            // It starts helpers; they end with their group.
            .process_group(0);
        let (child, lines) = spawn(&mut command);
        let mut gateway = Self { folder, port, child, lines, events: Vec::new(), tail: Vec::new() };
        for _ in 1..STARTS {
            let listens = gateway.find(0, |event| *event == Event::Listening);
            if !matches!(listens, Err(RecvTimeoutError::Disconnected)) {
                break;
            }
            (gateway.child, gateway.lines) = spawn(&mut command);
        }
        gateway.wait_until_started(0);
        (gateway, config)
    }

    /// Replaces the configuration as the watchdog does: by a rename.
    #[allow(dead_code, reason = "not every test that has this module uses all of it")]
    pub fn write(&self, config: &Value) {
        write(self.folder.path(), config);
    }

    /// Waits for an event from a position in the log on, and returns its position.
    pub fn wait_for(&mut self, from: usize, what: &str, is_it: impl Fn(&Event) -> bool) -> usize {
        self.find(from, is_it).unwrap_or_else(|reason| {
            let what_ended = match reason {
                RecvTimeoutError::Timeout => "nothing came",
                RecvTimeoutError::Disconnected => "the gateway ended",
            };
            let last = self.tail.len().saturating_sub(40);
            panic!("waiting for {what}: {what_ended}\n{}", self.tail[last..].join("\n"));
        })
    }

    fn find(&mut self, from: usize, is_it: impl Fn(&Event) -> bool) -> Result<usize, RecvTimeoutError> {
        let end = Instant::now() + DEADLINE;
        let mut next = from;
        loop {
            while let Some(event) = self.events.get(next) {
                if is_it(event) {
                    return Ok(next);
                }
                next += 1;
            }
            let line = self.lines.recv_timeout(end.saturating_duration_since(Instant::now()))?;
            self.events.extend(Event::of(&line));
            self.tail.push(line);
        }
    }

    /// Waits until the gateway listens, from a position in the log on, and says that it has started.
    pub fn wait_until_started(&mut self, from: usize) {
        self.wait_for(from, "the gateway to listen", |event| *event == Event::Listening);
        let end = Instant::now() + DEADLINE;
        while ask(self.port).is_none_or(|answer| answer["status"] != "started") {
            assert!(Instant::now() < end, "waiting for /startupz: {:?}", ask(self.port));
            thread::sleep(POLL);
        }
    }

    /// Waits until the gateway itself says that the file is what it runs with.
    #[allow(dead_code, reason = "not every test that has this module uses all of it")]
    pub fn wait_until_applied(&self) {
        let end = Instant::now() + DEADLINE;
        loop {
            let answer = self.call("operator.read", "config.get", &json!({}))["payload"].clone();
            let revision = &answer["configRevisionHash"];
            if revision.is_string() && *revision == answer["appliedConfigHash"] {
                return;
            }
            assert!(Instant::now() < end, "waiting for config.get: {answer}");
        }
    }

    /// Calls a method as a client that has the gateway's token and asks for one scope; gives the answer.
    pub fn call(&self, scope: &str, method: &str, parameters: &Value) -> Value {
        let node = common::openclaw().ancestors().nth(2).unwrap().join("node/bin/node");
        let address = format!("ws://127.0.0.1:{}", self.port);
        let output = Command::new(node)
            .args([
                "--input-type=module",
                "-e",
                CALL,
                &address,
                SECRET,
                scope,
                method,
                &parameters.to_string(),
            ])
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // At once: a gateway that is asked to stop finishes its work first.
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.child.wait();
    }
}

fn write(folder: &Path, config: &Value) {
    let path = folder.join("config/openclaw.json");
    let new = folder.join("config/.openclaw.json.new");
    fs::write(&new, format!("{config:#}\n")).unwrap();
    fs::rename(new, path).unwrap();
}

/// The body of `/startupz`, when it is JSON.
fn ask(port: u16) -> Option<Value> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(DEADLINE)).ok()?;
    stream.write_all(b"GET /startupz HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
}

/// A Telegram that knows no token; its port. It serves until the test's process ends.
fn refuse_telegram() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || refuse(stream));
        }
    });
    port
}

fn refuse(mut stream: TcpStream) -> Option<()> {
    request(&stream)?;
    let body = r#"{"ok":false,"error_code":401,"description":"Unauthorized"}"#;
    write!(
        stream,
        "HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .ok()
}
