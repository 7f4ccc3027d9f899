//! The gateway's release and the number of its agents. Pure.

use crate::diagnostics::{Code, Diagnostics};
use crate::openclaw::{SUPPORTED_VERSIONS, version};
use crate::policy::Findings;
use crate::resolve::{Resolved, agent_ids};

/// Checks which release is compiled for, and for how many agents.
pub(super) fn check(resolved: &Resolved<'_>, diagnostics: &mut Diagnostics) {
    let tenant = &resolved.tenant;
    let mut findings = Findings { object: &tenant.object, diagnostics };
    let compiled_for = tenant.version.as_str();
    if !SUPPORTED_VERSIONS.contains(&compiled_for) {
        let named = tenant.spec.gateway.version.as_deref();
        let (field, problem) = match named {
            Some(named) if version::release(named).is_none() => {
                ("spec.gateway.version", format!("{named} names no release of OpenClaw"))
            }
            Some(_) => {
                ("spec.gateway.version", format!("OpenClaw {compiled_for} is not known to this operator"))
            }
            None => (
                "spec.gateway.version",
                format!(
                    "the gateway runs OpenClaw {compiled_for}, which this operator does not know, and {} pauses updates",
                    resolved.harness_object
                ),
            ),
        };
        let fix = format!("use one of: {}", SUPPORTED_VERSIONS.join(", "));
        findings.add(Code::VersionUnsupported, field, problem, fix);
    }
    image(resolved, &mut findings);
    agents(resolved, &mut findings);
}

/// A tag that names a release must name the right one; one that names none, or a digest, can't be judged.
fn image(resolved: &Resolved<'_>, findings: &mut Findings<'_>) {
    let tenant = &resolved.tenant;
    let tag = tenant.spec.gateway.image.as_deref().and_then(version::image_tag);
    if let Some(release) = tag.and_then(version::release).map(|release| release.to_string())
        && release != tenant.version
    {
        findings.add(
            Code::VersionMismatch,
            "spec.gateway.image",
            format!(
                "the image is of OpenClaw {release}, and the configuration is made for {}",
                tenant.version
            ),
            "set spec.gateway.version to the image's release, or use the image of that version",
        );
    }
}

fn agents(resolved: &Resolved<'_>, findings: &mut Findings<'_>) {
    let spec = resolved.tenant.spec;
    let count = agent_ids(resolved).len();
    let own = spec.agents.max.and_then(|max| usize::try_from(max).ok());
    let (limit, allows) = if let Some(max) = own {
        (max, format!("its spec.agents.max allows {max}"))
    } else {
        let limit = spec.tier.agent_limit();
        (limit, format!("its tier {} allows {limit}", spec.tier.as_str()))
    };
    if count > limit {
        findings.add(
            Code::AgentsTooMany,
            "spec.agents.max",
            format!("the tenant has {count} agents, and {allows}"),
            "remove Agents, raise spec.agents.max, or choose a larger spec.tier",
        );
    }
}
