//! Second stage: what the harness does not allow, and single values that can't be right. Pure.

use kr8tiv_crds::Quantity;
use kr8tiv_crds::harness::ChannelName;
use kr8tiv_crds::tenant::TenantSpec;

use crate::diagnostics::{Code, Diagnostic, Diagnostics, ObjectName};
use crate::inputs::Inputs;
use crate::openclaw;
use crate::resolve::{Resolved, ResolvedAgent};

/// A gateway holds 0.8 to 1.25 GB; with less it is killed at its first turn.
const MEMORY_MINIMUM: u64 = 1 << 30;

/// Memory limit of a gateway that names none: OpenClaw's own profile for fleets.
pub(crate) const MEMORY_LIMIT: &str = "2Gi";
/// Memory request of a gateway that names none: what it holds after a turn.
pub(crate) const MEMORY_REQUEST: &str = "1280Mi";

/// Checks a tenant against its harness.
pub(crate) fn check(inputs: &Inputs<'_>, resolved: &Resolved<'_>, diagnostics: &mut Diagnostics) {
    let object = &resolved.tenant.object;
    let spec = resolved.tenant.spec;
    version(object, spec, diagnostics);
    channels(resolved, diagnostics);
    resources(object, spec, diagnostics);
    credentials(resolved, diagnostics);
    let harness = ObjectName {
        kind: "Harness",
        name: inputs.harness.and_then(|harness| harness.metadata.name.clone()).unwrap_or_default(),
    };
    tools(&harness, resolved, diagnostics);
    models(&harness, resolved, diagnostics);
    for agent in &resolved.agents {
        agent_model(&harness, resolved, agent, diagnostics);
    }
}

/// The channels that a tenant configures.
pub(crate) fn configured_channels(spec: &TenantSpec) -> Vec<ChannelName> {
    let kr8tiv_crds::tenant::Channels { telegram } = &spec.channels;
    telegram.iter().map(|_| ChannelName::Telegram).collect()
}

fn version(object: &ObjectName, spec: &TenantSpec, diagnostics: &mut Diagnostics) {
    let version = spec.gateway.version.as_str();
    if !openclaw::SUPPORTED_VERSIONS.contains(&version) {
        diagnostics.push(Diagnostic {
            code: Code::VersionUnsupported,
            object: object.clone(),
            field: "spec.gateway.version".into(),
            problem: format!("OpenClaw {version} is not known to this operator"),
            fix: format!("use one of: {}", openclaw::SUPPORTED_VERSIONS.join(", ")),
        });
    }
}

fn channels(resolved: &Resolved<'_>, diagnostics: &mut Diagnostics) {
    let allowed = &resolved.harness.channels.allow;
    let object = &resolved.tenant.object;
    for channel in configured_channels(resolved.tenant.spec) {
        if !allowed.contains(&channel) {
            diagnostics.push(Diagnostic {
                code: Code::ChannelNotAllowed,
                object: object.clone(),
                field: format!("spec.channels.{}", channel.as_str()),
                problem: format!("the Harness does not allow the channel {}", channel.as_str()),
                fix: format!(
                    "add {} to the Harness's spec.channels.allow, or remove the channel",
                    channel.as_str()
                ),
            });
        }
    }
    if let Some(telegram) = &resolved.tenant.spec.channels.telegram
        && telegram.group_allow_from.is_empty()
    {
        diagnostics.push(Diagnostic {
            code: Code::GroupsUnanswered,
            object: object.clone(),
            field: "spec.channels.telegram.groupAllowFrom".into(),
            problem: "nobody is listed, so every message in a group is ignored".into(),
            fix: "list the Telegram user ids that the agents may answer in groups".into(),
        });
    }
}

fn resources(object: &ObjectName, spec: &TenantSpec, diagnostics: &mut Diagnostics) {
    let resources = &spec.gateway.resources;
    let mut refuse = |field: &str, problem: String, fix: &str| {
        diagnostics.push(Diagnostic {
            code: Code::ResourcesInvalid,
            object: object.clone(),
            field: format!("spec.gateway.resources.{field}"),
            problem,
            fix: fix.into(),
        });
    };
    let limit = Quantity(MEMORY_LIMIT.into());
    let request = Quantity(MEMORY_REQUEST.into());
    let limit = resources.limits.memory.as_ref().unwrap_or(&limit);
    let request = resources.requests.memory.as_ref().unwrap_or(&request);
    match (limit.base_units(), request.base_units()) {
        (Some(limit_bytes), _) if limit_bytes < MEMORY_MINIMUM => refuse(
            "limits.memory",
            format!("{} is less than a gateway needs", limit.0),
            "give it at least 1Gi; 2Gi is the default",
        ),
        (Some(limit_bytes), Some(request_bytes)) if request_bytes > limit_bytes => refuse(
            "requests.memory",
            format!("the request of {} is above the limit of {}", request.0, limit.0),
            "raise limits.memory, or lower requests.memory",
        ),
        (Some(_), Some(_)) => {}
        _ => refuse(
            "limits.memory",
            "limit or request of memory is no amount".into(),
            "write bytes with a suffix, such as 2Gi",
        ),
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
        let variable = openclaw::key_variable(provider);
        if credentials[..position].iter().any(|other| openclaw::key_variable(&other.provider) == variable) {
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

fn tools(harness: &ObjectName, resolved: &Resolved<'_>, diagnostics: &mut Diagnostics) {
    let policy = &resolved.harness.tools;
    for (list, tools) in [("allow", &policy.allow), ("deny", &policy.deny)] {
        for (position, tool) in tools.iter().enumerate() {
            let field = format!("spec.tools.{list}[{position}]");
            if !openclaw::is_tool(tool) {
                diagnostics.push(Diagnostic {
                    code: Code::ToolUnknown,
                    object: harness.clone(),
                    field,
                    problem: format!(
                        "{tool} is not a tool of OpenClaw {}",
                        resolved.tenant.spec.gateway.version
                    ),
                    fix: "use OpenClaw's ids, such as read, write, exec, web_search, group:fs".into(),
                });
            } else if list == "allow" && openclaw::RESERVED_TOOLS.contains(&tool.as_str()) {
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

/// A provider that the harness describes serves exactly the models it lists; what OpenClaw's own providers serve
/// is not known here.
fn served(
    object: &ObjectName,
    field: String,
    model: &str,
    resolved: &Resolved<'_>,
    diagnostics: &mut Diagnostics,
) {
    let Some((name, id)) = model.split_once('/') else { return };
    let Some(provider) = resolved.harness.models.providers.iter().find(|provider| provider.name == name)
    else {
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
