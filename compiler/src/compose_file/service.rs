//! A container of the Pod as a service. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, PodSecurityContext, SecurityContext};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Written;
use kr8tiv_crds::Quantity;

use super::carried::left_out_of_container;
use super::document::{Amounts, BindOptions, Condition, Deploy, Mount, Ordered, Resources, Service, Text};
use super::health::healthcheck;
use super::problems::Problems;
use super::variables::Variables;
use super::volumes::Volumes;

/// No program in the container gets more rights than the container has.
pub(super) const NO_NEW_PRIVILEGES: &str = "no-new-privileges:true";

/// What a container has of its Pod.
#[derive(Debug)]
pub(super) struct Surroundings<'a> {
    pub(super) security: &'a PodSecurityContext,
    pub(super) volumes: &'a Volumes<'a>,
    /// The service whose network all containers share.
    pub(super) network: &'a str,
    /// How long a stopping container may take, in seconds; `None` is the engine's default, ten seconds.
    pub(super) grace_seconds: Option<i64>,
}

/// How a container runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// To its end, before those after it start.
    Once,
    /// For as long as the Pod.
    Always,
}

impl Kind {
    /// Of an init container.
    pub(super) fn of_init(container: &Container) -> Self {
        if container.restart_policy.as_deref() == Some("Always") { Self::Always } else { Self::Once }
    }
}

/// The service of the container found at `at`, without those that it waits for.
pub(super) fn service(
    container: &Container,
    kind: Kind,
    at: &str,
    surroundings: &Surroundings<'_>,
    variables: &mut Variables,
    problems: &mut Problems,
) -> Service {
    for field in left_out_of_container(container) {
        problems.add(format!("{at}.{field}"), "Compose has no such thing, or it is not written yet");
    }
    let environment = variables.environment(container.env.as_deref().unwrap_or_default(), at, problems);
    let texts = |list: &Option<Vec<String>>| {
        list.as_ref().map(|list| list.iter().map(|text| environment.expand(text)).collect())
    };
    let (entrypoint, command) = (texts(&container.command), texts(&container.args));
    let (mut volumes, tmpfs) = surroundings.volumes.mounts(container, at, problems);
    if kind == Kind::Once {
        volumes.push(termination_message());
    }
    let default = SecurityContext::default();
    let security = container.security_context.as_ref().unwrap_or(&default);
    let capabilities = security.capabilities.clone().unwrap_or_default();
    if container.image.is_none() {
        problems.add(format!("{at}.image"), "missing");
    }
    Service {
        image: container.image.as_deref().map(Text::literal),
        pull_policy: container.image_pull_policy.as_deref().and_then(pull_policy),
        entrypoint,
        command,
        working_dir: container.working_dir.as_deref().map(Text::literal),
        user: user(surroundings.security, security, at, problems),
        environment: environment.written,
        read_only: security.read_only_root_filesystem == Some(true),
        cap_drop: capabilities.drop.unwrap_or_default(),
        cap_add: capabilities.add.unwrap_or_default(),
        security_opt: (security.allow_privilege_escalation == Some(false))
            .then_some(NO_NEW_PRIVILEGES)
            .into_iter()
            .collect(),
        network_mode: Some(format!("service:{}", surroundings.network)),
        ports: Vec::new(),
        volumes,
        tmpfs,
        deploy: deploy(container, at, problems),
        healthcheck: healthcheck(container, at, problems),
        depends_on: Ordered::default(),
        restart: match kind {
            Kind::Once => "no",
            Kind::Always => "unless-stopped",
        },
        stop_grace_period: surroundings
            .grace_seconds
            .filter(|_| kind == Kind::Always)
            .map(|seconds| format!("{seconds}s")),
    }
}

/// What kubelet mounts for a container's last words. Nobody reads them here; the containers write them all the same.
fn termination_message() -> Mount {
    Mount::Bind {
        source: Text::literal("/dev/null"),
        target: Text::literal("/dev/termination-log"),
        read_only: false,
        bind: BindOptions { create_host_path: false },
    }
}

/// What those wait for who come after a service.
pub(super) fn condition(kind: Kind, service: &Service) -> Condition {
    match (kind, &service.healthcheck) {
        (Kind::Once, _) => Condition::Completed,
        (Kind::Always, Some(_)) => Condition::Healthy,
        (Kind::Always, None) => Condition::Started,
    }
}

fn pull_policy(policy: &str) -> Option<&'static str> {
    match policy {
        "Always" => Some("always"),
        "IfNotPresent" => Some("missing"),
        "Never" => Some("never"),
        _ => None,
    }
}

fn user(pod: &PodSecurityContext, own: &SecurityContext, at: &str, problems: &mut Problems) -> String {
    let user = own.run_as_user.or(pod.run_as_user);
    let group = own.run_as_group.or(pod.run_as_group);
    let (Some(user), Some(group)) = (user, group) else {
        problems.add(format!("{at}.securityContext"), "runAsUser and runAsGroup are not both given");
        return String::new();
    };
    format!("{user}:{group}")
}

fn deploy(container: &Container, at: &str, problems: &mut Problems) -> Option<Deploy> {
    let resources = container.resources.as_ref()?;
    let mut amounts = |list: &Option<BTreeMap<String, Written>>, kind: &str| {
        let mut amount = |name: &str, write: fn(&Quantity) -> Option<String>| {
            let quantity = Quantity(list.as_ref()?.get(name)?.0.clone());
            let written = write(&quantity);
            if written.is_none() {
                let field = format!("{at}.resources.{kind}.{name}");
                problems.add(field, format!("{} is no amount that can be written", quantity.0));
            }
            written
        };
        Amounts { cpus: amount("cpu", processors), memory: amount("memory", memory) }
    };
    let limits = amounts(&resources.limits, "limits");
    let reservations = Amounts { cpus: None, ..amounts(&resources.requests, "requests") };
    let some = |amounts: Amounts| (amounts != Amounts::default()).then_some(amounts);
    Some(Deploy { resources: Resources { limits: some(limits), reservations: some(reservations) } })
}

/// An amount of memory as Compose and the kernel read it: whole bytes, or whole MiB as `m`.
pub(super) fn memory(quantity: &Quantity) -> Option<String> {
    let bytes = quantity.base_units()?;
    let whole = bytes > 0 && bytes.is_multiple_of(1 << 20);
    Some(if whole { format!("{}m", bytes >> 20) } else { format!("{bytes}") })
}

fn processors(quantity: &Quantity) -> Option<String> {
    let thousandths = quantity.milli_units()?;
    Some(format!("{}.{:03}", thousandths / 1000, thousandths % 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_keep_their_size() {
        for (text, written) in [("2Gi", "2048m"), ("64Mi", "64m"), ("1500M", "1500000000"), ("1Ki", "1024")] {
            assert_eq!(memory(&Quantity(text.into())).unwrap(), written);
        }
        for (text, written) in [("250m", "0.250"), ("2", "2.000"), ("1.5", "1.500")] {
            assert_eq!(processors(&Quantity(text.into())).unwrap(), written);
        }
        assert_eq!(memory(&Quantity("much".into())), None);
    }
}
