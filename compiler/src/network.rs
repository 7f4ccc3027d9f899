//! Blocks of addresses, and those that a gateway has no business with. Pure.

use std::net::IpAddr;

/// Blocks of IPv4 that a tenant reaches only when its `spec.network.egress` names them. From IANA's registry of
/// special-purpose addresses (RFC 6890), but for what is said otherwise.
pub(crate) const RESERVED_V4: [&str; 12] = [
    // This network (RFC 791).
    "0.0.0.0/8",
    // Private use (RFC 1918).
    "10.0.0.0/8",
    // Carriers' address translation (RFC 6598): Pods of some clouds, and the metadata of Alibaba Cloud.
    "100.64.0.0/10",
    // Loopback (RFC 1122).
    "127.0.0.0/8",
    // The platform's address within Azure, which hands out credentials of extensions. A public one.
    "168.63.129.16/32",
    // Link-local (RFC 3927): the metadata and credentials of nodes and Pods on most clouds, 169.254.169.254 and others.
    "169.254.0.0/16",
    // Private use (RFC 1918).
    "172.16.0.0/12",
    // Protocol assignments (RFC 6890).
    "192.0.0.0/24",
    // Private use (RFC 1918).
    "192.168.0.0/16",
    // Benchmarks (RFC 2544): clusters use it for Pods.
    "198.18.0.0/15",
    // Multicast (RFC 5771), below it the blocks for documentation, which lead nowhere.
    "224.0.0.0/4",
    // Reserved (RFC 1112): clusters use it for Pods. With the broadcast address.
    "240.0.0.0/4",
];

/// The same of IPv6. Addresses of IPv4 mapped into it (`::ffff:0:0/96`) are never sent (RFC 4942), and the API server
/// takes none in a policy.
pub(crate) const RESERVED_V6: [&str; 21] = [
    // Unspecified and loopback (RFC 4291).
    "::/127",
    // Address translation of the blocks of IPv4 above, the last two of them as one (RFC 6052): the rest of 64:ff9b::/96
    // is how a cluster of IPv6 alone reaches the public internet of IPv4.
    "64:ff9b::/104",
    "64:ff9b::a00:0/104",
    "64:ff9b::6440:0/106",
    "64:ff9b::7f00:0/104",
    "64:ff9b::a83f:8110/128",
    "64:ff9b::a9fe:0/112",
    "64:ff9b::ac10:0/108",
    "64:ff9b::c000:0/120",
    "64:ff9b::c0a8:0/112",
    "64:ff9b::c612:0/111",
    "64:ff9b::e000:0/99",
    // Address translation for local use (RFC 8215).
    "64:ff9b:1::/48",
    // Tunnels to an address of IPv4: Teredo (RFC 4380) and 6to4 (RFC 3056).
    "2001::/32",
    "2002::/16",
    // Segment routing (RFC 9602).
    "5f00::/16",
    // Unique local addresses (RFC 4193): Pods, and the metadata of AWS (fd00:ec2::254) and Google Cloud.
    "fc00::/7",
    // Link-local (RFC 4291).
    "fe80::/10",
    // Site-local, no longer in use (RFC 3879).
    "fec0::/10",
    // Multicast (RFC 4291).
    "ff00::/8",
    // Discarded (RFC 6666).
    "100::/64",
];

/// A block of addresses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Cidr {
    first: IpAddr,
    prefix: u8,
}

/// What is wrong with a text that should be a block of addresses.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum CidrProblem {
    /// An address without the length of a prefix.
    NoPrefix(IpAddr),
    /// An address within a block instead of its first one.
    NotFirst(Cidr),
    /// Neither.
    NotACidr,
}

impl Cidr {
    /// Reads `ADDRESS/LENGTH`, where the address is the block's first.
    pub(crate) fn parse(text: &str) -> Result<Self, CidrProblem> {
        let Some((address, prefix)) = text.split_once('/') else {
            return Err(text.parse().map_or(CidrProblem::NotACidr, CidrProblem::NoPrefix));
        };
        let address: IpAddr = address.parse().map_err(|_| CidrProblem::NotACidr)?;
        let is_plain =
            prefix.bytes().all(|byte| byte.is_ascii_digit()) && !prefix.starts_with('0') || prefix == "0";
        let prefix: u8 = prefix.parse().ok().filter(|_| is_plain).ok_or(CidrProblem::NotACidr)?;
        let is_mapped = matches!(address, IpAddr::V6(address) if address.to_ipv4_mapped().is_some());
        if prefix > bits(address) || is_mapped {
            return Err(CidrProblem::NotACidr);
        }
        let block = Self { first: masked(address, prefix), prefix };
        if block.first == address { Ok(block) } else { Err(CidrProblem::NotFirst(block)) }
    }

    pub(crate) fn contains(self, address: IpAddr) -> bool {
        address.is_ipv4() == self.first.is_ipv4() && masked(address, self.prefix) == self.first
    }
}

impl std::fmt::Display for Cidr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

/// How many bits an address has.
pub(crate) fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// Whether an address is in a block that gateways do not reach by themselves.
pub(crate) fn is_reserved(address: IpAddr) -> bool {
    let blocks = RESERVED_V4.iter().chain(&RESERVED_V6);
    blocks.filter_map(|block| Cidr::parse(block).ok()).any(|block| block.contains(address))
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or_default();
            IpAddr::V4((u32::from(address) & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or_default();
            IpAddr::V6((u128::from(address) & mask).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserved_blocks_are_blocks_of_their_family() {
        for (blocks, v4) in [(&RESERVED_V4[..], true), (&RESERVED_V6[..], false)] {
            for text in blocks {
                let block = Cidr::parse(text).unwrap_or_else(|problem| panic!("{text}: {problem:?}"));
                assert_eq!(block.first.is_ipv4(), v4, "{text}");
                assert_eq!(block.to_string(), *text, "as the API server would write it");
                let others = blocks.iter().filter(|other| *other != text);
                assert!(
                    others.clone().all(|other| !Cidr::parse(other).unwrap().contains(block.first)),
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn what_is_private_is_so_by_translation_too() {
        for text in RESERVED_V4 {
            let IpAddr::V4(first) = Cidr::parse(text).unwrap().first else { panic!("{text}") };
            let [a, b, c, d] = first.octets();
            let translated = format!("64:ff9b::{a:02x}{b:02x}:{c:02x}{d:02x}");
            assert!(is_reserved(translated.parse().unwrap()), "{text}");
        }
        let public = [
            "1.1.1.1",
            "172.32.0.1",
            "64:ff9b::101:101",
            "64:ff9b::c000:101",
            "64:ff9b::dfff:ffff",
            "2606:4700::1111",
        ];
        for public in public {
            assert!(!is_reserved(public.parse().unwrap()), "{public}");
        }
        for inner in ["169.254.169.254", "100.100.100.200", "fd00:ec2::254", "10.1.2.3", "255.255.255.255"] {
            assert!(is_reserved(inner.parse().unwrap()), "{inner}");
        }
    }

    #[test]
    fn a_block_begins_with_its_first_address() {
        assert!(Cidr::parse("10.0.0.0/8").unwrap().contains("10.9.8.7".parse().unwrap()));
        assert!(Cidr::parse("::/0").unwrap().contains("2001:db8::1".parse().unwrap()));
        assert!(!Cidr::parse("::/0").unwrap().contains("10.0.0.1".parse().unwrap()));
        let first = Cidr::parse("10.1.0.0/16").unwrap();
        assert_eq!(Cidr::parse("10.1.2.3/16"), Err(CidrProblem::NotFirst(first)));
        assert_eq!(Cidr::parse("10.1.2.3"), Err(CidrProblem::NoPrefix("10.1.2.3".parse().unwrap())));
        for bad in
            ["", "/", "10.0.0.0/33", "10.0.0/8", "10.0.0.0/08", "10.0.0.0/+8", "::ffff:10.0.0.0/104", "a/8"]
        {
            assert_eq!(Cidr::parse(bad), Err(CidrProblem::NotACidr), "{bad}");
        }
    }
}
