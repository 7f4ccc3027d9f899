//! The real binary: what wakes it, what stops it, and how it fails.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use kr8tiv_watchdog::manifest::Ownership::Operator;
use rustix::process::{Resource, Rlimit, Signal, getrlimit, prlimit};
use serde_json::{Value, json};

use crate::fake_gateway::FakeGateway;
use crate::support::{Bundle, Pod, Watchdog, command, eventually};
use crate::watching::watch_command;

#[test]
fn fifty_swaps_in_a_row_are_all_delivered() {
    let pod = Pod::new();
    let watchdog = Watchdog::run(&pod);
    for n in 0..50 {
        let bundle =
            Bundle::usual(&format!("bundle {n}")).file("second", "SOUL.md", &n.to_string(), Operator);
        // kubelet swaps the ConfigMaps of a pod in no order that anybody promised.
        if n % 2 == 0 {
            pod.mount(&bundle);
        } else {
            pod.mount_config(&bundle);
            pod.mount_workspaces(&bundle);
        }
        watchdog.wait_delivered(&bundle);
        assert_eq!(pod.config().unwrap(), bundle.config());
        assert_eq!(pod.text("support/AGENTS.md").unwrap(), format!("agents bundle {n}"));
        assert_eq!(pod.text("second/SOUL.md").unwrap(), n.to_string());
    }
    assert_eq!(pod.text("support/USER.md").unwrap(), "user bundle 0");
    assert_eq!(watchdog.status()["drift"]["restoredTotal"], 0);
}

#[test]
fn plain_files_instead_of_mounted_config_maps_are_delivered() {
    let pod = Pod::new();
    pod.write(&Bundle::usual("first"), false);
    let watchdog = Watchdog::run(&pod);
    for (name, by_rename) in
        [("over", false), ("rename", true), ("rename again", true), ("over again", false)]
    {
        let bundle = Bundle::usual(name);
        pod.write(&bundle, by_rename);
        watchdog.wait_delivered(&bundle);
        assert_eq!(pod.config().unwrap(), bundle.config());
        assert_eq!(pod.text("support/AGENTS.md").unwrap(), format!("agents {name}"));
    }
}

#[test]
fn a_mount_that_appears_later_is_noticed() {
    let pod = Pod::new();
    fs::remove_dir(&pod.paths.bundle).unwrap();
    fs::create_dir(&pod.paths.bundle).unwrap();
    let watchdog = Watchdog::run(&pod);
    let bundle = Bundle::usual("one");
    pod.mount_config(&bundle);
    eventually("the agent's mount is missed", || {
        watchdog.status()["pending"]["bundleHash"] == bundle.hash().as_str()
    });
    pod.mount_workspaces(&bundle);
    watchdog.wait_delivered(&bundle);
}

#[test]
fn drift_is_put_back_at_the_next_resync() {
    let pod = Pod::new();
    let bundle = Bundle::usual("one");
    pod.mount(&bundle);
    let watchdog = Watchdog::run_with(&pod, &["--resync", "100ms"]);
    watchdog.wait_delivered(&bundle);
    fs::write(pod.workspace("support/AGENTS.md"), "drift").unwrap();
    fs::remove_file(pod.paths.config_dir.join("openclaw.json")).unwrap();
    eventually("both are back", || watchdog.status()["drift"]["restoredTotal"] == 2);
    assert_eq!(pod.text("support/AGENTS.md").unwrap(), "agents one");
    assert_eq!(pod.config().unwrap(), bundle.config());
}

/// A watchdog that can be given a file size limit, which behaves as a full disk does: the write fails half way.
fn limitable(watchdog: &Command) -> Watchdog {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(watchdog.get_program())
        .args(watchdog.get_args());
    shell.envs(watchdog.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Watchdog::start(shell).listening()
}

fn limit_file_size(watchdog: &Watchdog, bytes: Option<u64>) {
    let Rlimit { maximum, .. } = getrlimit(Resource::Fsize);
    let current = bytes.or(maximum);
    prlimit(Some(watchdog.pid()), Resource::Fsize, Rlimit { current, maximum }).unwrap();
}

#[test]
fn while_a_pass_fails_nothing_is_said_of_a_bundle_and_the_changed_file_is_named() {
    let (pod, gateway) = (Pod::new(), FakeGateway::start());
    let bundle = Bundle::usual("one").file("support", "SOUL.md", &"soul ".repeat(1000), Operator);
    pod.mount(&bundle);
    let watchdog = limitable(&watch_command(&pod, &gateway.address.to_string(), &[], &[]));
    let is_of_the_bundle = |gateway: &Value| gateway["config"]["bundleHash"] == bundle.hash();
    watchdog.gateway_when("it is said of the bundle", is_of_the_bundle);

    limit_file_size(&watchdog, Some(4096));
    fs::write(pod.workspace("support/SOUL.md"), "drift").unwrap();
    eventually("the failure is reported", || watchdog.status()["error"] != Value::Null);
    let status = watchdog.status();
    assert_eq!(status["delivered"], Value::Null);
    assert_eq!(status["drift"], json!({"restoredTotal": 0, "files": ["support/SOUL.md"]}));
    watchdog.gateway_when("it is said of no bundle", |gateway| {
        gateway["config"]["applied"] == true && gateway["config"]["bundleHash"] == Value::Null
    });

    limit_file_size(&watchdog, None);
    watchdog.gateway_when("it is said of the bundle again", is_of_the_bundle);
    assert_eq!(watchdog.status()["drift"], json!({"restoredTotal": 1, "files": ["support/SOUL.md"]}));
}

#[test]
fn a_partial_failure_is_reported_and_mended() {
    let pod = Pod::new();
    let one = Bundle::usual("one");
    let big = "private text ".repeat(1000);
    let two = Bundle::usual("two").file("zeta", "AGENTS.md", &big, Operator);
    pod.mount(&one);
    let watchdog = limitable(&command(
        "run",
        &pod,
        &["--listen", "127.0.0.1:0", "--gateway", "127.0.0.1:1", "--resync", "200ms"],
    ));
    limit_file_size(&watchdog, Some(4096));
    watchdog.wait_delivered(&one);

    pod.mount(&two);
    eventually("the failure is reported", || watchdog.status()["error"] != Value::Null);
    let status = watchdog.status();
    let (error, path) = (status["error"].as_str().unwrap(), pod.workspace("zeta/AGENTS.md"));
    assert!(error.contains(path.to_str().unwrap()) && error.contains("os error 27"), "{error}");
    assert_eq!(status["delivered"], Value::Null, "some of it is the other one's");
    assert_eq!(status["pending"]["bundleHash"], two.hash());
    assert_eq!(pod.text("support/AGENTS.md").unwrap(), "agents two", "what can be right is right");
    assert_eq!(
        pod.config().unwrap(),
        one.config(),
        "the gateway is not told of a workspace that is not there"
    );
    assert_eq!(fs::read_dir(pod.workspace("zeta")).unwrap().count(), 0, "no half file is left");

    limit_file_size(&watchdog, None);
    watchdog.wait_delivered(&two);
    assert_eq!(watchdog.status()["error"], Value::Null);
    assert_eq!(pod.text("zeta/AGENTS.md").unwrap(), big);
    assert_eq!(pod.config().unwrap(), two.config());
}

#[test]
fn sigterm_stops_the_sidecar_at_once_and_cleanly() {
    for signal in [Signal::TERM, Signal::INT] {
        let pod = Pod::new();
        let mut watchdog = Watchdog::run(&pod);
        eventually("the loop waits", || watchdog.status()["pending"] != Value::Null);
        let _open = watchdog.connect();
        let asked = Instant::now();
        watchdog.signal(signal);
        let status = watchdog.wait();
        assert_eq!(status.code(), Some(0), "{:?}", watchdog.log());
        assert!(asked.elapsed() < Duration::from_secs(5), "an open connection does not hold it");
    }
}

#[test]
fn an_address_in_use_is_one_clear_error() {
    let pod = Pod::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut watchdog =
        Watchdog::start(command("run", &pod, &["--listen", &address, "--gateway", "127.0.0.1:1"]));
    assert_eq!(watchdog.wait().code(), Some(1));
    let log = watchdog.line_with("cannot listen");
    assert!(log.contains(&address) && log.contains("--listen"), "{log}");
}

#[test]
fn probe_exits_by_the_answer() {
    let pod = Pod::new();
    let watchdog = Watchdog::run(&pod);
    let address = watchdog.address().to_string();
    let probe = |path: &str| {
        let arguments = ["probe", "--address", &address, "--path", path];
        let done = Command::new(env!("CARGO_BIN_EXE_kr8tiv-watchdog")).args(arguments).output().unwrap();
        (done.status.code(), String::from_utf8(done.stderr).unwrap())
    };
    assert_eq!(probe("/healthz"), (Some(0), String::new()));
    let (code, log) = probe("/readyz");
    assert_eq!(code, Some(1), "nothing is delivered");
    assert!(log.contains("did not answer /readyz with 200"), "{log}");
    drop(watchdog);
    let (code, log) = probe("/healthz");
    assert_eq!(code, Some(1), "nobody answers");
    assert!(log.contains(&address) && log.contains("Connection refused"), "{log}");
}

#[test]
fn seed_delivers_once_and_ends() {
    let pod = Pod::new();
    let bundle = Bundle::usual("one");
    pod.mount(&bundle);
    let mut seed = Watchdog::seed(&pod, "60s");
    assert_eq!(seed.wait().code(), Some(0), "{:?}", seed.log());
    assert_eq!(pod.config().unwrap(), bundle.config());
    assert_eq!(pod.text("support/USER.md").unwrap(), "user one");
}

#[test]
fn modes_do_not_depend_on_the_umask() {
    let pod = Pod::new();
    pod.mount(&Bundle::usual("one"));
    let seed = command("seed", &pod, &[]);
    let mut shell = Command::new("sh");
    shell.args(["-c", "umask 0777; exec \"$0\" \"$@\""]).arg(seed.get_program()).args(seed.get_args());
    let mut seed = Watchdog::start(shell);
    assert_eq!(seed.wait().code(), Some(0), "{:?}", seed.log());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&pod.paths.config_dir.join("openclaw.json")), 0o644);
    assert_eq!(mode(&pod.workspace("support/AGENTS.md")), 0o644);
    assert_eq!(mode(&pod.workspace("support")) & 0o700, 0o700);
}

#[test]
fn seed_waits_for_a_coherent_bundle() {
    let pod = Pod::new();
    let (one, two) = (Bundle::usual("one"), Bundle::usual("two"));
    pod.mount_workspaces(&one);
    pod.mount_config(&two);
    let mut seed = Watchdog::seed(&pod, "60s");
    seed.line_with("not complete");
    assert_eq!(pod.config(), None);
    pod.mount_workspaces(&two);
    assert_eq!(seed.wait().code(), Some(0), "{:?}", seed.log());
    assert_eq!(pod.text("support/AGENTS.md").unwrap(), "agents two");
}

#[test]
fn seed_says_what_is_missing_when_its_time_is_up() {
    let pod = Pod::new();
    pod.mount_config(&Bundle::usual("one"));
    let mut seed = Watchdog::seed(&pod, "200ms");
    assert_eq!(seed.wait().code(), Some(1));
    let line = seed.line_with("no complete bundle within 200ms");
    assert!(line.contains("workspaces/support/AGENTS.md: missing"), "{line}");
    assert_eq!(pod.config(), None);
}

#[test]
fn seed_says_what_the_system_refused_when_its_time_is_up() {
    let pod = Pod::new();
    pod.mount(&Bundle::usual("one"));
    fs::remove_dir(&pod.paths.state_dir).unwrap();
    let mut seed = Watchdog::seed(&pod, "200ms");
    assert_eq!(seed.wait().code(), Some(1));
    let line = seed.line_with("not delivered within 200ms");
    assert!(line.contains(pod.paths.state_dir.to_str().unwrap()) && line.contains("os error 2"), "{line}");
}

#[test]
fn seed_is_stopped_by_sigterm_and_does_not_claim_success() {
    let pod = Pod::new();
    let mut seed = Watchdog::seed(&pod, "1h");
    seed.line_with("not complete");
    seed.signal(Signal::TERM);
    assert_eq!(seed.wait().code(), Some(1));
    seed.line_with("stopped by SIGTERM");
}

#[test]
fn contents_never_appear_in_logs_or_status() {
    let pod = Pod::new();
    let watchdog = Watchdog::run_with(&pod, &["--log-level", "trace", "--resync", "100ms"]);
    let secret =
        |name: &str| Bundle::usual(name).file("support", "SOUL.md", &format!("hunter2 {name}"), Operator);
    let (one, two) = (secret("one"), secret("two"));
    pod.mount(&one);
    watchdog.wait_delivered(&one);
    fs::write(pod.workspace("support/SOUL.md"), "hunter2 drift").unwrap();
    eventually("put back", || watchdog.status()["drift"]["restoredTotal"] == 1);
    fs::write(pod.record(), "hunter2 record").unwrap();
    pod.mount_config(&two);
    eventually("pending", || watchdog.status()["pending"] != Value::Null);
    assert!(!watchdog.status().to_string().contains("hunter2"));
    crate::support::swap(
        &pod.paths.bundle.join("config"),
        [("delivery.json", r#"{"hunter2":1}"#)].into_iter(),
    );
    eventually("unreadable", || {
        watchdog.status()["pending"]["reasons"].to_string().contains("unknown field")
    });
    assert!(!watchdog.status().to_string().contains("hunter2"));
    pod.mount(&two);
    watchdog.wait_delivered(&two);
    let log = watchdog.log().join("\n");
    assert!(log.contains("corrupt") && log.contains("SOUL.md"), "{log}");
    assert!(!log.contains("hunter2"), "{log}");
}
