//! The walk's part in which our programs speak for themselves: the webhook, the command line, the operator about its
//! settings.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use k8s_openapi::api::core::v1::Namespace;
use kr8tiv_e2e::Outcome;
use kr8tiv_e2e::cluster::variable;
use kr8tiv_e2e::kubectl;
use kr8tiv_e2e::manifests::harness;
use kr8tiv_e2e::scope::SOON;
use kr8tiv_e2e::webhook_process::{JUDGED, WebhookProcess, configure};
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::paths::wrong;
use super::plants::Plants;
use super::{NAMESPACE, Walk};
use crate::command_line::{kr8tiv, write};

/// What the admission webhook says.
pub async fn admission(walk: &mut Walk<'_>) -> Outcome {
    let client = &walk.context.cluster.client;
    let judged = json!({"metadata": {"labels": {JUDGED.0: JUDGED.1}}});
    let namespaces = Api::<Namespace>::all(client.clone());
    namespaces.patch(NAMESPACE, &PatchParams::default(), &Patch::Merge(judged)).await?;
    let webhook = WebhookProcess::start(client, 18443, 18083, "90d").await?;
    webhook.serve(client).await?;
    configure(client, json!({"failurePolicy": "Fail"})).await?;
    let folder = tempfile::tempdir()?;
    let tenants = wrong(&walk.plants).into_iter().map(|(object, ..)| object);
    // What is wrong in a Harness, its Tenants are not refused for.
    let mut all: Vec<Value> = tenants.filter(|it| it["spec"]["harnessRef"]["name"] == "concierge").collect();
    all.push(Plants::pasted_harness(&walk.plants));
    // A name of its own: what was wrong before would be told, and not refused.
    all.iter_mut()
        .filter(|object| object["kind"] == "Harness")
        .for_each(|object| object["metadata"]["name"] = json!("pasted-2"));
    for (number, object) in all.iter().enumerate() {
        let path = write(folder.path(), &format!("{number}.yaml"), &[object])?;
        let told = walk
            .scope
            .until("what admission says", SOON, async || {
                let output = kubectl::output(&[
                    "apply",
                    "--server-side",
                    "--dry-run=server",
                    "-n",
                    NAMESPACE,
                    "-f",
                    &path,
                ])
                .await?;
                let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
                if told.contains("K8T") { Ok(told) } else { Err(told.into()) }
            })
            .await?;
        walk.heard("what admission says", told);
    }
    walk.heard("the webhook's metrics", webhook.get("/metrics").await?.1);
    webhook.stop().await?;
    configure(client, json!({"failurePolicy": "Ignore"})).await?;
    walk.heard("the webhook's log", fs::read_to_string(WebhookProcess::log()?)?);
    walk.walked("what was pasted, refused and told by the webhook");
    Ok(())
}

/// What the command line says and writes of the same objects.
pub async fn command_line(walk: &mut Walk<'_>, memory: &str) -> Outcome {
    let folder = tempfile::tempdir()?;
    let mut secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "bot"}});
    secret["stringData"] = json!({"token": walk.plants.of("telegram token")});
    let (concierge, acme) = (Plants::harness("concierge", memory), Plants::tenant("acme"));
    let good = write(folder.path(), "good.yaml", &[&secret, &concierge, &acme])?;
    let output = folder.path().join("bundle").to_string_lossy().into_owned();
    let id = "acme-0a1b2c3d";
    let image = "--watchdog-image=example.com/kr8tiv/watchdog:e2e";
    let mut runs: Vec<Vec<&str>> = vec![
        vec!["validate", "-f", &good],
        vec!["validate", "-f", &good, "-o", "json"],
        vec!["compile", "-f", &good, "--tenant-id", id, image, "--manifests"],
        vec!["compile", "-f", &good, "--tenant-id", id, image, "--output", &output],
        vec!["diff", "-f", &good, "-n", NAMESPACE],
    ];
    let mut files = Vec::new();
    for (number, (object, ..)) in wrong(&walk.plants).into_iter().enumerate() {
        let pasted = Plants::pasted_harness(&walk.plants);
        files.push(write(folder.path(), &format!("wrong-{number}.yaml"), &[&pasted, &concierge, &object])?);
    }
    let mut url = harness("pasted-3");
    url["spec"]["supermemory"] =
        json!({"baseUrl": format!("https://a:{}@example.com", walk.plants.of("pasted into a url"))});
    files.push(write(folder.path(), "url.yaml", &[&url])?);
    for file in &files {
        runs.push(vec!["validate", "-f", file]);
        runs.push(vec!["validate", "-f", file, "-o", "json"]);
        runs.push(vec!["compile", "-f", file, "--tenant-id", id, image, "--manifests"]);
        runs.push(vec!["diff", "-f", file, "-n", NAMESPACE]);
    }
    for arguments in runs {
        let (_, output, errors) = kr8tiv(&arguments).await?;
        let from = format!("kr8tiv {}", arguments[0]);
        walk.heard(&from, format!("{output}{errors}"));
    }
    for text in files_below(&folder.path().join("bundle"))? {
        walk.heard("files of kr8tiv compile", text);
    }
    walk.walked("the command line over the same objects, good and wrong");
    Ok(())
}

fn files_below(folder: &Path) -> Outcome<Vec<String>> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            texts.extend(files_below(&path)?);
        } else {
            texts.push(fs::read_to_string(&path)?);
        }
    }
    Ok(texts)
}

/// A mirror with a password, given to the operator as a setting.
pub fn settings(walk: &mut Walk<'_>) -> Outcome {
    let mirror = format!("https://robot:{}@npm.example.com/", walk.plants.of("registry password"));
    let output = Command::new(variable("KR8TIV_E2E_OPERATOR")?)
        .args(["--watchdog-image=example.com/w:1"])
        .env("KR8TIV_PLUGIN_REGISTRY", mirror)
        .stdin(Stdio::null())
        .output()?;
    let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(!output.status.success() && told.contains("plugin-registry"), "{told}");
    walk.heard("the operator about its settings", told);
    walk.walked("a password in the operator's own setting, which it refuses");
    Ok(())
}
