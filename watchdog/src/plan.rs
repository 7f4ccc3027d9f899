//! Planning stage, pure: from a bundle, the record, and what is on the volume to the steps that are missing.

use std::collections::{BTreeMap, BTreeSet};

use crate::bundle::{Bundle, BundleFile};
use crate::manifest::{FileEntry, Ownership};
use crate::names::{AgentId, Digest, Target};
use crate::record::Record;

/// What is in a file's place on the volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observed {
    /// Nothing.
    Absent,
    /// A regular file with this digest.
    File(Digest),
    /// Something that cannot be a delivered file: a symlink, a directory, a file too large or unreadable.
    Other,
}

/// Why a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The bundle's content was never delivered here.
    Changed,
    /// It was delivered, and somebody changed or deleted it since.
    Drifted,
    /// The one delivery of an agent-owned file.
    Seed,
}

/// What to do with one workspace file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Put the bundle's content there, whatever is in its place.
    Write(Reason),
    /// Delete it: it left the bundle and is still what was delivered.
    Remove,
    /// Leave it although it left the bundle: it is not what was delivered any more.
    LeaveChanged,
    /// Nothing but bring the record up to date.
    RecordOnly,
}

/// One step: an action and what the record says once it is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The workspace file.
    pub target: Target,
    /// What to do.
    pub action: Action,
    /// The file's entry in the record afterwards.
    pub entry: Option<FileEntry>,
}

/// Everything that is missing between the volume and a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// In the order of the paths; files that are right already have no step.
    pub steps: Vec<Step>,
    /// Agents of the record that left the bundle: their workspaces stay as they are.
    pub departed: BTreeSet<AgentId>,
}

/// The files whose state [`plan`] needs: those of the bundle, and operator-owned ones that left it.
pub fn to_observe<'a>(bundle: &'a Bundle, record: &'a Record) -> BTreeSet<&'a Target> {
    let removed = record.files.iter().filter(|(target, entry)| left_the_bundle(bundle, target, **entry));
    bundle.files.keys().chain(removed.map(|(target, _)| target)).collect()
}

/// Decides what to do. `observed` has every file of [`to_observe`]; one that it lacks counts as absent.
pub fn plan(bundle: &Bundle, record: &Record, observed: &BTreeMap<Target, Observed>) -> Plan {
    let state = |target: &Target| observed.get(target).copied().unwrap_or(Observed::Absent);

    let delivered = bundle.files.iter().filter_map(|(target, file)| {
        let recorded = record.files.get(target).copied();
        let (action, entry) = match file.ownership {
            Ownership::Operator => converge(file, recorded, state(target)),
            Ownership::Agent => seed(file, recorded, state(target)),
        };
        (action != Action::RecordOnly || recorded != Some(entry)).then(|| Step {
            target: target.clone(),
            action,
            entry: Some(entry),
        })
    });
    let removed = record.files.iter().filter(|(target, entry)| left_the_bundle(bundle, target, **entry)).map(
        |(target, entry)| {
            let action = match state(target) {
                Observed::Absent => Action::RecordOnly,
                Observed::File(digest) if digest == entry.sha256 => Action::Remove,
                Observed::File(_) | Observed::Other => Action::LeaveChanged,
            };
            // Forgotten either way: a file that was left belongs to the agent from now on.
            Step { target: target.clone(), action, entry: None }
        },
    );
    let mut steps: Vec<Step> = delivered.chain(removed).collect();
    steps.sort_by(|a, b| a.target.cmp(&b.target));

    let departed = record
        .files
        .keys()
        .map(|target| &target.agent)
        .filter(|agent| !bundle.agents.contains(agent))
        .cloned();
    Plan { steps, departed: departed.collect() }
}

/// Whether a recorded file is one to remove: the operator's, of an agent that is still there.
fn left_the_bundle(bundle: &Bundle, target: &Target, entry: FileEntry) -> bool {
    entry.ownership == Ownership::Operator
        && bundle.agents.contains(&target.agent)
        && !bundle.files.contains_key(target)
}

/// An operator-owned file always gets the bundle's content.
fn converge(file: &BundleFile, recorded: Option<FileEntry>, observed: Observed) -> (Action, FileEntry) {
    let entry = FileEntry { sha256: file.sha256, ownership: Ownership::Operator };
    let action = if observed == Observed::File(file.sha256) {
        Action::RecordOnly
    } else if recorded == Some(entry) {
        Action::Write(Reason::Drifted)
    } else {
        Action::Write(Reason::Changed)
    };
    (action, entry)
}

/// An agent-owned file is written once, and never over something that is not ours.
fn seed(file: &BundleFile, recorded: Option<FileEntry>, observed: Observed) -> (Action, FileEntry) {
    let entry = FileEntry { sha256: file.sha256, ownership: Ownership::Agent };
    match recorded {
        Some(seeded @ FileEntry { ownership: Ownership::Agent, .. }) => (Action::RecordOnly, seeded),
        // It was the operator's until now: while nobody touched it, the bundle's version is the right start.
        Some(delivered)
            if observed == Observed::File(delivered.sha256) && delivered.sha256 != file.sha256 =>
        {
            (Action::Write(Reason::Seed), entry)
        }
        _ if observed == Observed::Absent => (Action::Write(Reason::Seed), entry),
        // Something is there and no record says that it is ours, perhaps because the record was lost.
        _ => (Action::RecordOnly, entry),
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
