//! Alerting stage, pure: whether and when a message is sent again.
//!
//! A message has an id by which a receiver knows it, so sending it twice does no harm. What a receiver refuses for good
//! is not sent again.

use std::time::Duration;

/// The first pause; each is twice the one before.
const FIRST: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST: Duration = Duration::from_mins(1);
/// After this a message says nothing any more.
pub const GIVE_UP_AFTER: Duration = Duration::from_hours(24);

/// Whether a receiver that answers with this code may take the message later.
pub fn is_worth_another_try(code: u16) -> bool {
    matches!(code, 408 | 425 | 429 | 500..=599)
}

/// The pause after this many failed tries. `random` spreads the tries of many watchdogs to one receiver: between half
/// of the pause and all of it.
pub fn pause(failures: u32, random: u32) -> Duration {
    let whole = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(LONGEST);
    let half = whole / 2;
    half + half.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

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
