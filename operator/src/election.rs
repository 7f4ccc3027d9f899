//! Election stage, pure: what a candidate for a Lease does next. No I/O, no clock.
//!
//! The rules are those of the Kubernetes components, so that one can take over from the other: whoever holds the Lease
//! renews it, and whoever has seen it unchanged for as long as it lasts takes it. How long that was, each candidate
//! measures by its own clock: clocks of other machines are not trusted.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::core::ObjectMeta;
use tokio::time::Instant;

/// How long a Lease lasts without being renewed. The next leader starts at most this long, and a pause between two
/// attempts, after the last one was killed.
pub const LEASE_DURATION: Duration = Duration::from_secs(15);
/// Whoever could not renew for this long stops writing. Less than [`LEASE_DURATION`] by what a request in flight may
/// take at most ([`ATTEMPT`]).
pub const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// Pause between two renewals: one may fail without consequence.
pub const RENEW_PERIOD: Duration = Duration::from_secs(4);
/// Pause between two attempts at one renewal.
pub const RENEW_RETRY_PERIOD: Duration = Duration::from_secs(1);
/// Pause between two attempts that did not bring the Lease.
pub const RETRY_PERIOD: Duration = Duration::from_secs(2);
/// The longest that a request may take.
pub const ATTEMPT: Duration = Duration::from_secs(4);

/// What a Lease said when it was seen last, and since when it has said that.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Observation {
    holder: Option<String>,
    renewed: Option<MicroTime>,
    since: Instant,
}

impl Observation {
    /// Who holds the Lease; `None` for nobody.
    pub fn holder(&self) -> Option<&str> {
        self.holder.as_deref()
    }
}

/// What a candidate does next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Create the Lease, with itself as the holder.
    Create(Box<Lease>),
    /// Replace the Lease, with itself as the holder.
    Replace(Box<Lease>),
    /// Somebody else holds it: look again after this.
    Wait(Duration),
}

/// Who stands for election, and for which Lease.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Name of the Lease.
    pub name: String,
    /// Namespace of the Lease.
    pub namespace: String,
    /// Unique to the process: a process that starts anew under the same name has another one.
    pub identity: String,
}

impl Candidate {
    /// What to do about a Lease as it is. `seen` is what was seen of it before, and is brought up to date; `now` and
    /// `wall` are the present by the monotonic clock and for people.
    pub fn next(
        &self,
        found: Option<&Lease>,
        seen: &mut Option<Observation>,
        now: Instant,
        wall: Timestamp,
    ) -> Step {
        let Some(found) = found else { return Step::Create(Box::new(self.lease(None, wall))) };
        let spec = found.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.filter(|holder| !holder.is_empty());
        let unchanged = seen
            .as_ref()
            .filter(|seen| seen.holder == holder && seen.renewed == spec.renew_time)
            .map(|seen| seen.since);
        let since = unchanged.unwrap_or(now);
        *seen = Some(Observation { holder: holder.clone(), renewed: spec.renew_time, since });
        let lasts = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let lasts = lasts.map_or(LEASE_DURATION, Duration::from_secs);
        let left = (since + lasts).saturating_duration_since(now);
        if holder.is_none_or(|holder| holder == self.identity) || left.is_zero() {
            return Step::Replace(Box::new(self.lease(Some(found), wall)));
        }
        Step::Wait(left.min(RETRY_PERIOD))
    }

    /// The Lease, held by this candidate from now on.
    pub fn lease(&self, before: Option<&Lease>, wall: Timestamp) -> Lease {
        let old = before.and_then(|lease| lease.spec.clone()).unwrap_or_default();
        let holds = old.holder_identity.as_ref() == Some(&self.identity);
        let transitions = old.lease_transitions.unwrap_or_default();
        Lease {
            metadata: self.metadata(before),
            spec: Some(LeaseSpec {
                acquire_time: if holds { old.acquire_time } else { Some(MicroTime(wall)) },
                holder_identity: Some(self.identity.clone()),
                lease_duration_seconds: i32::try_from(LEASE_DURATION.as_secs()).ok(),
                lease_transitions: Some(match before {
                    Some(_) if !holds => transitions.saturating_add(1),
                    _ => transitions,
                }),
                renew_time: Some(MicroTime(wall)),
                ..LeaseSpec::default()
            }),
        }
    }

    /// The Lease, held by nobody: the next candidate need not wait for its end.
    pub fn released(&self, before: &Lease, wall: Timestamp) -> Lease {
        let old = before.spec.clone().unwrap_or_default();
        let released = LeaseSpec {
            acquire_time: None,
            holder_identity: Some(String::new()),
            lease_duration_seconds: Some(1),
            lease_transitions: old.lease_transitions,
            renew_time: Some(MicroTime(wall)),
            ..LeaseSpec::default()
        };
        Lease { metadata: self.metadata(Some(before)), spec: Some(released) }
    }

    /// With the version that was read, so that of two who write at once one is refused.
    fn metadata(&self, before: Option<&Lease>) -> ObjectMeta {
        ObjectMeta {
            name: Some(self.name.clone()),
            namespace: Some(self.namespace.clone()),
            resource_version: before.and_then(|lease| lease.metadata.resource_version.clone()),
            labels: before.and_then(|lease| lease.metadata.labels.clone()),
            annotations: before.and_then(|lease| lease.metadata.annotations.clone()),
            ..ObjectMeta::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(identity: &str) -> Candidate {
        Candidate { name: "operator".into(), namespace: "system".into(), identity: identity.into() }
    }

    fn wall(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn holder(step: &Step) -> Option<&str> {
        match step {
            Step::Create(lease) | Step::Replace(lease) => lease.spec.as_ref()?.holder_identity.as_deref(),
            Step::Wait(_) => None,
        }
    }

    #[test]
    fn takes_what_nobody_holds() {
        let (a, now) = (candidate("a"), Instant::now());
        let step = a.next(None, &mut None, now, wall(1));
        assert!(matches!(&step, Step::Create(_)));
        assert_eq!(holder(&step), Some("a"));
        let released = a.released(&a.lease(None, wall(1)), wall(2));
        let step = candidate("b").next(Some(&released), &mut None, now, wall(2));
        assert_eq!(holder(&step), Some("b"));
    }

    #[test]
    fn waits_by_its_own_clock_however_wrong_the_other_one_is() {
        let start = Instant::now();
        // Renewed an hour ago, and in an hour, by the clock of the holder.
        for other in [wall(0), wall(7_200)] {
            let lease = candidate("a").lease(None, other);
            let (b, mut seen) = (candidate("b"), None);
            let at = |seconds| start + Duration::from_secs(seconds);
            assert_eq!(b.next(Some(&lease), &mut seen, at(0), wall(3_600)), Step::Wait(RETRY_PERIOD));
            assert_eq!(
                b.next(Some(&lease), &mut seen, at(14), wall(3_614)),
                Step::Wait(Duration::from_secs(1))
            );
            assert_eq!(holder(&b.next(Some(&lease), &mut seen, at(15), wall(3_615))), Some("b"));
        }
    }

    #[test]
    fn every_renewal_begins_the_wait_anew() {
        let (a, b, start) = (candidate("a"), candidate("b"), Instant::now());
        let mut seen = None;
        let mut lease = a.lease(None, wall(0));
        for minute in 0..60_u32 {
            lease = a.lease(Some(&lease), wall(i64::from(minute) * 14));
            let now = start + Duration::from_secs(14) * minute;
            assert!(matches!(b.next(Some(&lease), &mut seen, now, wall(0)), Step::Wait(_)));
        }
    }

    #[test]
    fn a_holder_renews_and_transitions_are_counted() {
        let (a, b, now) = (candidate("a"), candidate("b"), Instant::now());
        let mut first = a.lease(None, wall(1));
        first.metadata.resource_version = Some("7".into());
        let Step::Replace(renewed) = a.next(Some(&first), &mut None, now, wall(5)) else { panic!("renews") };
        let spec = renewed.spec.clone().unwrap();
        assert_eq!(
            (spec.acquire_time, spec.renew_time),
            (Some(MicroTime(wall(1))), Some(MicroTime(wall(5))))
        );
        assert_eq!(
            (spec.lease_transitions, renewed.metadata.resource_version.as_deref()),
            (Some(0), Some("7"))
        );
        let taken = b.lease(Some(&renewed), wall(30)).spec.unwrap();
        assert_eq!((taken.lease_transitions, taken.acquire_time), (Some(1), Some(MicroTime(wall(30)))));
    }

    #[test]
    fn nobody_writes_when_another_may_hold_it() {
        // The last request of a leader is sent before the deadline, measured from before the last renewal.
        assert!(RENEW_DEADLINE + ATTEMPT < LEASE_DURATION);
        assert!(RENEW_PERIOD + ATTEMPT < RENEW_DEADLINE, "one renewal may fail");
    }
}
