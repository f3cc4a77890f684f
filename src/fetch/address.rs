//! Which addresses are never contacted. Pure. Private networks are allowed (the operator wrote the
//! configuration); link-local ones and metadata services are not, whatever spells them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::error::FetchError;

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

/// Whether `address` is one of a private network, of this machine, or of no network at all: nothing that a service on
/// the internet has. The registries of special addresses at IANA, and RFC 6598 for those of carriers.
#[must_use]
pub fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_private_v4(v4),
        IpAddr::V6(v6) => {
            embedded(v6).is_some_and(is_private_v4)
                || v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || v6.is_unique_local()
                || v6.is_unicast_link_local()
                || is_special_v6(v6.segments())
        }
    }
}

fn is_private_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    v4.is_private()
        || v4.is_loopback()
        || v4.is_link_local()
        || v4.is_broadcast()
        || v4.is_multicast()
        || v4.is_documentation()
        || matches!(
            (a, b, c),
            (0 | 240..=255, ..) | (100, 64..=127, _) | (192, 0, 0) | (198, 18 | 19, _)
        )
}

/// Documentation, discard-only, NAT64 of one's own, segment routing, and site-local ones of old.
const fn is_special_v6(segments: [u16; 8]) -> bool {
    matches!(
        segments,
        [0x2001, 0x0db8, ..]
            | [0x3fff, 0..=0x0fff, ..]
            | [0x0100, 0, 0, 0, ..]
            | [0x64, 0xff9b, 1, ..]
            | [0x5f00..=0x5fff | 0xfec0..=0xfeff, ..]
    )
}

/// Whether `address` may be contacted.
///
/// # Errors
/// It may not.
pub fn judge(address: IpAddr, allow_private: bool) -> Result<(), FetchError> {
    if is_refused(address) {
        return Err(FetchError::RefusedAddress);
    }
    if !allow_private && is_private(address) {
        return Err(FetchError::PrivateAddress);
    }
    Ok(())
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

    #[test]
    fn private_addresses_are_known_however_they_are_spelt() {
        for private in [
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "0.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.7",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "169.254.169.254",
            "::1",
            "::",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "2002:7f00:1::1",
            "fc00::1",
            "fdff::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
            "3fff::1",
            "100::1",
            "5f00::1",
        ] {
            let address: IpAddr = private.parse().expect("an address");
            assert!(is_private(address), "{private}");
            assert!(judge(address, false).is_err(), "{private}");
        }
        for public in [
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "::ffff:8.8.8.8",
            "2606:4700::1111",
            "64:ff9b::8.8.8.8",
        ] {
            let address: IpAddr = public.parse().expect("an address");
            assert!(!is_private(address), "{public}");
            assert_eq!(judge(address, false), Ok(()), "{public}");
        }
    }
}
