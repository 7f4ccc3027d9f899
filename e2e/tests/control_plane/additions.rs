//! What a Tenant adds to its objects, and another token, as a real API server takes them.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use kr8tiv_crds::{Harness, Tenant, meta};
use kr8tiv_e2e::Outcome;
use kr8tiv_e2e::manifests::{harness, tenant};
use kr8tiv_e2e::scope::{SOON, Scope};
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::context::Context;
use crate::expect::STARTING;

/// Nothing is pruned, defaulted away or refused.
pub async fn everything(context: &Context) -> Outcome {
    let scope = context.scope("additions").await?;
    scope.apply::<Harness>(&harness("concierge")).await?;
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "app"}, "data": {"region": "north"}});
    scope.apply::<ConfigMap>(&map).await?;
    let mut acme = tenant("acme", "concierge");
    let models = json!({"matchExpressions": [{"key": "team", "operator": "In", "values": ["models"]}]});
    acme["spec"]["network"] = json!({
        "egress": [
            {"cidr": "10.20.0.0/16", "ports": [{"port": 8000, "endPort": 8010}]},
            {"cidr": "2001:db8::/48"},
            {"namespaceSelector": models, "podSelector": {}, "ports": [{"port": 53, "protocol": "UDP"}]}
        ],
        "ingressFrom": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "edge"}}}]
    });
    let affinity = json!({"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": 1, "preference": {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}}
    ]}});
    acme["spec"]["gateway"] = json!({
        "env": [
            {"name": "HTTPS_PROXY", "value": "http://proxy.example.com:3128"},
            {"name": "REGION", "valueFrom": {"configMapKeyRef": {"name": "app", "key": "region"}}}
        ],
        "envFrom": [{"prefix": "APP_", "configMapRef": {"name": "app"}}],
        "podTemplate": {
            "labels": {"example.com/team": "blue"},
            "annotations": {"example.com/note": "theirs"},
            "tolerations": [{"key": "dedicated", "operator": "Exists"}],
            "affinity": affinity,
            "imagePullSecrets": [{"name": "registry"}],
            "volumes": [{"name": "ca", "mountPath": "/etc/ssl/house", "configMap": {"name": "app"}}]
        },
        "ingress": {"host": "acme.example.com", "className": "none", "tlsSecretName": "cert"}
    });
    scope.apply::<Tenant>(&acme).await?;
    scope.until_exactly::<Tenant>("acme", &STARTING).await?;
    let pod = scope
        .until("the gateway's Pod", SOON, async || Ok(scope.api::<Pod>().get("acme-gateway-0").await?))
        .await?;
    assert_eq!(pod.labels().get("example.com/team").map(String::as_str), Some("blue"));
    let spec = serde_json::to_value(pod.spec)?;
    assert_eq!(spec["affinity"], affinity);
    let gateway = &spec["containers"][0];
    assert_eq!(
        gateway["envFrom"],
        json!([{"prefix": "APP_", "configMapRef": {"name": "app", "optional": false}}])
    );
    let policy = serde_json::to_value(scope.api::<NetworkPolicy>().get("acme-gateway").await?.spec)?;
    assert_eq!(policy["egress"].as_array().map(Vec::len), Some(6), "{policy:#}");
    assert_eq!(policy["ingress"].as_array().map(Vec::len), Some(2), "{policy:#}");
    let ingress = serde_json::to_value(scope.api::<Ingress>().get("acme-gateway").await?.spec)?;
    assert_eq!(ingress["tls"], json!([{"hosts": ["acme.example.com"], "secretName": "cert"}]));

    // A part of the Pod that is the operator's is kept by the API server, so that the operator can name it.
    let seized = json!({"spec": {"gateway": {"podTemplate": {"hostNetwork": true}}}});
    scope.merge::<Tenant>("acme", seized).await?;
    scope
        .until("hostNetwork refused by name", SOON, async || {
            let tenant: Tenant = scope.api().get("acme").await?;
            let found = kr8tiv_e2e::conditions::condition(&tenant, "Compiled").ok_or("no condition")?;
            let is_named = found.message.contains("spec.gateway.podTemplate.hostNetwork");
            if is_named { Ok(()) } else { Err(found.message.clone().into()) }
        })
        .await?;
    scope.discard().await
}

/// One new token for each value, and one new Pod.
pub async fn rotation(context: &Context) -> Outcome {
    let scope = context.scope("rotation").await?;
    scope.apply::<Harness>(&harness("concierge")).await?;
    scope.apply::<Tenant>(&tenant("acme", "concierge")).await?;
    scope.until_exactly::<Tenant>("acme", &STARTING).await?;
    let first = tokens(&scope).await?;
    let generation = scope.api::<StatefulSet>().get("acme-gateway").await?.metadata.generation;
    scope.merge::<Tenant>("acme", json!({"metadata": {"annotations": {meta::ROTATE_TOKEN: "1"}}})).await?;
    let set = scope
        .until("the Pod's template with the rotation", SOON, async || {
            let set = scope.api::<StatefulSet>().get("acme-gateway").await?;
            let template = serde_json::to_value(&set.spec)?["template"]["metadata"]["annotations"].clone();
            if template[meta::ROTATE_TOKEN] == "1" { Ok(set) } else { Err(template.to_string().into()) }
        })
        .await?;
    assert_eq!(set.metadata.generation, generation.map(|before| before + 1), "rolled once");
    let second = tokens(&scope).await?;
    assert_ne!(second["token"], first["token"]);
    assert_eq!(second["statusToken"], first["statusToken"]);

    // An earlier release's Secret: it lacks a key, which nobody notices before the operator looks for a rotation.
    scope.merge::<Secret>("acme-gateway-token", json!({"data": {"statusToken": null}})).await?;
    scope.merge::<Tenant>("acme", json!({"metadata": {"annotations": {meta::ROTATE_TOKEN: "2"}}})).await?;
    let third = scope
        .until("the missing key made", SOON, async || {
            let tokens = tokens(&scope).await?;
            if tokens["statusToken"].is_string() { Ok(tokens) } else { Err("it is missing".into()) }
        })
        .await?;
    assert_ne!(third["token"], second["token"]);
    scope.discard().await
}

async fn tokens(scope: &Scope) -> Outcome<Value> {
    Ok(serde_json::to_value(scope.api::<Secret>().get("acme-gateway-token").await?.data)?)
}
