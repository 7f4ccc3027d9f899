//! What is mounted: named volumes, file systems in memory, and folders of the bundle. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, ConfigMapVolumeSource, Container, PodSpec, VolumeMount};
use kr8tiv_crds::{Quantity, meta};

use super::document::{BindOptions, Mount, Text};
use super::problems::Problems;
use super::service::memory;
use crate::bundle::{Bundle, Object};

/// Folder of the bundle for the files of the gateway's ConfigMap.
const CONFIG_FOLDER: &str = "config";
/// Folder of the bundle in which every agent has one.
const WORKSPACE_FOLDER: &str = "workspace";
/// Folder of the bundle for the files of ConfigMaps that the user has, one for each.
const FOREIGN_FOLDER: &str = "configmaps";

/// What stands behind a volume of the Pod.
#[derive(Clone, Debug)]
enum Source<'a> {
    /// A volume of the engine's: what is kept, or shared by containers.
    Named,
    /// An `emptyDir` of one container, with its size.
    Memory(Option<Quantity>),
    /// A folder of the bundle.
    Folder(Folder<'a>),
}

/// The folder that has the files of a ConfigMap.
#[derive(Clone, Debug)]
struct Folder<'a> {
    path: String,
    /// `None` for a ConfigMap of the user's: its files are not in the bundle.
    config_map: Option<&'a ConfigMap>,
    optional: bool,
}

/// The volumes of a Pod.
#[derive(Debug)]
pub(super) struct Volumes<'a> {
    /// By the volume's name.
    sources: BTreeMap<&'a str, Source<'a>>,
}

impl<'a> Volumes<'a> {
    pub(super) fn of(spec: &'a PodSpec, bundle: &'a Bundle, problems: &mut Problems) -> Self {
        let containers = || spec.init_containers.iter().flatten().chain(&spec.containers);
        let mut sources = BTreeMap::new();
        for (position, volume) in spec.volumes.iter().flatten().enumerate() {
            let at = format!("spec.template.spec.volumes[{position}]");
            let mounts: Vec<_> =
                containers().flat_map(|container| mounts_of(container, &volume.name)).collect();
            let claim = volume.persistent_volume_claim.as_ref().map(|claim| claim.claim_name.as_str());
            if let Some(name) = claim.filter(|name| !is_of_bundle(name, bundle)) {
                problems.add(
                    format!("{at}.persistentVolumeClaim.claimName"),
                    format!("{name} is a volume of the cluster, and Compose would make an empty one"),
                );
            }
            let source = if let Some(config_map) = &volume.config_map {
                Source::Folder(folder(config_map, bundle))
            } else if let (Some(empty), [_]) = (&volume.empty_dir, mounts.as_slice()) {
                Source::Memory(empty.size_limit.as_ref().map(|limit| Quantity(limit.0.clone())))
            } else {
                if mounts.windows(2).any(|pair| pair[0].sub_path != pair[1].sub_path) {
                    problems.add(
                        at,
                        "its mounts have different subPaths, and a named volume is mounted as a whole",
                    );
                }
                Source::Named
            };
            sources.insert(volume.name.as_str(), source);
        }
        Self { sources }
    }

    /// The names of the engine's volumes.
    pub(super) fn named(&self) -> impl Iterator<Item = &'a str> {
        self.sources.iter().filter(|(_, source)| matches!(source, Source::Named)).map(|(name, _)| *name)
    }

    /// The files of the bundle that are mounted, by their path in it.
    pub(super) fn files(&self) -> BTreeMap<String, String> {
        self.folders()
            .flat_map(|Folder { path, config_map, .. }| {
                let files = config_map.iter().flat_map(|config_map| config_map.data.iter().flatten());
                files.map(move |(name, content)| (format!("{path}/{name}"), content.clone()))
            })
            .collect()
    }

    /// The folders that the user has to fill.
    pub(super) fn foreign(&self) -> impl Iterator<Item = &str> {
        self.folders().filter(|folder| folder.config_map.is_none()).map(|folder| folder.path.as_str())
    }

    fn folders(&self) -> impl Iterator<Item = &Folder<'a>> {
        self.sources.values().filter_map(|source| match source {
            Source::Folder(folder) => Some(folder),
            Source::Named | Source::Memory(_) => None,
        })
    }

    /// The mounts of the container found at `at`, and its file systems in memory.
    pub(super) fn mounts(
        &self,
        container: &Container,
        at: &str,
        problems: &mut Problems,
    ) -> (Vec<Mount>, Vec<Text>) {
        let (mut mounts, mut tmpfs) = (Vec::new(), Vec::new());
        for (position, mount) in container.volume_mounts.iter().flatten().enumerate() {
            let at = format!("{at}.volumeMounts[{position}]");
            let target = Text::literal(&mount.mount_path);
            let read_only = mount.read_only.unwrap_or_default();
            match self.sources.get(mount.name.as_str()) {
                // A named volume is the folder that `subPath` makes in the volume of a cluster.
                Some(Source::Named) => {
                    mounts.push(Mount::Volume { source: Text::literal(&mount.name), target, read_only });
                }
                Some(Source::Memory(size)) => {
                    tmpfs.push(in_memory(&mount.mount_path, size.as_ref(), read_only));
                }
                Some(Source::Folder(Folder { path, optional, .. })) => {
                    if mount.sub_path.is_some() {
                        problems.add(format!("{at}.subPath"), "only whole folders of the bundle are mounted");
                    }
                    mounts.push(Mount::Bind {
                        source: Text::literal(&format!("./{path}")),
                        target,
                        read_only,
                        // A bundle that is not complete is an error, not an empty folder.
                        bind: BindOptions { create_host_path: *optional },
                    });
                }
                None => problems.add(format!("{at}.name"), format!("there is no volume {}", mount.name)),
            }
        }
        (mounts, tmpfs)
    }
}

fn mounts_of<'a>(container: &'a Container, volume: &str) -> impl Iterator<Item = &'a VolumeMount> {
    container.volume_mounts.iter().flatten().filter(move |mount| mount.name == volume)
}

/// Where the bundle on disk has the files of a mounted ConfigMap.
fn folder<'a>(volume: &ConfigMapVolumeSource, bundle: &'a Bundle) -> Folder<'a> {
    let config_map = bundle.objects.iter().find_map(|object| match object {
        Object::ConfigMap(found) if found.metadata.name.as_ref() == Some(&volume.name) => {
            Some(found.as_ref())
        }
        _ => None,
    });
    let agent = config_map.and_then(|found| found.metadata.labels.as_ref()?.get(meta::AGENT_ID));
    let path = match (config_map, agent) {
        (Some(_), Some(agent)) => format!("{WORKSPACE_FOLDER}/{agent}"),
        (Some(_), None) => CONFIG_FOLDER.to_owned(),
        (None, _) => format!("{FOREIGN_FOLDER}/{}", volume.name),
    };
    Folder { path, config_map, optional: volume.optional == Some(true) }
}

/// Whether a claim is one that the bundle makes: the gateway's volume.
fn is_of_bundle(claim: &str, bundle: &Bundle) -> bool {
    bundle.objects.iter().any(|object| {
        matches!(object, Object::PersistentVolumeClaim(own) if own.metadata.name.as_deref() == Some(claim))
    })
}

/// Options of a file system in memory that is like an `emptyDir`: everybody may write, programs may be started.
fn in_memory(path: &str, size: Option<&Quantity>, read_only: bool) -> Text {
    let size = size.and_then(memory).map(|size| format!(",size={size}")).unwrap_or_default();
    let read_only = if read_only { ",ro" } else { "" };
    Text::literal(&format!("{path}:mode=1777,exec{size}{read_only}"))
}
