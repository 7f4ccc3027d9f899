//! Reporting stage, pure: what the watchdog says about itself.

use serde::Serialize;

use crate::bundle::Pending;
use crate::names::Digest;

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
    /// How many drifted files it put back.
    pub restored: u64,
}

/// The body of `/status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    version: &'static str,
    delivered: Option<Delivered>,
    pending: Option<Pending>,
    error: Option<String>,
    drift: Drift,
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
}

impl Default for Status {
    fn default() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            delivered: None,
            pending: None,
            error: None,
            drift: Drift { restored_total: 0 },
        }
    }
}

impl Status {
    /// Whether a bundle has been delivered completely since the start.
    pub fn is_ready(&self) -> bool {
        self.delivered.is_some()
    }

    /// Takes a pass into account. `delivered` is only ever replaced by a later complete delivery.
    pub fn record(&mut self, report: Report) {
        let Report { outcome, restored } = report;
        self.drift.restored_total += restored;
        (self.pending, self.error) = match outcome {
            Outcome::Delivered(bundle_hash) => {
                self.delivered = Some(Delivered { bundle_hash });
                (None, None)
            }
            Outcome::Pending(pending) => (Some(pending), None),
            Outcome::Failed { bundle_hash, error } => {
                let reasons = vec!["not completely on disk, see error".to_owned()];
                (bundle_hash.map(|hash| Pending { bundle_hash: Some(hash), reasons }), Some(error))
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(status: &Status) -> serde_json::Value {
        serde_json::to_value(status).unwrap()
    }

    #[test]
    fn starts_with_nothing_delivered() {
        let expected = serde_json::json!({
            "version": "0.1.0", "delivered": null, "pending": null, "error": null, "drift": {"restoredTotal": 0}
        });
        assert_eq!(json(&Status::default()), expected);
        assert!(!Status::default().is_ready());
    }

    #[test]
    fn a_delivery_outlives_what_goes_wrong_after_it() {
        let (old, new) = (Digest::of(b"old"), Digest::of(b"new"));
        let mut status = Status::default();
        status.record(Report { outcome: Outcome::Delivered(old), restored: 2 });
        let error = "write /x: No space left on device (os error 28)".to_owned();
        let failed = Outcome::Failed { bundle_hash: Some(new), error: error.clone() };
        status.record(Report { outcome: failed, restored: 1 });
        let body = json(&status);
        assert_eq!(body["delivered"]["bundleHash"], old.to_string());
        assert_eq!(body["pending"]["bundleHash"], new.to_string());
        assert_eq!(body["error"], error);
        assert_eq!(body["drift"]["restoredTotal"], 3);

        status.record(Report { outcome: Outcome::Pending(Pending::no_manifest("missing")), restored: 0 });
        let body = json(&status);
        assert_eq!(body["pending"]["bundleHash"], serde_json::Value::Null);
        assert_eq!(body["pending"]["reasons"][0], "config/delivery.json: missing");
        assert_eq!(body["error"], serde_json::Value::Null);
        assert!(status.is_ready());

        status.record(Report { outcome: Outcome::Delivered(new), restored: 0 });
        assert_eq!(json(&status)["delivered"]["bundleHash"], new.to_string());
        assert_eq!(json(&status)["pending"], serde_json::Value::Null);
    }
}
