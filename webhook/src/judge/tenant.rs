//! Decision stage, pure: a Tenant with its Harness and its Agents.

use kr8tiv_compiler::Platform;
use kr8tiv_crds::Tenant;
use kr8tiv_operator::index::id_taken;

use super::{Parts, Refusal, Verdict, has_errors, unreadable, verdict};
use crate::neighbours::Neighbours;
use crate::review::Change;

/// Judges a Tenant. It answers for what is wrong in itself; what it makes wrong in its Agents is told, because they may
/// be applied next.
pub fn tenant(change: &Change<Tenant>, neighbours: &Neighbours, platform: &Platform) -> Verdict {
    if let (None, Some((id, holder))) = (&change.old, &neighbours.rival) {
        let name = change.new.metadata.name.as_deref().unwrap_or_default();
        let text = format!("Tenant {name}, spec.tenantId: {}", id_taken(id, holder));
        return Verdict { refusal: Some(Refusal::Invalid(text)), warnings: Vec::new() };
    }
    let parts = match parts(&change.new, neighbours) {
        Ok(parts) => parts,
        Err(verdict) => return verdict,
    };
    let after = parts.problems(platform);
    let before = match &change.old {
        Some(old) if has_errors(&after) => Parts { tenant: old, ..parts }.problems(platform),
        _ => Vec::new(),
    };
    verdict(&before, &after, |problem| problem.object.kind == "Tenant")
}

fn parts<'a>(tenant: &'a Tenant, neighbours: &'a Neighbours) -> Result<Parts<'a>, Verdict> {
    let agents: Result<Vec<_>, _> = neighbours.agents.iter().map(|agent| unreadable(&**agent)).collect();
    let harness = neighbours.harness.as_deref().map(unreadable).transpose()?;
    Ok(Parts { tenant, harness, agents: agents?, neighbours })
}
