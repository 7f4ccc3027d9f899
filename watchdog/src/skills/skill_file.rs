//! Checking stage, pure: would OpenClaw list a SKILL.md under the name of its folder?
//!
//! OpenClaw lists a skill by the name in the front matter, and agents are given skills by name: one that calls itself
//! something else would be listed to nobody, or in another's place.

use serde::Deserialize;
use serde_saphyr_reader as serde_saphyr;

use crate::skills::limits::SKILL_FILE_BYTES;
use crate::skills::names::SkillName;

const DELIMITER: &str = "---";

#[derive(Deserialize)]
struct FrontMatter {
    name: String,
    description: String,
}

/// Checks the content of a skill's SKILL.md; the reason is a part of a sentence and has none of the content.
pub fn check(skill: &SkillName, content: &[u8]) -> Result<(), &'static str> {
    if content.len() > SKILL_FILE_BYTES {
        return Err("it is larger than 256000 bytes, which OpenClaw does not read");
    }
    let text = std::str::from_utf8(content).map_err(|_| "it is not UTF-8")?;
    let front_matter =
        front_matter(text).ok_or("it does not begin with a front matter between two lines ---")?;
    let FrontMatter { name, description } = serde_saphyr::from_str(&front_matter)
        .or_else(|_| serde_saphyr::from_str(&quoted_description(&front_matter)))
        .map_err(|_| "its front matter is not YAML with the texts name and description")?;
    if name.trim() != skill.as_str() {
        return Err("the name in its front matter is not that of its folder");
    }
    if description.trim().is_empty() {
        return Err("the description in its front matter is empty");
    }
    Ok(())
}

/// The lines between the first two delimiters.
fn front_matter(text: &str) -> Option<String> {
    let mut lines = text.lines();
    let is_delimiter = |line: &&str| line.trim_end() == DELIMITER;
    lines.next().filter(is_delimiter)?;
    let mut block = String::new();
    loop {
        let line = lines.next()?;
        if is_delimiter(&line) {
            return Some(block);
        }
        block.push_str(line);
        block.push('\n');
    }
}

/// OpenClaw forgives a description with a colon that is not in quotes, as many packs have it.
fn quoted_description(block: &str) -> String {
    let line = |line: &str| match line.strip_prefix("description: ") {
        // A text in double quotes of JSON is one of YAML.
        Some(text) => format!("description: {}\n", serde_json::Value::from(text)),
        None => format!("{line}\n"),
    };
    block.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(content: &str) -> Result<(), &'static str> {
        check(&"refunds".parse().unwrap(), content.as_bytes())
    }

    #[test]
    fn what_is_a_skill() {
        for good in [
            "---\nname: refunds\ndescription: d\n---\n",
            "---\nname: refunds\ndescription: d\n---",
            "---  \r\nname: 'refunds'\r\ndescription: >\r\n  two\r\n  lines\r\nmetadata: {a: {b: [c]}}\r\n---\r\n# x\r\n---\r\n",
            "---\ndescription: Use it: always\nname: \"refunds\"\n---\ntext",
        ] {
            assert_eq!(verdict(good), Ok(()), "{good}");
        }
        for (bad, reason) in [
            ("", "does not begin"),
            ("# refunds\n---\nname: refunds\ndescription: d\n---\n", "does not begin"),
            ("---\nname: refunds\ndescription: d\n", "does not begin"),
            ("---\nname: refunds\n---\n", "name and description"),
            ("---\ndescription: d\n---\n", "name and description"),
            ("---\n[refunds]\n---\n", "name and description"),
            ("---\nname: refunds\nname: refunds\ndescription: d\n---\n", "name and description"),
            ("---\nname: refunds\ndescription: d\nother: [\n---\n", "name and description"),
            ("---\nname: Refunds\ndescription: d\n---\n", "not that of its folder"),
            ("---\nname: payments\ndescription: d\n---\n", "not that of its folder"),
            ("---\nname: refunds\ndescription: ''\n---\n", "is empty"),
            (&format!("---\nname: refunds\ndescription: d\n---\n{}", "x".repeat(256_000)), "larger"),
        ] {
            assert!(verdict(bad).unwrap_err().contains(reason), "{bad:.80}");
        }
        assert!(check(&"refunds".parse().unwrap(), b"---\nname: \xff\n---\n").unwrap_err().contains("UTF-8"));
    }

    #[test]
    fn a_small_file_can_not_become_a_large_one() {
        let doubled: String = (1..30).map(|n| format!("a{n}: &a{n} [*a{0}, *a{0}]\n", n - 1)).collect();
        let bomb = format!("---\na0: &a0 x\n{doubled}name: refunds\ndescription: d\n---\n");
        // Whether it is taken or refused does not matter; that this line is reached does.
        let _ = verdict(&bomb);
    }
}
