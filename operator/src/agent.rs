//! The pass over an Agent: what became of it in its tenant. Everything is decided by the tenant's pass; this one
//! only writes the Agent's status.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kr8tiv_crds::status::{ConditionStatus, ConditionType, Finding, Reason, conditions};
use kr8tiv_crds::{Agent, AgentStatus};
use kube::Resource;
use kube::runtime::controller::Action;

use crate::context::Context;
use crate::controller::{Reconciler, fault};
use crate::guard::Guarded;
use crate::index::Edition;
use crate::key::Key;
use crate::metrics::Metrics;
use crate::results::{Progress, TenantResult};
use crate::statuses::{self, now};
use crate::stores::custom;

/// Reconciles Agents.
pub struct Agents(pub Arc<Context>);

impl Reconciler for Agents {
    type Kind = Agent;

    async fn pass(&self, agent: &Guarded<Agent>) -> Result<Action, statuses::Error> {
        let context = &*self.0;
        let agent = match agent.readable() {
            Ok(agent) => agent,
            Err(unreadable) => {
                context.statuses.write_unreadable::<Agent>(unreadable).await?;
                return Ok(Action::await_change());
            }
        };
        if agent.metadata.deletion_timestamp.is_some() {
            return Ok(Action::await_change());
        }
        let key = Key::of(&agent.metadata);
        let tenant_key = key.sibling(&agent.spec.tenant_ref.name);
        let tenant = custom(&context.stores.tenants, &tenant_key);
        let tenant = tenant.filter(|tenant| tenant.meta().deletion_timestamp.is_none());
        let result = context.results.get(&tenant_key);
        let fate = match (tenant, result) {
            (None, _) => Fate::Orphaned,
            (Some(_), Some(result)) if is_about(&result, agent) => Fate::Decided(result),
            // The tenant's pass over this Agent is still to come, and wakes this one.
            (Some(_), _) => return Ok(Action::await_change()),
        };
        let previous = context.statuses.latest(agent);
        let status = status(agent, &previous, &fate, &now());
        if context.statuses.write(agent, &status).await? {
            tracing::info!(kind = "Agent", namespace = key.namespace, name = key.name, "status written");
        }
        Ok(Action::await_change())
    }

    async fn panicked(&self, agent: &Guarded<Agent>) -> Result<Action, statuses::Error> {
        let Ok(agent) = agent.readable() else { return Ok(Action::await_change()) };
        let previous = self.0.statuses.latest(agent);
        let finding = Finding {
            type_: ConditionType::Ready,
            status: ConditionStatus::False,
            reason: Reason::InternalError,
            message: fault("Agent"),
        };
        let stalled =
            Finding { type_: ConditionType::Stalled, status: ConditionStatus::True, ..finding.clone() };
        let generation = agent.metadata.generation;
        let conditions = conditions(&previous.conditions, vec![finding, stalled], generation, &now());
        let status = AgentStatus { observed_generation: generation, conditions, ..previous };
        self.0.statuses.write(agent, &status).await?;
        Ok(Action::await_change())
    }

    fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    fn gone(&self, key: &Key) {
        self.0.statuses.forget::<Agent>(key);
    }
}

/// Whether the result is of a pass that saw this very Agent.
fn is_about(result: &TenantResult, agent: &Agent) -> bool {
    let name = agent.metadata.name.as_deref().unwrap_or_default();
    // An unreadable tenant decides over all of its Agents without looking at them.
    result.reason == Reason::Unreadable && result.agents.is_empty()
        || result.agents.get(name) == Some(&Edition::of(&agent.metadata))
}

/// What became of an Agent.
enum Fate {
    /// Its Tenant does not exist.
    Orphaned,
    /// A pass over its Tenant has decided.
    Decided(Arc<TenantResult>),
}

/// Builds an Agent's status. Pure.
fn status(agent: &Agent, previous: &AgentStatus, fate: &Fate, now: &Time) -> AgentStatus {
    let generation = agent.metadata.generation;
    let name = agent.metadata.name.as_deref().unwrap_or_default();
    let id = kr8tiv_compiler::agent_id(agent);
    let findings = findings(name, id, &agent.spec.tenant_ref.name, fate);
    AgentStatus {
        observed_generation: generation,
        agent_id: Some(id.to_owned()),
        conditions: conditions(&previous.conditions, findings, generation, now),
    }
}

fn findings(name: &str, id: &str, tenant: &str, fate: &Fate) -> Vec<Finding> {
    use ConditionStatus::{False, True, Unknown};
    use ConditionType::{Accepted, Compiled, Ready, Reconciling, Stalled};
    let finding =
        |type_, status, reason, message: &str| Finding { type_, status, reason, message: message.to_owned() };
    let result = match fate {
        Fate::Orphaned => {
            let reason = Reason::TenantNotFound;
            let message = format!(
                "Tenant {tenant} does not exist in this namespace; create it, or create this Agent anew with \
                 spec.tenantRef.name set to an existing Tenant"
            );
            let waiting = "the Agent has no Tenant to be compiled for";
            return vec![
                finding(Ready, False, reason, &message),
                finding(Accepted, False, reason, &message),
                finding(Compiled, Unknown, reason, waiting),
                finding(Reconciling, True, reason, &message),
            ];
        }
        Fate::Decided(result) => result,
    };
    let accepted = finding(Accepted, True, Reason::Succeeded, &format!("Tenant {tenant} takes the Agent"));
    let compiled = match &result.compiled {
        Err(failure) => {
            let own = failure.diagnostics.iter();
            let own =
                own.filter(|diagnostic| diagnostic.object.kind == "Agent" && diagnostic.object.name == name);
            let lines: Vec<String> = own.map(ToString::to_string).collect();
            let (reason, message) = if lines.is_empty() {
                let message = format!("Tenant {tenant} does not compile; its condition Compiled says why");
                (Reason::TenantInvalid, message)
            } else {
                (Reason::Invalid, lines.join("\n"))
            };
            finding(Compiled, False, reason, &message)
        }
        Ok(compiled) if compiled.agent_ids.contains(id) => {
            finding(Compiled, True, Reason::Succeeded, "the Agent is part of its Tenant's configuration")
        }
        Ok(_) => {
            let message = format!("Tenant {tenant} compiles without the Agent");
            finding(Compiled, False, Reason::TenantInvalid, &message)
        }
    };
    let (ready, reason, message) = if compiled.status == False {
        (False, compiled.reason, compiled.message.clone())
    } else if result.progress == Progress::Done {
        (True, Reason::Serving, "the gateway serves the Agent".to_owned())
    } else {
        (False, result.reason, format!("Tenant {tenant} is not ready; its condition Ready says why"))
    };
    let progress = match result.progress {
        _ if compiled.status == False && result.progress != Progress::Reconciling => Some(Stalled),
        Progress::Reconciling => Some(Reconciling),
        Progress::Stalled => Some(Stalled),
        Progress::Done | Progress::Suspended => None,
    };
    let mut findings = vec![finding(Ready, ready, reason, &message), accepted, compiled];
    findings.extend(progress.map(|type_| finding(type_, True, reason, &message)));
    findings
}
