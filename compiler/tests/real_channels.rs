//! Channels with the real OpenClaw: the init container `plugins` runs as it stands in the Pod, from the packages of
//! the image `plugins`, without a network; the gateway then has every channel and account, and messages reach the
//! agent they are bound to.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use common::Case;
use k8s_openapi::api::core::v1::{Container, PodSpec};
use kr8tiv_compiler::{
    Bundle, Inputs, Object, PLUGINS_CONTAINER, Platform, PluginReport, PluginSource, compile,
};
use kr8tiv_crds::Agent;
use kr8tiv_crds::channels::ChannelName;
use serde_json::{Value, json};
use tempfile::TempDir;

const CASES: [&str; 4] = ["telegram", "discord", "slack", "whatsapp"];

fn case(channel: &str) -> Case {
    let path = common::root().join(format!("compiler/tests/cases/channels-{channel}.yaml"));
    common::case(&fs::read_to_string(path).unwrap())
}

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

fn bundle(case: &Case, plugins: PluginSource) -> Bundle {
    let agents: Vec<&Agent> = case.agents.iter().collect();
    let platform = Platform { plugins, ..common::platform() };
    let inputs = Inputs {
        tenant: &case.tenant,
        harness: case.harness.as_ref(),
        agents: &agents,
        platform: &platform,
        surroundings: &case.surroundings,
    };
    let bundle = compile(&inputs).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    assert!(bundle.warnings.is_empty(), "{}", bundle.warnings);
    bundle
}

fn from_image() -> PluginSource {
    PluginSource::Image { reference: "example.com/plugins:1".into() }
}

fn pod(bundle: &Bundle) -> &PodSpec {
    let found = bundle.objects.iter().find_map(|object| match object {
        Object::StatefulSet(set) => set.spec.as_ref()?.template.spec.as_ref(),
        _ => None,
    });
    found.unwrap()
}

fn init_container<'a>(bundle: &'a Bundle, name: &str) -> &'a Container {
    let containers = pod(bundle).init_containers.as_ref().unwrap();
    containers.iter().find(|container| container.name == name).unwrap()
}

/// A Pod's folders on this machine.
struct Host {
    folder: TempDir,
    openclaw: PathBuf,
}

impl Host {
    fn new() -> Self {
        let host = Self {
            folder: tempfile::tempdir().unwrap(),
            openclaw: common::openclaw().ancestors().nth(2).unwrap().into(),
        };
        for folder in ["home", "state", "config", "tmp"] {
            fs::create_dir(host.path(folder)).unwrap();
        }
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The copy that the image's entry point makes.
    fn copy_packages(&self) {
        let output =
            Command::new(common::root().join("dev/build-images")).arg("--plugins-dir").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let packages = format!("{}/npm-cache/.", String::from_utf8(output.stdout).unwrap().trim());
        fs::create_dir(self.path("plugins")).unwrap();
        assert!(
            Command::new("cp").arg("-R").arg(packages).arg(self.path("plugins")).status().unwrap().success()
        );
    }

    /// A command with the environment of a container, in namespaces of its own: there is no network but loopback,
    /// and what it leaves behind ends with it.
    fn isolated(&self, container: &Container, program: &[&str]) -> Command {
        let mut command = Command::new("unshare");
        command
            .args(["--map-root-user", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--"])
            .args(["sh", "-c", "ip link set lo up && exec \"$@\"", "sh"])
            .args(program)
            .current_dir(self.openclaw.join("app"))
            .env_clear()
            .env(
                "PATH",
                format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", self.openclaw.join("node/bin").display()),
            )
            .env("TMPDIR", self.path("tmp"))
            .stdin(Stdio::null());
        for variable in container.env.iter().flatten() {
            // What comes from a Secret is nobody's token, and another for each: OpenClaw stops an account whose token
            // another one has.
            let value = variable.value.as_deref().unwrap_or(&variable.name);
            command.env(&variable.name, self.here(value));
        }
        command
    }

    /// A value of the Pod's environment, with this machine's folders.
    fn here(&self, value: &str) -> String {
        let folders = [
            ("/home/node/.openclaw", "state"),
            ("/etc/openclaw/config", "config"),
            ("/home/node", "home"),
            ("/plugins", "plugins"),
            ("/dev/termination-log", "termination-log"),
        ];
        folders.iter().fold(value.to_owned(), |value, (there, here)| {
            value
                .strip_prefix(there)
                .map_or(value.clone(), |rest| format!("{}{rest}", self.path(here).display()))
        })
    }

    fn configure(&self, bundle: &Bundle) {
        fs::write(self.path("config/openclaw.json"), &bundle.config).unwrap();
    }

    /// Runs the init container as it stands in the Pod.
    fn install(&self, bundle: &Bundle) -> PluginReport {
        let container = init_container(bundle, PLUGINS_CONTAINER);
        let arguments: Vec<&str> = container.args.as_ref().unwrap().iter().map(String::as_str).collect();
        let output = self.isolated(container, &arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let message = fs::read_to_string(self.path("termination-log")).unwrap();
        assert!(message.len() <= 4096);
        PluginReport::parse(&message).unwrap_or_else(|error| panic!("{error}: {message}, {output:?}"))
    }

    /// What npm was asked since the last question: each run leaves a log in its cache. Where npm keeps packages of the
    /// whole machine, the gateway asks it at some time after its start; that needs no network and does not count.
    fn npm_commands(&self) -> Vec<String> {
        let mut commands = Vec::new();
        for folder in [self.path("plugins/_logs"), self.path("home/.npm/_logs")] {
            for log in fs::read_dir(&folder).into_iter().flatten() {
                let log = fs::read_to_string(log.unwrap().path()).unwrap();
                commands.extend(log.lines().find_map(|line| Some(line.split_once("argv ")?.1.to_owned())));
            }
            let _ = fs::remove_dir_all(folder);
        }
        commands.retain(|command: &String| !command.starts_with("\"root\""));
        commands
    }

    /// The folder of a plugin.
    fn plugin(&self, channel: &str) -> PathBuf {
        let mut projects: Vec<_> = fs::read_dir(self.path("state/npm/projects"))
            .unwrap()
            .map(|entry| entry.unwrap().path().join("node_modules/@openclaw").join(channel))
            .filter(|plugin| plugin.is_dir())
            .collect();
        assert_eq!(projects.len(), 1, "{projects:?}");
        projects.remove(0)
    }

    fn validate(&self, bundle: &Bundle) -> Value {
        self.configure(bundle);
        let arguments = ["node", "dist/index.js", "config", "validate", "--json"];
        json_of(&self.isolated(&pod(bundle).containers[0], &arguments).output().unwrap())
    }

    /// Starts the gateway as it stands in the Pod, and asks it for its channels when it is up.
    fn channels_status(&self, bundle: &Bundle) -> Value {
        const SCRIPT: &str = r#"
            "$@" > "$TMPDIR/gateway.log" 2>&1 &
            gateway=$!
            until node dist/index.js channels status --json > "$TMPDIR/status" 2> /dev/null &&
                grep -q channelAccounts "$TMPDIR/status"; do
                kill -0 $gateway || { cat "$TMPDIR/gateway.log" >&2; exit 1; }
            done
            cat "$TMPDIR/status"
        "#;
        self.configure(bundle);
        let container = &pod(bundle).containers[0];
        let mut program = vec!["sh", "-c", SCRIPT, "sh"];
        program.extend(container.args.iter().flatten().map(String::as_str));
        json_of(&self.isolated(container, &program).output().unwrap())
    }
}

fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
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
    for name in CASES {
        for narrowed in [true, false] {
            let mut case = case(name);
            let policy = &mut case.harness.as_mut().unwrap().spec.channels;
            (policy.dm_pairing_required, policy.mention_gating) = (narrowed, narrowed);
            let answer = host.validate(&bundle(&case, from_image()));
            assert_eq!(
                (&answer["valid"], &answer["warnings"]),
                (&json!(true), &json!([])),
                "{name}: {answer:#}"
            );
        }
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

/// Which agent OpenClaw chooses for a message, by its own function.
fn agent_for(config: &str, message: &Value) -> String {
    const SCRIPT: &str = "
        const { resolveAgentRoute } = await import(process.argv[1]);
        const cfg = JSON.parse(process.argv[2]);
        console.log(resolveAgentRoute({ cfg, ...JSON.parse(process.argv[3]) }).agentId);
    ";
    let openclaw = common::openclaw();
    let openclaw = openclaw.ancestors().nth(2).unwrap();
    let output = Command::new(openclaw.join("node/bin/node"))
        .args(["--input-type=module", "--eval", SCRIPT])
        .arg(openclaw.join("app/dist/plugin-sdk/routing.js"))
        .args([config, &message.to_string()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
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
    for (channel, mut message, agent) in messages {
        let config = bundle(&case(channel), PluginSource::Registry).config;
        message["channel"] = json!(channel);
        assert_eq!(agent_for(&config, &message), agent, "{message}");
    }
}

/// Two bindings to one conversation: the one to the account wins over the one to every account, whoever comes first.
#[test]
fn a_binding_to_an_account_goes_before_one_to_every_account() {
    let peer = "peer: {kind: group, id: '-5'}";
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
            assert_eq!(agent_for(&config, &message), agent, "{account}");
        }
    }
}
