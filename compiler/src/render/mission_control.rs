//! The contract with Mission Control: as variables of the gateway and as words for the agents. Pure.

use kr8tiv_crds::coordination::{Coordination, PersonaMode};

use crate::render::markdown::{code, line};
use crate::resolve::Resolved;

/// Variables of the gateway. kubelet expands `$(NAME)`, so a dollar sign before a parenthesis is doubled.
pub(crate) fn environment(coordination: &Coordination) -> Vec<(&'static str, String)> {
    let Coordination { url, tier, pack_ref, telemetry, privacy, persona, onboarding } = coordination;
    let mut variables = vec![
        ("MISSION_CONTROL_CROSS_TENANT_LEARNING", privacy.cross_tenant_learning.to_string()),
        ("MISSION_CONTROL_CROSS_USER_LEARNING", privacy.cross_user_learning.to_string()),
        ("MISSION_CONTROL_ONBOARDING_DEFAULTS", onboarding.defaults.join(",")),
        ("MISSION_CONTROL_ONBOARDING_RECOMMENDATIONS", onboarding.recommendations.to_string()),
        ("MISSION_CONTROL_PACK_REF", pack_ref.clone()),
        ("MISSION_CONTROL_PERSONA_MODE", persona.mode.as_str().to_owned()),
        ("MISSION_CONTROL_PERSONA_ORCHESTRATOR", orchestrates(coordination).to_string()),
        ("MISSION_CONTROL_PERSONA_PRESET_REF", persona.preset_ref.clone()),
        ("MISSION_CONTROL_TELEMETRY_ENABLED", telemetry.to_string()),
        ("MISSION_CONTROL_TIER", tier.as_str().to_owned()),
        ("MISSION_CONTROL_URL", url.trim_end_matches('/').to_owned()),
    ];
    for (_, value) in &mut variables {
        *value = value.replace("$(", "$$(");
    }
    variables
}

/// The section of AGENTS.md.
pub(crate) fn instructions(resolved: &Resolved<'_>, coordination: &Coordination, is_default: bool) -> String {
    let Coordination { url, tier, pack_ref, telemetry, privacy, persona, onboarding } = coordination;
    let mut text = format!(
        "- You work for a Mission Control at {}. The pack in force is {}, tier {}.\n",
        code(url),
        code(pack_ref),
        tier.as_str()
    );
    text.push_str("- Your model, your tools and your configuration are set there and by your operator. Never change them yourself.\n");
    if *telemetry {
        text.push_str("- Every run is reported there: whether it succeeded, how often you tried, and which checks passed. Report failures as they are.\n");
    }
    if !privacy.cross_user_learning {
        text.push_str("- Keep what you learn from one person from the others.\n");
    }
    if !privacy.cross_tenant_learning {
        let tenant = line(&resolved.tenant.spec.display_name);
        text.push_str(&format!("- What you learn here stays with {tenant}.\n"));
    }
    text.push_str(&match persona.mode {
        PersonaMode::Individual => {
            format!("- You appear as one person, by the preset {}.\n", code(&persona.preset_ref))
        }
        PersonaMode::Team => {
            format!("- You appear as a team, by the preset {}.\n", code(&persona.preset_ref))
        }
    });
    if orchestrates(coordination) && resolved.agents.len() > 1 {
        text.push_str(if is_default {
            "- You hand work to the others: say who takes it, and see that it gets done.\n"
        } else {
            "- The default agent hands work to you: say when it is done, and when it is not.\n"
        });
    }
    if onboarding.recommendations {
        text.push_str("- To somebody new, say in one message what you can do for them");
        if !onboarding.defaults.is_empty() {
            let offered: Vec<_> = onboarding.defaults.iter().map(|name| code(name)).collect();
            text.push_str(&format!(", and offer {}", offered.join(", ")));
        }
        text.push_str(".\n");
    }
    text
}

/// The section of TOOLS.md, for people: where the contract's endpoints are.
pub(crate) fn endpoints(coordination: &Coordination) -> String {
    let base = coordination.url.trim_end_matches('/');
    let mut text =
        format!("- The pack in force: {}\n", code(&format!("GET {base}/api/v1/runtime/packs/resolve")));
    if coordination.telemetry {
        text.push_str(&format!("- Reports of runs: {}\n", code(&format!("POST {base}/api/v1/runtime/runs"))));
    }
    text.push_str("- The address is in `MISSION_CONTROL_URL`, the token in `MISSION_CONTROL_TOKEN`, of the gateway's environment.\n");
    text
}

fn orchestrates(coordination: &Coordination) -> bool {
    coordination.persona.orchestrator.unwrap_or(coordination.persona.mode == PersonaMode::Team)
}
