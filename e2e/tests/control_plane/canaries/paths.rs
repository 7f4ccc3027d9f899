//! The walk: what works, and what fails, with the planted values within reach.

use k8s_openapi::api::core::v1::{Pod, Secret};
use kr8tiv_crds::{Harness, Tenant, meta};
use kr8tiv_e2e::Outcome;
use kr8tiv_e2e::canary::{Canary, private_lines};
use kr8tiv_e2e::cluster::NODE_ADDRESS;
use kr8tiv_e2e::conditions::{Conditioned, condition};
use kr8tiv_e2e::manifests::{harness, tenant, tenant_with_bot};
use kr8tiv_e2e::scope::{SOON, Scope};
use kr8tiv_supermemory::stub::{Fault, Stub};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::plants::Plants;
use super::{Walk, programs};

/// All of it.
pub async fn all(walk: &mut Walk<'_>) -> Outcome {
    let stub = Stub::new(walk.plants.of("supermemory key"));
    let listener = TcpListener::bind((NODE_ADDRESS, 0)).await?;
    let memory = format!("http://{}", listener.local_addr()?);
    tokio::spawn(stub.clone().serve(listener));
    restart(walk, Some("private")).await?;
    works(walk, &memory).await?;
    lacks(walk).await?;
    pasted(walk).await?;
    forgets(walk, &stub).await?;
    breaks(walk).await?;
    programs::admission(walk).await?;
    programs::command_line(walk, &memory).await?;
    programs::settings(walk).await?;
    let mut operator = walk.context.operator.lock().await;
    operator.kill()?;
    operator.resume().await?;
    drop(operator);
    walk.context.until_ready(&walk.scope, "acme").await?;
    walk.walked("the operator killed and started again");
    restart(walk, None).await?;
    walk.context.until_ready(&walk.scope, "acme").await?;
    walk.walked("the operator restarted");
    walk.scope.delete::<Tenant>("own").await?;
    walk.scope.until_gone::<Tenant>("own", SOON).await?;
    walk.walked("a Tenant deleted");
    Ok(())
}

async fn restart(walk: &Walk<'_>, addresses: Option<&'static str>) -> Outcome {
    let mut operator = walk.context.operator.lock().await;
    operator.stop().await?;
    operator.talk_to(addresses);
    operator.resume().await
}

/// Waits until a condition of a Tenant says something.
async fn says(scope: &Scope, tenant: &str, type_: &str, status: &str, text: &str) -> Outcome {
    scope
        .until(&format!("{tenant}: {type_}={status} with {text:?}"), SOON, async || {
            let tenant: Tenant = scope.api().get(tenant).await?;
            let found = condition(&tenant, type_).ok_or("no condition")?;
            let is_current = tenant.observed_generation() == tenant.metadata.generation;
            let is_said = found.status == status && found.message.contains(text);
            if is_current && is_said {
                Ok(())
            } else {
                Err(format!("{}: {}", found.status, found.message).into())
            }
        })
        .await
}

/// Everything in its place, a token rotated, and a token of the user's.
async fn works(walk: &mut Walk<'_>, memory: &str) -> Outcome {
    let scope = walk.scope.clone();
    scope.apply::<Harness>(&Plants::harness("concierge", memory)).await?;
    scope.apply::<Tenant>(&Plants::tenant("acme")).await?;
    walk.context.until_ready(&scope, "acme").await?;
    says(&scope, "acme", "MemoryHealthy", "True", "").await?;
    walk.walked("a Tenant with a Secret in every place becomes ready, and its memory is fetched");
    scope.apply::<Tenant>(&Plants::own("own")).await?;
    walk.context.until_ready(&scope, "own").await?;
    walk.walked("a Tenant with a token of the user's");
    minted(walk).await?;
    scope.merge::<Tenant>("acme", json!({"metadata": {"annotations": {meta::ROTATE_TOKEN: "1"}}})).await?;
    scope
        .until("another token", SOON, async || {
            let secret: Secret = scope.api().get("acme-gateway-token").await?;
            let noted = secret.metadata.annotations.unwrap_or_default().remove(meta::ROTATE_TOKEN);
            if noted.is_some() { Ok(()) } else { Err("the old one".into()) }
        })
        .await?;
    minted(walk).await?;
    walk.walked("the gateway's token rotated");
    let rotate = json!({"metadata": {"annotations": {meta::ROTATE_SANDBOX_KEYS: "1"}}});
    scope.merge::<Tenant>("acme", rotate).await?;
    scope
        .until("other keys of the sandbox", SOON, async || {
            let secret: Secret = scope.api().get("acme-sandbox-ssh").await?;
            let noted = secret.metadata.annotations.unwrap_or_default().remove(meta::ROTATE_SANDBOX_KEYS);
            if noted.is_some() { Ok(()) } else { Err("the old ones".into()) }
        })
        .await?;
    minted(walk).await?;
    walk.walked("the sandbox's keys rotated");
    Ok(())
}

/// Reads back what the operator has made.
async fn minted(walk: &mut Walk<'_>) -> Outcome {
    for name in ["acme-gateway-token", "own-gateway-status"] {
        let secret: Secret = walk.scope.api().get(name).await?;
        for (key, value) in secret.data.unwrap_or_default() {
            let what =
                if key == "token" { "minted token of a gateway" } else { "minted token of a watchdog" };
            walk.plants.all.push(Canary::found(what, &String::from_utf8(value.0)?));
        }
    }
    let keys: Secret = walk.scope.api().get("acme-sandbox-ssh").await?;
    for key in ["id_ed25519", "ssh_host_ed25519_key"] {
        let text = keys.data.as_ref().and_then(|data| data.get(key)).ok_or("a key is missing")?;
        let text = String::from_utf8(text.0.clone())?;
        let lines = private_lines(&text);
        assert!(!lines.is_empty(), "{key} is no private key as expected");
        walk.plants.all.extend(lines.iter().map(|line| Canary::found("minted key of a sandbox", line)));
    }
    Ok(())
}

/// Secrets that are missing, misspelt, no text, or somebody else's.
async fn lacks(walk: &mut Walk<'_>) -> Outcome {
    let scope = walk.scope.clone();
    let cases = [
        ("nobody", "Secret nobody does not exist", "a Secret is missing"),
        ("misspelt", "has nothing under the key token", "a key is missing, and the token is under another"),
    ];
    for (secret, text, path) in cases {
        scope.apply::<Tenant>(&tenant_with_bot("lost", "concierge", secret)).await?;
        says(&scope, "lost", "Ready", "False", text).await?;
        walk.walked(path);
    }
    scope.apply::<Tenant>(&tenant_with_bot("lost", "concierge", "broken")).await?;
    says(&scope, "lost", "Compiled", "True", "").await?;
    walk.walked("a bot's token that is no text");
    walk.other.apply::<Harness>(&harness("concierge")).await?;
    walk.other.apply::<Tenant>(&tenant_with_bot("copy", "concierge", "copy")).await?;
    says(&walk.other, "copy", "Compiled", "False", "has the same token").await?;
    walk.walked("one bot's token in two namespaces");
    for (key, path) in
        [("broken", "a key for memory that is no text"), ("line", "a key for memory with a line feed")]
    {
        let mut object = tenant("lost", "concierge");
        let (name, key) = if key == "broken" { ("broken", "key") } else { ("memory", "line") };
        object["spec"]["supermemory"] = json!({"apiKeySecretRef": {"name": name, "key": key}});
        scope.apply::<Tenant>(&object).await?;
        says(&scope, "lost", "MemoryHealthy", "False", &format!("Secret {name}, key {key}")).await?;
        walk.walked(path);
    }
    scope.delete::<Tenant>("lost").await?;
    Ok(())
}

/// Secrets where none belongs: what is wrong is said without them.
async fn pasted(walk: &mut Walk<'_>) -> Outcome {
    let scope = walk.scope.clone();
    for Wrong { object, field, says: text, path } in wrong(&walk.plants) {
        scope.apply::<Harness>(&Plants::pasted_harness(&walk.plants, "pasted")).await?;
        scope.apply::<Tenant>(&object).await?;
        says(&scope, "pasted", "Compiled", "False", field).await?;
        says(&scope, "pasted", "Compiled", "False", text).await?;
        walk.walked(path);
        scope.delete::<Tenant>("pasted").await?;
        scope.until_gone::<Tenant>("pasted", SOON).await?;
    }
    let mut object = harness("concierge-2");
    object["spec"]["supermemory"] = json!({"enabled": true, "baseUrl": format!("https://a:{}@memory.example.com", walk.plants.of("pasted into a url"))});
    let refused =
        scope.apply::<Harness>(&object).await.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(refused.contains("spec.supermemory.baseUrl"), "{refused}");
    walk.walked("a password in a URL, which the API server refuses");
    Ok(())
}

/// A Tenant with a key in the wrong place.
pub struct Wrong {
    pub object: Value,
    /// Where it is, or the beginning of that: a name that holds a key is not repeated.
    pub field: &'static str,
    /// What is said of it.
    pub says: &'static str,
    /// What is walked with it.
    pub path: &'static str,
}

impl Wrong {
    /// Whether it is the Harness that has the key, and not the Tenant.
    pub fn is_in_harness(&self) -> bool {
        self.object["spec"]["harnessRef"]["name"] == "pasted"
    }
}

/// All of them.
pub fn wrong(plants: &Plants) -> Vec<Wrong> {
    let pod = plants.of("pasted into a pod template");
    let template = |more: Value| {
        let mut object = tenant("pasted", "concierge");
        object["spec"]["gateway"] = json!({"podTemplate": more});
        object
    };
    let mut variable = tenant("pasted", "concierge");
    variable["spec"]["gateway"] =
        json!({"env": [{"name": "KEY", "value": plants.of("pasted into a variable")}]});
    vec![
        Wrong {
            object: tenant("pasted", "pasted"),
            field: "spec.soul.coreTruths[0]",
            says: "the text holds",
            path: "a key pasted into a text of a Harness",
        },
        Wrong {
            object: variable,
            field: "spec.gateway.env[0].value",
            says: "the text holds",
            path: "a key pasted into a variable",
        },
        Wrong {
            object: template(json!({"labels": {"key": pod}})),
            field: "spec.gateway.podTemplate.labels.key",
            says: "the text holds",
            path: "a key pasted into a label",
        },
        Wrong {
            object: template(json!({"volumes": [{"name": "a", "mountPath": pod, "emptyDir": {}}]})),
            field: "spec.gateway.podTemplate.volumes[0].mountPath",
            says: "nothing can be mounted at",
            path: "a key pasted into a path",
        },
        Wrong {
            object: template(json!({"affinity": {"nodeAffinity": pod}})),
            field: "spec.gateway.podTemplate.affinity",
            says: "it is not as in a Pod",
            path: "a key pasted where an object belongs",
        },
        Wrong {
            object: template(json!({"annotations": {format!("kr8tiv.ai/{pod}"): "x"}})),
            field: "spec.gateway.podTemplate.annotations[",
            says: "this annotation is the operator's",
            path: "a key pasted into a name",
        },
    ]
}

impl Plants {
    pub fn pasted_harness(plants: &Self, name: &str) -> Value {
        let mut object = harness(name);
        object["spec"]["soul"]["coreTruths"] =
            json!([format!("use {} for models", plants.of("pasted into a text"))]);
        object
    }
}

/// A Supermemory that refuses and breaks.
async fn forgets(walk: &mut Walk<'_>, stub: &Stub) -> Outcome {
    let scope = walk.scope.clone();
    for (fault, reason, path) in [
        (Fault::Status(401, None), "AuthFailed", "memory refuses the key"),
        (Fault::Status(500, None), "Unreachable", "memory is out of order"),
        (Fault::Redirect, "BadResponse", "memory sends the operator elsewhere"),
        (Fault::Garbage, "BadResponse", "memory answers with what is no JSON"),
        (Fault::HangUp, "Unreachable", "memory hangs up"),
    ] {
        stub.set_fault(Some(fault));
        let times = stub.requests().len();
        // Another query is asked at once.
        let queries = json!({"spec": {"supermemory": {"queries": [format!("Is it so, after {times}?")]}}});
        scope.merge::<Harness>("concierge", queries).await?;
        scope
            .until(&format!("{path}: {reason}"), 2 * SOON, async || {
                let tenant: Tenant = scope.api().get("acme").await?;
                let found = condition(&tenant, "MemoryHealthy").ok_or("no condition")?;
                if found.reason == reason {
                    Ok(())
                } else {
                    Err(format!("{}: {}", found.reason, found.message).into())
                }
            })
            .await?;
        walk.walked(path);
    }
    let dead = json!({"spec": {"supermemory": {"baseUrl": format!("http://{NODE_ADDRESS}:1")}}});
    scope.merge::<Harness>("concierge", dead).await?;
    says(&scope, "acme", "MemoryHealthy", "False", "there is no connection to").await?;
    walk.walked("memory can't be reached");
    Ok(())
}

/// A gateway that refuses its configuration, and one that dies with a key in its last words.
async fn breaks(walk: &mut Walk<'_>) -> Outcome {
    let scope = walk.scope.clone();
    let issue = json!({"path": "channels.telegram", "message": "the bot is unknown"});
    let refused = json!({"config": {"valid": false, "applied": false, "issues": [issue]}});
    // The rotation has replaced the Pod, and it may have been not long ago.
    scope
        .until("a Pod that can refuse", SOON, async || {
            walk.context.node.make_ready(&scope).await?;
            walk.context.node.say(&scope, "acme-gateway-0", Some(refused.clone())).await
        })
        .await?;
    let vibe = json!({"spec": {"soul": {"vibe": "One more change."}}});
    scope.merge::<Harness>("concierge", vibe).await?;
    says(&scope, "acme", "ConfigApplied", "False", "the bot is unknown").await?;
    walk.walked("the gateway refuses its configuration");
    walk.context.node.say(&scope, "acme-gateway-0", None).await?;
    walk.context.until_ready(&scope, "acme").await?;

    scope.apply::<Tenant>(&tenant("dying", "concierge")).await?;
    let dead =
        scope.until("a Pod", SOON, async || Ok(scope.api::<Pod>().get("dying-gateway-0").await?)).await?;
    let image = dead.spec.and_then(|spec| spec.containers.into_iter().next()).and_then(|it| it.image);
    let words = format!("Error: provider refused {}", walk.plants.of("said by a dying container"));
    let ended = json!({"terminated": {"exitCode": 1, "reason": "Error", "message": words}});
    let status = json!({"status": {"containerStatuses": [{
        "name": "gateway", "image": image, "imageID": "", "ready": false, "restartCount": 5,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}, "lastState": ended
    }]}});
    let pods = scope.api::<Pod>();
    pods.patch_status("dying-gateway-0", &PatchParams::default(), &Patch::Strategic(status)).await?;
    says(&scope, "dying", "Ready", "False", "provider refused").await?;
    walk.walked("a gateway dies with a key in its last words");
    Ok(())
}
