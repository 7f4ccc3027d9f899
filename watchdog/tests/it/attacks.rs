//! An agent shares the watchdog's uid and controls the state directory. Nothing it does there may make the
//! watchdog write anywhere else, stop it, or keep the operator's files out.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use kr8tiv_watchdog::deliver::Deliverer;
use kr8tiv_watchdog::status::Outcome;
use serde_json::json;

use crate::support::{Bundle, Pod, regular};

/// Something that somebody does to a pod, a pack or a path.
pub(crate) type Attack<'a, T> = &'a dyn Fn(&T);

/// Ends the attacker of a race, also when the test fails: the scope of its thread waits for it.
pub(crate) struct Stop<'a>(pub(crate) &'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn delivered(pod: &Pod) -> bool {
    matches!(Deliverer::new(pod.paths.clone()).pass().outcome, Outcome::Delivered(_))
}

/// Everything below a directory, to see that it did not change.
fn contents(path: &Path) -> Vec<(String, Option<String>)> {
    let mut all: Vec<_> = fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), regular(&entry.path())))
        .collect();
    all.sort();
    all
}

#[test]
fn symlinks_never_lead_out_of_the_workspace() {
    let outside = tempfile::tempdir().unwrap();
    let victim = outside.path().join("AGENTS.md");
    fs::write(&victim, "victim").unwrap();
    let before = contents(outside.path());

    let attacks: [(&str, Attack<'_, Pod>); 9] = [
        ("file is a symlink", &|pod| {
            fs::remove_file(pod.workspace("support/AGENTS.md")).unwrap();
            symlink(&victim, pod.workspace("support/AGENTS.md")).unwrap();
        }),
        ("file is a symlink to nothing", &|pod| {
            fs::remove_file(pod.workspace("support/AGENTS.md")).unwrap();
            symlink(outside.path().join("new"), pod.workspace("support/AGENTS.md")).unwrap();
        }),
        ("file is a symlink to openclaw.json", &|pod| {
            fs::remove_file(pod.workspace("support/AGENTS.md")).unwrap();
            symlink(pod.paths.config_dir.join("openclaw.json"), pod.workspace("support/AGENTS.md")).unwrap();
        }),
        ("temporary file is a symlink", &|pod| {
            symlink(&victim, pod.workspace("support/.AGENTS.md.kr8tiv-tmp")).unwrap();
        }),
        ("file is a hard link", &|pod| {
            fs::remove_file(pod.workspace("support/AGENTS.md")).unwrap();
            fs::write(pod.paths.state_dir.join("linked"), "x").unwrap();
            fs::hard_link(pod.paths.state_dir.join("linked"), pod.workspace("support/AGENTS.md")).unwrap();
        }),
        ("workspace is a symlink", &|pod| {
            fs::remove_dir_all(pod.workspace("support")).unwrap();
            symlink(outside.path(), pod.workspace("support")).unwrap();
        }),
        ("workspace is a symlink to the config directory", &|pod| {
            fs::remove_dir_all(pod.workspace("support")).unwrap();
            symlink(&pod.paths.config_dir, pod.workspace("support")).unwrap();
        }),
        ("workspace is a symlink loop", &|pod| {
            fs::remove_dir_all(pod.workspace("support")).unwrap();
            symlink("workspace-support", pod.workspace("support")).unwrap();
        }),
        ("the record's directory is a symlink", &|pod| {
            fs::remove_dir_all(pod.paths.state_dir.join(".kr8tiv")).unwrap();
            symlink(outside.path(), pod.paths.state_dir.join(".kr8tiv")).unwrap();
        }),
    ];
    for (name, attack) in attacks {
        for next in ["one", "two"] {
            let pod = Pod::new();
            pod.mount(&Bundle::usual("one"));
            assert!(delivered(&pod), "{name}");
            attack(&pod);
            pod.mount(&Bundle::usual(next));
            assert!(delivered(&pod), "{name}");
            assert_eq!(contents(outside.path()), before, "{name}");
            assert_eq!(contents(&pod.paths.config_dir).len(), 1, "{name}");
            assert_eq!(pod.config().unwrap(), format!(r#"{{"bundle":"{next}"}}"#), "{name}");
            assert_eq!(pod.text("support/AGENTS.md").unwrap(), format!("agents {next}"), "{name}");
            assert!(fs::symlink_metadata(pod.workspace("support")).unwrap().is_dir(), "{name}");
            assert!(regular(&pod.record()).is_some(), "{name}");
            if let Some(linked) = regular(&pod.paths.state_dir.join("linked")) {
                assert_eq!(linked, "x", "{name}");
            }
        }
    }
}

#[test]
fn nothing_in_a_files_place_stops_the_watchdog() {
    let attacks: [(&str, Attack<'_, Path>); 6] = [
        ("fifo", &|path| {
            let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
            rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        }),
        ("socket", &|path| drop(UnixListener::bind(path).unwrap())),
        ("empty directory", &|path| fs::create_dir(path).unwrap()),
        ("deep directory", &|path| {
            fs::create_dir_all(path.join(vec!["d"; 500].join("/"))).unwrap();
        }),
        ("huge sparse file", &|path| fs::File::create(path).unwrap().set_len(1 << 40).unwrap()),
        ("unreadable file", &|path| {
            fs::write(path, "x").unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
        }),
    ];
    for (name, attack) in attacks {
        let pod = Pod::new();
        pod.mount(&Bundle::usual("one"));
        assert!(delivered(&pod), "{name}");
        for path in [pod.workspace("support/AGENTS.md"), pod.record()] {
            fs::remove_file(&path).unwrap();
            attack(&path);
        }
        assert!(delivered(&pod), "{name}");
        assert_eq!(pod.text("support/AGENTS.md").unwrap(), "agents one", "{name}");
        assert!(regular(&pod.record()).is_some(), "{name}");
    }
}

#[test]
fn a_locked_directory_is_unlocked() {
    let pod = Pod::new();
    pod.mount(&Bundle::usual("zero"));
    assert!(delivered(&pod));
    let (state, workspace) = (pod.paths.state_dir.clone(), pod.workspace("support"));
    for locked in [&workspace, &state.join(".kr8tiv"), &state] {
        for bundle in ["one", "two"] {
            fs::set_permissions(locked, fs::Permissions::from_mode(0o000)).unwrap();
            pod.mount(&Bundle::usual(bundle));
            assert!(delivered(&pod), "{}", locked.display());
            assert_eq!(fs::metadata(locked).unwrap().permissions().mode() & 0o700, 0o700);
            assert_eq!(pod.text("support/AGENTS.md").unwrap(), format!("agents {bundle}"));
        }
    }
}

#[test]
fn a_forged_record_reaches_nothing_outside() {
    let pod = Pod::new();
    let config = Bundle::usual("one");
    pod.mount(&config);
    assert!(delivered(&pod));
    let victim = pod.paths.state_dir.join("victim");
    fs::write(&victim, "victim").unwrap();
    let sha = kr8tiv_watchdog::names::Digest::of(b"victim");
    for path in
        ["workspace-support/../victim", "workspace-../victim", "/victim", "victim", "workspace-support/.."]
    {
        let entry = json!({"sha256": sha, "ownership": "Operator"});
        let forged = json!({"apiVersion": "kr8tiv.ai/delivered/v1", "files": {path: entry}});
        fs::write(pod.record(), forged.to_string()).unwrap();
        assert!(delivered(&pod), "{path}");
        assert_eq!(fs::read(&victim).unwrap(), b"victim", "{path}");
        assert!(!fs::read_to_string(pod.record()).unwrap().contains("victim"), "{path}");
    }
}

/// While one thread swaps the workspace between a directory and a symlink, as fast as it can.
#[test]
fn a_race_for_the_workspace_writes_nothing_outside() {
    let pod = Pod::new();
    let outside = tempfile::tempdir().unwrap();
    let stop = AtomicBool::new(false);
    let (workspace, spare) = (pod.workspace("support"), pod.paths.state_dir.join("spare"));
    fs::create_dir(&workspace).unwrap();
    symlink(outside.path(), &spare).unwrap();
    thread::scope(|scope| {
        let _stop = Stop(&stop);
        scope.spawn(|| {
            let (dir, flags) = (rustix::fs::CWD, rustix::fs::RenameFlags::EXCHANGE);
            while !stop.load(Ordering::Relaxed) {
                // Fails while the watchdog has just removed the symlink: then a new one is made.
                if rustix::fs::renameat_with(dir, &workspace, dir, &spare, flags).is_err() {
                    let _ = symlink(outside.path(), &spare);
                }
                if fs::symlink_metadata(&spare).is_err() {
                    let _ = symlink(outside.path(), &spare);
                }
            }
        });
        for n in 0..300 {
            pod.mount(&Bundle::usual(&format!("bundle {n}")));
            // It may fail, which the next pass repairs; it must not follow.
            let _ = Deliverer::new(pod.paths.clone()).pass();
        }
    });
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    assert!(delivered(&pod), "once the race is over the next pass is right");
    assert_eq!(pod.text("support/AGENTS.md").unwrap(), "agents bundle 299");
}
