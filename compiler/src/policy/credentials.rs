//! Secrets: none in a text, none used twice. Pure.

use std::sync::LazyLock;

use kr8tiv_crds::meta;
use regex::RegexSet;
use serde_json::Value;

use crate::channels::{CredentialClaim, credential_claims};
use crate::diagnostics::{Code, Diagnostic, Diagnostics, ObjectName};
use crate::inputs::Inputs;
use crate::policy::Findings;
use crate::resolve::{Resolved, agent_id, asked_rotation};

/// What keys and tokens of well-known services look like. Each has a mark that ordinary text does not have.
const SECRETS: [(&str, &str); 9] = [
    (r"\bsk-[A-Za-z0-9_-]{20,}", "an API key of a model provider"),
    (r"\bxox[abeprs]-[A-Za-z0-9-]{10,}|\bxapp-[A-Za-z0-9-]{10,}", "a Slack token"),
    (r"\bgh[opsur]_[A-Za-z0-9]{30,}|\bgithub_pat_[A-Za-z0-9_]{30,}", "a GitHub token"),
    (r"\bAKIA[A-Z0-9]{16}\b", "an AWS access key"),
    (r"\bAIza[A-Za-z0-9_-]{35}", "a Google API key"),
    (r"\bhf_[A-Za-z0-9]{30,}", "a Hugging Face token"),
    (r"\b[0-9]{8,10}:[A-Za-z0-9_-]{35}\b", "a Telegram bot token"),
    (r"-----BEGIN [A-Z ]*PRIVATE KEY-----", "a private key"),
    (r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}", "a signed token (JWT)"),
];

/// The marks, compiled once. They are constants that a test compiles: they can't fail here.
static MARKS: LazyLock<Option<RegexSet>> =
    LazyLock::new(|| RegexSet::new(SECRETS.map(|(pattern, _)| pattern)).ok());

/// Looks for secrets in everything that ends up in a ConfigMap, and for tokens that somebody else has.
pub(super) fn check(inputs: &Inputs<'_>, resolved: &Resolved<'_>, diagnostics: &mut Diagnostics) {
    let tenant = &resolved.tenant;
    texts(&resolved.harness_object, &serde_json::to_value(resolved.harness), diagnostics);
    texts(&tenant.object, &serde_json::to_value(tenant.spec), diagnostics);
    for agent in inputs.agents {
        let object = ObjectName {
            kind: "Agent",
            name: agent.metadata.name.clone().unwrap_or_else(|| agent_id(agent).into()),
        };
        texts(&object, &serde_json::to_value(&agent.spec), diagnostics);
    }
    rotation(inputs, resolved, diagnostics);
    for CredentialClaim { field, secret, .. } in credential_claims(tenant.spec) {
        if let Some(holder) = inputs.surroundings.taken_tokens.get(&secret) {
            Findings { object: &tenant.object, diagnostics }.add(
                Code::TokenTaken,
                field,
                format!("Tenant {}, {} has the same token", holder.tenant, holder.field),
                "give each its own bot: two consumers of one token take each other's messages",
            );
        }
    }
}

/// A token of the user's is the user's to change.
fn rotation(inputs: &Inputs<'_>, resolved: &Resolved<'_>, diagnostics: &mut Diagnostics) {
    let tenant = &resolved.tenant;
    if let (Some(_), Some(secret)) = (asked_rotation(inputs.tenant), &tenant.spec.gateway.token_secret_ref) {
        Findings { object: &tenant.object, diagnostics }.add(
            Code::RotationUnused,
            format!("metadata.annotations[{}]", meta::ROTATE_TOKEN),
            format!("the gateway's token is yours, in Secret {}, which the operator does not change", secret.name),
            "put a new token into a Secret of another name and name that in spec.gateway.tokenSecretRef, or remove \
             tokenSecretRef for a token of the operator's",
        );
    }
}

fn texts(object: &ObjectName, spec: &Result<Value, serde_json::Error>, diagnostics: &mut Diagnostics) {
    // Types of ours with string keys always become JSON.
    let (Ok(spec), Some(marks)) = (spec, &*MARKS) else { return };
    walk("spec", spec, &mut |field, text| {
        for mark in marks.matches(text) {
            diagnostics.push(Diagnostic {
                code: Code::SecretInText,
                object: object.clone(),
                field: field.to_owned(),
                problem: format!("the text holds what looks like {}", SECRETS[mark].1),
                fix: "put it into a Secret and refer to that, take it out of here, and have it changed where it was issued".into(),
            });
        }
    });
}

fn walk(path: &str, value: &Value, found: &mut impl FnMut(&str, &str)) {
    match value {
        Value::String(text) => found(path, text),
        Value::Array(list) => {
            for (position, value) in list.iter().enumerate() {
                walk(&format!("{path}[{position}]"), value, found);
            }
        }
        Value::Object(map) => {
            for (key, value) in map {
                walk(&format!("{path}.{key}"), value, found);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_and_prose_is_not() {
        let marks = MARKS.as_ref().unwrap();
        for (text, expected) in [
            ("use sk-ant-api03-abcdefghijklmnopqrst here", Some(0)),
            ("xoxb-1234567890-abc", Some(1)),
            ("1234567890:AAabcdefghijklmnopqrstuvwxyz0123456", Some(6)),
            ("-----BEGIN RSA PRIVATE KEY-----", Some(7)),
            ("ask-me-anything about risk-management-and-insurance", None),
            ("the task-force-for-data-protection meets at 12:30", None),
            ("run git commit and push to github_pages", None),
        ] {
            assert_eq!(marks.matches(text).iter().next(), expected, "{text}");
        }
    }
}
