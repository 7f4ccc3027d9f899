//! What the watchdog takes at rest: every tenant pays for it.

use std::env;
use std::fs;
use std::process::Command;

use serde_json::json;

use crate::fake_gateway::{self, FakeGateway};
use crate::fake_sandbox::FakeSandbox;
use crate::support::{Bundle, Pod, Watchdog, eventually};
use crate::watching::watch_command;

/// Of resident memory, in bytes.
const MAX: u64 = 10 * 1024 * 1024;

/// With a gateway that is asked over a WebSocket that stays open, and a sandbox that is probed.
/// `KR8TIV_WATCHDOG_BINARY` names the program of the image; without it, it is the one that is built for tests, whose code
/// alone is as large as the bound, so that only what it allocates counts.
#[test]
fn it_takes_at_most_ten_megabytes_at_rest() {
    measure("a small configuration", 10 * 1024);
}

/// `config.get` quotes the configuration several times.
#[test]
fn what_it_took_for_a_large_answer_it_gives_back() {
    measure("the largest configuration", 7 * 1024 * 1024);
}

fn measure(what: &str, answer: usize) {
    let (pod, gateway) = (Pod::new(), FakeGateway::start());
    let channels = json!({"channels": {"telegram": {"enabled": true}}});
    pod.mount(&Bundle::usual("one").with_config(&channels));
    let mut config = fake_gateway::config("one", "one");
    config["parsed"] = json!("x".repeat(answer));
    gateway.script().answers.insert("config.get", config);
    let sandbox = FakeSandbox::start();
    let target = sandbox.target("acme-sandbox");
    let arguments = ["--sandbox", target.as_str(), "--sandbox-interval", "100ms"];
    let usual = watch_command(&pod, &gateway.address.to_string(), &arguments, &[]);
    let released = env::var_os("KR8TIV_WATCHDOG_BINARY");
    let mut command = Command::new(released.clone().unwrap_or_else(|| usual.get_program().to_owned()));
    // A build for tests on a busy machine takes its time for the large answer.
    assert!(usual.get_args().any(|argument| argument == "500ms"), "the time-out of a probe");
    let arguments =
        usual.get_args().map(|argument| if argument == "500ms" { "8s".as_ref() } else { argument });
    command.args(arguments).env("OPENCLAW_GATEWAY_TOKEN", "gateway-token");
    // As in the image.
    command.env("MALLOC_TRIM_THRESHOLD_", "131072");
    let watchdog = Watchdog::start(command).listening();
    let probes = |watchdog: &Watchdog| {
        let metrics = watchdog.get("/metrics").1;
        let count = metrics
            .lines()
            .find_map(|line| line.strip_prefix("kr8tiv_watchdog_probes_total{probe=\"rpc\",result=\"ok\"} "));
        count.map_or(0, |count| count.parse::<u64>().unwrap())
    };
    eventually("several rounds", || probes(&watchdog) >= 5);
    eventually("several logins", || sandbox.script().connections >= 5);
    assert_eq!(watchdog.status()["sandboxes"][0]["reason"], "Ok");
    // Between two rounds, for a round with a large answer takes more while it lasts.
    gateway.script().answers.insert("config.get", fake_gateway::config("one", "one"));
    let before = probes(&watchdog);
    eventually("rounds with a small answer", || probes(&watchdog) >= before + 3);

    let status = fs::read_to_string(format!("/proc/{}/status", watchdog.pid())).unwrap();
    let bytes = |name: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim_matches([':', ' ', '\t', 'k', 'B']).parse::<u64>().unwrap() * 1024
    };
    let (all, allocated) = (bytes("VmRSS"), bytes("RssAnon"));
    let of = if released.is_some() { "the image's program" } else { "the program for tests" };
    println!(
        "figure: {what}: {of} has {} KiB resident, {} KiB of them allocated, and had {} KiB at most",
        all / 1024,
        allocated / 1024,
        bytes("VmHWM") / 1024
    );
    assert!(if released.is_some() { all } else { allocated } <= MAX);
}
