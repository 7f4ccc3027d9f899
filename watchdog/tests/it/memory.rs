//! What the watchdog takes at rest: every tenant pays for it.

use std::env;
use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::fake_gateway::FakeGateway;
use crate::support::{Bundle, Pod, Watchdog};
use crate::watching::watch_command;

/// Of resident memory, in bytes.
const MAX: u64 = 10 * 1024 * 1024;

/// With a gateway that is asked over a WebSocket that stays open. `KR8TIV_WATCHDOG_BINARY` names the program of the
/// image; without it, it is the one that is built for tests, whose code alone is as large as the bound, so that only
/// what it allocates counts.
#[test]
fn it_takes_at_most_ten_megabytes_at_rest() {
    let (pod, gateway) = (Pod::new(), FakeGateway::start());
    let channels = json!({"channels": {"telegram": {"enabled": true}}});
    pod.mount(&Bundle::usual("one").with_config(&channels));
    let usual = watch_command(&pod, &gateway.address.to_string(), &[], &[]);
    let released = env::var_os("KR8TIV_WATCHDOG_BINARY");
    let mut command = Command::new(released.clone().unwrap_or_else(|| usual.get_program().to_owned()));
    command.args(usual.get_args()).env("OPENCLAW_GATEWAY_TOKEN", "gateway-token");
    let watchdog = Watchdog::start(command).listening();
    watchdog.gateway_when("alive and asked", |gateway| {
        gateway["state"] == "Alive" && gateway["config"]["bundleHash"] != Value::Null
    });
    let status = fs::read_to_string(format!("/proc/{}/status", watchdog.pid())).unwrap();
    let bytes = |name: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim_matches([':', ' ', '\t', 'k', 'B']).parse::<u64>().unwrap() * 1024
    };
    let (all, allocated) = (bytes("VmRSS"), bytes("RssAnon"));
    let of = if released.is_some() { "the image's program" } else { "the program for tests" };
    println!("figure: {of} has {} KiB resident, {} KiB of them allocated", all / 1024, allocated / 1024);
    assert!(if released.is_some() { all } else { allocated } <= MAX);
}
