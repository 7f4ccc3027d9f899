//! The files of a bundle. Pure.

use std::collections::BTreeMap;

use kr8tiv_compiler::manifests::{self, ManifestError};
use kr8tiv_compiler::{Bundle, WorkspaceFile};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The file that says what a bundle is and which files it has.
pub const METADATA: &str = "artifact-metadata.json";
/// The shape of that file; it changes when a field changes its meaning.
const FORMAT_VERSION: u32 = 1;

/// What a bundle is.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// The shape of this file.
    pub format_version: u32,
    /// The tenant's id.
    pub tenant_id: String,
    /// The tag of the tenant's memory.
    pub container_tag: String,
    /// The revision of the Harness.
    pub harness_revision: String,
    /// The OpenClaw release.
    pub gateway_version: String,
    /// The hash that the watchdog reports when the gateway has these files.
    pub bundle_hash: String,
    /// Every other file, sorted by path.
    pub files: Vec<File>,
}

/// A file of a bundle.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct File {
    /// The path below the bundle's folder, with `/`.
    pub path: String,
    /// How many bytes it has.
    pub bytes: usize,
    /// The SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
}

/// The content of every file of a bundle by its path.
pub fn files(bundle: &Bundle) -> Result<BTreeMap<String, String>, ManifestError> {
    let mut files = BTreeMap::from([
        ("openclaw.json".to_owned(), bundle.config.clone()),
        ("manifests.yaml".to_owned(), manifests::yaml(&bundle.objects)?),
        ("skill-pack-manifest.json".to_owned(), bundle.skill_manifest.clone()),
    ]);
    for (agent, workspace) in &bundle.workspaces {
        for (name, WorkspaceFile { content, .. }) in workspace {
            files.insert(format!("workspace/{agent}/{name}"), content.clone());
        }
    }
    let listed = files.iter().map(|(path, content)| File {
        path: path.clone(),
        bytes: content.len(),
        sha256: sha256(content.as_bytes()),
    });
    let metadata = Metadata {
        format_version: FORMAT_VERSION,
        tenant_id: bundle.tenant_id.clone(),
        container_tag: bundle.container_tag.clone(),
        harness_revision: bundle.harness_revision.clone(),
        gateway_version: bundle.gateway_version.clone(),
        bundle_hash: bundle.hash.clone(),
        files: listed.collect(),
    };
    let metadata = serde_json::to_string_pretty(&metadata).map_err(ManifestError::Json)? + "\n";
    files.insert(METADATA.to_owned(), metadata);
    Ok(files)
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
