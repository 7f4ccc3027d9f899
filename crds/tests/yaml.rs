//! The committed manifests are what the types say. `UPDATE=1 cargo test -p kr8tiv-crds` writes them anew.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

use std::{fs, path::Path};

use kr8tiv_crds::definitions::{all, file_name};

/// `kubectl apply` keeps the whole object in an annotation, which may be 256 KiB; the project's own bound is lower.
const SIZE_LIMIT: usize = 100_000;

#[test]
fn committed_manifests_equal_the_types() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("yaml");
    let update = std::env::var_os("UPDATE").is_some();
    let mut names = Vec::new();
    for definition in all() {
        let yaml = serde_saphyr::to_string(&serde_json::to_value(&definition).unwrap()).unwrap();
        let path = folder.join(file_name(&definition));
        if update {
            fs::write(&path, &yaml).unwrap();
        }
        assert!(yaml.len() < SIZE_LIMIT, "{} is {} bytes", path.display(), yaml.len());
        assert!(
            fs::read_to_string(&path).unwrap_or_default() == yaml,
            "{} is not what the types say: run UPDATE=1 cargo test -p kr8tiv-crds",
            path.display()
        );
        names.push(file_name(&definition));
    }
    let mut present: Vec<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    present.sort();
    names.sort();
    assert_eq!(present, names, "files that no type stands behind");
}
