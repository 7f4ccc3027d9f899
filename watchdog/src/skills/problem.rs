//! Reporting stage, pure: what can be wrong with a pack, in words for whoever made it.

use std::io;

use crate::names::Digest;

/// Why a pack was not copied. Paths are relative to the pack; contents are not part of it.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The ConfigMap is not there, or nothing is in it.
    #[error("the ConfigMap does not exist or is empty")]
    NoConfigMap,
    /// A folder or file is missing.
    #[error("{path} is missing")]
    Missing {
        /// What.
        path: String,
    },
    /// The content is not what was pinned.
    #[error("the ConfigMap's digest is sha256:{actual}, and sha256:{expected} is asked for")]
    Digest {
        /// What it is.
        actual: Digest,
        /// What it should be.
        expected: Digest,
    },
    /// A symbolic link, a device, a socket or a pipe.
    #[error("{path} is neither a regular file nor a folder; links are not followed")]
    NotRegular {
        /// What.
        path: String,
    },
    /// A name that is not copied.
    #[error("{path}: hidden files and names with control characters are not copied, remove it from the pack")]
    Name {
        /// What, with such characters escaped.
        path: String,
    },
    /// More than is copied.
    #[error("{path} has more than {limit}")]
    TooMuch {
        /// What.
        path: String,
        /// How much there may be.
        limit: String,
    },
    /// Folders in folders.
    #[error("{path} is more than {limit} folders deep")]
    TooDeep {
        /// What.
        path: String,
        /// How deep it may be.
        limit: usize,
    },
    /// OpenClaw would not take the skill, or under another name.
    #[error("{path}: {reason}")]
    SkillFile {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The pack can't be read.
    #[error("read {path}: {source}")]
    Read {
        /// What.
        path: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The copy can't be written.
    #[error("write {path}: {source}")]
    Write {
        /// What.
        path: String,
        /// What the operating system said.
        source: io::Error,
    },
}
