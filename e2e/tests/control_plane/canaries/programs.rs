//! The walk's part in which our programs speak for themselves: the webhook, the command line, the operator about its
//! settings.

use std::fs;
use std::path::Path;

use k8s_openapi::api::core::v1::Namespace;
use kr8tiv_cli::Exit;
use kr8tiv_e2e::Outcome;
use kr8tiv_e2e::kubectl;
use kr8tiv_e2e::manifests::{harness, tenant};
use kr8tiv_e2e::operator_process::refusal_of;
use kr8tiv_e2e::scope::SOON;
use kr8tiv_e2e::webhook_process::{JUDGED, WebhookProcess, configure};
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::paths::{Wrong, wrong};
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
    let harness = Plants::pasted_harness(&walk.plants, "pasted-2");
    let all: Vec<(Value, &str)> =
        wrong(&walk.plants)
            .into_iter()
            // What is wrong in a Harness, its Tenants are not refused for. Its name is another one: what was wrong before would be
            // told, and not refused.
            .map(|wrong| {
                if wrong.is_in_harness() {
                    (harness.clone(), wrong.field)
                } else {
                    (wrong.object, wrong.field)
                }
            })
            .collect();
    for (number, (object, field)) in all.iter().enumerate() {
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
                if told.contains("K8T") && told.contains(field) { Ok(told) } else { Err(told.into()) }
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
    // What is run, how it ends, and what it names.
    let mut runs: Vec<(Vec<&str>, Exit, &str)> = vec![
        (vec!["validate", "-f", &good], Exit::Success, "valid ("),
        (vec!["validate", "-f", &good, "-o", "json"], Exit::Success, "\"valid\": true"),
        (
            vec!["compile", "-f", &good, "--tenant-id", id, image, "--manifests"],
            Exit::Success,
            "acme-gateway",
        ),
        (vec!["compile", "-f", &good, "--tenant-id", id, image, "--output", &output], Exit::Success, ""),
        // The walk has changed the Harness since.
        (vec!["diff", "-f", &good, "-n", NAMESPACE], Exit::Found, "acme-gateway"),
    ];
    let mut files = Vec::new();
    for (number, Wrong { object, field, .. }) in wrong(&walk.plants).into_iter().enumerate() {
        let pasted = Plants::pasted_harness(&walk.plants, "pasted");
        let file = write(folder.path(), &format!("wrong-{number}.yaml"), &[&pasted, &concierge, &object])?;
        files.push((file, field));
    }
    let mut url = harness("pasted-3");
    url["spec"]["supermemory"] =
        json!({"baseUrl": format!("https://a:{}@example.com", walk.plants.of("pasted into a url"))});
    let file = write(folder.path(), "url.yaml", &[&url, &tenant("pasted", "pasted-3")])?;
    files.push((file, "spec.supermemory.baseUrl"));
    for (file, field) in &files {
        for (arguments, exit) in [
            (vec!["validate", "-f", file], Exit::Found),
            (vec!["validate", "-f", file, "-o", "json"], Exit::Found),
            (vec!["compile", "-f", file, "--tenant-id", id, image, "--manifests"], Exit::Found),
            // There is nothing to compare: `Found` would say that something differs.
            (vec!["diff", "-f", file, "-n", NAMESPACE], Exit::Trouble),
        ] {
            runs.push((arguments, exit, *field));
        }
    }
    for (arguments, expected, named) in runs {
        let (exit, output, errors) = kr8tiv(&arguments).await?;
        let told = format!("{output}{errors}");
        assert_eq!(exit, expected, "{arguments:?}: {told}");
        assert!(told.contains(named), "{arguments:?} does not name {named}: {told}");
        walk.heard(&format!("kr8tiv {}", arguments[0]), told);
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
pub async fn settings(walk: &mut Walk<'_>) -> Outcome {
    let mirror = format!("https://robot:{}@npm.example.com/", walk.plants.of("registry password"));
    let images = ["--watchdog-image=example.com/w:1", "--sandbox-image=example.com/s:1"];
    let told = refusal_of(&images, &[("KR8TIV_PLUGIN_REGISTRY", &mirror)]).await?;
    assert!(told.contains("plugin-registry"), "{told}");
    walk.heard("the operator about its settings", told);
    walk.walked("a password in the operator's own setting, which it refuses");
    Ok(())
}
