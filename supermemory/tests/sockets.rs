//! The client over real sockets: which addresses it talks to, and what becomes of broken connections.

#![expect(clippy::unwrap_used, reason = "clippy exempts test functions only, not what they stand on")]

use std::sync::Arc;
use std::time::Duration;

use kr8tiv_supermemory::stub::{Fault, Stub};
use kr8tiv_supermemory::{ApiKey, BadResponse, BaseUrl, Client, Error, Https, Reach, Search, TransportError};
use tokio::net::TcpListener;

const KEY: &str = "sk-canary-key";
/// Longer than any of these takes.
const WITHIN: Duration = Duration::from_mins(1);
const SEARCH: Search<'_> = Search { query: "q", container_tag: "tenant-a", limit: 8, threshold: 0.45 };

async fn stub() -> (Stub, u16) {
    let stub = Stub::new(KEY);
    stub.remember("tenant-a", "likes tea", 0.9);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(stub.clone().serve(listener));
    (stub, port)
}

fn client(reach: Reach, base: &str) -> Client {
    let key = ApiKey::new(KEY.as_bytes()).ok().unwrap();
    Client::new(Arc::new(Https::new(reach).unwrap()), BaseUrl::parse(base).unwrap(), key)
}

#[tokio::test]
async fn an_answer_comes_over_a_socket() {
    let (_stub, port) = stub().await;
    for host in ["127.0.0.1", "localhost"] {
        let client = client(Reach::Loopback, &format!("http://{host}:{port}"));
        assert_eq!(client.search(&SEARCH, WITHIN).await.unwrap()[0].text, "likes tea");
    }
}

#[tokio::test]
async fn addresses_that_are_out_of_reach_are_not_talked_to() {
    let (stub, port) = stub().await;
    // Also as a name, and as a number that only the system's resolver takes for an address.
    let hosts = ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "127.1"];
    for (reach, hosts) in [
        (Reach::Public, &hosts[..]),
        (Reach::Private, &hosts[..]),
        (Reach::Loopback, &["169.254.169.254", "[fd00:ec2::254]", "0.0.0.0"]),
    ] {
        for host in hosts {
            let error =
                client(reach, &format!("http://{host}:{port}")).search(&SEARCH, WITHIN).await.unwrap_err();
            let Error::Unreachable(TransportError::AddressRefused { host: refused }) = &error else {
                panic!("{host}: {error:?}")
            };
            assert_eq!(refused, host);
        }
    }
    assert_eq!(stub.requests(), []);
}

#[tokio::test]
async fn broken_connections_and_bodies_are_told_apart() {
    let (stub, port) = stub().await;
    let client = client(Reach::Loopback, &format!("http://127.0.0.1:{port}"));
    for fault in [Fault::HangUp, Fault::Cut] {
        stub.set_fault(Some(fault.clone()));
        let error = client.search(&SEARCH, WITHIN).await.unwrap_err();
        assert!(matches!(error, Error::Unreachable(TransportError::Broken(_))), "{fault:?}: {error:?}");
    }
    stub.set_fault(Some(Fault::Huge));
    let error = client.search(&SEARCH, WITHIN).await.unwrap_err();
    assert!(matches!(error, Error::BadResponse(BadResponse::TooLarge)), "{error:?}");
    stub.set_fault(Some(Fault::Redirect));
    stub.forget_requests();
    let error = client.search(&SEARCH, WITHIN).await.unwrap_err();
    assert!(matches!(error, Error::BadResponse(BadResponse::Status(302))), "{error:?}");
    assert_eq!(stub.requests().len(), 1, "a redirection is not followed");
}

#[tokio::test]
async fn nobody_listening_is_no_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let error = client(Reach::Loopback, &format!("http://127.0.0.1:{port}"))
        .search(&SEARCH, WITHIN)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Unreachable(TransportError::Connect(_))), "{error:?}");
}
