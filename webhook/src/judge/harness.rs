//! Decision stage, pure: a Harness by itself, and for those who use it.

use kr8tiv_compiler::{Code, Diagnostic, ObjectName, Platform};
use kr8tiv_crds::{Harness, Tenant};
use kr8tiv_operator::key::Key;
use serde_json::json;

use super::{Parts, Refusal, Verdict, introduced, shortened, verdict};
use crate::neighbours::{Neighbours, User};
use crate::review::Change;

/// The tenant that a Harness is compiled for when it is looked at by itself.
const EXAMPLE: &str = "example";
/// A message names this many Tenants.
const NAMED: usize = 5;

/// Judges a Harness. It answers for what is wrong in itself. What it breaks for those who use it is told: their gateways
/// go on with what they have, and whoever owns a Harness must not need the leave of everybody who uses it.
pub fn harness(change: &Change<Harness>, users: &[User], platform: &Platform) -> Verdict {
    let before = || change.old.as_ref().map(|old| alone(old, platform)).unwrap_or_default();
    let mut verdict =
        verdict(before, &alone(&change.new, platform), |problem, _| problem.object.kind == "Harness");
    if verdict.refusal.is_none() {
        let own = change.new.metadata.namespace.as_deref().unwrap_or_default();
        verdict.warnings.extend(users.iter().flat_map(|user| broken(change, user, own, platform)));
        verdict.warnings = shortened(verdict.warnings);
    }
    verdict
}

/// What is wrong with the Harness, whoever uses it.
fn alone(harness: &Harness, platform: &Platform) -> Vec<Diagnostic> {
    let Some(tenant) = example_tenant(harness) else { return Vec::new() };
    let neighbours = Neighbours::default();
    let parts =
        Parts { tenant: &tenant, harness: Some(harness), agents: Vec::new(), neighbours: &neighbours };
    let name = harness.metadata.name.clone().unwrap_or_default();
    let object = ObjectName { kind: "Harness", name };
    let of_harness = |problem: Diagnostic| {
        let is_its_own = problem.object.kind == "Harness"
            || matches!(problem.code, Code::FileTooLong | Code::WorkspaceTooLong | Code::ObjectTooLarge);
        is_its_own.then(|| Diagnostic { object: object.clone(), ..problem })
    };
    parts.problems(platform).into_iter().filter_map(of_harness).collect()
}

/// A tenant that has what it must have and nothing else.
fn example_tenant(harness: &Harness) -> Option<Tenant> {
    let metadata = &harness.metadata;
    let tenant = json!({
        "apiVersion": "kr8tiv.ai/v1alpha1",
        "kind": "Tenant",
        "metadata": {"name": EXAMPLE, "namespace": metadata.namespace},
        "spec": {
            "displayName": EXAMPLE,
            "tenantId": format!("{EXAMPLE}-00000000"),
            "harnessRef": {"name": metadata.name},
        },
    });
    serde_json::from_value(tenant).ok()
}

/// What a change of its Harness breaks for a Tenant. Of one in another namespace no more is said than that it is so.
fn broken(change: &Change<Harness>, user: &User, own: &str, platform: &Platform) -> Vec<String> {
    let neighbours = &user.neighbours;
    let tenant = neighbours.tenant.as_deref().and_then(|tenant| tenant.readable().ok());
    let agents = neighbours.agents.iter().map(|agent| agent.readable().ok()).collect::<Option<Vec<_>>>();
    let (Some(tenant), Some(agents)) = (tenant, agents) else { return Vec::new() };
    let after = Parts { tenant, harness: Some(&change.new), agents, neighbours };
    let problems = after.problems(platform);
    let before = || Parts { harness: change.old.as_deref(), ..after }.problems(platform);
    let new = introduced(before, &problems);
    if user.key.namespace == own {
        return new.into_iter().map(|problem| format!("in Tenant {}: {problem}", user.key.name)).collect();
    }
    let mut codes: Vec<_> = new.into_iter().map(|problem| problem.code.as_str()).collect();
    codes.dedup();
    let line = || format!("Tenant {} would not compile any more ({})", user.key, codes.join(", "));
    (!codes.is_empty()).then(line).into_iter().collect()
}

/// Judges the deletion of a Harness that these Tenants use.
pub fn gone(harness: &Harness, users: &[User]) -> Verdict {
    if users.is_empty() {
        return Verdict::default();
    }
    let own = Key::of(&harness.metadata);
    let name = |user: &User| {
        let Key { namespace, name } = &user.key;
        if *namespace == own.namespace { name.clone() } else { user.key.to_string() }
    };
    let names: Vec<_> = users.iter().take(NAMED).map(name).collect();
    let more = users.len().saturating_sub(NAMED);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let kind = if users.len() == 1 { "Tenant" } else { "Tenants" };
    let text = format!(
        "Harness {} is in use by {kind} {}{more}; delete them first, or name another Harness in their spec.harnessRef",
        own.name,
        names.join(", ")
    );
    Verdict { refusal: Some(Refusal::InUse(text)), warnings: Vec::new() }
}
