//! Planning stage, pure: the record of what was delivered to the volume, and by that of what was seeded.
//!
//! It lies on the volume, where an agent can change it. That gains the agent nothing: every path in it is
//! parsed into a [`Target`], and the only thing it can cause is that a workspace file of the agent's own is
//! left alone, seeded again, or removed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::manifest::{FileEntry, without_content};
use crate::names::Target;

const API_VERSION: &str = "kr8tiv.ai/delivered/v1";

/// What was delivered. For an agent-owned file the digest is that of the bundle's content when it was seeded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// By workspace file.
    pub files: BTreeMap<Target, FileEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    api_version: String,
    files: BTreeMap<Target, FileEntry>,
}

impl Record {
    /// Reads a record; the error says why it is corrupt and contains none of it.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let document: Document = serde_json::from_slice(bytes).map_err(|error| without_content(&error))?;
        if document.api_version != API_VERSION {
            return Err(format!("apiVersion is not {API_VERSION}"));
        }
        Ok(Self { files: document.files })
    }

    /// The record as it is stored: the same record always gives the same bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let document = Document { api_version: API_VERSION.to_owned(), files: self.files.clone() };
        // Strings, enums and maps with string keys: there is nothing in a Document that JSON cannot express.
        let mut bytes = serde_json::to_vec_pretty(&document).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// Sets or forgets one file.
    pub fn set(&mut self, target: &Target, entry: Option<FileEntry>) {
        match entry {
            Some(entry) => self.files.insert(target.clone(), entry),
            None => self.files.remove(target),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Ownership;
    use crate::names::Digest;

    fn record() -> Record {
        let mut record = Record::default();
        let target = "workspace-a/USER.md".to_owned().try_into().unwrap();
        record.set(&target, Some(FileEntry { sha256: Digest::of(b"x"), ownership: Ownership::Agent }));
        record
    }

    #[test]
    fn survives_a_round_trip() {
        assert_eq!(Record::parse(&record().to_bytes()), Ok(record()));
    }

    #[test]
    fn a_record_that_is_not_ours_is_corrupt() {
        let text = String::from_utf8(record().to_bytes()).unwrap();
        for (from, to) in [
            ("delivered/v1", "delivered/v9"),
            ("workspace-a", "../etc"),
            ("\"files\"", "\"secret\""),
            ("}", ""),
        ] {
            let error = Record::parse(text.replacen(from, to, 1).as_bytes()).unwrap_err();
            assert!(!error.contains("secret") && !error.contains("etc"), "{error}");
        }
        assert!(Record::parse(b"").is_err());
    }
}
