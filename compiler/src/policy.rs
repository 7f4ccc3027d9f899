//! Second stage: what the harness does not allow, and single values that can't be right. Pure.

use crate::channels;
use crate::diagnostics::{Code, Diagnostic, Diagnostics, ObjectName};
use crate::inputs::Inputs;
use crate::openclaw::{self, providers, tools};
use crate::resolve::{Resolved, ResolvedAgent};
use crate::{names, resources};

/// Checks a tenant against its harness.
pub(crate) fn check(inputs: &Inputs<'_>, resolved: &Resolved<'_>, diagnostics: &mut Diagnostics) {
    let object = &resolved.tenant.object;
    let spec = resolved.tenant.spec;
    let harness = ObjectName {
        kind: "Harness",
        name: inputs.harness.and_then(|harness| harness.metadata.name.clone()).unwrap_or_default(),
    };
    version(resolved, diagnostics);
    channels::check::check(resolved, diagnostics);
    resources::check(object, spec, diagnostics);
    names::check(resolved, &harness, diagnostics);
    credentials(resolved, diagnostics);
    tool_policy(&harness, resolved, diagnostics);
    models(&harness, resolved, diagnostics);
    for agent in &resolved.agents {
        agent_model(&harness, resolved, agent, diagnostics);
    }
}

fn version(resolved: &Resolved<'_>, diagnostics: &mut Diagnostics) {
    let version = resolved.tenant.version;
    if !openclaw::SUPPORTED_VERSIONS.contains(&version) {
        diagnostics.push(Diagnostic {
            code: Code::VersionUnsupported,
            object: resolved.tenant.object.clone(),
            field: "spec.gateway.version".into(),
            problem: format!("OpenClaw {version} is not known to this operator"),
            fix: format!("use one of: {}", openclaw::SUPPORTED_VERSIONS.join(", ")),
        });
    }
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

fn tool_policy(harness: &ObjectName, resolved: &Resolved<'_>, diagnostics: &mut Diagnostics) {
    let policy = &resolved.harness.tools;
    for (list, ids) in [("allow", &policy.allow), ("deny", &policy.deny)] {
        for (position, tool) in ids.iter().enumerate() {
            let field = format!("spec.tools.{list}[{position}]");
            if !tools::is_known(tool) {
                diagnostics.push(Diagnostic {
                    code: Code::ToolUnknown,
                    object: harness.clone(),
                    field,
                    problem: format!("{tool} is not a tool of OpenClaw {}", resolved.tenant.version),
                    fix: "use OpenClaw's ids, such as read, write, exec, web_search, group:fs".into(),
                });
            } else if list == "allow" && tools::is_reserved(tool) {
                diagnostics.push(Diagnostic {
                    code: Code::ToolReserved,
                    object: harness.clone(),
                    field,
                    problem: format!("{tool} is denied in every gateway of this operator"),
                    fix: "remove it".into(),
                });
            }
        }
    }
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
