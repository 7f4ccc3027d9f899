//! How the parts of an installation are written where a command line has them. Pure.

use crate::names::{is_key, is_label, is_label_value};

/// Why a text is no part of an installation.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InstallationError {
    /// It is no reference of an image.
    #[error("must be an image reference such as registry.example/name:tag")]
    Image,
    /// It is the reference of one image, and a repository is expected.
    #[error("must be without tag and digest: a Tenant's spec.gateway.version is the tag")]
    Repository,
    /// It is no URL, or has credentials: they would be readable in every Pod.
    #[error("must be a URL such as https://npm.example.com/ without credentials")]
    Registry,
    /// It is no namespace.
    #[error("must be a-z, 0-9 and '-', a letter or digit first and last, at most 63 characters")]
    Namespace,
    /// It is no label. None at all would mean every Pod of the namespace.
    #[error("must be a label such as app=operator")]
    Label,
}

/// Reads the reference of an image.
pub fn image(text: &str) -> Result<String, InstallationError> {
    let is_reference = !text.is_empty() && !text.chars().any(char::is_whitespace);
    is_reference.then(|| text.to_owned()).ok_or(InstallationError::Image)
}

/// Reads a repository of images, which has no tag and may have a port.
pub fn repository(text: &str) -> Result<String, InstallationError> {
    let text = image(text)?;
    let is_plain = !text.rsplit('/').next().unwrap_or_default().contains([':', '@']);
    is_plain.then_some(text).ok_or(InstallationError::Repository)
}

/// Reads the URL of a mirror of the npm registry.
pub fn registry(text: &str) -> Result<String, InstallationError> {
    let address = ["https://", "http://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    let is_plain = |rest: &str| {
        !rest.is_empty() && !rest.contains(['@', '?', '#']) && !rest.contains(char::is_whitespace)
    };
    address.is_some_and(is_plain).then(|| text.to_owned()).ok_or(InstallationError::Registry)
}

/// Reads the name of a namespace.
pub fn namespace(text: &str) -> Result<String, InstallationError> {
    is_label(text, 63).then(|| text.to_owned()).ok_or(InstallationError::Namespace)
}

/// Reads a label, `KEY=VALUE`.
pub fn label(text: &str) -> Result<(String, String), InstallationError> {
    let pair = text.split_once('=').filter(|(key, value)| is_key(key) && is_label_value(value));
    pair.map(|(key, value)| (key.to_owned(), value.to_owned())).ok_or(InstallationError::Label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_an_installation() {
        for (good, bad) in
            [("localhost:5000/openclaw", "a/b:1"), ("a", "a@sha256:00"), ("a/b", ""), ("a", "a b")]
        {
            assert!(repository(good).is_ok() && repository(bad).is_err(), "{good}, {bad}");
        }
        assert!(image("a/b:1").is_ok() && image("a\tb").is_err());
        for good in ["https://npm.example.com/", "http://npm.example.com:4873"] {
            assert_eq!(registry(good).as_deref(), Ok(good));
        }
        let bad = [
            "npm.example.com",
            "https://",
            "https://user:word@npm.example.com/",
            "https://a b/",
            "https://a\tb/",
        ];
        for bad in bad {
            assert_eq!(registry(bad), Err(InstallationError::Registry), "{bad}");
        }
        assert!(namespace("kr8tiv-system").is_ok());
        for bad in ["", "-a", "a.b", "A", &"a".repeat(64)] {
            assert!(namespace(bad).is_err(), "{bad}");
        }
        assert_eq!(label("example.com/a="), Ok(("example.com/a".into(), String::new())));
        for bad in ["", "a", "=b", "a b=c", "a=b c", "a=b=c"] {
            assert!(label(bad).is_err(), "{bad}");
        }
    }
}
