//! Processor and memory of the gateway and its sandboxes: what is given, what is not, and what can't be. Pure.

use kr8tiv_crds::Quantity;
use kr8tiv_crds::coordination::Tier;
use kr8tiv_crds::sandbox::{Sandbox, SandboxResources};
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

/// The amounts that a sandbox gets.
pub(crate) struct SandboxAmounts {
    pub(crate) cpu_request: Quantity,
    pub(crate) cpu_limit: Quantity,
    pub(crate) memory_request: Quantity,
    pub(crate) memory_limit: Quantity,
}

impl SandboxAmounts {
    /// What is given, and for the rest what an sshd at rest and a small program need.
    pub(crate) fn of(sandbox: &Sandbox) -> Self {
        let SandboxResources { requests, limits } = &sandbox.resources;
        let or =
            |given: &Option<Quantity>, amount: &str| given.clone().unwrap_or_else(|| Quantity(amount.into()));
        let (cpu_limit, memory_limit) = (or(&limits.cpu, "1"), or(&limits.memory, "512Mi"));
        Self {
            cpu_request: requests.cpu.clone().unwrap_or_else(|| default("20m", Some(&cpu_limit))),
            memory_request: requests.memory.clone().unwrap_or_else(|| default("64Mi", Some(&memory_limit))),
            cpu_limit,
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

/// Where amounts are given, and what is said of those that can't be.
struct Given<'a> {
    object: &'a ObjectName,
    /// Path of the field that the others are below.
    at: &'static str,
    diagnostics: &'a mut Diagnostics,
}

impl Given<'_> {
    fn refuse(&mut self, field: &str, problem: String, fix: &str) {
        self.diagnostics.push(Diagnostic {
            code: Code::ResourcesInvalid,
            object: self.object.clone(),
            field: format!("{}.{field}", self.at),
            problem,
            fix: fix.into(),
        });
    }

    fn above_zero(&mut self, field: &str, amount: Option<&Quantity>) {
        if let Some(amount) = amount
            && amount.milli_units().is_none_or(|units| units == 0)
        {
            self.refuse(
                field,
                format!("{} is no amount above zero", amount.0),
                "write one such as 500m or 2Gi",
            );
        }
    }

    fn pair(&mut self, name: &str, request: &Quantity, limit: Option<&Quantity>) {
        if let Some(limit) = limit
            && let (Some(request_units), Some(limit_units)) = (request.milli_units(), limit.milli_units())
            && request_units > limit_units
        {
            let problem = format!("the request of {} is above the limit of {}", request.0, limit.0);
            self.refuse(
                &format!("resources.requests.{name}"),
                problem,
                "raise the limit, or lower the request",
            );
        }
    }
}

/// Checks the amounts of a tenant, and the size of its volume.
pub(crate) fn check(object: &ObjectName, spec: &TenantSpec, diagnostics: &mut Diagnostics) {
    let mut given = Given { object, at: "spec.gateway", diagnostics };
    let amounts = Amounts::of(spec);
    given.above_zero("resources.requests.cpu", Some(&amounts.cpu_request));
    given.above_zero("resources.limits.cpu", amounts.cpu_limit.as_ref());
    given.above_zero("resources.requests.memory", Some(&amounts.memory_request));
    given.above_zero("resources.limits.memory", Some(&amounts.memory_limit));
    given.above_zero("storage.size", Some(&spec.gateway.storage.size));
    given.pair("cpu", &amounts.cpu_request, amounts.cpu_limit.as_ref());
    given.pair("memory", &amounts.memory_request, Some(&amounts.memory_limit));
    if amounts.memory_limit.base_units().is_some_and(|bytes| bytes > 0 && bytes < MEMORY_MINIMUM) {
        given.refuse(
            "resources.limits.memory",
            format!("{} is less than a gateway needs", amounts.memory_limit.0),
            "give it at least 1Gi, or leave it out for the tier's default",
        );
    }
}

/// Checks the amounts of a harness's sandboxes, and the size of what they write.
pub(crate) fn check_sandbox(object: &ObjectName, sandbox: &Sandbox, diagnostics: &mut Diagnostics) {
    let mut given = Given { object, at: "spec.tools.sandbox", diagnostics };
    let amounts = SandboxAmounts::of(sandbox);
    given.above_zero("resources.requests.cpu", Some(&amounts.cpu_request));
    given.above_zero("resources.limits.cpu", Some(&amounts.cpu_limit));
    given.above_zero("resources.requests.memory", Some(&amounts.memory_request));
    given.above_zero("resources.limits.memory", Some(&amounts.memory_limit));
    given.above_zero("scratchSize", Some(&sandbox.scratch_size));
    given.pair("cpu", &amounts.cpu_request, Some(&amounts.cpu_limit));
    given.pair("memory", &amounts.memory_request, Some(&amounts.memory_limit));
}
