//! The objects of one tenant, read as the operator would see them in a cluster. Tests of other crates have this file, too.
#![allow(clippy::unwrap_used, reason = "a test ends here")]

use kr8tiv_compiler::{
    Bundle, Diagnostics, Inputs, OperatorPods, Platform, PluginSource, Surroundings, compile,
};
use kr8tiv_crds::{Agent, Harness, Tenant};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The objects of one tenant.
#[derive(Clone, Debug)]
pub struct Case {
    pub tenant: Tenant,
    pub harness: Option<Harness>,
    pub agents: Vec<Agent>,
    pub surroundings: Surroundings,
}

pub fn platform() -> Platform {
    Platform {
        gateway_repository: "ghcr.io/openclaw/openclaw".into(),
        watchdog_image: "example.com/kr8tiv/watchdog:0.1.0".into(),
        sandbox_image: "example.com/kr8tiv/sandbox:0.1.0".into(),
        plugins: PluginSource::Registry,
        operator: OperatorPods::default(),
    }
}

/// The objects in a manifest, with what the API server adds.
pub fn case(manifest: &str) -> Case {
    let found: Vec<Value> = serde_saphyr::from_multiple(manifest).unwrap();
    objects(found.into_iter().filter(|object| !object.is_null()).collect())
}

/// Objects, with what the API server adds.
pub fn objects(mut objects: Vec<Value>) -> Case {
    for object in &mut objects {
        object["metadata"]["namespace"] = json!("team");
        object["metadata"]["uid"] = json!("0a1b2c3d-0000-4000-8000-000000000000");
    }
    Case {
        tenant: of_kind(&objects, "Tenant").remove(0),
        harness: of_kind(&objects, "Harness").pop(),
        agents: of_kind(&objects, "Agent"),
        surroundings: Surroundings::default(),
    }
}

fn of_kind<T: DeserializeOwned>(objects: &[Value], kind: &str) -> Vec<T> {
    objects
        .iter()
        .filter(|object| object["kind"] == kind)
        .map(|object| serde_json::from_value(object.clone()).unwrap())
        .collect()
}

impl Case {
    pub fn compile(&self) -> Result<Bundle, Diagnostics> {
        let agents: Vec<&Agent> = self.agents.iter().collect();
        compile(&Inputs {
            tenant: &self.tenant,
            harness: self.harness.as_ref(),
            agents: &agents,
            platform: &platform(),
            surroundings: &self.surroundings,
        })
    }
}
