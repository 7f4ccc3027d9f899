//! Who is told what, by receivers on loopback.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};

use crate::fake_gateway::FakeGateway;
use crate::receiver::Receiver;
use crate::support::{Bundle, Pod, Watchdog, eventually};
use crate::watching::watch;

pub(crate) const URL: &str = "OWNER_WEBHOOK_URL";
pub(crate) const KEY: &str = "OWNER_WEBHOOK_SIGNING_KEY";

/// A pod with a `watchdog.json`: a heartbeat each second, down after two.
pub(crate) fn pod(webhooks: &Value) -> Pod {
    let mut pod = Pod::new();
    pod.settings = Some(json!({
        "apiVersion": "kr8tiv.ai/watchdog/v1",
        "tenantId": "acme-0a1b2c3d",
        "heartbeatSeconds": 1,
        "downAlertSeconds": 2,
        "alertDedupeSeconds": 900,
        "recovery": {"maxRestartsPerHour": 3, "cooldownSeconds": 300},
        "webhooks": webhooks,
    }));
    pod.mount(&Bundle::usual("one"));
    pod
}

pub(crate) fn owner() -> Value {
    json!([{"name": "owner", "urlVariable": URL, "signingKeyVariable": KEY}])
}

pub(crate) fn wait_for_state(watchdog: &Watchdog, state: &str) {
    watchdog.gateway_when(state, |gateway| gateway["state"] == state);
}

#[test]
fn alive_then_down_once_then_recovered_once_all_signed() {
    let (gateway, receiver, management) =
        (FakeGateway::start(), Receiver::start(None), Receiver::start(None));
    let both = json!([
        {"name": "owner", "urlVariable": URL, "signingKeyVariable": KEY},
        {"name": "management", "url": format!("http://{}/in?a=b", management.address)},
    ]);
    let pod = pod(&both);
    let url = format!("http://{}/hook", receiver.address);
    let watchdog = watch(&pod, &gateway, &[], &[(URL, &url), (KEY, "signing-key")]);
    let alive = receiver.wait_for("alive");
    assert_eq!((alive.json()["tenant"].as_str(), alive.path.as_str()), (Some("acme-0a1b2c3d"), "/hook"));
    eventually("alive at the heartbeat", || receiver.with_status("alive").len() >= 3);

    gateway.script().gone = true;
    let down = receiver.wait_for("down");
    let body = down.json();
    assert_eq!((&body["state"], &body["incident"]["reason"]), (&json!("Down"), &json!("GatewayUnreachable")));
    assert!(body["incident"]["seconds"].as_u64() >= Some(2), "{body}");
    gateway.script().gone = false;
    let recovered = receiver.wait_for("recovered");
    assert_eq!(recovered.json()["incident"]["since"], body["incident"]["since"]);

    // A second incident within the dedupe window is not told, and neither is its end.
    gateway.script().gone = true;
    wait_for_state(&watchdog, "Down");
    gateway.script().gone = false;
    wait_for_state(&watchdog, "Alive");
    let alives = receiver.with_status("alive").len();
    eventually("alive goes on", || receiver.with_status("alive").len() > alives + 1);
    for one in [&receiver, &management] {
        assert_eq!(one.with_status("down").len(), 1);
        assert_eq!(one.with_status("recovered").len(), 1);
    }
    let all = receiver.received();
    assert!(all.iter().all(|one| one.is_signed_with("signing-key") && !one.is_signed_with("another")));
    assert!(all.iter().all(|one| one.headers["x-kr8tiv-id"] == one.json()["id"].as_str().unwrap()));
    let ids: BTreeSet<_> = all.iter().map(|one| one.headers["x-kr8tiv-id"].clone()).collect();
    assert_eq!(ids.len(), all.len(), "each message has its own id");
    let others = management.received();
    assert!(
        others.iter().all(|one| !one.headers.contains_key("x-kr8tiv-signature") && one.path == "/in?a=b")
    );
}

#[test]
fn a_message_that_is_sent_again_has_the_same_id_and_a_redirect_is_not_followed() {
    let (gateway, receiver, elsewhere) = (FakeGateway::start(), Receiver::start(None), Receiver::start(None));
    let pod = pod(&owner());
    gateway.script().gone = true;
    let url = format!("http://{}/", receiver.address);
    receiver.answer(&["503 Service Unavailable", "429 Too Many Requests"]);
    let watchdog =
        watch(&pod, &gateway, &["--startup-budget", "100ms"], &[(URL, &url), (KEY, "signing-key")]);
    eventually("the down is taken", || {
        watchdog.get("/metrics").1.contains("messages_total{receiver=\"owner\",result=\"delivered\"} 1")
    });
    let downs = receiver.with_status("down");
    assert_eq!(downs.len(), 3, "two refusals and one success");
    assert!(downs.iter().all(|one| one.body == downs[0].body && one.is_signed_with("signing-key")));

    let redirect = format!("307 Temporary Redirect\r\nLocation: http://{}/", elsewhere.address);
    receiver.answer(&[&redirect]);
    gateway.script().gone = false;
    receiver.wait_for("recovered");
    receiver.wait_for("alive");
    assert_eq!(receiver.with_status("recovered").len(), 1, "what is refused for good is not sent again");
    assert!(elsewhere.received().is_empty());
    assert!(watchdog.log().join("\n").contains("the receiver answered 307"));
}

#[test]
fn what_a_receiver_answers_is_decided_by_the_code_however_much_it_says() {
    let (gateway, receiver) = (FakeGateway::start(), Receiver::start(None));
    let pod = pod(&owner());
    gateway.script().gone = true;
    let url = format!("http://{}/", receiver.address);
    receiver.answer_at_length(&["200 OK", "404 Not Found"], 1024 * 1024);
    let watchdog =
        watch(&pod, &gateway, &["--startup-budget", "100ms"], &[(URL, &url), (KEY, "signing-key")]);
    eventually("the down is taken", || {
        watchdog.get("/metrics").1.contains("messages_total{receiver=\"owner\",result=\"delivered\"} 1")
    });
    assert_eq!(receiver.with_status("down").len(), 1);
    gateway.script().gone = false;
    receiver.wait_for("alive");
    assert_eq!(receiver.with_status("recovered").len(), 1, "what is refused for good is not sent again");
    assert!(watchdog.log().join("\n").contains("the receiver answered 404"));
}

#[test]
fn alives_that_a_receiver_does_not_take_are_one_line_in_the_log() {
    let (gateway, receiver) = (FakeGateway::start(), Receiver::start(None));
    let pod = pod(&owner());
    let url = format!("http://{}/", receiver.address);
    receiver.answer(&["503 Service Unavailable"; 3]);
    let watchdog = watch(&pod, &gateway, &[], &[(URL, &url), (KEY, "signing-key")]);
    eventually("one is taken", || {
        watchdog.get("/metrics").1.contains("messages_total{receiver=\"owner\",result=\"delivered\"} 1")
    });
    let tried = receiver.with_status("alive");
    let ids: BTreeSet<_> = tried.iter().map(|one| &one.headers["x-kr8tiv-id"]).collect();
    assert!(ids.len() > 1, "the pauses get longer than the heartbeat, so that newer ones take the place");
    let lines = watchdog.log().iter().filter(|line| line.contains("trying again")).count();
    assert_eq!(lines, 1, "{:?}", watchdog.log());
}

#[test]
fn who_becomes_a_receiver_in_an_incident_is_told_down_and_who_was_told_is_told_recovered() {
    let (gateway, first, second) = (FakeGateway::start(), Receiver::start(None), Receiver::start(None));
    let webhook = |name: &str, receiver: &Receiver| json!({"name": name, "url": format!("http://{}/", receiver.address)});
    let mut pod = pod(&json!([webhook("owner", &first)]));
    let watchdog = watch(&pod, &gateway, &[], &[]);
    first.wait_for("alive");
    gateway.script().gone = true;
    let told = first.wait_for("down").json()["incident"].clone();

    let mut settings = pod.settings.take().unwrap();
    settings["webhooks"] = json!([webhook("owner", &first), webhook("management", &second)]);
    pod.settings = Some(settings);
    pod.mount(&Bundle::usual("one"));
    let caught_up = second.wait_for("down").json()["incident"].clone();
    assert_eq!(caught_up["since"], told["since"]);
    gateway.script().gone = false;
    wait_for_state(&watchdog, "Alive");
    for one in [&first, &second] {
        one.wait_for("recovered");
        one.wait_for("alive");
        assert_eq!((one.with_status("down").len(), one.with_status("recovered").len()), (1, 1));
    }
}

#[test]
fn point_19_a_receiver_that_does_not_answer_holds_the_other_one_up_not() {
    let (gateway, management) = (FakeGateway::start(), Receiver::start(None));
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let both = json!([
        {"name": "owner", "urlVariable": URL},
        {"name": "management", "url": format!("http://{}/", management.address)},
    ]);
    let pod = pod(&both);
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let _watchdog = watch(&pod, &gateway, &[], &[(URL, &url)]);
    management.wait_for("alive");
    gateway.script().gone = true;
    management.wait_for("down");
}

#[test]
fn over_tls_only_who_is_trusted_is_told() {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let root = authority.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let receiver = Receiver::start(Some(Arc::new(config)));
    let gateway = FakeGateway::start();
    let pod = pod(&owner());
    let roots = pod.paths.state_dir.join("roots.pem");
    fs::write(&roots, root.pem()).unwrap();
    let trusting = [("SSL_CERT_FILE", roots.to_str().unwrap()), (KEY, "signing-key")];

    let by_name = format!("https://localhost:{}/", receiver.address.port());
    let watchdog = watch(&pod, &gateway, &[], &[&trusting[..], &[(URL, &by_name)]].concat());
    assert!(receiver.wait_for("alive").is_signed_with("signing-key"));
    drop(watchdog);
    let before = receiver.received().len();

    // Another name than the certificate's, and a root that is not trusted.
    let by_address = format!("https://{}/", receiver.address);
    let watchdog = watch(&pod, &gateway, &[], &[&trusting[..], &[(URL, &by_address)]].concat());
    watchdog.line_with("no TLS connection");
    let watchdog = watch(&pod, &gateway, &[], &[(URL, &by_name), (KEY, "signing-key")]);
    watchdog.line_with("no TLS connection");
    assert_eq!(receiver.received().len(), before);
}

#[test]
fn without_its_settings_it_goes_on_as_before_and_says_so() {
    let (gateway, receiver) = (FakeGateway::start(), Receiver::start(None));
    let mut pod = pod(&json!([{"name": "owner", "url": format!("http://{}/", receiver.address)}]));
    let watchdog = watch(&pod, &gateway, &[], &[]);
    receiver.wait_for("alive");
    pod.settings = None;
    pod.mount(&Bundle::usual("one"));
    watchdog.line_with("going on as before");
    let alives = receiver.with_status("alive").len();
    eventually("alive goes on", || receiver.with_status("alive").len() > alives + 1);
    assert!(!watchdog.log().join("\n").contains("nobody is told"));
}

#[test]
fn point_11_no_output_shows_a_secret() {
    let (gateway, receiver) = (FakeGateway::start(), Receiver::start(None));
    let both = json!([
        {"name": "owner", "urlVariable": URL, "signingKeyVariable": KEY},
        {"name": "management", "url": "https://canary-host.invalid/canary-path"},
    ]);
    let pod = pod(&both);
    gateway.script().token = "canary-token";
    // The gateway says everything that it was sent.
    let leak = "canary-token canary-key canary-status https://canary-host.invalid/canary-path";
    let account = json!({"accountId": leak, "lifecycle": "blocked", "lastError": leak});
    let issues = json!([{"path": leak, "message": leak}]);
    {
        let mut script = gateway.script();
        script.answers.insert("channels.status", json!({"channelAccounts": {leak: [account]}}));
        script.answers.insert("config.get", json!({"valid": false, "issues": issues}));
        script.ready = (503, json!({"ready": false, "failing": [leak, "canary-token"]}));
        let version = json!({"ok": true, "status": "started", "version": leak});
        script.startup = (200, version);
    }
    let url = format!("http://{}/canary-url", receiver.address);
    let variables = [
        ("OPENCLAW_GATEWAY_TOKEN", "canary-token"),
        ("KR8TIV_STATUS_TOKEN", "canary-status"),
        (URL, url.as_str()),
        (KEY, "canary-key"),
    ];
    // Every way in which sending can fail has to be seen before what works.
    receiver.answer(&["500 Internal Server Error", "404 Not Found", "302 Found\r\nLocation: /canary-url"]);
    let watchdog = watch(&pod, &gateway, &["--log-level", "trace"], &variables);
    receiver.wait_for("alive");
    eventually("all answers are used", || receiver.received().len() >= 4);
    gateway.script().gone = true;
    receiver.wait_for("down");
    gateway.script().gone = false;
    receiver.wait_for("recovered");
    let request = "GET /status HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer canary-status\r\n\r\n";
    eventually("the refused configuration is shown", || watchdog.exchange(request).contains("[redacted]"));

    let status = watchdog.exchange(request);
    assert!(status.contains("\"ConfigRejected\""), "{status}");
    let sent: Vec<_> =
        receiver.received().into_iter().map(|one| format!("{:?}{}", one.headers, one.body)).collect();
    let outputs = [
        ("status", status),
        ("refusal", watchdog.get("/status").1),
        ("metrics", watchdog.get("/metrics").1),
        ("log", watchdog.log().join("\n")),
        ("messages", sent.join("\n")),
    ];
    for (what, output) in outputs {
        assert!(!output.contains("canary"), "{what}: {output}");
    }
}

#[test]
fn a_webhook_without_its_variable_is_named_and_the_rest_goes_on() {
    let (gateway, management) = (FakeGateway::start(), Receiver::start(None));
    let both = json!([
        {"name": "owner", "urlVariable": URL, "signingKeyVariable": KEY},
        {"name": "management", "url": format!("http://{}/", management.address)},
    ]);
    let pod = pod(&both);
    let watchdog = watch(&pod, &gateway, &[], &[(URL, "http://127.0.0.1:1/")]);
    assert!(watchdog.line_with("not told anything").contains("OWNER_WEBHOOK_SIGNING_KEY is not set"));
    management.wait_for("alive");
}
