//! What `validate` prints for every file in `tests/validate`: the whole text, as people read it in a review, and the
//! exit code. `UPDATE=1` writes them anew.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod common;

use std::fs;
use std::path::Path;

use common::kr8tiv;
use serde_json::Value;

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/validate"))
}

/// The names of the files, without their ending.
fn names() -> Vec<String> {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let inputs = files.filter(|path| path.extension().is_some_and(|ending| ending == "yaml"));
    let mut names: Vec<_> =
        inputs.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

#[test]
fn every_bad_input_is_reported_as_it_was_reviewed() {
    let names = names();
    assert!(names.len() >= 20);
    let mut wrong = Vec::new();
    for name in &names {
        let run = kr8tiv(folder(), &["validate", "-f", &format!("{name}.yaml")], "");
        assert_eq!(run.errors, "", "{name}");
        assert_ne!(run.code, 2, "{name}");
        let text = format!("{}exit code {}\n", run.output, run.code);
        let path = folder().join(format!("{name}.txt"));
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, &text).unwrap();
        }
        if fs::read_to_string(&path).unwrap_or_default() != text {
            wrong.push(format!("{name}:\n{text}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "run UPDATE=1 cargo test -p kr8tiv-cli --test validate and read the diff\n{}",
        wrong.join("\n")
    );
}

#[test]
fn json_says_the_same_as_the_text() {
    let mut codes = std::collections::BTreeSet::new();
    for name in names() {
        let file = format!("{name}.yaml");
        let run = kr8tiv(folder(), &["validate", "-f", &file, "-o", "json"], "");
        let report: Value = serde_json::from_str(&run.output).unwrap();
        assert_eq!(report["valid"], run.code == 0, "{name}");
        let text = fs::read_to_string(folder().join(format!("{name}.txt"))).unwrap();
        let problems = report["problems"].as_array().unwrap();
        let headings = problems.iter().map(|problem| {
            let get = |field: &str| problem[field].as_str().unwrap();
            format!("{}[{}]: {}", get("severity"), get("code"), get("problem"))
        });
        let in_text = text
            .lines()
            .filter(|line| ["error[", "warning[", "note["].iter().any(|start| line.starts_with(start)));
        assert_eq!(headings.collect::<Vec<_>>(), in_text.collect::<Vec<_>>(), "{name}");
        for problem in problems {
            let fields: Vec<&String> = problem.as_object().unwrap().keys().collect();
            assert_eq!(
                fields,
                ["code", "column", "field", "file", "fix", "line", "object", "problem", "severity"]
            );
            assert_eq!(problem["file"], file);
            let at = format!("--> {file}:{}:{}\n", problem["line"], problem["column"]);
            assert!(text.contains(&at), "{name}: {at}");
            assert!(!problem["fix"].as_str().unwrap().is_empty());
            codes.insert(problem["code"].as_str().unwrap().to_owned());
        }
    }
    // A rule that can't be judged here is one that our definitions do not have.
    let expected =
        kr8tiv_cli::problem::CODES.iter().map(|code| code.as_str()).filter(|code| *code != "K8T0917");
    let missing: Vec<_> = expected.filter(|code| !codes.contains(*code)).collect();
    assert_eq!(missing, [""; 0], "codes of the command line without a case");
}

#[test]
fn nothing_of_a_secret_is_ever_printed() {
    for name in names() {
        let path = folder().join(format!("{name}.yaml"));
        // Whatever the text is, it is not what the values of Secrets in these files are.
        let text = fs::read_to_string(&path).unwrap();
        let secrets = ["not-to-be-shown", "Not-To-Be-Shown", "bm90LXRvLWJlLXNob3du"];
        let run = kr8tiv(folder(), &["validate", "-f", path.to_str().unwrap()], "");
        let json = kr8tiv(folder(), &["validate", "-f", path.to_str().unwrap(), "-o", "json"], "");
        for secret in secrets {
            assert!(!run.output.contains(secret) && !json.output.contains(secret), "{name}: {}", run.output);
        }
        assert!(name.contains("secret") || name == "list" || secrets.iter().all(|it| !text.contains(it)));
    }
}
