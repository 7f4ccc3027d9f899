//! Converting stage, pure: models. The replaced system rewrote six ids to another one at run time; here it happens
//! once, and is said. Format A names no model at all.

use kr8tiv_compiler::PROVIDERS;
use serde_json::{Value, json};

use crate::import::draft::{Difference, Draft};
use crate::import::legacy::{Format, Given, Legacy, Models, Reasoning, Texts};
use crate::import::limits;
use crate::import::reader::NO_ENTRY;
use crate::import::report::Target;

/// The model to which the replaced system's backend locked its agents.
pub const BACKEND_MODEL: &str = "anthropic/claude-opus-4-6";

/// The ids that the backend rewrote to [`BACKEND_MODEL`].
pub const ALIASES: [&str; 6] = [
    "openai-codex/gpt-5.3-codex",
    "openai-codex/gpt-5-codex",
    "google-gemini-cli/gemini-3.1",
    "google-gemini-cli/gemini-3-pro-preview",
    "nvidia/moonshotai/kimi-k2-5",
    "nvidia/moonshotai/kimi-k2.5",
];

const PRIMARY: Target = Target::harness("spec.models.primary");
const FALLBACKS: Target = Target::harness("spec.models.fallbacks");
const LOCK: Target = Target::harness("spec.models.lock");
const REASONING: Target = Target::harness("spec.models.reasoning");
const CREDENTIALS: Target = Target::tenant("spec.modelCredentials");

const ALIAS: &str = "the old backend rewrote it to this model as well";

/// Converts the models. `chosen` is what the user wants instead of the file's primary one.
pub fn convert(legacy: &Legacy, chosen: Option<&str>, draft: &mut Draft<'_>) {
    let Models { primary, fallbacks, lock_routes, allow_runtime_override, reasoning } = &legacy.models;
    let primary = self::primary(primary.as_ref(), chosen, draft);
    let mut models = vec![primary];
    if let Some(fallbacks) = fallbacks {
        self::fallbacks(fallbacks, &mut models, draft);
    }
    lock(lock_routes.as_ref(), allow_runtime_override.as_ref(), draft);
    match reasoning {
        Some(given) => self::reasoning(given, draft),
        None if legacy.format == Format::B => {
            draft.add(REASONING, "max", "it is what this format took when nothing was set");
        }
        None => {}
    }
    credentials(&models, draft);
}

/// A model that a user names.
pub fn parse(text: &str) -> Result<String, String> {
    let fix =
        "must be PROVIDER/MODEL, with a provider that OpenClaw has, such as anthropic/claude-sonnet-4-6";
    is_usable(text).then(|| text.to_owned()).ok_or_else(|| fix.into())
}

/// Whether OpenClaw has the model's provider, and the schema takes the id. Which models a provider has is not known
/// here.
fn is_usable(model: &str) -> bool {
    let Some((provider, name)) = model.split_once('/') else { return false };
    key_variable(provider).is_some()
        && !name.is_empty()
        && !name.starts_with('/')
        && !name.chars().any(|c| c.is_whitespace() || c.is_control())
        && model.chars().count() <= limits::of(PRIMARY).characters
}

/// The environment variable of a provider's key; `None` when OpenClaw does not bring the provider along.
fn key_variable(provider: &str) -> Option<&'static str> {
    PROVIDERS.iter().find(|known| known.name == provider).map(|known| known.key_variable)
}

fn primary(given: Option<&Given<String>>, chosen: Option<&str>, draft: &mut Draft<'_>) -> String {
    let Some(given) = given else {
        let (model, reason) = match chosen {
            Some(model) => (model, "it was chosen with --model"),
            None => (
                BACKEND_MODEL,
                "the file names none, and the old backend locked its agents to this one; --model chooses another",
            ),
        };
        draft.add(PRIMARY, model, reason);
        return model.to_owned();
    };
    let old = given.value.as_str();
    let change = |new: &str, reason: &str, draft: &mut Draft<'_>| {
        draft.change(given, PRIMARY, new, Some(Difference::of(&old, &new)), reason);
        new.to_owned()
    };
    if let Some(model) = chosen.filter(|model| *model != old) {
        change(model, "it was chosen with --model", draft)
    } else if ALIASES.contains(&old) {
        change(BACKEND_MODEL, ALIAS, draft)
    } else if is_usable(old) {
        draft.carry(given, PRIMARY, old);
        old.to_owned()
    } else {
        let reason = format!(
            "{}; {BACKEND_MODEL}, to which the old backend locked its agents, stands for it; choose one with --model, or \
             describe the provider in spec.models.providers",
            refusal(old)
        );
        draft.cut(given, PRIMARY, BACKEND_MODEL, reason);
        BACKEND_MODEL.to_owned()
    }
}

fn fallbacks(list: &Texts, models: &mut Vec<String>, draft: &mut Draft<'_>) {
    let most = limits::of(FALLBACKS).entries;
    if list.value.is_empty() {
        draft.ledger.settle(list, NO_ENTRY);
    }
    for given in &list.value {
        let old = given.value.as_str();
        let is_alias = ALIASES.contains(&old);
        let model = if is_alias { BACKEND_MODEL } else { old };
        if !is_usable(model) {
            draft.ledger.lose(given, refusal(model));
        } else if models.iter().any(|known| known == model) {
            let difference = is_alias.then(|| Difference::of(&old, &model));
            draft.note_change(given, FALLBACKS, difference, "the model is there already, so it was left out");
        } else if models.len() > most {
            draft.ledger.lose(given, format!("the list takes {most} models"));
        } else {
            if is_alias {
                draft.note_change(given, FALLBACKS, Some(Difference::of(&old, &model)), ALIAS);
            } else {
                draft.merge(given, FALLBACKS, "");
            }
            models.push(model.to_owned());
        }
    }
    let fallbacks: Vec<Value> = models.iter().skip(1).map(|model| model.as_str().into()).collect();
    if !fallbacks.is_empty() {
        draft.write(FALLBACKS, fallbacks.into());
    }
}

fn refusal(model: &str) -> String {
    let provider = model.split_once('/').map_or("", |(provider, _)| provider);
    if key_variable(provider).is_some() {
        return "it is no PROVIDER/MODEL that a Harness takes".into();
    }
    let known: Vec<&str> = PROVIDERS.iter().map(|provider| provider.name).collect();
    format!("OpenClaw has no such model provider; it has {}", known.join(", "))
}

/// Two switches become one: locked is what was locked, and could not be overridden.
fn lock(routes: Option<&Given<bool>>, overriding: Option<&Given<bool>>, draft: &mut Draft<'_>) {
    let may_override = overriding.is_some_and(|given| given.value);
    let is_locked = routes.is_none_or(|given| given.value) && !may_override;
    for given in [routes, overriding].into_iter().flatten() {
        if routes.is_some_and(|given| given.value) && may_override {
            let reason = "the models were locked, and could be changed nevertheless, so they are not locked";
            draft.change(given, LOCK, is_locked, None, reason);
        } else {
            draft.carry(given, LOCK, is_locked);
        }
    }
}

fn reasoning(given: &Given<Reasoning>, draft: &mut Draft<'_>) {
    match given.value {
        Reasoning::Max => draft.carry(given, REASONING, "max"),
        Reasoning::High => draft.carry(given, REASONING, "high"),
        Reasoning::Off => draft.carry(given, REASONING, "off"),
        Reasoning::Normal => {
            let difference = Difference::of(&"normal", &"medium");
            draft.change(given, REASONING, "medium", Some(difference), "OpenClaw has no level of this name");
        }
    }
}

/// A key for each provider.
fn credentials(models: &[String], draft: &mut Draft<'_>) {
    let mut providers: Vec<&str> = Vec::new();
    for model in models {
        let provider = model.split_once('/').map_or(model.as_str(), |(provider, _)| provider);
        if !providers.contains(&provider) {
            providers.push(provider);
        }
    }
    let mut credentials = Vec::new();
    for provider in &providers {
        let Some(variable) = key_variable(provider) else { continue };
        let secret = draft.secret(provider, &format!("the key for {provider}'s models"), variable);
        credentials.push(json!({"provider": provider, "apiKeySecretRef": secret}));
    }
    draft.add(CREDENTIALS, Value::Array(credentials), "a model needs its provider's key, from a Secret");
}
