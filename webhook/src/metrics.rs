//! What the webhook counts, for Prometheus. No I/O.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

/// Upper bounds in seconds. A compilation takes about a millisecond; the API server waits for some seconds.
const SECONDS: [f64; 9] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0];

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ReviewLabels {
    kind: &'static str,
    allowed: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct KindLabels {
    kind: &'static str,
}

/// All counts. Clones count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    reviews: Family<ReviewLabels, Counter>,
    seconds: Family<KindLabels, Histogram>,
    pending_watches: Gauge,
    unread: Counter,
    /// Not there before a certificate of the webhook's own is served: of one that is given, nobody here knows.
    expiry: Arc<OnceLock<Gauge<f64, AtomicU64>>>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("kr8tiv_webhook");
        registry.register(
            "build",
            "The webhook's version",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        let reviews = Family::default();
        registry.register("reviews", "Answered reviews, by kind and whether they passed", reviews.clone());
        let seconds = Family::<KindLabels, Histogram>::new_with_constructor(|| Histogram::new(SECONDS));
        registry.register_with_unit(
            "review_duration",
            "How long a review took",
            Unit::Seconds,
            seconds.clone(),
        );
        let pending_watches = Gauge::default();
        let help = "What the webhook still waits for before it is ready";
        registry.register("pending_watches", help, pending_watches.clone());
        let unread = Counter::default();
        let help = "Refusals by what the watches had seen, as it could not be read anew";
        registry.register("unread", help, unread.clone());
        let registry = Arc::new(Mutex::new(registry));
        Self { registry, reviews, seconds, pending_watches, unread, expiry: Arc::default() }
    }
}

impl Metrics {
    /// A review was answered.
    pub fn review(&self, kind: &str, is_allowed: bool, took: Duration) {
        // Nobody else's kinds become labels.
        let kind = ["Tenant", "Agent", "Harness"].into_iter().find(|known| *known == kind).unwrap_or("other");
        let allowed = if is_allowed { "true" } else { "false" };
        self.reviews.get_or_create(&ReviewLabels { kind, allowed }).inc();
        self.seconds.get_or_create(&KindLabels { kind }).observe(took.as_secs_f64());
    }

    /// A refusal rests on what may be old.
    pub fn unread(&self) {
        self.unread.inc();
    }

    /// A certificate of the webhook's own is served from now on.
    pub fn expires(&self, seconds: f64) {
        let expiry = self.expiry.get_or_init(|| {
            let expiry = Gauge::default();
            let help = "When the served certificate of the webhook's own expires, in seconds since 1970";
            self.registry.lock().register("certificate_expiry_timestamp_seconds", help, expiry.clone());
            expiry
        });
        expiry.set(seconds);
    }

    /// Everything in the text format of Prometheus.
    pub fn text(&self, pending: usize) -> String {
        self.pending_watches.set(i64::try_from(pending).unwrap_or(i64::MAX));
        let mut text = String::new();
        // Writing into a String can't fail.
        let _ = text::encode(&mut text, &self.registry.lock());
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_said_of_the_expiry_of_what_is_given() {
        let (metrics, name) = (Metrics::default(), "kr8tiv_webhook_certificate_expiry_timestamp_seconds");
        assert!(!metrics.text(0).contains(name));
        metrics.expires(1.0);
        metrics.expires(2.0);
        let text = metrics.text(0);
        assert!(text.contains(&format!("\n{name} 2.0\n")), "{text}");
    }
}
