//! `delivery.json`: tells the watchdog what to deliver and by what hash to know it. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::bundle::{Ownership, WorkspaceFile};
use crate::hash;

/// Version of the file's format; the watchdog refuses others.
const FORMAT: &str = "kr8tiv.ai/delivery/v1";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Delivery<'a> {
    api_version: &'static str,
    bundle_hash: &'a str,
    config: Content,
    workspaces: BTreeMap<&'a str, BTreeMap<&'a str, OwnedContent>>,
}

#[derive(Serialize)]
struct Content {
    sha256: String,
}

#[derive(Serialize)]
struct OwnedContent {
    sha256: String,
    ownership: Ownership,
}

type Workspaces = BTreeMap<String, BTreeMap<String, WorkspaceFile>>;

/// The hash of everything that is delivered, and the file that says so.
pub(crate) fn render(config: &str, workspaces: &Workspaces) -> (String, String) {
    let config = Content { sha256: hash::hex(config.as_bytes()) };
    let workspaces: BTreeMap<_, BTreeMap<_, _>> = workspaces
        .iter()
        .map(|(agent, files)| {
            let files = files.iter().map(|(name, file)| {
                let content =
                    OwnedContent { sha256: hash::hex(file.content.as_bytes()), ownership: file.ownership };
                (name.as_str(), content)
            });
            (agent.as_str(), files.collect())
        })
        .collect();
    let mut delivery = Delivery { api_version: FORMAT, bundle_hash: "", config, workspaces };
    let bundle_hash = hash::canonical(&delivery);
    delivery.bundle_hash = &bundle_hash;
    // Maps with text keys and plain values: serialising them can't fail.
    let text = serde_json::to_string_pretty(&delivery).unwrap_or_default();
    (bundle_hash.clone(), format!("{text}\n"))
}
