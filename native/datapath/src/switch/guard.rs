//! What may be sent from a port: in the name of its own MACs and addresses only, and nothing that only a router or a
//! DHCP server says. Pure.
//!
//! What cannot be read is not believed: a packet that hides its headers is refused as a forged one is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::GuardSpec;
use crate::counter::DropReason;
use crate::wire::arp::{self, Arp};
use crate::wire::ethernet::{ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Ethernet, is_tpid};
use crate::wire::ip::{Ip, PROTOCOL_ICMPV6, PROTOCOL_UDP, Transport};
use crate::wire::ipv4::Ipv4;
use crate::wire::ipv6::{self, Ipv6};
use crate::wire::mac::MacAddr;
use crate::wire::nd::Nd;
use crate::wire::udp::Udp;

/// Whose frames may enter at a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    macs: Vec<MacAddr>,
    v4: Vec<Ipv4Addr>,
    /// With the link-local addresses of the MACs.
    v6: Vec<Ipv6Addr>,
}

impl Guard {
    /// Lets through what `spec` allows.
    pub fn new(spec: &GuardSpec) -> Self {
        let mut guard = Self {
            macs: spec.macs.clone(),
            v4: Vec::new(),
            v6: spec.macs.iter().map(|&mac| link_local(mac)).collect(),
        };
        for address in &spec.addresses {
            match address {
                IpAddr::V4(ip) => guard.v4.push(*ip),
                IpAddr::V6(ip) => guard.v6.push(*ip),
            }
        }
        guard
    }

    /// Whether who is behind the port may have sent the frame, behind at most two VLAN tags. A superframe is checked
    /// as one frame, each fragment by itself.
    ///
    /// | frame | must be of this port |
    /// | --- | --- |
    /// | any | source MAC; otherwise `rx.spoof_mac` |
    /// | ARP | both addresses of the sender; the IP address may be 0.0.0.0 in a probe (RFC 5227 §2.1.1) |
    /// | IPv4 | source; 0.0.0.0 in what a DHCP client says (RFC 2131 §4.1) |
    /// | IPv6 | source; :: in duplicate address detection (RFC 4862 §5.4.2) and multicast listener reports (RFC 3590) |
    /// | neighbor discovery | the target that is advertised, or tested for duplicates, and the MAC given with it |
    ///
    /// Otherwise `rx.spoof_ip`. UDP from a DHCP server's port is `rx.dhcp_guard`; router advertisements (RFC 6105) and
    /// redirects are `rx.ra_guard`. Other ethertypes pass by their MAC.
    pub fn check(&self, frame: &Ethernet<'_>) -> Result<(), DropReason> {
        if !self.macs.contains(&frame.src()) {
            return Err(DropReason::SpoofMac);
        }
        let (ethertype, offset) = frame.network();
        let payload = &frame.bytes()[offset..];
        match ethertype {
            ETHERTYPE_IPV4 => self.check_v4(Ipv4::new(payload).ok_or(DropReason::SpoofIp)?),
            ETHERTYPE_IPV6 => self.check_v6(Ipv6::new(payload).ok_or(DropReason::SpoofIp)?),
            ETHERTYPE_ARP => own(Arp::read(payload).is_some_and(|arp| self.may_say(&arp))),
            // A third tag, behind which anything may be.
            other => own(!is_tpid(other)),
        }
    }

    fn may_say(&self, arp: &Arp) -> bool {
        let is_probe = arp.operation == arp::REQUEST && arp.sender_ip.is_unspecified();
        self.macs.contains(&arp.sender_mac) && (is_probe || self.v4.contains(&arp.sender_ip))
    }

    fn check_v4(&self, packet: Ipv4<'_>) -> Result<(), DropReason> {
        let src = Ipv4Addr::from(packet.src());
        let ip = Ip::V4(packet);
        let udp = ip.transport().and_then(|transport| udp(&ip, transport));
        let ports = udp.map(|udp| (udp.source_port(), udp.destination_port()));
        let is_dhcp_client = ports == Some((DHCP_CLIENT, DHCP_SERVER));
        own(self.v4.contains(&src) || (src.is_unspecified() && is_dhcp_client))?;
        match ports {
            Some((DHCP_SERVER, _)) => Err(DropReason::DhcpGuard),
            _ => Ok(()),
        }
    }

    fn check_v6(&self, packet: Ipv6<'_>) -> Result<(), DropReason> {
        let src = Ipv6Addr::from(packet.src());
        let is_own = self.v6.contains(&src);
        own(is_own || src.is_unspecified())?;
        let ip = Ip::V6(packet);
        let transport = ip.transport().ok_or(DropReason::SpoofIp)?;
        if ip.is_later_piece(&transport) {
            return own(is_own);
        }
        // A first piece whose headers go on behind the fragment header: RFC 7113 §2.1 shows what that is for.
        own(!ipv6::is_extension(transport.protocol))?;
        if transport.protocol == PROTOCOL_ICMPV6 {
            return self.check_icmpv6(&packet, transport, is_own);
        }
        own(is_own)?;
        match udp(&ip, transport) {
            Some(udp) if udp.source_port() == DHCPV6_SERVER => Err(DropReason::DhcpGuard),
            _ => Ok(()),
        }
    }

    fn check_icmpv6(
        &self,
        packet: &Ipv6<'_>,
        transport: Transport,
        is_own: bool,
    ) -> Result<(), DropReason> {
        let is_mac_own = |mac: Option<MacAddr>| mac.is_none_or(|mac| self.macs.contains(&mac));
        match Nd::read(packet).map_err(|_| DropReason::SpoofIp)? {
            Some(Nd::RouterAdvertisement | Nd::Redirect) => Err(DropReason::RaGuard),
            Some(Nd::Solicitation(s)) if s.is_dad() => own(self.v6.contains(&s.target)),
            Some(Nd::Solicitation(s)) => own(is_mac_own(s.link_layer)),
            Some(Nd::Advertisement(a)) => {
                own(is_own && self.v6.contains(&a.target) && is_mac_own(a.link_layer))
            }
            None => {
                let kind = packet.bytes().get(transport.offset);
                own(is_own || kind.is_some_and(|kind| LISTENER_REPORTS.contains(kind)))
            }
        }
    }
}

fn own(is_own: bool) -> Result<(), DropReason> {
    is_own.then_some(()).ok_or(DropReason::SpoofIp)
}

/// The UDP header of a packet or of its first piece.
fn udp<'a>(ip: &Ip<'a>, transport: Transport) -> Option<Udp<'a>> {
    let is_here = transport.protocol == PROTOCOL_UDP && !ip.is_later_piece(&transport);
    Udp::new(&ip.bytes()[transport.offset..]).filter(|_| is_here)
}

/// fe80::/64 with the modified EUI-64 of the MAC (RFC 4291 appendix A).
fn link_local(MacAddr([a, b, c, d, e, f]): MacAddr) -> Ipv6Addr {
    let interface = [a ^ 2, b, c, 0xff, 0xfe, d, e, f];
    Ipv6Addr::from(0xfe80 << 112 | u128::from(u64::from_be_bytes(interface)))
}

const DHCP_SERVER: u16 = 67;
const DHCP_CLIENT: u16 = 68;
const DHCPV6_SERVER: u16 = 547;

/// ICMPv6 types of reports and of leaving (RFC 2710, RFC 3810).
const LISTENER_REPORTS: [u8; 3] = [131, 132, 143];

#[cfg(test)]
mod tests;
