//! Last stage: files become a folder, as a whole or not at all. I/O: writes, and replaces a folder that holds a bundle.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::bundle::{METADATA, Metadata};

/// Why a folder could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is something else that a replacement would delete.
    #[error(
        "{folder} holds {found}, which is no part of a bundle; give another folder, or --force to replace it with \
         all that it holds"
    )]
    NotABundle {
        /// The folder.
        folder: String,
        /// What is in it.
        found: String,
    },
    /// There is no folder, but something else.
    #[error("{path} is not a folder; give another path")]
    NotAFolder {
        /// The path.
        path: String,
    },
    /// The system refused.
    #[error("{path} can't be written: {source}; check the path, its permissions and the free space")]
    Io {
        /// The path.
        path: String,
        /// What the system says.
        source: io::Error,
    },
}

/// Writes files by their path below `folder`. They are written beside it first and moved when all are there; what was
/// in the folder is gone then. Only an empty folder, one that holds nothing but a bundle, or any with `force` is
/// replaced.
pub fn write(folder: &Path, files: &BTreeMap<String, String>, force: bool) -> Result<(), Error> {
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |source| Error::Io { path, source }
    };
    // A link to a folder: what it leads to is replaced, not the link.
    let folder = match fs::canonicalize(folder) {
        Ok(path) => path,
        Err(error) if error.kind() == io::ErrorKind::NotFound => folder.to_owned(),
        Err(error) => return Err(failed(folder)(error)),
    };
    let exists = folder.exists();
    if exists && !folder.is_dir() {
        return Err(Error::NotAFolder { path: folder.display().to_string() });
    }
    if exists
        && !force
        && let Some(found) = foreign(&folder).map_err(failed(&folder))?
    {
        return Err(Error::NotABundle { folder: folder.display().to_string(), found });
    }
    let parent = match folder.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    fs::create_dir_all(&parent).map_err(failed(&parent))?;
    // On the same file system as the folder; it is removed when anything fails.
    let staging = tempfile::Builder::new().prefix(".kr8tiv-").tempdir_in(&parent).map_err(failed(&parent))?;
    let new = staging.path().join("new");
    for (path, content) in files {
        let path = new.join(path);
        if let Some(above) = path.parent() {
            fs::create_dir_all(above).map_err(failed(&path))?;
        }
        fs::write(&path, content).map_err(failed(&path))?;
    }
    let old = staging.path().join("old");
    if exists {
        fs::rename(&folder, &old).map_err(failed(&folder))?;
    }
    if let Err(error) = fs::rename(&new, &folder) {
        if exists {
            // Back where it was; the first error is the one to tell.
            let _ = fs::rename(&old, &folder);
        }
        return Err(failed(&folder)(error));
    }
    Ok(())
}

/// The first thing in a folder that is no part of a bundle; `None` when there is none.
fn foreign(folder: &Path) -> io::Result<Option<String>> {
    let metadata = match fs::read(folder.join(METADATA)) {
        Ok(text) => serde_json::from_slice::<Metadata>(&text).ok(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let files = metadata.into_iter().flat_map(|metadata| metadata.files);
    let mut known: BTreeSet<String> = files.map(|file| file.path).collect();
    if !known.is_empty() {
        known.insert(METADATA.into());
    }
    first_foreign(folder, "", &known)
}

fn first_foreign(folder: &Path, below: &str, known: &BTreeSet<String>) -> io::Result<Option<String>> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{below}{}", entry.file_name().to_string_lossy());
        let is_folder = entry.file_type()?.is_dir();
        let within = format!("{name}/");
        if is_folder && known.iter().any(|path| path.starts_with(&within)) {
            if let Some(found) = first_foreign(&entry.path(), &within, known)? {
                return Ok(Some(found));
            }
        } else if is_folder || !known.contains(&name) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(paths: &[&str]) -> BTreeMap<String, String> {
        let listed: Vec<_> =
            paths.iter().map(|path| serde_json::json!({"path": path, "bytes": 1, "sha256": ""})).collect();
        let metadata = serde_json::json!({
            "formatVersion": 1, "tenantId": "", "containerTag": "", "harnessRevision": "", "gatewayVersion": "",
            "bundleHash": "", "files": listed,
        });
        let contents = paths.iter().map(|path| ((*path).to_owned(), "x".to_owned()));
        contents.chain([(METADATA.to_owned(), metadata.to_string())]).collect()
    }

    fn present(folder: &Path) -> Vec<String> {
        let names =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn a_bundle_is_replaced_as_a_whole() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("a/bundle");
        write(&folder, &files(&["b.json", "workspace/main/A.md"]), false).unwrap();
        write(&folder, &files(&["c.json"]), false).unwrap();
        assert_eq!(present(&folder), ["artifact-metadata.json", "c.json"]);
        assert_eq!(present(&parent.path().join("a")), ["bundle"], "nothing is left beside it");
    }

    #[test]
    fn what_is_not_a_bundle_is_not_replaced_unless_told_to() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("home");
        write(&folder, &files(&["w/a.md"]), false).unwrap();
        for other in ["letter.txt", "w/letter.txt"] {
            fs::write(folder.join(other), "dear").unwrap();
            let refused = write(&folder, &files(&["c.json"]), false).unwrap_err();
            assert!(refused.to_string().contains(other), "{refused}");
            assert!(folder.join(other).exists());
            fs::remove_file(folder.join(other)).unwrap();
        }
        fs::create_dir(folder.join(".git")).unwrap();
        assert!(matches!(write(&folder, &files(&["c.json"]), false), Err(Error::NotABundle { .. })));
        write(&folder, &files(&["c.json"]), true).unwrap();
        assert_eq!(present(&folder), ["artifact-metadata.json", "c.json"]);
    }

    #[test]
    fn an_empty_folder_is_taken_and_a_file_is_not() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("empty");
        fs::create_dir(&folder).unwrap();
        write(&folder, &files(&["c.json"]), false).unwrap();
        let file = parent.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(write(&file, &files(&[]), true), Err(Error::NotAFolder { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link() {
        let parent = tempfile::tempdir().unwrap();
        let (folder, link) = (parent.path().join("real"), parent.path().join("link"));
        fs::create_dir(&folder).unwrap();
        std::os::unix::fs::symlink(&folder, &link).unwrap();
        write(&link, &files(&["c.json"]), false).unwrap();
        assert!(link.is_symlink());
        assert_eq!(present(&folder), ["artifact-metadata.json", "c.json"]);
    }
}
