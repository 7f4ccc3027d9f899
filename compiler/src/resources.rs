//! Processor and memory of the gateway: what is given, what is not, and what can't be. Pure.

use kr8tiv_crds::Quantity;
use kr8tiv_crds::coordination::Tier;
use kr8tiv_crds::tenant::{Resources, TenantSpec};

use crate::diagnostics::{Code, Diagnostic, Diagnostics, ObjectName};

/// A gateway holds 0.8 to 1.25 GB; with less it is killed at its first turn.
const MEMORY_MINIMUM: u64 = 1 << 30;

/// What a gateway gets that names no amounts.
struct Preset {
    cpu_request: &'static str,
    memory_request: &'static str,
    memory_limit: &'static str,
}

impl Preset {
    fn of(tier: Tier) -> Self {
        match tier {
            // An idle gateway uses next to nothing of a processor, a turn a part of a core. What it holds after a turn.
            // OpenClaw's own profile for fleets.
            Tier::Personal => Self { cpu_request: "250m", memory_request: "1280Mi", memory_limit: "2Gi" },
            // Several turns at once: a core, and twice the memory.
            Tier::Enterprise => Self { cpu_request: "1", memory_request: "2560Mi", memory_limit: "4Gi" },
        }
    }
}

/// The amounts that the gateway's container gets.
#[derive(Clone, Debug)]
pub(crate) struct Amounts {
    pub(crate) cpu_request: Quantity,
    pub(crate) cpu_limit: Option<Quantity>,
    pub(crate) memory_request: Quantity,
    pub(crate) memory_limit: Quantity,
}

impl Amounts {
    /// What is given, and the tier's preset for the rest. A request that is not given is never above the limit.
    pub(crate) fn of(spec: &TenantSpec) -> Self {
        let Resources { requests, limits } = &spec.gateway.resources;
        let preset = Preset::of(spec.tier);
        let memory_limit = limits.memory.clone().unwrap_or_else(|| Quantity(preset.memory_limit.into()));
        Self {
            cpu_request: requests
                .cpu
                .clone()
                .unwrap_or_else(|| default(preset.cpu_request, limits.cpu.as_ref())),
            cpu_limit: limits.cpu.clone(),
            memory_request: requests
                .memory
                .clone()
                .unwrap_or_else(|| default(preset.memory_request, Some(&memory_limit))),
            memory_limit,
        }
    }
}

fn default(amount: &str, limit: Option<&Quantity>) -> Quantity {
    let amount = Quantity(amount.into());
    match limit {
        Some(limit) if limit.milli_units() < amount.milli_units() => limit.clone(),
        _ => amount,
    }
}

/// Checks the amounts of a tenant, and the size of its volume.
pub(crate) fn check(object: &ObjectName, spec: &TenantSpec, diagnostics: &mut Diagnostics) {
    let mut refuse = |field: &str, problem: String, fix: &str| {
        diagnostics.push(Diagnostic {
            code: Code::ResourcesInvalid,
            object: object.clone(),
            field: format!("spec.gateway.{field}"),
            problem,
            fix: fix.into(),
        });
    };
    let amounts = Amounts::of(spec);
    let given = [
        ("resources.requests.cpu", Some(&amounts.cpu_request)),
        ("resources.limits.cpu", amounts.cpu_limit.as_ref()),
        ("resources.requests.memory", Some(&amounts.memory_request)),
        ("resources.limits.memory", Some(&amounts.memory_limit)),
        ("storage.size", Some(&spec.gateway.storage.size)),
    ];
    for (field, amount) in given {
        if let Some(amount) = amount
            && amount.milli_units().is_none_or(|units| units == 0)
        {
            refuse(field, format!("{} is no amount above zero", amount.0), "write one such as 500m or 2Gi");
        }
    }
    let requests = [
        ("resources.requests.cpu", &amounts.cpu_request, amounts.cpu_limit.as_ref()),
        ("resources.requests.memory", &amounts.memory_request, Some(&amounts.memory_limit)),
    ];
    for (field, request, limit) in requests {
        if let Some(limit) = limit
            && let (Some(request_units), Some(limit_units)) = (request.milli_units(), limit.milli_units())
            && request_units > limit_units
        {
            let problem = format!("the request of {} is above the limit of {}", request.0, limit.0);
            refuse(field, problem, "raise the limit, or lower the request");
        }
    }
    if amounts.memory_limit.base_units().is_some_and(|bytes| bytes > 0 && bytes < MEMORY_MINIMUM) {
        refuse(
            "resources.limits.memory",
            format!("{} is less than a gateway needs", amounts.memory_limit.0),
            "give it at least 1Gi, or leave it out for the tier's default",
        );
    }
}
