//! The API key of a tenant: reads one Secret by name, in the tenant's own namespace.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kr8tiv_compiler::SecretReference;
use kr8tiv_crds::reference::SecretKeyReference;
use kr8tiv_supermemory::{ApiKey, InvalidKey};
use kube::{Api, Client};
use tokio::time::timeout;

use crate::key::Key;
use crate::secrets::missing_line;

/// Who waits for a Secret keeps one of the few places for fetches from other tenants.
const PATIENCE: Duration = Duration::from_secs(10);

/// The field that names it.
const FIELD: &str = "spec.supermemory.apiKeySecretRef";

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeyError {
    /// The Secret, or the key in it, is missing; the text says which and how to make it.
    #[error("{0}")]
    Missing(String),
    /// What is there can't be an API key.
    #[error("Secret {}: {why}", secret.name)]
    Unusable { secret: SecretKeyReference, why: InvalidKey },
    /// The API server could not be asked.
    #[error("Secret {name}: {source}")]
    Api { name: String, source: Box<kube::Error> },
    /// The API server does not answer.
    #[error("Secret {name}: no answer within {} s", PATIENCE.as_secs())]
    Silent { name: String },
}

/// Reads the key.
pub(super) async fn read(
    client: &Client,
    tenant: &Key,
    secret: &SecretKeyReference,
) -> Result<ApiKey, KeyError> {
    let api = Api::<Secret>::namespaced(client.clone(), &tenant.namespace);
    let found = timeout(PATIENCE, api.get_opt(&secret.name)).await;
    let found = found.map_err(|_| KeyError::Silent { name: secret.name.clone() })?;
    let found =
        found.map_err(|source| KeyError::Api { name: secret.name.clone(), source: Box::new(source) })?;
    let value = found.as_ref().and_then(|found| found.data.as_ref()?.get(&secret.key));
    let Some(value) = value else {
        let reference = SecretReference { field: FIELD.into(), secret: secret.clone() };
        return Err(KeyError::Missing(missing_line(&reference, &tenant.namespace, found.is_some())));
    };
    ApiKey::new(&value.0).map_err(|why| KeyError::Unusable { secret: secret.clone(), why })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::{Pending, pending};
    use std::task::{Context, Poll};

    use http::{Request, Response};
    use kube::client::Body;
    use tower::Service;

    use super::*;

    /// An API server that takes requests and answers none.
    struct Mute;

    impl Service<Request<Body>> for Mute {
        type Response = Response<Body>;
        type Error = Infallible;
        type Future = Pending<Result<Self::Response, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<Body>) -> Self::Future {
            pending()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_api_server_that_does_not_answer_is_not_waited_for_for_ever() {
        let client = Client::new(Mute, "default");
        let tenant = Key { namespace: "acme".into(), name: "acme".into() };
        let secret = SecretKeyReference { name: "memory".into(), key: "apiKey".into() };
        let error = read(&client, &tenant, &secret).await.err().unwrap();
        assert!(matches!(error, KeyError::Silent { .. }), "{error}");
    }
}
