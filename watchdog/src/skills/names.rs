//! Input stage, pure: the names of packs and skills, and what a file of a skill may be called.

use std::str::FromStr;

/// The file that makes a folder a skill.
pub const SKILL_FILE: &str = "SKILL.md";

/// Why a text is not the name of a pack or a skill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must have a-z, 0-9 and '-' only, neither begin nor end with '-', and be at most {limit} characters long"
)]
pub struct NameError {
    limit: usize,
}

macro_rules! name {
    ($(#[$documentation:meta])* $type:ident, $limit:literal) => {
        $(#[$documentation])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $type(String);

        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                if is_label(text, $limit) { Ok(Self(text.to_owned())) } else { Err(NameError { limit: $limit }) }
            }
        }
    };
}

name! {
    /// The name of a pack: one path component without a dot.
    PackName, 40
}
name! {
    /// The name of a skill and of its folder: one path component without a dot.
    SkillName, 64
}

fn is_label(text: &str, limit: usize) -> bool {
    !text.is_empty()
        && text.len() <= limit
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Whether something in a skill may have this name: one path component, not hidden, nothing that a terminal or a log
/// would take for a command. OpenClaw reads hidden files of a skill as its own notes.
pub fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(|c: char| c == '/' || c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_their_folder_are_refused() {
        let long = "a".repeat(41);
        for bad in ["", ".", "..", "../a", "a/b", "a.b", "-a", "a-", "A", "a_b", "ä", "a\0", &long] {
            assert!(bad.parse::<PackName>().is_err(), "{bad:?}");
        }
        assert!("a".repeat(65).parse::<SkillName>().is_err());
        for good in ["a", "0", "a-b", &"a".repeat(40)] {
            assert_eq!(good.parse::<PackName>().unwrap().as_str(), good);
            assert_eq!(good.parse::<SkillName>().unwrap().as_str(), good);
        }
    }

    #[test]
    fn what_a_file_may_be_called() {
        for good in ["SKILL.md", "__init__.py", "two words.txt", "größe.md", "a..b"] {
            assert!(is_plain(good), "{good}");
        }
        for bad in ["", ".", "..", ".openclaw", "a/b", "/a", "a\n", "a\0", "\u{1b}[2J"] {
            assert!(!is_plain(bad), "{bad:?}");
        }
    }
}
