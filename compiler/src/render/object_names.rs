//! What a tenant's objects are called and labelled. Pure.

use std::collections::BTreeMap;

use kr8tiv_crds::reference::SecretKeyReference;
use kr8tiv_crds::tenant::TenantSpec;
use kr8tiv_crds::{Tenant, meta};

use crate::bundle::MintedSecret;
use crate::resolve::ResolvedTenant;

/// Key of the gateway's token in the Secret that the operator makes.
const TOKEN_KEY: &str = "token";
/// Key of the watchdog's token in the same Secret.
const STATUS_TOKEN_KEY: &str = "statusToken";

/// What the gateway is called: its StatefulSet, Service and ServiceAccount.
pub fn gateway_name(tenant: &str) -> String {
    format!("{tenant}-gateway")
}

/// The ConfigMap with `openclaw.json`.
pub(crate) fn config_name(tenant: &str) -> String {
    format!("{tenant}-gateway-config")
}

/// The ConfigMap with an agent's workspace. Neither a tenant's name nor an agent's id has a dot, so that no two
/// pairs make the same name.
pub(crate) fn workspace_name(tenant: &str, agent: &str) -> String {
    format!("{tenant}-workspace.{agent}")
}

/// The claim on the gateway's volume: named by the id, so that a new tenant of an old name never meets the old
/// tenant's data.
pub(crate) fn claim_name(tenant_id: &str) -> String {
    format!("{tenant_id}-state")
}

/// Whether a claim is called as tenants' claims are. Whose it is, or whether it is anybody's, a name does not say.
pub(crate) fn is_claim_name(name: &str) -> bool {
    let digits = name.strip_suffix("-state").and_then(|id| id.rsplit_once('-')).map(|(_, digits)| digits);
    digits.is_some_and(|digits| {
        digits.len() == 8 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// The Secret with the gateway's token, and its key: the user's, or the one that the operator makes.
pub(crate) fn token(tenant: &ResolvedTenant<'_>) -> SecretKeyReference {
    tenant
        .spec
        .gateway
        .token_secret_ref
        .clone()
        .unwrap_or_else(|| SecretKeyReference { name: minted_of(tenant).name, key: TOKEN_KEY.into() })
}

/// The Secret with the watchdog's token, and its key.
pub(crate) fn status_token(tenant: &ResolvedTenant<'_>) -> SecretKeyReference {
    let MintedSecret { name, status_token, .. } = minted_of(tenant);
    SecretKeyReference { name, key: status_token }
}

/// The Secret that the operator makes for a Tenant. It has another name when the user has the gateway's token elsewhere:
/// the user may have called that one as ours is called, and what is in ours is then no gateway's token.
pub fn minted_secret(tenant: &Tenant) -> MintedSecret {
    minted(tenant.metadata.name.as_deref().unwrap_or_default(), &tenant.spec)
}

pub(crate) fn minted_of(tenant: &ResolvedTenant<'_>) -> MintedSecret {
    minted(tenant.name, tenant.spec)
}

fn minted(tenant: &str, spec: &TenantSpec) -> MintedSecret {
    let is_ours = spec.gateway.token_secret_ref.is_none();
    MintedSecret {
        name: format!("{tenant}-gateway-{}", if is_ours { "token" } else { "status" }),
        token: is_ours.then(|| TOKEN_KEY.into()),
        status_token: STATUS_TOKEN_KEY.into(),
    }
}

/// Labels of an object of a tenant.
pub(crate) fn labels(tenant: &ResolvedTenant<'_>, component: &str) -> BTreeMap<String, String> {
    BTreeMap::from([
        (meta::MANAGED_BY.into(), meta::MANAGED_BY_VALUE.into()),
        (meta::NAME.into(), meta::NAME_VALUE.into()),
        (meta::INSTANCE.into(), tenant.name.into()),
        (meta::COMPONENT.into(), component.into()),
        (meta::TENANT.into(), tenant.name.into()),
        (meta::TENANT_ID.into(), tenant.id.clone()),
    ])
}
