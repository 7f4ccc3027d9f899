//! What `validate` prints for every file in `tests/validate`: the whole text, as people read it in a review, and the
//! exit code. `UPDATE=1` writes them anew.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

use std::fs;
use std::path::Path;

use kr8tiv_cli::args::PlatformArguments;
use kr8tiv_cli::input::{Input, Source, judge};
use kr8tiv_cli::problem::{CODES, Problem};
use kr8tiv_cli::report::{self, Counts};
use kr8tiv_cli::validate;
use serde_json::Value;

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/validate"))
}

/// A file, judged.
struct Case {
    name: String,
    input: Input,
    problems: Vec<Problem>,
}

impl Case {
    fn is_valid(&self) -> bool {
        Counts::of(&self.problems).errors == 0
    }

    fn text(&self) -> String {
        let Self { input, problems, .. } = self;
        let code = i32::from(!self.is_valid());
        let (text, summary) = (report::human(input, problems, false), report::summary(input, problems));
        format!("{text}{summary}\nexit code {code}\n")
    }

    fn json(&self) -> String {
        report::json(&self.input, &self.problems, self.is_valid())
    }
}

/// A file of this text, judged.
fn judged(name: String, text: String) -> Case {
    let file = format!("{name}.yaml");
    let input = judge(vec![Source { name: file, text, hidden: Vec::new() }], "default");
    let problems = validate::judge(&input, &PlatformArguments::default().platform());
    Case { name, input, problems }
}

/// What the command does, within this process: what it prepares once serves all files.
fn cases() -> Vec<Case> {
    let files =
        fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = files.filter_map(|file| Some(file.strip_suffix(".yaml")?.to_owned())).collect();
    names.sort();
    assert!(names.len() >= 20);
    let case = |name: String| {
        let text = fs::read_to_string(folder().join(format!("{name}.yaml"))).unwrap();
        judged(name, text)
    };
    names.into_iter().map(case).collect()
}

#[test]
fn every_bad_input_is_reported_as_it_was_reviewed() {
    let mut wrong = Vec::new();
    for case in cases() {
        let text = case.text();
        let path = folder().join(format!("{}.txt", case.name));
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, &text).unwrap();
        }
        if fs::read_to_string(&path).unwrap_or_default() != text {
            wrong.push(format!("{}:\n{text}", case.name));
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
    for case in cases() {
        let (name, text) = (&case.name, case.text());
        let file = format!("{name}.yaml");
        let report: Value = serde_json::from_str(&case.json()).unwrap();
        assert_eq!(report["valid"], case.is_valid(), "{name}");
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
            let expected =
                ["code", "column", "field", "file", "fix", "line", "object", "problem", "severity"];
            assert_eq!(fields, expected);
            assert_eq!(problem["file"], file);
            let at = format!("--> {file}:{}:{}\n", problem["line"], problem["column"]);
            assert!(text.contains(&at), "{name}: {at}");
            assert!(!problem["fix"].as_str().unwrap().is_empty());
            codes.insert(problem["code"].as_str().unwrap().to_owned());
        }
    }
    // A rule that can't be judged here is one that our definitions do not have; the last one is of `import`, whose
    // tests have it.
    let elsewhere = ["K8T0917", "K8T0931"];
    let expected = CODES.iter().map(|code| code.as_str()).filter(|code| !elsewhere.contains(code));
    let missing: Vec<_> = expected.filter(|code| !codes.contains(*code)).collect();
    assert_eq!(missing, [""; 0], "codes of the command line without a case");
}

#[test]
fn an_object_is_named_whatever_its_name_looks_like() {
    let text = "
        apiVersion: kr8tiv.ai/v1alpha1
        kind: Tenant
        metadata: {name: sk-telecom-production-tenant}
        spec: {displayName: Telecom, harnessRef: {name: desk}, unknown: 1}
    ";
    let case = judged("name".to_owned(), text.to_owned());
    let in_text = "Tenant sk-telecom-production-tenant, spec.unknown";
    assert!(case.text().contains(in_text), "{}", case.text());
    let report: Value = serde_json::from_str(&case.json()).unwrap();
    assert_eq!(report["problems"][0]["object"]["name"], "sk-telecom-production-tenant");
}

#[test]
fn nothing_of_a_secret_is_ever_printed() {
    let secrets = ["not-to-be-shown", "Not-To-Be-Shown", "bm90LXRvLWJlLXNob3du"];
    let mut holders = 0;
    for case in cases() {
        let (text, json) = (case.text(), case.json());
        for secret in secrets {
            assert!(!text.contains(secret) && !json.contains(secret), "{}: {text}", case.name);
            holders += usize::from(case.input.sources[0].text.contains(secret));
        }
    }
    assert!(holders >= 4, "the files hold no such values any more");
}
