//! Probing stage, pure: what the gateway's answers mean.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::judge::observation::Phase;

/// For how long an error of a model counts, when no call of it came after.
pub const MODEL_ERROR_WINDOW: Duration = Duration::from_mins(15);

/// How many calls of models are asked for, of those that ended in an error and of the others: the last ones.
pub const MODEL_EVENTS: usize = 50;

/// How many entries of a list are kept. The rest is read and forgotten: nothing that a gateway says fills our memory.
const MAX_KEPT: usize = 100;

/// The body of `/startupz`.
#[derive(Debug, Clone, Deserialize)]
pub struct Startup {
    pub(super) ok: bool,
    status: StartupStatus,
    /// OpenClaw's release.
    #[serde(default)]
    pub version: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum StartupStatus {
    Starting,
    Started,
    Draining,
}

impl Startup {
    /// Where in its life it is.
    pub fn phase(&self) -> Phase {
        match self.status {
            StartupStatus::Starting => Phase::Starting,
            StartupStatus::Started => Phase::Started,
            StartupStatus::Draining => Phase::Draining,
        }
    }
}

/// The body of `/healthz`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Live {
    pub(super) ok: bool,
}

/// The body of `/readyz`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Readiness {
    /// Whether everything is ready, the channels too.
    pub ready: bool,
    /// What is not: ids of channels and names of parts.
    #[serde(default, deserialize_with = "first")]
    pub failing: Vec<String>,
}

/// The answer to `health`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Health {
    /// Of the JavaScript event loop.
    pub event_loop: Degradable,
    /// Of what runs models.
    pub model_runtime: Degradable,
}

/// Something that says of itself whether it is degraded.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Degradable {
    /// Whether it is.
    pub degraded: bool,
}

/// The answer to `config.get`, without the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    /// Whether the file is accepted.
    pub valid: bool,
    /// What is wrong with it.
    #[serde(default, deserialize_with = "first")]
    pub issues: Vec<Issue>,
    /// Of the file, when it is valid.
    #[serde(default, rename = "configRevisionHash")]
    pub revision: Option<String>,
    /// Of what the gateway runs with.
    #[serde(default, rename = "appliedConfigHash")]
    pub applied: Option<String>,
}

impl Config {
    /// Whether the gateway runs with the file as it is.
    pub fn is_applied(&self) -> bool {
        self.valid && self.revision.is_some() && self.revision == self.applied
    }
}

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Issue {
    /// Where; empty for the root.
    #[serde(default)]
    pub path: String,
    /// What.
    #[serde(default)]
    pub message: String,
}

/// The answer to `system.info`, of which we need the memory. Its disks are those that we see ourselves.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SystemInfo {
    process_memory: ProcessMemory,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProcessMemory {
    rss_bytes: u64,
}

impl SystemInfo {
    /// Resident memory of the gateway's main process, in bytes. Its two helpers, about 170 MB, are not in it.
    pub fn rss_bytes(&self) -> u64 {
        self.process_memory.rss_bytes
    }
}

/// The answer to `diagnostics.stability` for one type of events.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stability {
    generated_at: String,
    #[serde(default, deserialize_with = "first")]
    events: Vec<ModelEvent>,
}

#[derive(Debug, Clone, Deserialize)]
struct ModelEvent {
    /// Milliseconds since 1970, of the gateway's clock.
    ts: u64,
    #[serde(default)]
    provider: String,
    #[serde(default)]
    model: String,
}

/// The models whose last call ended in an error, not longer ago than [`MODEL_ERROR_WINDOW`], as `provider/model`. Both
/// answers are of the same clock, so that ours does not matter.
///
/// Calls of busy models push those of others out of the list. Whether a call succeeded between an error and the oldest
/// one in a full list is not known, and what is not known is not said.
pub fn failing_models(errors: &Stability, completions: &Stability) -> Vec<String> {
    let last = |stability: &Stability| {
        let mut last = BTreeMap::<String, u64>::new();
        for ModelEvent { ts, provider, model } in &stability.events {
            let time = last.entry(format!("{provider}/{model}")).or_default();
            *time = (*time).max(*ts);
        }
        last
    };
    let Ok(now) = humantime::parse_rfc3339(&errors.generated_at) else { return Vec::new() };
    let now = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let completed = last(completions);
    let oldest = completions.events.iter().map(|event| event.ts).min();
    let known_since = oldest.filter(|_| completions.events.len() >= MODEL_EVENTS).unwrap_or_default();
    let failing = last(errors).into_iter().filter(|(model, time)| {
        let recent = now.saturating_sub(Duration::from_millis(*time)) <= MODEL_ERROR_WINDOW;
        recent && *time >= known_since && completed.get(model).is_none_or(|completed| completed < time)
    });
    failing.map(|(model, _)| model).collect()
}

/// The first entries of a list.
fn first<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    struct First<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for First<T> {
        type Value = Vec<T>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
            let mut kept = Vec::new();
            while kept.len() < MAX_KEPT {
                match list.next_element()? {
                    Some(entry) => kept.push(entry),
                    None => return Ok(kept),
                }
            }
            while list.next_element::<IgnoredAny>()?.is_some() {}
            Ok(kept)
        }
    }

    deserializer.deserialize_seq(First(PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse<T: for<'a> Deserialize<'a>>(text: &str) -> T {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn real_answers_are_understood() {
        let starting: Startup = parse(
            r#"{"ok":false,"status":"starting","version":"2026.9.6","uptimeMs":1985,"pendingReason":"x"}"#,
        );
        assert_eq!((starting.phase(), starting.version.as_deref()), (Phase::Starting, Some("2026.9.6")));
        let draining: Startup = parse(r#"{"ok":false,"status":"draining"}"#);
        assert_eq!(draining.phase(), Phase::Draining);
        let ready: Readiness =
            parse(r#"{"ready":false,"failing":["telegram"],"eventLoop":{"degraded":false}}"#);
        assert_eq!(ready.failing, ["telegram"]);
        let refused: Config = parse(
            r#"{"valid":false,"issues":[{"path":"","message":"Unrecognized key: \"bogus\""}],
               "configRevisionHash":null,"appliedConfigHash":"hmac-sha256:v1:a","parsed":null}"#,
        );
        assert!(!refused.is_applied() && refused.issues.len() == 1);
        let applied: Config =
            parse(r#"{"valid":true,"issues":[],"configRevisionHash":"a","appliedConfigHash":"a"}"#);
        assert!(applied.is_applied());
        assert!(!parse::<Config>(r#"{"valid":true}"#).is_applied(), "nothing is equal to nothing");
        let system: SystemInfo = parse(r#"{"pid":5730,"processMemory":{"rssBytes":863571968,"x":1}}"#);
        assert_eq!(system.rss_bytes(), 863_571_968);
        let health: Health = parse(r#"{"ok":true,"eventLoop":{"degraded":true,"reasons":[]}}"#);
        assert!(health.event_loop.degraded && !health.model_runtime.degraded);
    }

    #[test]
    fn of_a_long_list_the_first_entries_are_kept() {
        let issues: Vec<_> = (0..1000).map(|n| serde_json::json!({"path": n.to_string()})).collect();
        let config: Config =
            serde_json::from_value(serde_json::json!({"issues": issues, "valid": false})).unwrap();
        assert_eq!(config.issues.len(), MAX_KEPT);
        assert_eq!(config.issues[MAX_KEPT - 1].path, (MAX_KEPT - 1).to_string());
        assert!(!config.valid, "what stands behind it is read");
    }

    #[test]
    fn a_model_fails_until_a_call_succeeds_or_its_error_is_old() {
        let stability = |events: &[(u64, &str)]| -> Stability {
            let events: Vec<_> = events
                .iter()
                .map(|(minute, model)| {
                    serde_json::json!({"seq": 1, "ts": minute * 60_000, "provider": "mock", "model": model})
                })
                .collect();
            serde_json::from_value(
                serde_json::json!({"generatedAt": "1970-01-01T01:00:00.500Z", "events": events}),
            )
            .unwrap()
        };
        let failing = |errors: &[(u64, &str)], completions: &[(u64, &str)]| {
            failing_models(&stability(errors), &stability(completions))
        };
        assert_eq!(failing(&[(59, "a"), (50, "b"), (58, "a")], &[]), ["mock/a", "mock/b"]);
        assert_eq!(failing(&[(50, "a")], &[(55, "a")]), Vec::<String>::new());
        assert_eq!(failing(&[(56, "a")], &[(55, "a"), (59, "b")]), ["mock/a"]);
        assert_eq!(failing(&[(44, "a")], &[]), Vec::<String>::new());

        // After 55 only calls of b are seen, and a call of a may have succeeded before.
        let full = [(55, "b"); MODEL_EVENTS];
        assert_eq!(failing(&[(50, "a")], &full), Vec::<String>::new());
        assert_eq!(failing(&[(50, "a")], &full[1..]), ["mock/a"]);
        assert_eq!(failing(&[(56, "a")], &full), ["mock/a"]);
    }
}
