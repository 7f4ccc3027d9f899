//! The client against the stub, within the process: every failure is told by its kind and gives nothing away.

#![expect(clippy::unwrap_used, reason = "clippy exempts test functions only, not what they stand on")]

use std::collections::BTreeMap;
use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use kr8tiv_supermemory::stub::{Fault, Stub};
use kr8tiv_supermemory::{
    ApiKey, BadResponse, BaseUrl, Client, Document, Error, Hit, ProfileRequest, Search, TransportError,
};
use tokio::time::Instant;

const KEY: &str = "sk-canary-key";
const WITHIN: Duration = Duration::from_secs(8);

fn client(stub: &Stub) -> Client {
    let base = BaseUrl::parse("https://memory.example.com").unwrap();
    Client::new(Arc::new(stub.clone()), base, ApiKey::new(KEY.as_bytes()).ok().unwrap())
}

fn search(tag: &str) -> Search<'_> {
    Search { query: "preferences", container_tag: tag, limit: 8, threshold: 0.45 }
}

async fn found(stub: &Stub) -> Result<Vec<Hit>, Error> {
    client(stub).search(&search("tenant-a"), WITHIN).await
}

fn document(custom_id: Option<&'static str>) -> Document<'static> {
    let metadata = BTreeMap::from([("namespace", "kr8tiv")]);
    Document { content: "Likes tea.", container_tag: "tenant-a", custom_id, metadata }
}

#[tokio::test(start_paused = true)]
async fn a_search_stays_within_its_tag() {
    let stub = Stub::new(KEY);
    stub.remember("tenant-a", "likes tea", 0.9);
    stub.remember("tenant-b", "likes coffee", 0.9);
    stub.remember("tenant-a", "lives in Bern", 0.5);
    let hits = found(&stub).await.unwrap();
    let texts: Vec<&str> = hits.iter().map(|hit| hit.text.as_str()).collect();
    assert_eq!(texts, ["likes tea", "lives in Bern"]);
}

#[tokio::test(start_paused = true)]
async fn a_document_that_is_added_again_is_the_same_document() {
    let stub = Stub::new(KEY);
    for _ in 0..2 {
        let added = client(&stub).add(&document(Some("seed-1")), WITHIN).await.unwrap();
        assert_eq!((added.id.as_str(), added.status.as_str()), ("seed-1", "queued"));
    }
    assert_eq!(stub.documents().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_profile_is_read() {
    let stub = Stub::new(KEY);
    stub.remember("tenant-a", "likes tea", 0.9);
    let profile = client(&stub).profile(&ProfileRequest { container_tag: "tenant-a" }, WITHIN).await.unwrap();
    assert_eq!((profile.lasting, profile.recent), (vec!["likes tea".to_owned()], vec![]));
}

type IsExpected = fn(&Error) -> bool;

#[tokio::test(start_paused = true)]
async fn every_failure_has_its_kind_and_gives_nothing_away() {
    let status = |status, retry_after| Fault::Status(status, retry_after);
    let cases: [(Fault, IsExpected); 15] = [
        (status(401, None), |error| matches!(error, Error::AuthFailed { status: 401 })),
        (status(403, None), |error| matches!(error, Error::AuthFailed { status: 403 })),
        (status(402, None), |error| matches!(error, Error::QuotaExceeded { status: 402 })),
        (status(429, None), |error| matches!(error, Error::RateLimited { retry_after: None })),
        (status(429, Some("3600")), |error| error.retry_after() == Some(Duration::from_hours(1))),
        (status(500, None), |error| matches!(error, Error::ServerFailed { status: 500, .. })),
        (status(404, None), |error| matches!(error, Error::BadResponse(BadResponse::Status(404)))),
        (Fault::Redirect, |error| matches!(error, Error::BadResponse(BadResponse::Status(302)))),
        (Fault::Slow(WITHIN * 2), |error| matches!(error, Error::Timeout { within: WITHIN })),
        (Fault::Refuse, |error| matches!(error, Error::Unreachable(TransportError::Connect(_)))),
        (Fault::HangUp, |error| matches!(error, Error::Unreachable(TransportError::Broken(_)))),
        (Fault::Cut, |error| matches!(error, Error::Unreachable(TransportError::Broken(_)))),
        (Fault::Garbage, |error| matches!(error, Error::BadResponse(BadResponse::NotJson(_)))),
        (Fault::Nonsense, |error| matches!(error, Error::BadResponse(BadResponse::Lacks("results")))),
        (Fault::Huge, |error| matches!(error, Error::BadResponse(BadResponse::TooLarge))),
    ];
    for (fault, is_expected) in cases {
        let stub = Stub::new(KEY);
        stub.set_fault(Some(fault.clone()));
        let begun = Instant::now();
        let error = found(&stub).await.unwrap_err();
        assert!(is_expected(&error), "{fault:?}: {error:?}");
        assert!(begun.elapsed() <= WITHIN, "{fault:?}: the deadline is for the whole call");
        let mut told = format!("{error} {error:?}");
        let mut cause = error.source();
        while let Some(source) = cause {
            told.push_str(&format!(" {source} {source:?}"));
            cause = source.source();
        }
        assert!(!told.contains("canary"), "{told}");
    }
    let stub = Stub::new("another");
    assert!(matches!(found(&stub).await, Err(Error::AuthFailed { status: 401 })));
}

#[tokio::test(start_paused = true)]
async fn what_is_safe_is_sent_again_within_the_deadline() {
    let attempts = |fault: Fault| async move {
        let stub = Stub::new(KEY);
        stub.fail_once(fault);
        let outcome = found(&stub).await.is_ok();
        (outcome, stub.requests().len())
    };
    // A refused connection is no request.
    assert_eq!(attempts(Fault::Refuse).await, (true, 1));
    assert_eq!(attempts(Fault::HangUp).await, (true, 2));
    assert_eq!(attempts(Fault::Cut).await, (true, 2));
    assert_eq!(attempts(Fault::Status(429, Some("2"))).await, (true, 2));
    assert_eq!(attempts(Fault::Status(503, Some("2"))).await, (true, 2));
    assert_eq!(attempts(Fault::Status(429, Some("9"))).await, (false, 1), "after the deadline");
    assert_eq!(attempts(Fault::Status(429, Some("1e19"))).await, (false, 1), "more than a clock can add");
    for status in [401, 402, 429, 500, 503] {
        assert_eq!(attempts(Fault::Status(status, None)).await, (false, 1), "{status}");
    }
    let stub = Stub::new(KEY);
    stub.set_fault(Some(Fault::HangUp));
    assert!(found(&stub).await.is_err());
    assert_eq!(stub.requests().len(), 3, "and no more often than that");
}

#[tokio::test(start_paused = true)]
async fn a_document_without_a_name_of_its_own_is_sent_once() {
    let attempts = |custom_id| async move {
        let stub = Stub::new(KEY);
        stub.fail_once(Fault::HangUp);
        let outcome = client(&stub).add(&document(custom_id), WITHIN).await.is_ok();
        (outcome, stub.requests().len())
    };
    assert_eq!(attempts(Some("seed-1")).await, (true, 2));
    assert_eq!(attempts(None).await, (false, 1));
}
