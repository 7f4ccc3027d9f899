//! Secrets: references must lead to a provider that gives them. Pure.

use serde_json::Value;

use crate::openclaw::violation::{Place, Violation};

/// The provider that a source has without any being configured.
const BUILT_IN: &str = "default";
/// Sources that have one.
const SOURCES_WITH_BUILT_IN: &[&str] = &["env", "store"];

pub(super) fn check(root: &Place<'_>, found: &mut Vec<Violation>) {
    for (_, provider) in root.at("secrets.providers").entries() {
        own_program(&provider, found);
    }
    references(root, root, found);
}

/// A provider that is a program, in a place that nobody else can write to.
fn own_program(provider: &Place<'_>, found: &mut Vec<Violation>) {
    if provider.child("source").text() != Some("exec") {
        return;
    }
    let command = provider.child("command");
    let folders = provider.child("trustedDirs").items();
    for path in std::iter::once(command).chain(folders) {
        if path.text().is_some_and(|text| !text.starts_with('/')) {
            found.push(path.violation("must be an absolute path"));
        }
    }
}

/// Every reference, wherever it stands.
fn references(root: &Place<'_>, place: &Place<'_>, found: &mut Vec<Violation>) {
    if let Some(reference) = Reference::read(place) {
        reference.check(root, place, found);
        return;
    }
    for (_, below) in place.entries() {
        references(root, &below, found);
    }
    for below in place.items() {
        references(root, &below, found);
    }
}

/// A secret that is kept elsewhere.
struct Reference<'a> {
    source: &'a str,
    provider: &'a str,
    id: &'a str,
}

impl<'a> Reference<'a> {
    fn read(place: &Place<'a>) -> Option<Self> {
        if place.value.and_then(Value::as_object)?.len() != 3 {
            return None;
        }
        let [source, provider, id] = ["source", "provider", "id"].map(|key| place.child(key).text());
        let source = source.filter(|source| ["env", "exec", "file", "store"].contains(source))?;
        Some(Self { source, provider: provider?.trim(), id: id?.trim() })
    }

    fn check(&self, root: &Place<'_>, place: &Place<'_>, found: &mut Vec<Violation>) {
        let Self { source, provider, id } = self;
        let notation = match *source {
            "file" if !is_pointer(id) => {
                Some("must be \"value\" or a JSON pointer such as /providers/openai")
            }
            "exec" if !is_program_id(id) => {
                Some("must consist of letters, digits and . _ : / # -, without .. as a part")
            }
            _ => None,
        };
        if let Some(message) = notation {
            found.push(place.child("id").violation(message));
        }
        let configured = root.at("secrets.providers").child(provider);
        let found_source = configured.child("source").text();
        let default = root.at("secrets.defaults").child(source).word().unwrap_or(BUILT_IN);
        let built_in = SOURCES_WITH_BUILT_IN.contains(source) && *provider == default;
        match found_source {
            Some(other) if other == *source => {
                let allowlist = configured.child("allowlist");
                if allowlist.is_set() && !allowlist.items().iter().any(|entry| entry.text() == Some(id)) {
                    found.push(place.child("id").violation(format!("{id} is not in {}", allowlist.path)));
                }
            }
            _ if built_in => {}
            Some(other) => {
                let message =
                    format!("the provider {provider} has the source {other}, and {source} is asked of it");
                found.push(place.child("provider").violation(message));
            }
            None => {
                let message = format!("{provider} is not in secrets.providers");
                found.push(place.child("provider").violation(message));
            }
        }
    }
}

/// `value`, or a JSON pointer (RFC 6901).
fn is_pointer(id: &str) -> bool {
    let escapes = |segment: &str| segment.split('~').skip(1).all(|after| after.starts_with(['0', '1']));
    id == "value" || (id.starts_with('/') && id.split('/').all(escapes))
}

fn is_program_id(id: &str) -> bool {
    let may = |c: char| c.is_ascii_alphanumeric() || "._:/#-".contains(c);
    id.starts_with(|c: char| c.is_ascii_alphanumeric())
        && id.len() <= 256
        && id.chars().all(may)
        && !id.split('/').any(|part| part == "." || part == "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids() {
        for id in ["value", "/a", "/a/b~0c~1", "/"] {
            assert!(is_pointer(id), "{id}");
        }
        for id in ["", "a", "/a~2", "/a~"] {
            assert!(!is_pointer(id), "{id}");
        }
        for id in ["vault/openai/key", "aws#json_key", "a"] {
            assert!(is_program_id(id), "{id}");
        }
        for id in ["", "/a", "a/../b", "a b", "."] {
            assert!(!is_program_id(id), "{id}");
        }
    }
}
