//! Models, their providers and the keys for them. Pure.

use crate::diagnostics::{Code, Diagnostic, Diagnostics, ObjectName};
use crate::openclaw::{self, providers};
use crate::resolve::{Resolved, ResolvedAgent};

/// Checks every model of a tenant, and its keys.
pub(super) fn check(resolved: &Resolved<'_>, diagnostics: &mut Diagnostics) {
    let harness = &resolved.harness_object;
    models(harness, resolved, diagnostics);
    for agent in &resolved.agents {
        agent_model(harness, resolved, agent, diagnostics);
    }
    credentials(resolved, diagnostics);
}

fn models(harness: &ObjectName, resolved: &Resolved<'_>, diagnostics: &mut Diagnostics) {
    let models = &resolved.harness.models;
    served(harness, "spec.models.primary".into(), &models.primary, resolved, diagnostics);
    for (position, model) in models.fallbacks.iter().enumerate() {
        served(harness, format!("spec.models.fallbacks[{position}]"), model, resolved, diagnostics);
    }
}

fn agent_model(
    harness: &ObjectName,
    resolved: &Resolved<'_>,
    agent: &ResolvedAgent<'_>,
    diagnostics: &mut Diagnostics,
) {
    let Some(model) = agent.model else { return };
    let models = &resolved.harness.models;
    if models.lock && model != models.primary {
        diagnostics.push(Diagnostic {
            code: Code::ModelLocked,
            object: agent.object.clone(),
            field: "spec.model".into(),
            problem: format!("{harness} locks the model to {}, and this is {model}", models.primary),
            fix: "remove spec.model, or set spec.models.lock: false in the Harness".into(),
        });
    }
    served(&agent.object, "spec.model".into(), model, resolved, diagnostics);
}

/// A provider that the harness describes serves exactly the models it lists. What OpenClaw's own providers serve is
/// not known here; which there are, is.
fn served(
    object: &ObjectName,
    field: String,
    model: &str,
    resolved: &Resolved<'_>,
    diagnostics: &mut Diagnostics,
) {
    let Some((name, id)) = model.split_once('/') else { return };
    let own = &resolved.harness.models.providers;
    let Some(provider) = own.iter().find(|provider| provider.name == name) else {
        if providers::built_in(name).is_none() {
            let known: Vec<_> = providers::PROVIDERS.iter().map(|provider| provider.name).collect();
            diagnostics.push(Diagnostic {
                code: Code::ProviderUnknown,
                object: object.clone(),
                field,
                problem: format!("OpenClaw {} has no model provider {name}", resolved.tenant.version),
                fix: format!(
                    "describe it in the Harness's spec.models.providers, or use one of: {}",
                    known.join(", ")
                ),
            });
        }
        return;
    };
    if !provider.models.iter().any(|served| served.id == id) {
        let mut known: Vec<&str> = provider.models.iter().map(|served| served.id.as_str()).collect();
        known.sort_unstable();
        diagnostics.push(Diagnostic {
            code: Code::ModelNotServed,
            object: object.clone(),
            field,
            problem: format!("the Harness's provider {name} has no model {id}"),
            fix: format!("use one of: {}; or add {id} to the provider's models", known.join(", ")),
        });
    }
}

/// Every model that the tenant may run on.
pub(crate) fn all_models<'a>(resolved: &'a Resolved<'_>) -> impl Iterator<Item = &'a str> {
    let models = &resolved.harness.models;
    std::iter::once(models.primary.as_str())
        .chain(models.fallbacks.iter().map(String::as_str))
        .chain(resolved.agents.iter().filter_map(|agent| agent.model))
}

fn credentials(resolved: &Resolved<'_>, diagnostics: &mut Diagnostics) {
    let used: Vec<&str> = all_models(resolved).map(openclaw::provider_of).collect();
    let credentials = &resolved.tenant.spec.model_credentials;
    for (position, credential) in credentials.iter().enumerate() {
        let provider = credential.provider.as_str();
        let field = format!("spec.modelCredentials[{position}].provider");
        if !used.contains(&provider) {
            diagnostics.push(Diagnostic {
                code: Code::CredentialUnused,
                object: resolved.tenant.object.clone(),
                field: field.clone(),
                problem: format!("no model of the tenant is of the provider {provider}"),
                fix: "remove the entry, or name a model of this provider in the Harness".into(),
            });
        }
        let variable = providers::key_variable(provider);
        if credentials[..position].iter().any(|other| providers::key_variable(&other.provider) == variable) {
            diagnostics.push(Diagnostic {
                code: Code::CredentialClash,
                object: resolved.tenant.object.clone(),
                field,
                problem: format!("another entry's key is in the environment variable {variable} as well"),
                fix: "keep one entry for the provider".into(),
            });
        }
    }
}
