//! Keeps the certificate: watches where it is stored and where its authority is published, and does what
//! [`crate::certificate`] plans. Reads and writes one Secret and one ValidatingWebhookConfiguration.
//!
//! Every replica does the same. Of two that write at once one is refused by the version that it read, and goes on with
//! what the other has written.

use std::pin::pin;
use std::time::Duration;

use futures::{Stream, StreamExt};
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kr8tiv_operator::client::said;
use kr8tiv_operator::readiness::Gate;
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, watch_object};
use kube::{Api, Client};
use serde_json::json;

use crate::certificate::{self, Pair, Policy, make, plan};
use crate::metrics::Metrics;
use crate::tls::{self, Served};

/// Key in the Secret under which the webhook's own certificates are.
const STORED: &str = "certificates.json";
/// Field manager of what is published.
const FIELD_MANAGER: &str = "kr8tiv-webhook";
/// After a failure that no watch tells the end of.
const PAUSE: SignedDuration = SignedDuration::from_secs(5);

/// Where certificates come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// They are made here, and their authority is published in the ValidatingWebhookConfiguration of this name.
    Own {
        /// How they are to be.
        policy: Policy,
        /// Name of the ValidatingWebhookConfiguration.
        configuration: String,
    },
    /// Somebody else, such as cert-manager, puts them into the Secret as `tls.crt` and `tls.key`, and publishes the
    /// authority.
    Given,
}

/// The Secret with the certificate.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("Secret {0} does not exist: installing the chart again makes it")]
    Missing(String),
    #[error("Secret {0} has no tls.crt and tls.key yet")]
    NotGiven(String),
    #[error(transparent)]
    Make(#[from] certificate::Error),
    #[error(transparent)]
    Serve(#[from] tls::Error),
    #[error("certificates can't be made into JSON: {0}")]
    Encode(#[source] serde_json::Error),
    #[error("Secret {name} can't be written: {}", said(.source))]
    Store { name: String, source: kube::Error },
    #[error("ValidatingWebhookConfiguration {name} can't be given the authority: {}", said(.source))]
    Publish { name: String, source: kube::Error },
}

/// Keeps one certificate.
pub struct Keeper {
    /// The way to the API server.
    pub client: Client,
    /// Where it is stored.
    pub place: Place,
    /// Where it comes from.
    pub source: Source,
    /// Where it is served.
    pub served: Served,
    /// Says when one is.
    pub gate: Gate,
    /// Says until when.
    pub metrics: Metrics,
}

/// What the watches have seen.
#[derive(Default)]
struct Seen {
    secret: Found,
    configuration: Option<ValidatingWebhookConfiguration>,
}

/// The Secret.
#[derive(Default)]
enum Found {
    /// Nobody has looked yet.
    #[default]
    Unknown,
    /// It does not exist.
    Missing,
    /// It is this.
    Here(Box<Secret>),
}

impl Keeper {
    /// Keeps it until the process ends.
    pub async fn run(self) {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.place.namespace);
        let mut secrets = pin!(latest(secrets, &self.place.name));
        let configuration = match &self.source {
            Source::Own { configuration, .. } => configuration.as_str(),
            Source::Given => "",
        };
        let configurations: Api<ValidatingWebhookConfiguration> = Api::all(self.client.clone());
        let mut configurations = pin!(latest(configurations, configuration));
        let mut seen = Seen::default();
        let mut current = None;
        let (mut wait, mut problem) = (PAUSE, String::new());
        loop {
            let pause = tokio::time::sleep(Duration::try_from(wait).unwrap_or_default());
            tokio::select! {
                Some(secret) = secrets.next() => {
                    seen.secret = secret.map_or(Found::Missing, |secret| Found::Here(Box::new(secret)));
                }
                Some(found) = configurations.next(), if !configuration.is_empty() => seen.configuration = found,
                () = pause => {}
            }
            let advanced = match &self.source {
                Source::Own { policy, configuration } => {
                    self.advance(&mut seen, policy, configuration, &mut current).await
                }
                Source::Given => self.take(&seen, &mut current),
            };
            (wait, problem) = match advanced {
                Ok(wait) => (wait, String::new()),
                Err(error) => {
                    let new = error.to_string();
                    self.gate.failed(&new);
                    if new != problem {
                        tracing::warn!(error = new, "the certificate can't be kept");
                    }
                    (PAUSE, new)
                }
            };
        }
    }

    /// Does what is due; gives how long nothing will be.
    async fn advance(
        &self,
        seen: &mut Seen,
        policy: &Policy,
        configuration: &str,
        current: &mut Option<String>,
    ) -> Result<SignedDuration, Error> {
        let name = &self.place.name;
        let secret = match &seen.secret {
            Found::Unknown => return Ok(PAUSE),
            Found::Missing => return Err(Error::Missing(name.clone())),
            Found::Here(secret) => secret,
        };
        let published = seen.configuration.as_ref();
        let known = published.map(bundle_of).unwrap_or_default();
        let now = Timestamp::now();
        let pairs = stored(secret);
        let plan = plan(&pairs, &known, policy, now);
        if let Some(pair) = plan.serve
            && current.as_ref() != Some(&pair.certificate)
        {
            self.served.serve(&pair.certificate, &pair.key)?;
            #[allow(
                clippy::cast_precision_loss,
                reason = "seconds since 1970 are exact for millions of years"
            )]
            self.metrics.expires(pair.expires.as_second() as f64);
            tracing::info!(made = %pair.made, expires = %pair.expires, "serving a certificate");
            *current = Some(pair.certificate.clone());
            self.gate.synced();
        }
        if plan.make {
            let pairs = certificate::with(&pairs, make(policy, now)?, now);
            let written = self.store(secret, &pairs).await?;
            // At once, without waiting for the watch to bring it. `None`: another replica was faster.
            if let Some(written) = written {
                seen.secret = Found::Here(Box::new(written));
                return Ok(SignedDuration::ZERO);
            }
            return Ok(PAUSE);
        }
        if let Some(published) = published.filter(|_| !plan.bundle.is_empty() && known != plan.bundle) {
            self.publish(published, &plan.bundle)
                .await
                .map_err(|source| Error::Publish { name: configuration.to_owned(), source })?;
        }
        Ok(plan.wait)
    }

    /// Serves what somebody else has put there.
    fn take(&self, seen: &Seen, current: &mut Option<String>) -> Result<SignedDuration, Error> {
        let name = &self.place.name;
        let data = match &seen.secret {
            Found::Unknown => return Ok(PAUSE),
            Found::Missing => None,
            Found::Here(secret) => secret.data.as_ref(),
        };
        let text = |key: &str| Some(String::from_utf8_lossy(&data?.get(key)?.0).into_owned());
        let parts = text("tls.crt").zip(text("tls.key"));
        let (chain, key) = parts.ok_or_else(|| Error::NotGiven(name.clone()))?;
        if current.as_ref() != Some(&chain) {
            self.served.serve(&chain, &key)?;
            tracing::info!("serving the certificate of Secret {name}");
            *current = Some(chain);
            self.gate.synced();
        }
        Ok(SignedDuration::from_hours(1))
    }

    /// Stores pairs, unless the Secret has changed since it was read.
    async fn store(&self, secret: &Secret, pairs: &[Pair]) -> Result<Option<Secret>, Error> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.place.namespace);
        let mut secret = secret.clone();
        let text = serde_json::to_vec(pairs).map_err(Error::Encode)?;
        secret.data.get_or_insert_default().insert(STORED.into(), ByteString(text));
        match secrets.replace(&self.place.name, &PostParams::default(), &secret).await {
            Ok(written) => {
                tracing::info!("a new certificate is stored");
                Ok(Some(written))
            }
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(None),
            Err(source) => Err(Error::Store { name: self.place.name.clone(), source }),
        }
    }

    /// Publishes authorities for every webhook of the configuration.
    async fn publish(
        &self,
        configuration: &ValidatingWebhookConfiguration,
        bundle: &str,
    ) -> Result<(), kube::Error> {
        let configurations: Api<ValidatingWebhookConfiguration> = Api::all(self.client.clone());
        let name = configuration.metadata.name.as_deref().unwrap_or_default();
        let bundle = ByteString(bundle.as_bytes().to_vec());
        let webhooks = configuration.webhooks.iter().flatten();
        // Merged by name, so that nothing but the authority is touched.
        let webhooks: Vec<_> = webhooks
            .map(|webhook| json!({"name": webhook.name, "clientConfig": {"caBundle": bundle}}))
            .collect();
        let version = &configuration.metadata.resource_version;
        let patch = json!({"metadata": {"resourceVersion": version}, "webhooks": webhooks});
        let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
        match configurations.patch(name, &parameters, &Patch::Strategic(patch)).await {
            Ok(_) => tracing::info!("the certificate's authority is published"),
            // It has changed: the watch brings it.
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// An object as it is now, again whenever it changes.
fn latest<K>(api: Api<K>, name: &str) -> impl Stream<Item = Option<K>> + use<K>
where
    K: kube::Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + 'static,
{
    let events = watch_object(api, name).backoff(watcher::DefaultBackoff::default());
    events.filter_map(|event| {
        std::future::ready(match event {
            Ok(found) => Some(found),
            Err(error) => {
                tracing::warn!(%error, "a watch is interrupted");
                None
            }
        })
    })
}

/// What can't be read was written by another version, and is replaced.
fn stored(secret: &Secret) -> Vec<Pair> {
    let Some(text) = secret.data.as_ref().and_then(|data| data.get(STORED)) else { return Vec::new() };
    serde_json::from_slice(&text.0).unwrap_or_else(|error| {
        // Where, not what: the error may quote a key.
        let (line, column) = (error.line(), error.column());
        tracing::warn!(line, column, "the stored certificates can't be read, and are replaced");
        Vec::new()
    })
}

/// What every webhook of a configuration is trusted by; empty while one lacks something.
fn bundle_of(configuration: &ValidatingWebhookConfiguration) -> String {
    let mut bundles = configuration.webhooks.iter().flatten().map(|webhook| {
        let bundle = webhook.client_config.ca_bundle.as_ref();
        bundle.map(|bundle| String::from_utf8_lossy(&bundle.0).into_owned()).unwrap_or_default()
    });
    let first = bundles.next().unwrap_or_default();
    if bundles.all(|bundle| bundle == first) { first } else { String::new() }
}
