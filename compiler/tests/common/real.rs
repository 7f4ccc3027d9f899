//! The real OpenClaw's opinion of configurations.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::thread;

use serde::Deserialize;
use serde_json::Value;

use super::openclaw;

/// What `openclaw config validate --json` says.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub struct Answer {
    pub valid: bool,
    #[serde(default)]
    pub issues: Vec<Issue>,
    #[serde(default)]
    pub warnings: Vec<Issue>,
}

/// One thing that OpenClaw finds.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub struct Issue {
    pub path: String,
    pub message: String,
}

/// A program for `node --input-type=module --eval` that calls a method of a gateway.
pub const CALL: &str = include_str!("../gateway-call.mjs");

/// Judges many configurations by OpenClaw's own command within one process; its first argument is the folder of OpenClaw's
/// package.
pub const VALIDATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/openclaw-validate.mjs");

/// Warnings that say nothing against a configuration.
const EXCEPTIONS: &[&str] = &[
    // The Pod installs these, this machine doesn't.
    "plugin not installed: discord",
    "plugin not installed: slack",
    "plugin not installed: whatsapp",
    // Settings of a plugin that this configuration doesn't load.
    "plugin disabled (not in allowlist) but config is present",
    // Plugins that nobody wrote.
    "plugin not found: k1",
    "Configured plugin load path is unavailable",
];

/// Fails for every configuration that OpenClaw refuses or warns of, and prints how many it judged. `of` says what they
/// are, `refused` how many the compiler refused, so that OpenClaw is not asked.
pub fn assert_accepted(of: &str, accepted: &[(String, String)], refused: usize) {
    let mut noted = BTreeSet::new();
    let mut wrong = Vec::new();
    for ((name, config), answer) in accepted.iter().zip(validate_all(accepted)) {
        let exception =
            |warning: &Issue| EXCEPTIONS.iter().find(|start| warning.message.starts_with(**start)).copied();
        let exceptions: Vec<_> = answer.warnings.iter().map(exception).collect();
        noted.extend(exceptions.iter().flatten().copied());
        if !answer.valid || exceptions.contains(&None) {
            wrong.push(format!("{name}: {answer:#?}\n{config}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let noted = Vec::from_iter(noted).join("; ");
    println!(
        "figure: {of}: real-validator judged {} configs, {} accepted by ours, {refused} refused by ours, exceptions: {}",
        accepted.len(),
        accepted.len(),
        if noted.is_empty() { "none" } else { &noted }
    );
}

/// OpenClaw's opinion of many configurations, by one process. An answer each, in the same order.
pub fn validate_all(configs: &[(String, String)]) -> Vec<Answer> {
    let home = tempfile::tempdir().unwrap();
    let root = openclaw().ancestors().nth(2).unwrap().to_owned();
    let mut node = Command::new(root.join("node/bin/node"));
    at_home(&mut node, home.path()).arg(VALIDATE).arg(root.join("app"));
    let configs: Vec<_> = configs.iter().map(|(_, config)| config.as_str()).collect();
    judged(&mut node, &home.path().join("questions"), &configs)
}

/// Has a process with [`VALIDATE`] judge configurations; `questions` is a file for them.
pub fn judged(process: &mut Command, questions: &Path, configs: &[&str]) -> Vec<Answer> {
    let lines: Vec<_> = configs.iter().map(|config| format!("{}\n", Value::from(*config))).collect();
    fs::write(questions, lines.concat()).unwrap();
    let output = process.stdin(File::open(questions).unwrap()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let answers: Vec<Answer> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| answer(line, &errors)).collect();
    assert_eq!(answers.len(), configs.len(), "{errors}");
    answers
}

/// The same by a process of its own for each, as a pod does it. Two at a time.
pub fn validate_each(configs: &[(String, String)]) -> Vec<Answer> {
    let validate = |config: &str| {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("openclaw.json"), config).unwrap();
        let mut command = Command::new(openclaw());
        let output =
            at_home(&mut command, home.path()).args(["config", "validate", "--json"]).output().unwrap();
        answer(&String::from_utf8(output.stdout).unwrap(), &String::from_utf8_lossy(&output.stderr))
    };
    let judge = |configs: &[(String, String)]| -> Vec<Answer> {
        configs.iter().map(|(_, config)| validate(config)).collect()
    };
    let (first, second) = configs.split_at(configs.len() / 2);
    thread::scope(|scope| {
        let second = scope.spawn(|| judge(second));
        let mut answers = judge(first);
        answers.extend(second.join().unwrap());
        answers
    })
}

fn at_home<'c>(command: &'c mut Command, home: &Path) -> &'c mut Command {
    command
        .env("HOME", home)
        .env("OPENCLAW_STATE_DIR", home.join("state"))
        .env("OPENCLAW_CONFIG_PATH", home.join("openclaw.json"))
        .env("OPENCLAW_CONFIG_READONLY", "1")
}

fn answer(text: &str, errors: &str) -> Answer {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}\n{errors}"))
}
