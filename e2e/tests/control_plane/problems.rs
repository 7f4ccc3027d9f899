//! Every problem that the compiler names, as `kubectl apply` shows it when the webhook judges. Runs alone: there is one
//! configuration.

#[path = "../../../compiler/tests/problems/cases.rs"]
mod cases;
mod common;
#[path = "../../../compiler/tests/problems/given.rs"]
mod given;

use kr8tiv_crds::{Agent, Harness, Tenant};
use kr8tiv_e2e::scope::{SOON, Scope};
use kr8tiv_e2e::{Outcome, figure, kubectl, wait};
use serde_json::{Value, json};

use crate::admission::{answering, judged, started, unasked};
use crate::context::Context;
use crate::problems::cases::cases;
use crate::problems::common::Case;
use crate::problems::common::small::with;

/// Those that nobody is told of by the webhook, and why.
const UNTOLD: [(&str, &str); 2] = [
    ("K8T0002", "the API server gives every object a uid"),
    ("K8T0004", "needs a Harness in another namespace: `admission::messages` tries that"),
];

/// Those that the resource types refuse before, by a rule that needs no code, and what is said then.
const REFUSED_BEFORE: [(&str, &str); 15] = [
    ("K8T0207", ".spec.workspace.files: duplicate entries for key [name=\"A.md\"]"),
    ("K8T0241", ".spec.skills.packs: duplicate entries for key [name=\"base\"]"),
    ("K8T0304", ".spec.modelCredentials: duplicate entries for key [provider=\"anthropic\"]"),
    ("K8T0306", "spec.workspace.files[0].name in body should match"),
    ("K8T0308", "spec.containerTag in body should match"),
    ("K8T0311", "spec.watchdog.ownerWebhook.url in body should match"),
    ("K8T0312", "heartbeatInterval must be at least 30s"),
    ("K8T0317", "a tool is in both allow and deny: remove it from one of them"),
    ("K8T0319", "orchestrator needs mode team: a single agent has nobody to orchestrate"),
    ("K8T0320", "spec.channels.telegram.accounts in body should have at least 1 items"),
    ("K8T0321", ".spec.channels.telegram.accounts: duplicate entries for key [name=\"default\"]"),
    ("K8T0322", "guildId is for the channel discord"),
    ("K8T0328", "spec.gateway.env[0]: Invalid value: set exactly one of value and valueFrom"),
    ("K8T0340", "spec.skills.packs[0].source.image.digest in body should match"),
    ("K8T0402", "spec.soul.coreTruths[1]: Too long"),
];

/// Those that a Harness is refused for by itself, before a Tenant could use it.
const OF_HARNESS: [(&str, &str); 4] = [
    ("K8T0313", "Harness desk, spec.recovery.order[1]: Tenant example has no agent friday"),
    ("K8T0401", "Harness desk, workspace AGENTS.md: the file has "),
    ("K8T0402", "Harness desk, workspace: the files have "),
    ("K8T0403", "Harness desk, ConfigMap example-workspace.main: the object has "),
];

/// What is tried: an object, and the start of what is said of it.
struct Trial {
    code: &'static str,
    object: Value,
    says: String,
}

/// What must be there before, in a namespace.
struct Group {
    scope: Scope,
    objects: Vec<Value>,
    trials: Vec<Trial>,
}

pub async fn told(context: &Context) -> Outcome {
    let webhook = started(context).await?;
    let scope = judged(context, "problems").await?;
    answering(context, &scope).await?;
    scope.discard().await?;
    let mut groups: Vec<Group> = Vec::new();
    let untold = |code: &str| UNTOLD.iter().any(|(known, _)| *known == code);
    for (code, case, start) in cases().into_iter().filter(|(code, ..)| !untold(code)) {
        let says = OF_HARNESS.iter().find(|(known, _)| *known == code).map_or(start, |(_, says)| says);
        let mut objects = objects_of(&case);
        if !case.surroundings.taken_tokens.is_empty() {
            let mut other = json!(case.tenant);
            other["metadata"]["name"] = json!("other");
            objects.push(other);
        }
        add(context, &mut groups, code, objects, says).await?;
    }
    for (field, value, says) in [
        ("tenantId", "acme-0a1b2c3d", "Tenant acme, spec.tenantId: "),
        ("containerTag", "acme-memory", "Tenant acme, spec.containerTag: "),
    ] {
        let mut objects = objects_of(&with("", &format!("{field}: {value}"), &[]));
        let mut other = objects.last().cloned().ok_or("no Tenant")?;
        other["metadata"]["name"] = json!("other");
        objects.push(other);
        add(context, &mut groups, "", objects, says).await?;
    }
    let trials: Vec<(&Scope, &Trial)> =
        groups.iter().flat_map(|group| group.trials.iter().map(|trial| (&group.scope, trial))).collect();
    let file = tempfile::NamedTempFile::with_suffix(".json")?;
    let items: Vec<Value> = trials.iter().map(|(scope, trial)| placed(scope, &trial.object)).collect();
    std::fs::write(file.path(), json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string())?;
    let path = file.path().to_string_lossy().into_owned();
    // What was applied a moment ago may not have been seen yet, and then it passes.
    wait::until("everything told that the compiler says", SOON, async || {
        let output = kubectl::output(&["apply", "--server-side", "--dry-run=server", "-f", &path]).await?;
        let text = String::from_utf8_lossy(&output.stderr);
        let has =
            |words: &str, code: &str| text.lines().any(|line| line.contains(words) && line.contains(code));
        let is_told = |trial: &Trial| {
            let before = REFUSED_BEFORE.iter().find(|(code, _)| *code == trial.code);
            before.map_or_else(|| has(&trial.says, trial.code), |(_, words)| has(words, ""))
        };
        let missing = trials.iter().map(|(_, trial)| trial).filter(|trial| !is_told(trial));
        let missing: Vec<_> = missing.map(|trial| (trial.code, trial.says.as_str())).collect();
        if missing.is_empty() { Ok(()) } else { Err(format!("{missing:#?}\n{text}").into()) }
    })
    .await?;
    figure("admission.problems_told", trials.len(), "problems");
    figure("admission.problems_refused_by_the_types", REFUSED_BEFORE.len(), "problems of these");
    webhook.stop().await?;
    unasked(context).await?;
    for group in groups {
        group.scope.discard().await?;
    }
    Ok(())
}

/// As they are applied, whatever comes of it.
fn objects_of(case: &Case) -> Vec<Value> {
    let harness = case.harness.iter().map(|object| json!(object));
    let agents = case.agents.iter().map(|object| json!(object));
    harness.chain([json!(case.tenant)]).chain(agents).collect()
}

/// Has a case tried where all its other objects are, which those before may have needed too.
async fn add(
    context: &Context,
    groups: &mut Vec<Group>,
    code: &'static str,
    mut objects: Vec<Value>,
    says: &str,
) -> Outcome {
    let (kind, rest) = says.split_once(' ').ok_or("an object without a name")?;
    let (name, _) = rest.split_once(',').ok_or("no field")?;
    let place = objects
        .iter()
        .position(|object| object["kind"] == kind && object["metadata"]["name"] == name)
        .ok_or_else(|| format!("{code}: there is no {kind} {name}"))?;
    let object = objects.remove(place);
    if kind == "Harness" {
        // What uses it comes after it.
        objects.clear();
    }
    if !groups.iter().any(|group| group.objects == objects) {
        let scope = judged(context, "problems").await?;
        for object in &objects {
            store(&scope, object).await.map_err(|error| format!("{code}: {error}"))?;
        }
        groups.push(Group { scope, objects: objects.clone(), trials: Vec::new() });
    }
    let group = groups.iter_mut().find(|group| group.objects == objects).ok_or("no group")?;
    // Cases are of the namespace "team".
    let says = says.replace("namespace team", &format!("namespace {}", group.scope.namespace));
    group.trials.push(Trial { code, object, says });
    Ok(())
}

async fn store(scope: &Scope, object: &Value) -> Outcome {
    let object = placed(scope, object);
    match object["kind"].as_str() {
        Some("Harness") => scope.apply::<Harness>(&object).await.map(drop),
        Some("Tenant") => scope.apply::<Tenant>(&object).await.map(drop),
        _ => scope.apply::<Agent>(&object).await.map(drop),
    }
}

/// An object in a namespace, without what the API server adds.
fn placed(scope: &Scope, object: &Value) -> Value {
    let mut object = object.clone();
    object["metadata"]["namespace"] = json!(scope.namespace);
    object["metadata"].as_object_mut().map(|fields| fields.remove("uid"));
    object.as_object_mut().map(|fields| fields.remove("status"));
    object
}
