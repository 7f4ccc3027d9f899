//! Agents in a gateway: two of them, and a real turn of one.

use std::time::Instant;

use kr8tiv_crds::Agent;
use kr8tiv_e2e::model_server::{ANSWER, text_of};
use kr8tiv_e2e::scope::SOON;
use kr8tiv_e2e::{Outcome, figure_seconds};
use serde_json::Value;

use crate::context::Context;
use crate::gateway::Gateway;

pub async fn become_ready(context: &Context) -> Outcome {
    let gateway = context.two_agents().await?;
    for agent in ["desk", "platform"] {
        gateway.scope.until_ready::<Agent>(agent, SOON).await?;
        for (name, content) in gateway.compiled_workspace(agent).await? {
            assert_eq!(
                gateway.read(&Gateway::workspace_file(agent, &name)).await?,
                content,
                "{agent} {name}"
            );
        }
    }
    let config: Value = serde_json::from_str(&gateway.compiled_config().await?)?;
    assert_eq!(config["agents"]["entries"].as_object().map(serde_json::Map::len), Some(2));
    Ok(())
}

pub async fn turn(context: &Context) -> Outcome {
    let gateway = context.scripted().await?;
    take_turn(context, gateway, "hello").await
}

/// In the same conversation: a gateway that kept the old instructions would show it here.
pub async fn turn_after_edits(context: &Context) -> Outcome {
    let gateway = context.scripted().await?;
    take_turn(context, gateway, "hello again").await
}

/// A turn's system prompt holds every line of the compiled SOUL.md and AGENTS.md.
async fn take_turn(context: &Context, gateway: &Gateway, message: &str) -> Outcome {
    let before = context.model.requests().len();
    let started = Instant::now();
    let command = ["openclaw", "agent", "--agent", "main", "--message", message, "--json"];
    let answer = gateway.exec(&command).await?;
    figure_seconds("agent_turn", started.elapsed());
    let answer: Value = serde_json::from_str(&answer).map_err(|error| format!("{error}: {answer}"))?;
    assert_eq!(answer["status"], "ok", "{answer:#}");
    assert!(answer.to_string().contains(ANSWER), "{answer:#}");

    let requests = context.model.requests();
    let asked = requests[before..].iter().find(|request| text_of(request, "user").contains(message));
    let asked = asked.ok_or("the model was not asked")?;
    let prompt = text_of(asked, "system");
    let compiled = gateway.compiled_workspace("main").await?;
    for name in ["SOUL.md", "AGENTS.md"] {
        let text = compiled.get(name).ok_or("a file is not compiled")?;
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        let missing: Vec<_> = lines.filter(|line| !prompt.contains(line.trim())).collect();
        assert!(missing.is_empty(), "lines of {name} that are not in the prompt: {missing:#?}\n{prompt}");
    }
    Ok(())
}
