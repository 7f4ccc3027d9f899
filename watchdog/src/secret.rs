//! Pure: values that nobody may see, and texts without them.

use std::fmt;

/// A secret value. It has no `Display`, and its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Secret(String);

impl Secret {
    /// Takes a value.
    pub fn new(value: String) -> Self {
        Self(value)
    }

    /// The value, for where it is needed.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// Takes known secrets out of texts of others, and bounds them.
#[derive(Debug, Clone, Default)]
pub struct Redactor {
    /// The longest first: one that is contained in another must not leave a piece of that.
    secrets: Vec<Secret>,
}

impl Redactor {
    /// For these secrets. An empty one is none.
    pub fn new(secrets: impl IntoIterator<Item = Secret>) -> Self {
        let mut secrets: Vec<_> = secrets.into_iter().filter(|secret| !secret.expose().is_empty()).collect();
        secrets.sort_by(|a, b| b.expose().len().cmp(&a.expose().len()).then_with(|| a.cmp(b)));
        secrets.dedup();
        Self { secrets }
    }

    /// The text without secrets and control characters, of at most `max_bytes` and a mark that it was cut.
    pub fn clean(&self, text: &str, max_bytes: usize) -> String {
        let mut text = text.to_owned();
        for secret in &self.secrets {
            if text.contains(secret.expose()) {
                text = text.replace(secret.expose(), "[redacted]");
            }
        }
        text = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        if text.len() > max_bytes {
            text.truncate(text.floor_char_boundary(max_bytes));
            text.push('…');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_shows_a_secret() {
        let secret = Secret::new("canary".into());
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "Secret(…) Some(Secret(…))");
        let redactor =
            Redactor::new(["canary", "canary-and-more", "", "canary"].map(|s| Secret::new(s.into())));
        assert!(!format!("{redactor:?}").contains("canary"));
        let text = "a canary, canary-and-more\nand the end";
        assert_eq!(redactor.clean(text, 100), "a [redacted], [redacted] and the end");
        assert_eq!(redactor.clean("äöü", 3), "ä…");
        assert!(!redactor.clean("0123canary", 6).contains("ca"), "it is taken out before the text is cut");
    }
}
