//! What the compiler accepts, the real OpenClaw accepts: `openclaw config validate`, without a warning.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod common;

use std::fs;
use std::process::Command;

use serde_json::Value;

fn validate(config: &str) -> Value {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("openclaw.json");
    fs::write(&path, config).unwrap();
    let output = Command::new(common::openclaw())
        .args(["config", "validate", "--json"])
        .env("HOME", home.path())
        .env("OPENCLAW_STATE_DIR", home.path().join("state"))
        .env("OPENCLAW_CONFIG_PATH", &path)
        .env("OPENCLAW_CONFIG_READONLY", "1")
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn the_examples_are_valid() {
    for (name, case) in common::examples() {
        let answer = validate(&case.compile().unwrap().config);
        assert_eq!(answer["valid"], true, "{name}: {answer:#}");
        assert_eq!(answer["warnings"], Value::Array(vec![]), "{name}: {answer:#}");
    }
}

/// The validator does refuse: otherwise the test above would say nothing.
#[test]
fn a_wrong_key_is_refused() {
    let (_, case) = common::examples().remove(0);
    let config = case.compile().unwrap().config.replacen('{', "{\"bogus\": 1,", 1);
    assert_eq!(validate(&config)["valid"], false);
}

/// The table of providers is what the package's own plugins say.
#[test]
fn the_providers_are_those_of_the_package() {
    let openclaw = common::openclaw();
    let plugins = openclaw.ancestors().nth(2).unwrap().join("app/dist/extensions");
    for provider in kr8tiv_compiler::PROVIDERS {
        let manifest = plugins.join(provider.plugin).join("openclaw.plugin.json");
        let manifest: Value = serde_json::from_str(&fs::read_to_string(&manifest).unwrap()).unwrap();
        let provided = manifest["providers"].as_array().unwrap();
        assert!(provided.contains(&Value::from(provider.name)), "{}", provider.name);
        let setup = manifest["setup"]["providers"].as_array().unwrap();
        let setup = setup.iter().find(|setup| setup["id"] == provider.name).unwrap();
        let variables = setup["envVars"].as_array().unwrap();
        assert!(variables.contains(&Value::from(provider.key_variable)), "{}: {variables:?}", provider.name);
    }
}

/// Every choice that changes the configuration, once in each direction.
#[test]
fn the_variants_are_valid() {
    let variants = [
        (
            "everybody may write",
            "allow: [telegram]",
            "allow: [telegram]\n    dmPairingRequired: false\n    mentionGating: false",
        ),
        (
            "no lock, with reasoning",
            "fallbacks: [openai/gpt-5.5]",
            "fallbacks: [openai/gpt-5.5]\n    lock: false\n    reasoning: high",
        ),
        (
            "a provider of one's own",
            "primary: anthropic/claude-sonnet-4-6",
            "primary: house/small\n    providers:\n      - name: house\n        baseUrl: http://models.example.com:8080/v1\n        models: [{id: small}]",
        ),
        (
            "tools in groups",
            "allow: [read, message, session_status, web_fetch]",
            "allow: ['group:fs', 'group:runtime', 'group:web', message, 'group:plugins']\n    deny: [x_search]",
        ),
        ("a variable in a name", "displayName: Desk", "displayName: 'Desk ${HOME} \"quoted\"'"),
    ];
    let example = fs::read_to_string(common::root().join("examples/two-agents.yaml")).unwrap();
    for (name, from, to) in variants {
        assert!(example.contains(from), "{name}");
        let case = common::case(&example.replacen(from, to, 1));
        let bundle = case.compile().unwrap_or_else(|diagnostics| panic!("{name}: {diagnostics}"));
        let answer = validate(&bundle.config);
        assert_eq!(answer["valid"], true, "{name}: {answer:#}");
        assert_eq!(answer["warnings"], Value::Array(vec![]), "{name}: {answer:#}");
    }
}
