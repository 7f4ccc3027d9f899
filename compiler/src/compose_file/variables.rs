//! Values: `$(NAME)` as kubelet replaces it, Secrets as variables of the Compose file, and `.env.example`. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{EnvVar, SecretKeySelector};
use kr8tiv_crds::reference::SecretKeyReference;

use super::document::{Ordered, Text};
use super::problems::Problems;

/// The Secrets that stand behind variables, by variable.
#[derive(Debug, Default)]
pub(super) struct Variables(BTreeMap<String, SecretKeySelector>);

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
    /// The environment that `env`, found at `at`, gives.
    pub(super) fn environment(&mut self, env: &[EnvVar], at: &str, problems: &mut Problems) -> Environment {
        let mut environment = Environment::default();
        for (position, EnvVar { name, value, value_from }) in env.iter().enumerate() {
            let secret = value_from.as_ref().and_then(|source| source.secret_key_ref.as_ref());
            let written = match secret {
                Some(secret) => self.secret(name, secret, &format!("{at}.env[{position}]"), problems),
                None => Some(environment.expand(value.as_deref().unwrap_or_default())),
            };
            if let Some(text) = &written {
                environment.known.insert(name.clone(), text.clone());
            }
            environment.written.0.push((name.clone(), written));
        }
        environment
    }

    fn secret(
        &mut self,
        variable: &str,
        secret: &SecretKeySelector,
        at: &str,
        problems: &mut Problems,
    ) -> Option<Text> {
        let noted = self.0.entry(variable.to_owned()).or_insert_with(|| secret.clone());
        if (&noted.name, &noted.key) != (&secret.name, &secret.key) {
            problems.add(
                at,
                format!("{variable} is another key of a Secret in another container, and a file has it once"),
            );
        }
        let required = secret.optional != Some(true);
        required.then(|| {
            Text::required(
                variable,
                &format!("set it in .env to key {} of Secret {}", secret.key, secret.name),
            )
        })
    }

    /// `.env.example`: every variable with the Secret that it stands for, and no value.
    pub(super) fn example(
        &self,
        tenant_id: &str,
        minted: Option<&SecretKeyReference>,
        ports: &[String],
    ) -> String {
        let mut text = format!(
            "# What the Compose file of tenant {tenant_id} needs and does not hold. Copy this to .env beside it, fill it in,\n\
             # and let nobody else read it: chmod 600 .env. Put a value with a $ or a # between single quotes.\n"
        );
        for (variable, SecretKeySelector { name, key, optional }) in &self.0 {
            text.push_str(&format!("\n# Secret {name}, key {key}."));
            if minted.is_some_and(|minted| minted.name == *name && minted.key == *key) {
                text.push_str(" In a cluster the operator makes it; here you do: openssl rand -hex 32");
            }
            if *optional == Some(true) {
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
