//! The gateway's process: killed, frozen.

use kr8tiv_e2e::{Outcome, conditions};
use rustix::process::Signal;

use crate::context::Context;

/// What the watchdog's metrics say of a gateway that serves.
const ALIVE: &str = "kr8tiv_watchdog_gateway_state{state=\"Alive\"} 1";

/// The patient has rolled into a crash loop, until its Tenant was corrected: it is another Pod that serves.
pub async fn mistaken(context: &Context) -> Outcome {
    let gateway = &context.patient().await?.gateway;
    conditions::ready(&gateway.tenant().await?)?;
    let spec = gateway.pod().await?.spec.ok_or("a Pod without a spec")?;
    let mut variables = spec.containers.iter().flat_map(|container| container.env.iter().flatten());
    assert!(variables.all(|variable| variable.name != "HTTPS_PROXY"), "it serves with the mistake");
    Ok(())
}

/// kubelet starts it again, at first at once. As that takes less than the least time after which anybody is told, it is
/// killed until somebody has been.
pub async fn killed(context: &Context) -> Outcome {
    let patient = context.patient().await?;
    let mut killed = patient.container("gateway").await?;
    let (once, fault) = (patient.fault("killed_once"), patient.fault("killed"));
    killed.signal(Signal::KILL)?;
    once.shows("GatewayReady", "False", "Starting", "").await?;
    fault
        .is_told_while("down", async || {
            let next = patient.container("gateway").await?;
            if next != killed {
                next.signal(Signal::KILL)?;
                killed = next;
            }
            Ok(())
        })
        .await?;
    fault.shows("GatewayReady", "False", "CrashLoop", "with exit code 137 (").await?;
    fault.is_over("CrashLoop").await?;
    fault.is_told("recovered").await?;
    fault.was_one_incident();
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
