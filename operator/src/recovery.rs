//! Recovery stage, pure: whether a gateway that does not come back by itself is restarted now, within the Harness's
//! `recovery`.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kr8tiv_compiler::FROZEN_SECONDS;
use kr8tiv_crds::operation::Recovery;

/// How long a gateway is down before it is restarted. A container that ends, or whose liveness probe fails, is kubelet's to
/// start again: by then it has done so. What is left is a Pod without a problem that does not serve.
const GRACE: Duration = Duration::from_mins(3);
const _: () = assert!(GRACE.as_secs() > FROZEN_SECONDS);
/// The budget's period.
const PERIOD: SignedDuration = SignedDuration::from_hours(1);

/// What is to be done about a gateway that is at fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Decision {
    /// It may come back by itself: look again after this.
    Wait(Duration),
    /// Restart it.
    Restart,
    /// It was restarted a moment ago: look again after this.
    Cooldown(Duration),
    /// It may not be restarted again within this hour: look again after this.
    Spent(Duration),
    /// It is never restarted.
    Never,
}

impl Decision {
    /// What a condition says of it; nothing that changes from one moment to the next.
    pub fn told(self) -> Option<&'static str> {
        match self {
            Self::Wait(_) | Self::Restart => None,
            Self::Cooldown(_) => Some("it is restarted again when recovery.cooldown is over"),
            Self::Spent(_) => {
                Some("it is not restarted again within this hour (recovery.maxRestartsPerHour); see its log")
            }
            Self::Never => Some("recovery.maxRestartsPerHour is 0: it is not restarted"),
        }
    }

    /// When to look again.
    pub fn again(self) -> Option<Duration> {
        match self {
            Self::Wait(pause) | Self::Cooldown(pause) | Self::Spent(pause) => Some(pause),
            // A deletion may fail: whether the Pod is another one by then is looked at.
            Self::Restart => Some(GRACE),
            Self::Never => None,
        }
    }
}

/// Decides on a gateway that has been at fault for so long. Only restarts that happened count: one that is held back
/// begins no cooldown and takes nothing from the budget.
pub fn decide(at_fault: Duration, restarts: &[Time], now: Timestamp, limits: &Recovery) -> Decision {
    let Ok(allowed) = usize::try_from(limits.max_restarts_per_hour) else { return Decision::Never };
    if allowed == 0 {
        return Decision::Never;
    }
    if let Some(left) = GRACE.checked_sub(at_fault).filter(|left| !left.is_zero()) {
        return Decision::Wait(left);
    }
    let mut recent: Vec<Timestamp> = recent(restarts, now).map(|time| time.0).collect();
    recent.sort();
    let until = |restart: Timestamp, pause: SignedDuration| {
        let left = (restart + pause).duration_since(now);
        Duration::try_from(left.max(SignedDuration::ZERO)).unwrap_or_default()
    };
    let cooldown = SignedDuration::try_from(Duration::from(limits.cooldown)).unwrap_or(PERIOD);
    if let Some(last) = past(restarts, now).max_by_key(|time| time.0) {
        let left = until(last.0, cooldown);
        if !left.is_zero() {
            return Decision::Cooldown(left);
        }
    }
    match recent.len().checked_sub(allowed).and_then(|first| recent.get(first)) {
        Some(first) => Decision::Spent(until(*first, PERIOD)),
        None => Decision::Restart,
    }
}

/// The restarts of the last hour, and this one.
pub fn with_restart(restarts: &[Time], now: &Time) -> Vec<Time> {
    recent(restarts, now.0).cloned().chain([now.clone()]).collect()
}

fn recent(restarts: &[Time], now: Timestamp) -> impl Iterator<Item = &Time> {
    past(restarts, now).filter(move |time| now.duration_since(time.0) < PERIOD)
}

/// Without those that are yet to come: a clock that was ahead has noted them, and nobody may wait for it.
fn past(restarts: &[Time], now: Timestamp) -> impl Iterator<Item = &Time> {
    restarts.iter().filter(move |time| time.0 <= now)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOWN: Duration = Duration::from_mins(5);

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + minute * 60).unwrap()
    }

    fn limits(per_hour: i64) -> Recovery {
        Recovery { max_restarts_per_hour: per_hour, ..Recovery::default() }
    }

    #[test]
    fn a_gateway_may_come_back_by_itself() {
        let decision = decide(Duration::from_secs(30), &[], at(0), &limits(3));
        assert_eq!(decision, Decision::Wait(Duration::from_secs(150)));
        assert_eq!(decide(DOWN, &[], at(0), &limits(3)), Decision::Restart);
        assert_eq!(
            Decision::Restart.again(),
            Some(GRACE),
            "a Pod that could not be deleted is not forgotten"
        );
    }

    #[test]
    fn point_18_cooldown_and_restarts_of_an_hour_and_an_attempt_that_is_held_back_extends_nothing() {
        let limits = limits(3);
        let mut restarts: Vec<Time> = Vec::new();
        let mut happened = Vec::new();
        // A gateway that never comes back, looked at every minute for two hours.
        for minute in 0..120 {
            if decide(DOWN, &restarts, at(minute), &limits) == Decision::Restart {
                restarts = with_restart(&restarts, &Time(at(minute)));
                happened.push(minute);
            }
        }
        // 300 s of cooldown, three within any hour, and the next exactly an hour after the first one.
        assert_eq!(happened, [0, 5, 10, 60, 65, 70]);
        assert!(restarts.len() <= 3, "what is older than an hour is forgotten");
        let two = [Time(at(0)), Time(at(5))];
        assert_eq!(decide(DOWN, &two, at(7), &limits), Decision::Cooldown(Duration::from_mins(3)));
        let three = [two[0].clone(), two[1].clone(), Time(at(10))];
        assert_eq!(decide(DOWN, &three, at(20), &limits), Decision::Spent(Duration::from_mins(40)));
    }

    #[test]
    fn zero_is_never() {
        assert_eq!(decide(DOWN, &[], at(0), &limits(0)), Decision::Never);
    }

    #[test]
    fn a_clock_that_was_ahead_holds_nobody() {
        let ahead = [Time(at(10_000))];
        assert_eq!(decide(DOWN, &ahead, at(0), &limits(3)), Decision::Restart);
        assert_eq!(with_restart(&ahead, &Time(at(0))), [Time(at(0))]);
    }

    #[test]
    fn a_cooldown_may_be_longer_than_the_budgets_period() {
        let limits = Recovery { cooldown: Duration::from_hours(2).into(), ..limits(3) };
        let restarts = [Time(at(0))];
        assert_eq!(decide(DOWN, &restarts, at(90), &limits), Decision::Cooldown(Duration::from_mins(30)));
        assert_eq!(decide(DOWN, &restarts, at(120), &limits), Decision::Restart);
    }
}
