//! Nothing secret is in what anybody says: the logs of all containers, and what webhooks are told.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Pod, Secret};
use kr8tiv_e2e::canary::{Canary, private_lines};
use kr8tiv_e2e::cluster::{OPERATOR, SYSTEM_NAMESPACE};
use kr8tiv_e2e::scope::{SOON, Scope};
use kr8tiv_e2e::{Outcome, figure};
use kube::api::{ListParams, LogParams};
use kube::{Api, Client, ResourceExt};

use crate::context::Context;

/// What is beside the keys in the Secret of a sandbox: it names the other side, and opens nothing.
const PUBLIC: [&str; 2] = ["authorized_keys", "known_hosts"];
/// So say the examples where a secret belongs.
const PLACEHOLDER: &str = "replace-me";
/// A shorter value would be found by chance.
const LEAST: usize = 16;

/// Of all gateways that have been started so far.
pub async fn none_so_far(context: &Context) -> Outcome {
    context.scripted().await?;
    for gateway in context.started() {
        none_of(&gateway.scope).await?;
    }
    Ok(())
}

/// After all its faults.
pub async fn none_of_the_patient(context: &Context) -> Outcome {
    context.patient().await?.told_no_secret().await
}

/// Looks for the Secrets of a namespace in the logs of its Pods and of the operator's.
pub async fn none_of(scope: &Scope) -> Outcome {
    none_besides(scope, None).await
}

/// The same, and in another text.
pub async fn none_besides(scope: &Scope, more: Option<(&str, String)>) -> Outcome {
    let client = &scope.cluster.client;
    let secrets = secrets(scope).await?;
    let mut texts = scope
        .until("the logs", SOON, async || {
            let mut texts = logs(client, &scope.namespace).await?;
            texts.append(&mut logs(client, SYSTEM_NAMESPACE).await?);
            Ok(texts)
        })
        .await?;
    texts.extend(more.map(|(name, text)| (name.to_owned(), text)));
    for part in ["-gateway-0 gateway", "-gateway-0 watchdog", OPERATOR] {
        let is_there = texts.iter().any(|(name, text)| name.contains(part) && !text.is_empty());
        assert!(is_there, "{part} has no log: {:?}", texts.keys());
    }
    for (name, text) in &texts {
        let found: Vec<_> =
            secrets.iter().filter(|(_, secret)| secret.is_in(text)).map(|(whose, _)| whose).collect();
        assert!(found.is_empty(), "{name} has {found:?}");
    }
    let bytes: usize = texts.values().map(String::len).sum();
    figure(&format!("searched_for_{}_secrets.{}", secrets.len(), scope.namespace), bytes, "bytes");
    Ok(())
}

/// Each value of a Secret that is one, with where it is.
async fn secrets(scope: &Scope) -> Outcome<Vec<(String, Canary)>> {
    let mut secrets = Vec::new();
    for secret in scope.api::<Secret>().list(&ListParams::default()).await? {
        let object = secret.name_any();
        for (key, value) in secret.data.unwrap_or_default() {
            let text = String::from_utf8(value.0)?;
            if PUBLIC.contains(&key.as_str()) || text.contains(PLACEHOLDER) {
                continue;
            }
            let is_key = text.contains("PRIVATE KEY");
            let values = if is_key { private_lines(&text) } else { vec![text.trim()] };
            assert!(!values.is_empty() && values.iter().all(|value| value.len() >= LEAST), "{object} {key}");
            let canary = |value: &&str| (format!("{object} {key}"), Canary::found("a Secret's value", value));
            secrets.extend(values.iter().map(canary));
        }
    }
    assert!(!secrets.is_empty(), "the operator has made some");
    Ok(secrets)
}

/// What each container of a namespace has said, and the one that ran before it.
async fn logs(client: &Client, namespace: &str) -> Outcome<BTreeMap<String, String>> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let mut logs = BTreeMap::new();
    for pod in pods.list(&ListParams::default()).await? {
        let name = pod.name_any();
        let status = pod.status.unwrap_or_default();
        let containers = status.init_container_statuses.into_iter().chain(status.container_statuses);
        for container in containers.flatten() {
            let has_ended = container.last_state.and_then(|state| state.terminated).is_some();
            for (previous, is_there) in [(false, container.container_id.is_some()), (true, has_ended)] {
                if is_there {
                    let parameters = LogParams {
                        container: Some(container.name.clone()),
                        previous,
                        ..LogParams::default()
                    };
                    let text = pods.logs(&name, &parameters).await?;
                    let of = if previous { " before" } else { "" };
                    logs.insert(format!("{namespace} {name} {}{of}", container.name), text);
                }
            }
        }
    }
    Ok(logs)
}
