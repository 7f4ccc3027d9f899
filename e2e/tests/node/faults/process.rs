//! The gateway's process: killed, frozen.

use kr8tiv_e2e::Outcome;
use rustix::process::Signal;

use crate::context::Context;

/// What the watchdog's metrics say of a gateway that serves.
const ALIVE: &str = "kr8tiv_watchdog_gateway_state{state=\"Alive\"} 1";

/// kubelet starts it again within the time after which anybody would be told.
pub async fn killed(context: &Context) -> Outcome {
    let patient = context.patient().await?;
    let container = patient.container("gateway").await?;
    let fault = patient.fault("killed");
    container.signal(Signal::KILL)?;
    fault.shows("GatewayReady", "False", "Starting", "").await?;
    fault.is_over("Starting").await?;
    assert_ne!(container, patient.container("gateway").await?, "it was not started again");
    fault.was_no_incident();
    Ok(())
}

/// Its port is open, and nobody answers: kubelet loses patience, and does not give it the time for its turns.
pub async fn frozen(context: &Context) -> Outcome {
    let patient = context.patient().await?;
    // One that freezes before its watchdog has seen it serve is one that still starts.
    patient
        .until("the watchdog has seen it serve", async || {
            let (_, metrics) = patient.gateway.fetch("http://127.0.0.1:18800/metrics").await?;
            if metrics.contains(ALIVE) { Ok(()) } else { Err("it has not".into()) }
        })
        .await?;
    let container = patient.container("gateway").await?;
    let fault = patient.fault("frozen");
    container.signal(Signal::STOP)?;
    fault.shows("GatewayReady", "False", "GatewayDown", "GatewayFrozen").await?;
    fault.is_told("down").await?;
    fault.is_over("GatewayDown").await?;
    fault.is_told("recovered").await?;
    fault.was_one_incident();
    assert_ne!(container, patient.container("gateway").await?, "it was not started again");
    Ok(())
}
