//! `skill-pack-manifest.json`: which skills a tenant's agents have, from where. For people and other programs; neither
//! the gateway nor the watchdog reads it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use kr8tiv_crds::skills::{ConfigMapPack, ImagePack, PackSource};
use serde::Serialize;

use crate::openclaw::SKILLS_FOLDER;
use crate::resolve::Resolved;
use crate::skills::{Pack, of_agent};

/// Version of the file's format.
const VERSION: u32 = 1;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    version: u32,
    tenant_id: &'a str,
    /// Folder of the packs in the gateway.
    install_root: &'static str,
    packs: Vec<ManifestPack<'a>>,
}

#[derive(Serialize)]
struct ManifestPack<'a> {
    name: &'a str,
    version: Option<&'a str>,
    source: String,
    digest: Option<&'a str>,
    /// Whether the Pod has it: false for an image that can't be pulled.
    available: bool,
    skills: &'a [String],
    /// The skills of this pack that each agent has, by the agent's id.
    agents: BTreeMap<&'a str, BTreeSet<&'a str>>,
}

/// The manifest as text.
pub(crate) fn render(resolved: &Resolved<'_>, packs: &[Pack<'_>]) -> String {
    let packs = packs
        .iter()
        .map(|pack| {
            let (source, digest) = origin(&pack.spec.source);
            let agents = resolved.agents.iter().map(|agent| {
                let mut skills = of_agent(resolved, agent);
                skills.retain(|name| pack.spec.skills.iter().any(|skill| skill == name));
                (agent.id, skills)
            });
            ManifestPack {
                name: &pack.spec.name,
                version: pack.spec.version.as_deref(),
                source,
                digest,
                available: pack.available,
                skills: &pack.spec.skills,
                agents: agents.filter(|(_, skills)| !skills.is_empty()).collect(),
            }
        })
        .collect();
    let manifest =
        Manifest { version: VERSION, tenant_id: &resolved.tenant.id, install_root: SKILLS_FOLDER, packs };
    // Maps with text keys and plain values: serialising them can't fail.
    format!("{}\n", serde_json::to_string_pretty(&manifest).unwrap_or_default())
}

/// Where a pack comes from, as a URL, and the digest that pins it.
fn origin(source: &PackSource) -> (String, Option<&str>) {
    match source {
        PackSource { image: Some(ImagePack { reference, digest, path }), .. } => {
            (format!("oci://{reference}#{path}"), Some(digest))
        }
        PackSource { config_map: Some(ConfigMapPack { name, digest }), .. } => {
            (format!("configmap://{name}"), digest.as_deref())
        }
        PackSource { config_map: None, image: None } => (String::new(), None),
    }
}
