//! What channels make of a Pod: the init containers that bring plugins, by source, and the tokens.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod common;

use std::collections::BTreeMap;

use common::channels::{bundle, case};
use k8s_openapi::api::core::v1::{Container, PodSpec};
use kr8tiv_compiler::{PluginSource, credential_claims};

fn pod(channel: &str, plugins: PluginSource) -> PodSpec {
    common::pod(&bundle(&case(channel), plugins)).clone()
}

fn init_containers(pod: &PodSpec) -> Vec<&str> {
    pod.init_containers.iter().flatten().map(|container| container.name.as_str()).collect()
}

fn environment(container: &Container) -> BTreeMap<&str, &str> {
    let variables = container.env.iter().flatten();
    variables.filter_map(|variable| Some((variable.name.as_str(), variable.value.as_deref()?))).collect()
}

fn installer(pod: &PodSpec) -> &Container {
    pod.init_containers.iter().flatten().find(|container| container.name == "plugins").unwrap()
}

#[test]
fn only_channels_outside_of_the_package_need_plugins() {
    assert_eq!(init_containers(&pod("telegram", PluginSource::Registry)), ["seed", "watchdog"]);
    for channel in ["discord", "slack", "whatsapp"] {
        let pod = pod(channel, PluginSource::Registry);
        assert_eq!(init_containers(&pod), ["seed", "plugins", "watchdog"]);
        let installer = installer(&pod);
        assert_eq!(installer.args.as_ref().unwrap()[4..], ["2026.9.6", channel]);
        assert_eq!(installer.image, pod.containers[0].image, "the gateway's own OpenClaw installs");
    }
}

#[test]
fn the_source_of_the_plugins_is_the_platforms() {
    let url = "https://npm.example.com/";
    let mirror = pod("slack", PluginSource::Mirror { url: url.into() });
    assert_eq!(environment(installer(&mirror))["NPM_CONFIG_REGISTRY"], url);

    let image = pod("slack", PluginSource::Image { reference: "example.com/plugins:1".into() });
    assert_eq!(init_containers(&image), ["seed", "plugin-packages", "plugins", "watchdog"]);
    let variables = environment(installer(&image));
    assert_eq!((variables["NPM_CONFIG_OFFLINE"], variables["NPM_CONFIG_CACHE"]), ("true", "/plugins"));
    let mounted: Vec<_> = image
        .init_containers
        .iter()
        .flatten()
        .filter(|container| {
            container.volume_mounts.iter().flatten().any(|mount| mount.mount_path == "/plugins")
        })
        .map(|container| container.name.as_str())
        .collect();
    assert_eq!(mounted, ["plugin-packages", "plugins"]);
    assert_eq!(image.volumes.iter().flatten().filter(|volume| volume.name == "plugins").count(), 1);
}

/// A container whose image can't be pulled would keep the gateway from starting: the installer says what is missing.
#[test]
fn an_image_that_can_not_be_pulled_holds_nothing_up() {
    let mut case = case("slack");
    case.surroundings.unavailable_images.insert("example.com/plugins:1".into());
    let bundle = bundle(&case, PluginSource::Image { reference: "example.com/plugins:1".into() });
    let pod = common::pod(&bundle);
    assert_eq!(init_containers(pod), ["seed", "plugins", "watchdog"]);
    assert_eq!(environment(installer(pod))["NPM_CONFIG_OFFLINE"], "true");
}

/// Pod Security `restricted`, for whatever channels add.
#[test]
fn every_container_is_hardened() {
    let pod = pod("whatsapp", PluginSource::Image { reference: "example.com/plugins:1".into() });
    for container in pod.init_containers.iter().flatten().chain(&pod.containers) {
        let security = container.security_context.as_ref().unwrap();
        assert_eq!(security.allow_privilege_escalation, Some(false), "{}", container.name);
        assert_eq!(security.read_only_root_filesystem, Some(true), "{}", container.name);
        let dropped = security.capabilities.as_ref().unwrap().drop.as_deref().unwrap();
        assert_eq!(dropped, ["ALL"], "{}", container.name);
    }
}

/// kubelet replaces `$(NAME)` and `$$` in arguments.
#[test]
fn the_program_reaches_the_container_as_it_is() {
    let pod = pod("slack", PluginSource::Registry);
    let program = &installer(&pod).args.as_ref().unwrap()[3];
    assert!(program.contains("openclaw") && !program.contains("$(") && !program.contains("$$"));
}

/// The installer runs packages' code before the gateway does; it sees no token.
#[test]
fn only_the_gateway_has_the_tokens() {
    let pod = pod("slack", PluginSource::Registry);
    let from_secrets = |container: &Container| -> Vec<String> {
        let variables = container.env.iter().flatten();
        variables
            .filter(|variable| variable.value_from.is_some())
            .map(|variable| variable.name.clone())
            .collect()
    };
    for container in pod.init_containers.iter().flatten() {
        // The watchdog runs no code of others, and asks the gateway as its owner.
        let own = ["OPENCLAW_GATEWAY_TOKEN", "KR8TIV_STATUS_TOKEN"];
        let expected = if container.name == "watchdog" { &own[..] } else { &[] };
        assert_eq!(from_secrets(container), expected, "{}", container.name);
    }
    let expected = [
        "OPENCLAW_GATEWAY_TOKEN",
        "SLACK_APP_TOKEN",
        "SLACK_BOT_TOKEN",
        "SLACK_PARTNERS_APP_TOKEN",
        "SLACK_PARTNERS_BOT_TOKEN",
    ];
    assert_eq!(from_secrets(&pod.containers[0]), expected);
}

#[test]
fn each_token_is_claimed_with_its_path() {
    let claims = credential_claims(&case("slack").tenant.spec);
    let claims: Vec<_> = claims
        .iter()
        .map(|claim| (claim.account.as_str(), claim.field.as_str(), claim.secret.key.as_str()))
        .collect();
    let expected = [
        ("default", "spec.channels.slack.accounts[0].botTokenSecretRef", "slack-bot"),
        ("default", "spec.channels.slack.accounts[0].appTokenSecretRef", "slack-app"),
        ("partners", "spec.channels.slack.accounts[1].botTokenSecretRef", "slack-partners-bot"),
        ("partners", "spec.channels.slack.accounts[1].appTokenSecretRef", "slack-partners-app"),
    ];
    assert_eq!(claims, expected);
    assert_eq!(credential_claims(&case("whatsapp").tenant.spec), []);
}
