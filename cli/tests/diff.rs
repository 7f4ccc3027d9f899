//! What `diff` says of two sets of files, and what it exits with.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod common;

use std::fs;
use std::path::Path;

use common::{Run, kr8tiv};
use serde_json::Value;
use tempfile::TempDir;

const VALID: &str = include_str!("validate/valid.yaml");

fn folder(old: &str, new: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("old.yaml"), old).unwrap();
    fs::write(folder.path().join("new.yaml"), new).unwrap();
    folder
}

fn diff(old: &str, new: &str, more: &[&str]) -> Run {
    let folder = folder(old, new);
    kr8tiv(folder.path(), &[&["diff", "-f", "old.yaml", "--to", "new.yaml"], more].concat(), "")
}

fn changed(from: &str, to: &str) -> String {
    assert!(VALID.contains(from), "{from}");
    VALID.replace(from, to)
}

#[test]
fn nothing_differs() {
    let run = diff(VALID, &changed("kind: Harness\n", "kind: Harness # the same\n"), &[]);
    assert_eq!((run.code, run.output.as_str(), run.errors.as_str()), (0, "1 tenant: 1 unchanged\n", ""));
}

#[test]
fn a_text_is_read_in_the_next_turn() {
    let run = diff(VALID, &changed("purpose: You help.", "purpose: You help everybody."), &[]);
    let expected = "\
Tenant default/acme
~ workspace main/AGENTS.md (read in the next turn)
";
    assert!(run.output.starts_with(expected), "{}", run.output);
    assert!(run.output.contains("    +You are the helper of Acme. You help everybody.\n"), "{}", run.output);
    assert_eq!(run.code, 1);
    assert!(!run.output.contains("(restart"), "{}", run.output);
}

#[test]
fn a_restart_is_named() {
    let new =
        changed("    name: desk\n", "    name: desk\n  gateway: {resources: {limits: {memory: 4Gi}}}\n");
    let run = diff(VALID, &new, &[]);
    assert_eq!(run.code, 1);
    assert!(
        run.output.contains("~ StatefulSet acme-gateway (restart: its Pod is replaced)\n"),
        "{}",
        run.output
    );
    assert!(run.output.ends_with("1 tenant: 1 restarted\n"), "{}", run.output);
}

#[test]
fn new_keys_of_a_sandbox_are_named() {
    let asking = |value: &str| {
        let annotation = format!("annotations: {{kr8tiv.ai/rotate-sandbox-keys: '{value}'}}");
        changed("  name: acme\n", &format!("  name: acme\n  {annotation}\n"))
    };
    for (old, new) in [(VALID.to_owned(), asking("1")), (asking("1"), asking("2"))] {
        let run = diff(&old, &new, &[]);
        let line = "~ StatefulSet acme-sandbox (its Pod is replaced, and the gateway goes on)\n";
        assert!(run.output.contains(line), "{}", run.output);
        assert!(run.output.ends_with("1 tenant: 1 changed without a reload\n"), "{}", run.output);
        assert_eq!(run.code, 1);
    }
    // What is asked for no more has been made all the same.
    for (old, new) in [(asking("1"), asking("1")), (asking("1"), VALID.to_owned())] {
        assert_eq!(diff(&old, &new, &[]).output, "1 tenant: 1 unchanged\n");
    }
}

/// It is given once: what a prefix is changed to holds for tenants to come.
#[test]
fn the_tag_of_a_memory_stays() {
    let models = "    primary: anthropic/claude-sonnet-4-6\n";
    let with_memory = |more: &str| {
        let memory = format!("{models}  supermemory: {{enabled: true, queries: [hours]{more}}}\n");
        let key = "    name: desk\n  supermemory: {apiKeySecretRef: {name: memory, key: key}}\n";
        changed(models, &memory).replace("    name: desk\n", key)
    };
    let run = diff(&with_memory(""), &with_memory(", containerTagPrefix: other"), &[]);
    assert_eq!(run.output, "1 tenant: 1 unchanged\n", "{}", run.errors);
}

#[test]
fn tenants_come_and_go() {
    let (harness, tenant) = VALID.split_once("---\n").unwrap();
    let other = tenant.replace("name: acme", "name: globex");
    let both = format!("{VALID}---\n{other}");
    let run = diff(VALID, &both, &[]);
    assert_eq!(run.code, 1);
    assert!(
        run.output.contains("Tenant default/globex: new\n+ ConfigMap globex-gateway-config\n"),
        "{}",
        run.output
    );
    assert!(run.output.ends_with("2 tenants: 1 new, 1 unchanged\n"), "{}", run.output);
    let run = diff(&both, VALID, &["-o", "json"]);
    let report: Value = serde_json::from_str(&run.output).unwrap();
    assert_eq!((run.code, &report["changed"]), (1, &Value::Bool(true)));
    let changes: Vec<_> =
        report["tenants"].as_array().unwrap().iter().map(|it| (&it["name"], &it["change"])).collect();
    assert_eq!(
        format!("{changes:?}"),
        r#"[(String("acme"), String("unchanged")), (String("globex"), String("deleted"))]"#
    );
    assert_eq!(diff(harness, harness, &[]).output, "0 tenants: nothing to compare\n");
}

#[test]
fn the_same_tenant_has_the_same_id() {
    // What the API server knows of it is in one of the files only, as with `kubectl get -o yaml`.
    let uid = "  name: acme\n  uid: 0a1b2c3d-0000-4000-8000-000000000000\n";
    let dumped = changed("  name: acme\n", uid);
    for (old, new) in [(dumped.as_str(), VALID), (VALID, dumped.as_str())] {
        let run = diff(old, new, &[]);
        assert_eq!(run.output, "1 tenant: 1 unchanged\n");
    }
}

#[test]
fn what_is_not_valid_is_not_compared() {
    let new = changed("  displayName: Acme\n", "  displayName: Acme\n  color: green\n");
    for (old, new) in [(VALID, new.as_str()), (new.as_str(), VALID)] {
        let run = diff(old, new, &[]);
        assert_eq!((run.code, run.output.as_str()), (2, ""));
        assert!(run.errors.contains("error[K8T0911]: there is no field color here"), "{}", run.errors);
    }
    let old = changed("  displayName: Acme\n", "  displayName: Acme\n  slug: one\n");
    let new = changed("  displayName: Acme\n", "  displayName: Acme\n  slug: two\n");
    let run = diff(&old, &new, &[]);
    assert_eq!(run.code, 2);
    assert!(run.errors.contains("error[K8T0916]: slug can't be changed"), "{}", run.errors);
}

#[test]
fn without_a_cluster_the_way_to_one_is_named() {
    let folder = folder(VALID, VALID);
    let kubeconfig = folder.path().join("kubeconfig");
    let run = |text: &str| {
        fs::write(&kubeconfig, text).unwrap();
        let script = format!(
            "KUBECONFIG='{}' exec '{}' diff -f old.yaml",
            kubeconfig.display(),
            env!("CARGO_BIN_EXE_kr8tiv")
        );
        common::run(Path::new("bash"), folder.path(), &["-c", &script], "")
    };
    let none = run("");
    assert_eq!((none.code, none.output.as_str()), (2, ""));
    assert!(
        none.errors.contains("set KUBECONFIG, or compare two sets of files with --to"),
        "{}",
        none.errors
    );
    // Nobody listens on port 1.
    let closed = run(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\n\
        contexts: [{name: c, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {}}]\n",
    );
    assert_eq!((closed.code, closed.output.as_str()), (2, ""));
    assert!(closed.errors.contains("harnesses can't be read from the cluster"), "{}", closed.errors);
}
