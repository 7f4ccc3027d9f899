//! Tools: known ones, allowed ones, and that nobody takes more than is given. Pure.

use kr8tiv_crds::tools::ToolNarrowing;

use crate::channels::{configured, owners};
use crate::diagnostics::{Code, Diagnostics, ObjectName};
use crate::openclaw::tools::{self, ToolSet, effective, is_known};
use crate::policy::Findings;
use crate::resolve::{Resolved, ResolvedAgent};

/// Checks the tools of the harness, and what the tenant and its agents take away from them.
pub(super) fn check(resolved: &Resolved<'_>, diagnostics: &mut Diagnostics) {
    let policy = &resolved.harness.tools;
    let version = resolved.tenant.version.as_str();
    let harness = &resolved.harness_object;
    let mut findings = Findings { object: harness, diagnostics };
    known(&policy.allow, "allow", version, &mut findings);
    known(&policy.deny, "deny", version, &mut findings);
    contradiction(&policy.allow, &policy.deny, &mut findings);
    for (position, tool) in policy.allow.iter().enumerate().filter(|(_, tool)| tools::is_reserved(tool)) {
        findings.add(
            Code::ToolReserved,
            format!("spec.tools.allow[{position}]"),
            format!("{tool} is denied in every gateway of this operator"),
            "remove it",
        );
    }
    let runs_commands = resolved.agents.iter().any(ResolvedAgent::runs_commands);
    if !policy.sandbox_non_main_sessions && runs_commands {
        findings.add(
            Code::SandboxOff,
            "spec.tools.sandboxNonMainSessions",
            "commands that a chat leads to run in the gateway, beside the tenant's keys and conversations",
            "set it to true, or take exec away from the tools",
        );
    }
    let tenant = &resolved.tenant;
    if policy.elevated
        && !configured(&tenant.spec.channels).is_empty()
        && owners(&tenant.spec.channels).is_empty()
    {
        Findings { object: &tenant.object, diagnostics }.add(
            Code::ElevatedUnusable,
            "spec.channels",
            format!("{harness} lets owners run commands in the gateway, and no channel names an owner"),
            "name owners in the channel, or set spec.tools.elevated: false in the Harness",
        );
    }
    let above = effective(policy);
    narrowing(&tenant.object, &tenant.spec.tools, &above, (harness, version), diagnostics);
    for agent in &resolved.agents {
        let Some(own) = agent.narrowing else { continue };
        narrowing(&agent.object, own, &resolved.tools, (&tenant.object, version), diagnostics);
    }
}

fn known(ids: &[String], list: &str, version: &str, findings: &mut Findings<'_>) {
    for (position, tool) in ids.iter().enumerate().filter(|(_, tool)| !is_known(tool)) {
        findings.add(
            Code::ToolUnknown,
            format!("spec.tools.{list}[{position}]"),
            format!("{tool} is not a tool of OpenClaw {version}"),
            "use OpenClaw's ids, such as read, write, exec, web_search, group:fs",
        );
    }
}

fn contradiction(allow: &[String], deny: &[String], findings: &mut Findings<'_>) {
    for (position, tool) in allow.iter().enumerate().filter(|(_, tool)| deny.contains(tool)) {
        findings.add(
            Code::ToolsContradict,
            format!("spec.tools.allow[{position}]"),
            format!("{tool} is in spec.tools.deny as well"),
            "remove it from one of the two lists",
        );
    }
}

/// What is taken away must be there: an entry of `allow` that the level above does not have would look as if it did
/// something.
fn narrowing(
    object: &ObjectName,
    narrowing: &ToolNarrowing,
    above: &ToolSet<'_>,
    (upper, version): (&ObjectName, &str),
    diagnostics: &mut Diagnostics,
) {
    let mut findings = Findings { object, diagnostics };
    let allow = narrowing.allow.as_deref().unwrap_or_default();
    known(allow, "allow", version, &mut findings);
    known(&narrowing.deny, "deny", version, &mut findings);
    contradiction(allow, &narrowing.deny, &mut findings);
    for (position, tool) in allow.iter().enumerate() {
        if is_known(tool) && tools::widens(above, tool) {
            findings.add(
                Code::ToolWidened,
                format!("spec.tools.allow[{position}]"),
                format!("{upper} does not have {tool}, and nobody below can add it"),
                "remove it here, or allow it in the Harness",
            );
        }
    }
}
