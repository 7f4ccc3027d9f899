//! Reporting stage, pure: what the watchdog says about its deliveries, and the body of `/status`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::bundle::Pending;
use crate::gateway_status::GatewayStatus;
use crate::names::{Digest, Target};
use crate::sandbox::reason::SandboxReason;

/// For how long a file counts as drifted after it was found changed.
pub const DRIFT_WINDOW: Duration = Duration::from_mins(10);
/// How many drifted files are kept, the latest ones.
const MAX_DRIFTED: usize = 50;

/// How a pass ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The bundle is completely on disk.
    Delivered(Digest),
    /// The mounts are not coherent: nothing was touched.
    Pending(Pending),
    /// The operating system refused something; what is right on disk stays, the rest is tried again.
    Failed {
        /// The bundle that is not completely on disk.
        bundle_hash: Option<Digest>,
        /// What failed, with path and operating system error.
        error: String,
    },
}

/// What a pass did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// How it ended.
    pub outcome: Outcome,
    /// What it put back, or would have.
    pub restored: Restored,
}

/// What was changed or deleted although it is the operator's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Restored {
    /// Workspace files that were put back.
    pub files: Vec<Target>,
    /// `openclaw.json`, which no agent can reach, was put back.
    pub config: bool,
    /// Workspace files that could not be put back.
    pub refused: Vec<Target>,
}

impl Restored {
    /// How many files were put back.
    pub fn count(&self) -> u64 {
        let files = u64::try_from(self.files.len()).unwrap_or(u64::MAX);
        files.saturating_add(u64::from(self.config))
    }
}

/// What the deliveries until now amount to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    delivered: Option<Digest>,
    /// A pass failed after that delivery: what is on disk may be of two bundles.
    mixed: bool,
    pending: Option<Pending>,
    error: Option<String>,
    restored_total: u64,
    /// When each file was last found changed.
    drifted: BTreeMap<Target, Duration>,
}

/// The body of `/status`.
#[derive(Debug, Serialize)]
pub struct Body<'a> {
    version: &'static str,
    delivered: Option<Delivered>,
    pending: Option<&'a Pending>,
    error: Option<&'a str>,
    drift: Drift,
    gateway: Gateway<'a>,
    sandboxes: Vec<Sandbox<'a>>,
}

/// A sandbox that was probed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxStatus {
    /// Its name, from the command line.
    pub name: String,
    /// How it was when it was last probed.
    pub reason: SandboxReason,
    /// Which keys it was probed with; `None` where one could not be read.
    pub keys: Option<String>,
    /// When the attempt began.
    pub at: Duration,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Sandbox<'a> {
    name: &'a str,
    reason: SandboxReason,
    keys: Option<&'a str>,
    age_seconds: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Gateway<'a> {
    #[serde(flatten)]
    status: &'a GatewayStatus,
    last_probe_age_seconds: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Delivered {
    bundle_hash: Digest,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Drift {
    restored_total: u64,
    files: Vec<String>,
}

impl Status {
    /// Whether a bundle has been delivered completely since the start.
    pub fn is_ready(&self) -> bool {
        self.delivered.is_some()
    }

    /// The bundle that is completely on disk; `None` from a pass that failed until the next complete delivery.
    pub fn on_disk(&self) -> Option<Digest> {
        self.delivered.filter(|_| !self.mixed)
    }

    /// The body of `/status`, as of `now`.
    pub fn body<'a>(
        &'a self,
        now: Duration,
        gateway: &'a GatewayStatus,
        sandboxes: &'a [SandboxStatus],
    ) -> Body<'a> {
        let Self { delivered: _, mixed: _, pending, error, restored_total, drifted } = self;
        let recent = drifted.iter().filter(|(_, at)| is_recent(**at, now));
        Body {
            version: env!("CARGO_PKG_VERSION"),
            delivered: self.on_disk().map(|bundle_hash| Delivered { bundle_hash }),
            pending: pending.as_ref(),
            error: error.as_deref(),
            drift: Drift {
                restored_total: *restored_total,
                files: recent.map(|(target, _)| shown(target)).collect(),
            },
            gateway: Gateway {
                status: gateway,
                last_probe_age_seconds: gateway.last_probe.map(|at| now.saturating_sub(at).as_secs()),
            },
            sandboxes: sandboxes
                .iter()
                .map(|SandboxStatus { name, reason, keys, at }| Sandbox {
                    name,
                    reason: *reason,
                    keys: keys.as_deref(),
                    age_seconds: now.saturating_sub(*at).as_secs(),
                })
                .collect(),
        }
    }

    /// Takes a pass into account.
    pub fn record(&mut self, report: Report, now: Duration) {
        let Report { outcome, restored } = report;
        self.restored_total = self.restored_total.saturating_add(restored.count());
        self.drifted.retain(|_, at| is_recent(*at, now));
        let changed = restored.files.into_iter().chain(restored.refused);
        self.drifted.extend(changed.map(|target| (target, now)));
        while self.drifted.len() > MAX_DRIFTED {
            let oldest = self.drifted.iter().min_by_key(|(_, at)| **at).map(|(target, _)| target.clone());
            oldest.map(|target| self.drifted.remove(&target));
        }
        (self.pending, self.error) = match outcome {
            Outcome::Delivered(bundle_hash) => {
                self.delivered = Some(bundle_hash);
                self.mixed = false;
                (None, None)
            }
            Outcome::Pending(pending) => (Some(pending), None),
            Outcome::Failed { bundle_hash, error } => {
                self.mixed = true;
                let reasons = vec!["not completely on disk, see error".to_owned()];
                (bundle_hash.map(|hash| Pending { bundle_hash: Some(hash), reasons }), Some(error))
            }
        };
    }
}

fn shown(Target { agent, file }: &Target) -> String {
    format!("{}/{}", agent.as_str(), file.as_str())
}

fn is_recent(at: Duration, now: Duration) -> bool {
    now.saturating_sub(at) <= DRIFT_WINDOW
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: Duration = Duration::from_hours(1);

    fn json(status: &Status, now: Duration) -> Value {
        let gateway = GatewayStatus::unknown("2026-11-25T12:00:00Z".into());
        let sandboxes = [SandboxStatus {
            name: "acme-sandbox".into(),
            reason: SandboxReason::AuthFailed,
            keys: Some("k".into()),
            at: now.saturating_sub(Duration::from_secs(7)),
        }];
        serde_json::to_value(status.body(now, &gateway, &sandboxes)).unwrap()
    }

    fn restored(files: &[&str]) -> Restored {
        let files = files.iter().map(|file| format!("workspace-{file}").try_into().unwrap()).collect();
        Restored { files, ..Restored::default() }
    }

    fn delivered(digest: Digest, restored: Restored) -> Report {
        Report { outcome: Outcome::Delivered(digest), restored }
    }

    #[test]
    fn starts_with_nothing_delivered() {
        let expected = json!({
            "version": "0.1.0", "delivered": null, "pending": null, "error": null,
            "drift": {"restoredTotal": 0, "files": []},
            "gateway": {
                "state": "Starting", "reasons": ["GatewayStarting"], "since": "2026-11-25T12:00:00Z",
                "version": null, "config": null, "channels": [], "notReady": [], "failingModels": [],
                "disk": null, "memory": null, "lastProbeAgeSeconds": null,
            },
            "sandboxes": [{"name": "acme-sandbox", "reason": "AuthFailed", "keys": "k", "ageSeconds": 7}],
        });
        assert_eq!(json(&Status::default(), NOW), expected);
        assert!(!Status::default().is_ready());
    }

    #[test]
    fn what_goes_wrong_after_a_delivery_is_told_beside_it() {
        let (old, new) = (Digest::of(b"old"), Digest::of(b"new"));
        let mut status = Status::default();
        status.record(delivered(old, restored(&["a/X.md", "a/Y.md"])), NOW);
        let error = "write /x: No space left on device (os error 28)".to_owned();
        let failed = Outcome::Failed { bundle_hash: Some(new), error: error.clone() };
        status.record(Report { outcome: failed, restored: restored(&["a/X.md"]) }, NOW);
        let body = json(&status, NOW);
        assert_eq!(body["delivered"], Value::Null, "some of it may be the new one's");
        assert_eq!(body["pending"]["bundleHash"], new.to_string());
        assert_eq!(body["error"], error);
        assert_eq!(body["drift"]["restoredTotal"], 3);

        let pending = Outcome::Pending(Pending::no_manifest("missing"));
        status.record(Report { outcome: pending, restored: Restored::default() }, NOW);
        let body = json(&status, NOW);
        assert_eq!(body["pending"]["bundleHash"], Value::Null);
        assert_eq!(body["pending"]["reasons"][0], "config/delivery.json: missing");
        assert_eq!(body["error"], Value::Null);
        assert!(status.is_ready(), "the gateway may start with what is there");

        status.record(delivered(new, Restored::default()), NOW);
        assert_eq!(json(&status, NOW)["delivered"]["bundleHash"], new.to_string());
        assert_eq!(json(&status, NOW)["pending"], Value::Null);
    }

    #[test]
    fn after_a_pass_that_failed_no_bundle_is_on_disk_until_one_is_delivered() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let failed = |hash| Report {
            outcome: Outcome::Failed { bundle_hash: Some(hash), error: "no room".to_owned() },
            restored: Restored::default(),
        };
        let mut status = Status::default();
        assert_eq!(status.on_disk(), None);
        status.record(delivered(a, Restored::default()), NOW);
        assert_eq!(status.on_disk(), Some(a));
        status.record(failed(b), NOW);
        assert_eq!(status.on_disk(), None, "some of it may be b's");
        // That the mounts change again does not bring back what was on disk.
        let pending = Outcome::Pending(Pending::no_manifest("missing"));
        status.record(Report { outcome: pending, restored: Restored::default() }, NOW);
        assert_eq!(status.on_disk(), None);
        status.record(delivered(a, Restored::default()), NOW);
        assert_eq!(status.on_disk(), Some(a));
        status.record(failed(a), NOW);
        assert_eq!(status.on_disk(), None, "a file of it was changed and could not be put back");
    }

    #[test]
    fn a_changed_file_that_cannot_be_put_back_has_drifted_too() {
        let refused = Restored { refused: restored(&["a/AGENTS.md"]).files, ..restored(&["a/SOUL.md"]) };
        let outcome = Outcome::Failed { bundle_hash: Some(Digest::of(b"x")), error: "no room".to_owned() };
        let mut status = Status::default();
        status.record(Report { outcome, restored: refused }, NOW);
        let drift = json(&status, NOW)["drift"].clone();
        assert_eq!(drift, json!({"restoredTotal": 1, "files": ["a/AGENTS.md", "a/SOUL.md"]}));
    }

    #[test]
    fn point_23_drift_lists_exactly_the_files_that_were_changed_and_is_over_after_a_while() {
        let minutes = Duration::from_mins;
        let mut status = Status::default();
        status.record(delivered(Digest::of(b"x"), restored(&["b/SOUL.md", "a/AGENTS.md"])), NOW);
        status.record(delivered(Digest::of(b"x"), restored(&["b/SOUL.md"])), NOW + minutes(5));
        let config = Restored { config: true, ..Restored::default() };
        status.record(delivered(Digest::of(b"x"), config), NOW + minutes(6));
        let files = |now| json(&status, now)["drift"]["files"].clone();
        assert_eq!(files(NOW + minutes(10)), json!(["a/AGENTS.md", "b/SOUL.md"]));
        assert_eq!(files(NOW + minutes(11)), json!(["b/SOUL.md"]));
        assert_eq!(files(NOW + minutes(16)), json!([]));
        assert_eq!(json(&status, NOW)["drift"]["restoredTotal"], 4);
    }

    #[test]
    fn the_list_of_drifted_files_is_bounded() {
        let mut status = Status::default();
        for second in 0..200 {
            let at = NOW + Duration::from_secs(second);
            status.record(delivered(Digest::of(b"x"), restored(&[&format!("a/F{second:03}.md")])), at);
        }
        let body = json(&status, NOW + Duration::from_secs(200));
        let files = body["drift"]["files"].as_array().unwrap();
        assert_eq!(files.len(), MAX_DRIFTED);
        assert_eq!(files.first(), Some(&json!("a/F150.md")), "the latest are kept");
    }
}
