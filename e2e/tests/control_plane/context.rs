//! What the tests share: the cluster, the operator, the stand-in for a node.

use kr8tiv_crds::Tenant;
use kr8tiv_e2e::Outcome;
use kr8tiv_e2e::cluster::{Cluster, Mode};
use kr8tiv_e2e::conditions::{self, condition};
use kr8tiv_e2e::invariants::Invariants;
use kr8tiv_e2e::operator_process::OperatorProcess;
use kr8tiv_e2e::pretend_node::PretendNode;
use kr8tiv_e2e::scope::{SOON, Scope};
use tokio::sync::Mutex;

/// The value of every Secret that tests make begins with this, so that it can be looked for everywhere.
pub const CANARY: &str = "canary-4d1f0b";

/// What the tests share.
pub struct Context {
    /// The cluster.
    pub cluster: Cluster,
    /// The operator's process. Only tests that run alone stop it.
    pub operator: Mutex<OperatorProcess>,
    /// Makes Pods Ready.
    pub node: PretendNode,
    /// Sees every status.
    pub invariants: Invariants,
}

impl Context {
    /// Connects, and starts the operator.
    pub async fn create() -> Outcome<Self> {
        let cluster = Cluster::connect(&[Mode::ControlPlane, Mode::Kwok]).await?;
        let invariants = Invariants::watch(&cluster.client);
        let node = PretendNode::start(&cluster).await?;
        let operator = Mutex::new(OperatorProcess::start().await?);
        Ok(Self { cluster, operator, node, invariants })
    }

    /// A namespace of the test's own.
    pub async fn scope(&self, purpose: &str) -> Outcome<Scope> {
        Scope::create(&self.cluster, purpose).await
    }

    /// Waits until a tenant is Ready, with the stand-in's help, and its sandbox is no more on its way: that may come up later.
    pub async fn until_ready(&self, scope: &Scope, tenant: &str) -> Outcome<Tenant> {
        scope
            .until(&format!("Tenant {tenant} Ready"), SOON, async || {
                self.node.make_ready(scope).await?;
                let object: Tenant = scope.api().get(tenant).await?;
                conditions::ready(&object)?;
                match condition(&object, "SandboxReady") {
                    Some(sandbox) if sandbox.status == "Unknown" => Err(sandbox.message.clone().into()),
                    _ => Ok(object),
                }
            })
            .await
    }

    /// Stops the operator.
    pub async fn stop(&self) {
        if let Err(error) = self.operator.lock().await.stop().await {
            eprintln!("the operator did not stop: {error}");
        }
    }
}
