//! Objects as the watches would have brought them, and requests about them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kr8tiv_compiler::{OperatorPods, Platform, PluginSource};
use kr8tiv_crds::{Agent, Harness, Tenant};
use kr8tiv_operator::guard::{CustomKind, Guarded};
use kr8tiv_operator::stores::{Stores, Writers};
use kr8tiv_operator::watch::References;
use kr8tiv_operator::watched::Watched;
use kr8tiv_webhook::judge::Verdict;
use kr8tiv_webhook::metrics::Metrics;
use kr8tiv_webhook::review::read;
use kr8tiv_webhook::reviewer::Reviewer;
use kube::Client;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::Event;
use serde_json::{Value, json};

/// A cluster.
pub struct Cluster {
    pub stores: Arc<Stores>,
    /// Where it is read anew.
    pub client: Option<Client>,
    /// The only namespace that is watched.
    pub namespace: Option<String>,
    pub metrics: Metrics,
    writers: Writers,
}

static VERSION: AtomicU64 = AtomicU64::new(1);

impl Cluster {
    pub fn new() -> Self {
        let (stores, writers) = Stores::new();
        Self { stores: Arc::new(stores), client: None, namespace: None, metrics: Metrics::default(), writers }
    }

    /// One with these objects.
    pub fn with(objects: &[Value]) -> Self {
        let mut cluster = Self::new();
        for object in objects {
            cluster.add(object);
        }
        cluster
    }

    pub fn add(&mut self, object: &Value) {
        let Self { stores, writers, .. } = self;
        match object["kind"].as_str().unwrap() {
            "Tenant" => put::<Tenant>(stores, &mut writers.tenants, object),
            "Harness" => put::<Harness>(stores, &mut writers.harnesses, object),
            "Agent" => put::<Agent>(stores, &mut writers.agents, object),
            "Namespace" => {
                stores.put_namespace(&serde_json::from_value(object["metadata"].clone()).unwrap());
            }
            other => panic!("{other}"),
        }
    }

    pub fn reviewer(&self) -> Reviewer {
        let platform = Platform {
            gateway_repository: "gateway".into(),
            watchdog_image: "watchdog".into(),
            sandbox_image: "sandbox".into(),
            plugins: PluginSource::Registry,
            operator: OperatorPods::default(),
        };
        Reviewer {
            stores: Arc::clone(&self.stores),
            platform: Arc::new(platform),
            watched: self.client.clone().map(|client| Watched::new(client, self.namespace.clone())),
            metrics: self.metrics.clone(),
        }
    }

    pub async fn create(&self, object: &Value) -> Verdict {
        self.verdict("CREATE", object, &Value::Null).await
    }

    pub async fn update(&self, old: &Value, new: &Value) -> Verdict {
        self.verdict("UPDATE", new, old).await
    }

    pub async fn delete(&self, object: &Value) -> Verdict {
        self.verdict("DELETE", &Value::Null, object).await
    }

    async fn verdict(&self, operation: &str, new: &Value, old: &Value) -> Verdict {
        let review = request(operation, new, old).to_string();
        self.reviewer().verdict(read(review.as_bytes()).unwrap().question).await
    }
}

fn put<K: CustomKind>(stores: &Arc<Stores>, writer: &mut Writer<Guarded<K>>, object: &Value)
where
    Stores: References<K>,
{
    let guarded: Guarded<K> = serde_json::from_value(object.clone()).unwrap();
    References::<K>::seen(&**stores, &guarded);
    writer.apply_watcher_event(&Event::Apply(guarded));
}

/// An `AdmissionReview`.
pub fn request(operation: &str, new: &Value, old: &Value) -> Value {
    let object = if new.is_null() { old } else { new };
    let kind = json!({"group": "kr8tiv.ai", "version": "v1alpha1", "kind": object["kind"]});
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u", "kind": kind, "operation": operation, "userInfo": {"username": "jane"},
        "object": new, "oldObject": old,
    }})
}

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    let number = VERSION.fetch_add(1, Ordering::Relaxed);
    json!({"apiVersion": "kr8tiv.ai/v1alpha1", "kind": kind, "spec": spec, "metadata": {
        "name": name, "namespace": "a", "resourceVersion": number.to_string(),
        "uid": format!("{number:08x}-0000-4000-8000-000000000000"),
        "creationTimestamp": format!("2026-11-30T{:02}:{:02}:{:02}Z", number / 3600, number / 60 % 60, number % 60),
    }})
}

pub fn harness(name: &str) -> Value {
    object(
        "Harness",
        name,
        &json!({
            "identity": {"role": "tester", "purpose": "You help.", "personality": "Exact."},
            "soul": {"coreTruths": ["What is not measured is not known."], "vibe": "Dry."},
            "jobFunctions": {"responsibilities": ["Answer."], "successCriteria": ["Answered."]},
            "channels": {"allow": ["telegram"]},
            "models": {"primary": "anthropic/claude-sonnet-4-6"},
        }),
    )
}

pub fn tenant(name: &str, harness: &str) -> Value {
    object("Tenant", name, &json!({"displayName": name, "harnessRef": {"name": harness}}))
}

pub fn agent(name: &str, tenant: &str, default: bool) -> Value {
    object("Agent", name, &json!({"tenantRef": {"name": tenant}, "default": default}))
}

/// The same in another namespace.
pub fn moved(mut object: Value, namespace: &str) -> Value {
    object["metadata"]["namespace"] = json!(namespace);
    object
}

/// The same with something else at a path of its spec.
pub fn with(mut object: Value, path: &str, value: Value) -> Value {
    let mut place = &mut object["spec"];
    for part in path.split('.') {
        place = &mut place[part];
    }
    *place = value;
    object
}
