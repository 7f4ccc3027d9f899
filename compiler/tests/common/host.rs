//! A gateway's Pod on this machine: its containers as processes of the real OpenClaw, without a network.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use k8s_openapi::api::core::v1::Container;
use kr8tiv_compiler::{Bundle, PLUGINS_CONTAINER, PluginReport};
use serde_json::Value;
use tempfile::TempDir;

use super::pod;
use super::real::{Answer, CALL, VALIDATE, judged};

fn init_container<'a>(bundle: &'a Bundle, name: &str) -> &'a Container {
    let containers = pod(bundle).init_containers.as_ref().unwrap();
    containers.iter().find(|container| container.name == name).unwrap()
}

/// A Pod's folders on this machine.
pub struct Host {
    folder: TempDir,
    openclaw: PathBuf,
}

impl Host {
    pub fn new() -> Self {
        let host = Self {
            folder: tempfile::tempdir().unwrap(),
            openclaw: super::openclaw().ancestors().nth(2).unwrap().into(),
        };
        for folder in ["home", "state", "config", "tmp"] {
            fs::create_dir(host.path(folder)).unwrap();
        }
        host
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The copy that the image's entry point makes.
    pub fn copy_packages(&self) {
        let packages = super::image_folder("--plugins-dir").join("npm-cache/.");
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

    pub fn configure(&self, bundle: &Bundle) {
        fs::write(self.path("config/openclaw.json"), &bundle.config).unwrap();
    }

    /// Runs the init container as it stands in the Pod.
    pub fn install(&self, bundle: &Bundle) -> PluginReport {
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
    pub fn npm_commands(&self) -> Vec<String> {
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
    pub fn plugin(&self, channel: &str) -> PathBuf {
        let mut projects: Vec<_> = fs::read_dir(self.path("state/npm/projects"))
            .unwrap()
            .map(|entry| entry.unwrap().path().join("node_modules/@openclaw").join(channel))
            .filter(|plugin| plugin.is_dir())
            .collect();
        assert_eq!(projects.len(), 1, "{projects:?}");
        projects.remove(0)
    }

    /// What OpenClaw says of the configurations of bundles: by its own command, in one process.
    pub fn validate(&self, bundles: &[Bundle]) -> Vec<Answer> {
        let configs: Vec<_> = bundles.iter().map(|bundle| bundle.config.as_str()).collect();
        let app = self.openclaw.join("app");
        let program = ["node", VALIDATE, app.to_str().unwrap()];
        let mut command = self.isolated(&pod(&bundles[0]).containers[0], &program);
        judged(&mut command, &self.path("questions"), &configs)
    }

    /// Starts the gateway as it stands in the Pod, and asks it for its channels when it is up.
    pub fn channels_status(&self, bundle: &Bundle) -> Value {
        const SCRIPT: &str = r#"
            const { spawn } = await import("node:child_process");
            const { openSync, readFileSync } = await import("node:fs");
            const [call, address, ...program] = process.argv.slice(1);
            const path = `${process.env.TMPDIR}/gateway.log`;
            const log = openSync(path, "w");
            spawn(program[0], program.slice(1), { stdio: ["ignore", log, log] }).on("exit", () => {
                console.error(readFileSync(path, "utf8"));
                process.exit(1);
            });
            const startup = async () => (await (await fetch(`http://${address}/startupz`)).json()).status;
            while ((await startup().catch(() => "")) !== "started") await new Promise((done) => setTimeout(done, 100));
            const question = [`ws://${address}`, process.env.OPENCLAW_GATEWAY_TOKEN, "operator.read", "channels.status", "{}"];
            const options = { stdio: ["ignore", "inherit", "inherit"] };
            // The gateway ends with this process.
            spawn("node", ["--input-type=module", "--eval", call, ...question], options).on("exit", process.exit);
        "#;
        self.configure(bundle);
        let container = &pod(bundle).containers[0];
        let ports = container.ports.iter().flatten();
        let port = ports.map(|port| port.container_port).next().unwrap();
        let address = format!("127.0.0.1:{port}");
        let mut program = vec!["node", "--input-type=module", "--eval", SCRIPT, CALL, &address];
        program.extend(container.args.iter().flatten().map(String::as_str));
        json_of(&self.isolated(container, &program).output().unwrap())["payload"].take()
    }
}

fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}
