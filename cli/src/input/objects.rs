//! Collecting stage, pure: which objects there are in the documents, and what is wrong with each by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use kr8tiv_crds::{Agent, Harness, Tenant};
use kube::core::ObjectMeta;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use crate::input::kinds::{self, Kind};
use crate::input::node::{Node, Value};
use crate::input::scalar::Scalar;
use crate::input::schema::{self, Finding, Judgement};
use crate::input::{defaults, place, rules};
use crate::problem::{Code, ObjectId, Problem};

/// An object of the API, as it was read.
#[derive(Clone, Debug)]
pub struct Read<K> {
    /// Kind, namespace and name.
    pub id: ObjectId,
    /// The object with its defaults; `None` when it is too wrong for that.
    pub object: Option<K>,
    /// Whether nothing is wrong with it by itself.
    pub is_sound: bool,
    /// The file that it is in.
    pub source: usize,
    /// How it is written.
    pub node: Node,
}

/// Everything that the files hold.
#[derive(Clone, Debug, Default)]
pub struct Objects {
    /// The Harnesses, in the order of the files.
    pub harnesses: Vec<Read<Harness>>,
    /// The Tenants.
    pub tenants: Vec<Read<Tenant>>,
    /// The Agents.
    pub agents: Vec<Read<Agent>>,
    /// The keys of Secrets by namespace and name. Values are never kept.
    pub secrets: BTreeMap<(String, String), BTreeSet<String>>,
    /// The labels of Namespaces by name.
    pub namespaces: BTreeMap<String, BTreeMap<String, String>>,
    /// How many objects of other kinds there are.
    pub others: usize,
}

/// Takes one document of a file. Gives the bytes that must never be shown.
pub fn take(
    document: &Node,
    source: usize,
    text: &str,
    default_namespace: &str,
    objects: &mut Objects,
    problems: &mut Vec<Problem>,
) -> Vec<Range<usize>> {
    let mut taking = Taking { source, text, default_namespace, objects, problems, hidden: Vec::new() };
    taking.document(document);
    taking.hidden
}

struct Taking<'a> {
    source: usize,
    text: &'a str,
    default_namespace: &'a str,
    objects: &'a mut Objects,
    problems: &'a mut Vec<Problem>,
    hidden: Vec<Range<usize>>,
}

impl Taking<'_> {
    fn document(&mut self, node: &Node) {
        let kind = node.text(&["kind"]);
        let api_version = node.text(&["apiVersion"]);
        match (kind, api_version) {
            (Some("List"), Some("v1")) => {
                for item in node.entry("items").map(|items| items.value.items()).unwrap_or_default() {
                    self.document(item);
                }
            }
            (Some("Secret" | "SecretList"), _) => self.secret(node),
            (Some("Namespace"), Some("v1")) => self.namespace_object(node),
            (Some(kind), Some(api_version)) => match kinds::find(kind, api_version) {
                Some(kind) => self.object(kind, node),
                None => self.other(node, kind, api_version),
            },
            _ => self.nameless(node, kind, api_version),
        }
    }

    fn secret(&mut self, node: &Node) {
        self.hidden.push(node.span.clone());
        self.objects.others += 1;
        let name = node.text(&["metadata", "name"]).unwrap_or_default().to_owned();
        let fields = ["data", "stringData"].into_iter().filter_map(|field| node.entry(field));
        let keys = fields.flat_map(|field| field.value.entries()).map(|entry| entry.key.clone());
        self.objects.secrets.entry((self.namespace(node), name)).or_default().extend(keys);
    }

    fn namespace_object(&mut self, node: &Node) {
        self.objects.others += 1;
        let name = node.text(&["metadata", "name"]).unwrap_or_default().to_owned();
        let labels = node.entry("metadata").and_then(|metadata| metadata.value.entry("labels"));
        let labels = labels.map(|labels| labels.value.entries()).unwrap_or_default().iter();
        let labels = labels.filter_map(|label| match &label.value.value {
            Value::Scalar(Scalar::Text(text)) => Some((label.key.clone(), text.clone())),
            _ => None,
        });
        self.objects.namespaces.insert(name, labels.collect());
    }

    /// Kinds of somebody else are passed over; what is meant to be ours is not.
    fn other(&mut self, node: &Node, kind: &str, api_version: &str) {
        let (group, _) = api_version.split_once('/').unwrap_or(("", api_version));
        let ours: Vec<&Kind> = kinds::all().iter().collect();
        let same_kind = ours.iter().find(|known| known.name == kind);
        let (path, problem, fix) = if let Some(known) = same_kind.filter(|_| group.contains("kr8tiv")) {
            let fix = format!("write {}", known.api_version);
            ("apiVersion", format!("there is no {kind} of {api_version}"), fix)
        } else if group == kinds::GROUP {
            let names: Vec<&str> = ours.iter().map(|known| known.name.as_str()).collect();
            ("kind", format!("{api_version} has no kind {kind}"), format!("use one of: {}", names.join(", ")))
        } else {
            self.objects.others += 1;
            return;
        };
        self.refuse(node, path, problem, fix);
    }

    fn nameless(&mut self, node: &Node, kind: Option<&str>, api_version: Option<&str>) {
        match (kind, api_version) {
            (Some(kind), None) if kinds::all().iter().any(|known| known.name == kind) => {
                let fix = format!("set it to {}/v1alpha1", kinds::GROUP);
                self.refuse(node, "apiVersion", "apiVersion is required and not set".into(), fix);
            }
            (None, Some(version)) if version.split('/').next() == Some(kinds::GROUP) => {
                let names: Vec<&str> = kinds::all().iter().map(|known| known.name.as_str()).collect();
                let fix = format!("set it to one of: {}", names.join(", "));
                self.refuse(node, "kind", "kind is required and not set".into(), fix);
            }
            _ if node.is_null() => {}
            _ => {
                // No object: it may hold anything.
                self.hidden.push(node.span.clone());
                self.objects.others += 1;
            }
        }
    }

    fn refuse(&mut self, node: &Node, field: &str, problem: String, fix: String) {
        let range = place::find(node, field, self.text).range;
        let mut problem = Problem::new(Code::KindUnknown, problem, fix).at(self.source, range);
        problem.object = Some(self.id(node.text(&["kind"]).unwrap_or("object"), node));
        problem.field = field.into();
        self.problems.push(problem);
    }

    fn namespace(&self, node: &Node) -> String {
        let written = node.text(&["metadata", "namespace"]).filter(|namespace| !namespace.is_empty());
        written.unwrap_or(self.default_namespace).to_owned()
    }

    fn id(&self, kind: &str, node: &Node) -> ObjectId {
        let name = node.text(&["metadata", "name"]).unwrap_or_default().to_owned();
        ObjectId { kind: kind.into(), namespace: self.namespace(node), name }
    }

    fn object(&mut self, kind: &Kind, node: &Node) {
        let id = self.id(&kind.name, node);
        let Judgement { findings, meant_as_texts } =
            schema::check(&kind.object_schema, node, self.text, &kind.name);
        // What else is wrong with it can be said as well.
        let mut json = node.to_json_with_texts(self.text, &meant_as_texts);
        defaults::apply(&kind.schema, &mut json);
        json["metadata"]["namespace"] = Json::String(id.namespace.clone());
        let is_shaped = findings.iter().all(|finding| finding.code == Code::FieldUnknown);
        let mut found = findings.len();
        for finding in findings {
            self.push(&id, finding);
        }
        if is_shaped {
            for rule in rules::check(&kind.rules, &json, None) {
                let rules::Broken { code, field, problem, fix } = rule;
                let range = place::find(node, &field, self.text).range;
                found += usize::from(code != Code::RuleNotJudged);
                let concealed = None;
                self.push(&id, Finding { code, field, range, problem, fix, related: None, concealed });
            }
        }
        let common = (id, node, found == 0);
        match kind.name.as_str() {
            "Harness" => {
                let read = self.read(common, json);
                self.objects.harnesses.push(read);
            }
            "Tenant" => {
                let read = self.read(common, json);
                self.objects.tenants.push(read);
            }
            "Agent" => {
                let read = self.read(common, json);
                self.objects.agents.push(read);
            }
            _ => self.objects.others += 1,
        }
    }

    /// Makes the typed object. What its schema takes, its type takes: when it doesn't, that is said.
    fn read<K: DeserializeOwned + kube::ResourceExt>(
        &mut self,
        (id, node, is_sound): (ObjectId, &Node, bool),
        json: Json,
    ) -> Read<K> {
        let decoded = serde_json::from_value::<K>(json);
        if is_sound && let Err(error) = &decoded {
            let problem = Problem::new(
                Code::TypeWrong,
                format!("it can't be read: {error}"),
                "compare it with the definition of its kind",
            );
            let range = place::find(node, "", self.text).range;
            self.problems.push(Problem { object: Some(id.clone()), ..problem.at(self.source, range) });
        }
        let mut object = decoded.ok();
        if let Some(object) = &mut object {
            as_stored(object.meta_mut());
        }
        Read { id, is_sound: is_sound && object.is_some(), object, source: self.source, node: node.clone() }
    }

    fn push(&mut self, id: &ObjectId, finding: Finding) {
        let Finding { code, field, range, problem, fix, related, concealed } = finding;
        let related = related.map(|(range, label)| {
            (crate::problem::Place { source: self.source, start: range.start, end: range.end }, label)
        });
        let mut problem = Problem::new(code, problem, fix).at(self.source, range);
        problem.object = Some(id.clone());
        problem.field = field;
        problem.related = related;
        self.hidden.extend(concealed);
        self.problems.push(problem);
    }
}

/// What a user's file says of these is not what the object has.
fn as_stored(metadata: &mut ObjectMeta) {
    metadata.managed_fields = None;
    if metadata.uid.as_deref() == Some("") {
        metadata.uid = None;
    }
}
