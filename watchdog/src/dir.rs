//! I/O: a directory whose other users are not trusted.
//!
//! An agent runs as the same uid and may put anything anywhere in its workspace, at any moment. So every
//! operation goes through an open directory and names one component of it, never a path, and never follows
//! a symlink: what is written lands in that directory or nowhere.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{self as sys, AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

/// Readable by the gateway whatever its group; writable by our uid, which the gateway shares.
const FILE_MODE: Mode = Mode::from_raw_mode(0o644);
const DIR_MODE: Mode = Mode::from_raw_mode(0o755);

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
        // fchmod does not take a path handle; the handle's entry in /proc leads to that very directory.
        let handle = Path::new("/proc/self/fd").join(self.0.as_raw_fd().to_string());
        Ok(sys::chmod(&handle, mode | Mode::RWXU)?)
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
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    fn fixture() -> (tempfile::TempDir, Dir) {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        (temp, dir)
    }

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_file_is_replaced_and_never_written_in_place() {
        let (temp, dir) = fixture();
        let (path, link) = (temp.path().join("a"), temp.path().join("hard-link"));
        fs::write(&path, "old").unwrap();
        fs::hard_link(&path, &link).unwrap();
        let inode = fs::metadata(&path).unwrap().ino();
        dir.write("a", b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read(&link).unwrap(), b"old");
        assert_ne!(fs::metadata(&path).unwrap().ino(), inode);
        assert_eq!(mode(&path), 0o644);
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 2, "no temporary file is left");
    }

    #[test]
    fn whatever_is_in_the_way_of_a_file_gives_way() {
        let (temp, dir) = fixture();
        let outside = tempfile::tempdir().unwrap();
        let victim = outside.path().join("victim");
        fs::write(&victim, "untouched").unwrap();
        for name in ["a", ".a.kr8tiv-tmp"] {
            let path = temp.path().join(name);
            let full = |text: &str| {
                fs::create_dir(&path).unwrap();
                fs::write(path.join("work"), text).unwrap();
            };
            let obstacles: [&dyn Fn(); 5] = [
                &|| symlink(&victim, &path).unwrap(),
                &|| symlink("/nonexistent/x", &path).unwrap(),
                &|| fs::create_dir(&path).unwrap(),
                &|| full("kept"),
                &|| fs::write(&path, "leftover").unwrap(),
            ];
            for obstacle in obstacles {
                let _ = fs::remove_file(temp.path().join("a"));
                obstacle();
                dir.write("a", b"new").unwrap();
                assert!(fs::symlink_metadata(temp.path().join("a")).unwrap().is_file());
                assert_eq!(fs::read(temp.path().join("a")).unwrap(), b"new");
            }
        }
        assert_eq!(fs::read(&victim).unwrap(), b"untouched");
        let kept = fs::read_dir(temp.path()).unwrap().filter_map(Result::ok).map(|entry| entry.path());
        assert_eq!(kept.filter(|path| path.join("work").is_file()).count(), 2, "nobody's work is deleted");
    }

    #[test]
    fn a_directory_is_made_where_there_is_none() {
        let (temp, dir) = fixture();
        let outside = tempfile::tempdir().unwrap();
        let path = temp.path().join("workspace-a");
        let obstacles: [&dyn Fn(); 4] = [
            &|| {},
            &|| symlink(outside.path(), &path).unwrap(),
            &|| symlink("workspace-a", &path).unwrap(),
            &|| fs::write(&path, "work").unwrap(),
        ];
        for obstacle in obstacles {
            obstacle();
            assert!(dir.subdir("workspace-a").unwrap().is_none());
            dir.ensure_subdir("workspace-a").unwrap().write("f", b"x").unwrap();
            assert!(fs::symlink_metadata(&path).unwrap().is_dir());
            assert!(dir.subdir("workspace-a").unwrap().is_some());
            fs::remove_dir_all(&path).unwrap();
        }
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
        let aside = fs::read_dir(temp.path()).unwrap().next().unwrap().unwrap();
        assert_eq!(fs::read(aside.path()).unwrap(), b"work");
    }

    #[test]
    fn a_locked_directory_is_unlocked() {
        let (temp, dir) = fixture();
        let path = temp.path().join("workspace-a");
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o2050)).unwrap();
        dir.ensure_subdir("workspace-a").unwrap();
        assert_eq!(mode(&path), 0o2750, "only what is missing is added");
    }

    #[test]
    fn only_a_small_regular_file_is_read() {
        let (temp, dir) = fixture();
        let path = |name: &str| temp.path().join(name);
        fs::write(path("file"), "12345").unwrap();
        symlink("file", path("link")).unwrap();
        fs::create_dir(path("dir")).unwrap();
        sys::mknodat(sys::CWD, path("fifo"), FileType::Fifo, FILE_MODE, 0).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        assert_eq!(dir.read("file", 5).unwrap(), Found::File(b"12345".to_vec()));
        assert_eq!(dir.read("file", 4).unwrap(), Found::Other);
        assert_eq!(dir.read("nothing", 5).unwrap(), Found::Absent);
        for name in ["link", "dir", "fifo", "socket"] {
            assert_eq!(dir.read(name, 5).unwrap(), Found::Other, "{name}");
        }
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let full = Path::new("/dev");
        // Not a file system that takes our file: the error must come out, with nothing changed.
        let dir = Dir::open(full).unwrap();
        let long = "x".repeat(300);
        assert_eq!(dir.write(&long, b"").unwrap_err().kind(), io::ErrorKind::InvalidFilename);
    }
}
