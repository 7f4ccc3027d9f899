//! The gateway's Pod. Pure. It passes Pod Security `restricted`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, Container, EnvVar, HTTPGetAction, PersistentVolumeClaimVolumeSource, PodSpec,
    PodTemplateSpec, Probe, ResourceRequirements, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kr8tiv_crds::meta;

use crate::channels::accounts;
use crate::inputs::Platform;
use crate::openclaw::providers::key_variable;
use crate::openclaw::{self, CONFIG_FOLDER, HOME, STATE};
use crate::render::config::mission_control_token;
use crate::render::object_names::{
    claim_name, config_name, gateway_name, labels, status_token, token, workspace_name,
};
use crate::render::plugins::Plugins;
use crate::render::pod_parts::{
    from_secret, hardened, mount, plain, port, read_only, restricted, scratch, small,
};
use crate::render::{mission_control, plugins, pod_additions, pod_parts, sandbox_keys, settings, skills};
use crate::resolve::{Resolved, ResolvedTenant};
use crate::resources::Amounts;
use crate::skills::Pack;

/// Where the watchdog finds the mounted ConfigMaps.
const BUNDLE_FOLDER: &str = "/etc/kr8tiv/bundle";
/// Port of the watchdog's health and status.
pub const WATCHDOG_PORT: i32 = 18800;
/// Variable in which the watchdog finds the token that it asks for.
const STATUS_TOKEN_VARIABLE: &str = "KR8TIV_STATUS_TOKEN";
/// What the gateway's container may take, in bytes, by which the watchdog judges what it does take.
const MEMORY_LIMIT_VARIABLE: &str = "KR8TIV_GATEWAY_MEMORY_LIMIT";
/// A stopping gateway finishes its running turns, which it gives 315 s, and then cleans up for 10 s.
const GRACE_SECONDS: i64 = 330;
/// Seconds that a gateway has to end which does not serve: it has no turns to finish.
pub const DOWN_GRACE_SECONDS: u32 = 30;
/// Seconds that kubelet waits for the answer to a probe.
const PROBE_TIMEOUT: u16 = 5;
/// Seconds between two questions whether the gateway lives, and the failures in a row after which it is ended.
const LIVENESS_PERIOD: u16 = 20;
const LIVENESS_FAILURES: u16 = 6;
/// Seconds after which kubelet has ended a gateway that answers nothing, at the latest: the failures of its liveness probe, of
/// which the last takes its time-out, and [`DOWN_GRACE_SECONDS`].
pub const FROZEN_SECONDS: u64 =
    (LIVENESS_PERIOD * LIVENESS_FAILURES + PROBE_TIMEOUT) as u64 + DOWN_GRACE_SECONDS as u64;
/// Share of the memory limit that the JavaScript heap may take; the rest is for the helper processes (170 MB) and
/// what Node keeps outside its heap.
const HEAP_SHARE: (u64, u64) = (5, 8);

/// The Pod's template.
pub(crate) fn template(
    resolved: &Resolved<'_>,
    platform: &Platform,
    packs: &[Pack<'_>],
    plugins: &Plugins<'_>,
) -> PodTemplateSpec {
    let tenant = &resolved.tenant;
    let mut seed = watchdog(resolved, platform, "seed", "seed");
    skills::prepare(&mut seed, packs);
    let mut init_containers = vec![seed];
    // After the configuration is there, by which it is judged whether the plugins are.
    init_containers.extend(plugins::init_containers(resolved, platform, plugins));
    init_containers.extend(skills::containers(packs, platform));
    let mut watchdog = watchdog(resolved, platform, "watchdog", "run");
    sandbox_keys::give_watchdog(&mut watchdog, &resolved.sandboxes);
    init_containers.push(sidecar(resolved, watchdog));
    let mut gateway = gateway(resolved, platform);
    sandbox_keys::give_gateway(&mut gateway, &resolved.sandboxes);
    gateway.volume_mounts.get_or_insert_default().extend(skills::gateway_mount(packs));
    for container in init_containers.iter_mut().chain([&mut gateway]) {
        // What a container said last is in the Pod's status: the operator reads no logs.
        container.termination_message_policy = Some("FallbackToLogsOnError".into());
    }
    let mut volumes = volumes(resolved);
    volumes.extend(plugins::volume(plugins));
    volumes.extend(skills::volumes(packs));
    volumes.extend(sandbox_keys::volumes(&resolved.sandboxes));
    // The gateway has its token in its environment: another one is another Pod.
    let rotation = tenant.token_rotation.map(|value| (meta::ROTATE_TOKEN.to_owned(), value.to_owned()));
    let mut template = PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels(tenant, meta::GATEWAY)),
            annotations: rotation.map(|rotation| BTreeMap::from([rotation])),
            ..ObjectMeta::default()
        }),
        spec: Some(PodSpec {
            service_account_name: Some(gateway_name(tenant.name)),
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            termination_grace_period_seconds: Some(GRACE_SECONDS),
            security_context: Some(restricted()),
            init_containers: Some(init_containers),
            containers: vec![gateway],
            volumes: Some(volumes),
            ..PodSpec::default()
        }),
    };
    pod_additions::add(&tenant.spec.gateway, &mut template);
    template
}

fn gateway(resolved: &Resolved<'_>, platform: &Platform) -> Container {
    let tenant = &resolved.tenant;
    Container {
        name: "gateway".into(),
        // Arguments only: the image's entry point, an init process, stays.
        args: Some(
            ["node", "dist/index.js", "gateway", "--bind", "lan", "--port"]
                .into_iter()
                .map(str::to_owned)
                .chain([openclaw::GATEWAY_PORT.to_string()])
                .collect(),
        ),
        env: Some(environment(resolved)),
        ports: Some(vec![port("gateway", openclaw::GATEWAY_PORT)]),
        // A start takes 15 to 33 s on two cores and migrates state after an upgrade; OpenClaw's own advice is five
        // minutes. The event loop stalls for up to four seconds.
        startup_probe: Some(probe("/startupz", 5, 120)),
        // Not /readyz: that fails when a chat service is down, and the gateway still works.
        readiness_probe: Some(probe("/startupz", 5, 3)),
        liveness_probe: Some(Probe {
            termination_grace_period_seconds: Some(DOWN_GRACE_SECONDS.into()),
            ..probe("/healthz", LIVENESS_PERIOD.into(), LIVENESS_FAILURES.into())
        }),
        ..from_gateway_image(tenant, platform)
    }
}

/// What every container of the gateway's image has: what it may use and what it sees.
pub(super) fn from_gateway_image(tenant: &ResolvedTenant<'_>, platform: &Platform) -> Container {
    let spec = &tenant.spec.gateway;
    let image =
        spec.image.clone().unwrap_or_else(|| format!("{}:{}", platform.gateway_repository, tenant.version));
    Container {
        image: Some(image),
        image_pull_policy: Some("IfNotPresent".into()),
        resources: Some(resources(tenant)),
        security_context: Some(hardened()),
        volume_mounts: Some(vec![state_mount(), read_only("config", CONFIG_FOLDER), mount("tmp", "/tmp")]),
        ..Container::default()
    }
}

fn watchdog(resolved: &Resolved<'_>, platform: &Platform, name: &str, command: &str) -> Container {
    let mut mounts = vec![
        state_mount(),
        mount("config", CONFIG_FOLDER),
        read_only("bundle-config", &format!("{BUNDLE_FOLDER}/config")),
    ];
    mounts.extend(
        agent_ids(resolved)
            .map(|id| read_only(&workspace_volume(id), &format!("{BUNDLE_FOLDER}/workspaces/{id}"))),
    );
    Container {
        name: name.into(),
        image: Some(platform.watchdog_image.clone()),
        image_pull_policy: Some("IfNotPresent".into()),
        args: Some(vec![command.into()]),
        resources: Some(small()),
        security_context: Some(hardened()),
        volume_mounts: Some(mounts),
        ..Container::default()
    }
}

fn sidecar(resolved: &Resolved<'_>, watchdog: Container) -> Container {
    let healthy = |period, failures| {
        let mut probe = probe("/healthz", period, failures);
        if let Some(http) = &mut probe.http_get {
            http.port = IntOrString::String("watchdog".into());
        }
        probe
    };
    // It asks the gateway as its owner would, and is asked itself by whoever has the other token.
    let mut variables = vec![
        from_secret(openclaw::TOKEN_VARIABLE, &token(&resolved.tenant)),
        from_secret(STATUS_TOKEN_VARIABLE, &status_token(&resolved.tenant)),
        plain(MEMORY_LIMIT_VARIABLE, memory_limit(&resolved.tenant).to_string()),
    ];
    let webhooks = settings::watchdog_variables(resolved).into_iter();
    variables.extend(webhooks.map(|variable| from_secret(&variable.name, variable.secret)));
    Container {
        restart_policy: Some("Always".into()),
        env: Some(variables),
        ports: Some(vec![port("watchdog", WATCHDOG_PORT)]),
        startup_probe: Some(healthy(1, 60)),
        liveness_probe: Some(healthy(20, 3)),
        ..watchdog
    }
}

fn volumes(resolved: &Resolved<'_>) -> Vec<Volume> {
    let tenant = &resolved.tenant;
    let config_map = |volume: String, name: String| Volume {
        name: volume,
        config_map: Some(ConfigMapVolumeSource { name, ..ConfigMapVolumeSource::default() }),
        ..Volume::default()
    };
    let mut volumes = vec![
        Volume {
            name: "state".into(),
            persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
                claim_name: claim_name(&tenant.id),
                ..PersistentVolumeClaimVolumeSource::default()
            }),
            ..Volume::default()
        },
        scratch("config", "16Mi"),
        scratch("tmp", "1Gi"),
        config_map("bundle-config".into(), config_name(tenant.name)),
    ];
    volumes.extend(
        agent_ids(resolved).map(|id| config_map(workspace_volume(id), workspace_name(tenant.name, id))),
    );
    volumes
}

/// What OpenClaw is told by its environment, without any secret.
pub(super) fn openclaw_settings(tenant: &ResolvedTenant<'_>) -> Vec<EnvVar> {
    vec![
        plain("HOME", HOME.into()),
        plain("OPENCLAW_STATE_DIR", STATE.into()),
        plain("OPENCLAW_CONFIG_PATH", format!("{CONFIG_FOLDER}/openclaw.json")),
        // The configuration is ours alone: no command in the gateway may change it.
        plain("OPENCLAW_CONFIG_READONLY", "1".into()),
        plain("OPENCLAW_NO_AUTO_UPDATE", "1".into()),
        plain("OPENCLAW_DISABLE_BONJOUR", "1".into()),
        plain("XDG_CACHE_HOME", format!("{STATE}/cache")),
        plain("NODE_OPTIONS", format!("--max-old-space-size={}", heap_megabytes(tenant))),
    ]
}

fn environment(resolved: &Resolved<'_>) -> Vec<EnvVar> {
    let tenant = &resolved.tenant;
    let mut variables = openclaw_settings(tenant);
    // The gateway looks for a missing plugin on npm at start, and tries for seventy seconds. What runs is what the
    // init container brought.
    variables.push(plain("NPM_CONFIG_OFFLINE", "true".into()));
    variables.push(from_secret(openclaw::TOKEN_VARIABLE, &token(tenant)));
    let tokens = accounts(&tenant.spec.channels).into_iter().flat_map(|account| account.credentials);
    let mut secrets: Vec<_> = tokens.map(|token| from_secret(&token.variable, token.secret)).collect();
    let keys = tenant.spec.model_credentials.iter();
    secrets.extend(
        keys.map(|credential| {
            from_secret(&key_variable(&credential.provider), &credential.api_key_secret_ref)
        }),
    );
    secrets.sort_by(|a, b| a.name.cmp(&b.name));
    variables.extend(secrets);
    if let Some(coordination) = &resolved.harness.coordination {
        let of_coordination = mission_control::environment(coordination);
        variables.extend(of_coordination.into_iter().map(|(name, value)| plain(name, value)));
    }
    if let Some(token) = mission_control_token(resolved) {
        variables.push(from_secret(openclaw::MISSION_CONTROL_VARIABLE, token));
    }
    variables
}

/// In bytes.
fn memory_limit(tenant: &ResolvedTenant<'_>) -> u64 {
    Amounts::of(tenant.spec).memory_limit.base_units().unwrap_or_default()
}

fn heap_megabytes(tenant: &ResolvedTenant<'_>) -> u64 {
    (memory_limit(tenant) >> 20) * HEAP_SHARE.0 / HEAP_SHARE.1
}

fn resources(tenant: &ResolvedTenant<'_>) -> ResourceRequirements {
    let amounts = Amounts::of(tenant.spec);
    pod_parts::resources(
        (Some(&amounts.cpu_request.0), &amounts.memory_request.0),
        (amounts.cpu_limit.as_ref().map(|amount| amount.0.as_str()), &amounts.memory_limit.0),
    )
}

fn probe(path: &str, period_seconds: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.into()),
            port: IntOrString::String("gateway".into()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period_seconds),
        timeout_seconds: Some(PROBE_TIMEOUT.into()),
        failure_threshold: Some(failures),
        ..Probe::default()
    }
}

/// A folder of the volume instead of its root: the root of many volumes belongs to root and has a `lost+found`.
fn state_mount() -> VolumeMount {
    VolumeMount { sub_path: Some("openclaw".into()), ..mount("state", STATE) }
}

fn workspace_volume(agent: &str) -> String {
    format!("workspace-{agent}")
}

/// Agents with equal ids, which a diagnostic names, have one workspace here: names within a Pod are unique.
fn agent_ids<'a>(resolved: &'a Resolved<'_>) -> impl Iterator<Item = &'a str> {
    let agents = &resolved.agents;
    agents
        .iter()
        .enumerate()
        .filter(|(position, agent)| *position == 0 || agents[position - 1].id != agent.id)
        .map(|(_, agent)| agent.id)
}
