//! Makes the client of the API server. Reads the kubeconfig or the Pod's service account.

use std::time::Duration;

use kube::client::ClientBuilder;
use kube::{Client, Config};

use crate::metrics::Metrics;
use crate::requests::Counting;

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither a service account nor a kubeconfig.
    #[error("no way to the API server: {0}; run in a cluster, or set KUBECONFIG")]
    NotConfigured(#[source] Box<kube::config::InferConfigError>),
    /// The configuration can't be used.
    #[error("the client of the API server can't be made: {0}")]
    NotUsable(#[source] Box<kube::Error>),
}

/// Makes the client, which counts its requests. Connects later.
pub async fn client(metrics: &Metrics) -> Result<Client, Error> {
    let mut config = Config::infer().await.map_err(|error| Error::NotConfigured(Box::new(error)))?;
    // Passes retry with a backoff of their own, by object. The client's would hold one of the few places for passes
    // for minutes.
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(5));
    let builder = ClientBuilder::try_from(config).map_err(|error| Error::NotUsable(Box::new(error)))?;
    Ok(builder.with_layer(&Counting(metrics.clone())).build())
}

/// What went wrong with a request, for people: the API server's own words without the client's wrapping.
pub fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}
