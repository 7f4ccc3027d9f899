//! The operator, running against the fake API server, with what tests do to it and wait for. Time is tokio's paused
//! clock: it jumps to the next timer whenever nothing is left to do, so that minutes of rest take milliseconds and
//! every wait has a deadline.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use kr8tiv_compiler::{Bundle, Diagnostics, Inputs, OperatorPods, Platform, PluginSource};
use kr8tiv_operator::app::{self, Parts};
use kr8tiv_operator::compiler::Compiler;
use kr8tiv_operator::delivery::{Answer, Ask, Unreachable};
use kr8tiv_operator::election::Candidate;
use kr8tiv_operator::health::{Config, Health, State};
use kr8tiv_operator::lease::Election;
use kr8tiv_operator::metrics::Metrics;
use kr8tiv_operator::secrets::StatusToken;
use kr8tiv_supermemory::stub::Stub;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::fake::Fake;

pub const NAMESPACE: &str = "acme";

/// The key that Supermemory takes.
pub const MEMORY_KEY: &str = "sm-canary-0123456789";

/// Longer than every backoff of the operator together.
const DEADLINE: Duration = Duration::from_mins(10);

/// Watchdogs that say what tests tell them to.
#[derive(Clone, Default)]
pub struct Watchdogs(Arc<Mutex<HashMap<String, Answer>>>);

impl Watchdogs {
    /// The bundle is on disk, and the gateway runs with it.
    pub fn deliver(&self, ip: &str, hash: &str) {
        let config = Config { bundle_hash: Some(hash.into()), applied: true, issues: None };
        let health = Health { state: State::Alive, config: Some(config), ..Health::default() };
        let answer = Answer { delivered: Some(hash.into()), trouble: None, health: Some(health) };
        self.0.lock().insert(ip.into(), answer);
    }

    pub fn trouble(&self, ip: &str, trouble: &str) {
        self.0.lock().insert(ip.into(), Answer { trouble: Some(trouble.into()), ..Answer::default() });
    }

    /// Changes what a watchdog that has delivered says of its gateway.
    pub fn change(&self, ip: &str, change: impl FnOnce(&mut Health)) {
        let mut answers = self.0.lock();
        change(answers.get_mut(ip).unwrap().health.as_mut().unwrap());
    }

    /// The watchdog does not answer any more.
    pub fn silence(&self, ip: &str) {
        self.0.lock().remove(ip);
    }
}

impl Ask for Watchdogs {
    fn ask<'a>(
        &'a self,
        ip: &'a str,
        token: Option<&'a StatusToken>,
    ) -> BoxFuture<'a, Result<Answer, Unreachable>> {
        assert!(token.is_some(), "a watchdog is asked without its token");
        let answer = self.0.lock().get(ip).cloned();
        async move { answer.ok_or_else(|| Unreachable("nobody there".into())) }.boxed()
    }
}

pub struct World {
    pub api: Fake,
    pub watchdogs: Watchdogs,
    pub memory: Stub,
    /// Where gateways get plugins from, for an operator that starts from now on.
    pub plugins: PluginSource,
    /// What an operator that starts from now on calls itself in the Lease; `None` for one that needs no Lease.
    pub identity: Option<&'static str>,
    compilations: Arc<AtomicUsize>,
    operator: Option<(CancellationToken, JoinHandle<Result<(), app::Error>>)>,
}

pub fn harness(name: &str) -> Value {
    json!({
        "apiVersion": "kr8tiv.ai/v1alpha1", "kind": "Harness", "metadata": {"name": name},
        "spec": {
            "identity": {"role": "helper", "purpose": "You help.", "personality": "calm"},
            "soul": {"coreTruths": ["Say what is true."], "vibe": "plain"},
            "jobFunctions": {"responsibilities": ["Help."], "successCriteria": ["Helped."]},
            "channels": {"allow": ["telegram"]},
            "models": {"primary": "anthropic/claude-sonnet-4-6"}
        }
    })
}

pub fn tenant(name: &str, harness: &str) -> Value {
    json!({
        "apiVersion": "kr8tiv.ai/v1alpha1", "kind": "Tenant", "metadata": {"name": name},
        "spec": {"displayName": name, "harnessRef": {"name": harness}}
    })
}

pub fn agent(name: &str, tenant: &str) -> Value {
    json!({
        "apiVersion": "kr8tiv.ai/v1alpha1", "kind": "Agent", "metadata": {"name": name},
        "spec": {"tenantRef": {"name": tenant}}
    })
}

/// The status of a Pod that is ready.
pub fn ready(ip: &str) -> Value {
    json!({"podIP": ip, "phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]})
}

impl World {
    pub fn empty() -> Self {
        let (api, watchdogs) = (Fake::new(), Watchdogs::default());
        let memory = Stub::new(MEMORY_KEY);
        let (compilations, plugins) = (Arc::default(), PluginSource::Registry);
        Self { api, watchdogs, memory, compilations, operator: None, plugins, identity: None }
    }

    /// Another operator's, of the same cluster.
    pub fn beside(other: &Self) -> Self {
        Self { api: other.api.clone(), watchdogs: other.watchdogs.clone(), ..Self::empty() }
    }

    /// A running operator, a Harness `desk` and a Tenant `acme` that has been applied.
    pub async fn with_tenant() -> Self {
        let mut world = Self::empty();
        world.api.create(NAMESPACE, harness("desk"));
        world.api.create(NAMESPACE, tenant("acme", "desk"));
        world.start();
        world
            .until("the gateway is applied", |world| world.reason("Tenant", "acme", "Ready") == "Starting")
            .await;
        world
    }

    /// The same with a gateway that serves.
    pub async fn at_rest() -> Self {
        let mut world = Self::with_tenant().await;
        world.serve("acme", "10.0.0.1").await;
        world
    }

    pub fn start(&mut self) {
        self.start_with(kr8tiv_compiler::compile);
    }

    pub fn start_with(
        &mut self,
        compile: impl Fn(&Inputs<'_>) -> Result<Bundle, Diagnostics> + Send + Sync + 'static,
    ) {
        let platform = Platform {
            gateway_repository: "gateway".into(),
            watchdog_image: "watchdog:1".into(),
            sandbox_image: "sandbox:1".into(),
            plugins: self.plugins.clone(),
            operator: OperatorPods::default(),
        };
        let compilations = Arc::clone(&self.compilations);
        let mut compiler = Compiler::new(platform);
        compiler.compile = Arc::new(move |inputs| {
            compilations.fetch_add(1, Ordering::SeqCst);
            compile(inputs)
        });
        let parts = Parts {
            client: self.api.client(),
            watch_namespace: None,
            compiler,
            ask: Arc::new(self.watchdogs.clone()),
            memory: Arc::new(self.memory.clone()),
            listener: None,
            election: self.identity.map(|identity| {
                let candidate = Candidate {
                    name: "operator".into(),
                    namespace: "system".into(),
                    identity: identity.into(),
                };
                Election::new(self.api.client(), candidate)
            }),
            instance: None,
            metrics: Metrics::default(),
        };
        let stop = CancellationToken::new();
        self.operator = Some((stop.clone(), tokio::spawn(app::run(parts, stop))));
    }

    /// Stops the operator the way a signal does.
    pub async fn stop(&mut self) -> Result<(), app::Error> {
        let (stop, running) = self.operator.take().expect("it runs");
        stop.cancel();
        running.await.expect("it doesn't panic")
    }

    /// Waits until the operator ends by itself.
    pub async fn ended(&mut self) -> Result<(), app::Error> {
        let (_, running) = self.operator.take().expect("it runs");
        running.await.expect("it doesn't panic")
    }

    /// Kills the operator: what it was about to do, it does not do.
    pub async fn kill(&mut self) {
        let (_, running) = self.operator.take().expect("it runs");
        running.abort();
        assert!(running.await.unwrap_err().is_cancelled());
    }

    /// Passes over tenants so far.
    pub fn passes(&self) -> usize {
        self.compilations.load(Ordering::SeqCst)
    }

    /// Waits until something holds.
    pub async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let mut changes = self.api.changes();
        let wait = async {
            while !holds(self) {
                tokio::select! {
                    write = changes.changed() => write.expect("the API server is there"),
                    // What isn't a write: compilations, for one.
                    () = tokio::time::sleep(Duration::from_millis(50)) => {}
                }
            }
        };
        if tokio::time::timeout(DEADLINE, wait).await.is_err() {
            let requests = self.api.requests();
            let last = &requests[requests.len().saturating_sub(20)..];
            panic!(
                "never came about: {what}\nlast requests: {last:#?}\ntenants: {:#?}",
                self.conditions("Tenant", "acme")
            );
        }
        self.assert_statuses();
    }

    /// Lets everything come to rest: every timer within ten minutes has gone off.
    pub async fn rest(&self) {
        tokio::time::sleep(DEADLINE).await;
        self.assert_statuses();
    }

    /// What is true of every status at every time.
    fn assert_statuses(&self) {
        assert_eq!(self.api.wasted(), [], "statuses written although they were there already");
        for object in ["Tenant", "Agent", "Harness"].iter().flat_map(|kind| self.api.all(kind)) {
            let status = &object["status"];
            let Some(conditions) = status["conditions"].as_array() else { continue };
            let types: Vec<&str> =
                conditions.iter().filter_map(|condition| condition["type"].as_str()).collect();
            let has = |type_| types.iter().filter(|it| **it == type_).count();
            assert_eq!(has("Ready"), 1, "{object:#}");
            assert!(has("Reconciling") + has("Stalled") <= 1, "{object:#}");
            for condition in conditions {
                assert_eq!(has(condition["type"].as_str().unwrap()), 1, "{object:#}");
                assert_eq!(condition["observedGeneration"], status["observedGeneration"], "{object:#}");
                assert_ne!(condition["message"], "", "{object:#}");
                let is_progress = condition["type"] == "Reconciling" || condition["type"] == "Stalled";
                assert!(!is_progress || condition["status"] == "True", "{object:#}");
            }
            let is_ready = conditions.iter().any(|it| it["type"] == "Ready" && it["status"] == "True");
            assert!(!is_ready || has("Reconciling") + has("Stalled") == 0, "{object:#}");
        }
    }

    pub fn condition(&self, kind: &str, name: &str, type_: &str) -> Option<Value> {
        let object = self.api.get(kind, NAMESPACE, name)?;
        let conditions = object["status"]["conditions"].as_array()?;
        conditions.iter().find(|condition| condition["type"] == type_).cloned()
    }

    pub fn conditions(&self, kind: &str, name: &str) -> Value {
        self.api.get(kind, NAMESPACE, name).unwrap_or_default()["status"]["conditions"].clone()
    }

    pub fn reason(&self, kind: &str, name: &str, type_: &str) -> String {
        let condition = self.condition(kind, name, type_).unwrap_or_default();
        condition["reason"].as_str().unwrap_or_default().to_owned()
    }

    pub fn message(&self, kind: &str, name: &str, type_: &str) -> String {
        let condition = self.condition(kind, name, type_).unwrap_or_default();
        condition["message"].as_str().unwrap_or_default().to_owned()
    }

    pub fn is(&self, kind: &str, name: &str, type_: &str) -> String {
        let condition = self.condition(kind, name, type_).unwrap_or_default();
        condition["status"].as_str().unwrap_or("absent").to_owned()
    }

    pub fn bundle_hash(&self, tenant: &str) -> String {
        let tenant = self.api.get("Tenant", NAMESPACE, tenant).unwrap();
        tenant["status"]["bundleHash"].as_str().unwrap_or_default().to_owned()
    }

    /// Does what the StatefulSet controller and kubelet do: a ready Pod of the gateway's current revision, older than
    /// every status.
    pub fn run_pod(&self, tenant: &str, ip: &str) {
        let set = format!("{tenant}-gateway");
        self.run_pod_of(&set, "2020-01-01T00:00:00Z", &ready(ip));
    }

    /// A Pod of a StatefulSet's current revision, made at this time, with this status.
    pub fn run_pod_of(&self, set: &str, created: &str, status: &Value) {
        let object = self.api.get("StatefulSet", NAMESPACE, set).expect("the StatefulSet is there");
        let generation = object["metadata"]["generation"].clone();
        let revision = format!("{set}-{generation}");
        let template = &object["spec"]["template"]["metadata"];
        let mut labels = template["labels"].clone();
        labels["controller-revision-hash"] = json!(revision);
        let pod = format!("{set}-0");
        if self.api.get("Pod", NAMESPACE, &pod).is_some() {
            self.api.delete("Pod", NAMESPACE, &pod);
        }
        let annotations = &template["annotations"];
        let metadata =
            json!({"name": pod, "labels": labels, "annotations": annotations, "creationTimestamp": created});
        let spec = json!({"nodeName": "node", "containers": []});
        self.api.create(
            NAMESPACE,
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status}),
        );
        self.set_workload(set, &generation, &revision, 1);
    }

    pub fn set_workload(&self, set: &str, generation: &Value, revision: &str, replicas: i32) {
        self.api.update("StatefulSet", NAMESPACE, set, |set| {
            set["status"] = json!({
                "observedGeneration": generation, "replicas": replicas,
                "currentRevision": revision, "updateRevision": revision
            });
        });
    }

    /// Brings a tenant's gateway up and has its watchdog deliver.
    pub async fn serve(&mut self, tenant: &str, ip: &str) {
        self.run_pod(tenant, ip);
        self.watchdogs.deliver(ip, &self.bundle_hash(tenant));
        self.until("the gateway serves", |world| world.is("Tenant", tenant, "Ready") == "True").await;
    }

    /// Forces passes over a tenant, and waits until one has run from beginning to end.
    pub async fn force_pass(&self, tenant: &str, token: &str) {
        for round in 0..2 {
            let before = self.passes();
            self.api.update("Tenant", NAMESPACE, tenant, |tenant| {
                tenant["metadata"]["annotations"]["touched"] = json!(format!("{token}-{round}"));
            });
            self.until("a pass", |world| world.passes() > before).await;
        }
    }
}
