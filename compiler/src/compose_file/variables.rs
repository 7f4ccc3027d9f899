//! Values: `$(NAME)` as kubelet replaces it, Secrets as variables of the Compose file, and `.env.example`. Pure.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{EnvVar, EnvVarSource};

use super::document::{Ordered, Text};
use super::problems::Problems;
use crate::bundle::MintedSecret;

/// The variables of the file.
#[derive(Debug)]
pub(super) struct Variables {
    /// What stands behind each.
    sources: BTreeMap<String, Source>,
    /// Those by which ports of the machine are chosen.
    ports: BTreeSet<String>,
}

/// A key of a Secret or of a ConfigMap.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Source {
    kind: &'static str,
    name: String,
    key: String,
    optional: bool,
}

impl Source {
    fn of(source: &EnvVarSource) -> Option<Self> {
        let new = |kind, name: &str, key: &str, optional: Option<bool>| Self {
            kind,
            name: name.to_owned(),
            key: key.to_owned(),
            optional: optional == Some(true),
        };
        let secret = source.secret_key_ref.as_ref();
        let secret = secret.map(|secret| new("Secret", &secret.name, &secret.key, secret.optional));
        let config_map = source.config_map_key_ref.as_ref();
        secret.or_else(|| config_map.map(|map| new("ConfigMap", &map.name, &map.key, map.optional)))
    }
}

/// The environment of a container, and what `$(NAME)` in its arguments stands for.
#[derive(Debug, Default)]
pub(super) struct Environment {
    pub(super) written: Ordered<Option<Text>>,
    known: BTreeMap<String, Text>,
}

impl Environment {
    /// A text of the container's with its `$(NAME)` replaced.
    pub(super) fn expand(&self, text: &str) -> Text {
        expand(text, |name| self.known.get(name))
    }
}

impl Variables {
    /// None yet, beside those of ports.
    pub(super) fn beside(ports: impl Iterator<Item = String>) -> Self {
        Self { sources: BTreeMap::new(), ports: ports.collect() }
    }

    /// The environment that `env`, found at `at`, gives.
    pub(super) fn environment(&mut self, env: &[EnvVar], at: &str, problems: &mut Problems) -> Environment {
        let mut environment = Environment::default();
        for (position, EnvVar { name, value, value_from }) in env.iter().enumerate() {
            let written = match value_from.as_ref().and_then(Source::of) {
                Some(source) => self.given(name, &source, &format!("{at}.env[{position}]"), problems),
                None => Some(environment.expand(value.as_deref().unwrap_or_default())),
            };
            if let Some(text) = &written {
                environment.known.insert(name.clone(), text.clone());
            }
            environment.written.0.push((name.clone(), written));
        }
        environment
    }

    fn given(&mut self, variable: &str, source: &Source, at: &str, problems: &mut Problems) -> Option<Text> {
        let Source { kind, name, key, optional } = source;
        let text = (!optional)
            .then(|| Text::required(variable, &format!("set it in .env to key {key} of {kind} {name}")));
        if self.ports.contains(variable) {
            problems
                .add(at, format!("{variable} chooses a port of this machine in the file; call it otherwise"));
        }
        let noted = self.sources.entry(variable.to_owned()).or_insert_with(|| source.clone());
        let Source { kind: other, name: of, key: instead, .. } = &*noted;
        if (other, of, instead) != (kind, name, key) {
            problems.add(
                at,
                format!(
                    "{variable} is key {instead} of {other} {of} in another container, and a file has it once"
                ),
            );
        }
        text
    }

    /// `.env.example`: every variable with the Secret that it stands for, and no value.
    pub(super) fn example(&self, tenant_id: &str, minted: &MintedSecret, ports: &[String]) -> String {
        let mut text = format!(
            "# What the Compose file of tenant {tenant_id} needs and does not hold. Copy this to .env beside it, fill it in,\n\
             # and let nobody else read it: chmod 600 .env. Put a value with a $ or a # between single quotes.\n"
        );
        for (variable, Source { kind, name, key, optional }) in &self.sources {
            text.push_str(&format!("\n# {kind} {name}, key {key}."));
            if *kind == "Secret" && minted.has(name, key) {
                text.push_str(" In a cluster the operator makes it; here you do: openssl rand -hex 32");
            }
            if *optional {
                text.push_str(" The gateway runs without it too.");
            }
            text.push_str(&format!("\n{variable}=\n"));
        }
        if !ports.is_empty() {
            text.push_str(
                "\n# Ports of this machine's loopback address, when others than these are wanted.\n",
            );
            text.extend(ports.iter().map(|port| format!("# {port}\n")));
        }
        text
    }
}

/// Replaces `$(NAME)` as kubelet does: `$$` is a dollar sign, and a name that is not known stays as it is.
fn expand<'a>(text: &str, known: impl Fn(&str) -> Option<&'a Text>) -> Text {
    let mut expanded = Text::literal("");
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push(&Text::literal(before));
        rest = if let Some(after) = after.strip_prefix('$') {
            expanded.push(&Text::literal("$"));
            after
        } else if let Some((name, after)) = after.strip_prefix('(').and_then(|open| open.split_once(')')) {
            match known(name) {
                Some(value) => expanded.push(value),
                None => expanded.push(&Text::literal(&format!("$({name})"))),
            }
            after
        } else {
            expanded.push(&Text::literal("$"));
            after
        };
    }
    expanded.push(&Text::literal(rest));
    expanded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_kubelet_are_replaced_and_dollars_stay_dollars() {
        let home = Text::literal("/a$b");
        let known = |name: &str| (name == "HOME").then_some(&home);
        for (text, written) in [
            ("plain", "plain"),
            ("${HOME} $HOME", "$${HOME} $$HOME"),
            ("$(HOME)/x", "/a$$b/x"),
            ("$$(HOME)", "$$(HOME)"),
            ("$$$(HOME)", "$$/a$$b"),
            ("$(OTHER)", "$$(OTHER)"),
            ("$(HOME", "$$(HOME"),
            ("a$", "a$$"),
            ("€$€", "€$$€"),
        ] {
            assert_eq!(serde_json::to_value(expand(text, known)).unwrap(), written, "{text}");
        }
    }
}
