//! Converting stage, pure: the words of a file, who the agents are and what they do. The old tools took texts of any
//! length; OpenClaw gives 20,000 characters of a workspace file to the model.

use crate::import::draft::Draft;
use crate::import::legacy::{Character, Format, Given, Legacy, Texts};
use crate::import::limits::{self, Limits};
use crate::import::overflow::Stored;
use crate::import::report::Target;

/// Characters of AGENTS.md for the lists in it. The rest of its 20,000 is for role and purpose (2,200, some of it
/// twice) and for what the compiler says of channels, tools, memory and files.
const AGENTS_LISTS: usize = 10_000;
/// Characters of SOUL.md for the truths in it. The rest is for the three texts of up to 2,000 beside them.
const SOUL_LISTS: usize = 12_000;

/// A field with the file that its text goes to when it is too long.
struct Place {
    to: Target,
    file: &'static str,
    description: &'static str,
}

const fn place(field: &'static str, file: &'static str, description: &'static str) -> Place {
    Place { to: Target::harness(field), file, description }
}

const ROLE: Place = place("spec.identity.role", "ROLE", "your whole role");
const PURPOSE: Place = place("spec.identity.purpose", "PURPOSE", "your whole purpose");
const PERSONALITY: Place = place("spec.identity.personality", "PERSONALITY", "your whole personality");
const STYLE: Place = place("spec.identity.communicationStyle", "STYLE", "all about how you write");
const VIBE: Place = place("spec.soul.vibe", "VIBE", "all about how you sound");
const TRUTHS: Place = place("spec.soul.coreTruths", "TRUTHS", "all that you hold true");
const LIMITS: Place = place("spec.boundaries.hardLimits", "LIMITS", "all that you never do");
const ESCALATION: Place = place("spec.boundaries.escalationRules", "ESCALATION", "all cases for a person");
const DUTIES: Place = place("spec.jobFunctions.responsibilities", "DUTIES", "all your duties");
const SUCCESS: Place = place("spec.jobFunctions.successCriteria", "SUCCESS", "all signs of a job done well");
const ALLOWED: Place = place("spec.secrets.allowedInWorkspace", "ALLOWED", "all that you may keep in files");
const REDACTION: Place = place("spec.secrets.redactionRules", "REDACTION", "all that you leave out");
const SEED: Place = place("spec.workspace.memorySeed", "MEMORY-SEED", "all that you know from before");
const REFLECTION: Place =
    place("spec.reinforcement.reflectionTemplate", "REFLECTION", "the whole line to fill in after a task");
const DISPLAY_NAME: Target = Target::tenant("spec.displayName");

/// Why format B's files get a purpose and so on.
const NOT_IN_B: &str = "this format has no such field; write your own";

/// Converts the words.
pub fn convert(legacy: &Legacy, draft: &mut Draft<'_>) {
    display_name(&legacy.display_name, &legacy.id, draft);
    let Character {
        role,
        purpose,
        personality,
        communication_style,
        core_truths,
        vibe,
        hard_limits,
        escalation_rules,
        responsibilities,
        success_criteria,
        allowed_in_workspace,
        redaction_rules,
    } = &legacy.character;
    required(role, &ROLE, "agent", draft);
    if legacy.format == Format::B {
        draft.add(PURPOSE.to, "You do the duties below, and say what you could not do.", NOT_IN_B);
        draft.add(PERSONALITY.to, "Your voice, below, says how you come across.", NOT_IN_B);
        draft.add(SUCCESS.to, vec!["The duty is done, and nobody had to ask twice."], NOT_IN_B);
    }
    if let Some(purpose) = purpose {
        required(purpose, &PURPOSE, "You do the duties below.", draft);
    }
    if let Some(personality) = personality {
        required(personality, &PERSONALITY, "Helpful.", draft);
    }
    if let Some(style) = communication_style {
        optional(style, &STYLE, draft);
    }
    required(vibe, &VIBE, "Plain.", draft);
    let mut soul = SOUL_LISTS;
    required_list(core_truths, &TRUTHS, "Be honest.", &mut soul, draft);
    // What must not be missed comes first: the budget is theirs.
    let mut agents = AGENTS_LISTS;
    optional_list(hard_limits.as_ref(), &LIMITS, &mut agents, draft);
    required_list(responsibilities, &DUTIES, "Help the people who write to you.", &mut agents, draft);
    optional_list(escalation_rules.as_ref(), &ESCALATION, &mut agents, draft);
    if let Some(criteria) = success_criteria {
        required_list(criteria, &SUCCESS, "The duty is done.", &mut agents, draft);
    }
    optional_list(redaction_rules.as_ref(), &REDACTION, &mut agents, draft);
    optional_list(allowed_in_workspace.as_ref(), &ALLOWED, &mut agents, draft);
    if let Some(seed) = &legacy.memory.seed {
        optional(seed, &SEED, draft);
    }
    if let Some(template) = &legacy.memory.reflection_template {
        optional(template, &REFLECTION, draft);
    }
}

/// A name that is too long has no file: nobody would look for it there.
fn display_name(name: &Given<String>, id: &Given<String>, draft: &mut Draft<'_>) {
    let Limits { characters, .. } = limits::of(DISPLAY_NAME);
    if is_blank(&name.value) {
        draft.change(
            name,
            DISPLAY_NAME,
            start(&id.value, characters),
            None,
            "the name is blank; the id stands for it",
        );
    } else if length(&name.value) > characters {
        let reason = too_long(&name.value, characters) + ", and was cut there; shorten it";
        draft.cut(name, DISPLAY_NAME, start(name.value.trim(), characters), reason);
    } else {
        draft.carry(name, DISPLAY_NAME, name.value.clone());
    }
}

fn required(given: &Given<String>, place: &Place, otherwise: &str, draft: &mut Draft<'_>) {
    if is_blank(&given.value) {
        draft.change(
            given,
            place.to,
            otherwise,
            None,
            format!("the text is blank, and one is required: {otherwise:?}"),
        );
    } else {
        optional(given, place, draft);
    }
}

fn optional(given: &Given<String>, place: &Place, draft: &mut Draft<'_>) {
    let Limits { characters, .. } = limits::of(place.to);
    if is_blank(&given.value) {
        draft.ledger.settle(given, "the text is blank");
    } else if length(&given.value) <= characters {
        draft.carry(given, place.to, given.value.clone());
    } else {
        let stored = draft.overflow.store(place.file, place.description, &given.value);
        let end = pointer(place);
        let kept = start(&given.value, characters - end.chars().count());
        let reason = format!("{}; {}", too_long(&given.value, characters), whereabouts(stored.as_ref()));
        draft.cut(given, place.to, kept + &end, reason);
    }
}

fn required_list(list: &Texts, place: &Place, otherwise: &str, budget: &mut usize, draft: &mut Draft<'_>) {
    if list.value.iter().all(|text| is_blank(&text.value)) {
        let reason = format!("every entry is blank, and one is required: {otherwise:?}");
        draft.change(list, place.to, vec![otherwise], None, reason);
    } else {
        optional_list(Some(list), place, budget, draft);
    }
}

/// Entries as far as the field and the file that it is rendered into have room.
fn optional_list(list: Option<&Texts>, place: &Place, budget: &mut usize, draft: &mut Draft<'_>) {
    let Some(list) = list else { return };
    let texts: Vec<&str> =
        list.value.iter().map(|text| text.value.as_str()).filter(|text| !is_blank(text)).collect();
    if texts.is_empty() {
        draft.ledger.settle(list, "there is no entry, or none with a text");
        return;
    }
    let Limits { characters, entries } = limits::of(place.to);
    let end = pointer(place);
    let reserve = end.chars().count();
    let fits = texts.len() <= entries
        && texts.iter().all(|text| length(text) <= characters)
        && texts.iter().map(|text| rendered(text)).sum::<usize>() + reserve <= *budget;
    if fits {
        *budget -= texts.iter().map(|text| rendered(text)).sum::<usize>();
        if texts.len() == list.value.len() {
            draft.carry(list, place.to, texts);
        } else {
            draft.change(list, place.to, texts, None, "blank entries were left out");
        }
        return;
    }
    let mut kept: Vec<String> = Vec::new();
    for text in &texts {
        let room = budget.saturating_sub(2 * reserve);
        if kept.len() + 1 >= entries || rendered(text) > room {
            break;
        }
        let is_long = length(text) > characters;
        let text = if is_long { start(text, characters - reserve) + &end } else { (*text).to_owned() };
        *budget -= rendered(&text).min(*budget);
        kept.push(text);
    }
    let whole: String = texts.iter().map(|text| format!("- {}\n", text.replace('\n', "\n  "))).collect();
    let stored = draft.overflow.store(place.file, place.description, &whole);
    let count = kept.len();
    kept.push(end.trim_start().to_owned());
    *budget = budget.saturating_sub(reserve);
    let reason = format!(
        "{} entries are more or longer than the field and the agents' instructions take; {count} of them are in it, \
         {}",
        texts.len(),
        whereabouts(stored.as_ref())
    );
    draft.cut(list, place.to, kept, reason);
}

/// Characters of an entry in a workspace file at most: a comment's beginning is written longer there.
fn rendered(text: &str) -> usize {
    length(text) + 3 * text.matches("<!--").count() + "- \\\n".len()
}

fn pointer(place: &Place) -> String {
    format!(" (All of it is in {}.md.)", place.file)
}

fn whereabouts(stored: Option<&Stored>) -> String {
    match stored {
        Some(Stored { file, missing: 0 }) => {
            format!(
                "all of it is in the workspace file {file}, which agents open on demand, not in every turn; shorten it"
            )
        }
        Some(Stored { file, missing }) => {
            format!(
                "it goes on in the workspace file {file}, and {missing} characters of its end are nowhere; shorten it"
            )
        }
        None => "the rest is nowhere, as there is no room for more workspace files; shorten it".into(),
    }
}

fn too_long(text: &str, limit: usize) -> String {
    format!("it has {} characters, and the field takes {limit}", length(text))
}

/// The beginning of a text, to the end of a word where there is one nearby.
fn start(text: &str, most: usize) -> String {
    let mut room = most;
    let fits = |character: &char| {
        let left = room.checked_sub(character.len_utf16());
        room = left.unwrap_or_default();
        left.is_some()
    };
    let cut: String = text.chars().take_while(fits).collect();
    if cut.len() == text.len() {
        return cut;
    }
    let word = cut.rfind(char::is_whitespace).filter(|word| cut.len() - word < 100);
    let start = word.map_or(cut.as_str(), |word| cut[..word].trim_end());
    if is_blank(start) { cut } else { start.to_owned() }
}

/// Characters as JavaScript counts them, by which OpenClaw cuts. The schema counts an emoji as one, not two.
fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

/// Whether nothing of a text is to be seen.
fn is_blank(text: &str) -> bool {
    text.chars().all(|c| c.is_whitespace() || c.is_control() || c == '\u{feff}')
}
