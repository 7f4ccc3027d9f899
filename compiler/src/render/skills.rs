//! The parts of the Pod that bring skills into it: an init container for each pack, and their volumes. Pure.
//!
//! The packs lie in an `emptyDir` that the gateway only reads: no agent can change a skill, and nothing of an earlier
//! Pod is left. Each container says in its termination message what kept its pack from being copied, and succeeds all
//! the same.

use k8s_openapi::api::core::v1::{ConfigMapVolumeSource, Container, Volume, VolumeMount};
use kr8tiv_crds::skills::{ConfigMapPack, ImagePack, PackSource};

use crate::inputs::Platform;
use crate::openclaw::SKILLS_FOLDER;
use crate::render::pod_parts::{hardened, mount, read_only, scratch, small};
use crate::skills::Pack;

/// Where a container that copies a pack finds the packs' volume, the watchdog's program and its ConfigMap. Not in a
/// folder that a pack's own image is likely to have.
const TARGET_FOLDER: &str = "/run/kr8tiv/skills";
const PROGRAM_FOLDER: &str = "/run/kr8tiv/bin";
const SOURCE_FOLDER: &str = "/run/kr8tiv/pack";
const PROGRAM: &str = "/run/kr8tiv/bin/kr8tiv-watchdog";

const TARGET_VOLUME: &str = "skills";
const PROGRAM_VOLUME: &str = "kr8tiv-bin";

/// The container that copies a pack; also the volume of its ConfigMap.
pub(crate) fn container_name(pack: &str) -> String {
    format!("skills-{pack}")
}

/// The containers, in the order in which they run.
pub(crate) fn containers(packs: &[Pack<'_>], platform: &Platform) -> Vec<Container> {
    packs.iter().filter(|pack| pack.available).map(|pack| container(pack, platform)).collect()
}

/// What the container that comes first has to do for the others: leave them the watchdog's program, when some of them
/// run in images that need not have any.
pub(crate) fn prepare(first: &mut Container, packs: &[Pack<'_>]) {
    if needs_program(packs) {
        first.args.get_or_insert_default().extend(["--install".into(), PROGRAM_FOLDER.into()]);
        first.volume_mounts.get_or_insert_default().push(mount(PROGRAM_VOLUME, PROGRAM_FOLDER));
    }
}

/// What the gateway sees of it.
pub(crate) fn gateway_mount(packs: &[Pack<'_>]) -> Option<VolumeMount> {
    let mount = read_only(TARGET_VOLUME, SKILLS_FOLDER);
    (!packs.is_empty()).then_some(mount)
}

/// The volumes.
pub(crate) fn volumes(packs: &[Pack<'_>]) -> Vec<Volume> {
    let mut volumes = Vec::new();
    if !packs.is_empty() {
        // Sixteen packs of 32 MiB and the one that is being copied fit twice.
        volumes.push(scratch(TARGET_VOLUME, "1Gi"));
    }
    if needs_program(packs) {
        volumes.push(scratch(PROGRAM_VOLUME, "64Mi"));
    }
    volumes.extend(packs.iter().filter_map(|pack| {
        let ConfigMapPack { name, digest: _ } = pack.spec.source.config_map.as_ref()?;
        Some(Volume {
            name: container_name(&pack.spec.name),
            config_map: Some(ConfigMapVolumeSource {
                name: name.clone(),
                // A Pod waits for a ConfigMap that is not optional.
                optional: Some(true),
                ..ConfigMapVolumeSource::default()
            }),
            ..Volume::default()
        })
    }));
    volumes
}

fn needs_program(packs: &[Pack<'_>]) -> bool {
    packs.iter().any(|pack| pack.available && pack.spec.source.image.is_some())
}

fn container(pack: &Pack<'_>, platform: &Platform) -> Container {
    let name = container_name(&pack.spec.name);
    let PackSource { config_map, image } = &pack.spec.source;
    let (image, command, from, layout, mount_of_source) = if let Some(image) = image {
        let ImagePack { reference: _, digest: _, path } = image;
        let program = read_only(PROGRAM_VOLUME, PROGRAM_FOLDER);
        (image.pinned(), Some(vec![PROGRAM.to_owned()]), path.as_str(), "folder", program)
    } else {
        let source = read_only(&name, SOURCE_FOLDER);
        (platform.watchdog_image.clone(), None, SOURCE_FOLDER, "config-map", source)
    };
    let mut arguments: Vec<String> =
        ["skills", "--pack", &pack.spec.name, "--from", from, "--layout", layout, "--to", TARGET_FOLDER]
            .map(str::to_owned)
            .into();
    if let Some(digest) = config_map.iter().find_map(|config_map| config_map.digest.clone()) {
        arguments.extend(["--digest".into(), digest]);
    }
    arguments.extend(pack.spec.skills.iter().flat_map(|skill| ["--skill".into(), skill.clone()]));
    Container {
        name,
        image: Some(image),
        image_pull_policy: Some("IfNotPresent".into()),
        command,
        args: Some(arguments),
        resources: Some(small()),
        security_context: Some(hardened()),
        volume_mounts: Some(vec![mount(TARGET_VOLUME, TARGET_FOLDER), mount_of_source]),
        ..Container::default()
    }
}
