//! What `compile` writes: the compiler's bundle, byte for byte, for the tenant that is meant, where it is meant to go.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use common::{kr8tiv, root};
use kr8tiv_cli::bundle;
use kr8tiv_cli::input::yaml;
use kr8tiv_compiler::{Bundle, Inputs, OperatorPods, Platform, PluginSource, Surroundings, compile};
use kr8tiv_crds::{Agent, Harness, Tenant};
use proptest::prelude::*;
use serde_json::{Value, json};

const UID: &str = "0a1b2c3d-0000-4000-8000-000000000000";

/// An example, compiled without the command's own code, as an API server would give it to the operator.
fn compiled(example: &str, uid: Option<&str>, id: Option<&str>) -> Bundle {
    let text = fs::read_to_string(root().join("examples").join(example)).unwrap();
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    let of_kind = |kind: &str| {
        let mut objects: Vec<Value> =
            objects.iter().filter(|object| object["kind"] == kind).cloned().collect();
        for object in &mut objects {
            object["metadata"]["namespace"] = json!("team");
        }
        objects
    };
    let mut tenant: Tenant = serde_json::from_value(of_kind("Tenant").remove(0)).unwrap();
    tenant.metadata.uid = uid.map(str::to_owned);
    tenant.spec.tenant_id = id.map(str::to_owned);
    let harness: Harness = serde_json::from_value(of_kind("Harness").remove(0)).unwrap();
    let agents: Vec<Agent> =
        of_kind("Agent").into_iter().map(|agent| serde_json::from_value(agent).unwrap()).collect();
    let platform = Platform {
        gateway_repository: "ghcr.io/openclaw/openclaw".into(),
        watchdog_image: format!("ghcr.io/kr8tiv-ai/watchdog:{}", env!("CARGO_PKG_VERSION")),
        sandbox_image: format!("ghcr.io/kr8tiv-ai/sandbox:{}", env!("CARGO_PKG_VERSION")),
        plugins: PluginSource::Registry,
        operator: OperatorPods::default(),
    };
    let agents: Vec<&Agent> = agents.iter().collect();
    let inputs = Inputs {
        tenant: &tenant,
        harness: Some(&harness),
        agents: &agents,
        platform: &platform,
        surroundings: &Surroundings::default(),
    };
    compile(&inputs).unwrap()
}

fn present(folder: &Path) -> BTreeMap<String, String> {
    fn collect(folder: &Path, top: &Path, files: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, top, files);
            } else {
                let name = path.strip_prefix(top).unwrap().to_str().unwrap().to_owned();
                files.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut files = BTreeMap::new();
    collect(folder, folder, &mut files);
    files
}

fn examples() -> [PathBuf; 2] {
    ["examples/first-tenant.yaml", "examples/two-agents.yaml"].map(PathBuf::from)
}

#[test]
fn a_folder_holds_the_compilers_bundle_byte_for_byte() {
    let parent = tempfile::tempdir().unwrap();
    for example in examples() {
        let name = example.file_name().unwrap().to_str().unwrap();
        let folder = parent.path().join(name);
        let (file, output) = (example.to_str().unwrap(), folder.to_str().unwrap());
        let run =
            kr8tiv(&root(), &["compile", "-f", file, "-n", "team", "--uid", UID, "--output", output], "");
        assert_eq!((run.code, run.output.as_str()), (0, ""), "{}", run.errors);
        let bundle = compiled(name, Some(UID), None);
        let files = present(&folder);
        assert_eq!(files, bundle::files(&bundle).unwrap(), "{name}");

        assert_eq!(files["openclaw.json"], bundle.config);
        assert_eq!(files["skill-pack-manifest.json"], bundle.skill_manifest);
        let workspace = files.iter().filter(|(path, _)| path.starts_with("workspace/"));
        let expected: BTreeMap<String, &String> = bundle
            .workspaces
            .iter()
            .flat_map(|(agent, files)| {
                files.iter().map(move |(name, file)| (format!("workspace/{agent}/{name}"), &file.content))
            })
            .collect();
        assert_eq!(workspace.map(|(path, it)| (path.clone(), it)).collect::<BTreeMap<_, _>>(), expected);

        let objects: Vec<Value> =
            bundle.objects.iter().map(|object| serde_json::to_value(object).unwrap()).collect();
        let documents: Vec<Value> = serde_saphyr::from_multiple(&files["manifests.yaml"]).unwrap();
        assert_eq!(documents, objects, "the objects, in the order in which they are applied");

        let metadata: Value = serde_json::from_str(&files["artifact-metadata.json"]).unwrap();
        assert_eq!(metadata["tenantId"], bundle.tenant_id);
        assert_eq!(metadata["containerTag"], bundle.container_tag);
        assert_eq!(metadata["harnessRevision"], bundle.harness_revision);
        assert_eq!(metadata["gatewayVersion"], bundle.gateway_version);
        assert_eq!(metadata["bundleHash"], bundle.hash);
        let listed = metadata["files"].as_array().unwrap();
        let paths: Vec<&str> = listed.iter().map(|file| file["path"].as_str().unwrap()).collect();
        let others: Vec<&String> = files.keys().filter(|path| *path != "artifact-metadata.json").collect();
        assert_eq!(paths, others);
        assert!(listed.iter().all(|file| file["bytes"] == files[file["path"].as_str().unwrap()].len()));
    }
}

#[test]
fn manifests_are_printed_for_kubectl() {
    let arguments = ["compile", "-f", "-", "-n", "team", "--tenant-id", "acme-0a1b2c3d", "--manifests"];
    let text = fs::read_to_string(root().join("examples/first-tenant.yaml")).unwrap();
    let run = kr8tiv(Path::new("/"), &arguments, &text);
    assert_eq!((run.code, run.errors.as_str()), (0, ""));
    let bundle = compiled("first-tenant.yaml", None, Some("acme-0a1b2c3d"));
    assert_eq!(run.output, kr8tiv_compiler::manifests::yaml(&bundle.objects).unwrap());
    assert!(!run.output.contains("ownerReferences"), "nobody owns them: there is no uid");
}

#[test]
fn a_tenant_without_an_id_is_told_how_to_get_one() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("bundle");
    let run = kr8tiv(
        &root(),
        &["compile", "-f", "examples/first-tenant.yaml", "--output", output.to_str().unwrap()],
        "",
    );
    assert_eq!(run.code, 1);
    assert!(run.errors.contains("K8T0002") && run.errors.contains("--tenant-id, or --uid"), "{}", run.errors);
    assert!(!output.exists(), "nothing is written");
}

#[test]
fn what_the_cluster_knows_is_not_overruled() {
    let text = fs::read_to_string(root().join("examples/first-tenant.yaml")).unwrap();
    let with_uid = text.replace("  name: acme\n", &format!("  name: acme\n  uid: {UID}\n"));
    assert_ne!(text, with_uid);
    let run = |flag: &str, value: &str| {
        kr8tiv(Path::new("/"), &["compile", "-f", "-", "--manifests", flag, value], &with_uid)
    };
    assert_eq!(run("--uid", UID).code, 0);
    assert_eq!(run("--tenant-id", "acme-0a1b2c3d").code, 0);
    let refused = run("--uid", "11111111-0000-4000-8000-000000000000");
    assert_eq!((refused.code, refused.output.as_str()), (2, ""));
    assert!(refused.errors.contains(&format!("Tenant acme has the uid {UID} already")), "{}", refused.errors);
    let refused = run("--tenant-id", "acme-11111111");
    assert!(refused.errors.contains("Tenant acme has the id acme-0a1b2c3d already"), "{}", refused.errors);
}

#[test]
fn one_tenant_is_chosen() {
    let run = |tenant: &[&str]| {
        let id = ["--tenant-id", "x-0a1b2c3d", "--manifests"];
        let files = ["first-tenant", "skills", "two-agents"].map(|name| format!("examples/{name}.yaml"));
        let files: Vec<_> = files.iter().flat_map(|file| ["-f", file]).collect();
        kr8tiv(&root(), &[&["compile"], &files[..], tenant, &id].concat(), "")
    };
    let several = run(&[]);
    assert_eq!(several.code, 2);
    assert!(
        several.errors.contains("--tenant: default/acme, default/initech, default/globex"),
        "{}",
        several.errors
    );
    assert!(run(&["--tenant", "acme"]).output.contains("name: acme-gateway"));
    assert!(run(&["--tenant", "default/globex"]).output.contains("name: globex-gateway"));
    let none = run(&["--tenant", "team/acme"]);
    assert_eq!(none.code, 2);
    assert!(none.errors.contains("there is no Tenant team/acme among the files; there are: default/acme"));
}

#[test]
fn a_tenant_that_may_be_in_what_can_not_be_read_is_not_called_missing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("broken.yaml");
    fs::write(&file, "a: &a [*a]\n").unwrap();
    let run = kr8tiv(&root(), &["compile", "-f", file.to_str().unwrap(), "--manifests"], "");
    assert_eq!(run.code, 1);
    assert!(run.errors.contains("K8T0903") && !run.errors.contains("no Tenant"), "{}", run.errors);
}

#[test]
fn a_problem_of_another_tenant_does_not_matter() {
    let text = fs::read_to_string(root().join("examples/first-tenant.yaml")).unwrap();
    let other =
        "---\napiVersion: kr8tiv.ai/v1alpha1\nkind: Tenant\nmetadata: {name: other}\nspec: {color: red}\n";
    let arguments = ["compile", "-f", "-", "--manifests", "--uid", UID, "--tenant"];
    let both = format!("{text}{other}");
    assert_eq!(kr8tiv(Path::new("/"), &[&arguments[..], &["acme"]].concat(), &both).code, 0);
    let refused = kr8tiv(Path::new("/"), &[&arguments[..], &["other"]].concat(), &both);
    assert_eq!((refused.code, refused.output.as_str()), (1, ""));
    assert!(refused.errors.contains("there is no field color here"), "{}", refused.errors);
}

#[test]
fn a_folder_with_something_else_in_it_stays() {
    let folder = tempfile::tempdir().unwrap();
    let letter = folder.path().join("letter.txt");
    fs::write(&letter, "dear").unwrap();
    let output = folder.path().to_str().unwrap();
    let arguments = ["compile", "-f", "examples/first-tenant.yaml", "--uid", UID, "--output", output];
    let refused = kr8tiv(&root(), &arguments, "");
    assert_eq!(refused.code, 2);
    assert!(refused.errors.contains("holds letter.txt, which is no part of a bundle"), "{}", refused.errors);
    assert_eq!(fs::read_to_string(&letter).unwrap(), "dear");
    let forced = kr8tiv(&root(), &[&arguments[..], &["--force"]].concat(), "");
    assert_eq!(forced.code, 0, "{}", forced.errors);
    assert!(!letter.exists() && folder.path().join("openclaw.json").exists());
}

/// Texts that mean something else in YAML when they are not quoted, and any others.
fn texts() -> impl Strategy<Value = String> {
    let words = "y|yes|No|on|OFF|true|null|~||012|0o7|1_000|0x1F|0b1|1e3|\\.5|\\.inf|2026-01-02|<<|=|- a|a: b|#a|\
                 &a|\\*a|!a|%a|@a|`a|'a|\"a|\\{a|\\[a|\\? a|:a|a:|-|---|\\.\\.\\.|\\||>";
    let lines = "([ -~\\t]{0,12}\n){0,4}[ -~]{0,12}";
    prop_oneof![words, "[ -~]{0,20}", lines, "\\PC{0,12}", any::<String>()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_text_comes_back_from_the_manifests(keys in prop::collection::vec(texts(), 1..4), value in texts()) {
        let data: serde_json::Map<String, Value> =
            keys.into_iter().map(|key| (key, Value::String(value.clone()))).collect();
        let object = json!({"data": data, "list": [value, [value], {"a": value}]});
        let text = kr8tiv_compiler::manifests::yaml([&object, &object]).unwrap();
        // The reader means by a text what kubectl means.
        let reading = yaml::read(&text);
        prop_assert_eq!(&reading.faults, &[]);
        let documents: Vec<Value> = reading.documents.iter().map(kr8tiv_cli::input::node::Node::to_json).collect();
        prop_assert_eq!(documents, [object.clone(), object], "{}", text);
    }
}
