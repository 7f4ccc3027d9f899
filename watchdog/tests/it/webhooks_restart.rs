//! What the next watchdog knows of what was told, by receivers on loopback.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::json;

use crate::fake_gateway::FakeGateway;
use crate::receiver::Receiver;
use crate::support::{Bundle, Pod, Watchdog, eventually};
use crate::watching::watch;
use crate::webhooks::{KEY, URL, owner, pod, wait_for_state};

const REFUSAL: &str = "503 Service Unavailable";

fn start(pod: &Pod, gateway: &FakeGateway, receiver: &Receiver) -> Watchdog {
    let url = format!("http://{}/", receiver.address);
    let variables = [(URL, url.as_str()), (KEY, "signing-key")];
    watch(pod, gateway, &["--startup-budget", "100ms"], &variables)
}

fn file(pod: &Pod) -> PathBuf {
    pod.paths.state_dir.join(".kr8tiv/incident.json")
}

/// The ids of the messages with this status.
fn ids(receiver: &Receiver, status: &str) -> BTreeSet<String> {
    receiver.with_status(status).iter().map(|one| one.headers["x-kr8tiv-id"].clone()).collect()
}

#[test]
fn whoever_was_told_down_is_told_recovered_by_the_next_watchdog() {
    let (gateway, receiver) = (FakeGateway::start(), Receiver::start(None));
    let pod = pod(&owner());
    let watchdog = start(&pod, &gateway, &receiver);
    receiver.wait_for("alive");
    gateway.script().gone = true;
    let down = receiver.wait_for("down").json();
    eventually("it is remembered", || file(&pod).exists());
    drop(watchdog);

    let watchdog = start(&pod, &gateway, &receiver);
    wait_for_state(&watchdog, "Down");
    gateway.script().gone = false;
    let recovered = receiver.wait_for("recovered").json();
    assert_eq!(
        recovered["incident"],
        json!({
            "reason": "GatewayUnreachable", "since": down["incident"]["since"], "seconds": recovered["incident"]["seconds"]
        })
    );
    eventually("it is forgotten", || !file(&pod).exists());
    assert_eq!((receiver.with_status("down").len(), receiver.with_status("recovered").len()), (1, 1));
}

#[test]
fn a_down_that_nobody_took_is_told_by_the_next_watchdog() {
    let (gateway, receiver) = (FakeGateway::start(), Receiver::start(None));
    let pod = pod(&owner());
    let watchdog = start(&pod, &gateway, &receiver);
    receiver.wait_for("alive");
    receiver.answer_always(REFUSAL);
    gateway.script().gone = true;
    receiver.wait_for("down");
    // One that is refused is tried again only after what it was stored by, if it was.
    eventually("it is tried again", || receiver.with_status("down").len() > 1);
    drop(watchdog);
    assert!(!file(&pod).exists());

    let before = ids(&receiver, "down");
    let _watchdog = start(&pod, &gateway, &receiver);
    receiver.take_again();
    eventually("another down", || !ids(&receiver, "down").is_subset(&before));
    eventually("it is remembered", || file(&pod).exists());
    gateway.script().gone = false;
    receiver.wait_for("recovered");
}

#[test]
fn a_recovered_that_was_not_taken_is_told_by_the_next_watchdog() {
    let (gateway, receiver) = (FakeGateway::start(), Receiver::start(None));
    let pod = pod(&owner());
    let watchdog = start(&pod, &gateway, &receiver);
    receiver.wait_for("alive");
    gateway.script().gone = true;
    receiver.wait_for("down");
    eventually("it is remembered", || file(&pod).exists());
    receiver.answer_always(REFUSAL);
    gateway.script().gone = false;
    eventually("recovered is tried again", || receiver.with_status("recovered").len() > 1);
    drop(watchdog);
    assert!(file(&pod).exists());

    let before = ids(&receiver, "recovered");
    let _watchdog = start(&pod, &gateway, &receiver);
    receiver.take_again();
    eventually("another recovered", || !ids(&receiver, "recovered").is_subset(&before));
    eventually("it is forgotten", || !file(&pod).exists());
    assert_eq!(ids(&receiver, "down").len(), 1);
}

#[test]
fn what_was_told_is_not_lost_while_it_is_not_known_whom_to_tell() {
    let (gateway, receiver) = (FakeGateway::start(), Receiver::start(None));
    let mut pod = pod(&owner());
    let watchdog = start(&pod, &gateway, &receiver);
    gateway.script().gone = true;
    receiver.wait_for("down");
    eventually("it is remembered", || file(&pod).exists());
    drop(watchdog);

    let settings = pod.settings.take();
    pod.mount(&Bundle::usual("one"));
    gateway.script().gone = false;
    let watchdog = start(&pod, &gateway, &receiver);
    wait_for_state(&watchdog, "Alive");
    pod.settings = settings;
    pod.mount(&Bundle::usual("one"));
    receiver.wait_for("recovered");
}
