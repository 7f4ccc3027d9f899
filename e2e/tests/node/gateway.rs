//! A running gateway, and what tests ask of it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kr8tiv_crds::Tenant;
use kr8tiv_e2e::conditions::{self, Expected};
use kr8tiv_e2e::kubectl::{kubectl, output};
use kr8tiv_e2e::scope::{SOON, Scope};
use kr8tiv_e2e::{Outcome, kubectl};
use kube::ResourceExt;
use serde_json::Value;

/// Folder of the gateway's configuration.
pub const CONFIG: &str = "/etc/openclaw/config";
/// Folder of the gateway's state, on its volume.
pub const STATE: &str = "/home/node/.openclaw";

/// What its conditions say of a gateway that runs with its current configuration.
pub const APPLIED: Expected<'_> =
    ("ConfigApplied", "True", "Succeeded", "the running gateway has the current configuration");
/// Nobody has changed anything in it.
pub const ENFORCED: Expected<'_> = (
    "PolicyEnforced",
    "True",
    "Succeeded",
    "the gateway's configuration and the operator's files in it are as compiled",
);
/// Its watchdog answers.
pub const WATCHED: Expected<'_> = ("WatchdogHealthy", "True", "Succeeded", "the watchdog answers");

/// A tenant's gateway.
#[derive(Clone)]
pub struct Gateway {
    /// The namespace it is in.
    pub scope: Scope,
    /// Name of its Tenant.
    pub tenant: String,
}

/// What changes when a gateway is restarted, in whatever way.
#[derive(Debug, Eq, PartialEq)]
pub struct Incarnation {
    pod: Option<String>,
    restarts: i32,
    container_started: Option<String>,
    process: Value,
    /// A gateway can also start anew within its process.
    starts: usize,
}

impl Gateway {
    /// The gateway of a Tenant.
    pub fn new(scope: Scope, tenant: &str) -> Self {
        Self { scope, tenant: tenant.to_owned() }
    }

    /// Name of its Pod.
    pub fn pod_name(&self) -> String {
        format!("{}-gateway-0", self.tenant)
    }

    /// Its Pod.
    pub async fn pod(&self) -> Outcome<Pod> {
        Ok(self.scope.api().get(&self.pod_name()).await?)
    }

    /// The Tenant.
    pub async fn tenant(&self) -> Outcome<Tenant> {
        Ok(self.scope.api().get(&self.tenant).await?)
    }

    /// Runs a command in the gateway's container and gives its output.
    pub async fn exec(&self, command: &[&str]) -> Outcome<String> {
        kubectl(&self.exec_arguments(command).iter().map(String::as_str).collect::<Vec<_>>()).await
    }

    /// Runs a command in the gateway's container that must fail, and gives what it complained about.
    pub async fn exec_refused(&self, command: &[&str]) -> Outcome<String> {
        let arguments = self.exec_arguments(command);
        let output = output(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await?;
        assert!(!output.status.success(), "{command:?} was allowed");
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    fn exec_arguments(&self, command: &[&str]) -> Vec<String> {
        let pod = self.pod_name();
        let fixed = ["-n", &self.scope.namespace, "exec", &pod, "-c", "gateway", "--"];
        fixed.iter().chain(command).map(|&word| word.to_owned()).collect()
    }

    /// Reads a file in the gateway's container.
    pub async fn read(&self, path: &str) -> Outcome<String> {
        self.exec(&["cat", path]).await
    }

    /// Path of a file of an agent's workspace.
    pub fn workspace_file(agent: &str, name: &str) -> String {
        format!("{STATE}/workspace-{agent}/{name}")
    }

    /// Fetches a URL from within the gateway's container: status code and body.
    pub async fn fetch(&self, url: &str) -> Outcome<(u16, String)> {
        let script = format!("fetch('{url}').then(async r => console.log(r.status + ' ' + await r.text()))");
        let answer = self.exec(&["node", "-e", &script]).await?;
        let (status, body) = answer.trim().split_once(' ').ok_or("an answer without a body")?;
        Ok((status.parse()?, body.to_owned()))
    }

    /// Calls a method of the gateway's own API over loopback, as its command line does.
    pub async fn call(&self, method: &str) -> Outcome<Value> {
        let command = ["openclaw", "gateway", "call", method, "--params", "{}", "--json"];
        Ok(serde_json::from_str(&self.exec(&command).await?)?)
    }

    /// The compiled files of an agent's workspace.
    pub async fn compiled_workspace(&self, agent: &str) -> Outcome<BTreeMap<String, String>> {
        let name = format!("{}-workspace.{agent}", self.tenant);
        Ok(self.scope.api::<ConfigMap>().get(&name).await?.data.unwrap_or_default())
    }

    /// The compiled configuration.
    pub async fn compiled_config(&self) -> Outcome<String> {
        let name = format!("{}-gateway-config", self.tenant);
        let data = self.scope.api::<ConfigMap>().get(&name).await?.data.unwrap_or_default();
        Ok(data.get("openclaw.json").cloned().ok_or("no openclaw.json")?)
    }

    /// Which life the gateway lives.
    pub async fn incarnation(&self) -> Outcome<Incarnation> {
        let pod = self.pod().await?;
        let statuses =
            pod.status.as_ref().and_then(|status| status.container_statuses.clone()).unwrap_or_default();
        let container =
            statuses.into_iter().find(|status| status.name == "gateway").ok_or("no gateway container")?;
        let running = container.state.and_then(|state| state.running);
        // The command line gives the gateway ten seconds, which on a busy machine may not be enough.
        let ask = async || self.call("system.info").await;
        let info = self.scope.until("the gateway says which process it is", SOON, ask).await?;
        Ok(Incarnation {
            pod: pod.uid(),
            restarts: container.restart_count,
            container_started: running.and_then(|running| running.started_at).map(|time| time.0.to_string()),
            process: info["processInstanceId"].clone(),
            starts: self.log().await?.matches("\"message\":\"gateway ready\"").count(),
        })
    }

    /// Whether the Tenant is Ready with the newest revision of its Harness.
    pub async fn ready_with_newest(&self, harness: &str) -> Outcome {
        let tenant = self.tenant().await?;
        conditions::ready(&tenant)?;
        let shown = tenant.status.and_then(|status| status.harness).map(|harness| harness.revision);
        let newest = self.scope.api::<kr8tiv_crds::Harness>().get(harness).await?;
        let newest = kr8tiv_compiler::harness_revision(&newest.spec);
        if shown.as_ref() == Some(&newest) {
            Ok(())
        } else {
            Err(format!("{shown:?} is not {newest}").into())
        }
    }

    /// The gateway's log from the start on.
    pub async fn log(&self) -> Outcome<String> {
        kubectl::kubectl(&["-n", &self.scope.namespace, "logs", &self.pod_name(), "-c", "gateway"]).await
    }
}
