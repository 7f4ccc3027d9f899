//! Input stage, pure: what the operator was installed with, as arguments.

use clap::Args;
use kr8tiv_compiler::installation::{image, label, namespace, registry, repository};
use kr8tiv_compiler::{OperatorPods, Platform, PluginSource};

/// Repository of the gateway's image in the chart.
const GATEWAY_REPOSITORY: &str = "ghcr.io/openclaw/openclaw";
/// The watchdog's image in the chart.
const WATCHDOG_IMAGE: &str = concat!("ghcr.io/kr8tiv-ai/watchdog:", env!("CARGO_PKG_VERSION"));
/// The sandboxes' image in the chart.
const SANDBOX_IMAGE: &str = concat!("ghcr.io/kr8tiv-ai/sandbox:", env!("CARGO_PKG_VERSION"));

/// What the operator was installed with.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Installation")]
pub struct PlatformArguments {
    /// Repository of the gateway's image, as in the chart's value gateway.repository [default: the chart's].
    #[arg(
        long,
        env = "KR8TIV_GATEWAY_REPOSITORY",
        value_name = "REPOSITORY",
        value_parser = repository
    )]
    pub gateway_repository: Option<String>,
    /// Image of the watchdog, as in the chart's value watchdog.image [default: the chart's].
    #[arg(
        long,
        env = "KR8TIV_WATCHDOG_IMAGE",
        value_name = "IMAGE",
        value_parser = image
    )]
    pub watchdog_image: Option<String>,
    /// Image of sandboxes, as in the chart's value sandbox.image [default: the chart's].
    #[arg(
        long,
        env = "KR8TIV_SANDBOX_IMAGE",
        value_name = "IMAGE",
        value_parser = image
    )]
    pub sandbox_image: Option<String>,
    /// Mirror of the npm registry for the plugins of channels, as in the chart's value gateway.plugins.registry.
    #[arg(
        long,
        env = "KR8TIV_PLUGIN_REGISTRY",
        value_name = "URL",
        value_parser = registry
    )]
    pub plugin_registry: Option<String>,
    /// Image with the plugins of channels, as in the chart's value gateway.plugins.image.
    #[arg(
        long,
        env = "KR8TIV_PLUGIN_IMAGE",
        value_name = "IMAGE",
        value_parser = image,
        conflicts_with = "plugin_registry"
    )]
    pub plugin_image: Option<String>,
    /// Namespace of the operator's Pods, which the tenants' NetworkPolicies let ask the watchdogs [default:
    /// kr8tiv-system].
    #[arg(
        long,
        env = "KR8TIV_OPERATOR_NAMESPACE",
        value_name = "NAMESPACE",
        value_parser = namespace
    )]
    pub operator_namespace: Option<String>,
    /// Labels of the operator's Pods [default: those that the chart gives a release kr8tiv-operator].
    #[arg(
        long,
        env = "KR8TIV_OPERATOR_LABELS",
        value_name = "KEY=VALUE",
        value_parser = label,
        value_delimiter = ','
    )]
    pub operator_labels: Vec<(String, String)>,
}

impl PlatformArguments {
    /// What is the same for all tenants.
    pub fn platform(&self) -> Platform {
        let or = |value: &Option<String>, default: &str| value.clone().unwrap_or_else(|| default.into());
        Platform {
            gateway_repository: or(&self.gateway_repository, GATEWAY_REPOSITORY),
            watchdog_image: or(&self.watchdog_image, WATCHDOG_IMAGE),
            sandbox_image: or(&self.sandbox_image, SANDBOX_IMAGE),
            plugins: match (&self.plugin_image, &self.plugin_registry) {
                (Some(image), _) => PluginSource::Image { reference: image.clone() },
                (None, Some(url)) => PluginSource::Mirror { url: url.clone() },
                (None, None) => PluginSource::Registry,
            },
            operator: OperatorPods {
                namespace: or(&self.operator_namespace, &OperatorPods::default().namespace),
                labels: if self.operator_labels.is_empty() {
                    OperatorPods::default().labels
                } else {
                    self.operator_labels.iter().cloned().collect()
                },
            },
        }
    }
}
