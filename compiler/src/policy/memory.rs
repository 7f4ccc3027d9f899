//! Memory: the tag, the key and the queries. Pure.

use crate::diagnostics::{Code, Diagnostics};
use crate::policy::Findings;
use crate::resolve::Resolved;

/// Longest tag that Supermemory takes.
const TAG_LIMIT: usize = 100;

/// Checks what Supermemory needs.
pub(super) fn check(resolved: &Resolved<'_>, diagnostics: &mut Diagnostics) {
    let tenant = &resolved.tenant;
    let harness = &resolved.harness_object;
    let mut findings = Findings { object: &tenant.object, diagnostics };
    let tag = tenant.container_tag.as_str();
    let valid = !tag.is_empty()
        && tag.len() <= TAG_LIMIT
        && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if !valid {
        let fix = format!("use letters, digits, '-' and '_', at most {TAG_LIMIT}");
        let own = tenant.spec.container_tag.is_some();
        let field = if own { "spec.containerTag" } else { "spec.tenantId" };
        findings.add(
            Code::ContainerTagInvalid,
            field,
            format!("the memory tag {tag:?} is none that Supermemory takes"),
            fix,
        );
    }
    let memory = &resolved.harness.supermemory;
    if !memory.enabled {
        return;
    }
    if tenant.spec.supermemory.is_none() {
        findings.add(
            Code::MemoryKeyMissing,
            "spec.supermemory.apiKeySecretRef",
            format!("{harness} wants context from Supermemory, and there is no key for it"),
            "name the Secret with the key, or set spec.supermemory.enabled: false in the Harness",
        );
    }
    if memory.queries.is_empty() {
        Findings { object: harness, diagnostics }.add(
            Code::MemoryUnqueried,
            "spec.supermemory.queries",
            "there is no query, so no context is ever fetched",
            "say what is to be looked up, such as \"preferences of the people of this tenant\"",
        );
    }
}
