//! What every example compiles to, as files that people read in a review. `UPDATE=1` writes them anew.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use common::files;
use common::sections::{sections, without_section};
use kr8tiv_compiler::Bundle;

fn present(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { present(&path, found) } else { found.push(path) }
    }
}

#[test]
fn examples_compile_to_their_goldens() {
    let golden = common::root().join("compiler/tests/golden/whole");
    let update = std::env::var_os("UPDATE").is_some();
    let mut expected = Vec::new();
    if update {
        let _ = fs::remove_dir_all(&golden);
    }
    for (name, case) in common::examples().into_iter().chain(common::realistic()) {
        let bundle = case.compile().unwrap_or_else(|diagnostics| panic!("{name}: {diagnostics}"));
        assert!(bundle.warnings.is_empty(), "{name}: {}", bundle.warnings);
        for (path, content) in files(&bundle) {
            let path = golden.join(&name).join(path);
            if update {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, &content).unwrap();
            }
            let stored = fs::read_to_string(&path).unwrap_or_default();
            assert!(
                stored == content,
                "{} differs: run UPDATE=1 cargo test -p kr8tiv-compiler and read the diff",
                path.display()
            );
            expected.push(path);
        }
    }
    let mut found = Vec::new();
    present(&golden, &mut found);
    found.sort();
    expected.sort();
    assert_eq!(found, expected, "files that no example stands behind");
}

/// The files of a bundle, with the settings that lie beside `openclaw.json`, and without hashes, which every change
/// changes.
fn comparable(bundle: &Bundle) -> BTreeMap<PathBuf, String> {
    let mut files = files(bundle);
    for object in &bundle.objects {
        let kr8tiv_compiler::Object::ConfigMap(object) = object else { continue };
        for (name, content) in object.data.iter().flatten() {
            if ["watchdog.json", "memory.json"].contains(&name.as_str()) {
                files.insert(name.into(), content.clone());
            }
        }
    }
    for text in files.values_mut() {
        let plain = |line: &&str| !line.contains("applied-hash") && !line.ends_with(" bytes)");
        *text = text.lines().filter(plain).map(|line| format!("{line}\n")).collect();
    }
    files
}

/// What one section adds to a small Harness, Tenant or Agent, and nothing else.
#[test]
fn point_02_each_section_changes_what_its_golden_says() {
    let golden = common::root().join("compiler/tests/golden/sections");
    let update = std::env::var_os("UPDATE").is_some();
    let base = comparable(&without_section().compile().unwrap());
    assert!(!base.keys().any(|path| path.ends_with("MEMORY.md")), "no MEMORY.md without a seed");
    let mut expected = Vec::new();
    for (name, case) in sections() {
        let bundle = case.compile().unwrap_or_else(|diagnostics| panic!("{name}: {diagnostics}"));
        let mut difference = format!("# {name}\n");
        for warning in bundle.warnings.iter() {
            difference.push_str(&format!("# warning: {warning}\n"));
        }
        let files = comparable(&bundle);
        let paths: std::collections::BTreeSet<_> = base.keys().chain(files.keys()).collect();
        for path in paths {
            let (old, new) = (base.get(path), files.get(path));
            let (old, new) = (old.map_or("", String::as_str), new.map_or("", String::as_str));
            let header = path.display().to_string();
            let changes = similar::TextDiff::from_lines(old, new);
            difference
                .push_str(&changes.unified_diff().context_radius(1).header(&header, &header).to_string());
        }
        assert!(difference.lines().count() > 1, "{name} changes nothing");
        let path = golden.join(format!("{name}.diff"));
        if update {
            fs::create_dir_all(&golden).unwrap();
            fs::write(&path, &difference).unwrap();
        }
        let stored = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            stored == difference,
            "{} differs: run UPDATE=1 cargo test -p kr8tiv-compiler and read it",
            path.display()
        );
        expected.push(path);
    }
    let mut found = Vec::new();
    present(&golden, &mut found);
    found.sort();
    expected.sort();
    assert_eq!(found, expected, "files that no section stands behind");
}
