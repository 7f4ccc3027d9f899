//! How a gateway reaches its sandboxes: what openclaw.json and the watchdog are told of them, and the keys between them,
//! who has which, and where. Pure.
//!
//! Both halves are in one Secret, so that they are made and replaced in one write. Each Pod takes from it only the keys
//! that are its own.

use k8s_openapi::api::core::v1::{Container, KeyToPath, SecretVolumeSource, Volume};
use serde_json::{Value, json};

use crate::render::pod_parts::read_only;
use crate::sandbox::{
    AUTHORIZED_KEYS, CLIENT_KEY, HOST_KEY, KNOWN_HOSTS, SANDBOX_PORT, Sandbox, USER, WORKSPACES,
};

/// Where the gateway has its keys.
const GATEWAY_FOLDER: &str = "/etc/openclaw/ssh";
/// Where the watchdog has the same keys, in a folder for each sandbox.
const WATCHDOG_FOLDER: &str = "/etc/kr8tiv/ssh";
/// What the names of the volumes begin with, in the gateway's Pod.
const VOLUME: &str = "sandbox";
/// The watchdog's argument for a sandbox that it looks after.
const ARGUMENT: &str = "--sandbox=";
/// A host that can't exist (RFC 6761): for an agent without a sandbox. Its tools would fail there.
const NOWHERE: &str = "sandbox@sandbox.invalid:2222";

/// Readable for the Pod's group, as ssh takes a key of somebody else's (root's), and for nobody else.
const MODE: i32 = 0o440;

/// What the gateway and the watchdog may see of a Secret.
fn client_keys() -> [&'static str; 2] {
    [CLIENT_KEY, KNOWN_HOSTS]
}

/// What a sandbox may see of it.
pub(super) fn server_keys() -> [&'static str; 2] {
    [AUTHORIZED_KEYS, HOST_KEY]
}

/// A volume with some keys of a sandbox's Secret. A gateway starts without the Secret, and its sandbox says why it does
/// not.
pub(super) fn keys_volume(name: String, sandbox: &Sandbox<'_>, keys: &[&str]) -> Volume {
    let items = keys.iter().map(|key| KeyToPath { key: (*key).into(), path: (*key).into(), mode: None });
    Volume {
        name,
        secret: Some(SecretVolumeSource {
            secret_name: Some(sandbox.secret()),
            default_mode: Some(MODE),
            items: Some(items.collect()),
            optional: Some(true),
        }),
        ..Volume::default()
    }
}

/// The volumes of the gateway's Pod.
pub(super) fn volumes(sandboxes: &[Sandbox<'_>]) -> impl Iterator<Item = Volume> {
    sandboxes.iter().map(|sandbox| keys_volume(volume_name(sandbox), sandbox, &client_keys()))
}

/// Gives the gateway the keys of its sandboxes.
pub(super) fn give_gateway(gateway: &mut Container, sandboxes: &[Sandbox<'_>]) {
    let mounts = sandboxes.iter().map(|sandbox| read_only(&volume_name(sandbox), &gateway_folder(sandbox)));
    gateway.volume_mounts.get_or_insert_default().extend(mounts);
}

/// Has the watchdog look after the sandboxes.
pub(super) fn give_watchdog(watchdog: &mut Container, sandboxes: &[Sandbox<'_>]) {
    for sandbox in sandboxes {
        let Sandbox { name, host, .. } = sandbox;
        let folder = format!("{WATCHDOG_FOLDER}/{name}");
        let argument = format!("{ARGUMENT}{name};{host}:{SANDBOX_PORT};{folder}");
        watchdog.args.get_or_insert_default().push(argument);
        watchdog.volume_mounts.get_or_insert_default().push(read_only(&volume_name(sandbox), &folder));
    }
}

/// `agents.defaults.sandbox` of openclaw.json, or an agent's own. `None` is an agent's who has no sandbox.
pub(super) fn section(mode: &str, sandbox: Option<&Sandbox<'_>>) -> Value {
    let mut ssh = json!({"target": NOWHERE, "strictHostKeyChecking": true, "updateHostKeys": false});
    if let Some(sandbox) = sandbox {
        let folder = gateway_folder(sandbox);
        ssh["target"] = json!(format!("{USER}@{}:{SANDBOX_PORT}", sandbox.host));
        ssh["workspaceRoot"] = json!(WORKSPACES);
        ssh["identityFile"] = json!(format!("{folder}/{CLIENT_KEY}"));
        ssh["knownHostsFile"] = json!(format!("{folder}/{KNOWN_HOSTS}"));
    }
    json!({
        "mode": mode,
        "backend": "ssh",
        "scope": "session",
        // A copy in the sandbox: nothing that is written there comes back.
        "workspaceAccess": if sandbox.is_some() { "rw" } else { "ro" },
        "sessionToolsVisibility": "spawned",
        "ssh": ssh,
    })
}

/// Whether an argument of the watchdog's is about a sandbox.
pub(crate) fn is_sandbox_argument(argument: &str) -> bool {
    argument.starts_with(ARGUMENT)
}

fn volume_name(sandbox: &Sandbox<'_>) -> String {
    sandbox.agent.map_or_else(|| VOLUME.to_owned(), |agent| format!("{VOLUME}-{agent}"))
}

fn gateway_folder(sandbox: &Sandbox<'_>) -> String {
    sandbox.agent.map_or_else(|| GATEWAY_FOLDER.to_owned(), |agent| format!("{GATEWAY_FOLDER}/{agent}"))
}
