//! Whether it works here, by doing it.

use super::super::super::netlink::Netlink;
use super::super::super::netns;
use super::super::super::poll::{Poller, Ready};
use super::super::{RxBatch, RxSocket, RxSpec};
use super::{Injector, InjectorSpec};
use crate::error::{Error, ErrorCode};
use crate::wire::checksum::Sum;
use crate::wire::encap::OuterHeader;
use crate::wire::ethernet::ETHERTYPE_IPV4;
use crate::wire::ip::PROTOCOL_TCP;
use crate::wire::vnet::{Gso, VnetHeader};
use crate::wire::vxlan::Vni;
use crate::wire::{ipv4, tcp};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

/// Whether superframes can be injected here, by sending one to ourselves over `lo`: in a network namespace of its own
/// where one may be made, else in ours. Leaves nothing behind; waits for a second at most.
///
/// Errors: those of [`Injector::open`]; `NO_TUNNEL_GSO` also when nothing arrives.
pub fn probe() -> Result<(), Error> {
    let in_new = || {
        let mut netlink = Netlink::open()?;
        if let Some(lo) = netlink.link("lo")? {
            netlink.set_up(lo.ifindex, true)?;
        }
        Ok(over_loopback())
    };
    netns::within_new(in_new).unwrap_or_else(|_| over_loopback())
}

fn over_loopback() -> Result<(), Error> {
    let lo = Netlink::open()?.link("lo")?;
    let lo = lo.ok_or_else(|| Error::new(ErrorCode::NoTunnelGso, "lo"))?;
    let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let injector = Injector::open(&InjectorSpec {
        local,
        ifindex: lo.ifindex,
        ttl: None,
    })?;
    let rx = RxSocket::open(&RxSpec {
        local: SocketAddr::new(local, 0),
        scope: None,
        reuse_port: false,
        gro: true,
        recvmmsg: true,
        receive_buffer: 1 << 16,
    })?;
    let frame = superframe();
    let outer = |vni| OuterHeader {
        local,
        destination: rx.local(),
        source_port: rx.local().port(),
        ttl: injector.ttl(),
        tos: 0,
        vni,
        checksum: true,
    };
    let vnet = VnetHeader {
        needs_csum: true,
        gso: Gso::TcpV4,
        gso_size: SEGMENT as u16,
        ..VnetHeader::NONE
    };
    let nothing = |detail| Error::new(ErrorCode::NoTunnelGso, "lo").with_detail(detail);
    let head = Vni::new(1).and_then(|vni| outer(vni).before(&frame, &vnet));
    let head = head.ok_or_else(|| nothing("no head for a superframe"))?;
    injector
        .send(&head, &frame)
        .map_err(|_| nothing("the kernel refuses a superframe inside a tunnel"))?;
    if arrives(&rx)? {
        Ok(())
    } else {
        Err(nothing("a superframe inside a tunnel does not arrive"))
    }
}

fn arrives(rx: &RxSocket) -> Result<bool, Error> {
    let poller = Poller::new()?;
    poller.add(rx, 0)?;
    let mut ready = Ready::with_capacity(1);
    let deadline = Instant::now() + PATIENCE;
    // A wait may also end early, with nothing.
    loop {
        if rx.recv(&mut RxBatch::new(1, 1 << 16)).is_ok() {
            return Ok(true);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        poller.wait(&mut ready, Some(left))?;
    }
}

/// TCP over IPv4 without data of any meaning, two segments, as a stack hands it to a NIC.
fn superframe() -> Vec<u8> {
    let mut tcp = vec![0; tcp::HEADER_LEN + 2 * SEGMENT];
    tcp[12] = 5 << 4;
    let mut ip = [0; ipv4::HEADER_LEN];
    let packet_len = (ip.len() + tcp.len()) as u16;
    ip[0] = 0x45;
    ip[9] = PROTOCOL_TCP;
    ipv4::set_total_len(&mut ip, packet_len);
    ipv4::fill_checksum(&mut ip);
    let sum = Sum::pseudo_header(&ip[ipv4::ADDRESSES..], PROTOCOL_TCP, tcp.len());
    tcp[tcp::CHECKSUM..tcp::CHECKSUM + 2].copy_from_slice(&sum.fold().to_be_bytes());
    [&[0; 12][..], &ETHERTYPE_IPV4.to_be_bytes(), &ip, &tcp].concat()
}

const SEGMENT: usize = 100;
const PATIENCE: Duration = Duration::from_secs(1);
