//! Plugins: the section `plugins` of `openclaw.json`, and the init containers that install the plugins of channels
//! which are not part of OpenClaw's package. Pure.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Container, Volume};
use kr8tiv_crds::channels::ChannelName;
use serde_json::{Map, Value, json};

use crate::channels::{configured, from_plugins};
use crate::inputs::{Inputs, Platform, PluginSource};
use crate::openclaw::provider_of;
use crate::openclaw::providers::built_in;
use crate::plugin_report::PLUGINS_CONTAINER;
use crate::policy::all_models;
use crate::render::pod::{from_gateway_image, openclaw_settings};
use crate::render::pod_parts::{hardened, mount, plain, scratch, small};
use crate::resolve::Resolved;

/// What the init container runs. A test runs it with the real OpenClaw.
const PROGRAM: &str = include_str!("plugins.mjs");
/// Where kubelet takes a container's termination message from, unless it is told otherwise.
const TERMINATION_MESSAGE: &str = "/dev/termination-log";
/// Where the packages of an image are, in the volume [`VOLUME`].
const PACKAGES: &str = "/plugins";
const VOLUME: &str = "plugins";
/// The three plugins have 75 MB of packages.
const VOLUME_SIZE: &str = "512Mi";

/// The section of `openclaw.json`: nothing but what is needed is loaded. Each plugin is switched on by name: OpenClaw
/// would do so by itself, but count it as a change of the configuration, and refuse to link a WhatsApp number because
/// the configuration is read-only.
pub(crate) fn section(resolved: &Resolved<'_>) -> Value {
    let mut allow = BTreeSet::from(["memory-core"]);
    allow.extend(
        all_models(resolved).filter_map(|model| built_in(provider_of(model))).map(|provider| provider.plugin),
    );
    allow.extend(configured(&resolved.tenant.spec.channels).into_iter().map(ChannelName::as_str));
    let mut entries: Map<_, _> =
        allow.iter().map(|id| ((*id).to_owned(), json!({"enabled": true}))).collect();
    // A nightly run of the model over everybody's conversations, once the scheduler is on for a heartbeat.
    entries.insert(
        "memory-core".to_owned(),
        json!({"enabled": true, "config": {"dreaming": {"enabled": false}}}),
    );
    json!({"allow": allow, "entries": entries, "slots": {"memory": "memory-core"}})
}

/// The plugins of a tenant's channels.
#[derive(Clone, Debug)]
pub(crate) struct Plugins<'a> {
    channels: Vec<ChannelName>,
    source: &'a PluginSource,
    /// False for an image that the cluster can't pull: its container would keep the Pod from starting.
    available: bool,
}

impl<'a> Plugins<'a> {
    /// What the tenant's channels need, and where it comes from.
    pub(crate) fn of(inputs: &Inputs<'a>, resolved: &Resolved<'a>) -> Self {
        let source = &inputs.platform.plugins;
        let available = match source {
            PluginSource::Registry | PluginSource::Mirror { .. } => true,
            PluginSource::Image { reference } => !inputs.surroundings.unavailable_images.contains(reference),
        };
        Self { channels: from_plugins(&resolved.tenant.spec.channels), source, available }
    }
}

/// Whether a channel needs a plugin that is not part of OpenClaw's package.
pub(crate) fn needs_plugins(resolved: &Resolved<'_>) -> bool {
    !from_plugins(&resolved.tenant.spec.channels).is_empty()
}

/// The containers that bring the plugins onto the volume before the gateway starts; none when there is none to bring.
pub(crate) fn init_containers(
    resolved: &Resolved<'_>,
    platform: &Platform,
    plugins: &Plugins<'_>,
) -> Vec<Container> {
    let Plugins { channels, source, available } = plugins;
    if channels.is_empty() {
        return Vec::new();
    }
    let installer = |npm: &[(&str, &str)]| installer(resolved, platform, channels, npm);
    match source {
        PluginSource::Registry => vec![installer(&[])],
        PluginSource::Mirror { url } => vec![installer(&[("NPM_CONFIG_REGISTRY", url)])],
        PluginSource::Image { reference } => {
            let mut installer = installer(&[("NPM_CONFIG_CACHE", PACKAGES), ("NPM_CONFIG_OFFLINE", "true")]);
            installer.volume_mounts.get_or_insert_default().push(mount(VOLUME, PACKAGES));
            let packages = available.then(|| packages(reference));
            packages.into_iter().chain([installer]).collect()
        }
    }
}

/// npm writes into its cache also when it only reads packages, so they are copied from the image into a volume.
fn packages(image: &str) -> Container {
    Container {
        name: "plugin-packages".into(),
        image: Some(image.into()),
        image_pull_policy: Some("IfNotPresent".into()),
        // The image's entry point copies its packages to where it is told.
        args: Some(vec![PACKAGES.into()]),
        resources: Some(small()),
        security_context: Some(hardened()),
        volume_mounts: Some(vec![mount(VOLUME, PACKAGES)]),
        ..Container::default()
    }
}

fn installer(
    resolved: &Resolved<'_>,
    platform: &Platform,
    channels: &[ChannelName],
    npm: &[(&str, &str)],
) -> Container {
    let tenant = &resolved.tenant;
    let mut environment = openclaw_settings(tenant);
    let own = [
        // A registry that does not answer must not hold the gateway up.
        ("NPM_CONFIG_FETCH_RETRIES", "1"),
        ("NPM_CONFIG_FETCH_TIMEOUT", "30000"),
        ("NPM_CONFIG_UPDATE_NOTIFIER", "false"),
        ("KR8TIV_TERMINATION_MESSAGE", TERMINATION_MESSAGE),
    ];
    environment.extend(own.iter().chain(npm).map(|(name, value)| plain(name, (*value).into())));
    Container {
        name: PLUGINS_CONTAINER.into(),
        args: Some(
            ["node", "--input-type=module", "--eval", PROGRAM, &tenant.version]
                .into_iter()
                .chain(channels.iter().map(|channel| channel.as_str()))
                .map(str::to_owned)
                .collect(),
        ),
        env: Some(environment),
        ..from_gateway_image(tenant, platform)
    }
}

/// The volume of [`init_containers`].
pub(crate) fn volume(plugins: &Plugins<'_>) -> Option<Volume> {
    let Plugins { channels, source, available: _ } = plugins;
    let is_needed = matches!(source, PluginSource::Image { .. }) && !channels.is_empty();
    is_needed.then(|| scratch(VOLUME, VOLUME_SIZE))
}
