//! Coherence stage, pure: decides whether the mounted files are exactly one bundle.
//!
//! Several ConfigMaps are swapped one by one; a mixture of two bundles must never reach the gateway.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::manifest::{Manifest, ManifestError, Ownership};
use crate::names::{AgentId, Digest, Target};

/// How many reasons a [`Pending`] lists: enough to see what is going on, few enough for a status.
const MAX_REASONS: usize = 20;

/// What reading one mounted file gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mounted {
    /// Its bytes.
    Bytes(Vec<u8>),
    /// There is no such file.
    Missing,
    /// It is there but cannot be read; why.
    Unreadable(String),
}

/// What reading all files that a manifest lists gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountedFiles {
    /// `config/openclaw.json`.
    pub config: Mounted,
    /// `workspaces/<agent>/<file>`.
    pub workspaces: BTreeMap<Target, Mounted>,
}

/// Why nothing was delivered. Contains no file content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pending {
    /// The bundle that is on its way, when its manifest could be read.
    pub bundle_hash: Option<Digest>,
    /// What is missing or different, by its path in the bundle.
    pub reasons: Vec<String>,
}

impl Pending {
    /// Nothing but the manifest could be looked at.
    pub fn no_manifest(reason: &str) -> Self {
        Self { bundle_hash: None, reasons: vec![format!("config/delivery.json: {reason}")] }
    }
}

impl From<ManifestError> for Pending {
    fn from(error: ManifestError) -> Self {
        Self::no_manifest(&error.to_string())
    }
}

/// One workspace file of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleFile {
    /// Who decides about it.
    pub ownership: Ownership,
    /// Digest of `bytes`.
    pub sha256: Digest,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// A coherent bundle: every byte of it is what the compiler hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The compiler's hash of the whole bundle.
    pub hash: Digest,
    /// `openclaw.json`.
    pub config: Vec<u8>,
    /// Digest of `config`.
    pub config_sha256: Digest,
    /// Every agent of the tenant, those without files too.
    pub agents: BTreeSet<AgentId>,
    /// The workspace files.
    pub files: BTreeMap<Target, BundleFile>,
}

impl Bundle {
    /// Puts the bundle together, or says what keeps it from being coherent.
    pub fn assemble(manifest: &Manifest, mounted: MountedFiles) -> Result<Self, Pending> {
        let MountedFiles { config, mut workspaces } = mounted;
        let mut reasons = Vec::new();
        let mut check = |path: String, expected: Digest, mounted: Option<Mounted>| {
            let reason = match mounted {
                Some(Mounted::Bytes(bytes)) if Digest::of(&bytes) == expected => return Some(bytes),
                Some(Mounted::Bytes(_)) => "differs from delivery.json".to_owned(),
                Some(Mounted::Missing) | None => "missing".to_owned(),
                Some(Mounted::Unreadable(why)) => why,
            };
            reasons.push(format!("{path}: {reason}"));
            None
        };

        let config = check("config/openclaw.json".to_owned(), manifest.config.sha256, Some(config));
        let mut files = BTreeMap::new();
        for (agent, entries) in &manifest.workspaces {
            for (file, entry) in entries {
                let target = Target { agent: agent.clone(), file: file.clone() };
                let path = format!("workspaces/{}/{}", agent.as_str(), file.as_str());
                if let Some(bytes) = check(path, entry.sha256, workspaces.remove(&target)) {
                    let file = BundleFile { ownership: entry.ownership, sha256: entry.sha256, bytes };
                    files.insert(target, file);
                }
            }
        }
        match config {
            Some(config) if reasons.is_empty() => Ok(Self {
                hash: manifest.bundle_hash,
                config,
                config_sha256: manifest.config.sha256,
                agents: manifest.workspaces.keys().cloned().collect(),
                files,
            }),
            _ => Err(Pending { bundle_hash: Some(manifest.bundle_hash), reasons: capped(reasons) }),
        }
    }
}

/// The first reasons, and how many were left out.
fn capped(mut reasons: Vec<String>) -> Vec<String> {
    let left_out = reasons.len().saturating_sub(MAX_REASONS);
    if left_out > 0 {
        reasons.truncate(MAX_REASONS);
        reasons.push(format!("and {left_out} more"));
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::API_VERSION;

    fn manifest(files: &[(&str, &str)]) -> Manifest {
        let entries = files
            .iter()
            .map(|(name, text)| {
                let sha = Digest::of(text.as_bytes());
                format!(r#""{name}":{{"sha256":"{sha}","ownership":"Operator"}}"#)
            })
            .collect::<Vec<_>>()
            .join(",");
        let (hash, config) = (Digest::of(b"bundle"), Digest::of(b"{}"));
        let text = format!(
            r#"{{"apiVersion":"{API_VERSION}","bundleHash":"{hash}","config":{{"sha256":"{config}"}},
               "workspaces":{{"a":{{{entries}}},"empty":{{}}}}}}"#
        );
        Manifest::parse(text.as_bytes()).unwrap()
    }

    fn mounted(files: &[(&str, Mounted)]) -> MountedFiles {
        let workspaces = files
            .iter()
            .map(|(name, content)| (format!("workspace-a/{name}").try_into().unwrap(), content.clone()))
            .collect();
        MountedFiles { config: Mounted::Bytes(b"{}".to_vec()), workspaces }
    }

    #[test]
    fn a_complete_set_is_a_bundle() {
        let files = mounted(&[("X.md", Mounted::Bytes(b"x".to_vec()))]);
        let bundle = Bundle::assemble(&manifest(&[("X.md", "x")]), files).unwrap();
        assert_eq!(bundle.config, b"{}");
        assert_eq!(bundle.agents.len(), 2, "an agent without files still gets its workspace");
        assert_eq!(bundle.files.len(), 1);
    }

    #[test]
    fn every_obstacle_is_named_once_and_without_content() {
        let manifest = manifest(&[("A.md", "a"), ("B.md", "b"), ("C.md", "c"), ("D.md", "d")]);
        let mut files = mounted(&[
            ("A.md", Mounted::Bytes(b"secret".to_vec())),
            ("B.md", Mounted::Missing),
            ("D.md", Mounted::Unreadable("Input/output error".to_owned())),
        ]);
        files.config = Mounted::Bytes(b"secret".to_vec());
        let pending = Bundle::assemble(&manifest, files).unwrap_err();
        assert_eq!(pending.bundle_hash, Some(manifest.bundle_hash));
        assert_eq!(
            pending.reasons,
            [
                "config/openclaw.json: differs from delivery.json",
                "workspaces/a/A.md: differs from delivery.json",
                "workspaces/a/B.md: missing",
                "workspaces/a/C.md: missing",
                "workspaces/a/D.md: Input/output error",
            ]
        );
    }

    #[test]
    fn the_list_of_reasons_is_bounded() {
        let names: Vec<String> = (0..50).map(|n| format!("F{n}.md")).collect();
        let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
        let pending = Bundle::assemble(&manifest(&files), mounted(&[])).unwrap_err();
        assert_eq!(pending.reasons.len(), MAX_REASONS + 1);
        assert_eq!(pending.reasons[MAX_REASONS], "and 30 more");
    }
}
