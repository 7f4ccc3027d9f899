//! Decision stage, pure: an Agent within its tenant.

use kr8tiv_compiler::Platform;
use kr8tiv_crds::Agent;
use kube::Resource;

use super::{Parts, Verdict, readable, readable_if, verdict};
use crate::neighbours::Neighbours;
use crate::review::Change;

/// Judges an Agent. It answers for what is wrong in itself, and for every conflict that was not there without it: which of
/// two Agents a conflict is shown in depends on their names.
pub fn agent(change: &Change<Agent>, neighbours: &Neighbours, platform: &Platform) -> Verdict {
    let name = change.new.metadata.name.as_deref().unwrap_or_default();
    let wanted = &change.new.spec.tenant_ref.name;
    let Some(tenant) = &neighbours.tenant else {
        return Verdict::warn(format!(
            "Agent {name}, spec.tenantRef.name: there is no Tenant {wanted} yet; the Agent is judged when there is"
        ));
    };
    let own = &change.new.metadata;
    let others = neighbours.agents.iter().filter(|other| other.meta().name.as_deref() != Some(name));
    let parts = others.map(|other| readable(other, own)).collect::<Result<Vec<_>, _>>().and_then(|agents| {
        let harness = readable_if(neighbours.harness.as_deref(), own)?;
        Ok(Parts { tenant: readable(tenant, own)?, harness, agents, neighbours })
    });
    let parts = match parts {
        Ok(parts) => parts,
        Err(verdict) => return verdict,
    };
    let with = |agent: Option<&Agent>| {
        let mut parts = parts.clone();
        parts.agents.extend(agent);
        parts.problems(platform)
    };
    let before = || with(change.old.as_deref());
    verdict(before, &with(Some(&change.new)), |problem, is_new| {
        let is_itself = problem.object.kind == "Agent" && problem.object.name == name;
        is_itself || problem.object.kind != "Harness" && is_new
    })
}
