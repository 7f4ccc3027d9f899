//! What a fetch came to, as a condition, and when the next one is due. Pure.
//!
//! Messages are stable: without times, counters and anything that a service says.

use std::any::Any;
use std::error::Error as StdError;
use std::time::Duration;

use kr8tiv_crds::duration;
use kr8tiv_crds::status::{ConditionStatus, ConditionType, Finding, Reason};
use kr8tiv_supermemory::{BadResponse, Error, TransportError};

use super::keys::KeyError;
use super::wanted::Wanted;
use crate::backoff::{Pace, jittered};
use crate::client::said;
use crate::controller::Panicked;
use crate::key::Key;

/// The pause after a first failure; it doubles up to the interval of refreshes.
const FIRST_PAUSE: Duration = Duration::from_secs(10);

/// A key that is refused is looked at again after this time at the latest: somebody may be putting a new one there.
const LONGEST_WAIT_FOR_KEY: Duration = Duration::from_mins(5);

/// Longer than this no `Retry-After` is heeded.
const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(1);

/// A failure that may be over in a moment is shown when it has come this often in a row: earlier, the condition would
/// only flicker.
const SHOWN_FROM: u32 = 3;

/// Who asks for a longer wait than this does not hiccup.
const LONGEST_HICCUP: Duration = Duration::from_mins(1);

/// Why a round failed.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) finding: Finding,
    /// The whole story, for the log: what the system said of a connection, for one.
    pub(super) detail: String,
    /// How long the service asks to be left alone.
    retry_after: Option<Duration>,
    /// Whether it may be over in a moment.
    is_hiccup: bool,
}

/// The condition with a reason.
pub(super) fn finding(reason: Reason, message: impl Into<String>) -> Finding {
    let status = match reason {
        Reason::Succeeded => ConditionStatus::True,
        Reason::Starting | Reason::Disabled => ConditionStatus::Unknown,
        _ => ConditionStatus::False,
    };
    Finding { type_: ConditionType::MemoryHealthy, status, reason, message: message.into() }
}

/// All is well.
pub(super) fn well() -> Finding {
    finding(Reason::Succeeded, "context is fetched from Supermemory")
}

/// An error with its causes.
fn story(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        // Some errors say what their cause says.
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

impl Trouble {
    /// The key could not be had.
    pub(super) fn by_key(tenant: &Key, error: &KeyError) -> Self {
        let (message, is_hiccup) = match error {
            KeyError::Missing(line) => (line.clone(), false),
            KeyError::Unusable { secret, why } => {
                (format!("Secret {}, key {}: {why}; put the API key there", secret.name, secret.key), false)
            }
            KeyError::Api { name, source } => {
                (format!("Secret {name} of namespace {}: {}", tenant.namespace, said(source)), true)
            }
            KeyError::Silent { name } => {
                let namespace = &tenant.namespace;
                (format!("Secret {name} of namespace {namespace}: the API server does not answer"), true)
            }
        };
        let detail = story(error);
        Self { finding: finding(Reason::NoApiKey, message), detail, retry_after: None, is_hiccup }
    }

    /// The round panicked. What the panic says is for the log: it may quote anything.
    pub(super) fn by_panic(panic: &(dyn Any + Send)) -> Self {
        let message = "the operator has a fault that this Tenant's memory brings out; its log says more";
        let detail = format!("panicked: {}", Panicked::of(panic));
        Self { finding: finding(Reason::InternalError, message), detail, retry_after: None, is_hiccup: false }
    }

    /// The base URL is none.
    pub(super) fn by_base_url(wanted: &Wanted) -> Self {
        let message =
            format!("spec.supermemory.baseUrl of the Harness, {}, is no URL of a service", wanted.base_url);
        let detail = message.clone();
        Self { finding: finding(Reason::Unreachable, message), detail, retry_after: None, is_hiccup: false }
    }

    /// A call failed.
    pub(super) fn by_call(wanted: &Wanted, error: &Error) -> Self {
        let Wanted { base_url, container_tag, timeout, .. } = wanted;
        let secret = wanted.key.as_ref();
        let (name, key) = secret.map_or(("", ""), |secret| (secret.name.as_str(), secret.key.as_str()));
        let (reason, message, is_hiccup) = match error {
            Error::AuthFailed { .. } => (
                Reason::AuthFailed,
                format!(
                    "Supermemory refuses the key in Secret {name}, key {key}, for the tag {container_tag}; put a valid \
                     one there: it is read again within minutes"
                ),
                false,
            ),
            Error::QuotaExceeded { .. } => (
                Reason::QuotaExceeded,
                "the plan at Supermemory is used up; enlarge it, or lengthen spec.supermemory.refreshInterval of the \
                 Harness"
                    .to_owned(),
                false,
            ),
            Error::RateLimited { retry_after } => (
                Reason::RateLimited,
                "Supermemory asks for fewer requests; lengthen spec.supermemory.refreshInterval of the Harness, or \
                 remove queries"
                    .to_owned(),
                retry_after.is_none_or(|wait| wait <= LONGEST_HICCUP),
            ),
            Error::Timeout { .. } => {
                let within = duration::text((*timeout).into());
                (Reason::Timeout, format!("{base_url} does not answer within {within}"), true)
            }
            Error::Unreachable(TransportError::AddressRefused { host }) => (
                Reason::Unreachable,
                format!(
                    "the operator may not talk to the address of {host}; for a service in a private network, it needs \
                     --supermemory-addresses=private"
                ),
                false,
            ),
            Error::Unreachable(TransportError::Connect(_)) => {
                (Reason::Unreachable, format!("there is no connection to {base_url}"), true)
            }
            Error::Unreachable(TransportError::Broken(_)) => {
                (Reason::Unreachable, format!("connections to {base_url} break"), true)
            }
            Error::ServerFailed { status, .. } => {
                (Reason::Unreachable, format!("{base_url} is out of order (status {status})"), true)
            }
            Error::BadResponse(problem) => {
                let hint = if matches!(problem, BadResponse::Status(_)) { "; is it a Supermemory?" } else { "" };
                (Reason::BadResponse, format!("the answer of {base_url} is none: {problem}{hint}"), true)
            }
        };
        let detail = story(error);
        Self { finding: finding(reason, message), detail, retry_after: error.retry_after(), is_hiccup }
    }

    /// What is to be said after this failure, the `failures`th in a row, when this was said before.
    pub(super) fn shown(&self, before: Option<&Finding>, failures: u32) -> Finding {
        let was_well = before.filter(|before| before.status == ConditionStatus::True);
        match was_well {
            Some(before) if self.is_hiccup && failures < SHOWN_FROM => before.clone(),
            _ => self.finding.clone(),
        }
    }

    /// How long to wait after it.
    pub(super) fn pause(&self, failures: u32, refresh: Duration) -> Duration {
        let doubled = FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(16));
        let pause = match self.finding.reason {
            Reason::NoApiKey => Pace::Missing.pause(failures),
            Reason::AuthFailed => doubled.min(LONGEST_WAIT_FOR_KEY),
            Reason::QuotaExceeded => refresh,
            _ => doubled.min(refresh),
        };
        let asked = self.retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER);
        jittered(pause).max(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFRESH: Duration = Duration::from_mins(15);

    fn wanted() -> Wanted {
        Wanted {
            base_url: "https://memory.example.com".into(),
            container_tag: "tenant-acme-01234567".into(),
            key: None,
            queries: vec!["q".into()],
            limit: 8,
            threshold: 0.45,
            timeout: Duration::from_secs(8),
            refresh: REFRESH,
            seed: None,
        }
    }

    fn trouble(error: &Error) -> Trouble {
        Trouble::by_call(&wanted(), error)
    }

    #[test]
    fn every_failure_has_its_reason() {
        let connect = || TransportError::Connect("os error 111".into());
        for (error, reason, message) in [
            (Error::Timeout { within: Duration::from_secs(8) }, Reason::Timeout, "does not answer within 8s"),
            (
                Error::Unreachable(connect()),
                Reason::Unreachable,
                "no connection to https://memory.example.com",
            ),
            (Error::ServerFailed { status: 500, retry_after: None }, Reason::Unreachable, "status 500"),
            (
                Error::BadResponse(BadResponse::Status(404)),
                Reason::BadResponse,
                "status 404; is it a Supermemory?",
            ),
            (Error::QuotaExceeded { status: 402 }, Reason::QuotaExceeded, "used up"),
            (Error::AuthFailed { status: 403 }, Reason::AuthFailed, "tag tenant-acme-01234567"),
        ] {
            let finding = trouble(&error).finding;
            assert_eq!((finding.reason, finding.status), (reason, ConditionStatus::False));
            assert!(finding.message.contains(message), "{}", finding.message);
        }
    }

    #[test]
    fn pauses_grow_to_the_interval_and_heed_the_service() {
        let rounded = |error: &Error, failures| {
            let pause = trouble(error).pause(failures, REFRESH);
            (7..=19).contains(&pause.as_secs())
        };
        let timeout = Error::Timeout { within: Duration::from_secs(8) };
        assert!(rounded(&timeout, 1) && !rounded(&timeout, 3));
        let longest = trouble(&timeout).pause(40, REFRESH);
        assert!(longest >= REFRESH.mul_f64(0.75) && longest <= REFRESH.mul_f64(1.25));
        let limited = |wait| Error::RateLimited { retry_after: Some(Duration::from_secs(wait)) };
        assert_eq!(trouble(&limited(600)).pause(1, REFRESH), Duration::from_mins(10));
        assert_eq!(trouble(&limited(999_999)).pause(1, REFRESH), LONGEST_RETRY_AFTER);
    }

    #[test]
    fn a_hiccup_is_not_shown_at_once() {
        let timeout = trouble(&Error::Timeout { within: Duration::from_secs(8) });
        let well = well();
        assert_eq!(timeout.shown(Some(&well), 2), well);
        assert_eq!(timeout.shown(Some(&well), 3).reason, Reason::Timeout);
        assert_eq!(timeout.shown(None, 1).reason, Reason::Timeout, "there is nothing better to say");
        let refused = trouble(&Error::AuthFailed { status: 401 });
        assert_eq!(refused.shown(Some(&well), 1).reason, Reason::AuthFailed);
    }
}
