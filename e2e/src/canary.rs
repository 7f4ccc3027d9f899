//! Values that are planted to see where they come out. Pure, but for the random bytes in them.

use std::fs::File;
use std::io::Read;

use k8s_openapi::ByteString;

use crate::Outcome;

/// A planted value: nothing but letters and digits behind its prefix, so that no escaping changes it.
#[derive(Clone, Debug)]
pub struct Canary {
    /// What it stands for.
    pub what: &'static str,
    /// The value.
    pub value: String,
}

impl Canary {
    /// Makes one. What the value begins with may be the mark of a kind of secret, such as `sk-`.
    pub fn new(what: &'static str, prefix: &str) -> Outcome<Self> {
        let mut bytes = [0; 20];
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        let random: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { what, value: format!("{prefix}{random}") })
    }

    /// One that somebody else has made.
    pub fn found(what: &'static str, value: &str) -> Self {
        Self { what, value: value.to_owned() }
    }

    /// What the value looks like in a text: itself, and what base64 makes of it wherever it begins in what is encoded.
    pub fn looks(&self) -> Vec<String> {
        let mut looks = vec![self.value.clone()];
        looks.extend((0..3).map(|offset| encoded(self.value.as_bytes(), offset)));
        looks
    }

    /// Whether the value is in a text.
    pub fn is_in(&self, text: &str) -> bool {
        self.looks().iter().any(|look| text.contains(look))
    }
}

/// The lines of a private key in OpenSSH's form that nobody may see. The first two say no more than the kind of the key and
/// its public half.
pub fn private_lines(key: &str) -> Vec<&str> {
    let lines = key.lines().filter(|line| !line.starts_with("-----"));
    lines.skip(2).filter(|line| line.len() >= 32).collect()
}

/// The part of the base64 of something that has these bytes at an offset which depends on nothing but these bytes.
fn encoded(bytes: &[u8], offset: usize) -> String {
    let padded = [vec![0; offset], bytes.to_vec()].concat();
    let whole = serde_json::to_value(ByteString(padded.clone())).unwrap_or_default();
    // Six bits a character: those that have bits of what stands before or behind are left out.
    let (first, end) = ((offset * 8).div_ceil(6), padded.len() * 8 / 6);
    whole.as_str().and_then(|text| text.get(first..end)).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_found_wherever_it_stands_in_what_is_encoded() {
        let canary = Canary::new("a value", "sk-").unwrap();
        assert!(canary.value.len() == 43 && canary.is_in(&format!("x{}y", canary.value)));
        assert_ne!(canary.value, Canary::new("another", "sk-").unwrap().value);
        for before in ["", "a", "ab", "abc", "user:"] {
            for after in ["", "z", "\n"] {
                let text = format!("{before}{}{after}", canary.value);
                let text = serde_json::to_string(&ByteString(text.into_bytes())).unwrap();
                assert!(canary.is_in(&text), "{before:?} {after:?}");
            }
        }
        assert!(!canary.is_in(&Canary::new("another", "sk-").unwrap().value));
        assert!(canary.looks().iter().all(|look| look.len() > 40), "{:?}", canary.looks());
    }
}
