//! One side of a comparison: a tenant's objects as JSON, and what is delivered by them. Pure.

use std::collections::BTreeMap;

use kr8tiv_crds::meta;
use serde_json::{Map, Value};

use crate::bundle::{Bundle, Ownership, WorkspaceFile};

/// Kind and name of an object.
pub(super) type Id = (String, String);

/// What a tenant runs, or would run.
#[derive(Default)]
pub(super) struct State {
    /// The objects, without what says nothing about them.
    pub(super) objects: BTreeMap<Id, Value>,
    /// `openclaw.json`; `null` when there is none, or none that can be read.
    pub(super) config: Value,
    /// The workspace files by agent and name.
    pub(super) files: BTreeMap<(String, String), WorkspaceFile>,
}

/// A bundle's objects as JSON.
pub(super) fn objects(bundle: &Bundle) -> Vec<Value> {
    // Objects of Kubernetes have string keys and no failing `Serialize`.
    bundle.objects.iter().filter_map(|object| serde_json::to_value(object).ok()).collect()
}

/// Kind and name of an object.
pub(super) fn id(object: &Value) -> Id {
    let text = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    (text("/kind"), text("/metadata/name"))
}

impl State {
    pub(super) fn of(objects: Vec<Value>) -> Self {
        // A Secret's values are nobody's business here, and the operator leaves one that it made alone.
        let objects = objects.into_iter().map(|object| (id(&object), object));
        let objects: BTreeMap<Id, Value> = objects.filter(|((kind, _), _)| kind != "Secret").collect();

        let config_maps = || objects.iter().filter(|((kind, _), _)| kind == "ConfigMap").map(|(_, map)| map);
        let document = |name: &str| {
            let text = config_maps().find_map(|map| map.get("data")?.get(name)?.as_str());
            text.and_then(|text| serde_json::from_str::<Value>(text).ok()).unwrap_or_default()
        };
        let config = document("openclaw.json");
        let delivery = document("delivery.json");
        let workspaces: BTreeMap<&str, &Value> = config_maps()
            .filter_map(|map| {
                let agent = map.get("metadata")?.get("labels")?.get(meta::AGENT_ID)?.as_str()?;
                Some((agent, map.get("data")?))
            })
            .collect();
        let files = entries(&delivery["workspaces"]).flat_map(|(agent, files)| {
            let workspace = workspaces.get(agent.as_str()).copied();
            entries(files).filter_map(move |(name, file)| {
                let content = workspace?.get(name)?.as_str()?.to_owned();
                let ownership = match file["ownership"].as_str() {
                    Some("Agent") => Ownership::Agent,
                    _ => Ownership::Operator,
                };
                Some(((agent.clone(), name.clone()), WorkspaceFile { content, ownership }))
            })
        });
        let files = files.collect();

        Self {
            objects: objects.into_iter().map(|(id, object)| (id, stripped(object))).collect(),
            config,
            files,
        }
    }
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

/// An object without what its id says, and without the hash of everything else.
fn stripped(mut object: Value) -> Value {
    if let Some(fields) = object.as_object_mut() {
        fields.remove("apiVersion");
        fields.remove("kind");
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("name");
        let annotations = metadata.get_mut("annotations").and_then(Value::as_object_mut);
        if annotations.is_some_and(|annotations| {
            annotations.remove(meta::APPLIED_HASH);
            annotations.is_empty()
        }) {
            metadata.remove("annotations");
        }
    }
    object
}
