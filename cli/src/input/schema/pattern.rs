//! Patterns of schemas. Pure. They are Go's: the same language as that of the `regex` crate, but for `\s` and its like,
//! which know ASCII only.

use regex::Regex;

/// Whether a text holds what a pattern describes; `None` when the pattern is none.
pub fn matches(pattern: &str, text: &str) -> Option<bool> {
    Regex::new(&translated(pattern)).ok().map(|regex| regex.is_match(text))
}

/// The pattern with Go's classes written out.
fn translated(pattern: &str) -> String {
    let mut result = String::with_capacity(pattern.len());
    let mut in_class = false;
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => {
                let escaped = characters.next().unwrap_or_default();
                let class = match escaped.to_ascii_lowercase() {
                    's' => r"\t\n\x0C\r ",
                    'd' => "0-9",
                    'w' => "0-9A-Za-z_",
                    _ => {
                        result.extend(['\\', escaped]);
                        continue;
                    }
                };
                match (escaped.is_ascii_lowercase(), in_class) {
                    (true, true) => result.push_str(class),
                    (true, false) => result.push_str(&format!("[{class}]")),
                    // A class within a class is the crate's notation for their union.
                    (false, _) => result.push_str(&format!("[^{class}]")),
                }
                continue;
            }
            '[' => in_class = true,
            ']' => in_class = false,
            _ => {}
        }
        result.push(character);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_know_ascii_only() {
        // A no-break space is white space to the crate, and not to Go.
        assert_eq!(matches(r"\S", "\u{a0}"), Some(true));
        assert_eq!(matches(r"\S", " \t"), Some(false));
        assert_eq!(matches(r"^[^\s]+$", "a\u{a0}b"), Some(true));
        assert_eq!(matches(r"^[^\s]+$", "a b"), Some(false));
        assert_eq!(matches(r"^\d+$", "٣"), Some(false));
        assert_eq!(matches(r"^[\S]+$", "ab"), Some(true));
        assert_eq!(matches(r"^a\.b$", "a.b"), Some(true));
        assert_eq!(matches("(", "a"), None);
    }
}
