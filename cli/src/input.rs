//! What the commands read: files, folders or the standard input, with Harnesses, Tenants and Agents, and whatever
//! else is among them. I/O: [`source`] reads; everything else here is pure.
//!
//! Each object is judged as the API server would judge it with strict field validation, and gets its defaults, so
//! that what is compiled from it is what the operator compiles.

mod defaults;
pub mod kinds;
pub mod node;
mod objects;
pub(crate) mod place;
mod rules;
pub mod scalar;
mod schema;
mod source;
pub mod yaml;

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;

pub use objects::{Objects, Read};
pub use source::{Error, STANDARD_INPUT, Source, read};

use crate::problem::{Code, ObjectId, Place, Problem};

/// The files, by their position.
pub type Sources = Vec<Source>;

/// Everything that was read.
#[derive(Clone, Debug, Default)]
pub struct Input {
    /// The files.
    pub sources: Sources,
    /// The objects in them.
    pub objects: Objects,
    /// What is wrong with each file and each object by itself.
    pub problems: Vec<Problem>,
    /// Whether a document could not be read: what it holds is not known.
    pub is_incomplete: bool,
}

/// Judges what files hold. Objects without a namespace get `default_namespace`.
pub fn judge(sources: Sources, default_namespace: &str) -> Input {
    let mut input = Input { sources, ..Input::default() };
    for position in 0..input.sources.len() {
        let text = std::mem::take(&mut input.sources[position].text);
        let yaml::Reading { documents, faults, incomplete } = yaml::read(&text);
        input.is_incomplete |= incomplete;
        let mut hidden = kr8tiv_compiler::keys_in(&text);
        for document in &documents {
            let (objects, problems) = (&mut input.objects, &mut input.problems);
            hidden.extend(objects::take(document, position, &text, default_namespace, objects, problems));
        }
        if incomplete {
            hidden.extend(unreadable_secrets(&text));
        }
        for fault in faults {
            let yaml::Fault { code, span, problem, fix, related } = fault;
            let related = related.map(|range| {
                (Place { source: position, start: range.start, end: range.end }, "the other one")
            });
            let problem = Problem::new(code, problem, fix).at(position, span);
            input.problems.push(Problem { related, ..problem });
        }
        input.sources[position] = Source { text, hidden, ..std::mem::take(&mut input.sources[position]) };
    }
    twice(&mut input);
    input
}

/// The documents that could hold a Secret, as far as can be told without reading them: what stands between two lines
/// of dashes and has the word in it.
fn unreadable_secrets(text: &str) -> Vec<std::ops::Range<usize>> {
    let mut documents = Vec::new();
    let mut start = 0;
    let mut position = 0;
    for line in text.split_inclusive('\n') {
        if line.starts_with("---") {
            documents.push(start..position);
            start = position;
        }
        position += line.len();
    }
    documents.push(start..text.len());
    let is_word = |document: &str| {
        document.match_indices("Secret").any(|(at, word)| {
            let is_part = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
            !is_part(document[..at].chars().next_back())
                && !is_part(document[at + word.len()..].chars().next())
        })
    };
    documents.into_iter().filter(|range| is_word(&text[range.clone()])).collect()
}

/// Finds objects that are there twice: the later one would replace the earlier.
fn twice(input: &mut Input) {
    let Input { sources, objects, problems, .. } = input;
    let Objects { harnesses, tenants, agents, .. } = objects;
    let mut seen: BTreeMap<ObjectId, Place> = BTreeMap::new();
    let mut again = |id: &ObjectId, source: usize, node: &node::Node| {
        if id.name.is_empty() {
            return false;
        }
        let range = place::find(node, "", &sources[source].text).range;
        let place = Place { source, start: range.start, end: range.end };
        let Some(first) = seen.get(id) else {
            seen.insert(id.clone(), place);
            return false;
        };
        let ObjectId { kind, namespace, name } = id;
        problems.push(Problem {
            object: Some(id.clone()),
            field: "metadata.name".into(),
            place: Some(place),
            related: Some((first.clone(), "the other one")),
            ..Problem::new(
                Code::ObjectTwice,
                format!("there is another {kind} {name} in namespace {namespace}"),
                "rename or remove one of them, or give --filename one of the files only",
            )
        });
        true
    };
    harnesses.retain(|read| !again(&read.id, read.source, &read.node));
    tenants.retain(|read| !again(&read.id, read.source, &read.node));
    agents.retain(|read| !again(&read.id, read.source, &read.node));
}

impl Input {
    /// Finds the place of a problem that names an object and a field.
    pub fn locate(&self, problem: &mut Problem) {
        let Some(id) = &problem.object else { return };
        let of_kind = |wanted: &ObjectId| {
            let Objects { harnesses, tenants, agents, .. } = &self.objects;
            let harnesses = harnesses.iter().map(|read| (&read.id, read.source, &read.node));
            let tenants = tenants.iter().map(|read| (&read.id, read.source, &read.node));
            let agents = agents.iter().map(|read| (&read.id, read.source, &read.node));
            harnesses.chain(tenants).chain(agents).find(|(id, ..)| *id == wanted)
        };
        if let Some((_, source, node)) = of_kind(id) {
            let range = place::find(node, &problem.field, &self.sources[source].text).range;
            problem.place = Some(Place { source, start: range.start, end: range.end });
        }
    }

    /// Kind, namespace and name of every object.
    pub fn ids(&self) -> impl Iterator<Item = &ObjectId> {
        let Objects { harnesses, tenants, agents, .. } = &self.objects;
        let harnesses = harnesses.iter().map(|read| &read.id);
        harnesses.chain(tenants.iter().map(|read| &read.id)).chain(agents.iter().map(|read| &read.id))
    }

    /// Whether there is no object that could be judged.
    pub fn is_empty(&self) -> bool {
        self.ids().next().is_none()
    }

    /// What the API server would refuse of a change from `old` to this: the rules that compare the two.
    pub fn refused_changes(&self, old: &Self) -> Vec<Problem> {
        let (new, old) = (self.jsons(), old.jsons());
        let known = |id: &ObjectId| old.iter().find(|(of, _)| *of == id).map(|(_, json)| json);
        let mut problems = Vec::new();
        for (id, json) in &new {
            let (Some(before), Some(kind)) =
                (known(id), kinds::all().iter().find(|kind| kind.name == id.kind))
            else {
                continue;
            };
            for rules::Broken { code, field, problem, fix } in rules::check(&kind.rules, json, Some(before)) {
                let object = Some((*id).clone());
                let mut problem = Problem { object, field, ..Problem::new(code, problem, fix) };
                self.locate(&mut problem);
                let same =
                    |known: &Problem| known.object == problem.object && known.problem == problem.problem;
                if code == Code::RuleBroken && !self.problems.iter().any(same) {
                    problems.push(problem);
                }
            }
        }
        problems
    }

    /// The objects that could be read, as JSON.
    fn jsons(&self) -> Vec<(&ObjectId, serde_json::Value)> {
        fn of<K: serde::Serialize>(
            reads: &[Read<K>],
        ) -> impl Iterator<Item = (&ObjectId, serde_json::Value)> {
            reads
                .iter()
                .filter_map(|read| Some((&read.id, serde_json::to_value(read.object.as_ref()?).ok()?)))
        }
        let Objects { harnesses, tenants, agents, .. } = &self.objects;
        of(harnesses).chain(of(tenants)).chain(of(agents)).collect()
    }
}

/// An object of a kind with its defaults, as the API server would store it; `None` when its fields are not the kind's.
pub fn defaulted<K: DeserializeOwned>(kind: &str, mut object: serde_json::Value) -> Option<K> {
    let kind = kinds::all().iter().find(|known| known.name == kind)?;
    object["apiVersion"] = kind.api_version.clone().into();
    object["kind"] = kind.name.clone().into();
    defaults::apply(&kind.schema, &mut object);
    serde_json::from_value(object).ok()
}
