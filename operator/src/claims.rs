//! Observation stage, no I/O: which Tenant was first with what only one may have, its id and its memory's tag.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;
use kr8tiv_crds::Tenant;
use kube::Resource;
use parking_lot::RwLock;

use crate::guard::Guarded;
use crate::key::Key;
use crate::table::{Change, Table};

/// How a Tenant stands to others that want the same. The least claim holds: the oldest, and of equally old ones that of
/// the smaller uid, so that every operator comes to the same answer.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Claim {
    created: Option<Timestamp>,
    uid: String,
}

impl Claim {
    /// The claim of the Tenant with this metadata.
    pub fn of(metadata: &ObjectMeta) -> Self {
        Self {
            created: metadata.creation_timestamp.as_ref().map(|time| time.0),
            uid: metadata.uid.clone().unwrap_or_default(),
        }
    }
}

/// What only one Tenant may have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Property {
    /// The tenant id: the volume is found by it.
    TenantId,
    /// The tag: the memory is found by it.
    ContainerTag,
}

impl Property {
    /// The field in which a Tenant asks for it.
    pub fn field(self) -> &'static str {
        match self {
            Self::TenantId => "spec.tenantId",
            Self::ContainerTag => "spec.containerTag",
        }
    }

    /// What a Tenant has of it, as far as it is known: what it asks for, or what it was given.
    pub fn of(self, tenant: &Guarded<Tenant>) -> Option<String> {
        match (tenant.readable(), self) {
            (Ok(tenant), Self::TenantId) => kr8tiv_compiler::tenant_id(tenant),
            (Ok(tenant), Self::ContainerTag) => {
                let given = tenant.status.as_ref().and_then(|status| status.container_tag.as_ref());
                tenant.spec.container_tag.as_ref().or(given).cloned()
            }
            (Err(unreadable), Self::TenantId) => unreadable.tenant_id.clone(),
            (Err(unreadable), Self::ContainerTag) => unreadable.container_tag.clone(),
        }
    }
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TenantId => "tenant id",
            Self::ContainerTag => "memory tag",
        })
    }
}

/// Something that another Tenant has had before.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Taken {
    /// What it is.
    pub property: Property,
    /// The id or the tag.
    pub value: String,
    /// Whose it is.
    pub holder: Key,
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { property, value, holder } = self;
        let field = property.field();
        write!(
            f,
            "the {property} {value} belongs to Tenant {holder}; delete that one, or create this Tenant anew with another \
             {field}"
        )
    }
}

/// All claims to one property.
#[derive(Debug)]
pub struct Claims {
    property: Property,
    tenants: RwLock<Table<String, Claim>>,
}

impl Claims {
    /// Nobody has claimed it yet.
    pub fn to(property: Property) -> Self {
        Self { property, tenants: RwLock::default() }
    }

    /// Takes in a Tenant; gives those that claim the same, or what it claimed before.
    pub fn insert(&self, key: Key, version: u64, tenant: &Guarded<Tenant>) -> Vec<Key> {
        let (value, claim) = (self.property.of(tenant), Claim::of(tenant.meta()));
        let change = self.tenants.write().insert(key, value, version, claim);
        self.rivals(change)
    }

    /// Forgets a Tenant; gives those that claim the same.
    pub fn remove(&self, key: &Key, version: u64) -> Vec<Key> {
        let change = self.tenants.write().remove(key, version);
        self.rivals(change)
    }

    /// A listing of Tenants begins.
    pub fn begin_listing(&self) {
        self.tenants.write().begin_listing();
    }

    /// A listing of Tenants is complete; gives those that claim what one had that is gone.
    pub fn finish_listing(&self) -> Vec<Key> {
        let changes = self.tenants.write().finish_listing();
        self.rivals(changes)
    }

    /// Who comes before `claim` with this value, if anybody.
    pub fn earlier(&self, value: &str, claim: &Claim) -> Option<Taken> {
        let (tenants, value) = (self.tenants.read(), value.to_owned());
        let (holder, first) = tenants.members(&value).min_by(|(_, one), (_, other)| one.cmp(other))?;
        let holder = (**first < *claim).then(|| holder.clone())?;
        Some(Taken { property: self.property, value, holder })
    }

    fn rivals(&self, changes: impl IntoIterator<Item = Change<String>>) -> Vec<Key> {
        let tenants = self.tenants.read();
        let of = |change: Change<String>| {
            let same = change.groups.iter().flat_map(|value| tenants.members(value));
            same.map(|(key, _)| key.clone()).filter(|key| *key != change.key).collect::<Vec<_>>()
        };
        changes.into_iter().flat_map(of).collect()
    }
}
