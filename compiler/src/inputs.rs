//! What is compiled: one tenant with everything it refers to. Types only.

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
    /// Where the plugins of channels come from that are not part of OpenClaw's package.
    pub plugins: PluginSource,
}

/// Where the plugins of channels come from, always at the gateway's version.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum PluginSource {
    /// The npm registry.
    #[default]
    Registry,
    /// A mirror of it.
    Mirror {
        /// The mirror's URL, without credentials.
        url: String,
    },
    /// An image with the packages, for clusters that reach no registry. Its entry point copies an npm cache, in which
    /// the plugins of the gateway's version are, into the folder that is its argument.
    Image {
        /// Reference of the image.
        reference: String,
    },
}
