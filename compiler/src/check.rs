//! Last stage: would OpenClaw refuse the configuration, and is anything larger than it or the API server take? Pure.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::bundle::{Object, WorkspaceFile};
use crate::diagnostics::{Code, Diagnostic, Diagnostics, ObjectName};
use crate::openclaw::{
    FILE_LIMIT, INJECTED_FILES, USER_FILE_LIMIT, Violation, WORKSPACE_LIMIT, config_violations, length,
};
use crate::resolve::ResolvedAgent;

/// The API server refuses a ConfigMap of more than 1 MiB, and etcd a request of more than 1.5 MiB. Below both, with
/// room for what the API server adds.
pub(crate) const OBJECT_LIMIT: usize = 1_000_000;

/// Checks the configuration as OpenClaw does. What the tenant added itself is named by its field; anything else is a
/// value of the harness, the tenant or an agent that OpenClaw does not take there.
pub(crate) fn configuration(
    tenant: &ObjectName,
    config: &Value,
    added: &[String],
    diagnostics: &mut Diagnostics,
) {
    for Violation { path, message } in config_violations(config) {
        let own = added.iter().any(|added| {
            path.strip_prefix(added.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        });
        let (field, fix) = if own {
            let fix = "write it as OpenClaw's configuration reference says, or remove it";
            (format!("spec.gateway.config.{path}"), fix)
        } else {
            (format!("openclaw.json {path}"), "change the field that the value comes from")
        };
        diagnostics.push(Diagnostic {
            code: Code::ConfigInvalid,
            object: tenant.clone(),
            field,
            problem: message,
            fix: fix.into(),
        });
    }
}

/// Checks one agent's workspace. OpenClaw cuts the middle out of what is too long, without a word to anyone.
pub(crate) fn workspace(
    agent: &ResolvedAgent<'_>,
    files: &BTreeMap<String, WorkspaceFile>,
    diagnostics: &mut Diagnostics,
) {
    let mut total = 0;
    for (name, file) in files.iter().filter(|(name, _)| INJECTED_FILES.contains(&name.as_str())) {
        let characters = length(&file.content);
        total += characters;
        // By the schema a Tenant's name is too short for that of USER.md. It holds for what no API server has seen.
        let limit = if name == "USER.md" { USER_FILE_LIMIT } else { FILE_LIMIT };
        if characters > limit {
            diagnostics.push(Diagnostic {
                code: Code::FileTooLong,
                object: agent.object.clone(),
                field: format!("workspace {name}"),
                problem: format!(
                    "the file has {characters} characters, and OpenClaw gives {limit} of them to the model"
                ),
                fix: "shorten the sections of the Harness that it is made from".into(),
            });
        }
    }
    if total > WORKSPACE_LIMIT {
        diagnostics.push(Diagnostic {
            code: Code::WorkspaceTooLong,
            object: agent.object.clone(),
            field: "workspace".into(),
            problem: format!(
                "the files have {total} characters together, and OpenClaw gives {WORKSPACE_LIMIT} of them to the model"
            ),
            fix: "shorten the Harness, or move details to spec.workspace.files, which is read on demand".into(),
        });
    }
}

/// Checks the objects' sizes.
pub(crate) fn objects(tenant: &ObjectName, objects: &[Object], diagnostics: &mut Diagnostics) {
    for object in objects {
        let bytes = size(object);
        if bytes > OBJECT_LIMIT {
            diagnostics.push(Diagnostic {
                code: Code::ObjectTooLarge,
                object: tenant.clone(),
                field: format!("{} {}", object.kind(), object.metadata().name.as_deref().unwrap_or_default()),
                problem: format!(
                    "the object has {bytes} bytes, and Kubernetes stores {OBJECT_LIMIT} at most"
                ),
                fix: "shorten the files in the Harness's spec.workspace, or split the tenant".into(),
            });
        }
    }
}

fn size<T: Serialize>(object: &T) -> usize {
    serde_json::to_string(object).map_or(usize::MAX, |text| text.len())
}
