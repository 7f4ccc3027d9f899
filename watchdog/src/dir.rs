//! I/O: a directory whose other users are not trusted.
//!
//! An agent runs as the same uid and may put anything anywhere in its workspace, at any moment. So every
//! operation goes through an open directory and names one component of it, never a path, and never follows
//! a symlink: what is written lands in that directory or nowhere.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{self as sys, AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

/// Readable by the gateway whatever its group; writable by our uid, which the gateway shares.
const FILE_MODE: Mode = Mode::from_raw_mode(0o644);
const DIR_MODE: Mode = Mode::from_raw_mode(0o755);
const PROGRAM_MODE: Mode = Mode::from_raw_mode(0o755);

/// How often an operation is tried while somebody keeps putting things in its way. A second collision takes
/// an agent that races with us on purpose: then it is an error, and the next pass tries again.
const ATTEMPTS: usize = 4;

/// What a name in a directory stands for.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Absent,
    /// A regular file and its content.
    File(Vec<u8>),
    /// Anything else, or a file that is too large or that we may not read.
    Other,
}

/// An open directory.
#[derive(Debug)]
pub struct Dir(OwnedFd);

impl Dir {
    /// Opens a directory that an administrator named: a mount. Its path may contain symlinks.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = Self(sys::open(path, flags, Mode::empty())?);
        // Not always ours to change, and then mostly right; if it isn't, the next operation says so.
        let _ = dir.make_usable();
        Ok(dir)
    }

    /// Opens a directory in this one; `None` when there is none, or something else in its place.
    pub fn subdir(&self, name: &str) -> io::Result<Option<Self>> {
        match self.open_subdir(name) {
            Ok(dir) => {
                dir.make_usable()?;
                Ok(Some(dir))
            }
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens a directory in this one and makes it first where it isn't one.
    pub fn ensure_subdir(&self, name: &str) -> io::Result<Self> {
        for _ in 0..ATTEMPTS {
            match self.open_subdir(name) {
                Ok(dir) => {
                    dir.make_usable()?;
                    return Ok(dir);
                }
                Err(Errno::NOENT) => {}
                Err(Errno::NOTDIR | Errno::LOOP) => self.clear(name)?,
                Err(error) => return Err(error.into()),
            }
            match sys::mkdirat(&self.0, name, DIR_MODE) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(contended())
    }

    /// Reads a regular file of at most `limit` bytes.
    pub fn read(&self, name: &str, limit: u64) -> io::Result<Found> {
        // Non-blocking, or a FIFO in the file's place would stop us for ever.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match sys::openat(&self.0, name, flags, Mode::empty()) {
            Ok(fd) => File::from(fd),
            Err(Errno::NOENT) => return Ok(Found::Absent),
            // A symlink; a socket; no permission; a lease that its holder would have to give up first.
            Err(Errno::LOOP | Errno::NXIO | Errno::ACCESS | Errno::PERM | Errno::AGAIN) => {
                return Ok(Found::Other);
            }
            Err(error) => return Err(error.into()),
        };
        if !file.metadata()?.is_file() {
            return Ok(Found::Other);
        }
        let mut bytes = Vec::new();
        // Not its size, which can change while we read: one byte more than the limit tells enough.
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        Ok(if u64::try_from(bytes.len()).is_ok_and(|len| len <= limit) {
            Found::File(bytes)
        } else {
            Found::Other
        })
    }

    /// Puts a regular file in place in one step: a reader sees the old content or the new one, never a part.
    pub fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        // A fixed name, so that what a crash left behind is found and cleared by the next attempt.
        let temporary = format!(".{name}.kr8tiv-tmp");
        let result = self.write_new(&temporary, bytes).and_then(|()| self.rename_over(&temporary, name));
        if result.is_err() {
            // The first error is the one to report; the leftover is cleared by the next attempt anyway.
            let _ = sys::unlinkat(&self.0, &temporary, AtFlags::empty());
        }
        result
    }

    /// Removes a file; it is no error if it is gone already.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        match sys::unlinkat(&self.0, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes a file that must not be there yet. It is not flushed to the disk: for what is made anew after a crash.
    pub fn create(&self, name: &str, bytes: &[u8], executable: bool) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = if executable { PROGRAM_MODE } else { FILE_MODE };
        let mut file = File::from(sys::openat(&self.0, name, flags, mode)?);
        file.write_all(bytes)?;
        // Whatever the umask took away.
        Ok(sys::fchmod(&file, mode)?)
    }

    /// Makes a directory that must not be there yet, and opens it.
    pub fn create_dir(&self, name: &str) -> io::Result<Self> {
        sys::mkdirat(&self.0, name, DIR_MODE)?;
        let dir = self.open_subdir(name)?;
        dir.set_mode(DIR_MODE)?;
        Ok(dir)
    }

    /// Puts a directory in the place of whatever has the other name.
    pub fn replace_dir(&self, from: &str, to: &str) -> io::Result<()> {
        for _ in 0..ATTEMPTS {
            self.remove_all(to)?;
            match sys::renameat(&self.0, from, &self.0, to) {
                Ok(()) => return Ok(()),
                // Something was put there in between.
                Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(contended())
    }

    /// Removes whatever has a name, a directory with all that is in it; it is no error if there is nothing. What can't
    /// be removed is moved aside.
    pub fn remove_all(&self, name: &str) -> io::Result<()> {
        // The standard library walks open directories and follows no link; its way to this one is our handle.
        match std::fs::remove_dir_all(self.handle().join(name)) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            // Moved as well when it has become a directory since.
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                self.remove(name).or_else(|_| self.move_aside(name))
            }
            Err(_) => self.move_aside(name),
        }
    }

    fn open_subdir(&self, name: &str) -> Result<Self, Errno> {
        // As a path handle it opens even when an agent took away every permission.
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        sys::openat(&self.0, name, flags, Mode::empty()).map(Self)
    }

    /// Gives the owner its permissions back: an agent must not be able to lock the operator's files out.
    fn make_usable(&self) -> io::Result<()> {
        let mode = Mode::from_raw_mode(sys::fstat(self.0.as_fd())?.st_mode);
        if mode.contains(Mode::RWXU) {
            return Ok(());
        }
        self.set_mode(mode | Mode::RWXU)
    }

    fn set_mode(&self, mode: Mode) -> io::Result<()> {
        // fchmod does not take a path handle.
        Ok(sys::chmod(self.handle(), mode)?)
    }

    /// The path handle's entry in /proc, which leads to this very directory.
    fn handle(&self) -> PathBuf {
        Path::new("/proc/self/fd").join(self.0.as_raw_fd().to_string())
    }

    fn write_new(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        for _ in 0..ATTEMPTS {
            let mut file = match sys::openat(&self.0, name, flags, FILE_MODE) {
                Ok(fd) => File::from(fd),
                Err(Errno::EXIST) => {
                    self.clear(name)?;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            file.write_all(bytes)?;
            // Whatever the umask took away.
            sys::fchmod(&file, FILE_MODE)?;
            // Before the record says so: a seed that is lost in a power cut would never be seeded again.
            return file.sync_all();
        }
        Err(contended())
    }

    fn rename_over(&self, from: &str, to: &str) -> io::Result<()> {
        for _ in 0..ATTEMPTS {
            match sys::renameat(&self.0, from, &self.0, to) {
                Ok(()) => return Ok(()),
                // A file does not replace a directory.
                Err(Errno::ISDIR | Errno::NOTEMPTY | Errno::EXIST) => self.clear(to)?,
                Err(error) => return Err(error.into()),
            }
        }
        Err(contended())
    }

    /// Makes a name free. A symlink, an empty directory or a leftover is deleted; what may hold somebody's
    /// work is moved aside, which also spares us from walking a tree that an agent built.
    fn clear(&self, name: &str) -> io::Result<()> {
        let kind = match sys::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => FileType::from_raw_mode(stat.st_mode),
            Err(Errno::NOENT) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let removed = match kind {
            FileType::Directory => sys::unlinkat(&self.0, name, AtFlags::REMOVEDIR),
            FileType::RegularFile if !name.starts_with('.') => Err(Errno::NOTEMPTY),
            _ => sys::unlinkat(&self.0, name, AtFlags::empty()),
        };
        match removed {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(Errno::NOTEMPTY | Errno::EXIST) => self.move_aside(name),
            Err(error) => Err(error.into()),
        }
    }

    fn move_aside(&self, name: &str) -> io::Result<()> {
        // The clock makes a name that is not taken, and that an agent cannot take beforehand.
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let aside = format!("{name}.displaced-{}", since_epoch.as_nanos());
        match sys::renameat(&self.0, name, &self.0, OsStr::new(&aside)) {
            Ok(()) => {
                tracing::warn!(
                    name,
                    aside,
                    "moved aside what was in the place of a delivered file or directory"
                );
                Ok(())
            }
            Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn contended() -> io::Error {
    io::Error::other("something else keeps changing it")
}

#[cfg(test)]
#[path = "dir_tests.rs"]
mod tests;
