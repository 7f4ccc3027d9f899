//! The cluster that the tests run in. I/O: reads the environment and a kubeconfig.

use std::path::{Path, PathBuf};

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use crate::Outcome;
use crate::audit::AuditLog;

/// Namespace that the charts are installed into.
pub const SYSTEM_NAMESPACE: &str = "kr8tiv-system";
/// The operator's ServiceAccount and Deployment.
pub const OPERATOR: &str = "kr8tiv-operator";
/// The operator's user name, by which its requests are counted.
pub const OPERATOR_USER: &str = "system:serviceaccount:kr8tiv-system:kr8tiv-operator";
/// Address of the node, and of processes beside it, in every cluster of `dev/cluster`.
pub const NODE_ADDRESS: &str = "198.18.255.1";

/// How much of a cluster a test needs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// API server and controller-manager.
    ControlPlane,
    /// Also nodes whose kubelet is kwok: it says of every Pod that it runs.
    Kwok,
    /// Also a real node.
    Node,
}

impl Mode {
    fn as_str(self) -> &'static str {
        match self {
            Self::ControlPlane => "control-plane",
            Self::Kwok => "kwok",
            Self::Node => "node",
        }
    }
}

/// The cluster.
#[derive(Clone)]
pub struct Cluster {
    /// A client with the administrator's rights.
    pub client: Client,
    /// How much of a cluster it is.
    pub mode: Mode,
    /// What was asked of the API server, by whom.
    pub audit: AuditLog,
}

impl Cluster {
    /// The same cluster as somebody else, who has no rights but those that RBAC gives that name and those groups.
    pub async fn acting_as(&self, user: &str, groups: &[&str]) -> Outcome<Self> {
        let mut kubeconfig = Kubeconfig::read_from(variable("KUBECONFIG")?)?;
        for known in kubeconfig.auth_infos.iter_mut().filter_map(|named| named.auth_info.as_mut()) {
            let all = groups.iter().chain(&["system:authenticated"]);
            known.impersonate = Some(user.to_owned());
            known.impersonate_groups = Some(all.map(|&group| group.to_owned()).collect());
        }
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Ok(Self { client: Client::try_from(config)?, ..self.clone() })
    }

    /// The same cluster as a ServiceAccount.
    pub async fn acting_as_account(&self, namespace: &str, account: &str) -> Outcome<Self> {
        let user = format!("system:serviceaccount:{namespace}:{account}");
        let group = format!("system:serviceaccounts:{namespace}");
        self.acting_as(&user, &["system:serviceaccounts", &group]).await
    }

    /// Connects to the cluster that this process runs in, which must have one of these modes.
    pub async fn connect(usable: &[Mode]) -> Outcome<Self> {
        let found = std::env::var("KR8TIV_CLUSTER_MODE").unwrap_or_default();
        let Some(&mode) = usable.iter().find(|mode| mode.as_str() == found) else {
            let found = if found.is_empty() { "none".to_owned() } else { format!("one of mode {found}") };
            let usable = usable.iter().map(|mode| mode.as_str()).collect::<Vec<_>>().join(" or ");
            return Err(format!(
                "these tests run inside a cluster of mode {usable}, and here is {found}: run `e2e/run` with that mode"
            )
            .into());
        };
        let kubeconfig = Kubeconfig::read_from(variable("KUBECONFIG")?)?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Ok(Self {
            client: Client::try_from(config)?,
            mode,
            audit: AuditLog::at(PathBuf::from(variable("KR8TIV_AUDIT_LOG")?)),
        })
    }
}

/// An environment variable that `e2e/run` or `dev/cluster exec` sets.
pub fn variable(name: &str) -> Outcome<String> {
    std::env::var(name).map_err(|_| format!("{name} is not set: run the tests through `e2e/run`").into())
}

/// A file of the repository.
pub fn repository_file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}
