//! What the operator counts, for Prometheus. No I/O.
//!
//! No label has the name of an object: their number would grow with the tenants, and status conditions tell of each.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use kr8tiv_crds::status::{ConditionStatus, ConditionType};
use kr8tiv_crds::{Agent, Harness, Tenant};
use kube::runtime::reflector::Store;
use parking_lot::Mutex;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::guard::{CustomKind, Guarded};
use crate::stores::Stores;

/// Upper bounds in seconds. A pass without a write takes less than a millisecond, each write some milliseconds; a minute
/// is the longest pass.
const PASS_SECONDS: [f64; 9] = [0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 30.0, 60.0];

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct PassLabels {
    kind: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct KindLabels {
    kind: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct RequestLabels {
    verb: &'static str,
    resource: String,
    code: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ReadyLabels {
    kind: String,
    status: String,
    reason: String,
}

/// How a pass ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PassOutcome {
    /// To its end.
    Finished,
    /// With an error; it is tried again.
    Failed,
    /// It panicked.
    Panicked,
    /// It took too long.
    TimedOut,
}

impl PassOutcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Panicked => "panicked",
            Self::TimedOut => "timed_out",
        }
    }
}

/// A request to the API server, as far as metrics tell them apart.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RequestKind {
    /// Verb of the API, such as `apply`.
    pub verb: &'static str,
    /// Resource with its subresource, such as `tenants/status`.
    pub resource: String,
}

/// All counts. Clones count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    passes: Family<PassLabels, Counter>,
    pass_seconds: Family<KindLabels, Histogram>,
    requests: Family<RequestLabels, Counter>,
    objects: Family<ReadyLabels, Gauge>,
    dropped_events: Counter,
    leading: Gauge,
    pending_watches: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("kr8tiv_operator");
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The operator's version", version);
        let passes = Family::default();
        registry.register("passes", "Looks at objects, by kind and how they ended", passes.clone());
        let pass_seconds =
            Family::<KindLabels, Histogram>::new_with_constructor(|| Histogram::new(PASS_SECONDS));
        registry.register("pass_duration_seconds", "How long a look at an object took", pass_seconds.clone());
        let requests = Family::default();
        registry.register(
            "api_requests",
            "Requests to the API server, by verb, resource and status code (0: no answer)",
            requests.clone(),
        );
        let objects = Family::default();
        registry.register(
            "objects",
            "Tenants, Harnesses and Agents, by status and reason of their condition Ready (Unknown: none yet)",
            objects.clone(),
        );
        let dropped_events = Counter::<u64, AtomicU64>::default();
        registry.register(
            "dropped_events",
            "Kubernetes events that could not be delivered",
            dropped_events.clone(),
        );
        let leading = Gauge::default();
        registry.register("leading", "1 for the process that holds the Lease and writes", leading.clone());
        let pending_watches = Gauge::default();
        registry.register(
            "pending_watches",
            "Watches that have not been complete yet; nothing is done before they are",
            pending_watches.clone(),
        );
        let registry = Arc::new(Mutex::new(registry));
        Self { registry, passes, pass_seconds, requests, objects, dropped_events, leading, pending_watches }
    }
}

impl Metrics {
    /// A pass has ended.
    pub fn pass(&self, kind: &str, outcome: PassOutcome, took: Duration) {
        let kind = kind.to_owned();
        self.pass_seconds.get_or_create(&KindLabels { kind: kind.clone() }).observe(took.as_secs_f64());
        self.passes.get_or_create(&PassLabels { kind, outcome: outcome.as_str() }).inc();
    }

    /// A request was answered, or not.
    pub fn request(&self, kind: RequestKind, code: Option<u16>) {
        let RequestKind { verb, resource } = kind;
        let code = code.unwrap_or_default().to_string();
        self.requests.get_or_create(&RequestLabels { verb, resource, code }).inc();
    }

    /// An event could not be delivered.
    pub fn event_dropped(&self) {
        self.dropped_events.inc();
    }

    /// This process holds the Lease, or needs none.
    pub fn leads(&self) {
        self.leading.set(1);
    }

    /// Everything in the text format of Prometheus. Objects are counted now.
    pub fn text(&self, stores: &Stores, pending_watches: usize) -> String {
        // One at a time: two would count into each other's numbers.
        let registry = self.registry.lock();
        self.pending_watches.set(i64::try_from(pending_watches).unwrap_or(i64::MAX));
        self.objects.clear();
        self.count::<Tenant>(&stores.tenants);
        self.count::<Harness>(&stores.harnesses);
        self.count::<Agent>(&stores.agents);
        let mut text = String::new();
        // Writing into a String can't fail.
        let _ = text::encode(&mut text, &registry);
        text
    }

    fn count<K: CustomKind>(&self, store: &Store<Guarded<K>>) {
        let kind = K::kind(&()).into_owned();
        for object in store.state() {
            let mut conditions = object.conditions().iter();
            let ready = conditions.find(|condition| condition.type_ == ConditionType::Ready.as_str());
            let (status, reason) = match ready {
                Some(ready) => (ready.status.clone(), ready.reason.clone()),
                None => (ConditionStatus::Unknown.as_str().to_owned(), String::new()),
            };
            self.objects.get_or_create(&ReadyLabels { kind: kind.clone(), status, reason }).inc();
        }
    }
}
