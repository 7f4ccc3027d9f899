//! Stands in for kubelet and the watchdog where there is no node: makes Pods Ready and confirms deliveries. I/O: the
//! API server, an address of the network namespace, a listening socket.
//!
//! What a gateway does is not tested here; what the operator makes of a gateway that runs is, at no cost. Where kwok
//! already makes Pods Ready, this only answers for their watchdogs.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, State};
use axum::routing::get;
use axum::serve::IncomingStream;
use axum::{Json, Router};
use futures::StreamExt;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kr8tiv_compiler::WATCHDOG_PORT;
use kr8tiv_crds::meta;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::Outcome;
use crate::cluster::{Cluster, Mode};
use crate::scope::{Kind, Scope};

/// The first of the addresses of Pods, which nobody gives out in a cluster without a node.
const PODS: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 0);
/// How many bits they have in common.
const PODS_PREFIX: u32 = 22;
/// The addresses that kwok gives out, by `dev/cluster`. Nothing of the machine's network has them.
const PODS_OF_KWOK: &str = "198.20.0.0/16";
/// The node's name.
const NAME: &str = "pretend";
/// As kubelet does by default. The node counts as lost after 40 s without.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// The Pod behind each address, whose mounts its watchdog would read.
type Mounts = Arc<Mutex<BTreeMap<IpAddr, Mounting>>>;

/// A Pod that a StatefulSet has made.
#[derive(Clone)]
struct Mounting {
    client: Client,
    namespace: String,
    set: String,
}

impl Mounting {
    async fn get<K: Kind>(&self, name: &str) -> Option<K> {
        Api::namespaced(self.client.clone(), &self.namespace).get_opt(name).await.ok().flatten()
    }

    /// The bundle in the gateway's ConfigMap.
    async fn bundle_hash(&self) -> Option<String> {
        let mount: ConfigMap = self.get(&format!("{}-config", self.set)).await?;
        let delivery: Value = serde_json::from_str(mount.data.as_ref()?.get("delivery.json")?).ok()?;
        Some(delivery["bundleHash"].as_str()?.to_owned())
    }

    /// How the watchdog finds the tenant's sandbox: with the keys that the operator has made for it.
    async fn sandbox(&self) -> Option<Value> {
        let name = format!("{}-sandbox", self.set.strip_suffix("-gateway")?);
        let set: StatefulSet = self.get(&name).await?;
        let annotations = set.spec?.template.metadata?.annotations.unwrap_or_default();
        Some(json!({"name": name, "reason": "Ok", "keys": annotations.get(meta::SANDBOX_KEYS)}))
    }
}

/// What the watchdog behind an address says of its gateway, where that is not that all is well.
type Answers = Arc<Mutex<BTreeMap<IpAddr, Value>>>;

/// What an answer is made of.
type Known = (Mounts, Answers);

/// The stand-in.
pub struct PretendNode {
    mounts: Mounts,
    answers: Answers,
    by_kwok: bool,
}

/// The address that a connection was made to: whose watchdog was asked.
#[derive(Clone)]
struct Asked(Option<IpAddr>);

impl Connected<IncomingStream<'_, TcpListener>> for Asked {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
        Self(stream.io().local_addr().map(|address| address.ip()).ok())
    }
}

impl PretendNode {
    /// Takes the network of Pods and answers for every watchdog in it; registers the node where kwok has none. It ends
    /// with the process.
    pub async fn start(cluster: &Cluster) -> Outcome<Self> {
        let (client, by_kwok) = (&cluster.client, cluster.mode == Mode::Kwok);
        let own = format!("{PODS}/{PODS_PREFIX}");
        let network = if by_kwok { PODS_OF_KWOK } else { &own };
        let route = ["route", "replace", "local", network, "dev", "lo"];
        let status = Command::new("ip").args(route).status()?;
        if !status.success() {
            return Err(format!("ip {} ended with {status}", route.join(" ")).into());
        }
        let (mounts, answers) = Known::default();
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, u16::try_from(WATCHDOG_PORT)?)).await?;
        let service = Router::new()
            .route("/status", get(answer))
            .with_state((Arc::clone(&mounts), Arc::clone(&answers)))
            .into_make_service_with_connect_info::<Asked>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        if by_kwok {
            tokio::spawn(follow(client.clone(), Arc::clone(&mounts)));
        } else {
            register(client).await?;
            tokio::spawn(bury(client.clone()));
        }
        Ok(Self { mounts, answers, by_kwok })
    }

    /// Makes every Pod of the namespace that has no address yet Ready, and gives how many Pods there are.
    pub async fn make_ready(&self, scope: &Scope) -> Outcome<usize> {
        let pods = scope.api::<Pod>().list(&ListParams::default()).await?.items;
        if self.by_kwok {
            return Ok(pods.len());
        }
        let (sandboxes, gateways): (Vec<_>, Vec<_>) =
            pods.iter().partition(|pod| pod.labels().contains_key(meta::SANDBOX_NAME));
        // A gateway takes half a minute to start, a sandbox a second.
        for pod in sandboxes.into_iter().chain(gateways) {
            let new = pod.status.as_ref().is_none_or(|status| status.pod_ip.is_none());
            if new && pod.metadata.deletion_timestamp.is_none() {
                self.make_pod_ready(scope, &pod.name_any()).await?;
            }
        }
        Ok(pods.len())
    }

    /// Has a gateway's watchdog say something else of it from now on; `None` for that all is well.
    pub async fn say(&self, scope: &Scope, pod: &str, gateway: Option<Value>) -> Outcome {
        let pod: Pod = scope.api().get(pod).await?;
        let address =
            pod.status.and_then(|status| status.pod_ip).ok_or("a Pod without an address")?.parse()?;
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        match gateway {
            Some(gateway) => answers.insert(address, gateway),
            None => answers.remove(&address),
        };
        Ok(())
    }

    async fn make_pod_ready(&self, scope: &Scope, pod: &str) -> Outcome {
        let set = pod.strip_suffix("-0").ok_or("a Pod that no StatefulSet made")?.to_owned();
        let mount =
            Mounting { client: scope.cluster.client.clone(), namespace: scope.namespace.clone(), set };
        let address = {
            let mut mounts = self.mounts.lock().unwrap_or_else(PoisonError::into_inner);
            let host = u32::try_from(mounts.len() + 1)?;
            if host >> (32 - PODS_PREFIX) > 0 {
                return Err("there have been more Pods than addresses".into());
            }
            let address = Ipv4Addr::from(u32::from(PODS) + host);
            mounts.insert(IpAddr::V4(address), mount);
            address
        };
        let pods: Api<Pod> = scope.api();
        let binding =
            json!({"metadata": {"name": pod}, "target": {"apiVersion": "v1", "kind": "Node", "name": NAME}});
        let _: Value = pods.create_subresource("binding", pod, &PostParams::default(), &binding).await?;
        let conditions = ["PodScheduled", "Initialized", "ContainersReady", "Ready"]
            .map(|type_| json!({"type": type_, "status": "True"}));
        let status = json!({"status": {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "conditions": conditions
        }});
        pods.patch_status(pod, &PatchParams::default(), &Patch::Strategic(status)).await?;
        Ok(())
    }
}

/// Learns which address kwok gave to which Pod.
async fn follow(client: Client, mounts: Mounts) {
    let mut pods = watcher(Api::<Pod>::all(client.clone()), watcher::Config::default())
        .default_backoff()
        .applied_objects()
        .boxed();
    while let Some(pod) = pods.next().await {
        let Ok(pod) = pod else { continue };
        let address = pod.status.as_ref().and_then(|status| status.pod_ip.as_ref()?.parse().ok());
        let name = pod.name_any();
        if let (Some(address), Some(set)) = (address, name.strip_suffix("-0")) {
            let namespace = pod.namespace().unwrap_or_default();
            let mount = Mounting { client: client.clone(), namespace, set: set.to_owned() };
            mounts.lock().unwrap_or_else(PoisonError::into_inner).insert(address, mount);
        }
    }
}

/// Ends Pods whose deletion has begun: nothing runs in them.
async fn bury(client: Client) {
    let here = watcher::Config::default().fields(&format!("spec.nodeName={NAME}"));
    let mut pods = watcher(Api::<Pod>::all(client.clone()), here).default_backoff().applied_objects().boxed();
    while let Some(pod) = pods.next().await {
        let Ok(pod) = pod else { continue };
        if pod.metadata.deletion_timestamp.is_none() {
            continue;
        }
        let api: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
        // The next one has the same name.
        let this = Preconditions { uid: pod.uid(), ..Preconditions::default() };
        let at_once = DeleteParams::default().grace_period(0).preconditions(this);
        match api.delete(&pod.name_any(), &at_once).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
            Err(error) => eprintln!("the pretended node can't end the Pod {}: {error}", pod.name_any()),
        }
    }
}

/// Makes the node known and keeps it alive: Pods of an unknown or silent node are taken away.
async fn register(client: &Client) -> Outcome {
    let nodes: Api<Node> = Api::all(client.clone());
    let parameters = PatchParams::apply("e2e-pretend-node").force();
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NAME}});
    nodes.patch(NAME, &parameters, &Patch::Apply(&node)).await?;
    let ready = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NAME}, "status": {"conditions": [{
        "type": "Ready", "status": "True", "reason": "Pretended", "message": "a stand-in of the tests",
        "lastHeartbeatTime": Timestamp::now(), "lastTransitionTime": Timestamp::now()
    }]}});
    nodes.patch_status(NAME, &parameters, &Patch::Apply(&ready)).await?;
    let leases: Api<Lease> = Api::namespaced(client.clone(), "kube-node-lease");
    beat(&leases, &parameters).await?;
    tokio::spawn(async move {
        let mut beats = tokio::time::interval(HEARTBEAT);
        loop {
            beats.tick().await;
            if let Err(error) = beat(&leases, &parameters).await {
                eprintln!("the pretended node can't renew its lease: {error}");
            }
        }
    });
    Ok(())
}

async fn beat(leases: &Api<Lease>, parameters: &PatchParams) -> Outcome {
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": NAME},
        "spec": {"holderIdentity": NAME, "leaseDurationSeconds": 40, "renewTime": MicroTime(Timestamp::now())}
    });
    leases.patch(NAME, parameters, &Patch::Apply(&lease)).await?;
    Ok(())
}

/// What a watchdog answers that has delivered what its Pod mounts, to a gateway that runs with it, and that can log in to
/// the tenant's sandbox.
async fn answer(
    ConnectInfo(Asked(address)): ConnectInfo<Asked>,
    State((mounts, answers)): State<Known>,
) -> Json<Value> {
    let mount = address
        .and_then(|address| mounts.lock().unwrap_or_else(PoisonError::into_inner).get(&address).cloned());
    let (delivered, sandbox) = match &mount {
        Some(mount) => (mount.bundle_hash().await, mount.sandbox().await),
        None => (None, None),
    };
    let config = delivered.as_ref().map(|hash| json!({"bundleHash": hash, "valid": true, "applied": true}));
    let mut gateway = json!({"state": "Alive", "reasons": [], "config": config});
    let other = address
        .and_then(|address| answers.lock().unwrap_or_else(PoisonError::into_inner).get(&address).cloned());
    for (field, value) in other.as_ref().and_then(Value::as_object).into_iter().flatten() {
        gateway[field] = value.clone();
    }
    // What is said of a configuration is said of the one that is there.
    if let Some(hash) = &delivered {
        gateway["config"]["bundleHash"] = json!(hash);
    }
    Json(json!({
        "version": "0.1.0",
        "delivered": delivered.map(|hash| json!({"bundleHash": hash})),
        "pending": null,
        "error": null,
        "drift": {"restoredTotal": 0, "files": []},
        "gateway": gateway,
        "sandboxes": sandbox.into_iter().collect::<Vec<_>>()
    }))
}
