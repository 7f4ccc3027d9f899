//! Reads examples and other manifests as the operator would see them in a cluster.
#![allow(clippy::unwrap_used, reason = "a test ends here")]
#![allow(dead_code, reason = "each test binary uses a part of this module")]

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
use kr8tiv_compiler::{
    Bundle, Diagnostics, Inputs, Object, OperatorPods, Platform, PluginSource, Surroundings, compile,
    compose_file, manifests,
};
use kr8tiv_crds::{Agent, Harness, Tenant};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The objects of one tenant.
#[derive(Clone, Debug)]
pub struct Case {
    pub tenant: Tenant,
    pub harness: Option<Harness>,
    pub agents: Vec<Agent>,
    pub surroundings: Surroundings,
}

pub fn platform() -> Platform {
    Platform {
        gateway_repository: "ghcr.io/openclaw/openclaw".into(),
        watchdog_image: "example.com/kr8tiv/watchdog:0.1.0".into(),
        sandbox_image: "example.com/kr8tiv/sandbox:0.1.0".into(),
        plugins: PluginSource::Registry,
        operator: OperatorPods::default(),
    }
}

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

/// The objects in a manifest, with what the API server adds.
pub fn case(manifest: &str) -> Case {
    let found: Vec<Value> = serde_saphyr::from_multiple(manifest).unwrap();
    objects(found.into_iter().filter(|object| !object.is_null()).collect())
}

/// Objects, with what the API server adds.
pub fn objects(mut objects: Vec<Value>) -> Case {
    for object in &mut objects {
        object["metadata"]["namespace"] = json!("team");
        object["metadata"]["uid"] = json!("0a1b2c3d-0000-4000-8000-000000000000");
    }
    Case {
        tenant: of_kind(&objects, "Tenant").remove(0),
        harness: of_kind(&objects, "Harness").pop(),
        agents: of_kind(&objects, "Agent"),
        surroundings: Surroundings::default(),
    }
}

fn of_kind<T: DeserializeOwned>(objects: &[Value], kind: &str) -> Vec<T> {
    objects
        .iter()
        .filter(|object| object["kind"] == kind)
        .map(|object| serde_json::from_value(object.clone()).unwrap())
        .collect()
}

impl Case {
    pub fn compile(&self) -> Result<Bundle, Diagnostics> {
        let agents: Vec<&Agent> = self.agents.iter().collect();
        compile(&Inputs {
            tenant: &self.tenant,
            harness: self.harness.as_ref(),
            agents: &agents,
            platform: &platform(),
            surroundings: &self.surroundings,
        })
    }

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
