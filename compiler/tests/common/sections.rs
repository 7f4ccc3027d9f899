//! Small cases with one section each, `tests/sections.yaml`.

use serde_json::{Value, json};

use super::rules::merge;
use super::{Case, objects};

/// Every section by name, alone in a small case.
pub fn sections() -> Vec<(String, Case)> {
    let sections: Vec<Value> = serde_saphyr::from_str(include_str!("../sections.yaml")).unwrap();
    sections
        .iter()
        .map(|section| (section["section"].as_str().unwrap().to_owned(), patched(section)))
        .collect()
}

/// The small case itself.
pub fn without_section() -> Case {
    patched(&json!({}))
}

/// The small case with the merge patches of a section applied.
fn patched(patches: &Value) -> Case {
    let mut all = vec![
        json!({"apiVersion": "kr8tiv.ai/v1alpha1", "kind": "Harness", "metadata": {"name": "h"}, "spec": {
            "identity": {"role": "helper", "purpose": "You help.", "personality": "Calm."},
            "soul": {"coreTruths": ["Be kind."], "vibe": "Warm."},
            "jobFunctions": {"responsibilities": ["Help."], "successCriteria": ["It helped."]},
            "models": {"primary": "anthropic/claude-sonnet-4-6"},
        }}),
        json!({"apiVersion": "kr8tiv.ai/v1alpha1", "kind": "Tenant", "metadata": {"name": "t"}, "spec": {
            "displayName": "Kin", "harnessRef": {"name": "h"},
        }}),
    ];
    for (position, kind) in ["harness", "tenant"].into_iter().enumerate() {
        if let Some(patch) = patches.get(kind) {
            merge(&mut all[position]["spec"], patch);
        }
    }
    for (name, patch) in patches["agents"].as_object().into_iter().flatten() {
        let mut spec = json!({"tenantRef": {"name": "t"}});
        merge(&mut spec, patch);
        all.push(json!({"apiVersion": "kr8tiv.ai/v1alpha1", "kind": "Agent", "metadata": {"name": name}, "spec": spec}));
    }
    objects(all)
}
