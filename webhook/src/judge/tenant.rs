//! Decision stage, pure: a Tenant with its Harness and its Agents.

use kr8tiv_compiler::Platform;
use kr8tiv_crds::Tenant;

use super::{Parts, Refusal, Verdict, readable, readable_if, verdict};
use crate::neighbours::Neighbours;
use crate::review::Change;

/// Judges a Tenant. It answers for what is wrong in itself; what it makes wrong in its Agents is told, because they may
/// be applied next.
pub fn tenant(change: &Change<Tenant>, neighbours: &Neighbours, platform: &Platform) -> Verdict {
    if let (None, Some(taken)) = (&change.old, &neighbours.taken) {
        let name = change.new.metadata.name.as_deref().unwrap_or_default();
        let text = format!("Tenant {name}, {}: {taken}", taken.property.field());
        return Verdict { refusal: Some(Refusal::Invalid(text)), warnings: Vec::new() };
    }
    let own = &change.new.metadata;
    let agents = neighbours.agents.iter().map(|agent| readable(agent, own)).collect::<Result<Vec<_>, _>>();
    let parts = agents.and_then(|agents| {
        let harness = readable_if(neighbours.harness.as_deref(), own)?;
        let after = Parts { tenant: &change.new, harness, agents, neighbours };
        let Some(old) = change.old.as_deref() else { return Ok((after, None)) };
        let harness = readable_if(neighbours.harness_before.as_deref(), own)?;
        let before = Parts { tenant: old, harness, ..after.clone() };
        Ok((after, Some(before)))
    });
    let (after, before) = match parts {
        Ok(parts) => parts,
        Err(verdict) => return verdict,
    };
    let before = || before.map(|before| before.problems(platform)).unwrap_or_default();
    verdict(before, &after.problems(platform), |problem, _| problem.object.kind == "Tenant")
}
