//! Names that become paths and names of objects. Pure.
//!
//! The schema of the resources has the same rules; here they hold for inputs that no API server has seen, and for
//! objects that were stored before a rule was made.

use kr8tiv_crds::harness::WorkspaceFile;

use crate::diagnostics::{Code, Diagnostic, Diagnostics, ObjectName};
use crate::openclaw::STANDARD_FILES;
use crate::resolve::Resolved;

/// Longest name of a tenant and longest id of an agent: the longest name made from them has 63 characters.
const LABEL_LIMIT: usize = 40;
/// Longest file name.
const FILE_LIMIT: usize = 64;
/// How the key and the value of a label are written.
pub(crate) const LABEL_FIX: &str = "use letters, digits, '-', '_' and '.', a letter or digit first and last, at most \
                                    63 of them; before a key may stand a domain and /";

/// Checks the names of a tenant, its agents and its workspace files.
pub(crate) fn check(resolved: &Resolved<'_>, diagnostics: &mut Diagnostics) {
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
            "use a-z, 0-9 and '-', a letter first and no '-' last, at most 40 characters",
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
            let fix = "use a-z, 0-9 and '-', a letter or digit first and last, at most 40 characters";
            refuse(&agent.object, "spec.agentId", agent.id, fix);
        }
    }
    files(&resolved.harness_object, &resolved.harness.workspace.files, &[], diagnostics);
    for agent in &resolved.agents {
        files(&agent.object, agent.own_files, &resolved.harness.workspace.files, diagnostics);
    }
}

/// Checks the names of an object's files, beside those that the agent has already.
fn files(
    object: &ObjectName,
    files: &[WorkspaceFile],
    present: &[WorkspaceFile],
    diagnostics: &mut Diagnostics,
) {
    for (position, file) in files.iter().enumerate() {
        let mut refuse = |code, problem, fix: &str| {
            diagnostics.push(Diagnostic {
                code,
                object: object.clone(),
                field: format!("spec.workspace.files[{position}].name"),
                problem,
                fix: fix.into(),
            });
        };
        let unusable = format!("{:?} can't be used as a name here", file.name);
        if STANDARD_FILES.iter().any(|standard| standard.eq_ignore_ascii_case(&file.name)) {
            let fix = "the operator or OpenClaw writes this file: choose another name";
            refuse(Code::NameInvalid, unusable, fix);
        } else if !is_file_name(&file.name) {
            refuse(Code::NameInvalid, unusable, "use letters, digits, '-' and '_', and end with .md");
        } else if present.iter().chain(&files[..position]).any(|other| other.name == file.name) {
            let problem = format!("the agent has a file {} already", file.name);
            refuse(Code::WorkspaceFileTaken, problem, "choose another name, or remove one of the two");
        }
    }
}

/// Whether a name is a part of a path and of an object's name, and nothing more.
pub(crate) fn is_label(name: &str, limit: usize) -> bool {
    !name.is_empty()
        && name.len() <= limit
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// Whether an object of a kind without a rule of its own can be called so (RFC 1123's names of several parts).
pub(crate) fn is_subdomain(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(|part| is_label(part, 253))
}

/// Whether a label can have this key: a domain and a slash or not, then the key. An annotation can have it also with
/// capitals in the domain.
pub(crate) fn is_key(key: &str) -> bool {
    let (domain, name) = key.rsplit_once('/').map_or((None, key), |(domain, name)| (Some(domain), name));
    domain.is_none_or(is_subdomain) && !name.is_empty() && is_label_value(name)
}

/// Whether a label can have this value.
pub(crate) fn is_label_value(value: &str) -> bool {
    let is_end = |end: Option<u8>| end.is_none_or(|byte| byte.is_ascii_alphanumeric());
    value.len() <= 63
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        && is_end(value.bytes().next())
        && is_end(value.bytes().last())
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
        for good in ["a", "example.com/Disk_type.1", "kubernetes.io/metadata.name"] {
            assert!(is_key(good), "{good}");
        }
        for bad in ["", "/a", "a/", "a/b/c", "A.com/b", "a b", "-a", &"a".repeat(64)] {
            assert!(!is_key(bad), "{bad}");
        }
        assert!(
            is_label_value("") && is_label_value("V1.2_x") && !is_label_value("a ") && !is_label_value("é")
        );
        assert!(is_subdomain("a-b.c") && !is_subdomain("a..b") && !is_subdomain("a.-b") && !is_subdomain(""));
        for (name, good) in
            [("A.md", true), ("../A.md", false), (".md", false), ("a.txt", false), ("a.b.md", false)]
        {
            assert_eq!(is_file_name(name), good, "{name}");
        }
    }
}
