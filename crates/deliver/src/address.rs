//! Which IP addresses a call may go to: public ones, and those that the operator allows.
//!
//! Not for: how an endpoint's URL may look (see `endpoint`). A name is judged by what it resolves to, anew for each
//! connection, so that a name whose address changes after it was registered gains nothing.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use posthaste_base::{Code, Error};

use crate::endpoint::{Endpoint, Host};

/// Public addresses, and the networks that the operator allows besides.
#[derive(Clone, Debug, Default)]
pub struct AddressPolicy {
    pub allow: Vec<Network>,
}

impl AddressPolicy {
    pub fn public_only() -> Self {
        Self::default()
    }

    /// Reads the operator's list: networks such as `10.0.0.0/8`, single addresses, or `all`.
    pub fn parse<T: AsRef<str>>(allow: &[T]) -> Result<Self, Error> {
        let allow = allow.iter().map(|text| text.as_ref().parse()).collect::<Result<_, _>>()?;
        Ok(Self { allow })
    }

    /// `Err` says what kind of address it is.
    pub fn check(&self, address: IpAddr) -> Result<(), &'static str> {
        let Some(reason) = reserved_for(address) else { return Ok(()) };
        let embedded = embedded_v4(address).map(IpAddr::V4);
        let is_allowed = self.allow.iter().any(|network| {
            network.contains(address) || embedded.is_some_and(|embedded| network.contains(embedded))
        });
        if is_allowed { Ok(()) } else { Err(reason) }
    }

    /// Refuses when the endpoint is registered what is sure to be refused when it is called. A name that resolves
    /// to a private address is found only at the call.
    pub fn check_endpoint(&self, endpoint: &Endpoint) -> Result<(), Error> {
        let address = match endpoint.host() {
            Host::Address(address) => *address,
            Host::Name(name) if is_localhost(name) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            Host::Name(_) => return Ok(()),
        };
        self.check(address).map_err(|reason| {
            Error::new(Code::InvalidEndpoint, format!("the host is {reason}"))
                .field("url")
                .expected("a public address, or one that the operator allows")
                .hint("use a public host, or allow its network: `allow_networks` in `[delivery]`")
        })
    }
}

/// A network that the operator allows: `10.0.0.0/8`, `fd00::/8`, `192.168.1.7`, or `all`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix_bits: u8,
    is_all: bool,
}

impl Network {
    pub const ALL: Network =
        Network { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), prefix_bits: 0, is_all: true };

    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            _ if self.is_all => true,
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let differing = network.to_bits() ^ address.to_bits();
                differing.checked_shr(32 - u32::from(self.prefix_bits)).unwrap_or(0) == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let differing = network.to_bits() ^ address.to_bits();
                differing.checked_shr(128 - u32::from(self.prefix_bits)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text.eq_ignore_ascii_case("all") {
            return Ok(Self::ALL);
        }
        let refuse = || {
            Error::new(Code::InvalidConfig, format!("`{text}` is not a network"))
                .expected("an address with a prefix length such as `10.0.0.0/8`, an address, or `all`")
        };
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| refuse())?;
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match prefix {
            None => bits_max,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok().filter(|bits| *bits <= bits_max).ok_or_else(refuse)?
            }
            Some(_) => return Err(refuse()),
        };
        Ok(Self { address, prefix_bits, is_all: false })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_all {
            return f.write_str("all");
        }
        write!(f, "{}/{}", self.address, self.prefix_bits)
    }
}

fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

/// What an address is set aside for, if it is not a public one.
fn reserved_for(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => reserved_v4(address),
        IpAddr::V6(v6) => match embedded_v4(address) {
            Some(embedded) => reserved_v4(embedded),
            None => reserved_v6(v6),
        },
    }
}

fn reserved_v4(address: Ipv4Addr) -> Option<&'static str> {
    let [a, b, c, d] = address.octets();
    Some(match (a, b, c, d) {
        (0, 0, 0, 0) => "the unspecified address",
        (0, ..) => "an address of this network (0.0.0.0/8)",
        (127, ..) => "a loopback address",
        (10, ..) | (172, 16..=31, ..) | (192, 168, ..) => "a private address",
        // A metadata service is named as such: who sees this in a log wants to know.
        (169, 254, 169, 254) | (100, 100, 100, 200) | (168, 63, 129, 16) | (192, 0, 0, 192) => {
            "the address of a cloud's metadata service"
        }
        (169, 254, ..) => "a link-local address",
        (100, 64..=127, ..) => "an address of a carrier's inner network (100.64.0.0/10)",
        (192, 0, 2, _) | (198, 51, 100, _) | (203, 0, 113, _) => "an address for documentation",
        (192, 0, 0, _) | (192, 88, 99, _) => "an address for protocol assignments",
        (198, 18..=19, ..) => "an address for benchmarks",
        (224..=239, ..) => "a multicast address",
        (255, 255, 255, 255) => "the broadcast address",
        (240..=255, ..) => "a reserved address",
        _ => return None,
    })
}

fn reserved_v6(address: Ipv6Addr) -> Option<&'static str> {
    let segments = address.segments();
    Some(match (segments[0], segments[1]) {
        _ if address.is_unspecified() => "the unspecified address",
        _ if address.is_loopback() => "a loopback address",
        (0xfd00, 0x0ec2) if segments[7] == 0x254 => "the address of a cloud's metadata service",
        (0xfc00..=0xfdff, _) => "a unique-local address",
        (0xfe80..=0xfebf, _) => "a link-local address",
        (0xfec0..=0xfeff, _) => "a site-local address",
        (0xff00..=0xffff, _) => "a multicast address",
        (0x2001, 0x0db8) | (0x3fff, 0..=0x0fff) => "an address for documentation",
        // Teredo hides an IPv4 address; the rest of 2001::/23 is for protocols, not for hosts.
        (0x2001, 0..=0x01ff) => "an address for protocol assignments",
        // Everything that is in use for hosts is in 2000::/3.
        (0x2000..=0x3fff, _) => return None,
        _ => "a reserved address",
    })
}

/// The IPv4 address that the system, a gateway or a tunnel would really call for this IPv6 address.
fn embedded_v4(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(address) = address else { return None };
    // `::` and `::1` have the form of an embedded address and are none.
    if address.is_unspecified() || address.is_loopback() {
        return None;
    }
    let segments = address.segments();
    let v4 = |high: u16, low: u16| Some(Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low)));
    match segments {
        // IPv4-mapped, IPv4-translated and IPv4-compatible.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => v4(high, low),
        [0, 0, 0, 0, 0, 0, high, low] => v4(high, low),
        // NAT64 with its well-known prefix. The local ones lead into a network of the operator's own, whatever they
        // embed, and are reserved as a whole.
        [0x0064, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low),
        // 6to4.
        [0x2002, high, low, ..] => v4(high, low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(allow: &[&str], address: &str) -> Result<(), &'static str> {
        AddressPolicy::parse(allow).unwrap().check(address.parse().unwrap())
    }

    #[test]
    fn public_addresses_pass() {
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.1.1",
            "198.17.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
        ] {
            assert_eq!(check(&[], address), Ok(()), "{address}");
        }
    }

    #[test]
    fn addresses_that_are_not_public_are_refused() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.254.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:0:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::8.8.8.8",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::1",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "5f00::1",
            "4000::1",
        ] {
            assert!(check(&[], address).is_err(), "{address} passed");
            assert_eq!(check(&["all"], address), Ok(()), "{address}");
        }
    }

    #[test]
    fn metadata_services_are_named() {
        for address in ["169.254.169.254", "fd00:ec2::254", "::ffff:169.254.169.254"] {
            assert!(check(&[], address).unwrap_err().contains("metadata"), "{address}");
        }
    }

    #[test]
    fn an_allowed_network_lets_in_its_own_addresses_and_no_others() {
        assert_eq!(check(&["10.1.0.0/16"], "10.1.255.255"), Ok(()));
        assert!(check(&["10.1.0.0/16"], "10.2.0.0").is_err());
        assert_eq!(check(&["10.1.2.3"], "10.1.2.3"), Ok(()));
        assert!(check(&["10.1.2.3"], "10.1.2.4").is_err());
        assert_eq!(check(&["0.0.0.0/0"], "127.0.0.1"), Ok(()));
        assert!(check(&["0.0.0.0/0"], "::1").is_err());
        assert_eq!(check(&["::/0"], "::1"), Ok(()));
        assert_eq!(check(&["fd00::/8"], "fd12::1"), Ok(()));
        assert!(check(&["fd00::/8"], "fc12::1").is_err());
        assert_eq!(check(&["127.0.0.0/8"], "::ffff:127.0.0.1"), Ok(()));
        assert_eq!(check(&["192.168.0.0/16", "127.0.0.1/32"], "127.0.0.1"), Ok(()));
    }

    #[test]
    fn networks_that_cannot_be_read_are_refused() {
        for text in [
            "",
            "/",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0.0/-1",
            "10/8",
            "fd00::/129",
            "localhost",
            "10.0.0.0/8/8",
        ] {
            let error = text.parse::<Network>().unwrap_err();
            assert_eq!(error.code(), Code::InvalidConfig, "{text}");
        }
        assert_eq!("10.0.0.0/8".parse::<Network>().unwrap().to_string(), "10.0.0.0/8");
        assert_eq!("ALL".parse::<Network>().unwrap().to_string(), "all");
    }

    #[test]
    fn registration_refuses_private_literals_and_localhost_only() {
        let refused = |url: &str| AddressPolicy::public_only().check_endpoint(&Endpoint::parse(url).unwrap());
        for url in ["http://127.0.0.1/", "https://[::1]:8443/", "http://LOCALHOST./", "http://a.localhost/"] {
            assert_eq!(refused(url).unwrap_err().code(), Code::InvalidEndpoint, "{url}");
        }
        for url in ["http://1.1.1.1/", "https://example.org/hook"] {
            refused(url).unwrap();
        }
    }
}
