//! Status stage, pure: what is said of a tenant's memory.

use kr8tiv_compiler::{Bundle, MemorySettings};
use kr8tiv_crds::TenantStatus;
use kr8tiv_crds::status::{ConditionType, Finding, Reason};
use kr8tiv_crds::tenant::{TenantMemory, TenantSpec};

use super::Facts;
use super::verdict::finding;

/// What a status says of memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// The condition `MemoryHealthy`; `None` when there is nothing to say: the Harness asks for nothing and the Tenant has
    /// no key.
    pub finding: Option<Finding>,
    /// `status.memory`.
    pub memory: Option<TenantMemory>,
}

/// Builds what a status says. Times are taken over from the one before unless something of meaning has changed, or
/// another bundle has the status written anyway: a refresh alone must not be a write.
pub fn report(tenant: &TenantSpec, bundle: &Bundle, facts: &Facts, previous: &TenantStatus) -> Report {
    let Some(settings) = &bundle.memory else {
        let message =
            "the Harness asks for no context; set its spec.supermemory.enabled to true to use the key";
        let finding = tenant.supermemory.as_ref().map(|_| finding(Reason::Disabled, message));
        return Report { finding, memory: None };
    };
    let fresh = TenantMemory {
        last_success: facts.last_success.clone(),
        lines: i64::try_from(facts.lines.len()).unwrap_or(i64::MAX),
        latency: facts.latency.map(rounded),
        ingested: facts.ingested.clone(),
    };
    let finding = said(tenant, settings, facts);
    let same = previous.memory.as_ref().filter(|memory| {
        (memory.lines, &memory.ingested) == (fresh.lines, &fresh.ingested)
            && previous.bundle_hash.as_ref() == Some(&bundle.hash)
            && kept(previous).as_ref() == Some(&finding)
    });
    let memory = same.cloned().unwrap_or(fresh);
    Report { finding: Some(finding), memory: Some(memory) }
}

fn said(tenant: &TenantSpec, settings: &MemorySettings, facts: &Facts) -> Finding {
    if tenant.supermemory.is_none() {
        let message =
            "the Harness asks for context, and spec.supermemory.apiKeySecretRef names no key for it";
        return finding(Reason::NoApiKey, message);
    }
    if settings.queries.is_empty() && settings.seed.is_none() {
        return finding(
            Reason::Disabled,
            "the Harness has no query in spec.supermemory.queries: nothing is fetched",
        );
    }
    // What was said while nothing was asked says nothing of what is asked now.
    let found = facts.finding.as_ref().filter(|found| found.reason != Reason::Disabled);
    found.cloned().unwrap_or_else(|| finding(Reason::Starting, "Supermemory has not been asked yet"))
}

/// What was said before, for a pass that did not get as far.
pub fn kept(previous: &TenantStatus) -> Option<Finding> {
    let mut conditions = previous.conditions.iter();
    let condition = conditions.find(|condition| condition.type_ == ConditionType::MemoryHealthy.as_str());
    condition.and_then(Finding::kept)
}

/// Whole milliseconds: what is written must be what is read back.
fn rounded(latency: std::time::Duration) -> kr8tiv_crds::duration::Duration {
    let millis = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
    std::time::Duration::from_millis(millis).into()
}
