//! Waiting for a condition with a deadline. No I/O of its own.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

use crate::Outcome;

/// How often a condition is looked at.
const PERIOD: Duration = Duration::from_millis(100);

/// The deadline passed before the condition held.
#[derive(Debug, thiserror::Error)]
#[error("{what}: not within {} s; at last: {last}", limit.as_secs())]
pub struct Expired {
    what: String,
    limit: Duration,
    last: String,
}

/// Looks at a condition until it holds and gives what the look found. An error of `look` means "not yet", and the
/// last one is in the error of an expired deadline. A failed assertion in `look` ends the waiting at once.
pub async fn until<T>(
    what: &str,
    limit: Duration,
    mut look: impl AsyncFnMut() -> Outcome<T>,
) -> Result<T, Expired> {
    let deadline = Instant::now() + limit;
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = "not looked at yet".to_owned();
    loop {
        ticks.tick().await;
        match timeout_at(deadline, look()).await {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(not_yet)) => last = not_yet.to_string(),
            Err(_) => {}
        }
        if Instant::now() >= deadline {
            return Err(Expired { what: what.to_owned(), limit, last });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_ends_with_what_was_found() {
        let mut looks = 0;
        let found = until("three looks", Duration::from_secs(10), async || {
            looks += 1;
            if looks < 3 { Err("too early".into()) } else { Ok(looks) }
        })
        .await;
        assert_eq!(found.unwrap(), 3);
    }

    #[tokio::test]
    async fn an_expired_deadline_says_what_was_seen_last() {
        let error =
            until("a miracle", Duration::from_millis(150), async || Outcome::<()>::Err("no sign".into()))
                .await
                .unwrap_err();
        assert!(error.to_string().ends_with("at last: no sign"), "{error}");
    }

    #[tokio::test]
    async fn a_look_that_hangs_does_not_hang_the_test() {
        let error = until("an answer", Duration::from_millis(150), async || {
            std::future::pending::<()>().await;
            Ok(())
        })
        .await
        .unwrap_err();
        assert!(error.to_string().contains("an answer"), "{error}");
    }
}
