//! Input stage, pure: names and digests that are safe to use in a path once they exist.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The largest content a ConfigMap can hold, and so the largest file that can be delivered.
///
/// Kubernetes limits the data of a ConfigMap to 1 MiB. A bigger file on the volume cannot be ours, so it is
/// never read: an agent cannot make the watchdog read gigabytes.
pub const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Why a text is not a name or digest. Never repeats the text: it may come from a file's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not an agent id.
    #[error("an agent id must match ^[a-z0-9_][a-z0-9_-]{{0,63}}$")]
    AgentId,
    /// Not a file name.
    #[error("a workspace file name must match ^[A-Za-z0-9][A-Za-z0-9._-]{{0,127}}$")]
    FileName,
    /// Not a SHA-256 digest.
    #[error("a SHA-256 digest must be 64 lower-case hexadecimal digits")]
    Digest,
    /// Not the path of a workspace file.
    #[error("a record's path must be workspace-<agent id>/<file name>")]
    Target,
}

/// The id of an agent, as OpenClaw spells it: one path component without a dot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AgentId(String);

impl AgentId {
    const MAX_LEN: usize = 64;

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the agent's workspace directory in the state directory.
    pub fn workspace_dir(&self) -> String {
        format!("workspace-{}", self.0)
    }
}

impl TryFrom<String> for AgentId {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        let ok = match text.as_bytes() {
            [] => false,
            [first, rest @ ..] => {
                text.len() <= Self::MAX_LEN && word(*first) && rest.iter().all(|&b| word(b) || b == b'-')
            }
        };
        if ok { Ok(Self(text)) } else { Err(NameError::AgentId) }
    }
}

/// The name of a workspace file: one path component, neither hidden nor `..`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FileName(String);

impl FileName {
    const MAX_LEN: usize = 128;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for FileName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        let ok = match text.as_bytes() {
            [] => false,
            [first, rest @ ..] => {
                text.len() <= Self::MAX_LEN
                    && first.is_ascii_alphanumeric()
                    && rest.iter().all(|&b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
            }
        };
        if ok { Ok(Self(text)) } else { Err(NameError::FileName) }
    }
}

/// A file in an agent's workspace; as text `workspace-<agent id>/<file name>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Target {
    /// Whose workspace.
    pub agent: AgentId,
    /// Which file in it.
    pub file: FileName,
}

impl Target {
    /// The path below the state directory.
    pub fn relative_path(&self) -> PathBuf {
        PathBuf::from(self.to_string())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "workspace-{}/{}", self.agent.0, self.file.0)
    }
}

impl TryFrom<String> for Target {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        let (dir, file) = text.split_once('/').ok_or(NameError::Target)?;
        let agent = dir.strip_prefix("workspace-").ok_or(NameError::Target)?;
        Ok(Self { agent: agent.to_owned().try_into()?, file: file.to_owned().try_into()? })
    }
}

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl From<Sha256> for Digest {
    /// The digest of everything that was put into the hash.
    fn from(hash: Sha256) -> Self {
        Self(hash.finalize().into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for Digest {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        fn nibble(digit: u8) -> Option<u8> {
            match digit {
                b'0'..=b'9' => Some(digit - b'0'),
                b'a'..=b'f' => Some(digit - b'a' + 10),
                _ => None,
            }
        }
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return Err(NameError::Digest) };
        let mut digest = [0; 32];
        if pairs.len() != digest.len() {
            return Err(NameError::Digest);
        }
        for (byte, [high, low]) in digest.iter_mut().zip(pairs) {
            let (Some(high), Some(low)) = (nibble(*high), nibble(*low)) else {
                return Err(NameError::Digest);
            };
            *byte = high << 4 | low;
        }
        Ok(Self(digest))
    }
}

macro_rules! into_text {
    ($($name:ty => $text:expr),+ $(,)?) => {$(
        impl From<$name> for String {
            fn from(value: $name) -> Self {
                ($text)(value)
            }
        }
    )+};
}
into_text! {
    AgentId => |v: AgentId| v.0,
    FileName => |v: FileName| v.0,
    Target => |v: Target| v.to_string(),
    Digest => |v: Digest| v.to_string(),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn digest_matches_a_known_vector() {
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Digest::of(b"abc").to_string(), text);
        assert_eq!(Digest::try_from(text.to_owned()), Ok(Digest::of(b"abc")));
        for bad in ["", "ba78", &text.to_uppercase(), &format!("{text}00"), &text.replace('b', "é")] {
            assert_eq!(Digest::try_from((*bad).to_owned()), Err(NameError::Digest), "{bad}");
        }
    }

    #[test]
    fn names_that_could_leave_their_directory_are_refused() {
        let long = "a".repeat(65);
        for bad in ["", "-a", "A", "a/b", "..", ".", "a.b", "a\0", "a b", "ä", &long] {
            assert_eq!(AgentId::try_from((*bad).to_owned()), Err(NameError::AgentId), "{bad:?}");
        }
        let long = "a".repeat(129);
        for bad in ["", ".", "..", "..data", ".hidden", "-a", "_a", "a/b", "a\\b", "a\0", "a\n", "ä", &long]
        {
            assert_eq!(FileName::try_from((*bad).to_owned()), Err(NameError::FileName), "{bad:?}");
        }
        for good in ["_", "main", "a-b_c9", &"a".repeat(64)] {
            assert!(AgentId::try_from((*good).to_owned()).is_ok(), "{good}");
        }
        for good in ["AGENTS.md", "a", "9..x", &"a".repeat(128)] {
            assert!(FileName::try_from((*good).to_owned()).is_ok(), "{good}");
        }
    }

    proptest! {
        #[test]
        fn a_target_is_always_one_file_in_one_workspace(text in r"(workspace-)?[a-z./]{0,6}/?\PC{0,12}") {
            if let Ok(target) = Target::try_from(text.clone()) {
                prop_assert_eq!(target.to_string(), text);
                let path = target.relative_path();
                let normal = path.components().all(|c| matches!(c, std::path::Component::Normal(_)));
                prop_assert!(normal && path.components().count() == 2);
            }
        }

        #[test]
        fn text_round_trips(agent in "[a-z0-9_][a-z0-9_-]{0,63}", file in "[A-Za-z0-9][A-Za-z0-9._-]{0,127}") {
            let target = Target::try_from(format!("workspace-{agent}/{file}")).unwrap();
            prop_assert_eq!(target.agent.as_str(), &agent);
            prop_assert_eq!(target.file.as_str(), &file);
        }
    }
}
