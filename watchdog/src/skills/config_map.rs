//! I/O: a pack in a mounted ConfigMap, where the key `refunds.SKILL.md` is the file SKILL.md of the skill `refunds`.

use std::collections::BTreeMap;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::dir::Dir;
use crate::names::Digest;
use crate::skills::folder::{Entry, Folder};
use crate::skills::limits::{Budget, FILE_BYTES};
use crate::skills::names::{SkillName, is_plain};
use crate::skills::problem::Problem;

/// kubelet's link to the folder with the current content, which it replaces in one step.
const CURRENT: &str = "..data";
/// More keys than fit into a ConfigMap with as much content as a skill needs.
const KEYS: usize = 8192;

/// The content of a ConfigMap by key.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigMap(BTreeMap<String, Vec<u8>>);

impl ConfigMap {
    /// Reads all keys of one version of the ConfigMap. Without kubelet, it is a folder with a file for each key.
    pub fn read(mount: &Path) -> Result<Self, Problem> {
        let mount = Folder::open(mount)?;
        // The one link that is followed, and only to a folder beside it.
        let current = match mount.link(CURRENT)? {
            Some(current) => mount.folder(&current, &current)?,
            None => mount,
        };
        let mut content = BTreeMap::new();
        for entry in current.entries("the ConfigMap", KEYS)? {
            let Entry::File(key) = entry else { continue };
            let file = current.read(&key, &key, FILE_BYTES)?;
            content.insert(key, file.bytes);
        }
        if content.is_empty() { Err(Problem::NoConfigMap) } else { Ok(Self(content)) }
    }

    /// The digest of the content: of each key and its value, in the order of the keys' bytes, as a netstring
    /// (length in bytes, `:`, itself, `,`), so that no two contents are written alike.
    pub fn digest(&self) -> Digest {
        let mut hash = Sha256::new();
        for text in self.0.iter().flat_map(|(key, value)| [key.as_bytes(), value]) {
            hash.update(format!("{}:", text.len()));
            hash.update(text);
            hash.update(",");
        }
        Digest::from(hash)
    }

    /// Refuses another content than the one that is asked for.
    pub fn must_be(&self, expected: Digest) -> Result<(), Problem> {
        let actual = self.digest();
        if actual == expected { Ok(()) } else { Err(Problem::Digest { actual, expected }) }
    }

    /// Copies the files of a skill.
    pub fn copy(&self, skill: &SkillName, into: &Dir, budget: &mut Budget) -> Result<(), Problem> {
        for (key, value) in &self.0 {
            let Some((name, file)) = key.split_once('.') else { continue };
            if name != skill.as_str() {
                continue;
            }
            let path = format!("{name}/{file}");
            if !is_plain(file) {
                return Err(Problem::Name { path: path.escape_default().to_string() });
            }
            budget.entry(skill)?;
            budget.content(skill, &path, value)?;
            into.create(file, value, false).map_err(|source| Problem::Write { path, source })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(content: &[(&str, &str)]) -> ConfigMap {
        ConfigMap(content.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect())
    }

    #[test]
    fn the_digest_is_the_documented_one() {
        let map = map(&[("b.c", ""), ("a.SKILL.md", "größe\n")]);
        assert_eq!(map.digest(), Digest::of("10:a.SKILL.md,8:größe\n,3:b.c,0:,".as_bytes()));
        assert!(map.must_be(map.digest()).is_ok());
    }

    #[test]
    fn no_two_contents_have_one_digest() {
        let contents = [
            map(&[("a.b", "c")]),
            map(&[("a.bc", "")]),
            map(&[("a.b", ""), ("c", "")]),
            map(&[("a.b", "1:c,0:,")]),
            map(&[("a.b", ""), ("a.c", "")]),
        ];
        let digests: std::collections::BTreeSet<_> = contents.iter().map(ConfigMap::digest).collect();
        assert_eq!(digests.len(), contents.len());
    }

    #[test]
    fn another_content_is_refused_by_its_digest() {
        let map = map(&[("a.b", "c")]);
        let problem = map.must_be(Digest::of(b"")).unwrap_err().to_string();
        assert!(problem.contains(&map.digest().to_string()), "{problem}");
    }
}
