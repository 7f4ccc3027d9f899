//! The NetworkPolicies of the gateway and of its sandboxes. Pure.
//!
//! Everything is refused in both directions but for what is listed. A policy is a wish: the cluster's network plugin
//! enforces it, or does not.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer,
    NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kr8tiv_crds::meta;
use kr8tiv_crds::network::{self, EgressRule, IngressPeer, NetworkPort};

use crate::inputs::OperatorPods;
use crate::network::{RESERVED_V4, RESERVED_V6};
use crate::openclaw::GATEWAY_PORT;
use crate::render::WATCHDOG_PORT;
use crate::render::object_names::gateway_name;
use crate::render::objects::{component, metadata, selector};
use crate::resolve::ResolvedTenant;
use crate::sandbox::SANDBOX_PORT;

/// The label by which the API server names every namespace.
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// The policy; `None` when the tenant wants none.
pub(super) fn policy(
    tenant: &ResolvedTenant<'_>,
    operator: &OperatorPods,
    has_sandboxes: bool,
) -> Option<NetworkPolicy> {
    let network = &tenant.spec.network;
    network.enabled.then(|| NetworkPolicy {
        metadata: metadata(tenant, gateway_name(tenant.name), meta::GATEWAY),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(labelled(selector(tenant))),
            policy_types: Some(vec!["Ingress".into(), "Egress".into()]),
            ingress: Some(ingress(&network.ingress_from, operator)),
            egress: Some(egress(&network.egress, has_sandboxes.then(|| sandboxes(tenant)))),
        }),
    })
}

/// Labels that select all sandboxes' Pods.
pub(super) fn sandboxes(tenant: &ResolvedTenant<'_>) -> BTreeMap<String, String> {
    component(tenant, meta::SANDBOX)
}

/// What sandboxes may do: be connected to by their gateway, and connect to what is listed.
pub(super) fn of_sandboxes(tenant: &ResolvedTenant<'_>, wanted: &[EgressRule]) -> NetworkPolicySpec {
    let open = || std::iter::once(names()).chain(wanted.iter().map(named)).collect();
    NetworkPolicySpec {
        pod_selector: Some(labelled(sandboxes(tenant))),
        policy_types: Some(vec!["Ingress".into(), "Egress".into()]),
        ingress: Some(vec![NetworkPolicyIngressRule {
            from: Some(vec![pods(selector(tenant))]),
            ports: Some(vec![port("TCP", SANDBOX_PORT, None)]),
        }]),
        egress: Some(if wanted.is_empty() { vec![nowhere()] } else { open() }),
    }
}

fn ingress(from: &[IngressPeer], operator: &OperatorPods) -> Vec<NetworkPolicyIngressRule> {
    let rule = |from, port| NetworkPolicyIngressRule {
        from: Some(from),
        ports: Some(vec![self::port("TCP", port, None)]),
    };
    let asks = NetworkPolicyPeer {
        namespace_selector: Some(labelled([(NAMESPACE_NAME.into(), operator.namespace.clone())].into())),
        pod_selector: Some(labelled(operator.labels.clone())),
        ip_block: None,
    };
    let mut rules = vec![rule(vec![asks], WATCHDOG_PORT)];
    let peers = from.iter().map(|IngressPeer { cidr, namespace_selector, pod_selector }| {
        peer(cidr.as_ref(), namespace_selector.as_ref(), pod_selector.as_ref())
    });
    let peers: Vec<_> = peers.collect();
    // A rule without peers would let everybody in.
    if !peers.is_empty() {
        rules.push(rule(peers, GATEWAY_PORT));
    }
    rules
}

fn egress(
    wanted: &[EgressRule],
    sandboxes: Option<BTreeMap<String, String>>,
) -> Vec<NetworkPolicyEgressRule> {
    let public = |cidr: &str, except: &[&str]| NetworkPolicyPeer {
        ip_block: Some(IPBlock {
            cidr: cidr.into(),
            except: Some(except.iter().map(|block| (*block).into()).collect()),
        }),
        ..NetworkPolicyPeer::default()
    };
    let mut rules = vec![
        names(),
        NetworkPolicyEgressRule {
            to: Some(vec![public("0.0.0.0/0", &RESERVED_V4), public("::/0", &RESERVED_V6)]),
            ports: Some(vec![port("TCP", 443, None)]),
        },
    ];
    rules.extend(sandboxes.map(|labels| NetworkPolicyEgressRule {
        to: Some(vec![pods(labels)]),
        ports: Some(vec![port("TCP", SANDBOX_PORT, None)]),
    }));
    rules.extend(wanted.iter().map(named));
    rules
}

/// An empty list can't be ours: the API server stores none, and what somebody else puts in its place would stay. Nothing leaves
/// a Pod for its own loopback.
fn nowhere() -> NetworkPolicyEgressRule {
    let block = IPBlock { cidr: "127.0.0.1/32".into(), except: None };
    let peer = NetworkPolicyPeer { ip_block: Some(block), ..NetworkPolicyPeer::default() };
    NetworkPolicyEgressRule { to: Some(vec![peer]), ports: None }
}

/// Name servers are anywhere: Pods, a cache at a link-local address, a node's.
fn names() -> NetworkPolicyEgressRule {
    NetworkPolicyEgressRule { to: None, ports: Some(vec![port("UDP", 53, None), port("TCP", 53, None)]) }
}

fn named(
    EgressRule { cidr, namespace_selector, pod_selector, ports }: &EgressRule,
) -> NetworkPolicyEgressRule {
    let ports: Vec<_> = ports
        .iter()
        .map(|NetworkPort { protocol, port: first, end_port }| port(protocol.as_str(), *first, *end_port))
        .collect();
    NetworkPolicyEgressRule {
        to: Some(vec![peer(cidr.as_ref(), namespace_selector.as_ref(), pod_selector.as_ref())]),
        ports: (!ports.is_empty()).then_some(ports),
    }
}

/// Pods of the tenant's namespace.
fn pods(labels: BTreeMap<String, String>) -> NetworkPolicyPeer {
    NetworkPolicyPeer { pod_selector: Some(labelled(labels)), ..NetworkPolicyPeer::default() }
}

fn peer(
    cidr: Option<&String>,
    namespaces: Option<&network::LabelSelector>,
    pods: Option<&network::LabelSelector>,
) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        ip_block: cidr.map(|cidr| IPBlock { cidr: cidr.clone(), except: None }),
        namespace_selector: namespaces.map(selected),
        pod_selector: pods.map(selected),
    }
}

fn selected(selector: &network::LabelSelector) -> LabelSelector {
    let network::LabelSelector { match_labels, match_expressions } = selector;
    let expressions: Vec<_> = match_expressions
        .iter()
        .map(|expression| LabelSelectorRequirement {
            key: expression.key.clone(),
            operator: expression.operator.as_str().into(),
            values: (!expression.values.is_empty()).then(|| expression.values.clone()),
        })
        .collect();
    LabelSelector {
        match_labels: (!match_labels.is_empty()).then(|| match_labels.clone()),
        match_expressions: (!expressions.is_empty()).then_some(expressions),
    }
}

fn labelled(labels: BTreeMap<String, String>) -> LabelSelector {
    LabelSelector { match_labels: Some(labels), ..LabelSelector::default() }
}

fn port(protocol: &str, port: i32, end_port: Option<i32>) -> NetworkPolicyPort {
    NetworkPolicyPort { protocol: Some(protocol.into()), port: Some(IntOrString::Int(port)), end_port }
}
