//! What is compiled: one tenant with everything it refers to; and how the parts of an installation are written. Pure.

use std::collections::{BTreeMap, BTreeSet};

use kr8tiv_crds::reference::SecretKeyReference;
use kr8tiv_crds::{Agent, Harness, Tenant};

use crate::names::{is_key, is_label, is_label_value};

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

/// Why a text is no part of an installation.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InstallationError {
    /// It is no reference of an image.
    #[error("must be an image reference such as registry.example/name:tag")]
    Image,
    /// It is the reference of one image, and a repository is expected.
    #[error("must be without tag and digest: a Tenant's spec.gateway.version is the tag")]
    Repository,
    /// It is no URL, or has credentials: they would be readable in every Pod.
    #[error("must be a URL such as https://npm.example.com/ without credentials")]
    Registry,
    /// It is no namespace.
    #[error("must be a-z, 0-9 and '-', at most 63 characters")]
    Namespace,
    /// It is no label. None at all would mean every Pod of the namespace.
    #[error("must be a label such as app=operator")]
    Label,
}

/// Reads the reference of an image.
pub fn image(text: &str) -> Result<String, InstallationError> {
    let is_reference = !text.is_empty() && !text.chars().any(char::is_whitespace);
    is_reference.then(|| text.to_owned()).ok_or(InstallationError::Image)
}

/// Reads a repository of images, which has no tag and may have a port.
pub fn repository(text: &str) -> Result<String, InstallationError> {
    let text = image(text)?;
    let is_plain = !text.rsplit('/').next().unwrap_or_default().contains([':', '@']);
    is_plain.then_some(text).ok_or(InstallationError::Repository)
}

/// Reads the URL of a mirror of the npm registry.
pub fn registry(text: &str) -> Result<String, InstallationError> {
    let address = ["https://", "http://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    let is_plain = |rest: &str| {
        !rest.is_empty() && !rest.contains(['@', '?', '#']) && !rest.contains(char::is_whitespace)
    };
    address.is_some_and(is_plain).then(|| text.to_owned()).ok_or(InstallationError::Registry)
}

/// Reads the name of a namespace.
pub fn namespace(text: &str) -> Result<String, InstallationError> {
    is_label(text, 63).then(|| text.to_owned()).ok_or(InstallationError::Namespace)
}

/// Reads a label, `KEY=VALUE`.
pub fn label(text: &str) -> Result<(String, String), InstallationError> {
    let pair = text.split_once('=').filter(|(key, value)| is_key(key) && is_label_value(value));
    pair.map(|(key, value)| (key.to_owned(), value.to_owned())).ok_or(InstallationError::Label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_an_installation() {
        for (good, bad) in
            [("localhost:5000/openclaw", "a/b:1"), ("a", "a@sha256:00"), ("a/b", ""), ("a", "a b")]
        {
            assert!(repository(good).is_ok() && repository(bad).is_err(), "{good}, {bad}");
        }
        assert!(image("a/b:1").is_ok() && image("a\tb").is_err());
        for good in ["https://npm.example.com/", "http://npm.example.com:4873"] {
            assert_eq!(registry(good).as_deref(), Ok(good));
        }
        let bad = [
            "npm.example.com",
            "https://",
            "https://user:word@npm.example.com/",
            "https://a b/",
            "https://a\tb/",
        ];
        for bad in bad {
            assert_eq!(registry(bad), Err(InstallationError::Registry), "{bad}");
        }
        assert!(namespace("kr8tiv-system").is_ok());
        for bad in ["", "-a", "a.b", "A", &"a".repeat(64)] {
            assert!(namespace(bad).is_err(), "{bad}");
        }
        assert_eq!(label("example.com/a="), Ok(("example.com/a".into(), String::new())));
        for bad in ["", "a", "=b", "a b=c", "a=b c", "a=b=c"] {
            assert!(label(bad).is_err(), "{bad}");
        }
    }
}
