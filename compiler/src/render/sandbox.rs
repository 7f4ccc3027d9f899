//! The objects of a sandbox. Pure. Its Pod passes Pod Security `restricted`.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetSpec};
use k8s_openapi::api::core::v1::{
    Container, PodSpec, PodTemplateSpec, Probe, ResourceRequirements, Service, ServicePort, ServiceSpec,
    TCPSocketAction,
};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kr8tiv_crds::meta;

use crate::bundle::Object;
use crate::inputs::Platform;
use crate::render::object_names::labels;
use crate::render::objects::metadata;
use crate::render::pod_parts::{hardened, mount, port, read_only, restricted, scratch};
use crate::render::sandbox_keys::{keys_volume, server_keys};
use crate::render::{network, pod_additions, pod_parts};
use crate::resolve::{Resolved, ResolvedTenant};
use crate::resources::SandboxAmounts;
use crate::sandbox::{SANDBOX_PORT, Sandbox, WORKSPACES, tenants_name};

/// Name of the container, of the port, and of the volume with the keys.
const CONTAINER: &str = "sandbox";
const SSH: &str = "ssh";
const KEYS: &str = "keys";
/// Where sshd finds its keys.
const KEYS_FOLDER: &str = "/etc/sandbox/ssh";
/// What runs in a sandbox is a command of a turn, which sees its connection end: there is nothing to wait for.
const GRACE_SECONDS: i64 = 5;

/// The sandboxes' objects, in the order in which they are applied.
pub(super) fn objects(resolved: &Resolved<'_>, platform: &Platform) -> Vec<Object> {
    let policy = (!resolved.sandboxes.is_empty()).then(|| Object::NetworkPolicy(Box::new(policy(resolved))));
    let each = resolved.sandboxes.iter().flat_map(|sandbox| {
        [
            Object::Service(Box::new(service(&resolved.tenant, sandbox))),
            Object::StatefulSet(Box::new(stateful_set(resolved, platform, sandbox))),
        ]
    });
    policy.into_iter().chain(each).collect()
}

/// The harness says what a sandbox reaches: a Tenant without a policy of its own has this one all the same.
fn policy(resolved: &Resolved<'_>) -> NetworkPolicy {
    let tenant = &resolved.tenant;
    NetworkPolicy {
        metadata: metadata(tenant, tenants_name(tenant.name), meta::SANDBOX),
        spec: Some(network::of_sandboxes(tenant, &resolved.harness.tools.sandbox.egress)),
    }
}

/// Labels that select one sandbox's Pod.
fn selector(tenant: &ResolvedTenant<'_>, sandbox: &Sandbox<'_>) -> BTreeMap<String, String> {
    let mut labels = network::sandboxes(tenant);
    labels.insert(meta::SANDBOX_NAME.into(), sandbox.name.clone());
    labels
}

/// With an address of its own: a headless Service's name leads to the last Pod's address for as long as it is cached,
/// and one without a Pod to no address at all, while this one is refused at once.
fn service(tenant: &ResolvedTenant<'_>, sandbox: &Sandbox<'_>) -> Service {
    Service {
        metadata: metadata(tenant, sandbox.name.clone(), meta::SANDBOX),
        spec: Some(ServiceSpec {
            selector: Some(selector(tenant, sandbox)),
            ports: Some(vec![ServicePort {
                name: Some(SSH.into()),
                port: SANDBOX_PORT,
                target_port: Some(IntOrString::String(SSH.into())),
                protocol: Some("TCP".into()),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

fn stateful_set(resolved: &Resolved<'_>, platform: &Platform, sandbox: &Sandbox<'_>) -> StatefulSet {
    let tenant = &resolved.tenant;
    StatefulSet {
        metadata: metadata(tenant, sandbox.name.clone(), meta::SANDBOX),
        spec: Some(StatefulSetSpec {
            replicas: Some(i32::from(!tenant.spec.suspend)),
            revision_history_limit: Some(3),
            selector: LabelSelector {
                match_labels: Some(selector(tenant, sandbox)),
                ..LabelSelector::default()
            },
            service_name: Some(sandbox.name.clone()),
            template: template(resolved, platform, sandbox),
            ..StatefulSetSpec::default()
        }),
        ..StatefulSet::default()
    }
}

fn template(resolved: &Resolved<'_>, platform: &Platform, sandbox: &Sandbox<'_>) -> PodTemplateSpec {
    let tenant = &resolved.tenant;
    let mut labels = labels(tenant, meta::SANDBOX);
    labels.insert(meta::SANDBOX_NAME.into(), sandbox.name.clone());
    // sshd reads its host key when it starts: another one is another Pod.
    let keys = resolved.sandbox_keys.get(&sandbox.name);
    let keys = keys.map(|keys| BTreeMap::from([(meta::SANDBOX_KEYS.to_owned(), keys.clone())]));
    let size = &resolved.harness.tools.sandbox.scratch_size;
    let mut spec = PodSpec {
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(GRACE_SECONDS),
        security_context: Some(restricted()),
        containers: vec![container(resolved, platform)],
        volumes: Some(vec![
            keys_volume(KEYS.into(), sandbox, &server_keys()),
            scratch("workspaces", &size.0),
            scratch("tmp", &size.0),
        ]),
        ..PodSpec::default()
    };
    pod_additions::place(&tenant.spec.gateway.pod_template, &mut spec);
    PodTemplateSpec {
        metadata: Some(ObjectMeta { labels: Some(labels), annotations: keys, ..ObjectMeta::default() }),
        spec: Some(spec),
    }
}

fn container(resolved: &Resolved<'_>, platform: &Platform) -> Container {
    Container {
        name: CONTAINER.into(),
        image: Some(platform.sandbox_image.clone()),
        image_pull_policy: Some("IfNotPresent".into()),
        ports: Some(vec![port(SSH, SANDBOX_PORT)]),
        readiness_probe: Some(Probe {
            tcp_socket: Some(TCPSocketAction {
                port: IntOrString::String(SSH.into()),
                ..TCPSocketAction::default()
            }),
            period_seconds: Some(5),
            timeout_seconds: Some(5),
            failure_threshold: Some(3),
            ..Probe::default()
        }),
        resources: Some(resources(resolved)),
        security_context: Some(hardened()),
        termination_message_policy: Some("FallbackToLogsOnError".into()),
        volume_mounts: Some(vec![
            read_only(KEYS, KEYS_FOLDER),
            mount("workspaces", WORKSPACES),
            mount("tmp", "/tmp"),
        ]),
        ..Container::default()
    }
}

fn resources(resolved: &Resolved<'_>) -> ResourceRequirements {
    let amounts = SandboxAmounts::of(&resolved.harness.tools.sandbox);
    pod_parts::resources(
        (Some(&amounts.cpu_request.0), &amounts.memory_request.0),
        (Some(&amounts.cpu_limit.0), &amounts.memory_limit.0),
    )
}
