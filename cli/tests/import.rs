//! What `import` makes of files of the replaced system, as people read it in a review. `UPDATE=1` writes the expected
//! files anew.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{Run, kr8tiv};
use kr8tiv_cli::input::{self, Source};
use kr8tiv_cli::report::Counts;
use kr8tiv_cli::validate;
use kr8tiv_compiler::{OperatorPods, Platform, PluginSource};
use serde_json::Value;

/// What must not be shown of the files.
const HIDDEN: [&str; 2] = ["not-to-be-shown", "not-a-real-token"];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import").join(name)
}

fn example(name: &str) -> String {
    fs::read_to_string(folder(name).join("legacy.yaml")).unwrap()
}

fn is_expected(path: &Path, text: &str) {
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path, text).unwrap();
    }
    assert!(
        fs::read_to_string(path).unwrap_or_default() == text,
        "{}: run UPDATE=1 cargo test -p kr8tiv-cli --test import and read the diff\n{text}",
        path.display()
    );
}

/// Imports one file that comes through a pipe.
fn import(text: &str, arguments: &[&str]) -> Run {
    let run = kr8tiv(&folder(""), &[&["import", "-f", "-"], arguments].concat(), text);
    assert!(HIDDEN.iter().all(|hidden| !run.output.contains(hidden) && !run.errors.contains(hidden)));
    run
}

#[test]
fn examples_become_what_was_reviewed() {
    for name in ["format-a", "format-b"] {
        let folder = folder(name);
        let human = kr8tiv(&folder, &["import", "-f", "legacy.yaml"], "");
        is_expected(&folder.join("resources.yaml"), &human.output);
        is_expected(&folder.join("report.txt"), &human.errors);
        let json = kr8tiv(&folder, &["import", "-f", "legacy.yaml", "-o", "json"], "");
        is_expected(&folder.join("report.json"), &json.errors);
        assert_eq!((human.code, json.code), (1, 1), "the examples have what can't be carried over");
        assert_eq!(human.output, json.output);
        assert!(HIDDEN.iter().all(|hidden| {
            ![&human.output, &human.errors, &json.errors].iter().any(|it| it.contains(hidden))
        }));
    }
}

#[test]
fn what_the_examples_become_is_valid_and_compiles() {
    let platform = Platform {
        gateway_repository: "gateway".into(),
        plugins: PluginSource::default(),
        operator: OperatorPods::default(),
        watchdog_image: "watchdog".into(),
        sandbox_image: "sandbox".into(),
    };
    for name in ["format-a", "format-b"] {
        let text = import(&example(name), &[]).output;
        let judged = input::judge(vec![Source { text, ..Source::default() }], "default");
        let problems = validate::judge(&judged, &platform);
        assert_eq!(Counts::of(&problems).errors, 0, "{name}: {problems:?}");
        assert_eq!((judged.objects.harnesses.len(), judged.objects.tenants.len()), (1, 1));
    }
}

#[test]
fn files_that_the_old_tools_refused_are_refused_as_was_reviewed() {
    let refused = folder("refused");
    let files = fs::read_dir(&refused).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|it| it == "yaml")).collect();
    assert!(files.len() >= 10);
    for path in files {
        let file = path.file_name().unwrap().to_str().unwrap();
        let run = kr8tiv(&refused, &["import", "-f", file], "");
        assert_eq!((run.code, run.output.as_str()), (2, ""), "{file}");
        assert!(HIDDEN.iter().all(|hidden| !run.errors.contains(hidden)), "{file}");
        is_expected(&path.with_extension("txt"), &run.errors);
        let json = kr8tiv(&refused, &["import", "-f", file, "-o", "json"], "");
        let report: Value = serde_json::from_str(&json.errors).unwrap();
        assert_eq!(report["valid"], false);
        let problems = report["problems"].as_array().unwrap();
        assert_eq!(problems.len(), run.errors.matches("error[").count(), "{file}");
        assert!(
            problems.iter().all(|problem| problem["line"].is_u64() && problem["column"].is_u64()),
            "{file}"
        );
    }
}

/// The smallest file of a format, all of which has a place.
const SMALLEST: &str = "\
tenantId: acme
name: Acme
role: assistant
soul: {truths: [Be kind.], voice: calm}
jobFunctions: [Answer questions.]
";

#[test]
fn exit_codes() {
    let run = import(SMALLEST, &[]);
    assert_eq!(run.code, 0, "{}", run.errors);
    let run = import(&format!("{SMALLEST}skills: {{workspace: [./a]}}\n"), &[]);
    assert_eq!(run.code, 1, "a folder of skills has no place");
    assert!(run.output.contains("kind: Tenant"), "what has a place is written nevertheless");
    let run = import("tenantId: acme\n", &[]);
    assert_eq!((run.code, run.output.as_str()), (2, ""));
    assert_eq!(import(SMALLEST, &["--model", "nobody/knows"]).code, 2);
}

#[test]
fn flags_say_what_the_file_does_not() {
    let report = tempfile::tempdir().unwrap();
    let path = report.path().join("report.json");
    let flags = ["--model", "openai/gpt-5.5", "-n", "team", "--report", path.to_str().unwrap()];
    let run = import(SMALLEST, &flags);
    assert!(run.output.contains("primary: openai/gpt-5.5"));
    assert_eq!(run.output.matches("namespace: team").count(), 2);
    assert!(run.errors.contains("kubectl create secret generic -n team acme-secrets"));
    let written = fs::read_to_string(&path).unwrap();
    assert_eq!(written, import(SMALLEST, &[flags.as_slice(), &["-o", "json"]].concat()).errors);
}

#[test]
fn files_that_become_the_same_tenant_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.yaml"), SMALLEST).unwrap();
    fs::write(folder.path().join("b.yaml"), SMALLEST.replace("acme", "acme-")).unwrap();
    let run = kr8tiv(folder.path(), &["import", "-f", "a.yaml", "-f", "b.yaml"], "");
    assert_eq!((run.code, run.output.as_str()), (2, ""));
    assert!(run.errors.contains("another file becomes the Tenant acme as well"), "{}", run.errors);
    fs::write(folder.path().join("b.yaml"), SMALLEST.replace("acme", "globex")).unwrap();
    let run = kr8tiv(folder.path(), &["import", "-f", "."], "");
    assert_eq!((run.code, run.output.matches("kind: Tenant").count()), (0, 2), "{}", run.errors);
}

/// Of a file of the smallest with something added: what the resources then hold.
fn added(text: &str, pointer: &str) -> Value {
    let run = import(&format!("{SMALLEST}{text}\n"), &["-o", "json"]);
    assert_ne!(run.code, 2, "{}", run.errors);
    let source = Source { text: run.output, ..Source::default() };
    let judged = input::judge(vec![source], "default");
    assert_eq!(judged.problems, []);
    let objects = &judged.objects;
    let read = [&objects.harnesses[0].node, &objects.tenants[0].node].map(input::node::Node::to_json);
    read.iter().find_map(|object| object.pointer(pointer)).cloned().unwrap_or_default()
}

/// Point 13 of the old system's checklist: legacy ids of models are mapped or rejected explicitly.
#[test]
fn point_13_legacy_model_ids_are_mapped_or_rejected() {
    for id in kr8tiv_cli::import::ALIASES {
        let primary = added(&format!("modelPolicy: {{primary: {id}}}"), "/spec/models/primary");
        assert_eq!(primary, "anthropic/claude-opus-4-6", "{id}");
    }
    let run = import(&format!("{SMALLEST}modelPolicy: {{primary: zhipuai/glm-5}}\n"), &[]);
    assert_eq!(run.code, 1);
    assert!(
        run.errors.contains(
            "modelPolicy.primary (Harness spec.models.primary): OpenClaw has no such model provider"
        )
    );
    let kept = added("modelPolicy: {primary: openai/gpt-5.5}", "/spec/models/primary");
    assert_eq!(kept, "openai/gpt-5.5");
    // A lock that could be overridden was none.
    for (routes, overriding, locked) in [(true, false, true), (true, true, false), (false, false, false)] {
        let policy = format!("modelPolicy: {{lockRoutes: {routes}, allowRuntimeOverride: {overriding}}}");
        assert_eq!(added(&policy, "/spec/models/lock"), locked, "{policy}");
    }
}

#[test]
fn names_are_those_that_kubernetes_takes() {
    let named = |id: &str| {
        let run = import(&SMALLEST.replace("acme", &format!("'{id}'")), &[]);
        let judged = input::judge(vec![Source { text: run.output, ..Source::default() }], "default");
        assert_eq!(judged.problems, [], "{id}");
        let tenant = &judged.objects.tenants[0];
        let slug = tenant.object.as_ref().unwrap().spec.slug.clone();
        (tenant.id.name.clone(), slug)
    };
    assert_eq!(named("acme--"), ("acme".into(), None));
    assert_eq!(named("42-things"), ("t-42-things".into(), Some("42-things".into())));
    let long = "a".repeat(41);
    let (name, slug) = named(&long);
    assert_eq!((name.len(), slug), (40, None));
    assert_ne!(named(&format!("{long}b")).0, name, "names that begin alike stay apart");
    let digits = "4".repeat(60);
    let (name, slug) = named(&digits);
    assert!(name.len() == 40 && name.starts_with("t-4") && slug.unwrap().len() == 40);
}

#[test]
fn windows_images_and_addresses_that_have_no_place() {
    assert_eq!(
        added("openclaw: {image: 'ghcr.io/openclaw/openclaw:2026.9.6'}", "/spec/gateway/version"),
        "2026.9.6"
    );
    assert_eq!(added("openclaw: {image: 'ghcr.io/openclaw/openclaw:latest'}", "/spec/gateway"), Value::Null);
    let mirror = "openclaw: {image: 'registry.example:5000/claw:v2026.9.6-slim'}";
    assert_eq!(added(mirror, "/spec/gateway/image"), "registry.example:5000/claw:v2026.9.6-slim");
    assert_eq!(added(mirror, "/spec/gateway/version"), "2026.9.6");
    assert_eq!(added("openclaw: {image: 'registry.example/claw:old'}", "/spec/gateway"), Value::Null);
    // Without its address the contract is left out as a whole.
    let contract = "controlPlane: {missionControlUrl: 'http://u:not-to-be-shown@mc', tier: enterprise}";
    assert_eq!(added(contract, "/spec/coordination"), Value::Null);
    assert_eq!(added(contract, "/spec/tier"), "enterprise");
}

/// The variable's name goes into a command that is run.
#[test]
fn the_command_for_the_secret_holds_no_words_of_the_file() {
    let file = example("format-a").replace("HOTEL_MEMORY_KEY", "'X}\"; rm -rf \"$HOME'");
    let run = import(&file, &["-o", "json"]);
    let report: Value = serde_json::from_str(&run.errors).unwrap();
    let command = report["files"][0]["secret"]["command"].as_str().unwrap();
    assert!(command.contains("supermemory-api-key=\"${SUPERMEMORY_API_KEY:?}\""), "{command}");
    let allowed = |c: char| c.is_ascii_alphanumeric() || " \\\n-=_\"${}:?".contains(c);
    assert!(command.chars().all(allowed), "{command}");
}
