//! Input stage, pure: `delivery.json`, the compiler's list of what belongs to a bundle.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::names::{AgentId, Digest, FileName};

/// The only version of the manifest this watchdog reads.
pub const API_VERSION: &str = "kr8tiv.ai/delivery/v1";

/// Who decides about a workspace file after its first delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ownership {
    /// The operator: the file always has the bundle's content.
    Operator,
    /// The agent: the file is seeded once and then left alone for ever.
    Agent,
}

/// A parsed `delivery.json`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Manifest {
    /// Proof that the version was checked.
    #[serde(rename = "apiVersion")]
    _api_version: ApiVersion,
    /// The compiler's hash of the whole bundle.
    pub bundle_hash: Digest,
    /// `openclaw.json`.
    pub config: ConfigEntry,
    /// The workspace files by agent. An agent without files has an empty workspace.
    pub workspaces: BTreeMap<AgentId, BTreeMap<FileName, FileEntry>>,
}

/// The expected `openclaw.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigEntry {
    /// Digest of its bytes.
    pub sha256: Digest,
}

/// An expected workspace file; also what the record keeps of a delivered one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Digest of its bytes.
    pub sha256: Digest,
    /// Who decides about it.
    pub ownership: Ownership,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct ApiVersion;

impl TryFrom<String> for ApiVersion {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == API_VERSION { Ok(Self) } else { Err(format!("apiVersion is not {API_VERSION}")) }
    }
}

/// Why a `delivery.json` cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a {API_VERSION} manifest ({what}, line {line}); \
     the watchdog image and the operator must be of the same version"
)]
pub struct ManifestError {
    what: String,
    line: usize,
}

impl Manifest {
    /// Reads a manifest.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        serde_json::from_slice(bytes)
            .map_err(|error| ManifestError { what: without_content(&error), line: error.line() })
    }
}

/// The kind of a JSON error without the piece of the file that serde quotes in it: contents stay out of logs.
///
/// serde puts what it found behind a colon or in backticks; our own messages contain neither.
pub(crate) fn without_content(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let kind = text.split([':', '`']).next().unwrap_or_default();
    kind.split(" at line ").next().unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn valid() -> String {
        format!(
            r#"{{"apiVersion":"kr8tiv.ai/delivery/v1","bundleHash":"{HASH}","config":{{"sha256":"{HASH}"}},
            "workspaces":{{"support":{{"AGENTS.md":{{"sha256":"{HASH}","ownership":"Operator"}}}}}}}}"#
        )
    }

    #[test]
    fn reads_what_the_compiler_writes() {
        let manifest = Manifest::parse(valid().as_bytes()).unwrap();
        assert_eq!(manifest.bundle_hash, Digest::of(b"abc"));
        let files = &manifest.workspaces[&AgentId::try_from("support".to_owned()).unwrap()];
        assert_eq!(
            files[&FileName::try_from("AGENTS.md".to_owned()).unwrap()].ownership,
            Ownership::Operator
        );
    }

    #[test]
    fn says_what_is_wrong_without_quoting_the_file() {
        for (from, to, expected) in [
            ("delivery/v1", "delivery/v2-secret", "apiVersion is not kr8tiv.ai/delivery/v1"),
            ("\"config\"", "\"secret\"", "unknown field"),
            ("\"ownership\"", "\"secret\"", "unknown field"),
            ("Operator", "secret", "unknown variant"),
            ("AGENTS.md", "../secret", "a workspace file name must match"),
            ("support", "../secret", "an agent id must match"),
            (&format!("{{\"sha256\":\"{HASH}\"}}"), "\"secret\"", "invalid type"),
            ("\"bundleHash\"", "\"bundleHash\":\"secret\",\"x\"", "a SHA-256 digest must be"),
            ("}}}}", "secret", "line"),
        ] {
            let text = valid().replacen(from, to, 1);
            let error = Manifest::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{to}: {error}");
            assert!(!error.contains("secret"), "{to}: {error}");
            assert!(error.contains("same version"), "{to}: {error}");
        }
        assert!(Manifest::parse(b"\xff\x00").is_err());
    }
}
