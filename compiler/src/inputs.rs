//! What is compiled: one tenant with everything it refers to. Types only.

use std::collections::BTreeSet;

use kr8tiv_crds::{Agent, Harness, Tenant};

/// Everything a compilation reads.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// The tenant.
    pub tenant: &'a Tenant,
    /// The Harness that `spec.harnessRef` names, or `None` when there is none of that name.
    pub harness: Option<&'a Harness>,
    /// Every Agent of the tenant's namespace whose `spec.tenantRef` names the tenant, in any order.
    pub agents: &'a [&'a Agent],
    /// Images of skill packs that the cluster can't pull, as `reference@digest`
    /// ([`kr8tiv_crds::skills::ImagePack::pinned`]). The Pod does without them: a container whose image can't be pulled
    /// would keep it from starting.
    pub unavailable_packs: &'a BTreeSet<String>,
    /// What the operator was installed with.
    pub platform: &'a Platform,
}

/// What is the same for all tenants of an installation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Platform {
    /// Repository of the gateway's image without tag, such as `ghcr.io/openclaw/openclaw`. The tenant's
    /// `gateway.version` is its tag.
    pub gateway_repository: String,
    /// Reference of the watchdog's image.
    pub watchdog_image: String,
}
