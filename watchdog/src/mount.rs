//! I/O: reads the mounted ConfigMaps.
//!
//! kubelet owns these directories, so symlinks in them are followed: `FILE -> ..data/FILE` is how a
//! ConfigMap is mounted. Only listed names are read, and no listed name begins with a dot.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::bundle::{Mounted, MountedFiles, Pending};
use crate::manifest::Manifest;
use crate::names::{MAX_FILE_BYTES, Target};

/// Reads `config/delivery.json`.
pub fn read_manifest(bundle: &Path) -> Result<Manifest, Pending> {
    match read(&bundle.join("config/delivery.json")) {
        Mounted::Bytes(bytes) => Ok(Manifest::parse(&bytes)?),
        Mounted::Missing => Err(Pending::no_manifest("missing")),
        Mounted::Unreadable(why) => Err(Pending::no_manifest(&why)),
    }
}

/// Reads `config/watchdog.json`.
pub fn read_settings(bundle: &Path) -> Mounted {
    read(&bundle.join("config/watchdog.json"))
}

/// Reads every file that the manifest lists.
pub fn read_files(bundle: &Path, manifest: &Manifest) -> MountedFiles {
    let targets = manifest.workspaces.iter().flat_map(|(agent, files)| {
        files.keys().map(|file| Target { agent: agent.clone(), file: file.clone() })
    });
    let read_target = |target: Target| {
        let path = bundle.join("workspaces").join(target.agent.as_str()).join(target.file.as_str());
        (target, read(&path))
    };
    MountedFiles {
        config: read(&bundle.join("config/openclaw.json")),
        workspaces: targets.map(read_target).collect(),
    }
}

fn read(path: &Path) -> Mounted {
    let attempt = || {
        let mut bytes = Vec::new();
        File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
        Ok::<_, io::Error>(bytes)
    };
    match attempt() {
        Ok(bytes) if u64::try_from(bytes.len()).is_ok_and(|len| len <= MAX_FILE_BYTES) => {
            Mounted::Bytes(bytes)
        }
        Ok(_) => Mounted::Unreadable(format!("larger than {MAX_FILE_BYTES} bytes")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Mounted::Missing,
        Err(error) => Mounted::Unreadable(error.to_string()),
    }
}
