//! The gateway's process, killed.

use kr8tiv_e2e::Outcome;
use rustix::process::Signal;

use crate::context::Context;

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
