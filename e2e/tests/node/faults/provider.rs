//! A model's provider that refuses the key.

use kr8tiv_e2e::kubectl::output;
use kr8tiv_e2e::model_server::ANSWER;
use kr8tiv_e2e::{Outcome, conditions};

use super::Patient;
use crate::context::Context;
use crate::gateway::Gateway;

/// It shows, the gateway is Ready all the time, and a sign of life says so.
pub async fn refuses(context: &Context) -> Outcome {
    let patient = context.patient().await?;
    context.model.refuse(true);
    let turn = turn(&patient.gateway).await?;
    assert!(!turn.contains(ANSWER), "{turn}");
    let fault = patient.fault("provider_refuses");
    fault.shows("Degraded", "True", "ModelProviderFailing", "").await?;
    conditions::ready(&patient.gateway.tenant().await?)?;
    fault.is_told_alive_with("ModelProviderFailing").await?;
    context.model.refuse(false);
    answers_again(&patient).await?;
    fault.is_over("ModelProviderFailing").await?;
    fault.was_no_incident();
    Ok(())
}

/// The gateway puts a refused key aside for a minute.
async fn answers_again(patient: &Patient) -> Outcome {
    let answered = async || {
        let said = turn(&patient.gateway).await?;
        if said.contains(ANSWER) { Ok(()) } else { Err(said.into()) }
    };
    patient.until("the provider's answer", answered).await
}

/// Takes a turn, and gives what came of it.
async fn turn(gateway: &Gateway) -> Outcome<String> {
    let pod = gateway.pod_name();
    let command = ["openclaw", "agent", "--agent", "main", "--message", "hello", "--json"];
    let arguments = ["-n", &gateway.scope.namespace, "exec", &pod, "-c", "gateway", "--"];
    let done = output(&[&arguments[..], &command[..]].concat()).await?;
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}
