//! The API key of a tenant: reads one Secret by name, in the tenant's own namespace.

use k8s_openapi::api::core::v1::Secret;
use kr8tiv_compiler::SecretReference;
use kr8tiv_crds::reference::SecretKeyReference;
use kr8tiv_supermemory::{ApiKey, InvalidKey};
use kube::{Api, Client};

use crate::key::Key;
use crate::secrets::missing_line;

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
}

/// Reads the key.
pub(super) async fn read(
    client: &Client,
    tenant: &Key,
    secret: &SecretKeyReference,
) -> Result<ApiKey, KeyError> {
    let api = Api::<Secret>::namespaced(client.clone(), &tenant.namespace);
    let found = api.get_opt(&secret.name).await;
    let found =
        found.map_err(|source| KeyError::Api { name: secret.name.clone(), source: Box::new(source) })?;
    let value = found.as_ref().and_then(|found| found.data.as_ref()?.get(&secret.key));
    let Some(value) = value else {
        let reference = SecretReference { field: FIELD.into(), secret: secret.clone() };
        return Err(KeyError::Missing(missing_line(&reference, &tenant.namespace, found.is_some())));
    };
    ApiKey::new(&value.0).map_err(|why| KeyError::Unusable { secret: secret.clone(), why })
}
