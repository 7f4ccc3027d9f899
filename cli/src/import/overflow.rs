//! Converting stage, pure: workspace files for what does not fit into its field. Agents open them on demand, so that a
//! text that is moved there is kept, and is no longer in every turn.

use serde_json::{Value, json};

/// Most characters of a file, as JavaScript counts them: below what OpenClaw reads of one, and what the schema takes.
const FILE_CHARACTERS: usize = 19_000;
/// Most files; the schema takes no more.
const FILES: usize = 16;
/// Most bytes of all files: a Harness must fit into one object, whose limit in etcd is 1.5 MiB.
const BYTES: usize = 400_000;

/// The files.
#[derive(Clone, Debug, Default)]
pub struct Overflow {
    files: Vec<Value>,
    bytes: usize,
}

/// Where a text was put.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stored {
    /// The file that it begins in.
    pub file: String,
    /// Characters at its end that no file had room for.
    pub missing: usize,
}

impl Overflow {
    /// Puts a text into files, `NAME.md` and, as far as it needs them, `NAME-2.md` and so on. `None` when there is no
    /// room at all.
    pub fn store(&mut self, name: &str, description: &str, text: &str) -> Option<Stored> {
        let mut rest = text;
        let mut number = 1;
        while !rest.is_empty() && self.files.len() < FILES {
            let part = self.part(rest);
            if part.is_empty() {
                break;
            }
            let (file, description) = match number {
                1 => (format!("{name}.md"), description.to_owned()),
                _ => (format!("{name}-{number}.md"), format!("{description}, part {number}")),
            };
            self.files.push(json!({"name": file, "description": description, "content": part}));
            self.bytes += part.len();
            rest = &rest[part.len()..];
            number += 1;
        }
        (number > 1).then(|| Stored { file: format!("{name}.md"), missing: rest.chars().count() })
    }

    /// As much of a text as one more file takes; to the end of a line, where that leaves more than half.
    fn part<'t>(&self, text: &'t str) -> &'t str {
        let mut characters = 0;
        let mut bytes = 0;
        for character in text.chars() {
            characters += character.len_utf16();
            if characters > FILE_CHARACTERS || self.bytes + bytes + character.len_utf8() > BYTES {
                let part = &text[..bytes];
                let line_end = part.rfind('\n').map_or(0, |feed| feed + 1);
                return if line_end > bytes / 2 { &text[..line_end] } else { part };
            }
            bytes += character.len_utf8();
        }
        text
    }

    /// The files, as a Harness has them.
    pub fn into_files(self) -> Vec<Value> {
        self.files
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_split_at_lines_and_kept_whole() {
        let text = "a line of some words\n".repeat(2000);
        let mut overflow = Overflow::default();
        let stored = overflow.store("DUTIES", "all duties", &text).unwrap();
        assert_eq!(stored, Stored { file: "DUTIES.md".into(), missing: 0 });
        let files = overflow.into_files();
        assert_eq!(files.len(), 3);
        assert_eq!(files[2]["name"], "DUTIES-3.md");
        let parts: Vec<&str> = files.iter().map(|file| file["content"].as_str().unwrap()).collect();
        assert!(parts.iter().all(|part| part.ends_with('\n')));
        assert_eq!(parts.concat(), text);
    }

    #[test]
    fn what_no_file_has_room_for_is_counted() {
        let mut overflow = Overflow::default();
        let text = "\u{1f980}".repeat(BYTES);
        let stored = overflow.store("A", "a", &text).unwrap();
        let kept: usize =
            overflow.files.iter().map(|file| file["content"].as_str().unwrap().chars().count()).sum();
        assert_eq!(kept + stored.missing, BYTES);
        assert_eq!(kept, BYTES / 4, "the limit of bytes");
        assert_eq!(overflow.store("B", "b", "text"), None);
    }
}
