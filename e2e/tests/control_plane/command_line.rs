//! The command line against the real thing: what it refuses, the API server refuses, and for the same fields; what it
//! reads, kubectl reads; what it writes and compares, the cluster has.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use hyper::Request;
use k8s_openapi::api::apps::v1::StatefulSet;
use kr8tiv_cli::input::{Input, Source, judge, kinds, yaml};
use kr8tiv_cli::{Console, Exit};
use kr8tiv_crds::{Agent, Harness, Tenant, meta};
use kr8tiv_e2e::cluster::repository_file;
use kr8tiv_e2e::kubectl::{self, kubectl};
use kr8tiv_e2e::manifests::{harness, tenant};
use kr8tiv_e2e::scope::Scope;
use kr8tiv_e2e::{Outcome, figure};
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::context::Context;
use crate::expect::STARTING;

/// Problems of an object by itself, which the API server sees too.
const OF_THE_API_SERVER: [&str; 6] = ["K8T0911", "K8T0912", "K8T0913", "K8T0914", "K8T0915", "K8T0916"];

/// The files with objects, good and bad.
fn files() -> Outcome<Vec<PathBuf>> {
    let mut files = Vec::new();
    for folder in ["cli/tests/validate", "compiler/tests/cases", "examples"] {
        for entry in fs::read_dir(repository_file(folder))? {
            let path = entry?.path();
            if path.extension().is_some_and(|ending| ending == "yaml") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Every object of every file is accepted by both or refused by both. Of one that is refused, each field that the API
/// server names is one that `validate` names; one that is accepted has the same spec, defaults included.
pub async fn agreement(context: &Context) -> Outcome {
    let scope = context.scope("cli-agreement").await?;
    let (mut accepted, mut refused) = (0, 0);
    let mut wrong = Vec::new();
    for path in files()? {
        let text = fs::read_to_string(&path)?;
        let reading = yaml::read(&text);
        if !reading.faults.is_empty() {
            continue;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let input = judge(vec![Source { name: name.clone(), text, hidden: Vec::new() }], "default");
        for document in reading.documents {
            let mut object = document.to_json();
            let of = |field: &str| object[field].as_str().unwrap_or_default().to_owned();
            if kinds::find(&of("kind"), &of("apiVersion")).is_none() {
                continue;
            }
            let (kind, own) =
                (of("kind"), object["metadata"]["name"].as_str().unwrap_or_default().to_owned());
            let found: BTreeSet<&str> = input
                .problems
                .iter()
                .filter(|problem| OF_THE_API_SERVER.contains(&problem.code))
                .filter(|problem| problem.object.as_ref().is_some_and(|id| id.kind == kind && id.name == own))
                .map(|problem| problem.field.as_str())
                .collect();
            object["metadata"]["namespace"] = json!(scope.namespace);
            let label = format!("{name}, {kind} {own}");
            match (create(&scope, &kind, &object).await?, found.is_empty()) {
                (Ok(stored), true) => {
                    accepted += 1;
                    if !is_as_stored(&input, &kind, &own, stored)? {
                        wrong.push(format!("{label}: another spec is stored than the one that is compiled"));
                    }
                }
                (Err(status), false) => {
                    refused += 1;
                    for field in fields(&status).filter(|field| !found.contains(field.as_str())) {
                        wrong.push(format!("{label}: {field} is not among {found:?}: {}", status.message));
                    }
                }
                (Ok(_), false) => wrong.push(format!("{label}: the API server accepts it; {found:?}")),
                (Err(status), true) => {
                    wrong.push(format!("{label}: validate accepts it; {}", status.message));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    figure("command_line.accepted_by_both", accepted, "objects");
    figure("command_line.refused_by_both", refused, "objects");
    assert!(accepted >= 20 && refused >= 12, "{accepted} accepted, {refused} refused");
    scope.discard().await
}

/// Asks the API server to create an object, strictly, and not to store it.
async fn create(
    scope: &Scope,
    kind: &str,
    object: &Value,
) -> Outcome<Result<Value, Box<kube::core::Status>>> {
    let kind = kinds::all().iter().find(|known| known.name == kind).ok_or("an unknown kind")?;
    let url = format!(
        "/apis/{}/namespaces/{}/{}?dryRun=All&fieldValidation=Strict",
        kind.api_version, scope.namespace, kind.plural
    );
    let request = Request::post(url).header("content-type", "application/json");
    let request = request.body(serde_json::to_vec(object)?)?;
    match scope.cluster.client.request::<Value>(request).await {
        Ok(stored) => Ok(Ok(stored)),
        Err(kube::Error::Api(status)) if status.code == 400 || status.code == 422 => Ok(Err(status)),
        Err(other) => Err(other.into()),
    }
}

/// The fields that a refusal names, where it names any.
fn fields(status: &kube::core::Status) -> impl Iterator<Item = String> {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let causes =
        causes.map(|cause| cause.field.clone()).filter(|field| !["", "<nil>"].contains(&field.as_str()));
    // A strict decoding error is a text.
    let unknown = status.message.split("unknown field \"").skip(1);
    let unknown = unknown.filter_map(|rest| rest.split_once('"')).map(|(field, _)| field.to_owned());
    causes.chain(unknown).collect::<Vec<_>>().into_iter()
}

fn is_as_stored(input: &Input, kind: &str, name: &str, stored: Value) -> Outcome<bool> {
    let objects = &input.objects;
    Ok(match kind {
        "Harness" => {
            let read = objects.harnesses.iter().find(|read| read.id.name == name);
            let stored: Harness = serde_json::from_value(stored)?;
            read.and_then(|read| read.object.as_ref()).is_some_and(|object| object.spec == stored.spec)
        }
        "Tenant" => {
            let stored: Tenant = serde_json::from_value(stored)?;
            // Some files have two tenants of a name, on purpose.
            let mut reads = objects.tenants.iter().filter(|read| read.id.name == name);
            reads.any(|read| read.object.as_ref().is_some_and(|object| object.spec == stored.spec))
                || input.problems.iter().any(|problem| problem.code == "K8T0921")
        }
        _ => {
            let read = objects.agents.iter().find(|read| read.id.name == name);
            let stored: Agent = serde_json::from_value(stored)?;
            read.and_then(|read| read.object.as_ref()).is_some_and(|object| object.spec == stored.spec)
        }
    })
}

/// YAML means to the command line what it means to kubectl.
pub async fn reading(_: &Context) -> Outcome {
    let scalars = [
        "yes",
        "No",
        "on",
        "OFF",
        "y",
        "N",
        "true",
        "null",
        "~",
        "012",
        "0o17",
        "0x1F",
        "0b101",
        "1_000",
        "+5",
        "-5",
        "09",
        "1e3",
        "2.0",
        "2.50",
        ".5",
        "-.5",
        "1:30",
        "2026-01-02",
        "2026-01-02T03:04:05Z",
        "1.2.3",
        "500m",
        "+-5",
        "0x",
        "0_",
        "<",
        "'no'",
        "\"no\"",
        "!!str 5",
        "!!int '5'",
        "\"\\u00e4\\n\"",
        "a#b",
    ];
    let mut text =
        "apiVersion: example.com/v1\nkind: Example\nmetadata: {name: example}\nscalars:\n".to_owned();
    for (position, scalar) in scalars.iter().enumerate() {
        text.push_str(&format!("  s{position}: {scalar}\n"));
    }
    text.push_str(
        "keys: {yes: 1, 2: two, 0x10: sixteen, null-ish: 3}\nanchors:\n  a: &a {one: 1, two: [x, y]}\n  b: *a\n  \
         c:\n    <<: *a\n    one: mine\nblocks:\n  literal: |\n    first\n      second\n\n    third\n  folded: >-\n    \
         first\n    second\n  kept: |+\n    text\n\n  plain: first\n    second\n",
    );
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("example.yaml");
    fs::write(&path, &text)?;
    let file = path.to_str().ok_or("a path that is no text")?;
    let printed = kubectl(&["annotate", "--local", "-f", file, "a=b", "-o", "json"]).await?;
    let mut theirs: Value = serde_json::from_str(&printed)?;
    theirs["metadata"].as_object_mut().ok_or("no metadata")?.remove("annotations");
    let reading = yaml::read(&text);
    assert_eq!(reading.faults, []);
    let ours: Vec<Value> = reading.documents.iter().map(kr8tiv_cli::input::node::Node::to_json).collect();
    assert_eq!(ours, [theirs]);
    Ok(())
}

/// Runs the command with the administrator's kubeconfig. Gives its exit, its output and what it complained about.
pub async fn kr8tiv(arguments: &[&str]) -> Outcome<(Exit, String, String)> {
    let arguments: Vec<OsString> =
        std::iter::once("kr8tiv").chain(arguments.iter().copied()).map(Into::into).collect();
    let run = move || {
        let (mut output, mut errors) = (Vec::new(), Vec::new());
        let mut console = Console {
            input: &mut std::io::empty(),
            output: &mut output,
            errors: &mut errors,
            output_has_colours: false,
            errors_have_colours: false,
        };
        let exit = kr8tiv_cli::main(arguments, &mut console);
        Ok((exit, String::from_utf8(output)?, String::from_utf8(errors)?))
    };
    // It waits in a runtime of its own.
    tokio::task::spawn_blocking(run).await?
}

pub fn write(folder: &Path, name: &str, objects: &[&Value]) -> Outcome<String> {
    let path = folder.join(name);
    fs::write(&path, objects.iter().map(|object| format!("---\n{object}\n")).collect::<String>())?;
    Ok(path.to_str().ok_or("a path that is no text")?.to_owned())
}

/// `diff` sees no difference in what the operator has applied, and sees each that there is; `compile` writes what is
/// there.
pub async fn cluster(context: &Context) -> Outcome {
    let scope = context.scope("cli-cluster").await?;
    let (concierge, acme) = (harness("concierge"), tenant("acme", "concierge"));
    scope.apply::<Harness>(&concierge).await?;
    let stored = scope.apply::<Tenant>(&acme).await?;
    scope.until_exactly::<Tenant>("acme", &STARTING).await?;
    let folder = tempfile::tempdir()?;
    let namespace = scope.namespace.as_str();

    let same = write(folder.path(), "same.yaml", &[&concierge, &acme])?;
    let (exit, output, errors) = kr8tiv(&["diff", "-f", &same, "-n", namespace]).await?;
    assert_eq!((exit, output.as_str(), errors.as_str()), (Exit::Success, "1 tenant: 1 unchanged\n", ""));

    let mut told = concierge.clone();
    told["spec"]["identity"]["purpose"] = json!("You do something else.");
    let told = write(folder.path(), "told.yaml", &[&told])?;
    let (exit, output, _) = kr8tiv(&["diff", "-f", &told, "-n", namespace]).await?;
    assert_eq!(exit, Exit::Found, "{output}");
    assert!(output.contains(&format!("Tenant {namespace}/acme\n")), "{output}");
    assert!(output.contains("You do something else.") && !output.contains("(restart"), "{output}");

    let mut larger = acme.clone();
    larger["spec"]["gateway"] = json!({"resources": {"limits": {"memory": "4Gi"}}});
    let larger = write(folder.path(), "larger.yaml", &[&larger])?;
    let (exit, output, _) = kr8tiv(&["diff", "-f", &larger, "-n", namespace]).await?;
    assert_eq!(exit, Exit::Found);
    assert!(output.contains("~ StatefulSet acme-gateway (restart: its Pod is replaced)"), "{output}");

    // Applied as the operator applies, what is written changes nothing.
    let uid = stored.uid().ok_or("a Tenant without uid")?;
    let mut compile = vec!["compile", "-f", &same, "-n", namespace, "--uid", &uid, "--manifests"];
    compile.extend([
        "--watchdog-image=example.com/kr8tiv/watchdog:e2e",
        "--sandbox-image=example.com/kr8tiv/sandbox:e2e",
    ]);
    let (exit, manifests, errors) = kr8tiv(&compile).await?;
    assert_eq!((exit, errors.as_str()), (Exit::Success, ""));
    let reading = yaml::read(&manifests);
    assert_eq!(reading.faults, []);
    let mut documents: Vec<Value> =
        reading.documents.iter().map(kr8tiv_cli::input::node::Node::to_json).collect();
    // Nobody but the operator knows which keys a sandbox has.
    let is_sandbox =
        |object: &&mut Value| object["kind"] == "StatefulSet" && object["metadata"]["name"] == "acme-sandbox";
    let sandbox = documents.iter_mut().find(is_sandbox).ok_or("no StatefulSet of a sandbox")?;
    let live = serde_json::to_value(scope.api::<StatefulSet>().get("acme-sandbox").await?)?;
    let keys = &live["spec"]["template"]["metadata"]["annotations"][meta::SANDBOX_KEYS];
    assert!(keys.is_string(), "{live:#}");
    sandbox["spec"]["template"]["metadata"]["annotations"] = json!({meta::SANDBOX_KEYS: keys});
    // They are in the hash of what is applied.
    sandbox["metadata"]["annotations"][meta::APPLIED_HASH] =
        live["metadata"]["annotations"][meta::APPLIED_HASH].clone();
    let file = write(folder.path(), "manifests.yaml", &documents.iter().collect::<Vec<_>>())?;
    let arguments = ["diff", "--server-side", "--field-manager=kr8tiv-operator", "-f", &file];
    let compared = kubectl::output(&arguments).await?;
    assert!(compared.status.success(), "{}", String::from_utf8_lossy(&compared.stdout));
    scope.discard().await
}
