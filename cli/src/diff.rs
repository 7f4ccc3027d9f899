//! `diff`: what a change of the files does to each tenant. Pure, but for `cluster`, which reads from one.

pub mod cluster;
mod installed;

use std::collections::BTreeMap;
use std::fmt::Write;

use kr8tiv_compiler::{Bundle, Difference, Effect, Platform, asked_sandbox_rotation};
use kr8tiv_crds::Tenant;
use serde::Serialize;

use crate::args::PlatformArguments;
use crate::diff::cluster::Found;
use crate::diff::installed::Remembered;
use crate::input::{Input, Read};
use crate::problem::{Problem, Severity};
use crate::tenants::{self, Parts};

/// What happens to a tenant.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// It is new.
    Created,
    /// Something of it differs.
    Updated,
    /// It is in the old files only.
    Deleted,
    /// Nothing of it differs.
    Unchanged,
}

/// What differs for a tenant.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// The tenant's namespace.
    pub namespace: String,
    /// The tenant's name.
    pub name: String,
    /// What happens to it.
    pub change: Change,
    /// What differs, by object, file and path. A tenant that goes has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difference: Option<Difference>,
}

/// Namespace and name of a tenant.
pub type Key = (String, String);

fn key<K>(read: &Read<K>) -> Key {
    (read.id.namespace.clone(), read.id.name.clone())
}

/// Compares two sets of files. `Err` has the set that is not valid and its problems.
pub fn between<'a>(
    old: &'a Input,
    new: &'a Input,
    platform: &Platform,
) -> Result<Vec<Entry>, (&'a Input, Vec<Problem>)> {
    // An id that only one side knows is the other's as well: it is the same tenant.
    let identities = Identities::of([old, new]);
    let refused = new.refused_changes(old);
    if !refused.is_empty() {
        return Err((new, refused));
    }
    let olds = compiled(old, &identities, platform, |_| Remembered::default());
    let olds = olds.map_err(|problems| (old, problems))?;
    let remembered = |read: &Read<Tenant>| {
        let before = olds.get(&key(read));
        let sandboxes = before.map(|bundle| bundle.sandboxes.as_slice()).unwrap_or_default();
        let names = sandboxes.iter().map(|keys| keys.sandbox.clone());
        let sandbox_keys = new_keys(names, old, read).unwrap_or_default();
        let container_tag = before.map(|bundle| bundle.container_tag.clone());
        Remembered { sandbox_keys, container_tag, ..Remembered::default() }
    };
    let news = compiled(new, &identities, platform, remembered).map_err(|problems| (new, problems))?;
    let mut entries: BTreeMap<Key, Entry> = BTreeMap::new();
    for (key, bundle) in &news {
        entries.insert(
            key.clone(),
            entry(key, olds.contains_key(key), Difference::between(olds.get(key), bundle)),
        );
    }
    for key @ (namespace, name) in olds.keys().filter(|key| !news.contains_key(*key)) {
        let (namespace, name) = (namespace.clone(), name.clone());
        entries.insert(key.clone(), Entry { namespace, name, change: Change::Deleted, difference: None });
    }
    Ok(entries.into_values().collect())
}

/// Compares the live objects of tenants with what the files and the cluster compile to. `Err` has what is not valid.
pub fn with_cluster(found: &Found, arguments: &PlatformArguments) -> Result<Vec<Entry>, Vec<Problem>> {
    let Found { input, live, concerned, children } = found;
    let identities = Identities::of([input]);
    let mut problems = input.refused_changes(live);
    let mut entries = Vec::new();
    for read in input.objects.tenants.iter().filter(|read| concerned.contains(&key(read))) {
        let key = key(read);
        let objects = children.get(&key).map(Vec::as_slice).unwrap_or_default();
        let mut unavailable = read.object.iter().flat_map(tenants::unavailable_images);
        let platform = installed::platform(arguments, objects, unavailable.next());
        let mut remembered = installed::remembered(objects);
        if let Some(keys) = new_keys(remembered.sandbox_keys.keys().cloned(), live, read) {
            remembered.sandbox_keys = keys;
        }
        match one(input, read, &identities, &platform, remembered) {
            Ok(bundle) => {
                let difference = Difference::from_live(objects, FIELD_MANAGER, &bundle);
                entries.push(entry(&key, !objects.is_empty(), difference));
            }
            Err(found) => problems.extend(found),
        }
    }
    entries.sort_by(|a: &Entry, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    if problems.is_empty() { Ok(entries) } else { Err(problems) }
}

/// Stands for keys that the operator will make.
const NEW_KEYS: &str = "new keys";

/// Which keys sandboxes will have, when a Tenant asks for other ones than it asked for before: the Secrets, which say what
/// was made, are not read.
fn new_keys(
    sandboxes: impl Iterator<Item = String>,
    before: &Input,
    now: &Read<Tenant>,
) -> Option<BTreeMap<String, String>> {
    let before = before.objects.tenants.iter().find(|read| read.id == now.id);
    let asked = now.object.as_ref().and_then(asked_sandbox_rotation)?;
    let is_new = before.and_then(|read| asked_sandbox_rotation(read.object.as_ref()?)) != Some(asked);
    is_new.then(|| sandboxes.map(|sandbox| (sandbox, NEW_KEYS.to_owned())).collect())
}

/// The field manager by which the operator applies.
const FIELD_MANAGER: &str = "kr8tiv-operator";

fn entry((namespace, name): &Key, existed: bool, difference: Difference) -> Entry {
    let change = match (existed, difference.is_empty()) {
        (false, _) => Change::Created,
        (true, false) => Change::Updated,
        (true, true) => Change::Unchanged,
    };
    Entry { namespace: namespace.clone(), name: name.clone(), change, difference: Some(difference) }
}

/// What makes tenants' ids, by tenant.
struct Identities(BTreeMap<Key, (Option<String>, Option<String>)>);

impl Identities {
    fn of<'a>(inputs: impl IntoIterator<Item = &'a Input>) -> Self {
        let mut found: BTreeMap<Key, (Option<String>, Option<String>)> = BTreeMap::new();
        for read in inputs.into_iter().flat_map(|input| &input.objects.tenants) {
            let Some(tenant) = &read.object else { continue };
            let (uid, id) = found.entry(key(read)).or_default();
            *uid = uid.take().or_else(|| tenant.metadata.uid.clone());
            *id = id.take().or_else(|| tenant.spec.tenant_id.clone());
        }
        Self(found)
    }
}

fn compiled(
    input: &Input,
    identities: &Identities,
    platform: &Platform,
    remembered: impl Fn(&Read<Tenant>) -> Remembered,
) -> Result<BTreeMap<Key, Bundle>, Vec<Problem>> {
    let mut bundles = BTreeMap::new();
    let mut problems: Vec<Problem> = errors(&input.problems);
    for read in &input.objects.tenants {
        match one(input, read, identities, platform, remembered(read)) {
            Ok(bundle) => {
                bundles.insert(key(read), bundle);
            }
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() { Ok(bundles) } else { Err(problems) }
}

/// Compiles a tenant; `Err` is empty when something it needs could not be read, which the input's problems say.
fn one(
    input: &Input,
    read: &Read<Tenant>,
    identities: &Identities,
    platform: &Platform,
    remembered: Remembered,
) -> Result<Bundle, Vec<Problem>> {
    let mut parts = Parts::of(input, read).ok_or_else(|| errors(&input.problems))?;
    let Remembered { context, rotation, sandbox_keys, container_tag } = remembered;
    parts.surroundings.retrieved_context = context;
    parts.surroundings.sandbox_keys = sandbox_keys;
    parts.surroundings.container_tag = parts.surroundings.container_tag.or(container_tag);
    // What a Tenant asks for comes first; a rotation that it asks for no more has been made all the same.
    let asked = kr8tiv_compiler::asked_rotation(parts.tenant).map(str::to_owned);
    parts.surroundings.token_rotation = asked.or(rotation);
    let mut tenant = parts.tenant.clone();
    if let Some((uid, id)) = identities.0.get(&key(read)) {
        tenant.metadata.uid = tenant.metadata.uid.or_else(|| uid.clone());
        tenant.spec.tenant_id = tenant.spec.tenant_id.or_else(|| id.clone());
    }
    let tenant = tenants::with_some_uid(&tenant);
    let parts = Parts { tenant: &tenant, ..parts };
    parts.compile(platform).map_err(|diagnostics| errors(&tenants::problems(input, &tenant, &diagnostics)))
}

fn errors(problems: &[Problem]) -> Vec<Problem> {
    problems.iter().filter(|problem| problem.severity == Severity::Error).cloned().collect()
}

/// Whether something differs.
pub fn differs(entries: &[Entry]) -> bool {
    entries.iter().any(|entry| entry.change != Change::Unchanged)
}

/// For people: each tenant that differs, and one line on all.
pub fn human(entries: &[Entry]) -> String {
    let mut text = String::new();
    for Entry { namespace, name, change, difference } in entries {
        let tenant = format!("Tenant {namespace}/{name}");
        // Writing to a String can't fail.
        let _ = match (change, difference) {
            (Change::Unchanged, _) => Ok(()),
            (Change::Deleted, _) | (_, None) => {
                writeln!(
                    text,
                    "{tenant}: deleted, with its objects; spec.deletionPolicy says what becomes of its volume\n"
                )
            }
            (Change::Created, Some(difference)) => writeln!(text, "{tenant}: new\n{difference}"),
            (Change::Updated, Some(difference)) => writeln!(text, "{tenant}\n{difference}"),
        };
    }
    text + &summary(entries) + "\n"
}

fn summary(entries: &[Entry]) -> String {
    let count = |of: &dyn Fn(&Entry) -> bool| entries.iter().filter(|entry| of(entry)).count();
    let updated = |effect: Effect| {
        count(&|entry: &Entry| {
            entry.change == Change::Updated
                && entry.difference.as_ref().is_some_and(|difference| difference.effect == effect)
        })
    };
    let parts = [
        (count(&|entry| entry.change == Change::Created), "new"),
        (count(&|entry| entry.change == Change::Deleted), "deleted"),
        (updated(Effect::Restart), "restarted"),
        (updated(Effect::Reload), "reloaded"),
        (updated(Effect::None), "changed without a reload"),
        (count(&|entry| entry.change == Change::Unchanged), "unchanged"),
    ];
    let parts: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    let tenants = if entries.len() == 1 { "tenant" } else { "tenants" };
    format!(
        "{} {tenants}: {}",
        entries.len(),
        if parts.is_empty() { "nothing to compare".into() } else { parts.join(", ") }
    )
}

/// For programs. The shape is part of the interface: fields are added, never changed.
pub fn json(entries: &[Entry]) -> String {
    #[derive(Serialize)]
    struct Report<'a> {
        changed: bool,
        tenants: &'a [Entry],
    }
    let report = Report { changed: differs(entries), tenants: entries };
    // Texts, numbers and JSON in structures always have a form in JSON.
    serde_json::to_string_pretty(&report).unwrap_or_default() + "\n"
}
