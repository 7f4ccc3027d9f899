//! Whether a change is a reload or a restart: what a difference says is what the real gateway does.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod common;
mod gateway;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use gateway::{Event, Gateway};
use kr8tiv_compiler::{Effect, SUPPORTED_VERSIONS, config_changes};
use serde_json::{Value, json};

/// Single changes, one after the other: a place in the configuration and its new value, `null` for none. Those after
/// which the gateway is asked for its configuration stand before those that change how it is reached.
fn changes() -> Vec<(&'static str, Value)> {
    let provider = json!({
        "baseUrl": "http://127.0.0.1:9/v1",
        "api": "openai-completions",
        "apiKey": "none",
        "models": [{
            "id": "small", "name": "small", "api": "openai-completions", "reasoning": false, "input": ["text"],
            "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0},
            "contextWindow": 32_000, "maxTokens": 4_000,
        }],
    });
    let desk = json!({"agentId": "desk", "match": {"channel": "telegram", "accountId": "*"}});
    vec![
        ("/agents/entries/desk/identity/name", json!("Front desk")),
        ("/agents/entries/third", json!({"name": "Third", "identity": {"name": "Third"}})),
        ("/agents/defaults/model/primary", json!("anthropic/claude-opus-4-6")),
        ("/agents/defaults/modelPolicy/allow", json!(["anthropic/claude-opus-4-6"])),
        ("/models/providers", json!({"house": provider})),
        ("/tools/allow", json!(["message", "read", "session_status"])),
        ("/tools/exec/host", json!("gateway")),
        ("/channels/telegram/accounts/default/dmPolicy", json!("allowlist")),
        ("/channels/telegram/accounts/default/groups/*/requireMention", json!(false)),
        ("/channels/defaults/contextVisibility", json!("all")),
        ("/bindings", json!([desk])),
        ("/session/dmScope", json!("per-channel-peer")),
        ("/session/scope", json!("global")),
        ("/messages/groupChat/historyLimit", json!(10)),
        ("/skills/load/watch", json!(true)),
        ("/logging/level", json!("debug")),
        ("/commands/ownerAllowFrom", json!(["telegram:1002"])),
        ("/cron/enabled", json!(true)),
        ("/hooks/internal/enabled", json!(true)),
        ("/plugins/allow", json!(["anthropic", "memory-core", "openai", "telegram", "web-readability"])),
        ("/secrets/providers/default/allowlist/0", json!("SOME_OTHER_KEY")),
        ("/update/channel", json!("beta")),
        ("/diagnostics/enabled", json!(false)),
        ("/discovery/mdns/mode", json!("minimal")),
        ("/gateway/auth/rateLimit/maxAttempts", json!(5)),
        ("/gateway/controlUi/allowedOrigins", json!(["https://example.com"])),
        ("/memory/search/enabled", json!(true)),
        ("/browser/enabled", json!(true)),
        ("/gateway/controlUi/basePath", json!("/ui")),
        ("/env", json!({"vars": {"SOME_VARIABLE": "some value"}})),
        // Without the channel, what its plugin wanted to know of it needs no action.
        ("/channels/telegram", Value::Null),
        ("/plugins/allow", json!(["anthropic", "memory-core", "openai"])),
        ("/commands/text", json!(false)),
        ("/gateway/auth/token/id", json!("OPENAI_API_KEY")),
        ("/gateway/port", json!(9)),
    ]
}

#[test]
fn a_change_does_what_the_difference_says() {
    let (_, case) = common::examples().into_iter().find(|(name, _)| name == "two-agents").unwrap();
    let (mut gateway, mut config) = Gateway::start(&case.compile().unwrap());

    let changes = changes();
    let mut said = Vec::new();
    for (place, value) in &changes {
        let old = config.clone();
        set(&mut config, place, value);
        let differences = config_changes(SUPPORTED_VERSIONS[0], &old, &config);
        let effect = differences.iter().map(|change| change.effect).max().unwrap();
        let paths: BTreeSet<String> = differences.into_iter().map(|change| change.path).collect();

        let from = gateway.events.len();
        gateway.write(&config);
        let evaluated = gateway.wait_for(from, &format!("{place} to be noticed"), |event| {
            matches!(event, Event::Evaluating(_) | Event::Refused(_))
        });
        let Event::Evaluating(noticed) = &gateway.events[evaluated] else {
            panic!("{place}: {:?}", gateway.events[evaluated]);
        };
        // The gateway counts plugins that it enables by itself as changed too.
        assert!(paths.is_subset(&noticed.iter().cloned().collect()), "{place}: {paths:?}, {noticed:?}");
        said.push((evaluated, paths, effect));
        if effect == Effect::None {
            // It logs nothing more of such a change.
            gateway.wait_until_applied();
        } else {
            let decided = gateway.wait_for(evaluated + 1, &format!("what {place} does"), |_| true);
            if gateway.events[decided] == Event::Restarting && *place != "/gateway/port" {
                gateway.wait_until_started(decided);
            }
        }
    }

    // What is logged between two changes belongs to the first: the gateway takes one after the other.
    let mut score = 0;
    for (position, (evaluated, paths, effect)) in said.iter().enumerate() {
        let end = said.get(position + 1).map_or(gateway.events.len(), |(next, ..)| *next);
        let logged = &gateway.events[evaluated + 1..end];
        let refused = logged.iter().any(|event| matches!(event, Event::Evaluating(_) | Event::Refused(_)));
        let seen = if logged.contains(&Event::Restarting) {
            Effect::Restart
        } else if logged.contains(&Event::Reloaded) {
            Effect::Reload
        } else {
            Effect::None
        };
        let agrees = seen == *effect && !refused;
        score += usize::from(agrees);
        let paths = paths.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let verdict = if agrees { "" } else { " WRONG" };
        println!("said {:<8}logged {:<8}{paths}{verdict}", effect.as_str(), seen.as_str());
    }
    println!("figure: reload score {score} of {}", changes.len());
    for effect in [Effect::None, Effect::Reload, Effect::Restart] {
        assert!(said.iter().filter(|(.., said)| *said == effect).count() >= 5, "{effect:?}");
    }
    assert_eq!(score, changes.len());
}

fn set(config: &mut Value, place: &str, value: &Value) {
    let (parent, key) = place.rsplit_once('/').unwrap();
    let parent = config.pointer_mut(parent).unwrap();
    match parent {
        Value::Array(entries) => entries[key.parse::<usize>().unwrap()] = value.clone(),
        _ if value.is_null() => {
            parent.as_object_mut().unwrap().remove(key);
        }
        _ => parent[key] = value.clone(),
    }
}

/// Every path of the release's schema, judged by the release's own function. No plugin is loaded there.
#[test]
fn every_path_is_judged_as_by_the_release() {
    const JUDGE: &str = "
        const { readFileSync } = await import('node:fs');
        const functions = Object.values(await import(process.argv[1]));
        const judge = functions.find((one) => one.name === 'resolveConfigReloadMetadata');
        const paths = JSON.parse(readFileSync(process.argv[2], 'utf8'));
        process.stdout.write(JSON.stringify(paths.map((path) => judge(path).kind)));
    ";
    let openclaw = common::openclaw();
    let folder = openclaw.ancestors().nth(2).unwrap();
    let output = Command::new(&openclaw).args(["config", "schema"]).output().unwrap();
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut paths = BTreeSet::new();
    collect(&schema, "", &mut paths);

    let rules = fs::read_dir(folder.join("app/dist")).unwrap().map(|entry| entry.unwrap().path());
    let is_plan = |path: &Path| {
        path.file_name().unwrap().to_str().unwrap().starts_with("config-reload-plan-")
            && path.extension().is_some_and(|extension| extension == "mjs")
    };
    let questions = tempfile::NamedTempFile::new().unwrap();
    fs::write(&questions, json!(paths).to_string()).unwrap();
    let output = Command::new(folder.join("node/bin/node"))
        .args(["--input-type=module", "-e", JUDGE])
        .arg(rules.into_iter().find(|path| is_plan(path)).unwrap())
        .arg(questions.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let kinds: Vec<String> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(kinds.len(), paths.len());

    let mut wrong = Vec::new();
    for (path, kind) in paths.iter().zip(&kinds) {
        let with = |value: Value| path.rsplit('.').fold(value, |value, key| json!({key: value}));
        let changes = config_changes(SUPPORTED_VERSIONS[0], &with(json!(1)), &with(json!(2)));
        let [change] = changes.as_slice() else { panic!("{path}: {changes:?}") };
        assert_eq!(change.path, *path);
        let expected = match kind.as_str() {
            "none" => Effect::None,
            "hot" => Effect::Reload,
            "restart" => Effect::Restart,
            other => panic!("{path}: {other}"),
        };
        if change.effect != expected {
            wrong.push((path, expected, change.effect));
        }
    }
    println!("figure: paths judged as by the release: {} of {}", paths.len() - wrong.len(), paths.len());
    assert!(paths.len() > 1000, "{} paths", paths.len());
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// Every path that a schema describes; `x` stands for a key that may be anything.
fn collect(schema: &Value, path: &str, paths: &mut BTreeSet<String>) {
    if !path.is_empty() {
        paths.insert(path.to_owned());
    }
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    for (key, property) in schema["properties"].as_object().into_iter().flatten() {
        collect(property, &below(key), paths);
    }
    if schema["additionalProperties"].is_object() {
        collect(&schema["additionalProperties"], &below("x"), paths);
    }
    for property in schema["patternProperties"].as_object().into_iter().flat_map(|patterns| patterns.values())
    {
        collect(property, &below("x"), paths);
    }
    for kind in ["anyOf", "oneOf", "allOf"] {
        for variant in schema[kind].as_array().into_iter().flatten() {
            collect(variant, path, paths);
        }
    }
}
