//! Names that become paths and names of objects. Pure.
//!
//! The schema of the resources has the same rules; here they hold for inputs that no API server has seen, and for
//! objects that were stored before a rule was made.

use crate::diagnostics::{Code, Diagnostic, Diagnostics, ObjectName};
use crate::openclaw::STANDARD_FILES;
use crate::resolve::Resolved;

/// Longest name of a tenant and longest id of an agent: the longest name made from them has 63 characters.
const LABEL_LIMIT: usize = 40;
/// Longest file name.
const FILE_LIMIT: usize = 64;

/// Checks the names of a tenant, its agents and its workspace files.
pub(crate) fn check(resolved: &Resolved<'_>, harness: &ObjectName, diagnostics: &mut Diagnostics) {
    let tenant = &resolved.tenant;
    let mut refuse = |object: &ObjectName, field: &str, name: &str, fix: &str| {
        diagnostics.push(Diagnostic {
            code: Code::NameInvalid,
            object: object.clone(),
            field: field.into(),
            problem: format!("{name:?} can't be used as a name here"),
            fix: fix.into(),
        });
    };
    if !is_label(tenant.name, LABEL_LIMIT) || !tenant.name.starts_with(|c: char| c.is_ascii_lowercase()) {
        refuse(
            &tenant.object,
            "metadata.name",
            tenant.name,
            "use a-z, 0-9 and '-', a letter first, at most 40 characters",
        );
    }
    if !is_label(&tenant.id, LABEL_LIMIT + "-01234567".len()) {
        refuse(
            &tenant.object,
            "spec.tenantId",
            &tenant.id,
            "use a slug of a-z, 0-9 and '-', then '-' and eight hexadecimal digits",
        );
    }
    for agent in &resolved.agents {
        if !is_label(agent.id, LABEL_LIMIT) {
            refuse(&agent.object, "spec.agentId", agent.id, "use a-z, 0-9 and '-', at most 40 characters");
        }
    }
    for (position, file) in resolved.harness.workspace.files.iter().enumerate() {
        let field = format!("spec.workspace.files[{position}].name");
        if STANDARD_FILES.iter().any(|standard| standard.eq_ignore_ascii_case(&file.name)) {
            refuse(
                harness,
                &field,
                &file.name,
                "the operator or OpenClaw writes this file: choose another name",
            );
        } else if !is_file_name(&file.name) {
            refuse(harness, &field, &file.name, "use letters, digits, '-' and '_', and end with .md");
        }
    }
}

pub(crate) fn is_label(name: &str, limit: usize) -> bool {
    !name.is_empty()
        && name.len() <= limit
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}

fn is_file_name(name: &str) -> bool {
    name.strip_suffix(".md").is_some_and(|stem| {
        name.len() <= FILE_LIMIT
            && stem.starts_with(|c: char| c.is_ascii_alphanumeric())
            && stem.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_name() {
        for good in ["a", "acme-2", "0a"] {
            assert!(is_label(good, 40), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a.b", "../a", "a/b", "ä"] {
            assert!(!is_label(bad, 40), "{bad}");
        }
        for (name, good) in
            [("A.md", true), ("../A.md", false), (".md", false), ("a.txt", false), ("a.b.md", false)]
        {
            assert_eq!(is_file_name(name), good, "{name}");
        }
    }
}
