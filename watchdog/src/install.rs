//! I/O: puts a copy of this program where other containers of the Pod find it.
//!
//! A container that copies skills out of an image runs in that image, which may hold nothing but files. The program is
//! linked statically and needs nothing of it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::dir::Dir;

/// The program's name in the folder.
pub const PROGRAM: &str = "kr8tiv-watchdog";
/// This program, whatever its file is called or whether it was replaced since.
const RUNNING: &str = "/proc/self/exe";

/// What the operating system refused.
#[derive(Debug, thiserror::Error)]
#[error("install the program below {path}: {source}", path = path.display())]
pub struct InstallError {
    path: PathBuf,
    source: io::Error,
}

/// Installs this program in a folder that is there.
pub fn install(folder: &Path) -> Result<(), InstallError> {
    let install = || {
        let dir = Dir::open(folder)?;
        dir.remove_all(PROGRAM)?;
        dir.create(PROGRAM, &fs::read(RUNNING)?, true)
    };
    install().map_err(|source| InstallError { path: folder.to_owned(), source })
}
