//! What the running watchdog says of a gateway that a test leads.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::fake_gateway::{FakeGateway, config};
use crate::support::{Bundle, Pod, Watchdog, command, eventually};

/// Short thresholds: what they are is tested without a clock.
const QUICK: [&str; 10] = [
    "--probe-interval",
    "100ms",
    "--probe-interval-unsettled",
    "100ms",
    "--probe-timeout",
    "500ms",
    "--down-after",
    "100ms",
    "--resync",
    "200ms",
];

/// The watchdog of a gateway, with the environment of its container.
pub(crate) fn watch(
    pod: &Pod,
    gateway: &FakeGateway,
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> Watchdog {
    Watchdog::start(watch_command(pod, &gateway.address.to_string(), arguments, variables)).listening()
}

pub(crate) fn watch_command(
    pod: &Pod,
    gateway: &str,
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> Command {
    let usual = ["--listen", "127.0.0.1:0", "--gateway", gateway];
    let arguments: Vec<&str> = usual.iter().chain(&QUICK).chain(arguments).copied().collect();
    let mut command = command("run", pod, &arguments);
    command.env("OPENCLAW_GATEWAY_TOKEN", "gateway-token").envs(variables.iter().copied());
    command
}

fn is_state(state: &'static str) -> impl Fn(&Value) -> bool {
    move |gateway| gateway["state"] == state
}

fn has_reasons(reasons: &'static [&'static str]) -> impl Fn(&Value) -> bool {
    move |gateway| gateway["reasons"] == json!(reasons)
}

#[test]
fn a_gateway_that_is_well_is_alive_and_asked_with_the_least_scope() {
    let (pod, gateway) = (Pod::new(), FakeGateway::start());
    let config = json!({"channels": {"telegram": {"enabled": true}}});
    let bundle = Bundle::usual("one").with_config(&config);
    pod.mount(&bundle);
    let variables = [("KR8TIV_GATEWAY_MEMORY_LIMIT", "2147483648")];
    let watchdog = watch(&pod, &gateway, &[], &variables);
    let mut status = watchdog.gateway_when("alive with its bundle", |gateway| {
        gateway["state"] == "Alive" && gateway["config"]["bundleHash"] == bundle.hash()
    });
    assert!(status["since"].take().as_str().unwrap().ends_with('Z'));
    assert!(status["lastProbeAgeSeconds"].take().is_u64());
    assert!(status["disk"]["totalBytes"].as_u64() >= status["disk"].take()["usedBytes"].as_u64());
    assert_eq!(
        status,
        json!({
            "state": "Alive", "reasons": [], "since": null, "version": "2026.9.6",
            "config": {
                "bundleHash": bundle.hash(), "valid": true, "applied": true, "revisionHash": "one", "issues": [],
            },
            "channels": [{"channel": "telegram", "accountId": "default", "state": "Ready", "problem": null}],
            "notReady": [], "failingModels": [], "disk": null,
            "memory": {"usedBytes": 900_000_000, "limitBytes": 2_147_483_648_u64},
            "lastProbeAgeSeconds": null,
        })
    );
    let script = gateway.script();
    assert_eq!(script.connects.len(), 1, "one connection for all rounds");
    assert_eq!(script.connects[0]["scopes"], json!(["operator.read"]));
    assert_eq!(script.connects[0]["client"]["id"], "gateway-client");
    assert_eq!(script.connects[0]["client"]["mode"], "backend");
}

#[test]
fn each_trouble_has_its_reason_and_passes_with_it() {
    let (pod, gateway) = (Pod::new(), FakeGateway::start());
    let wants = json!({"channels": {"telegram": {"enabled": true}}});
    pod.mount(&Bundle::usual("one").with_config(&wants));
    let watchdog = watch(&pod, &gateway, &[], &[]);
    watchdog.gateway_when("alive", is_state("Alive"));
    let well = gateway.script().answers.clone();

    let blocked = json!({"accountId": "default", "lifecycle": "blocked", "lastError": "gateway-token: 401"});
    let issues = json!([{"path": "gateway.bind", "message": "Invalid input, not gateway-token"}]);
    let event = json!({"ts": 1_795_608_000_000_u64 - 60_000, "provider": "mock", "model": "m1"});
    let now = "2026-11-25T12:00:00.000Z";
    for (method, answer, reasons, place, expected) in [
        (
            "channels.status",
            json!({"channelAccounts": {"telegram": [blocked]}}),
            &["ChannelDown"][..],
            "/channels/0/problem",
            json!("[redacted]: 401"),
        ),
        ("channels.status", json!({}), &["ChannelMissing"], "/channels/0/state", json!("Missing")),
        (
            "config.get",
            json!({"valid": false, "issues": issues, "configRevisionHash": null, "appliedConfigHash": "one"}),
            &["ConfigRejected"],
            "/config/issues/0/message",
            json!("Invalid input, not [redacted]"),
        ),
        (
            "health",
            json!({"ok": true, "eventLoop": {"degraded": true}}),
            &["EventLoopDegraded"],
            "/state",
            json!("Degraded"),
        ),
    ] {
        gateway.script().answers.insert(method, answer);
        let status = watchdog.gateway_when(method, has_reasons(reasons));
        assert_eq!(status["state"], "Degraded");
        assert_eq!(status.pointer(place), Some(&expected), "{status:#}");
        gateway.script().answers = well.clone();
        watchdog.gateway_when("alive again", is_state("Alive"));
    }

    gateway.script().ready = (503, json!({"ready": false, "failing": ["agent-database:main"]}));
    let status = watchdog.gateway_when("not ready", has_reasons(&["NotReady"]));
    assert_eq!(status["notReady"], json!(["agent-database:main"]));
    gateway.script().ready = (200, json!({"ready": true}));
    gateway.script().answers.clear();
    watchdog.gateway_when("no answers", has_reasons(&["RpcUnavailable"]));
    gateway.script().answers = well;
    let stability = json!({"generatedAt": now, "events": [event]});
    gateway.script().answers.insert("diagnostics.stability", stability);
    let status = watchdog.gateway_when("failing model", has_reasons(&["ModelProviderFailing"]));
    assert_eq!(status["failingModels"], json!(["mock/m1"]));
}

#[test]
fn a_gateway_that_is_gone_frozen_or_no_gateway_is_down() {
    let (pod, gateway) = (Pod::new(), FakeGateway::start());
    let watchdog = watch(&pod, &gateway, &[], &[]);
    watchdog.gateway_when("alive", is_state("Alive"));
    gateway.script().gone = true;
    let down = watchdog.gateway_when("gone", is_state("Down"));
    assert_eq!(down["reasons"], json!(["GatewayUnreachable"]));
    assert_eq!(
        (&down["config"], &down["channels"]),
        (&Value::Null, &json!([])),
        "nothing is known of it now"
    );
    gateway.script().gone = false;
    watchdog.gateway_when("alive again", is_state("Alive"));
    gateway.script().frozen = true;
    watchdog.gateway_when("frozen", has_reasons(&["GatewayFrozen"]));
    gateway.script().frozen = false;
    watchdog.gateway_when("alive again", is_state("Alive"));
    gateway.script().html = true;
    watchdog.gateway_when("HTML", has_reasons(&["GatewayAnswerUnexpected"]));
    gateway.script().html = false;
    watchdog.gateway_when("alive again", is_state("Alive"));
    gateway.script().startup = (503, json!({"ok": false, "status": "draining"}));
    watchdog.gateway_when("draining", is_state("Draining"));
    gateway.script().startup = (503, json!({"ok": false, "status": "starting"}));
    watchdog.gateway_when("starting", is_state("Starting"));
}

#[test]
fn a_wrong_token_is_no_service_over_the_websocket_and_no_more() {
    let (pod, gateway) = (Pod::new(), FakeGateway::start());
    gateway.script().token = "another";
    let watchdog = watch(&pod, &gateway, &[], &[]);
    let status = watchdog.gateway_when("refused", has_reasons(&["RpcUnavailable"]));
    assert_eq!((&status["state"], &status["config"]), (&json!("Degraded"), &Value::Null));
}

#[test]
fn of_a_gateway_that_serves_and_does_not_say_nothing_old_is_said() {
    let (pod, gateway) = (Pod::new(), FakeGateway::start());
    let bundle = Bundle::usual("one");
    pod.mount(&bundle);
    let watchdog = watch(&pod, &gateway, &[], &[]);
    let is_known = |gateway: &Value| gateway["config"]["bundleHash"] == bundle.hash();
    watchdog.gateway_when("it says", is_known);
    let answers = std::mem::take(&mut gateway.script().answers);
    let status = watchdog.gateway_when("it does not", has_reasons(&["RpcUnavailable"]));
    assert_eq!(
        [&status["config"], &status["channels"], &status["memory"]],
        [&Value::Null, &json!([]), &Value::Null]
    );
    gateway.script().answers = answers;
    watchdog.gateway_when("it says again", is_known);
}

/// The rounds in which a question over the WebSocket ended so.
fn rpc_rounds(watchdog: &Watchdog, result: &str) -> u64 {
    let metrics = watchdog.get("/metrics").1;
    let name = format!("probes_total{{probe=\"rpc\",result=\"{result}\"}} ");
    metrics.lines().find_map(|line| line.split_once(&name)).map_or(0, |(_, count)| count.parse().unwrap())
}

#[test]
fn a_channel_that_is_missing_stays_so_while_the_configuration_cannot_be_read() {
    let (pod, gateway) = (Pod::new(), FakeGateway::start());
    let wants = json!({"channels": {"telegram": {"enabled": true}}});
    pod.mount(&Bundle::usual("one").with_config(&wants));
    gateway.script().answers.insert("channels.status", json!({}));
    let watchdog = watch(&pod, &gateway, &[], &[]);
    watchdog.gateway_when("missing", has_reasons(&["ChannelMissing"]));
    fs::rename(&pod.paths.config_dir, pod.paths.config_dir.with_extension("gone")).unwrap();
    eventually("it cannot be read", || watchdog.status()["error"] != Value::Null);
    let before = rpc_rounds(&watchdog, "ok");
    eventually("some rounds more", || rpc_rounds(&watchdog, "ok") > before + 4);
    watchdog.gateway_when("still missing", has_reasons(&["ChannelMissing"]));
}

#[test]
fn all_questions_of_a_round_together_have_a_limit() {
    let (pod, gateway) = (Pod::new(), FakeGateway::start());
    // Each answer comes in time, and all of them not.
    gateway.script().slow = Duration::from_millis(400);
    let watchdog = watch(&pod, &gateway, &[], &[]);
    watchdog.gateway_when("too slow", has_reasons(&["RpcUnavailable"]));
}

#[test]
fn a_question_that_gets_no_answer_is_not_asked_again_in_the_same_round() {
    let (pod, gateway) = (Pod::new(), FakeGateway::start());
    pod.mount(&Bundle::usual("one"));
    // Only the delivery can explain a second round.
    let address = gateway.address.to_string();
    let rarely = ["--probe-interval", "1h", "--probe-timeout", "4s"];
    let rarely = [&["--listen", "127.0.0.1:0", "--gateway", &address], &rarely[..]].concat();
    let mut command = command("run", &pod, &rarely);
    command.env("OPENCLAW_GATEWAY_TOKEN", "gateway-token");
    let watchdog = Watchdog::start(command).listening();
    watchdog.gateway_when("asked and settled", |gateway| gateway["config"]["bundleHash"] != Value::Null);
    let connects = gateway.script().connects.len();
    gateway.script().slow = Duration::from_hours(1);
    pod.mount(&Bundle::usual("two"));
    eventually("asked without an answer", || rpc_rounds(&watchdog, "frozen") == 1);
    assert_eq!(gateway.script().connects.len(), connects);
}

#[test]
fn what_the_gateway_says_after_a_delivery_is_known_soon() {
    let (pod, gateway) = (Pod::new(), FakeGateway::start());
    pod.mount(&Bundle::usual("one"));
    // Only the delivery can explain a second round.
    let address = gateway.address.to_string();
    let rarely = ["--listen", "127.0.0.1:0", "--gateway", &address, "--probe-interval", "1h"];
    let mut command = command("run", &pod, &rarely);
    command.env("OPENCLAW_GATEWAY_TOKEN", "gateway-token");
    let watchdog = Watchdog::start(command).listening();
    watchdog.gateway_when("asked and settled", |gateway| {
        gateway["state"] == "Alive" && gateway["config"]["bundleHash"] != Value::Null
    });
    let two = Bundle::usual("two");
    pod.mount(&two);
    watchdog.gateway_when("asked again", |gateway| gateway["config"]["bundleHash"] == two.hash());
}

#[test]
fn a_configuration_that_was_missed_is_written_again() {
    let (pod, gateway) = (Pod::new(), FakeGateway::start());
    let bundle = Bundle::usual("one");
    pod.mount(&bundle);
    let watchdog = watch(&pod, &gateway, &[], &[]);
    watchdog.wait_delivered(&bundle);
    watchdog.gateway_when("alive", is_state("Alive"));
    let path = pod.paths.config_dir.join("openclaw.json");
    let file = || fs::metadata(&path).unwrap().ino();
    let before = file();
    gateway.script().answers.insert("config.get", config("two", "one"));
    eventually("it is written again", || file() != before);
    assert_eq!(pod.config().unwrap(), bundle.config());
    assert_eq!(watchdog.status()["gateway"]["config"]["applied"], false);
    assert_eq!(watchdog.status()["drift"]["restoredTotal"], 0, "that is no drift");
    gateway.script().answers.insert("config.get", config("two", "two"));
    watchdog.gateway_when("applied", |gateway| gateway["config"]["applied"] == true);
    assert!(watchdog.get("/metrics").1.contains("config_writes_again_total 1"));
}

#[test]
fn point_23_the_status_lists_the_operators_files_that_were_changed() {
    let pod = Pod::new();
    let bundle =
        Bundle::usual("one").file("a", "SOUL.md", "s", kr8tiv_watchdog::manifest::Ownership::Operator);
    pod.mount(&bundle);
    let watchdog = Watchdog::run_with(&pod, &["--resync", "100ms"]);
    watchdog.wait_delivered(&bundle);
    fs::write(pod.workspace("support/USER.md"), "the agent's own").unwrap();
    fs::write(pod.workspace("support/AGENTS.md"), "drift").unwrap();
    fs::write(pod.workspace("a/SOUL.md"), "drift").unwrap();
    fs::remove_file(pod.paths.config_dir.join("openclaw.json")).unwrap();
    eventually("all is back", || watchdog.status()["drift"]["restoredTotal"] == 3);
    assert_eq!(watchdog.status()["drift"]["files"], json!(["a/SOUL.md", "support/AGENTS.md"]));
}

#[test]
fn the_status_wants_its_token_when_there_is_one() {
    let (pod, gateway) = (Pod::new(), FakeGateway::start());
    let watchdog = watch(&pod, &gateway, &[], &[("KR8TIV_STATUS_TOKEN", "status-token")]);
    let (code, body) = watchdog.get("/status");
    assert_eq!((code, body.as_str()), (401, r#"{"error":"unauthorized"}"#));
    let with = |token: &str| {
        watchdog
            .exchange(&format!("GET /status HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"))
    };
    assert!(with("status-token").starts_with("HTTP/1.1 200"));
    assert!(with("status-tokem").starts_with("HTTP/1.1 401"));
    for path in ["/healthz", "/metrics"] {
        assert_eq!(watchdog.get(path).0, 200, "{path}");
    }
    assert!(!watchdog.log().join("\n").contains("status-token"));
}
