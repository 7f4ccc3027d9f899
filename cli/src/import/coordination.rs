//! Converting stage, pure: the contract with Mission Control. A resource has it whole or not at all: without an address
//! or a pack it is left out.

use serde_json::json;

use crate::import::draft::{Difference, Draft};
use crate::import::legacy::{Coordination, Given, Legacy, Texts};
use crate::import::limits;
use crate::import::memory::is_plain_url;
use crate::import::report::Target;

const URL: Target = Target::harness("spec.coordination.url");
const TIER: Target = Target::harness("spec.coordination.tier");
const TENANT_TIER: Target = Target::tenant("spec.tier");
const PACK: Target = Target::harness("spec.coordination.packRef");
const TELEMETRY: Target = Target::harness("spec.coordination.telemetry");
const CROSS_TENANT: Target = Target::harness("spec.coordination.privacy.crossTenantLearning");
const CROSS_USER: Target = Target::harness("spec.coordination.privacy.crossUserLearning");
const PRESET: Target = Target::harness("spec.coordination.persona.presetRef");
const MODE: Target = Target::harness("spec.coordination.persona.mode");
const ORCHESTRATOR: Target = Target::harness("spec.coordination.persona.orchestrator");
const RECOMMENDATIONS: Target = Target::harness("spec.coordination.onboarding.recommendations");
const DEFAULTS: Target = Target::harness("spec.coordination.onboarding.defaults");
const TOKEN: Target = Target::tenant("spec.missionControl.tokenSecretRef");

/// Format B's values when nothing is set.
const DEFAULT_URL: &str = "http://mission-control:8000";
const DEFAULT_PACK: &str = "engineering-delivery-pack@1";
const DEFAULT_ABILITIES: [&str; 2] = ["voice", "uplay_chromium"];

/// Most digits of a pack's version, as in the schema's pattern.
const PACK_DIGITS: usize = 9;

const DEFAULT: &str = "it is what this format took when nothing was set";

/// What keeps a field from having a place.
type Refused<'a> = Option<(&'a Given<String>, &'static str)>;

/// Converts the contract.
pub fn convert(legacy: &Legacy, draft: &mut Draft<'_>) {
    let Some(contract) = &legacy.coordination else { return };
    let refused = [refused_url(contract.url.as_ref()), refused_pack(contract.pack_ref.as_ref())];
    if refused.iter().all(Option::is_none) {
        write(contract, draft);
    } else {
        leave_out(contract, refused, draft);
    }
    if let Some(tier) = &contract.tier {
        let reason = "the tenant has the tier as well: it limits how many Agents there may be";
        draft.change(tier, TENANT_TIER, tier.value.as_str(), None, reason);
    }
}

/// The address is in no message: it could hold a key.
fn refused_url(given: Option<&Given<String>>) -> Refused<'_> {
    let given = given.filter(|given| !is_plain_url(&given.value, limits::of(URL).characters))?;
    Some((given, "it is no plain address such as https://mission-control.example.com"))
}

fn refused_pack(given: Option<&Given<String>>) -> Refused<'_> {
    let given = given?;
    let pack = numbered(&given.value);
    let digits = pack.rsplit('@').next().map_or(0, str::len);
    let is_long = digits > PACK_DIGITS || pack.len() > limits::of(PACK).characters;
    is_long.then_some((given, "its key or its version is longer than the field takes"))
}

/// A pack whose version is a number from 1 on, without zeros before it.
fn numbered(pack: &str) -> String {
    let (key, version) = pack.split_once('@').unwrap_or((pack, ""));
    let version = version.trim_start_matches('0');
    format!("{key}@{}", if version.is_empty() { "1" } else { version })
}

fn write(contract: &Coordination, draft: &mut Draft<'_>) {
    let Coordination {
        url,
        pack_ref,
        token_file,
        tier,
        telemetry,
        cross_tenant_learning,
        cross_user_learning,
        preset,
        mode,
        orchestrator,
        recommendations,
        defaults,
    } = contract;
    match url {
        Some(url) => draft.carry(url, URL, url.value.as_str()),
        None => draft.add(
            URL,
            DEFAULT_URL,
            format!("{DEFAULT}; it is a name of the old compose network, so write your own"),
        ),
    }
    match pack_ref {
        Some(given) if given.value == numbered(&given.value) => {
            draft.carry(given, PACK, given.value.as_str());
        }
        Some(given) => {
            let new = numbered(&given.value);
            let difference = Difference::of(&given.value, &new);
            draft.change(given, PACK, new, Some(difference), "versions are numbers from 1 on");
        }
        None => draft.add(PACK, DEFAULT_PACK, DEFAULT),
    }
    let secret =
        draft.secret("mission-control-token", "the token for Mission Control", "MISSION_CONTROL_TOKEN");
    match token_file {
        Some(file) => {
            draft.change(file, TOKEN, secret, None, "the token comes from a Secret instead of a file");
        }
        None => draft.add(TOKEN, secret, "the token comes from a Secret"),
    }
    for (given, to) in [(tier, TIER), (mode, MODE)] {
        if let Some(given) = given {
            draft.carry(given, to, given.value.as_str());
        }
    }
    for (given, to) in [
        (telemetry, TELEMETRY),
        (cross_tenant_learning, CROSS_TENANT),
        (cross_user_learning, CROSS_USER),
        (orchestrator, ORCHESTRATOR),
        (recommendations, RECOMMENDATIONS),
    ] {
        if let Some(given) = given {
            draft.carry(given, to, given.value);
        }
    }
    if let Some(preset) = preset {
        self::preset(preset, draft);
    }
    abilities(defaults.as_ref(), draft);
}

fn preset(given: &Given<String>, draft: &mut Draft<'_>) {
    let is_usable = given.value.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && given.value.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && given.value.len() <= limits::of(PRESET).characters;
    if is_usable {
        draft.carry(given, PRESET, given.value.as_str());
    } else {
        let reason = "a preset's name has a-z, 0-9 and '-' only; default-team stands for it";
        draft.cut(given, PRESET, "default-team", reason);
    }
}

fn abilities(given: Option<&Texts>, draft: &mut Draft<'_>) {
    let Some(list) = given else {
        draft.add(DEFAULTS, json!(DEFAULT_ABILITIES), DEFAULT);
        return;
    };
    let mut names: Vec<&str> = Vec::new();
    for ability in &list.value {
        if !names.contains(&ability.value.as_str()) {
            names.push(&ability.value);
        }
    }
    if names.len() == list.value.len() {
        draft.carry(list, DEFAULTS, names);
    } else {
        draft.change(list, DEFAULTS, names, None, "each is there once");
    }
}

/// Everything of a contract that has no place.
fn leave_out(contract: &Coordination, refused: [Refused<'_>; 2], draft: &mut Draft<'_>) {
    let Coordination {
        url,
        pack_ref,
        token_file,
        tier: _,
        telemetry,
        cross_tenant_learning,
        cross_user_learning,
        preset,
        mode,
        orchestrator,
        recommendations,
        defaults,
    } = contract;
    let reason = "spec.coordination is left out, as it needs an address and a pack";
    for (given, refused) in [url, pack_ref].into_iter().zip(refused) {
        match (refused, given) {
            (Some((given, problem)), _) => draft.ledger.lose(given, format!("{problem}; {reason}")),
            (None, Some(given)) => draft.ledger.lose(given, reason),
            (None, None) => {}
        }
    }
    for given in [token_file, preset, mode].into_iter().flatten() {
        draft.ledger.lose(given, reason);
    }
    for given in [telemetry, cross_tenant_learning, cross_user_learning, orchestrator, recommendations]
        .into_iter()
        .flatten()
    {
        draft.ledger.lose(given, reason);
    }
    if let Some(defaults) = defaults {
        draft.ledger.lose(defaults, reason);
    }
}
