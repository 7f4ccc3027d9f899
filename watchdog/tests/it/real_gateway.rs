//! The watchdog beside the real OpenClaw: what goes wrong shows, and how long that takes is printed.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};

use crate::real_skills::openclaw;
use crate::receiver::Receiver;
use crate::support::{Bundle, Pod, Watchdog, command, eventually, within};

/// For each thing that is waited for. A cold start takes half a minute on two cores, on busy ones more.
const PATIENCE: Duration = Duration::from_mins(4);
const TOKEN: &str = "not-a-secret-token";
/// A program for Node.js that calls a method of a gateway.
const CALL: &str = include_str!("../../../compiler/tests/gateway-call.mjs");

/// A gateway in its own process group, with the environment of its container.
struct Gateway(Child);

impl Gateway {
    fn start(pod: &Pod) -> Self {
        Self(environment(pod).arg("gateway").process_group(0).spawn().unwrap())
    }

    fn signal(&self, signal: Signal) {
        kill_process_group(Pid::from_child(&self.0), signal).unwrap();
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
        let _ = self.0.wait();
    }
}

fn environment(pod: &Pod) -> Command {
    let mut command = Command::new(openclaw());
    let state = &pod.paths.state_dir;
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", state)
        .env("OPENCLAW_STATE_DIR", state)
        .env("OPENCLAW_CONFIG_PATH", pod.paths.config_dir.join("openclaw.json"))
        .env("OPENCLAW_CONFIG_READONLY", "1")
        .env("OPENCLAW_NO_AUTO_UPDATE", "1")
        .env("OPENCLAW_DISABLE_BONJOUR", "1")
        .env("XDG_CACHE_HOME", state.join("cache"))
        .env("NPM_CONFIG_OFFLINE", "true")
        .env("OPENCLAW_GATEWAY_TOKEN", TOKEN)
        .env("TELEGRAM_BOT_TOKEN", "123456:not-a-secret")
        .current_dir(state)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// A configuration with a model and a Telegram that know no key. `{}` adds nothing.
fn config(port: u16, unauthorized: u16, more: &Value) -> Value {
    let from_environment = |id: &str| json!({"source": "env", "provider": "default", "id": id});
    let model = json!({
        "id": "m1", "name": "m1", "api": "openai-completions", "reasoning": false, "input": ["text"],
        "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0},
        "contextWindow": 128_000, "maxTokens": 4000,
    });
    let mock = json!({
        "baseUrl": format!("http://127.0.0.1:{unauthorized}/v1"), "apiKey": "none",
        "api": "openai-completions", "models": [model],
    });
    let mut config = json!({
        "gateway": {
            "mode": "local", "port": port, "bind": "loopback", "controlUi": {"enabled": false},
            "terminal": {"enabled": false},
            "auth": {"mode": "token", "token": from_environment("OPENCLAW_GATEWAY_TOKEN")},
        },
        "agents": {
            "defaults": {
                "model": {"primary": "mock/m1"}, "modelPolicy": {"allow": ["mock/m1"]},
                "skipBootstrap": true, "heartbeat": {"every": "0m"},
            },
            "entries": {"main": {"name": "Main"}},
        },
        "models": {"mode": "merge", "catalogRefresh": {"enabled": false}, "providers": {"mock": mock}},
        "secrets": {
            "providers": {"default": {
                "source": "env", "allowlist": ["TELEGRAM_BOT_TOKEN", "OPENCLAW_GATEWAY_TOKEN"],
            }},
            "defaults": {"env": "default"},
        },
        "plugins": {"allow": ["telegram", "memory-core"]},
        "update": {"checkOnStart": false}, "telemetry": {"enabled": false}, "cron": {"enabled": false},
        "discovery": {"mdns": {"mode": "off"}}, "diagnostics": {"enabled": true},
    });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    config
}

fn telegram(unauthorized: u16) -> Value {
    json!({"channels": {"telegram": {
        "enabled": true, "apiRoot": format!("http://127.0.0.1:{unauthorized}"),
        "botToken": {"source": "env", "provider": "default", "id": "TELEGRAM_BOT_TOKEN"},
        "dmPolicy": "pairing", "groupPolicy": "allowlist",
    }}})
}

/// Answers every request with 401; its port. It serves until the test's process ends.
fn unauthorized() -> u16 {
    fn refuse(mut stream: TcpStream) -> Option<()> {
        let mut request = BufReader::new(stream.try_clone().ok()?);
        let mut length = 0;
        loop {
            let mut line = String::new();
            request.read_line(&mut line).ok()?;
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            if line.is_empty() {
                break;
            }
        }
        request.take(length).read_to_end(&mut Vec::new()).ok()?;
        let body = r#"{"ok":false,"error_code":401,"description":"Unauthorized","error":{"message":"no"}}"#;
        let head = "HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nConnection: close";
        write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).ok()
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || refuse(stream));
        }
    });
    port
}

/// Calls a method of the gateway; gives what it says.
fn call(port: u16, method: &str, parameters: &Value) -> Value {
    let node = openclaw().ancestors().nth(2).unwrap().join("node/bin/node");
    let output = Command::new(node)
        .args(["--input-type=module", "--eval", CALL])
        .args([&format!("ws://127.0.0.1:{port}"), TOKEN, "operator.write", method, &parameters.to_string()])
        .output()
        .unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!(answer["ok"], true, "{answer}");
    answer["payload"].clone()
}

/// Begins a turn of the agent.
fn begin_turn(port: u16, id: &str) {
    call(port, "agent", &json!({"agentId": "main", "message": "hello", "idempotencyKey": id}));
}

/// Does something and waits for what the status says then; notes how long that took.
struct Table<'a>(&'a Watchdog, Vec<String>);

impl Table<'_> {
    fn print(&self) {
        println!("figure: from what happens to what the status says, probed each second:");
        for row in &self.1 {
            println!("figure: {row}");
        }
    }

    fn row(&mut self, what: &str, state: &str, reasons: &[&str], act: impl FnOnce()) -> Value {
        let start = Instant::now();
        act();
        let is_it = |gateway: &Value| gateway["state"] == state && gateway["reasons"] == json!(reasons);
        let status = self.0.gateway_within(PATIENCE, what, is_it);
        let seconds = start.elapsed().as_secs_f64();
        self.1.push(format!("{what:<34} {seconds:>6.1} s  {state} {}", reasons.join(", ")));
        status
    }
}

#[test]
fn what_happens_to_a_real_gateway_shows() {
    let (receiver, unauthorized) = (Receiver::start(None), unauthorized());
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut pod = Pod::new();
    pod.settings = Some(json!({
        "apiVersion": "kr8tiv.ai/watchdog/v1", "tenantId": "acme-0a1b2c3d",
        "heartbeatSeconds": 2, "downAlertSeconds": 5, "alertDedupeSeconds": 900,
        "webhooks": [{
            "name": "owner", "urlVariable": "OWNER_WEBHOOK_URL",
            "signingKeyVariable": "OWNER_WEBHOOK_SIGNING_KEY",
        }],
    }));
    let of_model =
        |name: &str, model: u16, more: &Value| Bundle::usual(name).with_config(&config(port, model, more));
    let bundle = |name: &str, more: &Value| of_model(name, unauthorized, more);
    let good = bundle("good", &json!({}));
    pod.mount(&good);
    let gateway = format!("127.0.0.1:{port}");
    let options = [
        "--listen",
        "127.0.0.1:0",
        "--gateway",
        &gateway,
        "--probe-interval",
        "1s",
        "--probe-interval-unsettled",
        "500ms",
        "--probe-timeout",
        "5s",
        "--down-after",
        "5s",
    ];
    let mut command = command("run", &pod, &options);
    command
        .env("OPENCLAW_GATEWAY_TOKEN", TOKEN)
        .env("OWNER_WEBHOOK_URL", format!("http://{}/", receiver.address))
        .env("OWNER_WEBHOOK_SIGNING_KEY", "signing-key");
    let watchdog = Watchdog::start(command).listening();
    watchdog.wait_delivered(&good);

    let mut table = Table(&watchdog, Vec::new());
    let mut gateway = None;
    table.row("start", "Alive", &[], || gateway = Some(Gateway::start(&pod)));
    receiver.wait_for("alive");

    let refused = bundle("refused", &json!({"bogus": 1}));
    let status =
        table.row("a configuration that is refused", "Degraded", &["ConfigRejected"], || pod.mount(&refused));
    let issue = status["config"]["issues"][0]["message"].as_str().unwrap();
    assert!(issue.contains("bogus"), "{status:#}");
    let status = table.row("a good one again", "Alive", &[], || pod.mount(&good));
    assert_eq!(status["config"]["applied"], true);

    let with_telegram = bundle("telegram", &telegram(unauthorized));
    let status = table
        .row("a bot's token that is refused", "Degraded", &["ChannelDown"], || pod.mount(&with_telegram));
    assert_eq!(status["channels"][0]["state"], "Blocked");
    table.row("without the channel", "Alive", &[], || pod.mount(&good));

    let turn = || {
        begin_turn(port, "refused");
        let ended = call(port, "agent.wait", &json!({"runId": "refused", "timeoutMs": 120_000}));
        assert_eq!(ended["status"], "error", "the model refuses: {ended}");
    };
    let what = "a turn with a model that refuses";
    let status = table.row(what, "Degraded", &["ModelProviderFailing"], turn);
    assert_eq!(status["failingModels"], json!(["mock/m1"]));

    let running = gateway.take().unwrap();
    table.row("SIGSTOP", "Down", &["GatewayFrozen"], || running.signal(Signal::STOP));
    receiver.wait_for("down");
    let serves = "SIGCONT";
    table.row(serves, "Degraded", &["ModelProviderFailing"], || running.signal(Signal::CONT));
    receiver.wait_for("recovered");

    table.row("SIGKILL", "Down", &["GatewayUnreachable"], || running.signal(Signal::KILL));
    eventually("the second incident is told", || receiver.with_status("down").len() == 2);
    drop(running);
    let mut restarted = None;
    table.row("a new process", "Alive", &[], || restarted = Some(Gateway::start(&pod)));
    eventually("and its end", || receiver.with_status("recovered").len() == 2);

    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let slow = of_model("slow", silent.local_addr().unwrap().port(), &json!({}));
    pod.mount(&slow);
    watchdog.gateway_within(PATIENCE, "the slow model is applied", |gateway| {
        gateway["config"]["bundleHash"] == slow.hash() && gateway["config"]["applied"] == true
    });
    begin_turn(port, "slow");
    // When the model is asked, the turn runs.
    silent.set_nonblocking(true).unwrap();
    let mut asked = None;
    within(PATIENCE, "the model is asked", || {
        asked = silent.accept().ok();
        asked.is_some()
    });
    let running = restarted.take().unwrap();
    let pid = Pid::from_child(&running.0);
    table.row("SIGTERM in a turn", "Draining", &["GatewayDraining"], || {
        rustix::process::kill_process(pid, Signal::TERM).unwrap();
    });
    table.row("its end", "Starting", &["GatewayStarting"], || drop(running));

    table.print();
    assert_each_was_told_once(&receiver);
}

fn assert_each_was_told_once(receiver: &Receiver) {
    let told: Vec<_> =
        receiver.received().iter().map(|one| (one.status(), one.json()["incident"].take())).collect();
    let incidents: Vec<_> = told
        .iter()
        .filter(|(status, _)| status != "alive")
        .map(|(status, incident)| format!("{status} {}", incident["reason"].as_str().unwrap()))
        .collect();
    let expected = [
        "down GatewayFrozen",
        "recovered GatewayFrozen",
        "down GatewayUnreachable",
        "recovered GatewayUnreachable",
    ];
    assert_eq!(incidents, expected, "each once");
    assert!(receiver.received().iter().all(|one| one.is_signed_with("signing-key")));
}
