//! A full volume. The node's volumes share the machine's disk, so this one is a small file system of its own.

use std::fs;
use std::process::Command;

use k8s_openapi::api::core::v1::PersistentVolume;
use k8s_openapi::api::storage::v1::StorageClass;
use kr8tiv_e2e::cluster::variable;
use kr8tiv_e2e::scope::Scope;
use kr8tiv_e2e::{Outcome, conditions};
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::Patient;
use crate::context::Context;
use crate::gateway::STATE;

/// Where the node has it.
const FOLDER: &str = "/var/lib/e2e-small";
const CLASS: &str = "e2e-small";
const MEGABYTES: u64 = 64;

/// It shows, a sign of life says so, and it is over when there is room.
pub async fn full(context: &Context) -> Outcome {
    volume(context).await?;
    let scope = Scope::create(&context.cluster, "full").await?;
    let patient = Patient::with(context, scope, |_, tenant| {
        tenant["spec"]["gateway"] = json!({"storage": {"size": "1Gi", "storageClassName": CLASS}});
    })
    .await?;
    let fault = patient.fault("disk_full");
    let script = format!("dd if=/dev/zero of={STATE}/filler bs=1M count={MEGABYTES} 2>/dev/null; true");
    patient.gateway.exec(&["sh", "-c", &script]).await?;
    fault.shows("Degraded", "True", "DiskFull", "gateway.storage.size").await?;
    conditions::ready(&patient.gateway.tenant().await?)?;
    fault.is_told_alive_with("DiskFull").await?;
    let fault_ends = patient.fault("disk_full_until_there_is_room");
    patient.gateway.exec(&["rm", &format!("{STATE}/filler")]).await?;
    fault_ends.is_over("DiskFull").await?;
    fault.was_no_incident();
    patient.discard().await
}

/// Makes the file system, and a volume of it that only claims of its class get.
async fn volume(context: &Context) -> Outcome {
    in_node("mkdir", &["-p", FOLDER])?;
    in_node("mount", &["-t", "tmpfs", "-o", &format!("size={MEGABYTES}m"), "e2e-small", FOLDER])?;
    let client = &context.cluster.client;
    let parameters = PatchParams::apply("e2e").force();
    let class = json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": CLASS},
        "provisioner": "kubernetes.io/no-provisioner"
    });
    Api::<StorageClass>::all(client.clone()).patch(CLASS, &parameters, &Patch::Apply(class)).await?;
    let here = json!([{"matchExpressions": [{"key": "kubernetes.io/os", "operator": "Exists"}]}]);
    let volume = json!({
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": CLASS},
        "spec": {
            "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": CLASS,
            "persistentVolumeReclaimPolicy": "Retain", "local": {"path": FOLDER},
            "nodeAffinity": {"required": {"nodeSelectorTerms": here}}
        }
    });
    Api::<PersistentVolume>::all(client.clone()).patch(CLASS, &parameters, &Patch::Apply(volume)).await?;
    Ok(())
}

/// Runs a program where containerd and kubelet see what it mounts.
fn in_node(program: &str, arguments: &[&str]) -> Outcome {
    let record = fs::read_to_string(format!("{}/cluster.json", variable("KR8TIV_CLUSTER_DIR")?))?;
    let record: Value = serde_json::from_str(&record)?;
    let node = record["components"]["containerd"]["pid"].as_u64().ok_or("no containerd")?;
    let done = Command::new("nsenter")
        .arg(format!("--mount=/proc/{node}/ns/mnt"))
        .args(["--", program])
        .args(arguments)
        .status()?;
    if done.success() { Ok(()) } else { Err(format!("{program} in the node ended with {done}").into()) }
}
