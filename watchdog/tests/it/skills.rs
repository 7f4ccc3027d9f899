//! Packs of skills: what is copied from where, what becomes of an earlier copy, and what the report says.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use kr8tiv_watchdog::cli::{Layout, Skills};
use kr8tiv_watchdog::names::Digest;
use kr8tiv_watchdog::skills::skills;
use serde_json::Value;

use crate::attacks::Attack;
use crate::support::{Pod, Watchdog, command, regular, swap};

/// A SKILL.md that OpenClaw takes.
pub(crate) fn skill_md(name: &str, text: &str) -> String {
    format!("---\nname: {name}\ndescription: How to do {name}.\n---\n{text}\n")
}

/// The folders of a container that copies a pack.
pub(crate) struct Case {
    _root: tempfile::TempDir,
    pub(crate) pack: PathBuf,
    pub(crate) to: PathBuf,
    report: PathBuf,
}

impl Case {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        // The way to a pack has no links, and that to a temporary folder may have some.
        let at = |name: &str| root.path().canonicalize().unwrap().join(name);
        fs::create_dir(at("pack")).unwrap();
        fs::create_dir(at("to")).unwrap();
        fs::write(at("report"), "").unwrap();
        Self { pack: at("pack"), to: at("to"), report: at("report"), _root: root }
    }

    /// A pack with two good skills in folders.
    pub(crate) fn usual() -> Self {
        let case = Self::new();
        case.file("refunds/SKILL.md", &skill_md("refunds", "one"));
        case.file("refunds/scripts/deep/run.sh", "#!/bin/sh\n");
        case.file("triage/SKILL.md", &skill_md("triage", "one"));
        case
    }

    pub(crate) fn file(&self, path: &str, text: &str) {
        let path = self.pack.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn options(&self, layout: Layout, skills: &[&str]) -> Skills {
        Skills {
            pack: "base".parse().unwrap(),
            from: self.pack.clone(),
            layout,
            skill: skills.iter().map(|name| name.parse().unwrap()).collect(),
            digest: None,
            to: self.to.clone(),
            report: self.report.clone(),
        }
    }

    /// Copies and gives the problem that was reported.
    pub(crate) fn copy(&self, options: &Skills) -> Option<String> {
        skills(options).unwrap();
        let report: Value = serde_json::from_slice(&fs::read(&self.report).unwrap()).unwrap();
        assert_eq!(report["packs"][0]["name"], options.pack.as_str());
        report["packs"][0]["problem"].as_str().map(str::to_owned)
    }

    pub(crate) fn copy_folders(&self, skills: &[&str]) -> Option<String> {
        self.copy(&self.options(Layout::Folder, skills))
    }

    /// The paths and texts of everything that was copied.
    pub(crate) fn copied(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        walk(&self.to, "", &mut found);
        found.sort();
        found
    }

    pub(crate) fn text(&self, path: &str) -> Option<String> {
        regular(&self.to.join(path))
    }
}

fn walk(folder: &Path, name: &str, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = format!("{name}{}", entry.file_name().into_string().unwrap());
        if entry.file_type().unwrap().is_dir() {
            walk(&entry.path(), &format!("{name}/"), found);
        } else {
            found.push((name, regular(&entry.path()).unwrap()));
        }
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_folder_is_copied_without_what_nobody_wants() {
    let case = Case::usual();
    case.file("secret/SKILL.md", &skill_md("secret", ""));
    case.file("README.md", "for people");
    fs::set_permissions(case.pack.join("refunds/scripts/deep/run.sh"), fs::Permissions::from_mode(0o4711))
        .unwrap();
    fs::set_permissions(case.pack.join("refunds/SKILL.md"), fs::Permissions::from_mode(0o2640)).unwrap();
    fs::set_permissions(case.pack.join("refunds/scripts"), fs::Permissions::from_mode(0o555)).unwrap();
    assert_eq!(case.copy_folders(&["refunds", "triage"]), None);
    let expected = [
        ("base/refunds/SKILL.md", skill_md("refunds", "one")),
        ("base/refunds/scripts/deep/run.sh", "#!/bin/sh\n".to_owned()),
        ("base/triage/SKILL.md", skill_md("triage", "one")),
    ];
    assert_eq!(case.copied(), expected.map(|(path, text)| (path.to_owned(), text)));
    assert_eq!(mode(&case.to.join("base/refunds/SKILL.md")), 0o644);
    assert_eq!(mode(&case.to.join("base/refunds/scripts")), 0o755);
    assert_eq!(mode(&case.to.join("base/refunds/scripts/deep/run.sh")), 0o755);
}

#[test]
fn a_config_map_is_copied_by_its_keys() {
    let case = Case::new();
    let (refunds, other) = (skill_md("refunds", "one"), skill_md("other", "one"));
    let keys = [
        ("refunds.SKILL.md", refunds.as_str()),
        ("refunds.limits.v2.md", "limits"),
        ("other.SKILL.md", other.as_str()),
        ("README", "for people"),
        (".hidden", "x"),
    ];
    swap(&case.pack, keys.into_iter());
    assert_eq!(case.copy(&case.options(Layout::ConfigMap, &["refunds"])), None);
    let expected = [("base/refunds/SKILL.md", refunds.as_str()), ("base/refunds/limits.v2.md", "limits")];
    assert_eq!(case.copied(), expected.map(|(path, text)| (path.to_owned(), text.to_owned())));
}

/// As it is where no kubelet mounts ConfigMaps.
#[test]
fn a_folder_with_a_file_for_each_key_is_a_config_map_too() {
    let case = Case::new();
    case.file("refunds.SKILL.md", &skill_md("refunds", "one"));
    assert_eq!(case.copy(&case.options(Layout::ConfigMap, &["refunds"])), None);
    assert_eq!(case.text("base/refunds/SKILL.md"), Some(skill_md("refunds", "one")));
}

#[test]
fn a_later_version_replaces_the_pack_and_no_other() {
    let case = Case::usual();
    fs::create_dir(case.to.join("other")).unwrap();
    fs::write(case.to.join("other/file"), "stays").unwrap();
    assert_eq!(case.copy_folders(&["refunds", "triage"]), None);
    case.file("refunds/SKILL.md", &skill_md("refunds", "two"));
    fs::remove_dir_all(case.pack.join("refunds/scripts")).unwrap();
    assert_eq!(case.copy_folders(&["refunds"]), None);
    let expected =
        [("base/refunds/SKILL.md", skill_md("refunds", "two")), ("other/file", "stays".to_owned())];
    assert_eq!(case.copied(), expected.map(|(path, text)| (path.to_owned(), text)));
}

#[test]
fn a_pack_that_is_not_there_is_a_problem_and_its_earlier_copy_goes() {
    let gone: [(&str, Layout, Attack<'_, Case>); 4] = [
        ("the ConfigMap does not exist or is empty", Layout::ConfigMap, &|case| {
            fs::remove_dir_all(&case.pack).unwrap();
            fs::create_dir(&case.pack).unwrap();
        }),
        ("the ConfigMap does not exist or is empty", Layout::ConfigMap, &|case| {
            fs::remove_dir_all(&case.pack).unwrap();
            swap(&case.pack, [].into_iter());
        }),
        ("triage is missing", Layout::Folder, &|case| fs::remove_dir_all(case.pack.join("triage")).unwrap()),
        ("/pack is missing", Layout::Folder, &|case| fs::remove_dir_all(&case.pack).unwrap()),
    ];
    for (expected, layout, remove) in gone {
        let case = Case::usual();
        assert_eq!(case.copy_folders(&["refunds", "triage"]), None);
        remove(&case);
        let problem = case.copy(&case.options(layout, &["refunds", "triage"])).unwrap();
        assert!(problem.ends_with(expected), "{problem}");
        assert_eq!(fs::read_dir(&case.to).unwrap().count(), 0, "{expected}");
    }
}

#[test]
fn a_skill_that_openclaw_would_not_list_is_a_problem() {
    for (text, expected) in [
        (
            "no front matter".to_owned(),
            "triage/SKILL.md: it does not begin with a front matter between two lines ---",
        ),
        (skill_md("other", ""), "triage/SKILL.md: the name in its front matter is not that of its folder"),
    ] {
        let case = Case::usual();
        case.file("triage/SKILL.md", &text);
        assert_eq!(case.copy_folders(&["refunds", "triage"]).as_deref(), Some(expected));
        assert_eq!(case.copied(), [], "all of a pack or nothing");
    }
    let case = Case::usual();
    fs::rename(case.pack.join("triage/SKILL.md"), case.pack.join("triage/skill.md")).unwrap();
    assert_eq!(case.copy_folders(&["triage"]).as_deref(), Some("triage/SKILL.md is missing"));
}

#[test]
fn a_digest_pins_the_whole_config_map() {
    let case = Case::new();
    let text = skill_md("refunds", "one");
    let content = [("refunds.SKILL.md", text.as_str())];
    swap(&case.pack, content.into_iter());
    let digest = Digest::of(format!("16:refunds.SKILL.md,{}:{text},", text.len()).as_bytes());
    let pinned = Skills { digest: Some(digest), ..case.options(Layout::ConfigMap, &["refunds"]) };
    assert_eq!(case.copy(&pinned), None);
    assert_eq!(case.text("base/refunds/SKILL.md"), Some(text.clone()));

    swap(&case.pack, content.into_iter().chain([("other", "")]));
    let actual = Digest::of(format!("5:other,0:,16:refunds.SKILL.md,{}:{text},", text.len()).as_bytes());
    let expected = format!("the ConfigMap's digest is sha256:{actual}, and sha256:{digest} is asked for");
    assert_eq!(case.copy(&pinned), Some(expected));
    assert_eq!(case.copied(), []);
}

fn process(options: &Skills) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kr8tiv-watchdog"));
    command.args(["skills", "--pack", "base", "--layout", "folder"]);
    command
        .arg("--from")
        .arg(&options.from)
        .arg("--to")
        .arg(&options.to)
        .arg("--report")
        .arg(&options.report);
    command.args(options.skill.iter().flat_map(|skill| ["--skill", skill.as_str()]));
    command
}

#[test]
fn the_program_succeeds_without_a_pack_and_reports_it() {
    let case = Case::usual();
    let mut good = Watchdog::start(process(&case.options(Layout::Folder, &["refunds"])));
    assert_eq!(good.wait().code(), Some(0), "{:?}", good.log());
    assert_eq!(case.text("base/refunds/SKILL.md"), Some(skill_md("refunds", "one")));
    assert_eq!(regular(&case.report).unwrap(), r#"{"packs":[{"name":"base","problem":null}]}"#);
    let mut bad = Watchdog::start(process(&case.options(Layout::Folder, &["missing"])));
    assert_eq!(bad.wait().code(), Some(0), "{:?}", bad.log());
    bad.line_with("missing is missing");
    assert_eq!(
        regular(&case.report).unwrap(),
        r#"{"packs":[{"name":"base","problem":"missing is missing"}]}"#
    );
    assert_eq!(case.copied(), []);
}

#[test]
fn the_program_fails_when_nobody_would_learn_of_the_pack() {
    let case = Case::usual();
    let options = case.options(Layout::Folder, &["refunds"]);
    for (broken, expected) in [
        (
            Skills { report: case.to.join("none/report"), ..case.options(Layout::Folder, &["refunds"]) },
            "write the report",
        ),
        (Skills { to: case.to.join("none"), ..options }, "open"),
    ] {
        let mut process = Watchdog::start(process(&broken));
        assert_eq!(process.wait().code(), Some(1));
        let line = process.line_with(expected);
        assert!(line.contains("os error 2"), "{line}");
    }
}

#[test]
fn modes_do_not_depend_on_the_umask() {
    let case = Case::usual();
    let program = process(&case.options(Layout::Folder, &["refunds"]));
    let mut shell = Command::new("sh");
    shell.args(["-c", "umask 0777; exec \"$0\" \"$@\""]).arg(program.get_program()).args(program.get_args());
    let mut process = Watchdog::start(shell);
    assert_eq!(process.wait().code(), Some(0), "{:?}", process.log());
    let modes =
        ["base", "base/refunds/scripts/deep", "base/refunds/SKILL.md"].map(|path| mode(&case.to.join(path)));
    assert_eq!(modes, [0o755, 0o755, 0o644]);
}

#[test]
fn seed_installs_the_program() {
    let pod = Pod::new();
    pod.mount(&crate::support::Bundle::usual("one"));
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let mut seed =
            Watchdog::start(command("seed", &pod, &["--install", folder.path().to_str().unwrap()]));
        assert_eq!(seed.wait().code(), Some(0), "{:?}", seed.log());
    }
    let installed = folder.path().join("kr8tiv-watchdog");
    assert_eq!(mode(&installed), 0o755);
    let version = Command::new(installed).arg("--version").output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&version.stdout).trim(),
        concat!("kr8tiv-watchdog ", env!("CARGO_PKG_VERSION"))
    );
}
