//! The operator as its chart installs it.

use k8s_openapi::api::core::v1::Namespace;
use kr8tiv_e2e::Outcome;
use kr8tiv_e2e::cluster::{OPERATOR, SYSTEM_NAMESPACE};
use kr8tiv_e2e::kubectl::{kubectl, output};
use kube::{Api, ResourceExt};

use crate::context::Context;

pub async fn runs_restricted(context: &Context) -> Outcome {
    let namespace = Api::<Namespace>::all(context.cluster.client.clone()).get(SYSTEM_NAMESPACE).await?;
    let profile = namespace.labels().get("pod-security.kubernetes.io/enforce").map(String::as_str);
    assert_eq!(profile, Some("restricted"), "the test would show nothing");
    let deployment = format!("deployment/{OPERATOR}");
    let inside = ["-n", SYSTEM_NAMESPACE, "exec", deployment.as_str(), "--"];
    let user = kubectl(&[&inside[..], &["id", "-u"]].concat()).await?;
    assert_ne!(user.trim(), "0");
    let write = output(&[&inside[..], &["sh", "-c", "echo x > /written"]].concat()).await?;
    assert!(!write.status.success(), "the root file system can be written to");
    let complaint = String::from_utf8_lossy(&write.stderr).into_owned();
    assert!(complaint.contains("Read-only file system"), "{complaint}");
    Ok(())
}
