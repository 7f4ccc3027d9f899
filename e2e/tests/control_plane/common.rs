//! What the compiler's own cases of problems are written with, so that they can be tried on an API server. Pure.

#[path = "../../../compiler/tests/common/small.rs"]
pub mod small;

use kr8tiv_cli::input::node::Node;
use kr8tiv_cli::input::yaml;
use kr8tiv_compiler::{
    Bundle, Diagnostics, Inputs, OperatorPods, Platform, PluginSource, Surroundings, compile,
};
use kr8tiv_crds::{Agent, Harness, Tenant};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The objects of one tenant.
pub struct Case {
    pub tenant: Tenant,
    pub harness: Option<Harness>,
    pub agents: Vec<Agent>,
    pub surroundings: Surroundings,
}

/// The objects in a manifest.
pub fn case(manifest: &str) -> Case {
    let reading = yaml::read(manifest);
    assert_eq!(reading.faults, []);
    let objects: Vec<Value> = reading.documents.iter().map(Node::to_json).collect();
    Case {
        tenant: of_kind(&objects, "Tenant").remove(0),
        harness: of_kind(&objects, "Harness").pop(),
        agents: of_kind(&objects, "Agent"),
        surroundings: Surroundings::default(),
    }
}

fn of_kind<T: DeserializeOwned>(objects: &[Value], kind: &str) -> Vec<T> {
    let read = |object: &Value| match serde_json::from_value(object.clone()) {
        Ok(read) => read,
        Err(error) => panic!("{error}: {object}"),
    };
    objects.iter().filter(|object| object["kind"] == kind).map(read).collect()
}

impl Case {
    /// Some cases measure what others come to.
    pub fn compile(&self) -> Result<Bundle, Diagnostics> {
        let image = |name: &str| format!("example.com/{name}:1");
        let platform = Platform {
            gateway_repository: "example.com/openclaw".into(),
            watchdog_image: image("watchdog"),
            sandbox_image: image("sandbox"),
            plugins: PluginSource::Registry,
            operator: OperatorPods::default(),
        };
        let mut tenant = self.tenant.clone();
        tenant.metadata.uid = Some("0a1b2c3d-0000-4000-8000-000000000000".into());
        let agents: Vec<&Agent> = self.agents.iter().collect();
        compile(&Inputs {
            tenant: &tenant,
            harness: self.harness.as_ref(),
            agents: &agents,
            platform: &platform,
            surroundings: &self.surroundings,
        })
    }

    /// As they are applied, whatever comes of it.
    pub fn objects(&self) -> Vec<Value> {
        let harness = self.harness.iter().map(|object| json!(object));
        let agents = self.agents.iter().map(|object| json!(object));
        harness.chain([json!(self.tenant)]).chain(agents).collect()
    }
}
