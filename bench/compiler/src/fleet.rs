//! Many tenants from the manifest of one. Reads one file.

use std::path::Path;

use kr8tiv_compiler::{OperatorPods, Platform, PluginSource, Surroundings};
use kr8tiv_crds::harness::Reasoning;
use kr8tiv_crds::{Agent, Harness, Tenant};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Error;

/// Where all of them live: a Harness is shared within its namespace.
const NAMESPACE: &str = "bench";

/// Tenants that share a harness and differ in name and uid only.
#[derive(Clone, Debug)]
pub struct Fleet {
    /// The shared harness.
    pub harness: Harness,
    /// The same after an edit of one setting and one sentence.
    pub edited: Harness,
    /// Each tenant with its agents; at least one.
    pub tenants: Vec<(Tenant, Vec<Agent>)>,
    /// What the operator was installed with.
    pub platform: Platform,
    /// What the cluster says around each tenant: nothing.
    pub surroundings: Surroundings,
}

impl Fleet {
    /// Reads a manifest of one Harness, one Tenant and its Agents, and multiplies the tenant. Other kinds are
    /// passed over.
    pub fn read(manifest: &Path, tenants: usize) -> Result<Self, Error> {
        let text = std::fs::read_to_string(manifest)
            .map_err(|source| Error::Unreadable { path: manifest.to_owned(), source })?;
        Self::of(&text, tenants)
    }

    fn of(manifest: &str, tenants: usize) -> Result<Self, Error> {
        let objects: Vec<Value> = serde_saphyr::from_multiple(manifest)?;
        let mut harness: Harness = of_kind(&objects, "Harness")?.pop().ok_or(Error::Missing("Harness"))?;
        harness.metadata.namespace = Some(NAMESPACE.to_owned());
        let tenant: Tenant = of_kind(&objects, "Tenant")?.pop().ok_or(Error::Missing("Tenant"))?;
        let agents: Vec<Agent> = of_kind(&objects, "Agent")?;
        let name = tenant.metadata.name.as_deref().unwrap_or_default();
        Ok(Self {
            edited: edited(&harness),
            harness,
            // As long as each other, so that each costs the same.
            tenants: (0..tenants.max(1)).map(|number| copy(&tenant, &agents, name, number)).collect(),
            platform: Platform {
                gateway_repository: "ghcr.io/openclaw/openclaw".to_owned(),
                watchdog_image: "example.com/kr8tiv/watchdog:0.1.0".to_owned(),
                sandbox_image: "example.com/kr8tiv/sandbox:0.1.0".to_owned(),
                plugins: PluginSource::default(),
                operator: OperatorPods::default(),
            },
            surroundings: Surroundings::default(),
        })
    }
}

fn of_kind<T: DeserializeOwned>(objects: &[Value], kind: &str) -> Result<Vec<T>, Error> {
    let objects = objects.iter().filter(|object| object.get("kind").is_some_and(|found| found == kind));
    Ok(objects.map(|object| serde_json::from_value(object.clone())).collect::<Result<_, _>>()?)
}

fn copy(tenant: &Tenant, agents: &[Agent], name: &str, number: usize) -> (Tenant, Vec<Agent>) {
    let (mut tenant, mut agents) = (tenant.clone(), agents.to_vec());
    let name = format!("{name}-{number:06}");
    tenant.metadata.name = Some(name.clone());
    tenant.metadata.namespace = Some(NAMESPACE.to_owned());
    tenant.metadata.uid = Some(format!("0a1b2c3d-0000-4000-8000-{number:012}"));
    for agent in &mut agents {
        agent.metadata.namespace = Some(NAMESPACE.to_owned());
        agent.spec.tenant_ref.name.clone_from(&name);
    }
    (tenant, agents)
}

/// An edit as it happens every day: a setting in `openclaw.json` and a sentence in `SOUL.md`.
fn edited(harness: &Harness) -> Harness {
    let mut harness = harness.clone();
    let models = &mut harness.spec.models;
    models.reasoning =
        Some(if models.reasoning == Some(Reasoning::Low) { Reasoning::Medium } else { Reasoning::Low });
    harness.spec.soul.vibe.push_str(" Cheerful on Fridays.");
    harness
}
