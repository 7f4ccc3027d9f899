//! Last stage: files over those of a folder that is in use. I/O: writes files, each by a rename.
//!
//! Containers have the folders mounted: a folder that took another's place would not be seen, a file in it is.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Readable by the user of the containers, whoever writes it.
const FILE_MODE: u32 = 0o644;

/// Why a file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{path} can't be written: {source}; check the path, its permissions and the free space", path = .path.display())]
pub struct Error {
    /// The path.
    path: PathBuf,
    /// What the system says.
    source: io::Error,
}

/// Writes files by their path below `folder`. Files of an earlier bundle that are no longer among them are removed from
/// the folders that hold nothing else: `config` and those of the agents.
pub fn write(folder: &Path, files: &BTreeMap<String, String>) -> Result<(), Error> {
    for (path, content) in files {
        let path = folder.join(path);
        replace(&path, content).map_err(|source| Error { path, source })?;
    }
    for below in ["config", "workspace"] {
        let path = folder.join(below);
        remove_others(folder, &path, files).map_err(|source| Error { path, source })?;
    }
    Ok(())
}

fn replace(path: &Path, content: &str) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent)?;
    let mut file = tempfile::Builder::new().prefix(".kr8tiv-").tempfile_in(parent)?;
    file.write_all(content.as_bytes())?;
    file.as_file().set_permissions(Permissions::from_mode(FILE_MODE))?;
    file.persist(path)?;
    Ok(())
}

fn remove_others(root: &Path, folder: &Path, files: &BTreeMap<String, String>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            remove_others(root, &path, files)?;
            continue;
        }
        let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
        if !files.contains_key(&name) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}
