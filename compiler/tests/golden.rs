//! What every example compiles to, as files that people read in a review. `UPDATE=1` writes them anew.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use kr8tiv_compiler::{Bundle, Object, compose_file};
use serde::Serialize;

fn yaml<T: Serialize>(object: &T) -> String {
    serde_saphyr::to_string(&serde_json::to_value(object).unwrap()).unwrap()
}

fn files(bundle: &Bundle) -> BTreeMap<PathBuf, String> {
    let mut files = BTreeMap::from([
        ("openclaw.json".into(), bundle.config.clone()),
        ("skill-pack-manifest.json".into(), bundle.skill_manifest.clone()),
    ]);
    for (agent, workspace) in &bundle.workspaces {
        for (name, file) in workspace {
            files.insert(Path::new("workspace").join(agent).join(name), file.content.clone());
        }
    }
    let manifests: Vec<String> = bundle
        .objects
        .iter()
        .map(|object| match object {
            Object::ServiceAccount(object) => yaml(object),
            Object::PersistentVolumeClaim(object) => yaml(object),
            Object::Service(object) => yaml(object),
            Object::ConfigMap(object) => {
                // The files stand beside this one; here their names and sizes are enough.
                let mut object = object.clone();
                for content in object.data.iter_mut().flat_map(|data| data.values_mut()) {
                    *content = format!("({} bytes)", content.len());
                }
                yaml(&object)
            }
            Object::StatefulSet(object) => yaml(object),
        })
        .collect();
    files.insert("manifests.yaml".into(), manifests.join("---\n"));
    let mut composed = compose_file::render(bundle).unwrap();
    for name in [compose_file::FILE_NAME, compose_file::EXAMPLE_NAME] {
        files.insert(name.into(), composed.remove(name).unwrap());
    }
    files
}

fn present(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { present(&path, found) } else { found.push(path) }
    }
}

#[test]
fn examples_compile_to_their_goldens() {
    let golden = common::root().join("compiler/tests/golden");
    let update = std::env::var_os("UPDATE").is_some();
    let mut expected = Vec::new();
    if update {
        let _ = fs::remove_dir_all(&golden);
    }
    for (name, case) in common::examples() {
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
