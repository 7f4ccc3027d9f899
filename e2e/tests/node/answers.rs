//! Who reaches a gateway, and how.

use k8s_openapi::api::core::v1::Service;
use kr8tiv_e2e::{Outcome, http};
use serde_json::Value;

use crate::context::Context;

/// The gateway says itself that it has started: JSON, because with its web interface on any path would answer HTML.
fn started(path: &str, (status, body): (u16, String)) -> Outcome {
    assert_eq!(status, 200, "{path}: {body}");
    let answer: Value = serde_json::from_str(&body).map_err(|error| format!("{path}: {error}: {body}"))?;
    assert!(answer.is_object(), "{path}: {body}");
    println!("{path} answers {answer}");
    Ok(())
}

pub async fn at_its_addresses(context: &Context) -> Outcome {
    let gateway = context.first().await?;
    started("loopback", gateway.fetch("http://127.0.0.1:18789/startupz").await?)?;
    let pod = gateway.pod().await?.status.and_then(|status| status.pod_ip).ok_or("a Pod without address")?;
    started("the Pod's address", http::get(&format!("http://{pod}:18789/startupz")).await?)?;
    let service: Service = gateway.scope.api().get(&format!("{}-gateway", gateway.tenant)).await?;
    let address = service.spec.and_then(|spec| spec.cluster_ip).ok_or("a Service without address")?;
    started("the Service's address", http::get(&format!("http://{address}:18789/startupz")).await?)
}

/// From another tenant's Pod, by the names of the cluster.
pub async fn by_name(context: &Context) -> Outcome {
    let (first, other) = (context.first().await?, context.two_agents().await?);
    let endpoint =
        first.tenant().await?.status.and_then(|status| status.gateway).ok_or("no endpoint")?.endpoint;
    started(&endpoint, other.fetch(&format!("{endpoint}/startupz")).await?)?;
    let full = endpoint.replace(".svc:", ".svc.cluster.local:");
    assert_ne!(full, endpoint);
    started(&full, other.fetch(&format!("{full}/startupz")).await?)
}
