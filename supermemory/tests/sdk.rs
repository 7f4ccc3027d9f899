//! The official SDK as the measure: it runs against the stub, and sends what this client sends.

#![expect(clippy::unwrap_used, reason = "clippy exempts test functions only, not what they stand on")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kr8tiv_supermemory::stub::{Fault, Stub};
use kr8tiv_supermemory::{ApiKey, BaseUrl, Client, Document, Https, ProfileRequest, Reach, Search};
use tokio::net::TcpListener;
use tokio::process::Command;

const KEY: &str = "sk-canary-key";
/// Longer than any of these takes.
const WITHIN: Duration = Duration::from_mins(1);

async fn stub() -> (Stub, String) {
    let stub = Stub::new(KEY);
    stub.remember("tenant-a", "likes tea", 0.9);
    stub.remember("tenant-b", "likes coffee", 0.9);
    stub.remember("tenant-a", "lives in Bern", 0.5);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(stub.clone().serve(listener));
    (stub, base)
}

/// Has the pinned SDK make calls, by `tests/sdk/calls.mjs`.
async fn run_sdk(base: &str, what: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(root.join("../dev/supermemory-sdk")).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let paths = String::from_utf8(output.stdout).unwrap();
    let [folder, node] = paths.lines().collect::<Vec<_>>()[..] else { panic!("{paths}") };
    let script = root.join("tests/sdk/calls.mjs");
    let output = Command::new(node).arg(script).args([folder, base, KEY, what]).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn the_requests_are_those_of_the_official_sdk() {
    let (stub, base) = stub().await;
    run_sdk(&base, "calls").await;
    let of_sdk = stub.requests();
    stub.forget_requests();

    let transport = Arc::new(Https::new(Reach::Loopback).unwrap());
    let key = ApiKey::new(KEY.as_bytes()).ok().unwrap();
    let client = Client::new(transport, BaseUrl::parse(&base).unwrap(), key);
    let search =
        Search { query: "preferences of the people", container_tag: "tenant-a", limit: 8, threshold: 0.45 };
    client.search(&search, WITHIN).await.unwrap();
    let metadata = BTreeMap::from([("namespace", "kr8tiv"), ("source", "memorySeed")]);
    let document =
        Document { content: "Likes tea.", container_tag: "tenant-a", custom_id: Some("seed-1"), metadata };
    client.add(&document, WITHIN).await.unwrap();
    client.profile(&ProfileRequest { container_tag: "tenant-a" }, WITHIN).await.unwrap();

    assert_eq!(of_sdk.len(), 3);
    assert_eq!(stub.requests(), of_sdk);
}

#[tokio::test]
async fn the_official_sdk_knows_the_stubs_refusals() {
    let (stub, base) = stub().await;
    for status in [401, 402, 429, 500] {
        stub.fail_once(Fault::Status(status, None));
    }
    run_sdk(&base, "errors").await;
}
