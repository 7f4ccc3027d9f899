//! The NetworkPolicy: blocks of addresses that are some, and destinations that it would cut off. Pure.

use std::net::IpAddr;

use kr8tiv_crds::network::{
    EgressRule, IngressPeer, LabelExpression, LabelOperator, LabelSelector, NetworkPort, Protocol,
};

use crate::diagnostics::{Code, Diagnostic, Diagnostics, ObjectName};
use crate::inputs::{Inputs, PluginSource};
use crate::names::{LABEL_FIX, is_key, is_label_value};
use crate::network::{Cidr, CidrProblem, bits, is_reserved};
use crate::openclaw::provider_of;
use crate::policy::webhooks::is_url;
use crate::policy::{Findings, all_models};
use crate::render::plugins::needs_plugins;
use crate::resolve::Resolved;

/// Checks what a tenant may connect to, and who may connect to it.
pub(super) fn check(inputs: &Inputs<'_>, resolved: &Resolved<'_>, diagnostics: &mut Diagnostics) {
    let network = &resolved.tenant.spec.network;
    let of_sandboxes = &resolved.harness.tools.sandbox.egress;
    let mut findings = Findings { object: &resolved.harness_object, diagnostics };
    egress("spec.tools.sandbox.egress", of_sandboxes, &mut findings);
    let mut findings = Findings { object: &resolved.tenant.object, diagnostics };
    egress("spec.network.egress", &network.egress, &mut findings);
    for (position, IngressPeer { cidr, namespace_selector, pod_selector }) in
        network.ingress_from.iter().enumerate()
    {
        let field = format!("spec.network.ingressFrom[{position}]");
        peer(&field, cidr.as_deref(), namespace_selector.as_ref(), pod_selector.as_ref(), &mut findings);
    }
    if network.enabled && network.ingress_from.is_empty() && resolved.tenant.spec.gateway.ingress.is_some() {
        findings.add(
            Code::IngressBlocked,
            "spec.gateway.ingress",
            "the tenant's NetworkPolicy lets nobody connect to the gateway, the Ingress's controller neither",
            "name the controller's Pods in spec.network.ingressFrom, such as {namespaceSelector: {matchLabels: \
             {kubernetes.io/metadata.name: ingress-nginx}}}",
        );
    }
    if network.enabled {
        for Destination { object, field, url } in destinations(inputs, resolved) {
            if let Some((problem, rule)) = blocked(url, &network.egress) {
                diagnostics.push(Diagnostic {
                    code: Code::DestinationBlocked,
                    object,
                    field,
                    problem,
                    fix: format!("add {rule} to spec.network.egress of {}", resolved.tenant.object),
                });
            }
        }
    }
}

fn egress(field: &str, rules: &[EgressRule], findings: &mut Findings<'_>) {
    for (position, EgressRule { cidr, namespace_selector, pod_selector, ports }) in rules.iter().enumerate() {
        let field = format!("{field}[{position}]");
        peer(&field, cidr.as_deref(), namespace_selector.as_ref(), pod_selector.as_ref(), findings);
        for (position, NetworkPort { port, end_port, .. }) in ports.iter().enumerate() {
            let last = end_port.unwrap_or(*port);
            if !(1..=65535).contains(port) || last < *port || last > 65535 {
                findings.add(
                    Code::NetworkPeerInvalid,
                    format!("{field}.ports[{position}]"),
                    format!("{port} to {last} are no ports"),
                    "use ports from 1 to 65535, and an endPort that is not below port",
                );
            }
        }
    }
}

fn peer(
    field: &str,
    cidr: Option<&str>,
    namespaces: Option<&LabelSelector>,
    pods: Option<&LabelSelector>,
    findings: &mut Findings<'_>,
) {
    let selects = namespaces.is_some() || pods.is_some();
    match cidr {
        Some(_) if selects => findings.add(
            Code::NetworkPeerInvalid,
            field,
            "it names addresses and Pods, and they can't be both meant",
            "make two entries of it, one with cidr, one with podSelector and namespaceSelector",
        ),
        None if !selects => findings.add(
            Code::NetworkPeerInvalid,
            field,
            "it names nobody",
            "set cidr, or podSelector and namespaceSelector; an empty selector ({}) means all",
        ),
        Some(text) => {
            if let Err(problem) = Cidr::parse(text) {
                let fix = match problem {
                    CidrProblem::NoPrefix(address) => format!("write {address}/{}", bits(address)),
                    CidrProblem::NotFirst(block) => format!("write {block}, or {}", single(text)),
                    CidrProblem::NotACidr => "write one such as 10.20.0.0/16 or 10.20.0.7/32".into(),
                };
                let problem = format!("{text:?} is no block of addresses");
                findings.add(Code::NetworkPeerInvalid, format!("{field}.cidr"), problem, fix);
            }
        }
        None => {}
    }
    for (name, selector) in [("namespaceSelector", namespaces), ("podSelector", pods)] {
        let labels = selector.into_iter().flat_map(|selector| &selector.match_labels);
        for (key, value) in labels.filter(|(key, value)| !is_key(key) || !is_label_value(value)) {
            findings.add(
                Code::NetworkPeerInvalid,
                format!("{field}.{name}.matchLabels[{key}]"),
                format!("nothing has a label {key}={value}"),
                LABEL_FIX,
            );
        }
        let expressions = selector.into_iter().flat_map(|selector| &selector.match_expressions).enumerate();
        for (position, LabelExpression { key, operator, values }) in expressions {
            let at = format!("{field}.{name}.matchExpressions[{position}]");
            if !is_key(key) {
                let problem = format!("nothing has a label {key}");
                findings.add(Code::NetworkPeerInvalid, format!("{at}.key"), problem, LABEL_FIX);
            }
            for (position, value) in values.iter().enumerate().filter(|(_, value)| !is_label_value(value)) {
                let problem = format!("no label is {value}");
                findings.add(
                    Code::NetworkPeerInvalid,
                    format!("{at}.values[{position}]"),
                    problem,
                    LABEL_FIX,
                );
            }
            if matches!(operator, LabelOperator::In | LabelOperator::NotIn) == values.is_empty() {
                findings.add(
                    Code::NetworkPeerInvalid,
                    format!("{at}.values"),
                    format!("{} with {} values selects nothing", operator.as_str(), values.len()),
                    "give In and NotIn at least one value, and Exists and DoesNotExist none",
                );
            }
        }
    }
}

/// The address of a block's text alone.
fn single(text: &str) -> String {
    let address = text.split('/').next().unwrap_or_default();
    format!("{address}/{}", if address.contains(':') { 128 } else { 32 })
}

/// Somewhere that the Pod has to reach.
struct Destination<'a> {
    object: ObjectName,
    field: String,
    url: &'a str,
}

fn destinations<'a>(inputs: &Inputs<'a>, resolved: &Resolved<'a>) -> Vec<Destination<'a>> {
    let (tenant, harness) = (&resolved.tenant, resolved.harness);
    let mut found = Vec::new();
    let used: Vec<&str> = all_models(resolved).map(provider_of).collect();
    for (position, provider) in harness.models.providers.iter().enumerate() {
        if used.contains(&provider.name.as_str()) {
            let field = format!("spec.models.providers[{position}].baseUrl");
            found.push(Destination {
                object: resolved.harness_object.clone(),
                field,
                url: &provider.base_url,
            });
        }
    }
    if let Some(coordination) = &harness.coordination {
        let field = "spec.coordination.url".into();
        found.push(Destination { object: resolved.harness_object.clone(), field, url: &coordination.url });
    }
    let watchdog = tenant.spec.watchdog.as_ref();
    let webhooks = [
        ("ownerWebhook", watchdog.and_then(|watchdog| watchdog.owner_webhook.as_ref())),
        ("managementWebhook", watchdog.and_then(|watchdog| watchdog.management_webhook.as_ref())),
    ];
    for (name, webhook) in webhooks {
        if let Some(url) = webhook.and_then(|webhook| webhook.url.as_deref()).filter(|url| is_url(url)) {
            let field = format!("spec.watchdog.{name}.url");
            found.push(Destination { object: tenant.object.clone(), field, url });
        }
    }
    if let (PluginSource::Mirror { url }, true) = (&inputs.platform.plugins, needs_plugins(resolved)) {
        found.push(Destination { object: tenant.object.clone(), field: "spec.channels".into(), url });
    }
    found
}

/// Why an address would not be reached, and the entry that would let it. A name can stand for any address: one that
/// looks like a public name is taken for one, and one within the cluster for Pods.
fn blocked(url: &str, rules: &[EgressRule]) -> Option<(String, String)> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok()?),
        _ => (authority, if scheme == "https" { 443 } else { 80 }),
    };
    // An address of IPv4 written as one of IPv6 is connected to as what it is.
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>().ok().map(|address| address.to_canonical());
    if host == "localhost" || address.is_some_and(|address| address.is_loopback()) {
        return None;
    }
    let is_inner = !host.contains('.')
        || [".svc", ".local", ".internal"].iter().any(|suffix| host.ends_with(suffix))
        || host.contains(".svc.");
    let is_public = address.map_or(!is_inner, |address| !is_reserved(address));
    if is_public && port == 443 {
        return None;
    }
    let is_let = rules.iter().any(|rule| {
        let block = rule.cidr.as_deref().map(Cidr::parse);
        // A Service has another port than its Pods, and a name any address: whoever has a rule has thought of it. No
        // URL leads to a protocol other than TCP.
        let to = match (address, block) {
            (Some(address), Some(Ok(block))) => block.contains(address),
            (Some(_), _) => rule.cidr.is_none(),
            (None, _) => true,
        };
        let mut tcp = rule.ports.iter().filter(|open| open.protocol == Protocol::Tcp);
        let through = rule.ports.is_empty() || tcp.any(|open| rule.cidr.is_none() || is_in(port, open));
        to && through
    });
    if is_let {
        return None;
    }
    let rule = match address {
        Some(address) => format!("{{cidr: {address}/{}, ports: [{{port: {port}}}]}}", bits(address)),
        None if is_inner => "{namespaceSelector: {…}, podSelector: {…}} with the labels of its Pods".into(),
        None => format!("{{cidr: …, ports: [{{port: {port}}}]}} with its addresses"),
    };
    let problem = format!("the tenant's NetworkPolicy lets nobody reach {host} on port {port}");
    Some((problem, rule))
}

fn is_in(port: i32, open: &NetworkPort) -> bool {
    (open.port..=open.end_port.unwrap_or(open.port)).contains(&port)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rules(rules: serde_json::Value) -> Vec<EgressRule> {
        serde_json::from_value(rules).unwrap()
    }

    #[test]
    fn what_the_policy_lets_and_what_it_does_not() {
        let none = rules(json!([]));
        for open in [
            "https://api.example.com/v1",
            "https://1.1.1.1",
            "https://[::ffff:1.1.1.1]",
            "http://localhost:1",
            "http://127.0.0.1:9/v1",
        ] {
            assert_eq!(blocked(open, &none), None, "{open}");
        }
        for shut in [
            "http://api.example.com",
            "https://api.example.com:8443/v1",
            "https://10.0.0.1/v1",
            "http://ollama:11434",
            "https://models.ai.svc",
            "https://models.ai.svc.cluster.local/v1",
            "https://[fd00::1]",
            "https://[::ffff:10.0.0.1]/v1",
        ] {
            assert!(blocked(shut, &none).is_some(), "{shut}");
        }
        let given = rules(json!([{"cidr": "10.0.0.0/8", "ports": [{"port": 443}]}]));
        assert_eq!(blocked("https://10.0.0.1/v1", &given), None);
        assert!(blocked("http://10.0.0.1/v1", &given).is_some());
        assert!(blocked("https://192.168.0.1/v1", &given).is_some());
        assert_eq!(blocked("https://[::ffff:10.0.0.1]/v1", &given), None);
        let udp = rules(json!([{"cidr": "10.0.0.0/8", "ports": [{"port": 443, "protocol": "UDP"}]}]));
        assert!(blocked("https://10.0.0.1/v1", &udp).is_some());
        let pods = rules(json!([{"podSelector": {}, "ports": [{"port": 8000}]}]));
        assert_eq!(blocked("http://ollama:80/v1", &pods), None);
        let udp = rules(json!([{"podSelector": {}, "ports": [{"port": 8000, "protocol": "UDP"}]}]));
        assert!(blocked("http://ollama:80/v1", &udp).is_some());
    }
}
