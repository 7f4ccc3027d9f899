//! When a request is sent again within a call. Pure, but for the clock that a date is compared with.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::RETRY_AFTER;

use crate::error::Error;
use crate::transport::TransportError;

/// Requests of one call. More would only help an outage along.
const ATTEMPTS: u32 = 3;

/// The first pause after a failed connection; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// Longer waits than this are taken for this: nobody means them, and times must stay within what a clock can add.
const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(24);

/// Whether it does harm when a request arrives twice.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Repeat {
    /// It reads, or it writes what a second one would write the same.
    Harmless,
    /// It would store the same again.
    Harmful,
}

/// How long to wait before the next attempt; `None` when there is none. `attempt` counts from one.
pub(crate) fn pause(error: &Error, attempt: u32, repeat: Repeat) -> Option<Duration> {
    if attempt >= ATTEMPTS {
        return None;
    }
    let backoff = FIRST_PAUSE * 2u32.pow(attempt - 1);
    let harmless = repeat == Repeat::Harmless;
    match error {
        // Nothing has been sent.
        Error::Unreachable(TransportError::Connect(_)) => Some(backoff),
        Error::Unreachable(TransportError::Broken(_)) => harmless.then_some(backoff),
        Error::RateLimited { retry_after } | Error::ServerFailed { status: 503, retry_after } => {
            retry_after.filter(|_| harmless)
        }
        _ => None,
    }
}

/// `Retry-After` (RFC 9110): seconds, or a date; a day at most.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if let Ok(seconds) = text.parse::<f64>() {
        Duration::try_from_secs_f64(seconds).ok()?
    } else {
        let date = httpdate::parse_http_date(text).ok()?;
        date.duration_since(now).unwrap_or_default()
    };
    Some(wait.min(LONGEST_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (value, expected) in [
            ("120", Some(Duration::from_mins(2))),
            ("0.5", Some(Duration::from_millis(500))),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(Duration::from_secs(10))),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(Duration::ZERO)),
            ("1e19", Some(LONGEST_RETRY_AFTER)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(LONGEST_RETRY_AFTER)),
            ("-1", None),
            ("soon", None),
            ("1e400", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
            assert_eq!(retry_after(&headers, now), expected, "{value}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn only_what_is_safe_and_helps_is_sent_again() {
        use Repeat::{Harmful, Harmless};
        let wait = Duration::from_secs(3);
        let connect = || Error::Unreachable(TransportError::Connect("refused".into()));
        let broken = || Error::Unreachable(TransportError::Broken("reset".into()));
        assert_eq!(pause(&connect(), 1, Harmful), Some(FIRST_PAUSE));
        assert_eq!(pause(&connect(), 2, Harmless), Some(FIRST_PAUSE * 2));
        assert_eq!(pause(&connect(), 3, Harmless), None);
        assert_eq!((pause(&broken(), 1, Harmless), pause(&broken(), 1, Harmful)), (Some(FIRST_PAUSE), None));
        for error in [
            Error::RateLimited { retry_after: Some(wait) },
            Error::ServerFailed { status: 503, retry_after: Some(wait) },
        ] {
            assert_eq!((pause(&error, 1, Harmless), pause(&error, 1, Harmful)), (Some(wait), None));
        }
        for error in [
            Error::AuthFailed { status: 401 },
            Error::QuotaExceeded { status: 402 },
            Error::RateLimited { retry_after: None },
            Error::ServerFailed { status: 500, retry_after: Some(wait) },
            Error::Unreachable(TransportError::AddressRefused { host: "h".into() }),
        ] {
            assert_eq!(pause(&error, 1, Harmless), None, "{error}");
        }
    }
}
