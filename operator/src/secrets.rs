//! Apply stage: the Secrets a gateway needs. Reads Secrets by name; creates and completes those that are the operator's
//! own, and changes no other.
//!
//! Secrets are neither listed nor watched: the operator may see only those it is told of, and what it has seen of
//! them is forgotten except for the fact that a key holds something, and for the fingerprint of a channel's token.

mod minted;
mod sandbox_keys;

pub use minted::StatusToken;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kr8tiv_compiler::SecretReference;
use kr8tiv_crds::reference::SecretKeyReference;
use kube::{Api, Client};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::backoff::{Pace, jittered};
use crate::client::said;
use crate::key::Key;
use crate::tokens::{Fingerprint, Fingerprints, Held};

/// How long a found Secret is believed in while a container can't be created.
const DOUBT_INTERVAL: Duration = Duration::from_secs(10);

/// How long a Secret that was read for its tokens need not be read again for what else it holds: a pass may have to wait in
/// between for that over an earlier Tenant.
const RECENT: Duration = Duration::from_mins(1);

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
    /// The name of the tokens' Secret is taken.
    #[error(
        "Secret {name} exists and was not made by the operator for this Tenant; delete or rename it, or, to use a \
         gateway's token of your own, name its Secret in spec.gateway.tokenSecretRef"
    )]
    Taken {
        /// Name of the Secret.
        name: String,
    },
    /// The name of the Secret with a sandbox's keys is taken.
    #[error("Secret {name} exists and was not made by the operator for this Tenant; delete or rename it")]
    KeysTaken {
        /// Name of the Secret.
        name: String,
    },
    /// An earlier Tenant's Secret is still being removed.
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
    #[error("no random numbers for a token or a key: {0}")]
    Randomness(rand::rand_core::OsError),
    /// A key can't be written as a text.
    #[error("a sandbox's key can't be written: {0}")]
    Keys(ssh_key::Error),
}

/// Looks after the Secrets of all tenants.
pub struct Secrets {
    client: Client,
    fingerprints: Fingerprints,
    known: Mutex<HashMap<Key, Known>>,
}

/// What is known of one tenant's Secrets.
#[derive(Clone, Default)]
struct Known {
    uid: String,
    found: BTreeSet<SecretKeyReference>,
    checked: Option<Instant>,
    missing: Option<Missing>,
    minted: Option<minted::Minted>,
    status_token: Option<StatusToken>,
    /// The keys of the sandboxes, by their names.
    sandboxes: BTreeMap<String, sandbox_keys::Kept>,
    /// Whether the watchdog's token has been looked for by a pass that did not get as far as to see to the Secret.
    recalled: bool,
    /// The tokens of channels that have been looked for, with what they are when they exist.
    tokens: BTreeMap<SecretKeyReference, Option<Fingerprint>>,
    tokens_checked: Option<Instant>,
    /// Secrets that have been read for their tokens, by name.
    read: BTreeMap<String, Read>,
}

/// A Secret that has been read, and when.
#[derive(Clone)]
struct Read {
    /// The keys that hold something; `None` without the Secret.
    keys: Option<BTreeSet<String>>,
    at: Instant,
}

impl Known {
    /// Takes from a Secret what is kept of it.
    fn learn(
        &mut self,
        name: &str,
        secret: Option<&Secret>,
        fingerprints: &Fingerprints,
    ) -> Option<BTreeSet<String>> {
        let data = secret.and_then(|secret| secret.data.as_ref());
        for (token, fingerprint) in self.tokens.iter_mut().filter(|(token, _)| token.name == name) {
            let value = data.and_then(|data| data.get(&token.key)).filter(|value| !value.0.is_empty());
            *fingerprint = value.map(|value| fingerprints.of(&value.0));
        }
        secret.map(keys_of)
    }
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
        Self { client, fingerprints: Fingerprints::default(), known: Mutex::default() }
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

    /// Reads the tokens of the tenant's channels, as far as they exist, to compare them with those of others. Asks the
    /// API server only for those that it has not looked for before, or when `in_doubt`.
    pub async fn read_tokens(
        &self,
        tenant: &Key,
        uid: &str,
        tokens: &[SecretReference],
        in_doubt: bool,
    ) -> Result<(), Error> {
        let mut known = self.known(tenant, uid);
        let now = Instant::now();
        let again = in_doubt && known.tokens_checked.is_none_or(|checked| now - checked >= DOUBT_INTERVAL);
        let wanted: BTreeSet<&SecretKeyReference> = tokens.iter().map(|token| &token.secret).collect();
        let unread = |known: &Known| {
            let unread = wanted.iter().filter(|token| again || !known.tokens.contains_key(**token));
            unread.map(|token| token.name.clone()).collect::<BTreeSet<String>>()
        };
        let names = unread(&known);
        known.tokens.retain(|token, _| wanted.contains(token));
        let mut outcome = Ok(());
        for name in &names {
            match self.get(tenant, name).await {
                Ok(secret) => {
                    let new = wanted.iter().filter(|token| token.name == *name);
                    known.tokens.extend(new.map(|token| ((*token).clone(), None)));
                    let keys = known.learn(name, secret.as_ref(), &self.fingerprints);
                    known.read.insert(name.clone(), Read { keys, at: now });
                }
                Err(error) => outcome = Err(error),
            }
        }
        if !names.is_empty() {
            known.tokens_checked = Some(now);
        }
        self.known.lock().insert(tenant.clone(), known);
        outcome
    }

    /// The tokens of the tenant's channels as they were read last, without those that do not exist.
    pub fn held(&self, tenant: &Key, tokens: &[SecretReference]) -> Vec<Held> {
        let known = self.known.lock();
        let read = |secret| known.get(tenant)?.tokens.get(secret).copied().flatten();
        let held = tokens.iter().filter_map(|SecretReference { field, secret }| {
            Some(Held { field: field.clone(), secret: secret.clone(), fingerprint: read(secret)? })
        });
        held.collect()
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
        known.read.retain(|_, read| now - read.at < RECENT);
        let contents = self.contents(tenant, &mut known, &unknown).await?;
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
        known: &mut Known,
        wanted: &[&SecretKeyReference],
    ) -> Result<BTreeMap<String, Option<BTreeSet<String>>>, Error> {
        let mut contents = BTreeMap::new();
        for secret in wanted {
            if !contents.contains_key(&secret.name) {
                let keys = if let Some(read) = known.read.remove(&secret.name) {
                    read.keys
                } else {
                    let found = self.get(tenant, &secret.name).await?;
                    known.learn(&secret.name, found.as_ref(), &self.fingerprints)
                };
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
}

fn keys_of(secret: &Secret) -> BTreeSet<String> {
    let data = secret.data.iter().flatten();
    data.filter(|(_, value)| !value.0.is_empty()).map(|(key, _)| key.clone()).collect()
}

/// What is missing, for whom, and how to make it.
pub(crate) fn missing_line(reference: &SecretReference, namespace: &str, secret_exists: bool) -> String {
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
    use super::*;

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
