//! The real OpenClaw, given the compiled configuration and the packs as the watchdog copies them, lists to each agent
//! exactly the skills that are its own, and lets it read no other.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod common;
mod gateway;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use gateway::Gateway;
use kr8tiv_compiler::Bundle;
use serde_json::{Value, json};
use tempfile::TempDir;

/// As many skills as an agent may have, and but for two of them with the longest possible names.
const SKILLS: usize = 60;
/// Where the packs are in the Pod.
const SKILLS_FOLDER: &str = "/etc/openclaw/skills";
/// For each question of a turn.
const DEADLINE: Duration = Duration::from_mins(2);

/// A model that first reads one file and then says something. It tells what it was asked.
struct Model {
    port: u16,
    requests: Receiver<Value>,
}

impl Model {
    fn start(path: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, requests) = channel();
        // It ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let request = answer(&mut stream.unwrap(), &path);
                if sender.send(request).is_err() {
                    break;
                }
            }
        });
        Self { port, requests }
    }

    /// What it is asked in one turn of an agent's main session.
    fn turn(&self, gateway: &Gateway, agent: &str) -> Vec<Value> {
        let message = format!("hello, {agent}");
        let parameters = json!({
            "agentId": agent, "sessionKey": format!("agent:{agent}:main"), "message": message,
            "idempotencyKey": agent,
        });
        let accepted = gateway.call("operator.write", "agent", &parameters);
        assert_eq!(accepted["ok"], true, "{accepted}");
        let mut requests = Vec::new();
        loop {
            let request = self.requests.recv_timeout(DEADLINE).unwrap();
            if self::message(&request, "user").contains(&message) {
                requests.push(request);
                if has_read(&requests[requests.len() - 1]) {
                    return requests;
                }
            }
        }
    }
}

fn has_read(request: &Value) -> bool {
    request["messages"].as_array().unwrap().last().unwrap()["role"] == "tool"
}

/// Answers a request, and gives it.
fn answer(stream: &mut TcpStream, path: &str) -> Value {
    let (_, body) = common::http::request(stream).unwrap();
    let request: Value = serde_json::from_str(&body).unwrap();
    let (delta, end) = if has_read(&request) {
        (json!({"role": "assistant", "content": "Done."}), "stop")
    } else {
        let function = json!({"name": "read", "arguments": json!({"path": path}).to_string()});
        let call = json!([{"index": 0, "id": "call-1", "type": "function", "function": function}]);
        (json!({"role": "assistant", "tool_calls": call}), "tool_calls")
    };
    let chunk = |choices: Value, usage: Value| {
        json!({
            "id": "1", "object": "chat.completion.chunk", "created": 1, "model": "small",
            "choices": choices, "usage": usage
        })
    };
    let chunks = [
        chunk(json!([{"index": 0, "delta": delta, "finish_reason": null}]), Value::Null),
        chunk(json!([{"index": 0, "delta": {}, "finish_reason": end}]), Value::Null),
        chunk(json!([]), json!({"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2})),
    ];
    let events: String = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
    let body = events + "data: [DONE]\n\n";
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n";
    write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    request
}

/// Two packs of skills with the longest possible names, beside the one with two short ones.
fn packs() -> Vec<(String, Vec<String>)> {
    let long =
        |pack: char, count| (0..count).map(move |n| format!("{pack}{}-{n:02}", "s".repeat(60))).collect();
    vec![
        ("base".into(), vec!["refunds".into(), "triage".into()]),
        ("p".repeat(40), long('p', 32)),
        ("q".repeat(40), long('q', SKILLS - 2 - 32)),
    ]
}

fn case(port: u16) -> common::Case {
    let sources = packs().into_iter().map(
        |(name, skills)| json!({"name": name, "source": {"configMap": {"name": name}}, "skills": skills}),
    );
    let harness = json!({
        "apiVersion": "kr8tiv.ai/v1alpha1", "kind": "Harness", "metadata": {"name": "desk"},
        "spec": {
            "identity": {"role": "helper", "purpose": "You help.", "personality": "Calm."},
            "soul": {"coreTruths": ["Be kind."], "vibe": "Warm."},
            "jobFunctions": {"responsibilities": ["Help."], "successCriteria": ["Helped."]},
            "models": {"primary": "house/small", "providers": [{
                "name": "house", "baseUrl": format!("http://127.0.0.1:{port}/v1"), "models": [{"id": "small"}]
            }]},
            "skills": {"packs": sources.collect::<Vec<_>>()}
        }
    });
    let tenant = json!({
        "apiVersion": "kr8tiv.ai/v1alpha1", "kind": "Tenant", "metadata": {"name": "acme"},
        "spec": {"displayName": "Acme", "harnessRef": {"name": "desk"}}
    });
    let agent = |name: &str, spec: Value| {
        let mut agent = json!({
            "apiVersion": "kr8tiv.ai/v1alpha1", "kind": "Agent", "metadata": {"name": name}, "spec": spec
        });
        agent["spec"]["tenantRef"] = json!({"name": "acme"});
        agent
    };
    let objects = [
        harness,
        tenant,
        agent("all", json!({"default": true})),
        agent("few", json!({"skills": ["triage"]})),
        agent("none", json!({"skills": []})),
    ];
    common::case(&objects.map(|object| object.to_string()).join("\n---\n"))
}

/// The packs as the watchdog copies them.
fn copied() -> TempDir {
    // A path that is no shorter than the real one: the list's length depends on it.
    let folder = tempfile::Builder::new().prefix("packs-of-skills-").tempdir().unwrap();
    assert!(folder.path().to_str().unwrap().len() >= SKILLS_FOLDER.len());
    for (pack, skills) in packs() {
        for skill in skills {
            let description = format!("{} {}", about(&skill), "and so on ".repeat(50));
            let content = format!("---\nname: {skill}\ndescription: {description}\n---\nSteps of {skill}.\n");
            write(&folder.path().join(&pack).join(&skill).join("SKILL.md"), &content);
        }
    }
    folder
}

fn write(path: &Path, content: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// A gateway with the files of the bundle's agents, and with skills that are in a folder.
fn start(bundle: &Bundle, skills: &Path) -> Gateway {
    let here = |config: &mut Value| {
        let text = config.to_string().replace(SKILLS_FOLDER, skills.to_str().unwrap());
        *config = serde_json::from_str(&text).unwrap();
        for (agent, files) in &bundle.workspaces {
            let workspace = config["agents"]["entries"][agent]["workspace"].as_str().unwrap();
            for (name, file) in files {
                write(&Path::new(workspace).join(name), &file.content);
            }
        }
    };
    // It has no Telegram.
    Gateway::with_telegram(bundle, 0, here).0
}

fn about(skill: &str) -> String {
    format!("What to do about {skill}")
}

fn message(request: &Value, role: &str) -> String {
    let messages = request["messages"].as_array().unwrap().iter();
    messages.filter(|message| message["role"] == role).map(|message| message["content"].to_string()).collect()
}

/// Names and locations in the list of skills of a system prompt.
fn listed(prompt: &str) -> BTreeMap<String, String> {
    let list = prompt.split_once("<available_skills>").map_or("", |(_, list)| list);
    let list = list.split_once("</available_skills>").map_or("", |(list, _)| list);
    let field = |skill: &str, name: &str| {
        let (_, rest) = skill.split_once(&format!("<{name}>")).unwrap();
        rest.split_once(&format!("</{name}>")).unwrap().0.to_owned()
    };
    list.split("<skill>").skip(1).map(|skill| (field(skill, "name"), field(skill, "location"))).collect()
}

#[test]
fn each_agent_is_told_of_its_own_skills_and_can_read_no_other() {
    let skills = copied();
    let location = |pack: &str, skill: &str| {
        skills.path().join(pack).join(skill).join("SKILL.md").to_str().unwrap().to_owned()
    };
    let model = Model::start(location("base", "refunds"));
    let gateway = start(&case(model.port).compile().unwrap(), skills.path());

    let requests = model.turn(&gateway, "all");
    let prompt = message(&requests[0], "system");
    let every = packs().into_iter().flat_map(|(pack, skills)| {
        skills.into_iter().map(move |skill| (pack.clone(), skill)).collect::<Vec<_>>()
    });
    let every: BTreeMap<_, _> = every
        .map(|(pack, skill)| {
            let path = location(&pack, &skill);
            (skill, path)
        })
        .collect();
    assert_eq!(every.len(), SKILLS);
    assert_eq!(listed(&prompt), every, "not one is left out, although there is no room for the descriptions");
    let read = message(requests.last().unwrap(), "tool");
    assert!(read.contains("Steps of refunds."), "{read}");

    let requests = model.turn(&gateway, "few");
    let prompt = message(&requests[0], "system");
    assert_eq!(listed(&prompt), BTreeMap::from([("triage".into(), location("base", "triage"))]));
    assert!(prompt.contains(&about("triage")) && !prompt.contains(&about("refunds")));
    let read = message(requests.last().unwrap(), "tool");
    assert!(read.contains("escapes") && !read.contains("Steps of refunds."), "{read}");

    let requests = model.turn(&gateway, "none");
    assert_eq!(listed(&message(&requests[0], "system")), BTreeMap::new());
}
