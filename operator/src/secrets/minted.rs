//! Apply stage: the gateway's token, which the operator makes. Reads and creates one Secret.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use kr8tiv_crds::reference::SecretKeyReference;
use kr8tiv_crds::{Tenant, meta};
use kube::api::PostParams;
use kube::{Api, Resource};
use rand::TryRngCore;
use tokio::time::Instant;

use super::{DOUBT_INTERVAL, Error, Secrets, keys_of};
use crate::backoff::Pace;
use crate::key::Key;

/// Bytes of a minted token: as hard to guess as a 256-bit key.
const TOKEN_BYTES: usize = 32;

impl Secrets {
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
}
