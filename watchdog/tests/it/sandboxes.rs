//! What the running watchdog says of sandboxes that a test leads. The image's own sshd is probed where the image is
//! tested (dev/tests).

use std::fs;

use kr8tiv_watchdog::sandbox::reason::Step;
use russh::keys::ssh_key::LineEnding;
use serde_json::{Value, json};

use crate::fake_gateway::FakeGateway;
use crate::fake_sandbox::{CANARY, FakeSandbox, Fault, key};
use crate::support::{Pod, Watchdog, eventually};
use crate::watching::watch;

/// So long that a time-out can't be what makes an attempt fail.
const PATIENT: &str = "25s";

/// A watchdog that probes without a pause, and logs all it can.
fn probe(pod: &Pod, target: &str, timeout: &str) -> Watchdog {
    let mut arguments = vec!["--log-level", "trace", "--sandbox-timeout", timeout];
    arguments.extend(["--sandbox-interval", "100ms", "--sandbox-interval-failing", "100ms"]);
    arguments.extend(["--sandbox", target]);
    Watchdog::run_with(pod, &arguments)
}

/// Names and reasons of a status.
fn reasons(status: &Value) -> Vec<(String, String)> {
    let sandboxes = status["sandboxes"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    sandboxes.iter().map(|sandbox| (text(&sandbox["name"]), text(&sandbox["reason"]))).collect()
}

/// Waits until the status says this of the only sandbox.
fn is(watchdog: &Watchdog, reason: &str) {
    let expected = [("acme-sandbox".to_owned(), reason.to_owned())];
    let what = format!("{reason} in {:#?}", watchdog.log());
    eventually(&what, || reasons(&watchdog.status()) == expected);
    let up = u8::from(reason == "Ok");
    let line = format!("kr8tiv_watchdog_sandbox_up{{name=\"acme-sandbox\"}} {up}\n");
    assert!(watchdog.get("/metrics").1.contains(&line), "{line}");
}

/// A sandbox of which the watchdog says this, with time for its answers.
fn expect(pod: &Pod, sandbox: &FakeSandbox, reason: &str) -> Watchdog {
    let watchdog = probe(pod, &sandbox.target("acme-sandbox"), PATIENT);
    is(&watchdog, reason);
    watchdog
}

#[test]
fn a_command_that_runs_is_well_and_is_run_again_and_again() {
    let (pod, sandbox) = (Pod::new(), FakeSandbox::start());
    let _watchdog = expect(&pod, &sandbox, "Ok");
    eventually("more attempts", || sandbox.script().connections >= 3);
}

#[test]
fn nobody_who_listens_and_no_such_name_are_unreachable() {
    for address in ["127.0.0.1:1", "sandbox.invalid:2222"] {
        let pod = Pod::new();
        is(&probe(&pod, &format!("acme-sandbox;{address};/nowhere"), PATIENT), "Unreachable");
    }
}

#[test]
fn a_server_that_does_not_speak_ssh_has_no_banner() {
    let (pod, sandbox) = (Pod::new(), FakeSandbox::start());
    sandbox.script().fault = Some((Step::Greet, Fault::HangsUp));
    expect(&pod, &sandbox, "NoBanner");
}

#[test]
fn another_host_key_is_a_mismatch_until_the_files_know_it() {
    let (pod, sandbox) = (Pod::new(), FakeSandbox::start());
    sandbox.script().host_key = key(3);
    let watchdog = expect(&pod, &sandbox, "HostKeyMismatch");
    sandbox.know(key(3).public_key());
    is(&watchdog, "Ok");
    sandbox.know(key(4).public_key());
    is(&watchdog, "HostKeyMismatch");
}

#[test]
fn without_known_hosts_no_host_is_known() {
    let (pod, sandbox) = (Pod::new(), FakeSandbox::start());
    fs::remove_file(sandbox.dir().join("known_hosts")).unwrap();
    expect(&pod, &sandbox, "HostKeyMismatch");
}

#[test]
fn a_key_that_is_refused_or_missing_or_broken_fails_until_the_files_have_the_right_one() {
    let (pod, sandbox) = (Pod::new(), FakeSandbox::start());
    sandbox.script().admits = key(5).public_key().clone();
    let watchdog = expect(&pod, &sandbox, "AuthFailed");
    sandbox.write("id_ed25519", &key(5).to_openssh(LineEnding::LF).unwrap());
    is(&watchdog, "Ok");
    sandbox.write("id_ed25519", CANARY);
    is(&watchdog, "AuthFailed");
    fs::remove_file(sandbox.dir().join("id_ed25519")).unwrap();
    let before = sandbox.script().connections;
    eventually("more attempts", || sandbox.script().connections >= before + 2);
    is(&watchdog, "AuthFailed");
    assert!(!watchdog.log().join("\n").contains(CANARY));
}

/// The next attempt by the clock would be an hour later.
#[test]
fn other_keys_are_tried_at_once_and_named() {
    let (pod, sandbox) = (Pod::new(), FakeSandbox::start());
    let target = sandbox.target("acme-sandbox");
    let hourly = ["--sandbox", &target, "--sandbox-interval", "1h", "--sandbox-interval-failing", "1h"];
    let watchdog = Watchdog::run_with(&pod, &hourly);
    is(&watchdog, "Ok");
    let keys = || watchdog.status()["sandboxes"][0]["keys"].clone();
    let first = keys();
    sandbox.know(key(4).public_key());
    is(&watchdog, "HostKeyMismatch");
    assert!(first.is_string() && keys().is_string() && keys() != first, "{first}, {}", keys());
}

#[test]
fn a_command_that_fails_or_ends_by_a_signal_fails() {
    for exit_code in [Some(1), None] {
        let (pod, sandbox) = (Pod::new(), FakeSandbox::start());
        sandbox.script().exit_code = exit_code;
        expect(&pod, &sandbox, "CommandFailed");
    }
}

#[test]
fn each_step_can_break_off() {
    for (step, reason) in [(Step::Authenticate, "AuthFailed"), (Step::Command, "CommandFailed")] {
        let (pod, sandbox) = (Pod::new(), FakeSandbox::start());
        sandbox.script().fault = Some((step, Fault::HangsUp));
        let watchdog = expect(&pod, &sandbox, reason);
        sandbox.script().fault = None;
        is(&watchdog, "Ok");
    }
}

#[test]
fn each_step_can_hang_and_leaves_no_connection_behind() {
    for (step, silent, reason) in [
        (Step::Greet, true, "NoBanner"),
        (Step::Greet, false, "NoBanner"),
        (Step::Authenticate, false, "AuthFailed"),
        (Step::Command, false, "CommandFailed"),
    ] {
        let (pod, sandbox) = (Pod::new(), FakeSandbox::start());
        {
            let mut script = sandbox.script();
            (script.fault, script.silent) = (Some((step, Fault::Hangs)), silent);
        }
        let watchdog = probe(&pod, &sandbox.target("acme-sandbox"), "2s");
        is(&watchdog, reason);
        assert!(!watchdog.log().join("\n").contains(CANARY), "the server's words");
        eventually("another attempt", || sandbox.script().connections >= 2);
        eventually("the one before has ended", || sandbox.script().open <= 1);
    }
}

#[test]
fn each_sandbox_is_shown_by_its_name_and_none_changes_the_gateway() {
    let (pod, gateway) = (Pod::new(), FakeGateway::start());
    let (good, hanging) = (FakeSandbox::start(), FakeSandbox::start());
    hanging.script().fault = Some((Step::Greet, Fault::Hangs));
    let (good, hanging) = (good.target("b"), hanging.target("a"));
    let arguments = ["--sandbox", &good, "--sandbox", &hanging, "--sandbox-timeout", "5s"];
    let watchdog = watch(&pod, &gateway, &arguments, &[]);
    let expected =
        [("a", "NoBanner"), ("b", "Ok")].map(|(name, reason)| (name.to_owned(), reason.to_owned()));
    eventually("both are probed", || reasons(&watchdog.status()) == expected);
    watchdog.gateway_when("alive", |gateway| gateway["state"] == "Alive" && gateway["reasons"] == json!([]));
}

#[test]
fn without_a_sandbox_there_is_nothing_to_say() {
    let pod = Pod::new();
    let watchdog = Watchdog::run(&pod);
    assert_eq!(watchdog.status()["sandboxes"], json!([]));
    assert!(!watchdog.get("/metrics").1.contains("sandbox_up{"));
}
