//! Answers over a real socket.

use std::io::{Read, Write};
use std::net::TcpStream;

use kr8tiv_watchdog::judge::reason::{Reason, State};
use kr8tiv_watchdog::sandbox::reason::SandboxReason;
use serde_json::{Value, json};

use crate::support::{Bundle, Pod, Watchdog, eventually};

#[test]
fn probes_and_status_follow_the_delivery() {
    let pod = Pod::new();
    let watchdog = Watchdog::run(&pod);
    eventually("the first pass is reported", || watchdog.status()["pending"] != Value::Null);
    let reasons = json!(["config/delivery.json: missing"]);
    let mut status = watchdog.status();
    assert_eq!(status["gateway"].take()["state"], "Starting");
    assert_eq!(
        status,
        json!({
            "version": env!("CARGO_PKG_VERSION"), "delivered": null, "error": null, "gateway": null,
            "pending": {"bundleHash": null, "reasons": reasons}, "drift": {"restoredTotal": 0, "files": []},
            "sandboxes": [],
        })
    );
    assert_eq!(watchdog.get("/healthz"), (200, r#"{"ok":true}"#.to_owned()));
    assert_eq!(watchdog.get("/readyz"), (503, r#"{"ready":false}"#.to_owned()));

    let bundle = Bundle::usual("one");
    pod.mount(&bundle);
    watchdog.wait_delivered(&bundle);
    assert_eq!(watchdog.get("/readyz"), (200, r#"{"ready":true}"#.to_owned()));
    assert_eq!(watchdog.status()["pending"], Value::Null);

    let two = Bundle::usual("two");
    pod.mount_config(&two);
    eventually("the next bundle is pending", || {
        watchdog.status()["pending"]["bundleHash"] == two.hash().as_str()
    });
    assert_eq!(watchdog.status()["delivered"]["bundleHash"], bundle.hash());
    assert_eq!(watchdog.get("/readyz").0, 200);
}

#[test]
fn only_get_and_head_of_known_paths_are_answered() {
    let pod = Pod::new();
    let watchdog = Watchdog::run(&pod);
    for path in ["/", "/metrics/", "/healthz/", "/status/../status", "//status"] {
        assert_eq!(watchdog.get(path).0, 404, "{path}");
    }
    let head = watchdog.exchange("HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(head.contains("content-length: 11") && head.contains("application/json"), "{head}");
    for request in
        ["POST /status HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}", "PUT /healthz HTTP/1.1\r\n\r\n"]
    {
        assert!(watchdog.exchange(request).starts_with("HTTP/1.1 404"), "{request}");
    }
    let long = format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(7 * 1024));
    assert!(watchdog.exchange(&long).starts_with("HTTP/1.1 200"));
    let many = "X: 1\r\n".repeat(200);
    let answer = watchdog.exchange(&format!("GET /healthz HTTP/1.1\r\n{many}\r\n"));
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    assert!(watchdog.exchange("nonsense\r\n\r\n").starts_with("HTTP/1.1 400"));
}

#[test]
fn slow_clients_are_let_go() {
    let pod = Pod::new();
    let watchdog = Watchdog::run(&pod);
    let slow: Vec<TcpStream> = (0..100)
        .map(|_| {
            let mut stream = watchdog.connect();
            stream.write_all(b"GET /healthz HTTP/1.1\r\nHost:").unwrap();
            stream
        })
        .collect();
    assert_eq!(watchdog.get("/healthz").0, 200, "more than it holds at once, and still it answers");
    for mut stream in slow.into_iter().take(10) {
        let mut rest = Vec::new();
        // Closed without an answer, or with a 408: either way it does not stay open.
        if stream.read_to_end(&mut rest).is_ok() {
            assert!(!rest.starts_with(b"HTTP/1.1 200"));
        }
    }
}

#[test]
fn every_reason_state_and_metric_is_documented() {
    let documentation = include_str!("../../../docs/watchdog.md");
    let documented = |name: &str| documentation.contains(&format!("`{name}`"));
    for reason in Reason::ALL {
        assert!(documented(reason.as_str()), "{reason:?}");
    }
    for reason in SandboxReason::ALL {
        assert!(documented(reason.as_str()), "{reason:?}");
    }
    for state in State::ALL {
        assert!(documented(state.as_str()), "{state:?}");
    }
    let pod = Pod::new();
    let (code, metrics) = Watchdog::run(&pod).get("/metrics");
    assert_eq!(code, 200);
    for name in metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = name.split_once(' ').unwrap();
        let shown = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
        assert!(documented(&shown), "{shown}");
    }
}
