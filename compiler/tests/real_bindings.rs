//! Bindings with the real OpenClaw: messages reach the agent that they are bound to.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod common;

use std::fs;
use std::process::Command;

use common::channels::{bundle, case};
use kr8tiv_compiler::PluginSource;
use serde_json::{Value, json};

/// Which agent OpenClaw chooses for each message under a configuration, by its own function.
fn agents_for(messages: &[(String, Value)]) -> Vec<String> {
    const SCRIPT: &str = "
        const { readFileSync } = await import('node:fs');
        const { resolveAgentRoute } = await import(process.argv[1]);
        const messages = JSON.parse(readFileSync(process.argv[2], 'utf8'));
        const agents = messages.map(([config, message]) => resolveAgentRoute({ cfg: JSON.parse(config), ...message }).agentId);
        console.log(JSON.stringify(agents));
    ";
    let questions = tempfile::NamedTempFile::new().unwrap();
    fs::write(questions.path(), json!(messages).to_string()).unwrap();
    let openclaw = common::openclaw();
    let openclaw = openclaw.ancestors().nth(2).unwrap();
    let output = Command::new(openclaw.join("node/bin/node"))
        .args(["--input-type=module", "--eval", SCRIPT])
        .arg(openclaw.join("app/dist/plugin-sdk/routing.js"))
        .arg(questions.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let agents: Vec<String> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(agents.len(), messages.len());
    agents
}

fn peer(kind: &str, id: &str) -> Value {
    json!({"kind": kind, "id": id})
}

#[test]
fn messages_reach_the_agent_they_are_bound_to() {
    let group = "120363424282127706@g.us";
    let guild = "200000000000000001";
    let messages = [
        ("telegram", json!({"accountId": "default", "peer": peer("direct", "7")}), "front"),
        ("telegram", json!({"accountId": "on-call", "peer": peer("direct", "7")}), "night"),
        ("telegram", json!({"accountId": "default", "peer": peer("group", "-1001234567890")}), "night"),
        ("discord", json!({"accountId": "default", "peer": peer("direct", "7")}), "front"),
        (
            "discord",
            json!({"accountId": "default", "peer": peer("channel", "1"), "guildId": guild}),
            "members",
        ),
        (
            "discord",
            json!({"accountId": "default", "peer": peer("channel", "1"), "guildId": guild, "memberRoleIds": ["300000000000000001"]}),
            "staff",
        ),
        ("discord", json!({"accountId": "default", "peer": peer("channel", "400000000000000002")}), "staff"),
        (
            "slack",
            json!({"accountId": "default", "peer": peer("channel", "C00000001"), "teamId": "T00000001"}),
            "front",
        ),
        (
            "slack",
            json!({"accountId": "partners", "peer": peer("direct", "U7"), "teamId": "T00000002"}),
            "partners",
        ),
        ("slack", json!({"accountId": "partners", "peer": peer("channel", "C00000003")}), "partners"),
        ("whatsapp", json!({"accountId": "company", "peer": peer("direct", "+1")}), "front"),
        ("whatsapp", json!({"accountId": "own", "peer": peer("direct", "+1")}), "family"),
        ("whatsapp", json!({"accountId": "company", "peer": peer("group", group)}), "family"),
        ("whatsapp", json!({"accountId": "own", "peer": peer("group", "1@g.us")}), "front"),
    ];
    let asked = messages.clone().map(|(channel, mut message, _)| {
        message["channel"] = json!(channel);
        (bundle(&case(channel), PluginSource::Registry).config, message)
    });
    for ((channel, message, agent), found) in messages.iter().zip(agents_for(&asked)) {
        assert_eq!(found, *agent, "{channel}: {message}");
    }
}

/// Two bindings to one conversation: the one to the account wins over the one to every account, whoever comes first.
#[test]
fn a_binding_to_an_account_goes_before_one_to_every_account() {
    let peer = "peer: {kind: group, id: '-5'}";
    let (mut asked, mut expected) = (Vec::new(), Vec::new());
    for [narrow, wide] in [["front", "night"], ["night", "front"]] {
        let mut case = case("telegram");
        for agent in &mut case.agents {
            let account =
                if agent.metadata.name.as_deref() == Some(narrow) { "accountId: on-call, " } else { "" };
            let binding = format!("{{channel: telegram, {account}{peer}}}");
            agent.spec.bindings = vec![serde_saphyr::from_str(&binding).unwrap()];
        }
        let config = bundle(&case, PluginSource::Registry).config;
        for (account, agent) in [("on-call", narrow), ("default", wide)] {
            let message =
                json!({"channel": "telegram", "accountId": account, "peer": {"kind": "group", "id": "-5"}});
            asked.push((config.clone(), message));
            expected.push(agent);
        }
    }
    assert_eq!(agents_for(&asked), expected);
}
