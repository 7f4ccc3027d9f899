//! What differs between two bundles, or between a bundle and the cluster, and what each change does to the running
//! gateway. Pure.
//!
//! Both sides are lists of objects as JSON: a bundle's own ones, or live ones. The configuration and the workspaces
//! are read from the ConfigMaps that carry them, so that both sides are read in the same way.

mod display;
mod fields;
mod live;
mod state;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;
use similar::TextDiff;

pub use crate::openclaw::reload::Effect;

use crate::bundle::{Bundle, Ownership};
use crate::openclaw::reload::Rules;
use state::State;

/// Unchanged lines that are shown around a changed one.
const CONTEXT_LINES: usize = 2;

/// Everything that differs, in a fixed order.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// The gravest effect of all changes.
    pub effect: Effect,
    /// Changes of `openclaw.json`, with paths as the gateway logs them. None when the tenant is new.
    pub config: Vec<FieldChange>,
    /// Changes of workspace files, by agent and name. None when the tenant is new.
    pub files: Vec<FileChange>,
    /// Changes of objects, by kind and name.
    pub objects: Vec<ObjectChange>,
}

/// What happens to an object or a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// It is new.
    Created,
    /// It changes.
    Updated,
    /// It goes.
    Deleted,
}

/// A value that differs. Values that look like a secret are `(hidden)`; texts of several lines are left out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FieldChange {
    /// Where. In an object, an entry of a list is named by its key: `spec.template.spec.containers[gateway].image`.
    pub path: String,
    /// The value before; `None` where there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<Value>,
    /// The value afterwards; `None` where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<Value>,
    /// What the change does.
    pub effect: Effect,
}

/// A workspace file that differs. None of these changes needs a reload: an agent reads its files in every turn.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FileChange {
    /// Id of the agent.
    pub agent: String,
    /// The file's name.
    pub name: String,
    /// What happens to it in the bundle.
    pub change: Change,
    /// Whether a file that exists in the agent's workspace stays as it is: the agent owns it, or the agent left the
    /// tenant.
    pub kept: bool,
    /// The changed lines in the unified format; empty when the file is deleted.
    pub text: String,
}

/// An object that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ObjectChange {
    /// The object's kind.
    pub kind: String,
    /// The object's name, in the tenant's namespace.
    pub name: String,
    /// What happens to it.
    pub change: Change,
    /// The fields of an updated object that differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldChange>,
    /// What the change does. A changed template of the gateway's replaces its Pod, which restarts it; that of a sandbox
    /// restarts no gateway.
    pub effect: Effect,
}

impl Difference {
    /// Compares what a tenant runs with what it would run; a tenant that runs nothing yet has no `old`.
    pub fn between(old: Option<&Bundle>, new: &Bundle) -> Self {
        let old = old.map(state::objects).unwrap_or_default();
        compare(new, &State::of(old), &State::of(state::objects(new)))
    }

    /// Compares the live objects of a tenant with a bundle. Each needs its `kind` and, so that fields which the
    /// bundle no longer sets are seen, its `metadata.managedFields`; `manager` is the field manager that applied
    /// them. What others have set, the API server's defaults above all, does not count; Secrets do not either.
    pub fn from_live(live: &[Value], manager: &str, new: &Bundle) -> Self {
        let new_objects = state::objects(new);
        let live = live.iter().map(|object| {
            let planned = new_objects.iter().find(|planned| state::id(planned) == state::id(object));
            planned.map_or_else(|| object.clone(), |planned| live::restrict(object, planned, manager))
        });
        let live = State::of(live.collect());
        compare(new, &live, &State::of(new_objects))
    }

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        let Self { effect: _, config, files, objects } = self;
        config.is_empty() && files.is_empty() && objects.is_empty()
    }
}

/// The changed paths of `openclaw.json` as a gateway of a release logs them, by path.
pub fn config_changes(version: &str, old: &Value, new: &Value) -> Vec<FieldChange> {
    let rules = Rules::between(version, old, new);
    let mut changes = fields::config(old, new, &|path| rules.divides(path));
    for change in &mut changes {
        change.effect = rules.effect(&change.path);
    }
    changes
}

fn compare(bundle: &Bundle, old: &State, new: &State) -> Difference {
    let objects = object_changes(old, new);
    // Of a tenant that is new, every path and every line would be.
    let (config, files) = if old.objects.is_empty() {
        (Vec::new(), Vec::new())
    } else {
        (config_changes(&bundle.gateway_version, &old.config, &new.config), file_changes(old, new))
    };
    let effects = config.iter().map(|change| change.effect);
    let effect = effects.chain(objects.iter().map(|change| change.effect)).max().unwrap_or_default();
    Difference { effect, config, files, objects }
}

fn file_changes(old: &State, new: &State) -> Vec<FileChange> {
    let agents: BTreeSet<&String> = new.files.keys().map(|(agent, _)| agent).collect();
    pairs(&old.files, &new.files)
        .filter(|(_, _, old, new)| old != new)
        .map(|((agent, name), change, old, new)| FileChange {
            agent: agent.clone(),
            name: name.clone(),
            change,
            kept: !agents.contains(agent)
                || new.or(old).is_some_and(|file| file.ownership == Ownership::Agent),
            text: new
                .map_or_else(String::new, |new| unified(old.map_or("", |old| &old.content), &new.content)),
        })
        .collect()
}

fn unified(old: &str, new: &str) -> String {
    TextDiff::from_lines(old, new)
        .unified_diff()
        .context_radius(CONTEXT_LINES)
        .missing_newline_hint(false)
        .to_string()
}

fn object_changes(old: &State, new: &State) -> Vec<ObjectChange> {
    pairs(&old.objects, &new.objects)
        .filter_map(|((kind, name), change, old, new)| {
            let fields = match (old, new) {
                (Some(old), Some(new)) => fields::object(old, new),
                _ => Vec::new(),
            };
            let (counts, effect) = match change {
                Change::Created => (true, Effect::None),
                Change::Updated => {
                    let effect = fields.iter().map(|field| field.effect).max();
                    (effect.is_some(), effect.unwrap_or_default())
                }
                // A volume outlives its place in the bundle: it holds what can't be made again.
                Change::Deleted => (kind != "PersistentVolumeClaim", stopped(old)),
            };
            counts.then(|| ObjectChange { kind: kind.clone(), name: name.clone(), change, fields, effect })
        })
        .collect()
}

/// The effect of an object's end: with a workload its Pods end, and the gateway with its own.
fn stopped(object: Option<&Value>) -> Effect {
    let gateway = object.filter(|object| !fields::is_sandbox(object));
    let has_pods = gateway.is_some_and(|object| object.pointer("/spec/template").is_some());
    if has_pods { Effect::Restart } else { Effect::None }
}

/// Every key of two maps, in order, with what happens to it.
fn pairs<'a, K: Ord, V>(
    old: &'a BTreeMap<K, V>,
    new: &'a BTreeMap<K, V>,
) -> impl Iterator<Item = (&'a K, Change, Option<&'a V>, Option<&'a V>)> {
    let keys: BTreeSet<&K> = old.keys().chain(new.keys()).collect();
    keys.into_iter().map(|key| {
        let (old, new) = (old.get(key), new.get(key));
        let change = match (old, new) {
            (None, _) => Change::Created,
            (Some(_), Some(_)) => Change::Updated,
            (Some(_), None) => Change::Deleted,
        };
        (key, change, old, new)
    })
}
