//! When a pass that could not finish is tried again. No I/O.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use rand::Rng;

use crate::key::Key;

/// How fast tries follow each other, the fastest first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Pace {
    /// The API server or the network hiccuped: it is usually over in a moment.
    Transient,
    /// Something that people provide is missing: they look at the result of what they do.
    Missing,
    /// The request was refused, or the pass has a fault: without a change it will most likely be again.
    Refused,
}

impl Pace {
    fn bounds(self) -> (Duration, Duration) {
        match self {
            Self::Transient => (Duration::from_millis(500), Duration::from_secs(30)),
            Self::Missing => (Duration::from_secs(2), Duration::from_mins(1)),
            Self::Refused => (Duration::from_secs(5), Duration::from_mins(5)),
        }
    }

    /// The pause after this many failed tries in a row, before jitter.
    pub fn pause(self, failures: u32) -> Duration {
        let (first, longest) = self.bounds();
        let doublings = failures.saturating_sub(1).min(16);
        first.saturating_mul(1 << doublings).min(longest)
    }
}

/// Up to a quarter more or less: what failed together is not tried again together.
pub fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::rng().random_range(0.75..=1.25))
}

/// Failures in a row, by object.
#[derive(Debug, Default)]
pub struct Failures(Mutex<HashMap<Key, u32>>);

impl Failures {
    /// Counts a failure; gives how many there have been in a row.
    pub fn count(&self, key: &Key) -> u32 {
        let mut failures = self.0.lock();
        let count = failures.entry(key.clone()).or_default();
        *count = count.saturating_add(1);
        *count
    }

    /// Counts a failure; gives how long to wait.
    pub fn pause(&self, key: &Key, pace: Pace) -> Duration {
        jittered(pace.pause(self.count(key)))
    }

    /// The object's pass has finished, or the object is gone.
    pub fn forget(&self, key: &Key) {
        self.0.lock().remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound() {
        let seconds: Vec<u64> = (1..=8).map(|failures| Pace::Missing.pause(failures).as_secs()).collect();
        assert_eq!(seconds, [2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(Pace::Refused.pause(u32::MAX), Duration::from_mins(5));
    }

    #[test]
    fn jitter_stays_within_a_quarter() {
        let pause = Duration::from_secs(4);
        assert!((0..100).map(|_| jittered(pause)).all(|it| (3.0..=5.0).contains(&it.as_secs_f64())));
    }

    #[test]
    fn a_success_starts_over() {
        let (failures, key) = (Failures::default(), Key { namespace: "a".into(), name: "b".into() });
        assert_eq!((failures.count(&key), failures.count(&key)), (1, 2));
        failures.forget(&key);
        assert_eq!(failures.count(&key), 1);
    }
}
