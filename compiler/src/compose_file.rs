//! Output for one machine: the tenant's Pod as a file for Docker Compose. Pure.
//!
//! It is made from the StatefulSet that the operator applies, so there is one description of what runs. What a Pod
//! has and Compose has not is done by a service of its own where kubelet does it, and refused by name otherwise.

mod carried;
mod document;
mod health;
mod problems;
mod service;
mod variables;
mod volumes;

use std::borrow::Cow;
use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Container, PodSecurityContext, PodSpec, Volume};

use self::carried::left_out_of_pod;
use self::document::{Condition, Dependency, Document, Mount, Nothing, Ordered, Port, Service, Text};
use self::problems::Problems;
pub use self::problems::{ComposeFileError, Problem, Unsupported};
use self::service::{Kind, NO_NEW_PRIVILEGES, Surroundings, condition, service};
use self::variables::Variables;
use self::volumes::Volumes;
use crate::bundle::{Bundle, Object};
use crate::render::sandbox_keys::is_sandbox_argument;

/// The file's name in the bundle.
pub const FILE_NAME: &str = "docker-compose.tenant.yml";
/// The name in the bundle of the list of the variables that the file needs.
pub const EXAMPLE_NAME: &str = ".env.example";

/// Where the Pod is described.
const POD: &str = "spec.template.spec";
/// The service that holds the network of all others, as a Pod's sandbox does: each of them can be restarted, and
/// the others keep the addresses that they reach it at.
const NETWORK: &str = "network";
/// The service that gives the volumes to the user of the containers, as kubelet does by `fsGroup`: an engine makes
/// them root's, and some give a new one the owner of what the image has in its place, some don't.
const VOLUME_OWNERSHIP: &str = "volume-ownership";
/// Where that service has the volumes.
const VOLUMES_FOLDER: &str = "/volumes";
/// The address that ports are published at: this machine's own.
const LOOPBACK: &str = "127.0.0.1";

/// Writes a tenant's Compose file, `.env.example`, and every file of the bundle that is mounted: content by path,
/// relative to the bundle's folder. The mounted files are those of the ConfigMaps, byte for byte.
pub fn render(bundle: &Bundle) -> Result<BTreeMap<String, String>, ComposeFileError> {
    let mut problems = Problems::default();
    let default = StatefulSet::default();
    let stateful_set = stateful_set(bundle).unwrap_or_else(|| {
        problems.add("spec", "the bundle has no StatefulSet");
        &default
    });
    let spec = stateful_set.spec.as_ref();
    if spec.and_then(|spec| spec.replicas) == Some(0) {
        problems.add("spec.replicas", "the tenant is suspended (spec.suspend), and Compose would start it");
    }
    let no_pod = PodSpec::default();
    let whole = spec.and_then(|spec| spec.template.spec.as_ref()).unwrap_or(&no_pod);
    let pod = &*without_sandboxes(whole, bundle);
    let mut variables = Variables::beside(published(pod).map(|(variable, _)| variable));
    let volumes = Volumes::of(pod, bundle, &mut problems);
    let services = services(pod, &volumes, &mut variables, &mut problems);
    let ports: Vec<_> =
        published(pod).map(|(variable, port)| format!("{variable}={}", port.target)).collect();
    let document = Document {
        name: bundle.tenant_id.clone(),
        services: Ordered(services),
        volumes: Ordered(volumes.named().map(|name| (name.to_owned(), Nothing {})).collect()),
    };
    let metadata = &stateful_set.metadata;
    let object =
        [&metadata.namespace, &metadata.name].map(|part| part.as_deref().unwrap_or_default()).join("/");
    let document = problems.finish(object, document)?;

    let mut files = volumes.files();
    // A long text stays in one line: where a folded one is broken, nobody would look for the rest.
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    let document = serde_saphyr::to_string_with_options(&document, options)?;
    files.insert(FILE_NAME.into(), format!("{}{document}", heading(bundle, &volumes)));
    let example = variables.example(&bundle.tenant_id, &bundle.minted, &ports);
    files.insert(EXAMPLE_NAME.into(), example);
    Ok(files)
}

fn stateful_set(bundle: &Bundle) -> Option<&StatefulSet> {
    bundle.objects.iter().find_map(Object::gateway)
}

/// The gateway's Pod without what it has of its sandboxes, which are other Pods: tools that need one fail, as they do in
/// a cluster when it is down.
fn without_sandboxes<'a>(pod: &'a PodSpec, bundle: &Bundle) -> Cow<'a, PodSpec> {
    let has_keys = |volume: &&Volume| {
        let secret = volume.secret.as_ref().and_then(|secret| secret.secret_name.as_ref());
        bundle.sandboxes.iter().any(|sandbox| secret == Some(&sandbox.secret))
    };
    let keys: Vec<_> = pod.volumes.iter().flatten().filter(has_keys).collect();
    if keys.is_empty() {
        return Cow::Borrowed(pod);
    }
    let is_of_keys = |name: &str| keys.iter().any(|volume| volume.name == name);
    let mut without = pod.clone();
    without.volumes.iter_mut().for_each(|volumes| volumes.retain(|volume| !is_of_keys(&volume.name)));
    for container in without.init_containers.iter_mut().flatten().chain(&mut without.containers) {
        container.volume_mounts.iter_mut().for_each(|mounts| mounts.retain(|mount| !is_of_keys(&mount.name)));
        container.args.iter_mut().for_each(|args| args.retain(|argument| !is_sandbox_argument(argument)));
    }
    Cow::Owned(without)
}

fn heading(bundle: &Bundle, volumes: &Volumes<'_>) -> String {
    let mut heading = format!(
        "# The gateway of tenant {} on one machine: the containers, commands, mounts and settings of its Pod.\n\
         # Copy {EXAMPLE_NAME} to .env and fill it in; then: docker compose --file {FILE_NAME} up\n",
        bundle.tenant_id
    );
    if !bundle.sandboxes.is_empty() {
        heading.push_str("# There is no sandbox here: tools that need one fail.\n");
    }
    for folder in volumes.foreign() {
        heading.push_str(&format!("# Put the files of your ConfigMap into {folder}, a file for each key.\n"));
    }
    heading
}

/// The services in the order in which they start.
fn services(
    pod: &PodSpec,
    volumes: &Volumes<'_>,
    variables: &mut Variables,
    problems: &mut Problems,
) -> Vec<(String, Service)> {
    for field in left_out_of_pod(pod) {
        problems.add(format!("{POD}.{field}"), "Compose has no such thing, or it is not written yet");
    }
    let no_security = PodSecurityContext::default();
    let security = pod.security_context.as_ref().unwrap_or(&no_security);
    if security.seccomp_profile.as_ref().is_some_and(|profile| profile.type_ != "RuntimeDefault") {
        problems
            .add(format!("{POD}.securityContext.seccompProfile"), "only RuntimeDefault is the engine's too");
    }
    let surroundings = Surroundings {
        security,
        volumes,
        network: NETWORK,
        grace_seconds: pod.termination_grace_period_seconds,
    };
    let init = pod.init_containers.iter().flatten().enumerate();
    let init = init.map(|(position, container)| {
        (container, Kind::of_init(container), format!("{POD}.initContainers[{position}]"))
    });
    let main = pod.containers.iter().enumerate();
    let main =
        main.map(|(position, container)| (container, Kind::Always, format!("{POD}.containers[{position}]")));

    let mut services = kubelets(pod, volumes);
    // What every later container waits for: all init containers before it, sidecars among them.
    let mut before: Vec<(String, Condition)> = vec![(VOLUME_OWNERSHIP.into(), Condition::Completed)];
    for (container, kind, at) in init.chain(main) {
        let mut service = service(container, kind, &at, &surroundings, variables, problems);
        let waits =
            before.iter().map(|(name, condition)| (name.clone(), Dependency { condition: *condition }));
        service.depends_on = Ordered(waits.collect());
        if at.contains("initContainers") {
            before.push((container.name.clone(), condition(kind, &service)));
        }
        if services.iter().any(|(name, _)| *name == container.name) {
            problems.add(format!("{at}.name"), format!("there is another service {}", container.name));
        }
        services.push((container.name.clone(), service));
    }
    services
}

/// The services that do what kubelet does for a Pod. They run the gateway's image: it is there anyway, and has the
/// two programs.
fn kubelets(pod: &PodSpec, volumes: &Volumes<'_>) -> Vec<(String, Service)> {
    let image = pod.containers.first().and_then(|container| container.image.as_deref()).map(Text::literal);
    let security = pod.security_context.clone().unwrap_or_default();
    let user = security.run_as_user.unwrap_or_default();
    let group = security.run_as_group.unwrap_or_default();
    let owner = format!("{user}:{}", security.fs_group.unwrap_or(group));
    let hardened = || Service {
        image: image.clone(),
        pull_policy: Some("missing"),
        read_only: true,
        cap_drop: vec!["ALL".into()],
        security_opt: vec![NO_NEW_PRIVILEGES],
        restart: "no",
        ..Service::default()
    };
    let folders: Vec<_> = volumes.named().map(|name| (name, format!("{VOLUMES_FOLDER}/{name}"))).collect();
    let ownership = Service {
        entrypoint: Some(vec![Text::literal("chown")]),
        command: Some(
            std::iter::once(owner.as_str())
                .chain(folders.iter().map(|(_, folder)| folder.as_str()))
                .map(Text::literal)
                .collect(),
        ),
        // Root, with the one right that it needs.
        user: "0:0".into(),
        cap_add: vec!["CHOWN".into()],
        network_mode: Some("none".into()),
        volumes: folders
            .iter()
            .map(|(name, folder)| Mount::Volume {
                source: Text::literal(name),
                target: Text::literal(folder),
                read_only: false,
            })
            .collect(),
        ..hardened()
    };
    let network = Service {
        command: Some(["sleep", "infinity"].map(Text::literal).to_vec()),
        user: format!("{user}:{group}"),
        ports: published(pod).map(|(_, port)| port).collect(),
        restart: "unless-stopped",
        ..hardened()
    };
    vec![(VOLUME_OWNERSHIP.into(), ownership), (NETWORK.into(), network)]
}

/// The ports of all containers, each with the variable by which another one of this machine is chosen.
fn published(pod: &PodSpec) -> impl Iterator<Item = (String, Port)> {
    let containers = pod.init_containers.iter().flatten().chain(&pod.containers);
    let ports = containers.flat_map(|container: &Container| container.ports.iter().flatten());
    ports.map(|port| {
        let number = port.container_port;
        let name = port.name.clone().unwrap_or_else(|| format!("port-{number}"));
        let variable = format!("{}_PORT", name.to_ascii_uppercase().replace('-', "_"));
        let published = Port {
            name,
            host_ip: LOOPBACK,
            published: Text::or(&variable, number),
            target: number,
            protocol: port.protocol.as_deref().unwrap_or("TCP").to_ascii_lowercase(),
        };
        (variable, published)
    })
}
