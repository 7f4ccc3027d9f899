//! Input stage, pure: the command line.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use clap::{Parser, ValueEnum};
use kr8tiv_compiler::installation::{InstallationError, image, label, namespace, registry, repository};
use kr8tiv_compiler::{OperatorPods, Platform, PluginSource};
use kr8tiv_supermemory::Reach;

use crate::election::Candidate;

/// Turns Harness, Tenant and Agent objects into a running OpenClaw gateway per tenant.
#[derive(Clone, Debug, Parser)]
#[command(name = "kr8tiv-operator", version)]
pub struct Settings {
    /// Repository of the gateway's image, without tag: a Tenant's spec.gateway.version is the tag.
    #[arg(
        long,
        env = "KR8TIV_GATEWAY_REPOSITORY",
        default_value = "ghcr.io/openclaw/openclaw",
        value_name = "REPOSITORY",
        value_parser = repository
    )]
    pub gateway_repository: String,
    /// Image of the watchdog, which runs beside every gateway.
    #[arg(long, env = "KR8TIV_WATCHDOG_IMAGE", value_name = "IMAGE", value_parser = image)]
    pub watchdog_image: String,
    /// Image of sandboxes, in which tools of conversations other than main sessions run.
    #[arg(long, env = "KR8TIV_SANDBOX_IMAGE", value_name = "IMAGE", value_parser = image)]
    pub sandbox_image: String,
    /// Mirror of the npm registry from which gateways install the plugins of channels.
    #[arg(long, env = "KR8TIV_PLUGIN_REGISTRY", value_name = "URL", value_parser = registry)]
    pub plugin_registry: Option<String>,
    /// Image with the plugins of channels, instead of any registry.
    #[arg(
        long,
        env = "KR8TIV_PLUGIN_IMAGE",
        value_name = "IMAGE",
        value_parser = image,
        conflicts_with = "plugin_registry"
    )]
    pub plugin_image: Option<String>,
    /// Namespace of the operator's own Pods: the tenants' NetworkPolicies let them ask the watchdogs.
    #[arg(
        long,
        env = "KR8TIV_OPERATOR_NAMESPACE",
        default_value = "kr8tiv-system",
        value_name = "NAMESPACE",
        value_parser = namespace
    )]
    pub operator_namespace: String,
    /// Labels of the operator's own Pods, by which those policies know them.
    #[arg(
        long,
        env = "KR8TIV_OPERATOR_LABELS",
        default_value = "app.kubernetes.io/name=kr8tiv-operator,app.kubernetes.io/instance=kr8tiv-operator",
        value_name = "KEY=VALUE,…",
        value_parser = labels
    )]
    pub operator_labels: BTreeMap<String, String>,
    /// Which addresses of Supermemory the operator talks to. Harnesses name the service, so that anything but the
    /// public internet is refused unless it is allowed here.
    #[arg(
        long,
        env = "KR8TIV_SUPERMEMORY_ADDRESSES",
        default_value = "public",
        value_name = "ADDRESSES",
        value_enum
    )]
    pub supermemory_addresses: Addresses,
    /// The only namespace whose Harnesses, Tenants and Agents this operator keeps; it needs no right in any other. Without
    /// it, all of the cluster: there must be no other operator then.
    #[arg(long, env = "KR8TIV_WATCH_NAMESPACE", value_name = "NAMESPACE", value_parser = namespace)]
    pub watch_namespace: Option<String>,
    /// Where /livez and /readyz are answered.
    #[arg(long, env = "KR8TIV_LISTEN", default_value = "0.0.0.0:8080", value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,
    /// Namespace of the Lease that lets one of several operators write; the others stand by. Without it, this one writes
    /// at once: there must be no other.
    #[arg(long, env = "KR8TIV_LEASE_NAMESPACE", value_name = "NAMESPACE")]
    pub lease_namespace: Option<String>,
    /// Name of the Lease.
    #[arg(long, env = "KR8TIV_LEASE_NAME", default_value = "kr8tiv-operator", value_name = "NAME")]
    pub lease_name: String,
    /// What this process calls itself in the Lease, together with a random part.
    #[arg(long, env = "KR8TIV_IDENTITY", default_value = "kr8tiv-operator", value_name = "NAME")]
    pub identity: String,
    /// What is logged: a level, or directives such as `info,kr8tiv_operator=debug`.
    #[arg(long, env = "KR8TIV_LOG", default_value = "info", value_name = "DIRECTIVES")]
    pub log: String,
}

/// Addresses that may be talked to. Those of metadata services are none of them.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Addresses {
    /// The public internet.
    Public,
    /// Private networks too, such as a Service of the cluster.
    Private,
    /// This machine too, for tests.
    Loopback,
}

impl From<Addresses> for Reach {
    fn from(addresses: Addresses) -> Self {
        match addresses {
            Addresses::Public => Self::Public,
            Addresses::Private => Self::Private,
            Addresses::Loopback => Self::Loopback,
        }
    }
}

impl Settings {
    /// How this process stands for election. The random part is for a process that starts anew in the same Pod: it
    /// does not hold what the one before it held.
    pub fn candidate(&self, random: u64) -> Option<Candidate> {
        Some(Candidate {
            name: self.lease_name.clone(),
            namespace: self.lease_namespace.clone()?,
            identity: format!("{}_{random:016x}", self.identity),
        })
    }

    /// What is the same for all tenants.
    pub fn platform(&self) -> Platform {
        Platform {
            gateway_repository: self.gateway_repository.clone(),
            watchdog_image: self.watchdog_image.clone(),
            sandbox_image: self.sandbox_image.clone(),
            plugins: match (&self.plugin_image, &self.plugin_registry) {
                (Some(image), _) => PluginSource::Image { reference: image.clone() },
                (None, Some(url)) => PluginSource::Mirror { url: url.clone() },
                (None, None) => PluginSource::Registry,
            },
            operator: OperatorPods {
                namespace: self.operator_namespace.clone(),
                labels: self.operator_labels.clone(),
            },
        }
    }
}

fn labels(text: &str) -> Result<BTreeMap<String, String>, InstallationError> {
    text.split(',').map(label).collect()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    const IMAGES: [&str; 4] = ["--watchdog-image", "w:1", "--sandbox-image", "s:1"];

    fn parse(arguments: &[&str]) -> Result<Settings, clap::Error> {
        Settings::try_parse_from([&["kr8tiv-operator"], &IMAGES[..], arguments].concat())
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        Settings::command().debug_assert();
        let settings = parse(&[]).unwrap();
        assert_eq!(settings.gateway_repository, "ghcr.io/openclaw/openclaw");
        assert_eq!(settings.supermemory_addresses, Addresses::Public);
        assert_eq!((settings.listen.to_string(), settings.log), ("0.0.0.0:8080".into(), "info".into()));
    }

    /// Both are of the chart's version, which alone knows where they are.
    #[test]
    fn images_that_run_beside_gateways_have_no_default() {
        for missing in [0, 2] {
            let mut arguments = IMAGES.to_vec();
            arguments.drain(missing..missing + 2);
            assert!(Settings::try_parse_from([&["kr8tiv-operator"], &arguments[..]].concat()).is_err());
        }
    }

    #[test]
    fn the_operators_own_pods_are_those_of_the_chart() {
        let settings = parse(&[]).unwrap();
        assert_eq!(settings.platform().operator, OperatorPods::default());
        let with = |labels| parse(&["--operator-labels", labels]);
        assert_eq!(
            with("a=b,c=").unwrap().operator_labels,
            [("a".into(), "b".into()), ("c".into(), String::new())].into()
        );
        for bad in ["", "a", "=b", "a=b,"] {
            assert!(with(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn plugins_come_from_one_place() {
        let source = |arguments: &[&str]| parse(arguments).map(|settings| settings.platform().plugins);
        assert_eq!(source(&[]).unwrap(), PluginSource::Registry);
        let mirror = ["--plugin-registry", "https://npm.example.com/"];
        assert_eq!(source(&mirror).unwrap(), PluginSource::Mirror { url: mirror[1].into() });
        let image = ["--plugin-image", "p:1"];
        assert_eq!(source(&image).unwrap(), PluginSource::Image { reference: "p:1".into() });
        assert!(source(&[mirror, image].concat()).is_err());
        for bad in ["npm.example.com", "https://", "https://user:word@npm.example.com/", "https://a b/"] {
            assert!(source(&["--plugin-registry", bad]).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_repository_has_no_tag_and_may_have_a_port() {
        let with = |repository| parse(&["--gateway-repository", repository]);
        assert!(with("localhost:5000/openclaw").is_ok());
        for bad in ["ghcr.io/openclaw/openclaw:2026.9.6", "a@sha256:00", "", "a b"] {
            assert!(with(bad).is_err(), "{bad}");
        }
    }
}
