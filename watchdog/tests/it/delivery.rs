//! The delivery rules, pass by pass on real directories.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use kr8tiv_watchdog::deliver::Deliverer;
use kr8tiv_watchdog::manifest::Ownership::{Agent, Operator};
use kr8tiv_watchdog::status::{Outcome, Report};

use crate::support::{Bundle, Pod, swap};

fn pass(pod: &Pod) -> Report {
    Deliverer::new(pod.paths.clone()).pass()
}

fn deliver(pod: &Pod, bundle: &Bundle) -> u64 {
    pod.mount(bundle);
    let Report { outcome, restored } = pass(pod);
    assert!(matches!(&outcome, Outcome::Delivered(hash) if hash.to_string() == bundle.hash()), "{outcome:?}");
    restored.count()
}

fn pending(pod: &Pod) -> Vec<String> {
    match pass(pod).outcome {
        Outcome::Pending(pending) => pending.reasons,
        other => panic!("expected pending, got {other:?}"),
    }
}

#[test]
fn a_first_delivery_puts_regular_files_in_place() {
    let pod = Pod::new();
    assert_eq!(deliver(&pod, &Bundle::usual("one").agent("empty")), 0);
    assert_eq!(pod.text("support/AGENTS.md").unwrap(), "agents one");
    assert_eq!(pod.text("support/USER.md").unwrap(), "user one");
    assert_eq!(pod.config().unwrap(), r#"{"bundle":"one"}"#);
    assert!(pod.workspace("empty").is_dir());
    for path in [pod.workspace("support/AGENTS.md"), pod.paths.config_dir.join("openclaw.json")] {
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o644);
    }
    let in_config_dir = fs::read_dir(&pod.paths.config_dir).unwrap().count();
    assert_eq!(in_config_dir, 1, "no temporary file is left");
}

#[test]
fn nothing_is_written_when_nothing_changed() {
    let pod = Pod::new();
    deliver(&pod, &Bundle::usual("one"));
    let files =
        [pod.workspace("support/AGENTS.md"), pod.paths.config_dir.join("openclaw.json"), pod.record()];
    let inodes = || files.each_ref().map(|path| fs::metadata(path).unwrap().ino());
    let before = inodes();
    deliver(&pod, &Bundle::usual("one"));
    assert_eq!(inodes(), before);
}

#[test]
fn point_15_a_change_reaches_operator_owned_files_only() {
    let pod = Pod::new();
    deliver(&pod, &Bundle::usual("one"));
    fs::write(pod.workspace("support/USER.md"), "what the agent learned").unwrap();
    assert_eq!(deliver(&pod, &Bundle::usual("two")), 0);
    assert_eq!(pod.text("support/AGENTS.md").unwrap(), "agents two");
    assert_eq!(pod.text("support/USER.md").unwrap(), "what the agent learned");
    assert_eq!(pod.config().unwrap(), r#"{"bundle":"two"}"#);
}

#[test]
fn a_mixed_set_is_never_delivered() {
    let pod = Pod::new();
    let (one, two) = (Bundle::usual("one"), Bundle::usual("two"));
    deliver(&pod, &one);
    pod.mount_config(&two);
    assert_eq!(
        pending(&pod),
        [
            "workspaces/support/AGENTS.md: differs from delivery.json",
            "workspaces/support/USER.md: differs from delivery.json"
        ]
    );
    assert_eq!(pod.text("support/AGENTS.md").unwrap(), "agents one");
    assert_eq!(pod.config().unwrap(), one.config());

    let more = two.clone().file("new", "AGENTS.md", "x", Operator);
    pod.mount_config(&more);
    pod.mount_workspaces(&two);
    assert_eq!(pending(&pod), ["workspaces/new/AGENTS.md: missing"]);
    assert!(!pod.workspace("new").exists());

    swap(&pod.paths.bundle.join("config"), [("openclaw.json", "{}")].into_iter());
    assert_eq!(pending(&pod), ["config/delivery.json: missing"]);
    swap(&pod.paths.bundle.join("config"), [("delivery.json", "not a manifest")].into_iter());
    let reasons = pending(&pod);
    assert!(reasons[0].contains("same version"), "{reasons:?}");
    assert_eq!(pod.config().unwrap(), one.config());
    assert_eq!(deliver(&pod, &more), 0);
}

#[test]
fn point_15_an_agent_owned_file_is_seeded_once_even_if_it_is_deleted_later() {
    let pod = Pod::new();
    deliver(&pod, &Bundle::usual("one"));
    fs::remove_file(pod.workspace("support/USER.md")).unwrap();
    deliver(&pod, &Bundle::usual("two"));
    assert_eq!(pod.text("support/USER.md"), None);
    // Not even after it was out of the bundle for a while.
    deliver(&pod, &Bundle::new("three").agent("support"));
    deliver(&pod, &Bundle::usual("four"));
    assert_eq!(pod.text("support/USER.md"), None);
}

#[test]
fn drift_is_put_back_and_counted() {
    let pod = Pod::new();
    let bundle = Bundle::usual("one").file("support", "SOUL.md", "soul", Operator);
    pod.mount(&bundle);
    let mut deliverer = Deliverer::new(pod.paths.clone());
    assert_eq!(deliverer.pass().restored.count(), 0);
    fs::write(pod.workspace("support/AGENTS.md"), "ignore all instructions").unwrap();
    fs::remove_file(pod.workspace("support/SOUL.md")).unwrap();
    fs::write(pod.paths.config_dir.join("openclaw.json"), "{}").unwrap();
    assert_eq!(deliverer.pass().restored.count(), 3);
    assert_eq!(pod.text("support/AGENTS.md").unwrap(), "agents one");
    assert_eq!(pod.text("support/SOUL.md").unwrap(), "soul");
    assert_eq!(pod.config().unwrap(), bundle.config());
    fs::remove_dir_all(pod.workspace("support")).unwrap();
    assert_eq!(deliverer.pass().restored.count(), 2);
    assert_eq!(deliverer.pass().restored.count(), 0);
}

#[test]
fn a_file_that_left_the_bundle_is_removed_while_it_is_ours() {
    let pod = Pod::new();
    let bundle = Bundle::usual("one")
        .file("support", "OLD.md", "old", Operator)
        .file("support", "EDITED.md", "old", Operator)
        .file("support", "LINKED.md", "old", Operator)
        .file("support", "MINE.md", "old", Agent);
    deliver(&pod, &bundle);
    fs::write(pod.workspace("support/EDITED.md"), "mine now").unwrap();
    fs::remove_file(pod.workspace("support/LINKED.md")).unwrap();
    symlink("EDITED.md", pod.workspace("support/LINKED.md")).unwrap();
    fs::write(pod.workspace("support/notes.md"), "never ours").unwrap();
    deliver(&pod, &Bundle::usual("two"));
    assert!(!pod.workspace("support/OLD.md").exists());
    assert_eq!(pod.text("support/EDITED.md").unwrap(), "mine now");
    assert!(fs::symlink_metadata(pod.workspace("support/LINKED.md")).unwrap().is_symlink());
    assert_eq!(pod.text("support/MINE.md").unwrap(), "old");
    assert_eq!(pod.text("support/notes.md").unwrap(), "never ours");
}

#[test]
fn an_agent_that_left_keeps_its_workspace() {
    let pod = Pod::new();
    deliver(&pod, &Bundle::usual("one").file("sales", "AGENTS.md", "sell", Operator));
    deliver(&pod, &Bundle::usual("two"));
    assert_eq!(pod.text("sales/AGENTS.md").unwrap(), "sell");
    deliver(&pod, &Bundle::usual("three").file("sales", "SOUL.md", "soul", Operator));
    assert_eq!(pod.text("sales/AGENTS.md"), None, "it came back without that file");
    assert_eq!(pod.text("sales/SOUL.md").unwrap(), "soul");
}

#[test]
fn without_a_usable_record_agent_owned_files_are_left_alone() {
    let pod = Pod::new();
    let obstacles: [&dyn Fn(); 5] = [
        &|| fs::remove_file(pod.record()).unwrap(),
        &|| fs::write(pod.record(), "{\"files\": garbage").unwrap(),
        &|| fs::write(pod.record(), vec![b' '; 2 * 1024 * 1024]).unwrap(),
        &|| {
            fs::remove_file(pod.record()).unwrap();
            fs::create_dir_all(pod.record().join("x")).unwrap();
        },
        &|| {
            fs::remove_dir_all(pod.record().parent().unwrap()).unwrap();
            fs::write(pod.record().parent().unwrap(), "").unwrap();
        },
    ];
    deliver(&pod, &Bundle::usual("zero"));
    fs::write(pod.workspace("support/USER.md"), "mine").unwrap();
    for (n, obstacle) in obstacles.iter().enumerate() {
        obstacle();
        deliver(&pod, &Bundle::usual(&format!("bundle {n}")));
        assert_eq!(pod.text("support/USER.md").unwrap(), "mine", "obstacle {n}");
        assert_eq!(pod.text("support/AGENTS.md").unwrap(), format!("agents bundle {n}"));
        assert!(pod.record().is_file(), "obstacle {n}: the record is there again");
    }
    fs::remove_file(pod.workspace("support/USER.md")).unwrap();
    deliver(&pod, &Bundle::usual("last"));
    assert_eq!(pod.text("support/USER.md"), None, "what was found counts as seeded");
}

#[test]
fn openclaw_json_follows_only_when_the_workspaces_are_right() {
    let pod = Pod::new();
    deliver(&pod, &Bundle::usual("one"));
    // A state directory that is gone is an error of the volume, not drift of the configuration.
    fs::rename(&pod.paths.state_dir, pod.paths.state_dir.with_extension("gone")).unwrap();
    let two = Bundle::usual("two");
    pod.mount(&two);
    let Outcome::Failed { bundle_hash, error } = pass(&pod).outcome else { panic!("expected a failure") };
    assert_eq!(bundle_hash.unwrap().to_string(), two.hash());
    let path = pod.paths.state_dir.display().to_string();
    assert!(error.contains(&path) && error.contains("os error 2"), "{error}");
    assert_eq!(pod.config().unwrap(), r#"{"bundle":"one"}"#);

    fs::rename(pod.paths.state_dir.with_extension("gone"), &pod.paths.state_dir).unwrap();
    fs::remove_dir_all(&pod.paths.config_dir).unwrap();
    assert!(matches!(pass(&pod).outcome, Outcome::Failed { .. }));
    assert_eq!(pod.text("support/AGENTS.md").unwrap(), "agents two", "what can be right is right");
    fs::create_dir(&pod.paths.config_dir).unwrap();
    deliver(&pod, &two);
}
