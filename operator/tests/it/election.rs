//! Two operators: one writes, the other one takes over.

use std::time::Duration;

use hyper::StatusCode;
use kr8tiv_operator::app::Error;
use kr8tiv_operator::election::{LEASE_DURATION, RETRY_PERIOD};
use tokio::time::Instant;

use crate::world::{NAMESPACE, World, harness, tenant};

/// An operator that writes, and one that stands by.
async fn two() -> (World, World) {
    let mut first = World::empty();
    first.identity = Some("first");
    first.api.create(NAMESPACE, harness("desk"));
    first.api.create(NAMESPACE, tenant("acme", "desk"));
    first.start();
    first.until("it writes", |world| world.reason("Tenant", "acme", "Ready") == "Starting").await;
    let mut second = World::beside(&first);
    second.identity = Some("second");
    second.start();
    first.rest().await;
    assert_eq!((holder(&first).as_str(), second.passes()), ("first", 0));
    (first, second)
}

fn holder(world: &World) -> String {
    let lease = world.api.get("Lease", "system", "operator").unwrap();
    lease["spec"]["holderIdentity"].as_str().unwrap().to_owned()
}

/// How long the other one takes to do the first one's work.
async fn taken_over(world: &World) -> Duration {
    let begun = Instant::now();
    world.api.create(NAMESPACE, tenant("late", "desk"));
    world.until("the other one writes", |world| world.reason("Tenant", "late", "Ready") == "Starting").await;
    assert_eq!(holder(world), "second");
    begun.elapsed()
}

#[tokio::test(start_paused = true)]
async fn who_stops_gives_the_lease_up() {
    let (mut first, second) = two().await;
    first.stop().await.unwrap();
    assert_eq!(holder(&first), "");
    let took = taken_over(&second).await;
    assert!(took < RETRY_PERIOD * 2, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn who_is_killed_is_succeeded_when_the_lease_ends() {
    let (mut first, second) = two().await;
    first.kill().await;
    let took = taken_over(&second).await;
    assert!(took < LEASE_DURATION + RETRY_PERIOD * 2, "{took:?}");
    let lease = second.api.get("Lease", "system", "operator").unwrap();
    assert_eq!(lease["spec"]["leaseTransitions"], 1);
}

#[tokio::test(start_paused = true)]
async fn who_can_not_renew_ends_before_another_one_begins() {
    let (mut first, second) = two().await;
    first.api.set_fault(|seen| (seen.resource == "leases").then_some(StatusCode::INTERNAL_SERVER_ERROR));
    let lost = first.ended().await;
    assert!(matches!(lost, Err(Error::LeaseLost(_))), "{lost:?}");
    assert_eq!(second.passes(), 0, "two wrote at the same time");
    second.api.clear_fault();
    taken_over(&second).await;
}

#[tokio::test(start_paused = true)]
async fn a_renewal_may_fail() {
    let (first, second) = two().await;
    first.api.set_fault(|seen| (seen.resource == "leases").then_some(StatusCode::SERVICE_UNAVAILABLE));
    tokio::time::sleep(Duration::from_secs(5)).await;
    first.api.clear_fault();
    first.rest().await;
    assert_eq!((holder(&first).as_str(), second.passes()), ("first", 0));
}
