//! What the gateway does not run with: a configuration that it rejects, a state that is too new for it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use kr8tiv_e2e::Outcome;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::context::Context;
use crate::gateway::{CONFIG, Gateway, STATE};

/// What compiles is accepted; so somebody with the node's root changes the file, and keeps the watchdog from putting it
/// back. The gateway goes on with what it has.
pub async fn rejected(context: &Context) -> Outcome {
    let patient = context.patient().await?;
    // In the gateway it is mounted read-only.
    let folder = patient.container("watchdog").await?.root()?.join(CONFIG.trim_start_matches('/'));
    let file = folder.join("openclaw.json");
    let mut config: Value = serde_json::from_str(&fs::read_to_string(&file)?)?;
    config["unheardOf"] = json!(true);
    let before = fs::metadata(&folder)?.permissions();
    fs::set_permissions(&folder, Permissions::from_mode(0o555))?;
    let fault = patient.fault("configuration_rejected");
    fs::write(&file, serde_json::to_vec_pretty(&config)?)?;
    fault.shows("Degraded", "True", "ConfigRejected", "").await?;
    fault.is_told_alive_with("ConfigRejected").await?;
    assert_eq!(patient.gateway.fetch("http://127.0.0.1:18789/startupz").await?.0, 200, "it serves on");
    let fault_ends = patient.fault("configuration_rejected_until_put_back");
    fs::set_permissions(&folder, before)?;
    fault_ends.is_over("ConfigRejected").await?;
    assert_eq!(
        patient.gateway.read(&format!("{CONFIG}/openclaw.json")).await?,
        patient.gateway.compiled_config().await?
    );
    fault.was_no_incident();
    Ok(())
}

/// A state that a later release has written, after which somebody went back: each start ends with 78, and the Tenant says
/// so in the gateway's own words.
pub async fn newer_state(context: &Context) -> Outcome {
    let patient = context.patient().await?;
    let version = schema(&patient.gateway, "").await?;
    schema(&patient.gateway, "9999").await?;
    let fault = patient.fault("state_refused");
    patient.container("gateway").await?.signal(Signal::KILL)?;
    let message = fault.shows("GatewayReady", "False", "CrashLoop", "9999").await?;
    let start = "container gateway ends again and again with exit code 78 (the gateway refuses its configuration or its \
                 state): Gateway failed to start: ";
    assert!(message.starts_with(start), "{message}");
    fault.is_told("down").await?;
    // In the seconds that each start takes.
    patient
        .until("the former state", async || {
            schema(&patient.gateway, &version).await?;
            Ok(())
        })
        .await?;
    let fault_ends = patient.fault("state_refused_until_restored");
    fault_ends.is_over("CrashLoop").await?;
    fault.is_told("recovered").await?;
    fault.was_one_incident();
    Ok(())
}

/// Sets the version of the state's schema, if any is given, and gives what it is.
async fn schema(gateway: &Gateway, version: &str) -> Outcome<String> {
    let program = "const {DatabaseSync} = require('node:sqlite'); const [path, version] = process.argv.slice(1); \
                   const state = new DatabaseSync(path); \
                   if (version) state.exec('PRAGMA user_version = ' + Number(version)); \
                   console.log(state.prepare('PRAGMA user_version').get().user_version);";
    let path = format!("{STATE}/state/openclaw.sqlite");
    Ok(gateway.exec(&["node", "-e", program, &path, version]).await?.trim().to_owned())
}
