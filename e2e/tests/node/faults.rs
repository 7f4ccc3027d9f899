//! Faults of a real gateway: what the Tenant says, what a webhook is told, and that it heals. The seconds from the fault
//! to the condition, and to its end, are figures.

mod channel;
mod configuration;
mod disk;
mod memory;
mod process;
mod provider;
mod telegram;

pub use channel::revoked;
pub use configuration::{newer_state, rejected};
pub use disk::full;
pub use memory::broken;
pub use process::{frozen, killed, mistaken};
pub use provider::refuses;

use std::time::Instant;

use k8s_openapi::api::core::v1::Secret;
use kr8tiv_crds::Tenant;
use kr8tiv_e2e::conditions::{self, condition};
use kr8tiv_e2e::container::Container;
use kr8tiv_e2e::receiver::Receiver;
use kr8tiv_e2e::scope::Scope;
use kr8tiv_e2e::{Outcome, figure_seconds};
use serde_json::{Value, json};

use crate::context::{Context, START};
use crate::gateway::Gateway;
use crate::leaks;

/// Name of the Tenant of each patient.
const TENANT: &str = "faulty";
/// What its webhook's messages are signed with.
const SIGNING_KEY: &str = "a-key-that-signs-what-is-told";

/// A gateway to which things happen, and who is told of them.
pub struct Patient {
    gateway: Gateway,
    receiver: Receiver,
}

/// A fault that has begun: its figures are counted from then.
struct Fault<'a> {
    patient: &'a Patient,
    name: &'a str,
    began: Instant,
    told: [usize; 2],
}

impl Patient {
    /// The patient of those faults that leave its volume, its channels and its memory alone. It has served, rolled into a
    /// crash loop by a mistake in its Tenant, and healed by the correction, without a hand besides.
    pub async fn start(context: &Context) -> Outcome<Self> {
        let scope = Scope::create(&context.cluster, "faults").await?;
        let patient = Self::with(context, scope, |_, _| ()).await?;
        // Node ends at once: the address lacks its "http://".
        let mistake = json!({"spec": {"gateway": {"env": [
            {"name": "NODE_USE_ENV_PROXY", "value": "1"},
            {"name": "HTTPS_PROXY", "value": "proxy.internal:3128"}
        ]}}});
        let fault = patient.fault("mistake");
        patient.gateway.scope.merge::<Tenant>(TENANT, mistake).await?;
        fault.shows("GatewayReady", "False", "CrashLoop", "with exit code 1 (").await?;
        let mended = patient.fault("mistake_until_mended");
        patient.gateway.scope.merge::<Tenant>(TENANT, json!({"spec": {"gateway": null}})).await?;
        patient.is_up().await?;
        mended.is_over("CrashLoop").await?;
        fault.was_no_incident();
        Ok(patient)
    }

    /// One with more in its Harness and its Tenant, which is up. Its owner is told as early as a Harness allows, at an
    /// address that nobody else knows.
    async fn with(
        context: &Context,
        scope: Scope,
        more: impl FnOnce(&mut Value, &mut Value),
    ) -> Outcome<Self> {
        context.make_room().await?;
        let receiver = Receiver::start(SIGNING_KEY).await?;
        let webhook = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "webhook"},
            "stringData": {"url": receiver.url(), "signingKey": SIGNING_KEY}
        });
        scope.apply::<Secret>(&webhook).await?;
        context
            .apply_scripted(&scope, TENANT, |harness, tenant| {
                harness["spec"]["observability"] =
                    json!({"heartbeatInterval": "30s", "downAlertThreshold": "60s"});
                harness["spec"]["recovery"] = json!({"alertDedupe": "0s"});
                tenant["spec"]["watchdog"] = json!({"ownerWebhook": {
                    "urlSecretRef": {"name": "webhook", "key": "url"},
                    "signingKeySecretRef": {"name": "webhook", "key": "signingKey"}
                }});
                more(harness, tenant);
            })
            .await?;
        let patient = Self { gateway: Gateway::new(scope, TENANT), receiver };
        patient.is_up().await?;
        Ok(patient)
    }

    /// Waits until it serves, and its owner has been told so.
    async fn is_up(&self) -> Outcome {
        self.gateway.scope.until_ready::<Tenant>(TENANT, START).await?;
        self.until("the webhook told that it is alive", async || self.receiver.expect("alive", 1)).await
    }

    async fn until(&self, what: &str, look: impl AsyncFnMut() -> Outcome) -> Outcome {
        self.gateway.scope.until(what, START, look).await
    }

    /// One of the Pod's containers, as the node sees it.
    async fn container(&self, name: &str) -> Outcome<Container> {
        Container::of(&self.gateway.pod().await?, name)
    }

    /// Notes that a fault begins now.
    fn fault<'a>(&'a self, name: &'a str) -> Fault<'a> {
        let told = ["down", "recovered"].map(|status| self.receiver.told(status));
        Fault { patient: self, name, began: Instant::now(), told }
    }

    /// Neither it nor the operator has said what is secret.
    pub async fn told_no_secret(&self) -> Outcome {
        let told = ("the webhook's messages", self.receiver.bodies());
        leaks::none_besides(&self.gateway.scope, Some(told)).await
    }

    async fn discard(self) -> Outcome {
        self.told_no_secret().await?;
        self.gateway.scope.discard().await
    }
}

impl Fault<'_> {
    /// Waits for a condition whose message holds some words, and gives the message.
    async fn shows(&self, type_: &str, status: &str, reason: &str, words: &str) -> Outcome<String> {
        let what = format!("{}: {type_}={status} {reason}", self.name);
        let mut message = String::new();
        self.patient
            .until(&what, async || {
                let tenant = self.patient.gateway.tenant().await?;
                let found = condition(&tenant, type_).ok_or_else(|| format!("no condition {type_}"))?;
                if found.status != status || found.reason != reason || !found.message.contains(words) {
                    return Err(
                        format!("{type_}={} {}: {}", found.status, found.reason, found.message).into()
                    );
                }
                message.clone_from(&found.message);
                Ok(())
            })
            .await?;
        self.figure("shown");
        Ok(message)
    }

    /// Waits until the Tenant is Ready without a word about a reason.
    async fn is_over(&self, reason: &str) -> Outcome {
        self.patient
            .until(&format!("{}: over", self.name), async || {
                let tenant = self.patient.gateway.tenant().await?;
                conditions::ready(&tenant)?;
                match conditions::Conditioned::conditions(&tenant).iter().find(|found| found.reason == reason)
                {
                    Some(found) => Err(format!("{}={}: {}", found.type_, found.status, found.message).into()),
                    None => Ok(()),
                }
            })
            .await?;
        self.figure("over");
        Ok(())
    }

    /// Waits until the webhook has been told of it once more.
    async fn is_told(&self, status: &str) -> Outcome {
        self.is_told_while(status, async || Ok(())).await
    }

    /// The same, and does something until then, again and again.
    async fn is_told_while(&self, status: &str, mut act: impl AsyncFnMut() -> Outcome) -> Outcome {
        let before = self.told[usize::from(status == "recovered")];
        let receiver = &self.patient.receiver;
        self.patient
            .until(&format!("{}: the webhook told {status}", self.name), async || {
                let told = receiver.expect(status, before + 1);
                if told.is_err() {
                    act().await?;
                }
                told
            })
            .await?;
        self.figure(&format!("told_{status}"));
        Ok(())
    }

    /// Waits until a sign of life names a reason: it serves, and something is wrong.
    async fn is_told_alive_with(&self, reason: &str) -> Outcome {
        let what = format!("{}: a sign of life with {reason}", self.name);
        self.patient.until(&what, async || self.patient.receiver.expect_alive_with(reason)).await?;
        self.figure("told_alive");
        Ok(())
    }

    /// Nobody was told of an incident.
    fn was_no_incident(&self) {
        let told = ["down", "recovered"].map(|status| self.patient.receiver.told(status));
        assert_eq!(told, self.told, "{}: told of an incident", self.name);
    }

    /// Each was told exactly once.
    fn was_one_incident(&self) {
        let told = ["down", "recovered"].map(|status| self.patient.receiver.told(status));
        assert_eq!(told, self.told.map(|times| times + 1), "{}: told more than once", self.name);
    }

    fn figure(&self, what: &str) {
        figure_seconds(&format!("fault.{}.{what}", self.name), self.began.elapsed());
    }
}
