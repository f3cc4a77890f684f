//! Which addresses are never contacted. Pure. Private networks are allowed (the operator wrote the
//! configuration); link-local ones and metadata services are not, whatever spells them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// AWS's metadata service over IPv6; the other clouds' answer at 169.254.169.254.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254);

/// Whether nothing is ever sent to `address`.
#[must_use]
pub fn is_refused(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => {
            v6.is_unicast_link_local()
                || v6 == METADATA_V6
                || embedded(v6).is_some_and(|v4| v4.is_link_local())
        }
    }
}

/// The IPv4 address inside an IPv4-mapped, IPv4-compatible, NAT64 or 6to4 one.
fn embedded(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let join = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match v6.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Some(join(high, low))
        }
        [0x2002, high, low, ..] => Some(join(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_local_and_metadata_addresses_are_refused_however_they_are_spelt() {
        for refused in [
            "169.254.169.254",
            "169.254.0.1",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::169.254.169.254",
            "2002:a9fe:a9fe::1",
            "fe80::1",
            "febf::1",
            "fd00:ec2::254",
        ] {
            let address: IpAddr = refused.parse().expect("an address");
            assert!(is_refused(address), "{refused}");
        }
    }

    #[test]
    fn loopback_private_and_public_addresses_are_allowed() {
        for allowed in [
            "127.0.0.1",
            "::1",
            "10.0.0.1",
            "192.168.1.1",
            "169.253.0.1",
            "1.1.1.1",
            "fd00:ec2::255",
            "fec0::1",
            "::ffff:127.0.0.1",
            "2606:4700::1111",
        ] {
            let address: IpAddr = allowed.parse().expect("an address");
            assert!(!is_refused(address), "{allowed}");
        }
    }
}
