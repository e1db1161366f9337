//! Socket addresses in the kernel's layout, without pointers or unions.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// A `sockaddr_in` or `sockaddr_in6` as bytes, with its length.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(4))]
pub(in crate::io) struct RawAddress {
    bytes: [u8; RawAddress::CAPACITY],
    len: u32,
}

impl RawAddress {
    /// Length of the longer of the two.
    pub(in crate::io) const CAPACITY: usize = size_of::<libc::sockaddr_in6>();

    pub(in crate::io) fn new(address: &SocketAddr) -> Self {
        let mut bytes = [0; Self::CAPACITY];
        bytes[2..4].copy_from_slice(&address.port().to_be_bytes());
        let (family, len) = match address {
            SocketAddr::V4(v4) => {
                bytes[4..8].copy_from_slice(&v4.ip().octets());
                (libc::AF_INET, size_of::<libc::sockaddr_in>())
            }
            SocketAddr::V6(v6) => {
                bytes[4..8].copy_from_slice(&v6.flowinfo().to_be_bytes());
                bytes[8..24].copy_from_slice(&v6.ip().octets());
                bytes[24..28].copy_from_slice(&v6.scope_id().to_ne_bytes());
                (libc::AF_INET6, size_of::<libc::sockaddr_in6>())
            }
        };
        bytes[0..2].copy_from_slice(&(family as libc::sa_family_t).to_ne_bytes());
        Self {
            bytes,
            len: len as u32,
        }
    }

    pub(in crate::io) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len as usize]
    }
}

/// Reads an address that the kernel wrote; `None` for another family or too few bytes.
pub(in crate::io) fn decode(bytes: &[u8]) -> Option<SocketAddr> {
    let family = libc::sa_family_t::from_ne_bytes(bytes.first_chunk().copied()?);
    let port = u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]);
    match i32::from(family) {
        libc::AF_INET => {
            let ip: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
            Some(SocketAddrV4::new(Ipv4Addr::from(ip), port).into())
        }
        libc::AF_INET6 => {
            let flowinfo = u32::from_be_bytes(bytes.get(4..8)?.try_into().ok()?);
            let ip: [u8; 16] = bytes.get(8..24)?.try_into().ok()?;
            let scope = u32::from_ne_bytes(bytes.get(24..28)?.try_into().ok()?);
            Some(SocketAddrV6::new(Ipv6Addr::from(ip), port, flowinfo, scope).into())
        }
        _ => None,
    }
}

/// `ip` with `port`, and with the interface that a link-local IPv6 address needs.
pub(in crate::io) fn scoped(ip: IpAddr, port: u16, scope: u32) -> SocketAddr {
    match ip {
        IpAddr::V4(v4) => SocketAddrV4::new(v4, port).into(),
        IpAddr::V6(v6) => SocketAddrV6::new(v6, port, 0, scope).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn decode_undoes_encode(ip: IpAddr, port: u16, scope: u32) {
            let address = scoped(ip, port, scope);
            prop_assert_eq!(decode(RawAddress::new(&address).as_bytes()), Some(address));
        }

        #[test]
        fn decode_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = decode(&bytes);
        }
    }

    #[test]
    fn short_or_foreign_addresses_are_none() {
        let address = RawAddress::new(&"192.0.2.1:4789".parse().unwrap());
        assert_eq!(decode(&address.as_bytes()[..7]), None);
        assert_eq!(decode(&[0; 16]), None);
    }
}
