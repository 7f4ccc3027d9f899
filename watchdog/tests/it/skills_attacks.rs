//! Whoever makes a pack puts into it what they like, and whoever shares the destination's volume does the same there.
//! Nothing of it may bring a file of another place into the pack, write anywhere else, or stop the copy.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use kr8tiv_watchdog::cli::Layout;
use kr8tiv_watchdog::skills::skills;

use crate::attacks::{Attack, Stop};
use crate::skills::{Case, skill_md};
use crate::support::swap;

const SECRET: &str = "hunter2";

/// A folder outside of the pack with what an attacker wants.
fn outside() -> tempfile::TempDir {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("SKILL.md"), skill_md("triage", SECRET)).unwrap();
    outside
}

fn replace(path: &Path, target: impl AsRef<Path>) {
    let _ = fs::remove_dir_all(path);
    let _ = fs::remove_file(path);
    symlink(target, path).unwrap();
}

#[test]
fn no_link_in_a_pack_is_followed() {
    let outside = outside();
    let secret = outside.path().join("SKILL.md");
    let attacks: [(&str, Attack<'_, Path>); 8] = [
        ("skill", &|pack| replace(&pack.join("triage"), outside.path())),
        ("skill within the pack", &|pack| replace(&pack.join("triage"), "refunds")),
        ("SKILL.md", &|pack| replace(&pack.join("triage/SKILL.md"), &secret)),
        ("SKILL.md within the skill", &|pack| {
            fs::rename(pack.join("triage/SKILL.md"), pack.join("triage/real.md")).unwrap();
            symlink("real.md", pack.join("triage/SKILL.md")).unwrap();
        }),
        ("file", &|pack| symlink(&secret, pack.join("triage/notes.md")).unwrap()),
        ("file to nothing", &|pack| symlink("/nonexistent/x", pack.join("triage/notes.md")).unwrap()),
        ("folder", &|pack| symlink(outside.path(), pack.join("triage/scripts")).unwrap()),
        ("the pack itself", &|pack| {
            let moved = pack.with_file_name("moved");
            fs::rename(pack, &moved).unwrap();
            symlink(&moved, pack).unwrap();
        }),
    ];
    for (name, attack) in attacks {
        let case = Case::usual();
        attack(&case.pack);
        let problem = case.copy_folders(&["refunds", "triage"]).expect(name);
        assert!(problem.contains("links are not followed"), "{name}: {problem}");
        assert!(!problem.contains(SECRET), "{name}: {problem}");
        assert_eq!(fs::read_dir(&case.to).unwrap().count(), 0, "{name}");
    }
}

#[test]
fn a_link_on_the_way_to_a_pack_is_not_followed() {
    let case = Case::usual();
    let way = case.pack.with_file_name("way");
    symlink(case.pack.parent().unwrap(), &way).unwrap();
    for from in [way.join("pack"), case.pack.join("../pack"), "pack".into()] {
        let options =
            kr8tiv_watchdog::cli::Skills { from: from.clone(), ..case.options(Layout::Folder, &["triage"]) };
        assert!(case.copy(&options).is_some(), "{}", from.display());
        assert_eq!(case.copied(), []);
    }
}

#[test]
fn only_kubelets_own_link_is_followed_and_only_within_the_mount() {
    let outside = outside();
    fs::rename(outside.path().join("SKILL.md"), outside.path().join("triage.SKILL.md")).unwrap();
    let beside = |case: &Case| {
        let beside = case.pack.with_file_name("beside");
        fs::create_dir(&beside).unwrap();
        fs::write(beside.join("triage.SKILL.md"), skill_md("triage", SECRET)).unwrap();
    };
    let attacks: [(&str, Attack<'_, Case>); 5] = [
        ("absolute", &|case| replace(&case.pack.join("..data"), outside.path())),
        ("upwards", &|case| {
            beside(case);
            replace(&case.pack.join("..data"), "../beside");
        }),
        ("the parent", &|case| replace(&case.pack.join("..data"), "..")),
        ("by a second link", &|case| {
            symlink(outside.path(), case.pack.join("second")).unwrap();
            replace(&case.pack.join("..data"), "second");
        }),
        ("a file", &|case| {
            let current = fs::read_link(case.pack.join("..data")).unwrap();
            replace(&case.pack.join(current).join("triage.SKILL.md"), outside.path().join("triage.SKILL.md"));
        }),
    ];
    for (name, attack) in attacks {
        let case = Case::new();
        let text = skill_md("triage", "");
        swap(&case.pack, [("triage.SKILL.md", text.as_str()), ("other", "")].into_iter());
        attack(&case);
        let problem = case.copy(&case.options(Layout::ConfigMap, &["triage"])).expect(name);
        assert!(!problem.contains(SECRET), "{name}: {problem}");
        assert_eq!(case.copied(), [], "{name}");
    }
}

#[test]
fn a_key_can_not_name_a_file_elsewhere() {
    for key in ["triage..", "triage...", "triage..hidden", "triage."] {
        let case = Case::new();
        let text = skill_md("triage", "");
        swap(&case.pack, [("triage.SKILL.md", text.as_str()), (key, "x")].into_iter());
        let problem = case.copy(&case.options(Layout::ConfigMap, &["triage"])).expect(key);
        assert!(problem.contains("not copied"), "{key}: {problem}");
        assert_eq!(case.copied(), [], "{key}");
    }
}

#[test]
fn nothing_in_a_pack_stops_the_copy_or_fills_the_node() {
    let attacks: [(&str, &str, Attack<'_, Path>); 12] = [
        ("pipe", "neither a regular file", &|skill| {
            let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
            let pipe = skill.join("pipe");
            rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        }),
        ("socket", "neither a regular file", &|skill| {
            drop(UnixListener::bind(skill.join("socket")).unwrap());
        }),
        ("name that is no text", "neither a regular file", &|skill| {
            fs::write(skill.join(OsStr::from_bytes(b"\xff")), "x").unwrap();
        }),
        ("name with a line feed", "not copied", &|skill| fs::write(skill.join("a\nb"), "x").unwrap()),
        ("hidden file", "not copied", &|skill| fs::write(skill.join(".openclaw"), "x").unwrap()),
        ("hidden folder", "not copied", &|skill| fs::create_dir(skill.join(".git")).unwrap()),
        ("sparse file", "more than 1048576 bytes", &|skill| {
            fs::File::create(skill.join("sparse")).unwrap().set_len(1 << 40).unwrap();
        }),
        ("many files", "more than 256 files", &|skill| {
            for n in 0..256 {
                fs::write(skill.join(n.to_string()), "").unwrap();
            }
        }),
        ("many files in folders", "more than 256 files", &|skill| {
            for n in 0..256 {
                fs::create_dir_all(skill.join((n % 3).to_string())).unwrap();
                fs::write(skill.join(format!("{}/{n}", n % 3)), "").unwrap();
            }
        }),
        ("many bytes", "more than 8388608 bytes", &|skill| {
            for n in 0..9 {
                fs::File::create(skill.join(n.to_string())).unwrap().set_len(1 << 20).unwrap();
            }
        }),
        ("deep folders", "more than 8 folders deep", &|skill| {
            fs::create_dir_all(skill.join(["d"; 200].join("/"))).unwrap();
        }),
        ("large SKILL.md", "larger than 256000 bytes", &|skill| {
            fs::write(skill.join("SKILL.md"), skill_md("triage", &"x".repeat(256_000))).unwrap();
        }),
    ];
    for (name, expected, attack) in attacks {
        let case = Case::usual();
        attack(&case.pack.join("triage"));
        let problem = case.copy_folders(&["refunds", "triage"]).expect(name);
        assert!(problem.contains(expected), "{name}: {problem}");
        assert!(!problem.contains('\n'), "{name}: {problem}");
        assert_eq!(fs::read_dir(&case.to).unwrap().count(), 0, "{name}");
        assert_eq!(case.copy_folders(&["refunds"]), None, "{name}: what is not wanted is not looked at");
    }
}

#[test]
fn a_pack_is_limited_as_a_whole() {
    let case = Case::new();
    let names: Vec<String> = (0..5).map(|n| format!("skill-{n}")).collect();
    for name in &names {
        case.file(&format!("{name}/SKILL.md"), &skill_md(name, ""));
        for n in 0..7 {
            fs::File::create(case.pack.join(format!("{name}/{n}"))).unwrap().set_len(1 << 20).unwrap();
        }
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(case.copy_folders(&names[..4]), None);
    let problem = case.copy_folders(&names).unwrap();
    assert_eq!(problem, "the pack has more than 33554432 bytes");
    assert_eq!(case.copied(), []);
}

#[test]
fn nothing_at_the_destination_leads_the_copy_elsewhere() {
    let outside = outside();
    let victim = outside.path().join("SKILL.md");
    let attacks: [(&str, Attack<'_, Path>); 7] = [
        ("link", &|path| symlink(outside.path(), path).unwrap()),
        ("link to nothing", &|path| symlink(outside.path().join("new"), path).unwrap()),
        ("link to itself", &|path| symlink(path.file_name().unwrap(), path).unwrap()),
        ("file", &|path| fs::write(path, "x").unwrap()),
        ("folder with links", &|path| {
            fs::create_dir_all(path.join("refunds")).unwrap();
            symlink(&victim, path.join("refunds/SKILL.md")).unwrap();
            symlink(outside.path(), path.join("triage")).unwrap();
        }),
        ("deep folder", &|path| fs::create_dir_all(path.join(["d"; 500].join("/"))).unwrap()),
        ("locked folder", &|path| {
            fs::create_dir_all(path.join("in")).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
        }),
    ];
    for (name, attack) in attacks {
        for path in ["base", ".base.kr8tiv-tmp"] {
            let case = Case::usual();
            attack(&case.to.join(path));
            assert_eq!(case.copy_folders(&["refunds", "triage"]), None, "{name} at {path}");
            assert_eq!(
                case.text("base/refunds/SKILL.md"),
                Some(skill_md("refunds", "one")),
                "{name} at {path}"
            );
            assert!(fs::symlink_metadata(case.to.join("base/triage")).unwrap().is_dir(), "{name} at {path}");
            assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1, "{name} at {path}");
            assert_eq!(fs::read_to_string(&victim).unwrap(), skill_md("triage", SECRET), "{name} at {path}");
            // A pack that can't be had any more goes as well.
            fs::remove_dir_all(case.to.join("base")).unwrap();
            attack(&case.to.join("base"));
            assert!(case.copy_folders(&["missing"]).is_some());
            assert!(fs::symlink_metadata(case.to.join("base")).is_err(), "{name} at {path}");
            assert_eq!(fs::read_to_string(&victim).unwrap(), skill_md("triage", SECRET), "{name} at {path}");
            // Somebody who isn't root could not remove the temporary folder otherwise.
            for entry in fs::read_dir(&case.to).unwrap().map(Result::unwrap) {
                let _ = fs::set_permissions(entry.path(), fs::Permissions::from_mode(0o755));
            }
        }
    }
}

/// While one thread swaps the pack's place between a folder and a link, as fast as it can.
#[test]
fn a_race_for_the_packs_place_writes_nothing_outside() {
    let case = Case::usual();
    let outside = tempfile::tempdir().unwrap();
    let stop = AtomicBool::new(false);
    let (place, spare) = (case.to.join("base"), case.to.with_file_name("spare"));
    fs::create_dir(&place).unwrap();
    symlink(outside.path(), &spare).unwrap();
    thread::scope(|scope| {
        let _stop = Stop(&stop);
        scope.spawn(|| {
            let (dir, flags) = (rustix::fs::CWD, rustix::fs::RenameFlags::EXCHANGE);
            while !stop.load(Ordering::Relaxed) {
                if rustix::fs::renameat_with(dir, &place, dir, &spare, flags).is_err() {
                    let _ = symlink(outside.path(), &spare);
                }
            }
        });
        for _ in 0..200 {
            // It may fail, which the next start repairs; it must not follow.
            let _ = skills(&case.options(Layout::Folder, &["refunds", "triage"]));
        }
    });
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    assert_eq!(
        case.copy_folders(&["refunds", "triage"]),
        None,
        "once the race is over the next start is right"
    );
    assert_eq!(case.text("base/refunds/SKILL.md"), Some(skill_md("refunds", "one")));
}
