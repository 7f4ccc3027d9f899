//! Converting stage, pure: from the replaced system's names to those that Kubernetes takes. The old ones could be of
//! any length, begin with a digit and end with a dash.

use sha2::{Digest, Sha256};

use crate::import::draft::{Difference, Draft};
use crate::import::legacy::{Given, Legacy};
use crate::import::report::Target;

const NAME: Target = Target::tenant("metadata.name");
const SLUG: Target = Target::tenant("spec.slug");
const TENANT_ID: Target = Target::tenant("spec.tenantId");

/// Longest name of a Tenant, and longest slug.
const LIMIT: usize = 40;
/// Longest id of a tenant.
const ID_LIMIT: usize = 49;
/// Digits of the hash that keeps shortened names apart.
const HASH_DIGITS: usize = 8;

/// The names of what a file becomes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Names {
    /// The Harness.
    pub harness: String,
    /// The Tenant.
    pub tenant: String,
    /// The Secret that the Tenant names.
    pub secret: String,
    /// The slug, where it is not the Tenant's name.
    pub slug: Option<String>,
    /// The tenant's id, where the old name can be one.
    pub tenant_id: Option<String>,
}

impl Names {
    /// The names for a file.
    pub fn of(legacy: &Legacy) -> Self {
        let Given { value: id, .. } = &legacy.id;
        let slug = shortened(id.trim_end_matches('-'), id, LIMIT);
        let tenant = if slug.starts_with(|c: char| c.is_ascii_lowercase()) {
            slug.clone()
        } else {
            shortened(&format!("t-{slug}"), id, LIMIT)
        };
        Self {
            harness: tenant.clone(),
            secret: format!("{tenant}-secrets"),
            slug: Some(slug).filter(|slug| *slug != tenant),
            tenant_id: is_tenant_id(id).then(|| id.clone()),
            tenant,
        }
    }
}

/// Reports the names, and writes what is not in the metadata.
pub fn convert(id: &Given<String>, names: &Names, draft: &mut Draft<'_>) {
    if names.tenant == id.value {
        draft.merge(id, NAME, "");
    } else {
        let reason =
            format!("a Tenant's name has at most {LIMIT} characters, a letter first and no dash last");
        draft.note_change(id, NAME, Some(Difference::of(&id.value, &names.tenant)), reason);
    }
    if let Some(slug) = &names.slug {
        draft.add(SLUG, slug.as_str(), "the tenant's id starts with it, as the old one did");
    }
    if let Some(tenant_id) = &names.tenant_id {
        draft.add(
            TENANT_ID,
            tenant_id.as_str(),
            "the old id has the form of a tenant's id, so the tenant keeps it",
        );
    }
}

/// The name, cut when it is too long, with a hash of the whole old name then.
pub fn shortened(name: &str, whole: &str, limit: usize) -> String {
    if name.len() <= limit {
        return name.to_owned();
    }
    let hash: String = Sha256::digest(whole).iter().map(|byte| format!("{byte:02x}")).collect();
    let hash = hash.get(..HASH_DIGITS).unwrap_or_default();
    let start = name.get(..limit - HASH_DIGITS - 1).unwrap_or_default();
    format!("{}-{hash}", start.trim_end_matches('-'))
}

/// Whether it has the form of a tenant's id, a slug and eight hexadecimal digits.
fn is_tenant_id(id: &str) -> bool {
    let Some((slug, digits)) = id.rsplit_once('-') else { return false };
    let is_hash = digits.len() == HASH_DIGITS
        && digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    is_hash && !slug.is_empty() && !slug.ends_with('-') && id.len() <= ID_LIMIT
}
