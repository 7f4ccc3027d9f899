//! The command itself: how it reads, what it exits with, what it is called, and what it prints for machines.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{kr8tiv, root, run};
use serde_json::Value;

const HARNESS: &str = include_str!("validate/valid.yaml");

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn exit_codes_are_the_documented_ones() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/validate"));
    let code = |arguments: &[&str]| kr8tiv(folder, arguments, "").code;
    assert_eq!(code(&["validate", "-f", "valid.yaml"]), 0);
    assert_eq!(code(&["validate", "-f", "warnings.yaml"]), 0);
    assert_eq!(code(&["validate", "-f", "warnings.yaml", "--warnings-as-errors"]), 1);
    assert_eq!(
        code(&["validate", "-f", "agent-alone.yaml", "--warnings-as-errors"]),
        0,
        "a note is no warning"
    );
    assert_eq!(code(&["validate", "-f", "policy.yaml"]), 1);
    for trouble in [
        &["validate", "-f", "nowhere.yaml"][..],
        &["validate"],
        &["validate", "-f", "valid.yaml", "-o", "xml"],
        &["validate", "-f", "valid.yaml", "-n", "No Namespace"],
        &["validate", "-f", "-"],
        &["validate", "-f", "-", "-f", "-"],
        &["compile", "-f", "valid.yaml"],
        &["compile", "-f", "valid.yaml", "--manifests", "--output", "x"],
        &["frobnicate"],
        &[],
    ] {
        let run = kr8tiv(folder, trouble, "");
        assert_eq!((run.code, run.output.as_str()), (2, ""), "{trouble:?}");
        assert!(!run.errors.is_empty(), "{trouble:?}");
    }
    assert_eq!((code(&["--help"]), code(&["--version"]), code(&["help", "compile"])), (0, 0, 0));
}

#[test]
fn a_message_names_the_path_and_what_to_do() {
    let run = kr8tiv(&root(), &["validate", "-f", "nowhere.yaml"], "");
    let expected = "error: nowhere.yaml can't be read: No such file or directory (os error 2); check the path and its \
                    permissions\n";
    assert_eq!(run.errors, expected);
    let run = kr8tiv(&root(), &["validate", "-f", "README.md/"], "");
    assert!(run.errors.contains("README.md/ can't be read"), "{}", run.errors);
    let run = kr8tiv(&root(), &["validate", "-f", "docs"], "");
    assert!(run.errors.starts_with("error: the folder docs has no *.yaml"), "{}", run.errors);
    let run = kr8tiv(&root(), &["validate", "-f", "charts/kr8tiv-operator/values.yaml"], "");
    assert!(run.errors.starts_with("error: there is no Harness, Tenant or Agent in"), "{}", run.errors);
}

#[test]
fn a_folder_is_read_with_all_below_it_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir_all(path("manifests/b/c")).unwrap();
    fs::create_dir_all(path("manifests/.git")).unwrap();
    let broken = "apiVersion: kr8tiv.ai/v1alpha1\nkind: Agent\nmetadata: {name: NAME}\nspec: {}\n";
    for (file, name) in [
        ("z.yaml", "z"),
        ("b/c/d.yml", "d"),
        ("b/a.json", "a"),
        ("a.yaml", "first"),
        ("notes.txt", "text"),
        (".git/x.yaml", "git"),
        (".hidden.yaml", "hidden"),
    ] {
        fs::write(path("manifests").join(file), broken.replace("NAME", name)).unwrap();
    }
    let files = |arguments: &[&str]| -> Vec<String> {
        let run = kr8tiv(folder.path(), &[&["validate", "-o", "json"], arguments].concat(), "");
        let report = json(&run.output);
        let files = report["problems"].as_array().unwrap().iter().map(|it| it["file"].as_str().unwrap());
        files.map(str::to_owned).collect()
    };
    let all = ["manifests/a.yaml", "manifests/b/a.json", "manifests/b/c/d.yml", "manifests/z.yaml"];
    assert_eq!(files(&["-f", "manifests"]), all);
    assert_eq!(files(&["-f", "manifests", "-f", "manifests/z.yaml"]), all, "a file is read once");
    assert_eq!(files(&["-f", "manifests/notes.txt"]), ["manifests/notes.txt"], "what is named is read");
}

#[test]
fn the_standard_input_is_a_file_like_others() {
    let agent = "apiVersion: kr8tiv.ai/v1alpha1\nkind: Agent\nmetadata: {name: a}\nspec:\n  tenantRef: {name: acme}\n  \
                 model: openai/gpt-5.5\n";
    let run = kr8tiv(&root(), &["validate", "-f", "-", "-f", "cli/tests/validate/valid.yaml"], agent);
    assert_eq!(run.code, 1);
    assert!(run.output.contains(" --> <stdin>:6:10\n"), "{}", run.output);
    assert!(run.output.contains("error[K8T0102]"), "{}", run.output);
}

#[test]
fn namespaces_keep_objects_apart() {
    let tenant = "---\napiVersion: kr8tiv.ai/v1alpha1\nkind: Tenant\nmetadata: {name: other, namespace: team}\nspec: \
                  {displayName: Other, harnessRef: {name: desk}}\n";
    let text = format!("{HARNESS}{tenant}");
    let report = |arguments: &[&str]| {
        let run = kr8tiv(&root(), &[&["validate", "-f", "-", "-o", "json"], arguments].concat(), &text);
        json(&run.output)
    };
    assert_eq!(report(&["-n", "team"])["valid"], true);
    let apart = report(&[]);
    let problem = &apart["problems"][0];
    assert_eq!(problem["code"], "K8T0001");
    assert_eq!(problem["object"], json(r#"{"kind": "Tenant", "namespace": "team", "name": "other"}"#));
}

#[test]
fn a_large_input_is_judged_without_getting_lost() {
    let template = HARNESS.split("---\n").last().unwrap();
    let tenants = (0..500)
        .map(|number| format!("---\n{}", template.replace("name: acme", &format!("name: t{number}"))));
    let text = format!("{HARNESS}{}", tenants.collect::<String>());
    let run = kr8tiv(&root(), &["validate", "-f", "-"], &text);
    assert_eq!((run.code, run.output.as_str()), (0, "valid: 1 Harness, 501 Tenants in 1 file\n"));
}

#[test]
fn the_plugin_is_called_as_the_user_calls_it() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = folder.path().join("kubectl-kr8tiv");
    fs::copy(env!("CARGO_BIN_EXE_kr8tiv"), &plugin).unwrap();
    let help = run(&plugin, &root(), &["validate", "--help"], "");
    assert!(help.output.contains("Usage: kubectl kr8tiv validate"), "{}", help.output);
    assert!(help.output.contains("kubectl kr8tiv validate -f manifests/ -o json"), "{}", help.output);
    let help = run(&plugin, &root(), &["--help"], "");
    assert!(help.output.contains("Usage: kubectl kr8tiv <COMMAND>"), "{}", help.output);
    let wrong = run(&plugin, &root(), &["compile"], "");
    assert!(wrong.errors.contains("Usage: kubectl kr8tiv compile"), "{}", wrong.errors);
    let help = kr8tiv(&root(), &["validate", "--help"], "");
    assert!(help.output.contains("Usage: kr8tiv validate") && !help.output.contains("kubectl kr8tiv"));
}

#[test]
fn a_pipe_that_is_closed_is_no_error() {
    let binary = env!("CARGO_BIN_EXE_kr8tiv");
    let script = format!("set -o pipefail; '{binary}' schema | true; echo ${{PIPESTATUS[0]}}");
    let output = Command::new("bash").args(["-c", &script]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn completion_is_a_script_that_its_shell_takes() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = kr8tiv(&root(), &["completion", shell], "");
        assert_eq!(script.code, 0);
        assert!(script.output.contains("warnings-as-errors"), "{shell}");
        if shell == "bash" {
            let checked = run(Path::new("bash"), &root(), &["-n"], &script.output);
            assert_eq!((checked.code, checked.errors.as_str()), (0, ""));
        }
    }
}

#[test]
fn schemas_are_json_schema_and_take_what_is_valid() {
    let names = ["harness", "tenant", "agent"];
    let of = |arguments: &[&str]| json(&kr8tiv(&root(), &[&["schema"], arguments].concat(), "").output);
    let all = of(&[]);
    for schema in names.iter().map(|name| of(&[name])).chain([all.clone(), of(&["openclaw"])]) {
        assert!(jsonschema::meta::is_valid(&schema));
    }
    let all = jsonschema::draft7::new(&all).unwrap();
    for example in ["first-tenant", "two-agents"] {
        let text = fs::read_to_string(root().join(format!("examples/{example}.yaml"))).unwrap();
        for document in serde_saphyr::from_multiple::<Value>(&text).unwrap() {
            assert!(
                all.is_valid(&document),
                "{:?}",
                all.iter_errors(&document).next().map(|it| it.to_string())
            );
        }
    }
}

/// What `validate` refuses by the schema of a kind, the editors' schema refuses too.
#[test]
fn schemas_refuse_what_validate_refuses() {
    let schema = json(&kr8tiv(&root(), &["schema"], "").output);
    let schema = jsonschema::draft7::new(&schema).unwrap();
    let folder = root().join("cli/tests/validate");
    for (name, wrong) in [
        ("fields-unknown", 2),
        ("fields-missing", 3),
        ("types-wrong", 3),
        ("values-refused", 2),
        ("valid", 0),
        ("policy", 0),
        ("kinds-unknown", 0),
    ] {
        let text = fs::read_to_string(folder.join(format!("{name}.yaml"))).unwrap();
        let documents = kr8tiv_cli::input::yaml::read(&text).documents;
        let refused = documents.iter().filter(|document| !schema.is_valid(&document.to_json()));
        assert_eq!(refused.count(), wrong, "{name}");
    }
}
