//! Converting stage, pure: what agents remember beyond a conversation. The memory seed and the line for reflection are
//! words, and so with the others in `texts`.

use crate::import::draft::{Difference, Draft};
use crate::import::legacy::{Given, Legacy, Memory};
use crate::import::limits;
use crate::import::names::shortened;
use crate::import::report::Target;

const RETENTION: Target = Target::harness("spec.workspace.retentionDays");
const ENABLED: Target = Target::harness("spec.supermemory.enabled");
const BASE_URL: Target = Target::harness("spec.supermemory.baseUrl");
const PREFIX: Target = Target::harness("spec.supermemory.containerTagPrefix");
const TOP_K: Target = Target::harness("spec.supermemory.topK");
const THRESHOLD: Target = Target::harness("spec.supermemory.threshold");
const QUERIES: Target = Target::harness("spec.supermemory.queries");
const KEY: Target = Target::tenant("spec.supermemory.apiKeySecretRef");
const TAG: Target = Target::tenant("spec.containerTag");
const INGESTION: Target = Target::harness("spec.memoryIngestion.enabled");
const DEDUPE: Target = Target::harness("spec.memoryIngestion.dedupeByCustomId");
const NAMESPACE: Target = Target::harness("spec.memoryIngestion.metadataNamespace");
const REFLECTION: Target = Target::harness("spec.reinforcement.enabled");

/// Longest retention.
const RETENTION_DAYS: u64 = 3650;
/// Most lines of a query.
const LINES: u64 = 50;

/// What of a tag Supermemory's documentation allows.
const TAG_RULE: &str =
    "Supermemory takes letters, digits, '-' and '_' in it; nothing can have been stored under the old one";

/// Converts memory.
pub fn convert(legacy: &Legacy, draft: &mut Draft<'_>) {
    let memory = &legacy.memory;
    if let Some(days) = &memory.retention_days {
        at_most(days, RETENTION_DAYS, RETENTION, draft);
    }
    supermemory(memory, draft);
    let unused = "the old tools did not act on it; here it is in force while Supermemory is on";
    for (given, to) in [(&memory.ingestion, INGESTION), (&memory.dedupe, DEDUPE)] {
        if let Some(given) = given {
            draft.change(given, to, given.value, None, unused);
        }
    }
    if let Some(namespace) = &memory.namespace {
        word(namespace, NAMESPACE, draft);
    }
    if let Some(reflection) = &memory.reflection {
        draft.carry(reflection, REFLECTION, reflection.value);
    }
}

fn supermemory(memory: &Memory, draft: &mut Draft<'_>) {
    let Memory { enabled, key_variable, base_url, tag_prefix, container_tag, top_k, threshold, .. } = memory;
    let is_usable = base_url.as_ref().is_none_or(|url| self::base_url(url, draft));
    let is_on = enabled.as_ref().is_some_and(|enabled| enabled.value);
    match enabled {
        Some(enabled) if is_on && !is_usable => {
            let reason = "it is left off, because its address has no place and nothing may go to another one";
            draft.cut(enabled, ENABLED, false, reason);
        }
        Some(enabled) => draft.carry(enabled, ENABLED, enabled.value),
        None => {}
    }
    key(key_variable.as_ref(), is_on && is_usable, draft);
    if is_on && is_usable {
        draft.mention(
            QUERIES,
            None,
            "the old formats had no queries; nothing is looked up until you write some",
        );
    }
    if let Some(prefix) = tag_prefix {
        word(prefix, PREFIX, draft);
    }
    if let Some(tag) = container_tag {
        container_tag_of(tag, draft);
    }
    if let Some(lines) = top_k {
        at_most(lines, LINES, TOP_K, draft);
    }
    if let Some(threshold) = threshold {
        draft.carry(threshold, THRESHOLD, threshold.value);
    }
}

/// The key was in an environment variable.
fn key(variable: Option<&Given<String>>, is_needed: bool, draft: &mut Draft<'_>) {
    const DEFAULT: &str = "SUPERMEMORY_API_KEY";
    if !is_needed {
        if let Some(variable) = variable {
            draft.ledger.settle(variable, "Supermemory is off, so no key is needed");
        }
        return;
    }
    // The name goes into a command for a shell.
    let name = variable.map(|given| given.value.as_str()).filter(|name| is_variable(name)).unwrap_or(DEFAULT);
    let secret = draft.secret("supermemory-api-key", "the key for Supermemory", name);
    match variable {
        Some(given) => {
            draft.change(given, KEY, secret, None, "the key comes from a Secret instead of a variable");
        }
        None => draft.add(KEY, secret, "the key comes from a Secret"),
    }
}

/// Whether an address has a place. It is in no message: it could hold a key.
fn base_url(url: &Given<String>, draft: &mut Draft<'_>) -> bool {
    let is_usable = is_plain_url(&url.value, limits::of(BASE_URL).characters);
    if is_usable {
        draft.carry(url, BASE_URL, url.value.as_str());
    } else {
        draft.ledger.lose(url, "it is no plain address such as https://memory.example.com/api");
    }
    is_usable
}

/// An http or https address with a host and perhaps a path: no user, query or fragment.
pub fn is_plain_url(url: &str, most: usize) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        !rest.is_empty()
            && !rest.starts_with('/')
            && !rest.split('/').next().unwrap_or_default().contains('@')
            && !rest.contains(['?', '#'])
            && !rest.chars().any(|c| c.is_whitespace() || c.is_control())
            && url.chars().count() <= most
    })
}

fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn container_tag_of(tag: &Given<String>, draft: &mut Draft<'_>) {
    if tag.value.is_empty() {
        draft.ledger.settle(tag, "the tag is made from the tenant's id");
        return;
    }
    word(tag, TAG, draft);
}

/// A text of letters, digits, `-` and `_`.
fn word(given: &Given<String>, to: Target, draft: &mut Draft<'_>) {
    let most = limits::of(to).characters;
    let dashed: String =
        given.value.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).collect();
    let new = shortened(&dashed, &given.value, most);
    if new == given.value {
        draft.carry(given, to, new);
    } else {
        let reason =
            if dashed == given.value { format!("it takes {most} characters") } else { TAG_RULE.into() };
        draft.change(given, to, new.clone(), Some(Difference::of(&given.value, &new)), reason);
    }
}

fn at_most(given: &Given<u64>, most: u64, to: Target, draft: &mut Draft<'_>) {
    if given.value <= most {
        draft.carry(given, to, given.value);
    } else {
        draft.change(
            given,
            to,
            most,
            Some(Difference::of(&given.value, &most)),
            format!("the field takes {most} at most"),
        );
    }
}
