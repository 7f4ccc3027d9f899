//! The admission webhook as a process of the test's, and the API server's way to it. I/O: processes, files, sockets.

use std::fs::OpenOptions;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::cluster::{SYSTEM_NAMESPACE, variable};
use crate::{Outcome, http, wait};

/// Name of the webhook's objects in the chart.
pub const WEBHOOK: &str = "kr8tiv-operator-webhook";
/// Label that the namespaces have in which the chart of the tests lets it judge.
pub const JUDGED: (&str, &str) = ("e2e", "admission");

/// Time to have read everything, and to have a certificate.
const READY: Duration = Duration::from_mins(1);
/// Reviews in flight are finished for at most 10 s.
const STOPPED: Duration = Duration::from_secs(15);

/// A webhook, with the rights that the chart gives it.
pub struct WebhookProcess {
    child: Child,
    reviews: u16,
    probes: u16,
}

impl WebhookProcess {
    /// Starts the webhook that `e2e/run` built, and waits until it is ready.
    pub async fn start(reviews: u16, probes: u16, lifetime: &str) -> Outcome<Self> {
        let log = PathBuf::from(variable("KR8TIV_E2E_OPERATOR_LOG")?).with_file_name("e2e-webhook.log");
        let log = OpenOptions::new().create(true).append(true).open(log)?;
        let child = Command::new(variable("KR8TIV_E2E_WEBHOOK")?)
            .arg(format!("--namespace={SYSTEM_NAMESPACE}"))
            .arg(format!("--certificate-secret={WEBHOOK}"))
            .arg(format!("--configuration={WEBHOOK}"))
            .arg("--server-names=127.0.0.1")
            .arg(format!("--certificate-lifetime={lifetime}"))
            .arg(format!("--listen=127.0.0.1:{reviews}"))
            .arg(format!("--probes=127.0.0.1:{probes}"))
            .arg("--log=info,kr8tiv_webhook=debug")
            .env("KUBECONFIG", variable("KR8TIV_E2E_WEBHOOK_KUBECONFIG")?)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let webhook = Self { child, reviews, probes };
        wait::until("the webhook ready", READY, async || match webhook.get("/readyz").await? {
            (200, _) => Ok(()),
            (status, body) => Err(format!("/readyz answers {status}: {body}").into()),
        })
        .await?;
        Ok(webhook)
    }

    /// What it answers at a path.
    pub async fn get(&self, path: &str) -> Outcome<(u16, String)> {
        http::get(&format!("http://127.0.0.1:{}{path}", self.probes)).await
    }

    /// Has the API server ask this one.
    pub async fn serve(&self, client: &Client) -> Outcome {
        let url = format!("https://127.0.0.1:{}/review", self.reviews);
        configure(client, json!({"clientConfig": {"service": null, "url": url}})).await
    }

    /// Stops it as kubelet would.
    pub async fn stop(mut self) -> Outcome {
        let pid = Pid::from_raw(i32::try_from(self.child.id())?).ok_or("no process id")?;
        kill_process(pid, Signal::TERM)?;
        let status = wait::until("the webhook ended after SIGTERM", STOPPED, async || {
            self.child.try_wait()?.ok_or_else(|| "it still runs".into())
        })
        .await?;
        if status.success() { Ok(()) } else { Err(format!("the webhook ended with {status}").into()) }
    }
}

impl Drop for WebhookProcess {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Changes the only webhook of the chart's configuration.
pub async fn configure(client: &Client, mut webhook: Value) -> Outcome {
    webhook["name"] = json!("admission.kr8tiv.ai");
    let configurations: Api<ValidatingWebhookConfiguration> = Api::all(client.clone());
    let patch = Patch::Strategic(json!({"webhooks": [webhook]}));
    configurations.patch(WEBHOOK, &PatchParams::default(), &patch).await?;
    Ok(())
}
