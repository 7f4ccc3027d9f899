//! `kr8tiv compose`: the file for Docker Compose, beside exactly the files of the bundle.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Output};

fn kr8tiv(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kr8tiv")).args(arguments).output().unwrap()
}

fn compose(manifest: &Path, folder: &Path) {
    let output = kr8tiv(&[
        "compose",
        "-f",
        manifest.to_str().unwrap(),
        "--tenant-id",
        "acme-0a1b2c3d",
        "--output",
        folder.to_str().unwrap(),
    ]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_folder_in_use_takes_a_change_file_by_file() {
    let scratch = tempfile::tempdir().unwrap();
    let (manifest, folder) = (scratch.path().join("tenant.yaml"), scratch.path().join("acme"));
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/first-tenant.yaml");
    let text = fs::read_to_string(example).unwrap();
    fs::write(&manifest, &text).unwrap();
    compose(&manifest, &folder);
    let read = |path: &str| fs::read_to_string(folder.join(path)).unwrap();
    assert_eq!(read("openclaw.json"), read("config/openclaw.json"));
    assert!(read(".env.example").contains("OPENCLAW_GATEWAY_TOKEN="));
    assert!(
        !read("docker-compose.tenant.yml").contains("replace-me"),
        "values of Secrets stay where they are"
    );
    let soul = folder.join("workspace/main/SOUL.md");
    assert_eq!(fs::metadata(&soul).unwrap().permissions().mode() & 0o777, 0o644);
    let inode = fs::metadata(soul.parent().unwrap()).unwrap().ino();
    fs::write(folder.join("workspace/main/OLD.md"), "of an earlier bundle").unwrap();
    fs::write(folder.join(".env"), "OPENCLAW_GATEWAY_TOKEN=mine").unwrap();

    fs::write(&manifest, text.replace("Friendly and plain.", "Formal.")).unwrap();
    compose(&manifest, &folder);
    assert!(fs::read_to_string(&soul).unwrap().contains("Formal."));
    assert_eq!(fs::metadata(soul.parent().unwrap()).unwrap().ino(), inode, "a mounted folder stays the same");
    assert!(!folder.join("workspace/main/OLD.md").exists());
    assert_eq!(read(".env"), "OPENCLAW_GATEWAY_TOKEN=mine");
}
