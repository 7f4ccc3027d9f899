//! What the NetworkPolicy means, by evaluating it as a network plugin would: no plugin can be had where tests run.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod common;

use std::collections::BTreeMap;
use std::net::IpAddr;

use common::small::with;
use k8s_openapi::api::networking::v1::{NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kr8tiv_compiler::{Object, OperatorPods};

/// Who is at the other end.
#[derive(Clone, Debug)]
enum Other {
    /// Somebody by an address: nothing of this cluster's Pods.
    Address(IpAddr),
    /// A Pod, by the labels of its namespace and its own.
    Pod { namespace: Labels, pod: Labels },
}

type Labels = BTreeMap<String, String>;

fn policy(tenant: &str) -> Option<NetworkPolicy> {
    named("acme-gateway", "", tenant)
}

fn of_sandboxes(harness: &str, tenant: &str) -> Option<NetworkPolicy> {
    named("acme-sandbox", harness, tenant)
}

fn named(name: &str, harness: &str, tenant: &str) -> Option<NetworkPolicy> {
    let bundle = with(harness, tenant, &[]).compile().unwrap();
    bundle.objects.into_iter().find_map(|object| match object {
        Object::NetworkPolicy(policy) if policy.metadata.name.as_deref() == Some(name) => Some(*policy),
        _ => None,
    })
}

/// The Pods of a part of a tenant of the same namespace.
fn part(tenant: &str, component: &str) -> Other {
    pod(
        "team",
        &[
            ("app.kubernetes.io/name", "openclaw"),
            ("app.kubernetes.io/instance", tenant),
            ("app.kubernetes.io/component", component),
        ],
    )
}

fn is_in(address: IpAddr, cidr: &str) -> bool {
    let (first, prefix) = cidr.split_once('/').unwrap();
    let (first, prefix): (IpAddr, u32) = (first.parse().unwrap(), prefix.parse().unwrap());
    match (address, first) {
        (IpAddr::V4(a), IpAddr::V4(b)) => prefix == 0 || (u32::from(a) ^ u32::from(b)) >> (32 - prefix) == 0,
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            prefix == 0 || (u128::from(a) ^ u128::from(b)) >> (128 - prefix) == 0
        }
        _ => false,
    }
}

fn selects(selector: &LabelSelector, labels: &Labels) -> bool {
    let equal = selector.match_labels.iter().flatten().all(|(name, value)| labels.get(name) == Some(value));
    let expressions = selector.match_expressions.iter().flatten().all(|expression| {
        let found = labels.get(&expression.key);
        let is_one = found.is_some_and(|value| expression.values.iter().flatten().any(|one| one == value));
        match expression.operator.as_str() {
            "In" => is_one,
            "NotIn" => !is_one,
            "Exists" => found.is_some(),
            "DoesNotExist" => found.is_none(),
            other => panic!("{other}"),
        }
    });
    equal && expressions
}

/// The tenant's own namespace has no label but its name.
fn own_namespace() -> Labels {
    [("kubernetes.io/metadata.name".into(), "team".into())].into()
}

fn peer_is(peer: &NetworkPolicyPeer, other: &Other) -> bool {
    match other {
        Other::Address(address) => peer.ip_block.as_ref().is_some_and(|block| {
            is_in(*address, &block.cidr)
                && !block.except.iter().flatten().any(|except| is_in(*address, except))
        }),
        Other::Pod { namespace, pod } => {
            let of_namespace = match &peer.namespace_selector {
                Some(selector) => selects(selector, namespace),
                None => *namespace == own_namespace(),
            };
            peer.ip_block.is_none()
                && of_namespace
                && peer.pod_selector.as_ref().is_none_or(|selector| selects(selector, pod))
        }
    }
}

fn port_is(open: &NetworkPolicyPort, protocol: &str, port: i32) -> bool {
    let Some(IntOrString::Int(first)) = open.port else { panic!("a port by name") };
    open.protocol.as_deref() == Some(protocol) && (first..=open.end_port.unwrap_or(first)).contains(&port)
}

/// No `to` or `from` means everybody, no `ports` every port, no rule nobody.
fn lets(
    peers: Option<&Vec<NetworkPolicyPeer>>,
    ports: Option<&Vec<NetworkPolicyPort>>,
    other: &Other,
    protocol: &str,
    port: i32,
) -> bool {
    peers.is_none_or(|peers| peers.is_empty() || peers.iter().any(|peer| peer_is(peer, other)))
        && ports
            .is_none_or(|ports| ports.is_empty() || ports.iter().any(|open| port_is(open, protocol, port)))
}

fn out(policy: &NetworkPolicy, other: &Other, protocol: &str, port: i32) -> bool {
    let rules = policy.spec.as_ref().unwrap().egress.iter().flatten();
    rules.into_iter().any(|rule| lets(rule.to.as_ref(), rule.ports.as_ref(), other, protocol, port))
}

fn inward(policy: &NetworkPolicy, other: &Other, port: i32) -> bool {
    let rules = policy.spec.as_ref().unwrap().ingress.iter().flatten();
    rules.into_iter().any(|rule| lets(rule.from.as_ref(), rule.ports.as_ref(), other, "TCP", port))
}

fn at(address: &str) -> Other {
    Other::Address(address.parse().unwrap())
}

fn pod(namespace: &str, labels: &[(&str, &str)]) -> Other {
    Other::Pod {
        namespace: [("kubernetes.io/metadata.name".to_owned(), namespace.to_owned())].into(),
        pod: labels.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
    }
}

#[test]
fn a_tenant_that_says_nothing_reaches_names_and_the_public_internet() {
    let policy = policy("").unwrap();
    let types = policy.spec.as_ref().unwrap().policy_types.clone().unwrap();
    assert_eq!(types, ["Ingress", "Egress"], "what is not listed is refused in both directions");
    for public in
        ["1.1.1.1", "172.15.255.255", "172.32.0.1", "169.253.0.1", "2606:4700::1111", "64:ff9b::808:808"]
    {
        assert!(out(&policy, &at(public), "TCP", 443), "{public}");
        assert!(!out(&policy, &at(public), "TCP", 80), "{public}");
        assert!(!out(&policy, &at(public), "UDP", 443), "{public}");
    }
    for inner in [
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "100.100.100.200",
        "169.254.169.254",
        "169.254.170.2",
        "168.63.129.16",
        "127.0.0.1",
        "198.19.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "fd00:ec2::254",
        "fd20:ce::254",
        "fe80::1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b::a00:1",
        "2002:a00:1::1",
    ] {
        for port in [80, 443, 8080] {
            assert!(!out(&policy, &at(inner), "TCP", port), "{inner} {port}");
        }
        assert!(out(&policy, &at(inner), "UDP", 53), "{inner} may be a name server");
    }
    assert!(!out(&policy, &pod("team", &[]), "TCP", 443), "no Pod, not even of its own namespace");
}

#[test]
fn nobody_reaches_a_gateway_but_the_operator_its_watchdog() {
    let policy = policy("").unwrap();
    let operator = OperatorPods::default();
    let labels: Vec<_> =
        operator.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let asks = pod(&operator.namespace, &labels);
    assert!(inward(&policy, &asks, 18800));
    assert!(!inward(&policy, &asks, 18789));
    for other in
        [pod("team", &labels), pod(&operator.namespace, &[]), pod("team", &[]), at("10.0.0.1"), at("1.1.1.1")]
    {
        for port in [18789, 18800] {
            assert!(!inward(&policy, &other, port), "{other:?} {port}");
        }
    }
}

#[test]
fn what_a_tenant_names_is_let_and_nothing_beside_it() {
    let policy = policy(
        "network: {egress: [{cidr: 10.20.0.0/16, ports: [{port: 8000, endPort: 8010}]}, {podSelector: {matchLabels: \
         {app: ollama}}}, {namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, \
         values: [models]}]}, ports: [{port: 80}]}], ingressFrom: [{namespaceSelector: {matchLabels: \
         {kubernetes.io/metadata.name: edge}}, podSelector: {matchLabels: {app: proxy}}}]}",
    )
    .unwrap();
    for (other, port, expected) in [
        (at("10.20.1.1"), 8005, true),
        (at("10.20.1.1"), 8011, false),
        (at("10.21.1.1"), 8005, false),
        (pod("team", &[("app", "ollama")]), 11434, true),
        (pod("other", &[("app", "ollama")]), 11434, false),
        (pod("models", &[]), 80, true),
        (pod("models", &[]), 81, false),
    ] {
        assert_eq!(out(&policy, &other, "TCP", port), expected, "{other:?} {port}");
    }
    assert!(inward(&policy, &pod("edge", &[("app", "proxy")]), 18789));
    assert!(!inward(&policy, &pod("edge", &[("app", "proxy")]), 18800));
    assert!(!inward(&policy, &pod("edge", &[]), 18789));
}

/// The schema refuses these too; a Tenant may have been stored before it did.
#[test]
fn an_expression_that_no_label_can_meet_is_refused_by_name() {
    for (expression, field, problem) in [
        ("{key: team/a/b, operator: Exists}", "key", "nothing has a label team/a/b"),
        ("{key: team, operator: In, values: [blue, -red]}", "values[1]", "no label is -red"),
    ] {
        let tenant = format!("network: {{egress: [{{podSelector: {{matchExpressions: [{expression}]}}}}]}}");
        let found = with("", &tenant, &[]).compile().expect_err(expression);
        let found: Vec<_> = found
            .iter()
            .map(|found| (found.code.as_str(), found.field.as_str(), found.problem.as_str()))
            .collect();
        let field = format!("spec.network.egress[0].podSelector.matchExpressions[0].{field}");
        assert_eq!(found, [("K8T0325", field.as_str(), problem)]);
    }
}

#[test]
fn a_gateway_reaches_its_own_sandboxes_and_they_nobody() {
    let gateway = policy("").unwrap();
    let sandboxes = of_sandboxes("", "").unwrap();
    assert!(out(&gateway, &part("acme", "sandbox"), "TCP", 2222));
    assert!(inward(&sandboxes, &part("acme", "gateway"), 2222));
    for (other, port) in [
        (part("acme", "sandbox"), 22),
        (part("other", "sandbox"), 2222),
        (part("acme", "gateway"), 2222),
        (pod("team", &[]), 2222),
    ] {
        assert!(!out(&gateway, &other, "TCP", port), "{other:?} {port}");
    }
    for (other, port) in [
        (part("acme", "gateway"), 22),
        (part("acme", "sandbox"), 2222),
        (part("other", "gateway"), 2222),
        (pod("other", &[("app.kubernetes.io/component", "gateway")]), 2222),
        (at("10.0.0.1"), 2222),
    ] {
        assert!(!inward(&sandboxes, &other, port), "{other:?} {port}");
    }
    let types = sandboxes.spec.as_ref().unwrap().policy_types.clone().unwrap();
    assert_eq!(types, ["Ingress", "Egress"], "what is not listed is refused in both directions");
    for port in [22, 53, 80, 443, 2222, 18789, 18800] {
        for other in [at("1.1.1.1"), at("10.0.0.1"), at("169.254.169.254"), part("acme", "gateway")] {
            assert!(!out(&sandboxes, &other, "TCP", port) && !out(&sandboxes, &other, "UDP", port));
        }
    }
}

#[test]
fn sandboxes_reach_what_the_harness_says_whatever_the_tenant_says() {
    let harness = "tools: {sandbox: {egress: [{cidr: 10.20.0.7/32, ports: [{port: 443}]}, \
                   {podSelector: {matchLabels: {app: mirror}}}]}}";
    for tenant in ["", "network: {enabled: false}", "network: {egress: [{cidr: 0.0.0.0/0}]}"] {
        let sandboxes = of_sandboxes(harness, tenant).unwrap();
        assert!(out(&sandboxes, &at("10.20.0.7"), "TCP", 443), "{tenant}");
        assert!(out(&sandboxes, &pod("team", &[("app", "mirror")]), "TCP", 8080), "{tenant}");
        assert!(out(&sandboxes, &at("10.96.0.10"), "UDP", 53), "its name has to be looked up");
        for (other, port) in [
            (at("10.20.0.7"), 80),
            (at("10.20.0.8"), 443),
            (at("1.1.1.1"), 443),
            (part("acme", "gateway"), 18789),
        ] {
            assert!(!out(&sandboxes, &other, "TCP", port), "{tenant}: {other:?} {port}");
        }
        assert!(inward(&sandboxes, &part("acme", "gateway"), 2222), "{tenant}");
    }
}

#[test]
fn without_a_policy_there_is_none() {
    assert!(policy("network: {enabled: false}").is_none());
}
