//! What the compiler accepts, the real OpenClaw accepts: `openclaw config validate`, without a warning.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod common;

use std::fs;

use common::real::{assert_accepted, validate_all, validate_each};
use common::rules::{Verdict, rules};
use common::sections::sections;
use kr8tiv_compiler::config_violations;
use serde_json::Value;

fn compiled(cases: impl IntoIterator<Item = (String, common::Case)>) -> Vec<(String, String)> {
    cases.into_iter().map(|(name, case)| (name, case.compile().unwrap().config)).collect()
}

/// The examples and the realistic harnesses.
fn whole() -> Vec<(String, String)> {
    compiled(common::examples().into_iter().chain(common::realistic()))
}

#[test]
fn point_10_openclaw_accepts_the_goldens() {
    assert_accepted("goldens", &[whole(), compiled(sections())].concat(), 0);
}

/// Every rule of ours that OpenClaw has too it enforces; what is said of the others is true of them.
#[test]
fn the_rules_are_those_of_openclaw() {
    let rules = rules();
    let configs: Vec<_> = rules.iter().map(|rule| (rule.name.clone(), rule.config.to_string())).collect();
    let mut wrong = Vec::new();
    for (rule, answer) in rules.iter().zip(validate_all(&configs)) {
        let verdict = match (answer.valid, answer.warnings.as_slice()) {
            (false, _) => Verdict::Refuses,
            (true, []) => Verdict::Accepts,
            (true, _) => Verdict::Warns,
        };
        if verdict != rule.openclaw {
            wrong.push(format!("{}: OpenClaw {verdict:?}: {answer:?}", rule.name));
        }
        // Whoever accepts less than OpenClaw has a reason of ours; nobody accepts more.
        if verdict != Verdict::Accepts && config_violations(&rule.config).is_empty() {
            wrong.push(format!("{}: only OpenClaw {verdict:?}: {answer:?}", rule.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let count = |verdict| rules.iter().filter(|rule| rule.at.is_some() && rule.openclaw == verdict).count();
    println!(
        "figure: {} faults in openclaw.json: OpenClaw refuses {}, warns of {}, accepts {}",
        rules.iter().filter(|rule| rule.at.is_some()).count(),
        count(Verdict::Refuses),
        count(Verdict::Warns),
        count(Verdict::Accepts),
    );
}

/// Many configurations in one process get the answers that each gets in a process of its own, and whatever came before.
#[test]
fn one_process_judges_as_many_do() {
    const EACH: usize = 4;
    let (whole, rules) = (whole(), rules());
    let of_verdict = |verdict| {
        let of_verdict = rules.iter().filter(|rule| rule.openclaw == verdict);
        of_verdict.map(|rule| (rule.name.clone(), rule.config.to_string())).collect::<Vec<_>>()
    };
    let (refused, warned) = (of_verdict(Verdict::Refuses), of_verdict(Verdict::Warns));
    let mut configs = vec![("no JSON".to_owned(), "{".to_owned())];
    for table in [&whole, &refused, &warned] {
        // Spread over the table, which is in the order of OpenClaw's sections.
        configs.extend(table.iter().step_by(table.len().div_ceil(EACH)).cloned());
    }
    let each = validate_each(&configs);
    assert!(each.iter().any(|answer| !answer.valid) && each.iter().any(|answer| !answer.warnings.is_empty()));
    let own = configs.len();
    configs.extend([whole, refused, warned].concat());
    let many = validate_all(&configs);
    configs.reverse();
    let mut backwards = validate_all(&configs);
    backwards.reverse();
    configs.reverse();
    for (((name, _), one), many) in configs.iter().zip(&each).zip(&many) {
        assert_eq!(one, many, "{name}");
    }
    for (((name, _), one), many) in configs.iter().zip(&backwards).zip(&many) {
        assert_eq!(one, many, "{name}");
    }
    println!(
        "figure: {} configurations judged alike by one process in either order, {own} of them by a process each",
        configs.len()
    );
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

/// The table of models that are no more is what the package's plugins say.
#[test]
fn the_retired_models_are_those_of_the_package() {
    let plugins = common::openclaw().ancestors().nth(2).unwrap().join("app/dist/extensions");
    let base = rules().remove(0).config;
    let mut judged = 0;
    for plugin in fs::read_dir(plugins).unwrap() {
        let Ok(manifest) = fs::read_to_string(plugin.unwrap().path().join("openclaw.plugin.json")) else {
            continue;
        };
        let manifest: Value = serde_json::from_str(&manifest).unwrap();
        let retired = manifest["modelCatalog"]["suppressions"].as_array().cloned().unwrap_or_default();
        // Those with a condition are gone from one server and not from another.
        for model in retired.iter().filter(|model| model.get("when").is_none()) {
            let name =
                format!("{}/{}", model["provider"].as_str().unwrap(), model["model"].as_str().unwrap());
            let mut config = base.clone();
            config["agents"]["defaults"]["model"]["primary"] = Value::from(name.as_str());
            let found = config_violations(&config);
            assert!(
                found.iter().any(|violation| violation.path == "agents.defaults.model.primary"),
                "{name}"
            );
            judged += 1;
        }
    }
    assert!(judged > 100, "{judged}");
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
    let compiled = |(name, from, to): (&str, &str, &str)| {
        assert!(example.contains(from), "{name}");
        let case = common::case(&example.replacen(from, to, 1));
        let bundle = case.compile().unwrap_or_else(|diagnostics| panic!("{name}: {diagnostics}"));
        (name.to_owned(), bundle.config)
    };
    assert_accepted("variants", &variants.into_iter().map(compiled).collect::<Vec<_>>(), 0);
}
