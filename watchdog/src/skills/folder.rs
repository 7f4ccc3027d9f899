//! I/O: a folder of a pack. It is only read, and whoever made it is not trusted: nothing in it is followed, everything
//! is opened by one name in an open folder.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use rustix::fs::{self as sys, AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::dir::Dir;
use crate::skills::limits::{Budget, DEPTH, FILE_BYTES, SKILL_ENTRIES};
use crate::skills::names::{SkillName, is_plain};
use crate::skills::problem::Problem;

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// On the way to a folder: what is only passed through need not be readable.
const WAY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// An open folder.
#[derive(Debug)]
pub struct Folder(OwnedFd);

/// Something in a folder, by its name.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Entry {
    /// A folder.
    Folder(String),
    /// A regular file.
    File(String),
    /// Anything else; the name has its unusual characters escaped.
    Other(String),
}

/// A regular file.
#[derive(Debug)]
pub struct Content {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Whether its owner may run it.
    pub executable: bool,
}

impl Folder {
    /// Opens a folder by its absolute path, in which no part is a link.
    pub fn open(path: &Path) -> Result<Self, Problem> {
        let text = path.display().to_string();
        let failed = |error| problem(&text, error);
        let mut folder = sys::open("/", WAY, Mode::empty()).map_err(failed)?;
        for part in path.components() {
            match part {
                Component::RootDir | Component::CurDir => {}
                Component::Normal(name) => {
                    folder = sys::openat(&folder, name, WAY, Mode::empty()).map_err(failed)?;
                }
                Component::ParentDir | Component::Prefix(_) => return Err(failed(Errno::LOOP)),
            }
        }
        sys::openat(&folder, ".", FOLDER, Mode::empty()).map(Self).map_err(failed)
    }

    /// Opens a folder in this one. `path` is what a problem calls it.
    pub fn folder(&self, name: &str, path: &str) -> Result<Self, Problem> {
        sys::openat(&self.0, name, FOLDER, Mode::empty()).map(Self).map_err(|error| problem(path, error))
    }

    /// The name that a link leads to, when it is one and leads to something in this very folder.
    pub fn link(&self, name: &str) -> Result<Option<String>, Problem> {
        match sys::readlinkat(&self.0, name, Vec::new()) {
            Ok(target) => {
                let target =
                    target.into_string().ok().filter(|target| !target.contains('/') && target != "..");
                target.map(Some).ok_or_else(|| Problem::NotRegular { path: name.to_owned() })
            }
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(problem(name, error)),
        }
    }

    /// What is in this folder, sorted. `path` is what a problem calls the folder, `limit` how much there may be.
    pub fn entries(&self, path: &str, limit: usize) -> Result<Vec<Entry>, Problem> {
        let failed = |source: io::Error| Problem::Read { path: path.to_owned(), source };
        let mut entries = Vec::new();
        for entry in sys::Dir::read_from(&self.0).map_err(|error| failed(error.into()))? {
            let entry = entry.map_err(|error| failed(error.into()))?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            if entries.len() == limit {
                let limit = format!("{limit} files and folders");
                return Err(Problem::TooMuch { path: path.to_owned(), limit });
            }
            let stat = sys::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|error| failed(error.into()))?;
            entries.push(match (FileType::from_raw_mode(stat.st_mode), name.to_str()) {
                (FileType::Directory, Ok(name)) => Entry::Folder(name.to_owned()),
                (FileType::RegularFile, Ok(name)) => Entry::File(name.to_owned()),
                _ => Entry::Other(name.to_bytes().escape_ascii().to_string()),
            });
        }
        entries.sort();
        Ok(entries)
    }

    /// Reads a regular file in this folder. `path` is what a problem calls it.
    pub fn read(&self, name: &str, path: &str, limit: u64) -> Result<Content, Problem> {
        // Non-blocking, or a pipe that took the file's place would stop us for ever.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = sys::openat(&self.0, name, flags, Mode::empty()).map_err(|error| problem(path, error))?;
        let failed = |source| Problem::Read { path: path.to_owned(), source };
        let stat = sys::fstat(&file).map_err(|error| failed(error.into()))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Problem::NotRegular { path: path.to_owned() });
        }
        let executable = Mode::from_raw_mode(stat.st_mode).contains(Mode::XUSR);
        let mut bytes = Vec::new();
        // One byte more than the limit tells that there is more.
        File::from(file).take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
        Ok(Content { bytes, executable })
    }

    /// Copies the skill's folder in this one, with everything that is in it.
    pub fn copy_skill(&self, skill: &SkillName, into: &Dir, budget: &mut Budget) -> Result<(), Problem> {
        let path = skill.as_str();
        self.folder(path, path)?.copy_all(skill, path, DEPTH, into, budget)
    }

    fn copy_all(
        &self,
        skill: &SkillName,
        path: &str,
        depth: usize,
        into: &Dir,
        budget: &mut Budget,
    ) -> Result<(), Problem> {
        for entry in self.entries(path, SKILL_ENTRIES)? {
            let name = match &entry {
                Entry::Folder(name) | Entry::File(name) => name.as_str(),
                Entry::Other(name) => return Err(Problem::NotRegular { path: format!("{path}/{name}") }),
            };
            if !is_plain(name) {
                return Err(Problem::Name { path: format!("{path}/{}", name.escape_default()) });
            }
            let path = format!("{path}/{name}");
            budget.entry(skill)?;
            let written = |source| Problem::Write { path: path.clone(), source };
            if let Entry::Folder(_) = entry {
                let Some(depth) = depth.checked_sub(1) else {
                    return Err(Problem::TooDeep { path, limit: DEPTH });
                };
                let inner = into.create_dir(name).map_err(written)?;
                self.folder(name, &path)?.copy_all(skill, &path, depth, &inner, budget)?;
            } else {
                let Content { bytes, executable } = self.read(name, &path, FILE_BYTES)?;
                budget.content(skill, &path, &bytes)?;
                into.create(name, &bytes, executable).map_err(written)?;
            }
        }
        Ok(())
    }
}

fn problem(path: &str, error: Errno) -> Problem {
    let path = path.to_owned();
    match error {
        Errno::NOENT => Problem::Missing { path },
        // A link, something else in a folder's place, or a socket in a file's.
        Errno::LOOP | Errno::NOTDIR | Errno::NXIO => Problem::NotRegular { path },
        error => Problem::Read { path, source: error.into() },
    }
}
