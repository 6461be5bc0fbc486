//! Which addresses may be connected to. Checked on the address itself, after names were resolved, for every connection.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What kind of address this is, as far as it matters to whoever must not be talked into reaching it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// This machine.
    Loopback,
    /// A private network (RFC 1918, RFC 4193).
    Private,
    /// Everybody's (RFC 6890: globally reachable).
    Public,
    /// All others: link-local and cloud metadata, multicast, unspecified, shared, reserved, and IPv6 addresses that stand
    /// for an IPv4 address. Only an exact network in the configuration opens them.
    Special,
}

/// Public addresses that serve a cloud's metadata all the same.
const METADATA: &[IpAddr] = &[
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254)),
];

/// The class of an address.
pub fn class(address: IpAddr) -> Class {
    if METADATA.contains(&address) {
        return Class::Special;
    }
    match address {
        IpAddr::V4(address) => class_v4(address),
        IpAddr::V6(address) => class_v6(address),
    }
}

fn class_v4(address: Ipv4Addr) -> Class {
    match address.octets() {
        [127, ..] => Class::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Class::Private,
        // This network, shared, link-local, protocol assignments, documentation, relays, benchmarks, multicast, reserved.
        [0, ..]
        | [100, 64..=127, ..]
        | [169, 254, ..]
        | [192, 0, 0, _]
        | [192, 0, 2, _]
        | [192, 88, 99, _]
        | [198, 18..=19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [224..=255, ..] => Class::Special,
        _ => Class::Public,
    }
}

fn class_v6(address: Ipv6Addr) -> Class {
    if address == Ipv6Addr::LOCALHOST {
        return Class::Loopback;
    }
    match address.segments() {
        [0xfc00..=0xfdff, ..] => Class::Private,
        // 2001::/23 holds Teredo and protocol assignments, 2002::/16 is 6to4, the others are documentation.
        [0x2001, 0x0000..=0x01ff, ..] | [0x2001, 0x0db8, ..] | [0x2002, ..] | [0x3fff, 0x0000..=0x0fff, ..] => {
            Class::Special
        }
        [0x2000..=0x3fff, ..] => Class::Public,
        // Everything outside global unicast: mapped and compatible IPv4, NAT64, link-local, site-local, multicast, …
        _ => Class::Special,
    }
}

/// A range of addresses in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    Class(Class),
    /// A network and the length of its prefix.
    Network(IpAddr, u8),
}

impl Range {
    /// `loopback`, `private`, `public`, an address, or a network such as `10.2.0.0/16`.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "loopback" => return Ok(Range::Class(Class::Loopback)),
            "private" => return Ok(Range::Class(Class::Private)),
            "public" => return Ok(Range::Class(Class::Public)),
            _ => {}
        }
        let wrong =
            || format!("`{text}` is none of: loopback, private, public, an address, a network such as 10.2.0.0/16");
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            None => bits,
            Some(length) => length.parse().ok().filter(|length| *length <= bits).ok_or_else(wrong)?,
        };
        if masked(address, length) != number(address) {
            return Err(format!("`{text}` has bits set behind its prefix"));
        }
        Ok(Range::Network(address, length))
    }

    fn contains(&self, address: IpAddr) -> bool {
        match self {
            Range::Class(wanted) => class(address) == *wanted,
            Range::Network(network, length) => {
                network.is_ipv4() == address.is_ipv4() && masked(address, *length) == masked(*network, *length)
            }
        }
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

fn masked(address: IpAddr, length: u8) -> u128 {
    let bits: u8 = if address.is_ipv4() { 32 } else { 128 };
    let shift = u32::from(bits - length.min(bits));
    number(address).checked_shr(shift).map_or(0, |kept| kept << shift)
}

/// The addresses that may be connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard(pub Vec<Range>);

impl Guard {
    /// Whether a connection may be made.
    pub fn allows(&self, address: IpAddr) -> bool {
        self.0.iter().any(|range| range.contains(address))
    }
}

#[cfg(test)]
mod tests {
    use super::{Class, Guard, Range, class};
    use std::net::IpAddr;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn every_form_that_hides_a_place_is_special() {
        for text in [
            "169.254.169.254",
            "0.0.0.0",
            "0.1.2.3",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::1",
            "2001:0:1::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "fd00:ec2::254",
            "2001:db8::1",
            "100::1",
            "4000::1",
        ] {
            assert_eq!(class(address(text)), Class::Special, "{text}");
        }
        for (text, wanted) in [
            ("127.0.0.1", Class::Loopback),
            ("127.255.255.254", Class::Loopback),
            ("::1", Class::Loopback),
            ("10.0.0.1", Class::Private),
            ("172.16.0.1", Class::Private),
            ("172.31.255.255", Class::Private),
            ("192.168.1.1", Class::Private),
            ("fd12::1", Class::Private),
            ("172.32.0.1", Class::Public),
            ("9.9.9.9", Class::Public),
            ("2620:fe::fe", Class::Public),
        ] {
            assert_eq!(class(address(text)), wanted, "{text}");
        }
    }

    #[test]
    fn a_guard_lets_through_what_is_named_and_nothing_else() {
        let guard = Guard(vec![
            Range::parse("loopback").unwrap(),
            Range::parse("10.2.0.0/16").unwrap(),
            Range::parse("64:ff9b::/96").unwrap(),
        ]);
        for good in ["127.0.0.1", "::1", "10.2.255.1", "64:ff9b::1"] {
            assert!(guard.allows(address(good)), "{good}");
        }
        for bad in [
            "10.3.0.1",
            "9.9.9.9",
            "169.254.169.254",
            "::ffff:10.2.0.1",
            "64:ff9b:1::1",
            "192.168.0.1",
        ] {
            assert!(!guard.allows(address(bad)), "{bad}");
        }
        assert!(!Guard(Vec::new()).allows(address("127.0.0.1")));
        let all = Guard(vec![Range::parse("0.0.0.0/0").unwrap()]);
        assert!(all.allows(address("9.9.9.9")) && !all.allows(address("::1")));
    }

    #[test]
    fn ranges_that_are_none_are_refused() {
        for bad in [
            "",
            "everything",
            "10.0.0.0/33",
            "10.0.0.1/8",
            "10.0.0/8",
            "::/129",
            "010.0.0.1",
            "localhost",
            "link_local",
        ] {
            assert!(Range::parse(bad).is_err(), "{bad}");
        }
    }
}
