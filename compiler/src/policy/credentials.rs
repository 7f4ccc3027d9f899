//! Secrets: none in a text, none used twice. Pure.

use kr8tiv_crds::meta;
use serde_json::Value;

use crate::channels::{CredentialClaim, credential_claims};
use crate::diagnostics::{Code, Diagnostic, Diagnostics, ObjectName};
use crate::inputs::Inputs;
use crate::policy::Findings;
use crate::resolve::{Resolved, agent_id, asked_rotation};
use crate::secret_marks;

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
    let Ok(spec) = spec else { return };
    walk("spec", spec, &mut |field, text| {
        for kind in secret_marks::kinds(text) {
            diagnostics.push(Diagnostic {
                code: Code::SecretInText,
                object: object.clone(),
                field: field.to_owned(),
                problem: format!("the text holds what looks like {kind}"),
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
