//! What the copier takes for a skill, the real OpenClaw lists; what OpenClaw would not list, the copier refuses.

use std::fs;
use std::path::Path;
use std::process::Command;

use kr8tiv_watchdog::cli::{Layout, Skills};
use serde_json::{Value, json};

use crate::skills::Case;

/// SKILL.md files by the folder of the skill, and whether the copier takes and OpenClaw lists them.
const SAMPLES: &[(&str, bool, &str)] = &[
    ("plain", true, "---\nname: plain\ndescription: d\n---\n# Plain\n"),
    ("nothing-behind", true, "---\nname: nothing-behind\ndescription: d\n---"),
    ("line-ends", true, "---\r\nname: 'line-ends'\r\ndescription: >\r\n  two\r\n  lines\r\n---\r\ntext\r\n"),
    ("colon", true, "---\nname: colon\ndescription: Use it: always, \"now\" \\ and # then\n---\ntext\n"),
    ("rules", true, "---\nname: rules\ndescription: d\nmetadata: {a: [b]}\n---\n---\nname: other\n---\n"),
    ("skills", true, "---\nname: skills\ndescription: A skill named as folders of skills are.\n---\n"),
    ("no-description", false, "---\nname: no-description\n---\n"),
    ("empty-description", false, "---\nname: empty-description\ndescription: ''\n---\n"),
    ("another-name", false, "---\nname: renamed\ndescription: d\n---\n"),
    ("broken", false, "---\nname: broken\ndescription: d\nother: [\n---\n"),
    ("open-end", false, "---\nname: open-end\ndescription: d\n"),
    ("late", false, "\n---\nname: late\ndescription: d\n---\n"),
    ("none", false, "# None\n"),
];

pub(crate) fn openclaw() -> std::path::PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let output = Command::new(root.join("dev/build-images")).arg("--openclaw-dir").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Path::new(String::from_utf8(output.stdout).unwrap().trim()).join("bin/openclaw")
}

/// The names of the skills that OpenClaw gives to an agent that may have every sample.
fn listed(packs: &[&Path]) -> Vec<String> {
    let home = tempfile::tempdir().unwrap();
    let names: Vec<&str> = SAMPLES.iter().map(|(name, ..)| *name).chain(["large", "larger"]).collect();
    let config = json!({
        "gateway": {"mode": "local"},
        "agents": {"defaults": {"skills": names}},
        "skills": {"allowBundled": [], "load": {"watch": false, "extraDirs": packs}},
    });
    let path = home.path().join("openclaw.json");
    fs::write(&path, config.to_string()).unwrap();
    let output = Command::new(openclaw())
        .args(["skills", "list", "--json"])
        .env("HOME", home.path())
        .env("OPENCLAW_STATE_DIR", home.path().join("state"))
        .env("OPENCLAW_CONFIG_PATH", &path)
        .env("OPENCLAW_CONFIG_READONLY", "1")
        .output()
        .unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let skills = answer["skills"].as_array().unwrap().iter();
    let mut names: Vec<String> = skills
        .filter(|skill| skill["modelVisible"] == true)
        .map(|skill| skill["name"].as_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn the_copier_and_openclaw_agree_on_what_a_skill_is() {
    let large = |name: &str, bytes: usize| {
        let head = format!("---\nname: {name}\ndescription: d\n---\n");
        format!("{head}{}", "x".repeat(bytes - head.len()))
    };
    let samples = SAMPLES
        .iter()
        .map(|(name, good, text)| (*name, *good, (*text).to_owned()))
        .chain([("large", true, large("large", 256_000)), ("larger", false, large("larger", 256_001))]);
    // As they were made, and as far as the copier takes them.
    let (raw, copied) = (Case::new(), Case::new());
    let mut taken = Vec::new();
    for (name, good, text) in samples {
        raw.file(&format!("{name}/SKILL.md"), &text);
        let options = Skills { from: raw.pack.clone(), ..copied.options(Layout::Folder, &[name]) };
        let problem = copied.copy(&Skills { pack: name.parse().unwrap(), ..options });
        assert_eq!(problem.is_none(), good, "{name}: {problem:?}");
        if good {
            taken.push(name.to_owned());
        }
    }
    taken.sort();
    assert_eq!(listed(&[&raw.pack]), taken);
    let packs: Vec<_> = taken.iter().map(|name| copied.to.join(name)).collect();
    assert_eq!(listed(&packs.iter().map(AsRef::as_ref).collect::<Vec<_>>()), taken);
}
