//! What a NetworkPolicy lets out, by its own words: addresses and ports. Pure.

use std::net::IpAddr;

use k8s_openapi::api::networking::v1::{NetworkPolicy, NetworkPolicyEgressRule};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// Whether a Pod of the policy may connect to this address, which is no Pod's.
pub fn lets(policy: &NetworkPolicy, address: IpAddr, port: u16) -> bool {
    let spec = policy.spec.as_ref();
    let rules = spec.and_then(|spec| spec.egress.as_ref()).into_iter().flatten();
    rules.into_iter().any(|rule| reaches(rule, address) && opens(rule, port))
}

fn reaches(rule: &NetworkPolicyEgressRule, address: IpAddr) -> bool {
    let Some(peers) = &rule.to else { return true };
    let blocks = peers.iter().filter_map(|peer| peer.ip_block.as_ref());
    peers.is_empty()
        || blocks.into_iter().any(|block| {
            let mut excepted = block.except.iter().flatten();
            contains(&block.cidr, address) && !excepted.any(|except| contains(except, address))
        })
}

fn opens(rule: &NetworkPolicyEgressRule, port: u16) -> bool {
    let Some(ports) = &rule.ports else { return true };
    ports.iter().any(|open| match &open.port {
        None => true,
        Some(IntOrString::Int(first)) => {
            (*first..=open.end_port.unwrap_or(*first)).contains(&i32::from(port))
        }
        Some(IntOrString::String(_)) => false,
    })
}

fn contains(block: &str, address: IpAddr) -> bool {
    let Some((first, length)) = block.split_once('/') else { return false };
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => (u128::from(u32::from(address)) << 96, 32),
        IpAddr::V6(address) => (u128::from(address), 128),
    };
    let (Ok(first), Ok(length)) = (first.parse::<IpAddr>(), length.parse::<u32>()) else { return false };
    let ((first, of), (address, other)) = (bits(first), bits(address));
    // What stands behind the prefix is shifted out.
    of == other && (length == 0 || first >> (128 - length) == address >> (128 - length))
}

/// That the rule above tells addresses apart, so that nothing is taken for refused that is only not understood.
pub fn check() {
    let block =
        |cidr: &str, address: &str| contains(cidr, address.parse().unwrap_or(IpAddr::from([0, 0, 0, 0])));
    assert!(block("169.254.0.0/16", "169.254.169.254") && !block("169.254.0.0/16", "169.255.0.1"));
    assert!(block("0.0.0.0/0", "1.1.1.1") && !block("0.0.0.0/0", "2606:4700::1111"));
    assert!(block("fc00::/7", "fd00:ec2::254") && !block("fc00::/7", "2606:4700::1111"));
}
