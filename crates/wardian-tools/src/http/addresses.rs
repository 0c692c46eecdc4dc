//! Public addresses: those that IANA's registries of special-purpose addresses
//! (RFC 6890) say are globally reachable.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Can everybody reach this address, or is it somebody's own? Addresses in which an IPv4 address is
/// embedded are judged by that.
pub(super) fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let special = match ip.octets() {
        // This network; shared address space (RFC 6598); protocol assignments; benchmarks.
        [0, ..] | [100, 64..=127, ..] | [192, 0, 0, _] | [198, 18..=19, ..] => true,
        // 6to4 relays; what is reserved for later.
        [192, 88, 99, _] | [240..=255, ..] => true,
        _ => false,
    };
    !(special
        || ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_multicast()
        || ip.is_documentation())
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let v4 = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match ip.segments() {
        // An IPv4 address: mapped, translated (RFC 6052), in 6to4.
        [0, 0, 0, 0, 0, 0xffff, high, low] => v4(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low),
        [0x2002, high, low, ..] => v4(high, low),
        // Protocol assignments with Teredo and ORCHID; documentation.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        // Global unicast is this and nothing else.
        [0x2000..=0x3fff, ..] => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Row URL-08.
    #[test]
    fn url_08_what_is_somebody_s_own() {
        for ip in "0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.127.255.255 127.0.0.1 127.255.255.255 169.254.169.254 \
                   172.16.0.1 172.31.255.255 192.0.0.192 192.0.2.1 192.168.0.1 192.88.99.1 198.18.0.1 198.51.100.1 \
                   203.0.113.1 224.0.0.1 239.1.1.1 240.0.0.1 255.255.255.255 :: ::1 ::7f00:1 ::ffff:127.0.0.1 \
                   ::ffff:10.0.0.1 64:ff9b::7f00:1 64:ff9b:1::1 100::1 2001::1 2001:db8::1 2002:7f00:1:: 2002:a00:1::1 \
                   3fff::1 4000::1 fc00::1 fd00:ec2::254 fe80::1 fec0::1 ff02::1"
            .split_whitespace()
        {
            assert!(!is_public(ip.parse().unwrap()), "{ip}");
        }
    }

    #[test]
    fn what_is_everybody_s() {
        for ip in "1.1.1.1 8.8.8.8 100.63.255.255 100.128.0.1 172.15.0.1 172.32.0.1 192.0.1.1 192.167.0.1 198.17.0.1 \
                   198.20.0.1 223.255.255.255 2606:4700::1111 2001:4860:4860::8888 2002:808:808::1 64:ff9b::808:808 \
                   ::ffff:8.8.8.8"
            .split_whitespace()
        {
            assert!(is_public(ip.parse().unwrap()), "{ip}");
        }
    }
}
