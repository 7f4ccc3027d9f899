//! Apply stage: the Secrets a gateway needs. Reads Secrets by name, creates the token; never changes one.
//!
//! Secrets are neither listed nor watched: the operator may see only those it is told of, and what it has seen of
//! them is forgotten except for the fact that a key holds something.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kr8tiv_compiler::SecretReference;
use kr8tiv_crds::reference::SecretKeyReference;
use kr8tiv_crds::{Tenant, meta};
use kube::api::PostParams;
use kube::{Api, Client, Resource};
use parking_lot::Mutex;
use rand::TryRngCore;
use tokio::time::Instant;

use crate::backoff::{Pace, jittered};
use crate::client::said;
use crate::key::Key;

/// Bytes of a minted token: as hard to guess as a 256-bit key.
const TOKEN_BYTES: usize = 32;

/// How long a found Secret is believed in while a container can't be created.
const DOUBT_INTERVAL: Duration = Duration::from_secs(10);

/// Why a gateway can't have its Secrets.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A Secret, or a key in it, is missing.
    #[error("{message}")]
    Missing {
        /// What is missing, for whom, and how to make it; one line each.
        message: String,
        /// When it is looked for again.
        retry: Duration,
    },
    /// The name of the token's Secret is taken.
    #[error(
        "Secret {name} exists and is not this Tenant's; delete or rename it, or set spec.gateway.tokenSecretRef to \
         use a token of your own"
    )]
    Taken {
        /// Name of the Secret.
        name: String,
    },
    /// An earlier Tenant's token Secret is still being removed.
    #[error("Secret {name} of a deleted Tenant is still being removed")]
    Leaving {
        /// Name of the Secret.
        name: String,
    },
    /// The API server could not be asked.
    #[error("Secret {name}: {}", said(source))]
    Api {
        /// Name of the Secret.
        name: String,
        /// What the client says.
        source: Box<kube::Error>,
    },
    /// The operating system gives no random numbers.
    #[error("no random numbers for a token: {0}")]
    Randomness(rand::rand_core::OsError),
}

/// Looks after the Secrets of all tenants.
pub struct Secrets {
    client: Client,
    known: Mutex<HashMap<Key, Known>>,
}

/// What is known of one tenant's Secrets.
#[derive(Clone, Default)]
struct Known {
    uid: String,
    found: BTreeSet<SecretKeyReference>,
    checked: Option<Instant>,
    missing: Option<Missing>,
    token: Option<SecretKeyReference>,
    token_checked: Option<Instant>,
}

/// An answer that is given again until it is time to look again.
#[derive(Clone)]
struct Missing {
    references: Vec<SecretReference>,
    message: String,
    failures: u32,
    retry_at: Instant,
}

impl Secrets {
    /// Makes one that knows nothing.
    pub fn new(client: Client) -> Self {
        Self { client, known: Mutex::default() }
    }

    /// The Tenant is gone.
    pub fn forget(&self, tenant: &Key) {
        self.known.lock().remove(tenant);
    }

    fn known(&self, tenant: &Key, uid: &str) -> Known {
        let mut known = self.known.lock();
        let entry = known.entry(tenant.clone()).or_default();
        if entry.uid != uid {
            *entry = Known { uid: uid.to_owned(), ..Known::default() };
        }
        entry.clone()
    }

    /// Makes sure that the Secrets referred to exist. Asks the API server only for references that it has not found
    /// before, or when `in_doubt`: when the gateway's containers can't be created.
    pub async fn check(
        &self,
        tenant: &Key,
        uid: &str,
        references: &[SecretReference],
        in_doubt: bool,
    ) -> Result<(), Error> {
        let mut known = self.known(tenant, uid);
        let now = Instant::now();
        let repeated = known.missing.take_if(|missing| missing.references == references);
        if let Some(missing) = repeated.as_ref().filter(|missing| missing.retry_at > now) {
            let retry = missing.retry_at - now;
            return Err(Error::Missing { message: missing.message.clone(), retry });
        }
        if in_doubt && known.checked.is_none_or(|checked| now - checked >= DOUBT_INTERVAL) {
            known.found.clear();
        }
        let wanted: BTreeSet<&SecretKeyReference> =
            references.iter().map(|reference| &reference.secret).collect();
        let unknown: Vec<&SecretKeyReference> =
            wanted.into_iter().filter(|secret| !known.found.contains(*secret)).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let contents = self.contents(tenant, &unknown).await?;
        let mut lines = Vec::new();
        for reference in references {
            match contents.get(&reference.secret.name) {
                Some(Some(keys)) if keys.contains(&reference.secret.key) => {
                    known.found.insert(reference.secret.clone());
                }
                Some(found) => lines.push(missing_line(reference, &tenant.namespace, found.is_some())),
                None => {}
            }
        }
        known.checked = Some(now);
        let outcome = if lines.is_empty() {
            known.missing = None;
            Ok(())
        } else {
            let failures = repeated.map_or(1, |missing| missing.failures.saturating_add(1));
            let retry = jittered(Pace::Missing.pause(failures));
            let (message, references) = (lines.join("\n"), references.to_vec());
            let missing = Missing { references, message: message.clone(), failures, retry_at: now + retry };
            known.missing = Some(missing);
            Err(Error::Missing { message, retry })
        };
        self.known.lock().insert(tenant.clone(), known);
        outcome
    }

    /// The keys that hold something, by Secret; `None` for a Secret that does not exist.
    async fn contents(
        &self,
        tenant: &Key,
        wanted: &[&SecretKeyReference],
    ) -> Result<BTreeMap<String, Option<BTreeSet<String>>>, Error> {
        let mut contents = BTreeMap::new();
        for secret in wanted {
            if !contents.contains_key(&secret.name) {
                let keys = self.get(tenant, &secret.name).await?.as_ref().map(keys_of);
                contents.insert(secret.name.clone(), keys);
            }
        }
        Ok(contents)
    }

    async fn get(&self, tenant: &Key, name: &str) -> Result<Option<Secret>, Error> {
        let api = Api::<Secret>::namespaced(self.client.clone(), &tenant.namespace);
        let found = api.get_opt(name).await;
        found.map_err(|source| Error::Api { name: name.to_owned(), source: Box::new(source) })
    }

    /// Makes sure that the gateway's token exists: creates it once and never touches it again. Asks the API server
    /// once after a start, and when `in_doubt`.
    pub async fn ensure_token(
        &self,
        tenant: &Tenant,
        tenant_id: &str,
        token: &SecretKeyReference,
        in_doubt: bool,
    ) -> Result<(), Error> {
        let key = Key::of(&tenant.metadata);
        let uid = tenant.metadata.uid.as_deref().unwrap_or_default();
        let mut known = self.known(&key, uid);
        let now = Instant::now();
        let doubted = in_doubt && known.token_checked.is_none_or(|checked| now - checked >= DOUBT_INTERVAL);
        if known.token.as_ref() == Some(token) && !doubted {
            return Ok(());
        }
        match self.get(&key, &token.name).await? {
            Some(secret) => accept(&secret, uid, tenant_id, token)?,
            None => self.mint(tenant, tenant_id, token).await?,
        }
        known.token = Some(token.clone());
        known.token_checked = Some(now);
        self.known.lock().insert(key, known);
        Ok(())
    }

    async fn mint(&self, tenant: &Tenant, tenant_id: &str, token: &SecretKeyReference) -> Result<(), Error> {
        let key = Key::of(&tenant.metadata);
        let mut bytes = [0; TOKEN_BYTES];
        rand::rngs::OsRng.try_fill_bytes(&mut bytes).map_err(Error::Randomness)?;
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let labels = [
            (meta::MANAGED_BY, meta::MANAGED_BY_VALUE),
            (meta::NAME, meta::NAME_VALUE),
            (meta::INSTANCE, &key.name),
            (meta::TENANT, &key.name),
            (meta::TENANT_ID, tenant_id),
        ];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let secret = Secret {
            metadata: kube::core::ObjectMeta {
                name: Some(token.name.clone()),
                namespace: Some(key.namespace.clone()),
                labels: Some(BTreeMap::from(labels)),
                owner_references: tenant.controller_owner_ref(&()).map(|owner| vec![owner]),
                ..Default::default()
            },
            string_data: Some(BTreeMap::from([(token.key.clone(), text)])),
            type_: Some("Opaque".into()),
            ..Default::default()
        };
        let api = Api::<Secret>::namespaced(self.client.clone(), &key.namespace);
        let parameters =
            PostParams { field_manager: Some(crate::FIELD_MANAGER.into()), ..PostParams::default() };
        let created = api.create(&parameters, &secret).await;
        created.map_err(|source| Error::Api { name: token.name.clone(), source: Box::new(source) })?;
        tracing::info!(
            kind = "Tenant",
            namespace = key.namespace,
            name = key.name,
            secret = token.name,
            "token made"
        );
        Ok(())
    }
}

fn keys_of(secret: &Secret) -> BTreeSet<String> {
    let data = secret.data.iter().flatten();
    data.filter(|(_, value)| !value.0.is_empty()).map(|(key, _)| key.clone()).collect()
}

/// Whether an existing Secret is this Tenant's token.
fn accept(secret: &Secret, uid: &str, tenant_id: &str, token: &SecretKeyReference) -> Result<(), Error> {
    let name = token.name.clone();
    let metadata = &secret.metadata;
    let owners = metadata.owner_references.as_deref().unwrap_or_default();
    let is_owned = owners.iter().any(|owner| owner.uid == uid);
    let has_our_id =
        metadata.labels.as_ref().and_then(|all| all.get(meta::TENANT_ID)).is_some_and(|id| id == tenant_id);
    // What a deleted Tenant owned goes with it, and must not be counted on.
    let was_a_tenants = owners.iter().any(|owner| owner.kind == Tenant::kind(&()));
    if metadata.deletion_timestamp.is_some() || (!is_owned && was_a_tenants) {
        return Err(Error::Leaving { name });
    }
    if !is_owned && !has_our_id {
        return Err(Error::Taken { name });
    }
    if !keys_of(secret).contains(&token.key) {
        let message =
            format!("Secret {name} has lost its key {}; delete the Secret, and it is made anew", token.key);
        return Err(Error::Missing { message, retry: Pace::Missing.pause(2) });
    }
    Ok(())
}

fn missing_line(reference: &SecretReference, namespace: &str, secret_exists: bool) -> String {
    let SecretReference { field, secret: SecretKeyReference { name, key } } = reference;
    if secret_exists {
        format!(
            "{field}: Secret {name} has nothing under the key {key}; add it with: kubectl -n {namespace} patch secret \
             {name} --type merge -p '{{\"stringData\":{{\"{key}\":\"...\"}}}}'"
        )
    } else {
        format!(
            "{field}: Secret {name} does not exist; create it with: kubectl -n {namespace} create secret generic \
             {name} --from-literal={key}=..."
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn secret(owner: Option<&str>, id: Option<&str>) -> Secret {
        let owners =
            owner.map(|uid| json!([{"apiVersion": "v1", "kind": "Tenant", "name": "t", "uid": uid}]));
        let labels = id.map(|id| json!({meta::TENANT_ID: id}));
        serde_json::from_value(json!({
            "metadata": {"name": "s", "ownerReferences": owners, "labels": labels},
            "data": {"token": "eA==", "empty": ""}
        }))
        .unwrap()
    }

    fn verdict(secret: &Secret, key: &str) -> &'static str {
        let token = SecretKeyReference { name: "s".into(), key: key.into() };
        match accept(secret, "me", "acme-12345678", &token) {
            Ok(()) => "kept",
            Err(Error::Taken { .. }) => "taken",
            Err(Error::Leaving { .. }) => "leaving",
            Err(Error::Missing { .. }) => "missing",
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn only_this_tenants_secret_is_taken_for_its_token() {
        assert_eq!(verdict(&secret(Some("me"), None), "token"), "kept");
        assert_eq!(verdict(&secret(None, Some("acme-12345678")), "token"), "kept");
        assert_eq!(verdict(&secret(None, Some("other-12345678")), "token"), "taken");
        assert_eq!(verdict(&secret(None, None), "token"), "taken");
        assert_eq!(verdict(&secret(Some("predecessor"), None), "token"), "leaving");
        assert_eq!(verdict(&secret(Some("me"), None), "empty"), "missing");
    }

    #[test]
    fn a_message_names_field_secret_key_and_command() {
        let secret = SecretKeyReference { name: "bot".into(), key: "token".into() };
        let reference =
            SecretReference { field: "spec.channels.telegram.accounts[0].botTokenSecretRef".into(), secret };
        assert_eq!(
            missing_line(&reference, "acme", false),
            "spec.channels.telegram.accounts[0].botTokenSecretRef: Secret bot does not exist; create it with: kubectl -n acme \
             create secret generic bot --from-literal=token=..."
        );
        assert!(missing_line(&reference, "acme", true).contains("nothing under the key token"));
    }
}
