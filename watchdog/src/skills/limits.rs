//! Checking stage, pure: how much of a pack is copied.

use crate::skills::names::{SKILL_FILE, SkillName};
use crate::skills::problem::Problem;
use crate::skills::skill_file;

/// Largest file of a skill, in bytes; with the two below, what OpenClaw takes for a bundle of its own skill library.
pub const FILE_BYTES: u64 = 1024 * 1024;
/// Largest skill, in bytes.
pub const SKILL_BYTES: u64 = 8 * FILE_BYTES;
/// Most files and folders of a skill.
pub const SKILL_ENTRIES: usize = 256;
/// Largest pack, in bytes: sixteen of them and the copy that is being made fit into the Pod's volume of 1 GiB.
pub const PACK_BYTES: u64 = 4 * SKILL_BYTES;
/// Deepest folder below a skill's own: deeper than any sensible skill, and few enough open descriptors.
pub const DEPTH: usize = 8;
/// Largest SKILL.md, in bytes: OpenClaw skips a larger one.
pub const SKILL_FILE_BYTES: usize = 256_000;

/// What has been copied of a pack so far.
#[derive(Debug, Default)]
pub struct Budget {
    pack_bytes: u64,
    skill_bytes: u64,
    skill_entries: usize,
    skill_file: bool,
}

impl Budget {
    /// Starts the count of another skill.
    pub fn next_skill(&mut self) {
        *self = Self { pack_bytes: self.pack_bytes, ..Self::default() };
    }

    /// Whether the skill had its SKILL.md.
    pub fn has_skill_file(&self) -> bool {
        self.skill_file
    }

    /// Counts a file or folder.
    pub fn entry(&mut self, skill: &SkillName) -> Result<(), Problem> {
        self.skill_entries += 1;
        if self.skill_entries > SKILL_ENTRIES {
            let path = skill.as_str().to_owned();
            return Err(Problem::TooMuch { path, limit: format!("{SKILL_ENTRIES} files and folders") });
        }
        Ok(())
    }

    /// Counts a file's content, and looks into it when it is the skill's SKILL.md. `path` is relative to the pack.
    pub fn content(&mut self, skill: &SkillName, path: &str, bytes: &[u8]) -> Result<(), Problem> {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.skill_bytes = self.skill_bytes.saturating_add(length);
        self.pack_bytes = self.pack_bytes.saturating_add(length);
        let too_much = |path: &str, limit: u64| Problem::TooMuch {
            path: path.to_owned(),
            limit: format!("{limit} bytes"),
        };
        if length > FILE_BYTES {
            return Err(too_much(path, FILE_BYTES));
        }
        if self.skill_bytes > SKILL_BYTES {
            return Err(too_much(skill.as_str(), SKILL_BYTES));
        }
        if self.pack_bytes > PACK_BYTES {
            return Err(too_much("the pack", PACK_BYTES));
        }
        if path.split_once('/') == Some((skill.as_str(), SKILL_FILE)) {
            skill_file::check(skill, bytes)
                .map_err(|reason| Problem::SkillFile { path: path.to_owned(), reason })?;
            self.skill_file = true;
        }
        Ok(())
    }
}
