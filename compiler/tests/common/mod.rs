//! What the tests of this crate share: examples and other manifests, and the real OpenClaw.
#![allow(clippy::unwrap_used, reason = "a test ends here")]
#![allow(dead_code, reason = "each test binary uses a part of this module")]

mod case;
pub mod channels;
pub mod generate;
pub mod host;
pub mod http;
pub mod real;
pub mod rules;
pub mod sections;
pub mod settings;
pub mod small;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use k8s_openapi::api::core::v1::{PodSpec, PodTemplateSpec};
use kr8tiv_compiler::{Bundle, Diagnostics, Object, compose_file, manifests};

pub use self::case::{Case, case, objects, platform};

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every example, by name.
pub fn examples() -> Vec<(String, Case)> {
    folder(&root().join("examples"))
}

/// Harnesses as they are in use, with a tenant of each, by name.
pub fn realistic() -> Vec<(String, Case)> {
    folder(&root().join("compiler/tests/cases"))
}

fn folder(folder: &Path) -> Vec<(String, Case)> {
    let mut cases: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, case(&std::fs::read_to_string(&path).unwrap()))
        })
        .collect();
    cases.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(cases.len() >= 2);
    cases
}

impl Case {
    /// All problems, or the warnings of a good compilation.
    pub fn found(&self) -> Diagnostics {
        self.compile().map_or_else(|diagnostics| diagnostics, |bundle| bundle.warnings)
    }

    /// Their codes.
    pub fn codes(&self) -> Vec<&'static str> {
        self.found().iter().map(|diagnostic| diagnostic.code.as_str()).collect()
    }
}

/// The real OpenClaw of this release, unpacked on this machine: `bin/openclaw` in the folder that
/// `dev/build-images --openclaw-dir` prints.
pub fn openclaw() -> PathBuf {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| image_folder("--openclaw-dir"));
    FOLDER.join("bin/openclaw")
}

/// What `dev/build-images` has on this machine of an image.
pub fn image_folder(option: &str) -> PathBuf {
    let output = Command::new(root().join("dev/build-images")).arg(option).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().into()
}

/// What the gateway's Pod is made of.
pub fn template(bundle: &Bundle) -> &PodTemplateSpec {
    let gateway = bundle.objects.iter().find_map(Object::gateway).unwrap();
    &gateway.spec.as_ref().unwrap().template
}

/// The gateway's Pod.
pub fn pod(bundle: &Bundle) -> &PodSpec {
    template(bundle).spec.as_ref().unwrap()
}

/// Everything that a bundle is on disk.
pub fn files(bundle: &Bundle) -> BTreeMap<PathBuf, String> {
    let mut files = BTreeMap::from([
        ("openclaw.json".into(), bundle.config.clone()),
        ("skill-pack-manifest.json".into(), bundle.skill_manifest.clone()),
    ]);
    for (agent, workspace) in &bundle.workspaces {
        for (name, file) in workspace {
            files.insert(Path::new("workspace").join(agent).join(name), file.content.clone());
        }
    }
    let mut objects = bundle.objects.clone();
    for object in &mut objects {
        if let Object::ConfigMap(object) = object {
            // The files stand beside this one; here their names and sizes are enough.
            for content in object.data.iter_mut().flat_map(|data| data.values_mut()) {
                *content = format!("({} bytes)", content.len());
            }
        }
    }
    files.insert("manifests.yaml".into(), manifests::yaml(&objects).unwrap());
    let mut composed = compose_file::render(bundle).unwrap();
    for name in [compose_file::FILE_NAME, compose_file::EXAMPLE_NAME] {
        files.insert(name.into(), composed.remove(name).unwrap());
    }
    files
}
