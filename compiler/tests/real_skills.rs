//! The real OpenClaw, given the compiled configuration and the packs as the watchdog copies them, lists to each agent
//! exactly the skills that are its own, and lets it read no other.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use kr8tiv_compiler::Bundle;
use serde_json::{Value, json};

/// As many skills as an agent may have, and but for two of them with the longest possible names.
const SKILLS: usize = 60;
/// Where the packs are in the folder of this test.
const SKILLS_FOLDER: &str = "packs-of-skills";

/// A model that first reads one file and then says something. It remembers what it was asked.
struct Model {
    port: u16,
    requests: Arc<Mutex<Vec<Value>>>,
    path: Arc<Mutex<String>>,
}

impl Model {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let model = Self { port, requests: Arc::default(), path: Arc::default() };
        let (requests, path) = (Arc::clone(&model.requests), Arc::clone(&model.path));
        // It ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming() {
                answer(&mut stream.unwrap(), &requests, &path);
            }
        });
        model
    }

    /// The file that it reads.
    fn ask_for(&self, path: &str) {
        path.clone_into(&mut self.path.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn take_requests(&self) -> Vec<Value> {
        std::mem::take(&mut self.requests.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn answer(stream: &mut TcpStream, requests: &Mutex<Vec<Value>>, path: &Mutex<String>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let request: Value = serde_json::from_slice(&body).unwrap();
    let asked = request["messages"].as_array().unwrap().last().unwrap()["role"] == "tool";
    requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    let path = path.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let (delta, end) = if asked {
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

/// A gateway's files, below a folder for this test.
struct Home {
    root: tempfile::TempDir,
}

impl Home {
    fn new(bundle: &Bundle) -> Self {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        let write = |path: &str, content: &str| {
            fs::create_dir_all(at(path).parent().unwrap()).unwrap();
            fs::write(at(path), content).unwrap();
        };
        for (agent, files) in &bundle.workspaces {
            for (name, file) in files {
                write(&format!("state/workspace-{agent}/{name}"), &file.content);
            }
        }
        for (pack, skills) in packs() {
            for skill in skills {
                let description = format!("{} {}", about(&skill), "and so on ".repeat(50));
                let content =
                    format!("---\nname: {skill}\ndescription: {description}\n---\nSteps of {skill}.\n");
                write(&format!("{SKILLS_FOLDER}/{pack}/{skill}/SKILL.md"), &content);
            }
        }
        let in_test = |path: &str| at(path).to_str().unwrap().to_owned();
        // A path that is no shorter than the real one: the list's length depends on it.
        assert!(in_test(SKILLS_FOLDER).len() >= "/etc/openclaw/skills".len());
        let config = bundle
            .config
            .replace("/etc/openclaw/skills", &in_test(SKILLS_FOLDER))
            .replace("/home/node/.openclaw", &in_test("state"));
        write("openclaw.json", &config);
        Self { root }
    }

    fn path(&self, path: &str) -> String {
        self.root.path().join(path).to_str().unwrap().to_owned()
    }

    /// One turn of an agent.
    fn turn(&self, agent: &str) {
        let output = Command::new(common::openclaw())
            .args(["agent", "--local", "--agent", agent, "--message", "hello", "--json"])
            .env("HOME", self.path("home"))
            .env("OPENCLAW_STATE_DIR", self.path("state"))
            .env("OPENCLAW_CONFIG_PATH", self.path("openclaw.json"))
            .env("OPENCLAW_CONFIG_READONLY", "1")
            .env("OPENCLAW_GATEWAY_TOKEN", "a-token-for-this-test")
            .env("NPM_CONFIG_FETCH_RETRIES", "0")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
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
    let model = Model::start();
    let home = Home::new(&case(model.port).compile().unwrap());
    let location = |pack: &str, skill: &str| home.path(&format!("{SKILLS_FOLDER}/{pack}/{skill}/SKILL.md"));
    let refunds = location("base", "refunds");
    model.ask_for(&refunds);

    home.turn("all");
    let requests = model.take_requests();
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

    home.turn("few");
    let requests = model.take_requests();
    let prompt = message(&requests[0], "system");
    assert_eq!(listed(&prompt), BTreeMap::from([("triage".into(), location("base", "triage"))]));
    assert!(prompt.contains(&about("triage")) && !prompt.contains(&about("refunds")));
    let read = message(requests.last().unwrap(), "tool");
    assert!(read.contains("escapes") && !read.contains("Steps of refunds."), "{read}");

    home.turn("none");
    let requests = model.take_requests();
    assert_eq!(listed(&message(&requests[0], "system")), BTreeMap::new());
}
