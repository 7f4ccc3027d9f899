//! What is compiled: one tenant with everything it refers to. Pure.

use std::collections::{BTreeMap, BTreeSet};

use kr8tiv_crds::reference::SecretKeyReference;
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
    /// What the cluster says around the tenant.
    pub surroundings: &'a Surroundings,
}

/// What is the same for all tenants of an installation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Platform {
    /// Repository of the gateway's image without tag, such as `ghcr.io/openclaw/openclaw`. The tenant's
    /// `gateway.version` is its tag.
    pub gateway_repository: String,
    /// Reference of the watchdog's image.
    pub watchdog_image: String,
    /// Reference of the image of sandboxes.
    pub sandbox_image: String,
    /// Where the plugins of channels come from that are not part of OpenClaw's package.
    pub plugins: PluginSource,
    /// The operator's own Pods: they ask the watchdogs.
    pub operator: OperatorPods,
}

/// By what a NetworkPolicy knows the operator's Pods.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OperatorPods {
    /// Their namespace.
    pub namespace: String,
    /// Labels that they have, and no other Pod of that namespace.
    pub labels: BTreeMap<String, String>,
}

impl Default for OperatorPods {
    /// As in the documented installation.
    fn default() -> Self {
        let labels = [
            ("app.kubernetes.io/name", "kr8tiv-operator"),
            ("app.kubernetes.io/instance", "kr8tiv-operator"),
        ];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self { namespace: "kr8tiv-system".into(), labels: BTreeMap::from(labels) }
    }
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

/// What only a cluster can say of a tenant's surroundings. Offline it is empty.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Surroundings {
    /// Labels of the tenant's namespace; a Harness may be shared by them.
    pub namespace_labels: BTreeMap<String, String>,
    /// The OpenClaw release that was applied last; a Harness may pause updates.
    pub running_version: Option<String>,
    /// Images that the cluster can't pull and the gateway can do without: those of skill packs, as `reference@digest`
    /// ([`kr8tiv_crds::skills::ImagePack::pinned`]), and that of [`PluginSource::Image`]. A container whose image can't
    /// be pulled would keep the Pod from starting.
    pub unavailable_images: BTreeSet<String>,
    /// Tokens of this tenant's channels that somebody else's channel had before: the same value, whatever the Secrets
    /// are called. Who compares them does so by a keyed hash; here is only the outcome.
    pub taken_tokens: BTreeMap<SecretKeyReference, TokenHolder>,
    /// The value of the annotation [`kr8tiv_crds::meta::ROTATE_TOKEN`] that the gateway's token was made for. When not
    /// known: the Tenant's.
    pub token_rotation: Option<String>,
    /// Which keys the sandboxes have, by their names: any text that is another one for other keys. The Pod of a sandbox that
    /// is not here does not say which it has.
    pub sandbox_keys: BTreeMap<String, String>,
    /// What was looked up in the tenant's memory, a line each, the best first. It is text of people: the agents get it as
    /// data, in CONTEXT.md.
    pub retrieved_context: Vec<String>,
}

/// Whose channel has a token already.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct TokenHolder {
    /// The Tenant, as `name` in the same namespace or as `namespace/name`.
    pub tenant: String,
    /// Path of the field in it, such as `spec.channels.telegram.botTokenSecretRef`.
    pub field: String,
}
