//! Third stage: the agents of a tenant become one gateway. Pure.

mod routes;

use kr8tiv_crds::agent::Binding;

use crate::diagnostics::{Code, Diagnostic, Diagnostics};
use crate::resolve::{Resolved, ResolvedAgent};

/// Which agent answers what.
#[derive(Clone, Debug)]
pub(crate) struct Composition<'a> {
    /// The agent that answers what no binding gives to another.
    pub(crate) default_agent: &'a str,
    /// Agent id and conversation, the narrow ones first.
    pub(crate) routes: Vec<Route<'a>>,
}

/// Some conversations, and the agent that answers them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Route<'a> {
    pub(crate) agent: &'a str,
    pub(crate) binding: Binding,
}

/// Puts the agents together. Where they conflict, the diagnostics name both sides and the first one wins, so that
/// later stages can still look for more problems.
pub(crate) fn compose<'a>(resolved: &Resolved<'a>, diagnostics: &mut Diagnostics) -> Composition<'a> {
    ids(&resolved.agents, diagnostics);
    let default_agent = default_agent(resolved, diagnostics);
    let routes = routes::routes(resolved, default_agent, diagnostics);
    Composition { default_agent, routes }
}

fn ids(agents: &[ResolvedAgent<'_>], diagnostics: &mut Diagnostics) {
    for pair in agents.windows(2) {
        let [first, second] = pair else { continue };
        if first.id == second.id {
            diagnostics.push(Diagnostic {
                code: Code::AgentIdTaken,
                object: second.object.clone(),
                field: "spec.agentId".into(),
                problem: format!("{} has the agent id {} as well", first.object, first.id),
                fix: "give one of them another spec.agentId (a new Agent: the id can't be changed)".into(),
            });
        }
    }
}

fn default_agent<'a>(resolved: &Resolved<'a>, diagnostics: &mut Diagnostics) -> &'a str {
    let agents = &resolved.agents;
    let declared: Vec<_> = agents.iter().filter(|agent| agent.declared_default).collect();
    if let [first, others @ ..] = declared.as_slice() {
        for other in others {
            diagnostics.push(Diagnostic {
                code: Code::DefaultAgentAmbiguous,
                object: other.object.clone(),
                field: "spec.default".into(),
                problem: format!("{} is the tenant's default agent as well", first.object),
                fix: "set spec.default: false in all but one of them".into(),
            });
        }
        return first.id;
    }
    if agents.len() > 1 {
        let ids: Vec<_> = agents.iter().map(|agent| agent.id).collect();
        diagnostics.push(Diagnostic {
            code: Code::DefaultAgentMissing,
            object: resolved.tenant.object.clone(),
            field: "Agent spec.default".into(),
            problem: format!("none of the tenant's agents ({}) is the default one", ids.join(", ")),
            fix: "set spec.default: true in one of them".into(),
        });
    }
    // `resolve` gives every tenant at least one agent.
    agents.first().map_or("", |agent| agent.id)
}
