//! Apply stage: the tokens that the operator makes. Reads, creates and completes one Secret.

use std::collections::BTreeMap;
use std::fmt;

use hyper::header::HeaderValue;
use k8s_openapi::api::core::v1::Secret;
use kr8tiv_compiler::{MintedSecret, asked_rotation, minted_secret};
use kr8tiv_crds::{Tenant, meta};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Resource};
use rand::TryRngCore;
use serde_json::json;
use tokio::time::Instant;

use super::{DOUBT_INTERVAL, Error, Secrets, keys_of};
use crate::key::Key;

/// Bytes of a minted token: as hard to guess as a 256-bit key.
const TOKEN_BYTES: usize = 32;

/// What is known of the Secret that the operator has made for a tenant.
#[derive(Clone)]
pub(super) struct Minted {
    secret: MintedSecret,
    /// The value of [`meta::ROTATE_TOKEN`] that its token was made for.
    rotation: Option<String>,
    checked: Instant,
}

/// What a watchdog is asked with. It can be compared and sent, and not be shown.
#[derive(Clone, Eq, PartialEq)]
pub struct StatusToken(String);

impl StatusToken {
    /// Takes a token. For tests; the operator mints its own.
    pub fn new(token: String) -> Self {
        Self(token)
    }

    /// The value of the header `Authorization`. Marked so that nobody logs it.
    pub fn authorization(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", self.0)).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl fmt::Debug for StatusToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StatusToken")
    }
}

impl Secrets {
    /// The rotation that the gateway's token was made for, as far as it is known.
    pub fn rotation(&self, tenant: &Key) -> Option<String> {
        self.known.lock().get(tenant)?.minted.as_ref()?.rotation.clone()
    }

    /// What the tenant's watchdog is asked with, once its Secret has been seen or made.
    pub fn status_token(&self, tenant: &Key) -> Option<StatusToken> {
        self.known.lock().get(tenant)?.status_token.clone()
    }

    /// What the tenant's watchdog is asked with, for a pass that does not get as far as to see to the Secret: it is looked
    /// for once. None when there is no such Secret of this tenant, or it can't be read now.
    pub async fn recall_status_token(&self, tenant: &Tenant, tenant_id: &str) -> Option<StatusToken> {
        let key = Key::of(&tenant.metadata);
        let uid = tenant.metadata.uid.as_deref().unwrap_or_default();
        let known = self.known(&key, uid);
        if known.status_token.is_some() || known.recalled {
            return known.status_token;
        }
        let secret = minted_secret(tenant);
        let found = match self.get(&key, &secret.name).await {
            Ok(found) => found.filter(|found| accept(found, uid, tenant_id).is_ok()),
            Err(error) => {
                tracing::debug!(kind = "Tenant", namespace = key.namespace, name = key.name, %error, "not read");
                return None;
            }
        };
        let token = found.and_then(|found| held(&found, &secret.status_token)).map(StatusToken);
        let mut all = self.known.lock();
        let entry = all.entry(key).or_default();
        entry.recalled = true;
        entry.status_token.clone_from(&token);
        token
    }

    /// Makes sure that the tokens exist: creates the Secret once, adds keys that it lacks, and replaces the gateway's
    /// token once for each value of the annotation [`meta::ROTATE_TOKEN`]. Nothing else is ever changed. Asks the API
    /// server once after a start, for a rotation, and when `in_doubt`. Gives the rotation that the token was made for.
    pub async fn ensure_minted(
        &self,
        tenant: &Tenant,
        tenant_id: &str,
        secret: &MintedSecret,
        in_doubt: bool,
    ) -> Result<Option<String>, Error> {
        let key = Key::of(&tenant.metadata);
        let uid = tenant.metadata.uid.as_deref().unwrap_or_default();
        let asked = asked_rotation(tenant).filter(|_| secret.token.is_some());
        let known = self.known(&key, uid);
        let now = Instant::now();
        if let Some(minted) = known.minted.filter(|minted| minted.secret == *secret) {
            let doubted = in_doubt && now - minted.checked >= DOUBT_INTERVAL;
            let is_done = asked.is_none_or(|asked| minted.rotation.as_deref() == Some(asked));
            if is_done && !doubted {
                return Ok(minted.rotation);
            }
        }
        // A tenant that has never been applied has no Secret, but for one that is retained or somebody else's: creating it
        // tells, and spares the look.
        let is_new = tenant.status.as_ref().is_none_or(|status| status.bundle_hash.is_none());
        let made = if is_new { self.mint(tenant, tenant_id, secret, asked).await? } else { None };
        let found = if made.is_some() { None } else { self.get(&key, &secret.name).await? };
        let (rotation, status_token) = match (found, made) {
            (Some(found), _) => {
                accept(&found, uid, tenant_id)?;
                self.complete(&key, &found, secret, asked).await?
            }
            (None, Some(status_token)) => (asked.map(str::to_owned), status_token),
            (None, None) => match self.mint(tenant, tenant_id, secret, asked).await? {
                Some(status_token) => (asked.map(str::to_owned), status_token),
                None => return Err(Error::Leaving { name: secret.name.clone() }),
            },
        };
        let minted = Minted { secret: secret.clone(), rotation: rotation.clone(), checked: now };
        let mut all = self.known.lock();
        let entry = all.entry(key).or_default();
        entry.minted = Some(minted);
        entry.status_token = Some(status_token);
        Ok(rotation)
    }

    /// Creates the Secret. Gives its token for the watchdog; `None` when there is one of that name.
    async fn mint(
        &self,
        tenant: &Tenant,
        tenant_id: &str,
        secret: &MintedSecret,
        rotation: Option<&str>,
    ) -> Result<Option<StatusToken>, Error> {
        let tokens = secret.keys().map(|key| Ok((key.to_owned(), token()?)));
        let tokens: BTreeMap<String, String> = tokens.collect::<Result<_, Error>>()?;
        let status_token = StatusToken(tokens.get(&secret.status_token).cloned().unwrap_or_default());
        let rotation = rotation.map(|value| (meta::ROTATE_TOKEN, value));
        if !self.create(tenant, tenant_id, &secret.name, rotation, tokens).await? {
            return Ok(None);
        }
        said(&Key::of(&tenant.metadata), &secret.name, "tokens made");
        Ok(Some(status_token))
    }

    /// Creates a Secret of the operator's own. Gives whether there was none of that name.
    pub(super) async fn create(
        &self,
        tenant: &Tenant,
        tenant_id: &str,
        name: &str,
        annotation: Option<(&str, &str)>,
        data: BTreeMap<String, String>,
    ) -> Result<bool, Error> {
        let key = Key::of(&tenant.metadata);
        let labels = [
            (meta::MANAGED_BY, meta::MANAGED_BY_VALUE),
            (meta::NAME, meta::NAME_VALUE),
            (meta::INSTANCE, &key.name),
            (meta::TENANT, &key.name),
            (meta::TENANT_ID, tenant_id),
        ];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let object = Secret {
            metadata: kube::core::ObjectMeta {
                name: Some(name.to_owned()),
                namespace: Some(key.namespace.clone()),
                labels: Some(BTreeMap::from(labels)),
                annotations: annotation.map(|(name, value)| [(name.into(), value.into())].into()),
                owner_references: tenant.controller_owner_ref(&()).map(|owner| vec![owner]),
                ..Default::default()
            },
            string_data: Some(data),
            type_: Some("Opaque".into()),
            ..Default::default()
        };
        let parameters =
            PostParams { field_manager: Some(crate::FIELD_MANAGER.into()), ..PostParams::default() };
        match self.api(&key).create(&parameters, &object).await {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            Err(source) => Err(Error::Api { name: name.to_owned(), source: Box::new(source) }),
        }
    }

    /// Adds what a Secret lacks, and a new token when another rotation is asked for. The Secret must be as it was
    /// read: of two operators, one makes the token. Gives the rotation that the Secret's token is of, and the watchdog's
    /// token.
    async fn complete(
        &self,
        tenant: &Key,
        found: &Secret,
        secret: &MintedSecret,
        asked: Option<&str>,
    ) -> Result<(Option<String>, StatusToken), Error> {
        let annotations = found.metadata.annotations.as_ref();
        let done = annotations.and_then(|all| all.get(meta::ROTATE_TOKEN));
        let rotated = asked.filter(|asked| done.map(String::as_str) != Some(asked));
        let keys = keys_of(found);
        let is_due =
            |key: &&str| !keys.contains(*key) || (rotated.is_some() && secret.token.as_deref() == Some(*key));
        let due: Vec<&str> = secret.keys().filter(is_due).collect();
        let tokens = due.iter().map(|key| Ok((key.to_string(), token()?)));
        let tokens: BTreeMap<String, String> = tokens.collect::<Result<_, Error>>()?;
        let made = tokens.get(&secret.status_token).cloned();
        let status_token = made.or_else(|| held(found, &secret.status_token)).unwrap_or_default();
        let status_token = StatusToken(status_token);
        if tokens.is_empty() {
            return Ok((done.cloned(), status_token));
        }
        let mut patch = json!({
            "metadata": {"uid": found.metadata.uid, "resourceVersion": found.metadata.resource_version},
            "stringData": tokens,
        });
        if let Some(rotated) = rotated {
            patch["metadata"]["annotations"] = json!({meta::ROTATE_TOKEN: rotated});
        }
        let parameters =
            PatchParams { field_manager: Some(crate::FIELD_MANAGER.into()), ..PatchParams::default() };
        // Only metadata come back: nobody needs the values any more.
        let answer = self.api(tenant).patch_metadata(&secret.name, &parameters, &Patch::Merge(&patch)).await;
        answer.map_err(|source| Error::Api { name: secret.name.clone(), source: Box::new(source) })?;
        said(tenant, &secret.name, if rotated.is_some() { "token rotated" } else { "missing tokens made" });
        Ok((rotated.map(str::to_owned).or_else(|| done.cloned()), status_token))
    }

    pub(super) fn api(&self, tenant: &Key) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &tenant.namespace)
    }
}

fn held(secret: &Secret, key: &str) -> Option<String> {
    let value = secret.data.as_ref()?.get(key)?;
    String::from_utf8(value.0.clone()).ok()
}

fn token() -> Result<String, Error> {
    let mut bytes = [0; TOKEN_BYTES];
    rand::rngs::OsRng.try_fill_bytes(&mut bytes).map_err(Error::Randomness)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

pub(super) fn said(tenant: &Key, secret: &str, what: &str) {
    tracing::info!(kind = "Tenant", namespace = tenant.namespace, name = tenant.name, secret, "{what}");
}

/// Whether an existing Secret is the one that was made for this Tenant.
pub(super) fn accept(secret: &Secret, uid: &str, tenant_id: &str) -> Result<(), Error> {
    let metadata = &secret.metadata;
    let name = metadata.name.clone().unwrap_or_default();
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
    Ok(())
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
            "data": {"token": "eA=="}
        }))
        .unwrap()
    }

    fn verdict(secret: &Secret) -> &'static str {
        match accept(secret, "me", "acme-12345678") {
            Ok(()) => "kept",
            Err(Error::Taken { .. }) => "taken",
            Err(Error::Leaving { .. }) => "leaving",
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn only_this_tenants_secret_is_taken_for_its_token() {
        assert_eq!(verdict(&secret(Some("me"), None)), "kept");
        assert_eq!(verdict(&secret(None, Some("acme-12345678"))), "kept");
        assert_eq!(verdict(&secret(None, Some("other-12345678"))), "taken");
        assert_eq!(verdict(&secret(None, None)), "taken");
        assert_eq!(verdict(&secret(Some("predecessor"), None)), "leaving");
    }
}
