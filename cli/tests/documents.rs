//! docs/cli.md: its examples print what it says, and its table has every code.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod common;

use std::fs;
use std::path::Path;

use common::{kr8tiv, root};
use kr8tiv_cli::problem::{CODES, Code, Severity};
use serde_json::Value;

const MARK: &str = "<!-- codes -->\n";

fn document() -> String {
    fs::read_to_string(root().join("docs/cli.md")).unwrap()
}

/// The files that the examples speak of.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    fs::create_dir(folder.path().join("examples")).unwrap();
    let example = fs::read_to_string(root().join("examples/first-tenant.yaml")).unwrap();
    write("examples/first-tenant.yaml", &example);
    let gateway = "  displayName: Acme\n  gateway: {resources: {limits: {memory: 4Gi}}}\n";
    write("changed.yaml", &example.replace("  displayName: Acme\n", gateway));
    let agent = "apiVersion: kr8tiv.ai/v1alpha1\nkind: Agent\nmetadata: {name: desk}\nspec:\n  tenantRef: {name: acme}\n";
    write("agent.yaml", agent);
    let valid = include_str!("validate/valid.yaml").split("---\n").next().unwrap();
    let mistakes = valid.replace("role: helper", "role: no").replace(
        "    successCriteria: [Helped.]\n",
        "    successCriteria: [Helped.]\n  tools: {allow: [read, shell]}\n",
    );
    let mistakes = mistakes.replace("    coreTruths:\n      - Be kind.\n", "    coreTruths: [Be kind.]\n");
    write("mistakes.yaml", &mistakes);
    folder
}

/// Runs a command of an example; `ls` stands for itself.
fn printed(folder: &Path, command: &str) -> String {
    let words: Vec<&str> = command.split(' ').collect();
    match words.as_slice() {
        ["kr8tiv", arguments @ ..] => {
            let run = kr8tiv(folder, arguments, "");
            run.output + &run.errors
        }
        ["ls", name] => {
            let names = fs::read_dir(folder.join(name)).unwrap().map(|entry| entry.unwrap().file_name());
            let mut names: Vec<_> = names.map(|name| name.into_string().unwrap() + "\n").collect();
            names.sort();
            names.concat()
        }
        _ => panic!("an example that can't be run: {command}"),
    }
}

/// Whether a text is as the document says, where `…` stands for any lines.
fn is_as_said(printed: &str, said: &str) -> bool {
    let Some((before, after)) = said.split_once("…\n") else { return printed == said };
    printed.starts_with(before) && printed[before.len()..].ends_with(after)
}

#[test]
fn examples_print_what_the_document_says() {
    let folder = folder();
    let text = document();
    let mut count = 0;
    for block in text.split("```console\n").skip(1) {
        let block = block.split("```").next().unwrap();
        for example in format!("\n{block}").split("\n$ ").skip(1) {
            let (command, said) = example.split_once('\n').unwrap_or((example, ""));
            let said =
                if said.is_empty() || said.ends_with('\n') { said.to_owned() } else { format!("{said}\n") };
            let printed = printed(folder.path(), command);
            assert!(
                is_as_said(&printed, &said),
                "{command} prints\n{printed}\nand the document says\n{said}"
            );
            count += 1;
        }
    }
    assert!(count >= 6);
}

/// The documentation of a code in the source: the one place that says what it means.
fn meaning(code: Code) -> String {
    let source = include_str!("../src/problem.rs");
    let (before, _) = source.split_once(&format!("\n    {code:?},\n")).unwrap();
    let lines: Vec<_> = before.lines().rev().map_while(|line| line.strip_prefix("    /// ")).collect();
    assert!(!lines.is_empty(), "{code:?} is not documented");
    lines.into_iter().rev().collect::<Vec<_>>().join(" ")
}

/// Every problem that a command finds in the files of a folder, in their order.
fn problems(command: &str, folder: &str) -> Vec<Value> {
    let folder = root().join("cli/tests").join(folder);
    let files = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut files: Vec<_> =
        files.filter(|name| Path::new(name).extension().is_some_and(|end| end == "yaml")).collect();
    files.sort();
    let reports = files.iter().map(|file| {
        let run = kr8tiv(&folder, &[command, "-f", file, "-o", "json"], "");
        // What can't be imported has no product.
        if run.output.is_empty() { run.errors } else { run.output }
    });
    let reports: Vec<Value> = reports.map(|report| serde_json::from_str(&report).unwrap()).collect();
    reports.iter().flat_map(|report| report["problems"].as_array().unwrap().clone()).collect()
}

#[test]
fn the_table_has_every_code() {
    let (validated, imported) = (problems("validate", "validate"), problems("import", "import/refused"));
    let mut table = "\n| Code | Meaning | Example | Fix |\n| --- | --- | --- | --- |\n".to_owned();
    for code in CODES {
        let severity = match code.severity() {
            Severity::Error => "",
            Severity::Warning => " (warning)",
            Severity::Note => " (note)",
        };
        // The shortest says as much as the others.
        let shortest = |problems: &'_ [Value]| {
            let examples = problems.iter().filter(|problem| problem["code"] == code.as_str());
            examples.min_by_key(|problem| problem.to_string().len()).cloned()
        };
        let example = shortest(&validated).or_else(|| shortest(&imported));
        let text = |field: &str| {
            let text = example.as_ref().and_then(|problem| problem[field].as_str()).unwrap_or_default();
            text.replace('|', "\\|")
        };
        let object = example.as_ref().and_then(|problem| problem["object"].as_object());
        let object =
            object.map(|id| format!("{} {}, ", id["kind"].as_str().unwrap(), id["name"].as_str().unwrap()));
        let field = Some(text("field")).filter(|field| !field.is_empty()).map(|field| format!("{field}: "));
        let place = object.unwrap_or_default() + &field.unwrap_or_default();
        table.push_str(&format!(
            "| `{}`{severity} | {} | {place}{} | {} |\n",
            code.as_str(),
            meaning(code),
            text("problem"),
            text("fix")
        ));
    }
    let text = document();
    let (before, after) = text.split_once(MARK).unwrap();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(root().join("docs/cli.md"), format!("{before}{MARK}{table}")).unwrap();
    }
    assert!(after == table, "run UPDATE=1 cargo test -p kr8tiv-cli --test documents and read the diff");
}
