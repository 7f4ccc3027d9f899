//! The admission webhook as a process of the test's, in the place of the Pods that the chart's Service leads to. I/O:
//! processes, files, sockets.

use std::fs::OpenOptions;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Api, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::cluster::{NODE_ADDRESS, SYSTEM_NAMESPACE, variable};
use crate::{Outcome, http, wait};

/// The webhook's user name.
pub const WEBHOOK_USER: &str = "system:serviceaccount:kr8tiv-system:kr8tiv-operator-webhook";
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
    /// Starts the webhook that `e2e/run` built, with the arguments of the chart's Deployment but for these, and waits until
    /// it is ready.
    pub async fn start(client: &Client, reviews: u16, probes: u16, lifetime: &str) -> Outcome<Self> {
        let log = OpenOptions::new().create(true).append(true).open(Self::log()?)?;
        let own = ["--listen=", "--probes=", "--certificate-lifetime=", "--log="];
        let arguments = arguments_of_the_chart(client).await?;
        let child = Command::new(variable("KR8TIV_E2E_WEBHOOK")?)
            .args(arguments.iter().filter(|argument| !own.iter().any(|flag| argument.starts_with(flag))))
            .arg(format!("--listen={NODE_ADDRESS}:{reviews}"))
            .arg(format!("--probes=127.0.0.1:{probes}"))
            .arg(format!("--certificate-lifetime={lifetime}"))
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

    /// The log of all of them.
    pub fn log() -> Outcome<PathBuf> {
        Ok(PathBuf::from(variable("KR8TIV_E2E_OPERATOR_LOG")?).with_file_name("e2e-webhook.log"))
    }

    /// Has the chart's Service lead to this one: the API server asks its endpoints.
    pub async fn serve(&self, client: &Client) -> Outcome {
        let slices: Api<EndpointSlice> = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": "e2e-webhook", "labels": {
                "kubernetes.io/service-name": WEBHOOK, "endpointslice.kubernetes.io/managed-by": "e2e"
            }},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [NODE_ADDRESS], "conditions": {"ready": true}}],
            "ports": [{"name": "reviews", "port": self.reviews, "protocol": "TCP"}]
        });
        slices.patch("e2e-webhook", &PatchParams::apply("e2e").force(), &Patch::Apply(slice)).await?;
        Ok(())
    }

    /// Connects anew, trusting what is published and nothing else.
    pub async fn greet(&self, client: &Client) -> Outcome {
        let configurations: Api<ValidatingWebhookConfiguration> = Api::all(client.clone());
        let published = serde_json::to_value(configurations.get(WEBHOOK).await?)?;
        let config: Kubeconfig = serde_json::from_value(json!({
            "current-context": "it",
            "clusters": [{"name": "it", "cluster": {
                "server": format!("https://{NODE_ADDRESS}:{}", self.reviews),
                "tls-server-name": format!("{WEBHOOK}.{SYSTEM_NAMESPACE}.svc"),
                "certificate-authority-data": published["webhooks"][0]["clientConfig"]["caBundle"]
            }}],
            "users": [{"name": "it", "user": {}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}]
        }))?;
        let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await?;
        let request = hyper::http::Request::get("/review").body(Vec::new())?;
        match Client::try_from(config)?.request_text(request).await {
            // It has been understood: reviews are posted.
            Err(kube::Error::Api(status)) if status.code == 405 => Ok(()),
            other => Err(format!("no connection: {other:?}").into()),
        }
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

/// What the chart starts its Pods with.
async fn arguments_of_the_chart(client: &Client) -> Outcome<Vec<String>> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
    let pod =
        deployments.get(WEBHOOK).await?.spec.and_then(|spec| spec.template.spec).ok_or("no template")?;
    let container = pod.containers.into_iter().next().ok_or("no container")?;
    assert_eq!(container.command, Some(vec!["/usr/local/bin/kr8tiv-webhook".into()]));
    Ok(container.args.unwrap_or_default())
}

/// Changes the only webhook of the chart's configuration.
pub async fn configure(client: &Client, mut webhook: Value) -> Outcome {
    webhook["name"] = json!("admission.kr8tiv.ai");
    let configurations: Api<ValidatingWebhookConfiguration> = Api::all(client.clone());
    let patch = Patch::Strategic(json!({"webhooks": [webhook]}));
    configurations.patch(WEBHOOK, &PatchParams::default(), &patch).await?;
    Ok(())
}
