//! Which addresses may be talked to. Pure.
//!
//! A base URL is written by whoever writes a Harness, and the requests come from within the operator's network: without
//! this rule its author could have the operator talk to the cloud's metadata service or to the node.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far requests may go. Metadata services, link-local, multicast and reserved addresses are refused always.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Reach {
    /// Addresses of the public internet.
    #[default]
    Public,
    /// Also those of private networks, such as a Service of the cluster.
    Private,
    /// Also this machine. For tests.
    Loopback,
}

/// Metadata services of clouds at addresses that are not link-local: Azure, Alibaba, Oracle.
const METADATA_V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192)];

/// The least reach that takes in an address; `None` for one that is refused always.
fn needed(address: IpAddr) -> Option<Reach> {
    match address {
        IpAddr::V4(address) => needed_v4(address),
        IpAddr::V6(address) => needed_v6(address),
    }
}

/// By the IANA registry of special-purpose addresses.
fn needed_v4(address: Ipv4Addr) -> Option<Reach> {
    if METADATA_V4.contains(&address) {
        return None;
    }
    match address.octets() {
        // This network; protocol assignments; documentation; 6to4 relays; multicast and reserved.
        [0 | 224.., ..]
        | [169, 254, ..]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 51, 100, _]
        | [203, 0, 113, _] => None,
        [127, ..] => Some(Reach::Loopback),
        // Private; shared by carriers; benchmarking, which some clusters use inside.
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] | [198, 18..=19, ..] => {
            Some(Reach::Private)
        }
        _ => Some(Reach::Public),
    }
}

fn needed_v6(address: Ipv6Addr) -> Option<Reach> {
    if let Some(mapped) = address.to_ipv4_mapped() {
        return needed_v4(mapped);
    }
    match address.segments() {
        // Metadata services in private networks: Amazon, which has several there (instances, Pods, names), and Google.
        // Teredo, benchmarking, ORCHID, documentation, 6to4: tunnels and non-addresses.
        [0xfd00, 0x0ec2, ..]
        | [0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254]
        | [0x2001, 0..=0x01ff | 0x0db8, ..]
        | [0x2002, ..]
        | [0x3fff, 0..=0x0fff, ..] => None,
        [0, 0, 0, 0, 0, 0, 0, 1] => Some(Reach::Loopback),
        // An IPv4 address behind a translator: what counts is where it leads.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            needed_v4(Ipv4Addr::new(a, b, c, d))
        }
        [0xfc00..=0xfdff, ..] => Some(Reach::Private),
        // Global unicast.
        [0x2000..=0x3fff, ..] => Some(Reach::Public),
        _ => None,
    }
}

impl Reach {
    /// Whether an address may be talked to.
    pub fn allows(self, address: IpAddr) -> bool {
        needed(address).is_some_and(|needed| needed <= self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(addresses: &[&str], reach: Reach) -> Vec<bool> {
        addresses.iter().map(|address| reach.allows(address.parse().unwrap())).collect()
    }

    #[test]
    fn only_the_wanted_reach_is_allowed() {
        let public =
            ["1.1.1.1", "8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8", "172.32.0.1"];
        let private = [
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "fd12::1",
            "fd00:ec3::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
        ];
        let loopback = ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"];
        for (addresses, least) in
            [(&public[..], Reach::Public), (&private, Reach::Private), (&loopback, Reach::Loopback)]
        {
            for reach in [Reach::Public, Reach::Private, Reach::Loopback] {
                assert_eq!(all(addresses, reach), vec![reach >= least; addresses.len()], "{reach:?}");
            }
        }
    }

    #[test]
    fn metadata_and_reserved_addresses_are_refused_always() {
        let never = [
            "169.254.169.254",
            "169.254.170.2",
            "168.63.129.16",
            "100.100.100.200",
            "192.0.0.192",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "240.0.0.1",
            "203.0.113.1",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd00:ec2::253",
            "fd00:ec2:1::1",
            "fd20:ce::254",
            "fe80::1",
            "ff02::1",
            "::",
            "2001:db8::1",
            "2002:7f00:1::",
            "2001::1",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "fec0::1",
            "::7f00:1",
        ];
        assert_eq!(all(&never, Reach::Loopback), vec![false; never.len()]);
    }
}
