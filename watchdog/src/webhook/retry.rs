//! Alerting stage, pure: whether and when a message is sent again.
//!
//! A message has an id by which a receiver knows it, so sending it twice does no harm. What a receiver refuses for good
//! is not sent again.

use std::time::Duration;

use crate::webhook::message::{Kind, Message};

/// The first pause; each is twice the one before.
const FIRST: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST: Duration = Duration::from_mins(1);
/// A message that is older than this says nothing any more.
const GIVE_UP_AFTER: Duration = Duration::from_hours(24);

/// Whether a receiver that answers with this code may take the message later.
pub fn is_worth_another_try(code: u16) -> bool {
    matches!(code, 408 | 425 | 429 | 500..=599)
}

/// The pause after this many failed tries. `random` spreads the tries of many watchdogs to one receiver: between half
/// of the pause and all of it.
fn pause(failures: u32, random: u32) -> Duration {
    let whole = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(LONGEST);
    let half = whole / 2;
    half + half.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

/// What becomes of a message whose try failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failed {
    /// It is tried again.
    Again {
        /// It is the first failure since the receiver took something.
        first: bool,
    },
    /// It is too old.
    GiveUp,
}

/// How one receiver has failed since it last took something. Times are those of the watchdog's clock.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
    next: Duration,
    /// The message that was tried last.
    tried: Option<String>,
}

impl Backoff {
    /// When a message may be tried. A new *alive* is no reason to try a receiver sooner. A *down* or *recovered* is, once.
    pub fn next(&self, message: &Message) -> Duration {
        let is_news = message.kind != Kind::Alive && self.tried.as_ref() != Some(&message.id);
        if is_news { Duration::ZERO } else { self.next }
    }

    /// The receiver took a message.
    pub fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// A try failed, and another may do better. `random` spreads the next ones.
    pub fn failed(&mut self, message: &Message, now: Duration, random: u32) -> Failed {
        let first = self.failures == 0;
        self.failures = self.failures.saturating_add(1);
        self.next = now + pause(self.failures, random);
        self.tried = Some(message.id.clone());
        let age = now.saturating_sub(message.created);
        if age < GIVE_UP_AFTER { Failed::Again { first } } else { Failed::GiveUp }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: &str, kind: Kind, created: Duration) -> Message {
        Message { id: id.to_owned(), kind, created, body: Vec::new() }
    }

    #[test]
    fn a_new_alive_waits_for_the_pause_and_is_no_news() {
        let seconds = Duration::from_secs;
        let mut backoff = Backoff::default();
        assert_eq!(backoff.next(&message("1", Kind::Alive, seconds(0))), seconds(0));
        let failed = |backoff: &mut Backoff, id: &str, at| {
            backoff.failed(&message(id, Kind::Alive, seconds(at)), seconds(at), u32::MAX)
        };
        assert_eq!(failed(&mut backoff, "1", 10), Failed::Again { first: true });
        assert_eq!(backoff.next(&message("2", Kind::Alive, seconds(10))), seconds(11));
        assert_eq!(failed(&mut backoff, "2", 11), Failed::Again { first: false });
        assert_eq!(failed(&mut backoff, "3", 13), Failed::Again { first: false });
        assert_eq!(backoff.next(&message("4", Kind::Alive, seconds(14))), seconds(17), "1, 2, then 4 s");
        backoff.succeeded();
        assert_eq!(failed(&mut backoff, "5", 20), Failed::Again { first: true });
        assert_eq!(backoff.next(&message("5", Kind::Alive, seconds(20))), seconds(21));
    }

    #[test]
    fn a_down_or_recovered_is_tried_at_once_and_then_waits_too() {
        let seconds = Duration::from_secs;
        let mut backoff = Backoff::default();
        for at in 0..6 {
            backoff.failed(&message("alive", Kind::Alive, seconds(at)), seconds(at), u32::MAX);
        }
        for (id, kind) in [("down", Kind::Down), ("recovered", Kind::Recovered)] {
            let news = message(id, kind, seconds(6));
            assert_eq!(backoff.next(&news), seconds(0), "{id}");
            assert_eq!(backoff.failed(&news, seconds(6), u32::MAX), Failed::Again { first: false });
            assert_eq!(backoff.next(&news), seconds(66), "{id}");
        }
    }

    #[test]
    fn a_message_is_given_up_a_day_after_it_was_made() {
        let hours = Duration::from_hours;
        let mut backoff = Backoff::default();
        // Its first try: it has waited behind others for all that time.
        let late = message("late", Kind::Down, hours(1));
        assert_eq!(backoff.failed(&late, hours(25), 0), Failed::GiveUp);
        let fresh = message("fresh", Kind::Down, hours(2));
        assert_eq!(backoff.failed(&fresh, hours(25), 0), Failed::Again { first: false });
        assert_eq!(backoff.failed(&fresh, hours(26), 0), Failed::GiveUp);
    }

    #[test]
    fn pauses_grow_and_are_spread() {
        let seconds = |failures, random| pause(failures, random).as_secs_f64();
        for (failures, whole) in [(0, 1.0), (1, 1.0), (2, 2.0), (3, 4.0), (7, 60.0), (u32::MAX, 60.0)] {
            assert!((seconds(failures, u32::MAX) - whole).abs() < 1e-6, "{failures}");
            assert!((seconds(failures, 0) - whole / 2.0).abs() < 1e-6, "{failures}");
        }
    }

    #[test]
    fn a_refusal_for_good_is_one() {
        for code in [408, 425, 429, 500, 503, 599] {
            assert!(is_worth_another_try(code), "{code}");
        }
        for code in [200, 301, 302, 307, 400, 401, 403, 404, 410, 600] {
            assert!(!is_worth_another_try(code), "{code}");
        }
    }
}
