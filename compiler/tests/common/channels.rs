//! Tenants with channels, and what is compiled of them.

use kr8tiv_compiler::{Bundle, Inputs, Platform, PluginSource, compile};
use kr8tiv_crds::Agent;

use super::Case;

/// A realistic tenant with one channel.
pub fn case(channel: &str) -> Case {
    let path = super::root().join(format!("compiler/tests/cases/channels-{channel}.yaml"));
    super::case(&std::fs::read_to_string(path).unwrap())
}

/// The bundle, which must come without a warning.
pub fn bundle(case: &Case, plugins: PluginSource) -> Bundle {
    let agents: Vec<&Agent> = case.agents.iter().collect();
    let platform = Platform { plugins, ..super::platform() };
    let inputs = Inputs {
        tenant: &case.tenant,
        harness: case.harness.as_ref(),
        agents: &agents,
        platform: &platform,
        surroundings: &case.surroundings,
    };
    let bundle = compile(&inputs).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    assert!(bundle.warnings.is_empty(), "{}", bundle.warnings);
    bundle
}
