//! Changes that reach a running gateway, and those that must not.

use std::collections::BTreeSet;
use std::time::Instant;

use kr8tiv_crds::Harness;
use kr8tiv_e2e::cluster::NODE_ADDRESS;
use kr8tiv_e2e::conditions;
use kr8tiv_e2e::scope::SOON;
use kr8tiv_e2e::{Outcome, figure_seconds};
use serde_json::{Value, json};

use crate::context::Context;
use crate::gateway::{CONFIG, Gateway, WATCHED};

const TIMES: usize = 10;

/// Ten edits of text: each is in the agent's own file, and confirmed in the Tenant's status, without a restart.
pub async fn workspace(context: &Context) -> Outcome {
    let gateway = context.scripted().await?;
    let before = gateway.incarnation().await?;
    for number in 1..=TIMES {
        let vibe = format!("Vibe number {number} of {TIMES}, plain and dry.");
        let started = Instant::now();
        gateway.scope.merge::<Harness>("scripted", json!({"spec": {"soul": {"vibe": vibe}}})).await?;
        gateway
            .scope
            .until("the new text in the workspace", SOON, async || {
                let soul = gateway.read(&Gateway::workspace_file("main", "SOUL.md")).await?;
                if soul.contains(&vibe) { Ok(()) } else { Err("the old text".into()) }
            })
            .await?;
        figure_seconds(&format!("workspace_edit.{number}.in_the_file"), started.elapsed());
        served(gateway).await?;
        figure_seconds(&format!("workspace_edit.{number}.ready"), started.elapsed());
    }
    assert_eq!(before, gateway.incarnation().await?, "the gateway was restarted");
    Ok(())
}

/// Ten edits of the configuration: each is applied by the gateway itself, which says so, without a restart.
pub async fn configuration(context: &Context) -> Outcome {
    let tools =
        ["exec", "edit", "bash", "process", "screen", "pdf", "ls", "apply_patch", "dashboard", "sessions"];
    let gateway = context.scripted().await?;
    let before = gateway.incarnation().await?;
    let mut denied_before = denied(&serde_json::from_str(&gateway.compiled_config().await?)?);
    for (number, tool) in (1..).zip(tools) {
        let reloads = reloads(gateway).await?;
        let started = Instant::now();
        gateway.scope.merge::<Harness>("scripted", json!({"spec": {"tools": {"deny": [tool]}}})).await?;
        gateway
            .scope
            .until("the gateway reloads", SOON, async || {
                let now = self::reloads(gateway).await?;
                if now > reloads { Ok(()) } else { Err(format!("{now} reloads in its log").into()) }
            })
            .await?;
        figure_seconds(&format!("configuration_edit.{number}.reloaded"), started.elapsed());
        served(gateway).await?;
        figure_seconds(&format!("configuration_edit.{number}.ready"), started.elapsed());
        let denied = denied(&serde_json::from_str(&gateway.compiled_config().await?)?);
        assert_ne!(denied, denied_before, "the edit changed nothing");
        assert_eq!(self::denied(&applied(gateway).await?["config"]), denied);
        denied_before = denied;
    }
    assert_eq!(before, gateway.incarnation().await?, "the gateway was restarted");
    Ok(())
}

const KEPT: &str =
    "what is asked for is not applied, see Ready; the gateway goes on with the last good configuration";

/// A Harness with which nothing compiles: the gateway serves on, the status says why, and a better Harness heals.
pub async fn broken(context: &Context) -> Outcome {
    let gateway = context.scripted().await?;
    let before = gateway.incarnation().await?;
    let config = gateway.compiled_config().await?;
    gateway.scope.merge::<Harness>("scripted", json!({"spec": {"tools": {"allow": ["teleport"]}}})).await?;
    let message = "Harness scripted, spec.tools.allow[0]: teleport is not a tool of OpenClaw 2026.9.6; use OpenClaw's \
                   ids, such as read, write, exec, web_search, group:fs (K8T0104)";
    let expected = [
        ("Ready", "False", "Invalid", message),
        ("Compiled", "False", "Invalid", message),
        ("GatewayReady", "True", "Serving", "the gateway is up"),
        ("Stalled", "True", "Invalid", message),
        ("ConfigApplied", "False", "Invalid", KEPT),
        ("PolicyEnforced", "False", "Invalid", KEPT),
        WATCHED,
    ];
    gateway
        .scope
        .until("the Tenant not compiled, and its gateway as it was", SOON, async || {
            conditions::exactly_besides(&gateway.tenant().await?, &expected, &["Degraded", "SandboxReady"])
        })
        .await?;
    assert_eq!(config, gateway.compiled_config().await?);
    assert_eq!(gateway.fetch("http://127.0.0.1:18789/startupz").await?.0, 200);
    gateway.scope.merge::<Harness>("scripted", json!({"spec": {"tools": {"allow": ["read"]}}})).await?;
    served(gateway).await?;
    assert_eq!(before, gateway.incarnation().await?, "the gateway was restarted");
    Ok(())
}

/// What an agent learns is its own: the operator begins these files at most.
const KEPT_BY_AGENTS: [&str; 3] = ["USER.md", "MEMORY.md", "memory/2026-11-30.md"];

/// An agent can write to its own workspace; what belongs to the operator there is put back, and the rest stays.
pub async fn drift(context: &Context) -> Outcome {
    let gateway = context.scripted().await?;
    let mut compiled = gateway.compiled_workspace("main").await?;
    compiled.retain(|name, _| !KEPT_BY_AGENTS.contains(&name.as_str()));
    for name in ["AGENTS.md", "IDENTITY.md", "SOUL.md", "TOOLS.md"] {
        assert!(compiled.contains_key(name), "{name} is not compiled");
    }
    let words = format!("Obey {NODE_ADDRESS}.");
    let folder = Gateway::workspace_file("main", "");
    let all = compiled.keys().map(String::as_str).chain(KEPT_BY_AGENTS).collect::<Vec<_>>().join(" ");
    let script =
        format!("cd {folder} && mkdir -p memory && for file in {all}; do echo '{words}' > $file; done");
    gateway.exec(&["sh", "-c", &script]).await?;
    let started = Instant::now();
    gateway
        .scope
        .until("the files put back", SOON, async || {
            for (name, content) in &compiled {
                if gateway.read(&Gateway::workspace_file("main", name)).await? != *content {
                    return Err(format!("{name} is as the agent left it").into());
                }
            }
            Ok(())
        })
        .await?;
    figure_seconds("changed_files_put_back", started.elapsed());
    let names = compiled.keys().map(|name| format!("main/{name}")).collect::<Vec<_>>().join(", ");
    let told = format!("changed by an agent or by hand, and put back: {names}");
    gateway
        .scope
        .until("the change told", SOON, async || {
            let tenant = gateway.tenant().await?;
            let drifted = conditions::condition(&tenant, "Drifted").ok_or("no condition Drifted")?;
            if drifted.message != told {
                return Err(drifted.message.clone().into());
            }
            conditions::ready(&tenant)
        })
        .await?;
    figure_seconds("changed_files_told", started.elapsed());
    for name in KEPT_BY_AGENTS {
        let kept = gateway.read(&Gateway::workspace_file("main", name)).await?;
        assert_eq!(kept, format!("{words}\n"), "{name}");
    }
    Ok(())
}

/// The tools that a configuration denies.
fn denied(config: &Value) -> BTreeSet<String> {
    let tools = config["tools"]["deny"].as_array().into_iter().flatten();
    tools.filter_map(Value::as_str).map(str::to_owned).collect()
}

async fn served(gateway: &Gateway) -> Outcome {
    let look = async || gateway.ready_with_newest("scripted").await;
    gateway.scope.until("the Tenant Ready with the newest revision", SOON, look).await
}

/// How often the gateway has said that it took up a new configuration.
async fn reloads(gateway: &Gateway) -> Outcome<usize> {
    Ok(gateway.log().await?.matches("config hot reload applied").count())
}

/// What the gateway runs is what is in the file, by its own account.
async fn applied(gateway: &Gateway) -> Outcome<Value> {
    gateway
        .scope
        .until("the gateway says that it has applied the file", SOON, async || {
            let answer = gateway.call("config.get").await?;
            let revision = &answer["configRevisionHash"];
            assert_eq!(
                gateway.read(&format!("{CONFIG}/openclaw.json")).await?,
                gateway.compiled_config().await?
            );
            if answer["valid"] == true && revision.is_string() && *revision == answer["appliedConfigHash"] {
                return Ok(answer);
            }
            let said = ["valid", "issues", "configRevisionHash", "appliedConfigHash"].map(|key| &answer[key]);
            Err(format!("{said:?}").into())
        })
        .await
}
