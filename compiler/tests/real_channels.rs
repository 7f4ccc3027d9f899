//! Channels with the real OpenClaw: the init container `plugins` runs as it stands in the Pod, from the packages of
//! the image `plugins`, without a network; the gateway then has every channel and account.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod common;

use std::collections::BTreeMap;
use std::fs;

use common::Case;
use common::channels::{bundle, case};
use common::host::Host;
use kr8tiv_compiler::PluginSource;
use kr8tiv_crds::channels::ChannelName;
use serde_json::{Value, json};

/// One tenant with the channels of all cases.
fn all_channels() -> Case {
    let mut all = case("telegram");
    let [discord, slack, whatsapp] =
        ["discord", "slack", "whatsapp"].map(|channel| case(channel).tenant.spec.channels);
    let channels = &mut all.tenant.spec.channels;
    channels.discord = discord.discord;
    channels.slack = slack.slack;
    channels.whatsapp = whatsapp.whatsapp;
    all.harness.as_mut().unwrap().spec.channels.allow = ChannelName::ALL.to_vec();
    all
}

fn from_image() -> PluginSource {
    PluginSource::Image { reference: "example.com/plugins:1".into() }
}

fn accounts(status: &Value) -> BTreeMap<String, Vec<String>> {
    let channels = status["channelAccounts"].as_object().unwrap();
    let accounts = channels.iter().map(|(channel, accounts)| {
        let accounts = accounts.as_array().unwrap().iter().map(|account| {
            assert_eq!(
                (&account["enabled"], &account["configured"]),
                (&json!(true), &json!(true)),
                "{account}"
            );
            account["accountId"].as_str().unwrap().to_owned()
        });
        (channel.clone(), accounts.collect())
    });
    accounts.collect()
}

#[test]
fn plugins_are_installed_once_and_the_gateway_has_all_channels() {
    let host = Host::new();
    let all = bundle(&all_channels(), from_image());
    host.copy_packages();
    host.configure(&all);

    assert_eq!(host.install(&all).plugins, []);
    assert_ne!(host.npm_commands(), [""; 0], "otherwise the silence below would say nothing");
    let unpacked =
        |channel: &str| fs::metadata(host.plugin(channel).join("package.json")).unwrap().modified().unwrap();
    let first = ["discord", "slack", "whatsapp"].map(unpacked);

    // Another version of one of them is replaced, and goes; the others stay as they are.
    let manifest = host.plugin("slack").join("package.json");
    let older = fs::read_to_string(&manifest).unwrap().replace("2026.9.6", "2026.9.5");
    fs::write(&manifest, older).unwrap();
    assert_eq!(host.install(&all).plugins, []);
    assert_ne!(host.plugin("slack").join("package.json"), manifest);
    assert_eq!([unpacked("discord"), unpacked("whatsapp")], [first[0], first[2]]);
    host.npm_commands();

    // Everything is there: npm is not even asked.
    assert_eq!(host.install(&all).plugins, []);
    assert_eq!(host.npm_commands(), [""; 0]);

    // With the plugins in place their own rules hold for the channels' settings.
    let policies = [true, false].map(|narrowed| {
        let mut case = all_channels();
        let policy = &mut case.harness.as_mut().unwrap().spec.channels;
        (policy.dm_pairing_required, policy.mention_gating) = (narrowed, narrowed);
        bundle(&case, from_image())
    });
    for answer in host.validate(&policies) {
        assert!(answer.valid && answer.warnings.is_empty(), "{answer:#?}");
    }

    let status = host.channels_status(&all);
    let expected = [
        ("discord", vec!["default"]),
        ("slack", vec!["default", "partners"]),
        ("telegram", vec!["default", "on-call"]),
        ("whatsapp", vec!["company", "own"]),
    ];
    let expected = expected.map(|(channel, accounts)| {
        (channel.to_owned(), accounts.into_iter().map(str::to_owned).collect::<Vec<_>>())
    });
    assert_eq!(accounts(&status), BTreeMap::from(expected));
    assert_eq!(host.npm_commands(), [""; 0]);
    let log = fs::read_to_string(host.path("tmp/gateway.log")).unwrap();
    // A change that OpenClaw would like to write keeps `openclaw channels login` from linking a WhatsApp number.
    assert!(!log.contains("auto-enabled plugins"), "{log}");
}

#[test]
fn what_can_not_be_had_is_reported_and_holds_nothing_up() {
    let host = Host::new();
    let bundle = bundle(&case("discord"), from_image());
    host.configure(&bundle);
    // No package was copied.
    fs::create_dir(host.path("plugins")).unwrap();
    let report = host.install(&bundle);
    let problem = "npm can't get @openclaw/discord@2026.9.6: ENOTCACHED";
    let found: Vec<_> = report.plugins.iter().map(|found| (found.channel, found.problem.as_str())).collect();
    assert_eq!(found, [(ChannelName::Discord, problem)]);
}

#[test]
fn an_answer_that_is_none_is_reported_too() {
    let host = Host::new();
    let bundle = bundle(&case("slack"), from_image());
    // Without a configuration OpenClaw lists nothing that could be judged.
    fs::write(host.path("config/openclaw.json"), "{").unwrap();
    let report = host.install(&bundle);
    assert_eq!(report.plugins.iter().map(|found| found.channel).collect::<Vec<_>>(), [ChannelName::Slack]);
}

/// A mirror is the same program with another registry: here nobody answers at its address.
#[test]
fn a_mirror_is_asked_instead_of_the_registry() {
    let host = Host::new();
    let bundle = bundle(&case("whatsapp"), PluginSource::Mirror { url: "http://127.0.0.1:9/".into() });
    host.configure(&bundle);
    let report = host.install(&bundle);
    assert_eq!(report.plugins.len(), 1);
    assert!(report.plugins[0].problem.ends_with("ECONNREFUSED"), "{report:?}");
}
