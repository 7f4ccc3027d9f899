//! What an agent can put in the way of a file or directory, and what then happens.

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

#[test]
fn what_is_created_must_be_new() {
    let (temp, dir) = fixture();
    symlink("/nonexistent/x", temp.path().join("link")).unwrap();
    fs::write(temp.path().join("file"), "old").unwrap();
    for taken in ["link", "file"] {
        assert!(dir.create(taken, b"new", false).is_err(), "{taken}");
        assert!(dir.create_dir(taken).is_err(), "{taken}");
    }
    assert_eq!(fs::read(temp.path().join("file")).unwrap(), b"old");
    dir.create("a", b"x", false).unwrap();
    let inner = dir.create_dir("inner").unwrap();
    inner.create("run", b"x", true).unwrap();
    let modes = ["a", "inner", "inner/run"].map(|path| mode(&temp.path().join(path)));
    assert_eq!(modes, [0o644, 0o755, 0o755]);
}

#[test]
fn a_directory_takes_the_place_of_anything() {
    let (temp, dir) = fixture();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("victim"), "untouched").unwrap();
    let path = temp.path().join("pack");
    let obstacles: [&dyn Fn(); 5] = [
        &|| {},
        &|| fs::write(&path, "file").unwrap(),
        &|| symlink(outside.path(), &path).unwrap(),
        &|| {
            fs::create_dir_all(path.join("full/of")).unwrap();
            symlink(outside.path(), path.join("full/link")).unwrap();
        },
        &|| {
            fs::create_dir_all(path.join("locked/in")).unwrap();
            fs::set_permissions(path.join("locked"), fs::Permissions::from_mode(0o000)).unwrap();
        },
    ];
    for obstacle in obstacles {
        obstacle();
        dir.create_dir("new").unwrap().create("f", b"x", false).unwrap();
        dir.replace_dir("new", "pack").unwrap();
        assert!(fs::symlink_metadata(&path).unwrap().is_dir());
        assert_eq!(fs::read_dir(&path).unwrap().count(), 1);
        dir.remove_all("pack").unwrap();
        assert!(fs::symlink_metadata(&path).is_err());
        dir.remove_all("pack").unwrap();
    }
    assert_eq!(fs::read(outside.path().join("victim")).unwrap(), b"untouched");
    // Root removes what is locked; anybody else finds it aside, and the temporary folder can go again.
    for entry in fs::read_dir(temp.path()).unwrap().map(Result::unwrap) {
        fs::set_permissions(entry.path().join("locked"), fs::Permissions::from_mode(0o755)).unwrap();
    }
}
