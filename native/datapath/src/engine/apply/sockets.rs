//! The underlay's sockets: what is open and still wanted is carried over, the rest is opened.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::config::{Desired, GroupSpec, UnderlayPath};
use crate::engine::injection::Injection;
use crate::engine::tapped::{TappedRing, has_ipsec};
use crate::engine::topology::{Group, Receiver, Underlay};
use crate::error::{Error, ErrorCode};
use crate::io::memory::MemoryUnderlay;
use crate::io::underlay::inject::InjectorSpec;
use crate::io::underlay::ring::{Place, place};
use crate::io::underlay::{
    MulticastSpec, RingSpec, RxSocket, RxSpec, TxPool, TxSpec, has_recvmmsg, has_sendmmsg,
};

/// The underlay for `desired`. Touches nothing of `old`. What was asked for and cannot be is told to `refused`, and done
/// without.
pub(super) fn open(
    desired: &Desired,
    old: Option<&Underlay>,
    workers: usize,
    refused: &mut dyn FnMut(Error),
) -> Result<Underlay, Error> {
    if desired.vtep.memory {
        return Ok(match old {
            Some(underlay @ Underlay::Memory(_)) => underlay.clone(),
            _ => Underlay::Memory(Arc::new(MemoryUnderlay::new(MEMORY_DATAGRAMS)?)),
        });
    }
    let (old_receivers, old_senders, old_injection) = match old {
        Some(Underlay::Udp {
            receivers,
            senders,
            injection,
        }) => (receivers.as_slice(), Some(senders), injection.as_ref()),
        _ => (&[][..], None, None),
    };
    let place = tapped_place(desired, refused);
    let mut receivers: Vec<Receiver> = Vec::new();
    for network in &desired.networks {
        for group in [None, network.group.as_ref()] {
            let group = group.map(Group::from);
            let same = |r: &&Receiver| r.udp_port == network.udp_port && r.group == group;
            if receivers.iter().any(|r| same(&r)) {
                continue;
            }
            let mut receiver = match old_receivers.iter().find(same) {
                Some(receiver) => receiver.clone(),
                None => receiver(desired, network.udp_port, group, workers)?,
            };
            receiver.ring = match (&place, &receiver.group) {
                (Some(place), None) => tap(desired, place, &receiver, refused),
                _ => None,
            };
            receivers.push(receiver);
        }
    }
    let senders = match old_senders {
        Some(senders) => senders.clone(),
        None => Arc::new(senders(desired)?),
    };
    let place = place.filter(|_| desired.engine.underlay == UnderlayPath::TunnelGso);
    let injection = place.and_then(|place| injection(desired, &place, old_injection, refused));
    Ok(Underlay::Udp {
        receivers,
        senders,
        injection,
    })
}

/// Sends multicast as the networks' groups want it. Touches sockets that are in use: to be done last.
pub(super) fn choose_multicast(desired: &Desired, underlay: &Underlay) -> Result<(), Error> {
    let group = desired.networks.iter().find_map(|n| n.group.as_ref());
    match (underlay, group) {
        (Underlay::Udp { senders, .. }, Some(GroupSpec { interface, ttl, .. })) => senders
            .use_multicast(&MulticastSpec {
                interface: interface.clone(),
                ttl: *ttl,
            }),
        _ => Ok(()),
    }
}

/// Where packet rings belong, if they are wanted.
fn tapped_place(desired: &Desired, refused: &mut dyn FnMut(Error)) -> Option<Place> {
    let vtep = &desired.vtep;
    if desired.engine.underlay == UnderlayPath::Udp {
        return None;
    }
    if has_ipsec() {
        refused(
            Error::new(ErrorCode::NoRing, vtep.address.to_string())
                .with_detail("the host has IPsec policies, which a ring would pass by"),
        );
        return None;
    }
    place(vtep.address, vtep.scope_interface.as_deref())
        .map_err(refused)
        .ok()
}

/// The packet ring of a receiver: the one that it has, if that is where it should be, or a new one.
fn tap(
    desired: &Desired,
    place: &Place,
    receiver: &Receiver,
    refused: &mut dyn FnMut(Error),
) -> Option<Arc<TappedRing>> {
    let spec = RingSpec {
        local: SocketAddr::new(desired.vtep.address, receiver.udp_port),
        ifindex: place.ifindex,
        slots: place.slots,
    };
    match &receiver.ring {
        Some(ring) if ring.serves(&spec) => Some(ring.clone()),
        _ => TappedRing::open(spec).map(Arc::new).map_err(refused).ok(),
    }
}

/// The injector: the one that there is, if it is as it should be, or a new one.
fn injection(
    desired: &Desired,
    place: &Place,
    old: Option<&Arc<Injection>>,
    refused: &mut dyn FnMut(Error),
) -> Option<Arc<Injection>> {
    let spec = InjectorSpec {
        local: desired.vtep.address,
        ifindex: place.ifindex,
        ttl: desired.vtep.ttl,
    };
    match old {
        Some(injection) if injection.spec() == spec => Some(injection.clone()),
        _ => Injection::open(spec, place)
            .map(Arc::new)
            .map_err(refused)
            .ok(),
    }
}

fn senders(desired: &Desired) -> Result<TxPool, Error> {
    let vtep = &desired.vtep;
    TxPool::open(&TxSpec {
        local: vtep.address,
        scope: vtep.scope_interface.clone(),
        ports: vtep.source_ports.clone(),
        pool: vtep.source_port_pool,
        ttl: vtep.ttl,
        fragment: vtep.allow_outer_fragmentation,
        checksum: vtep.udp_checksum,
        gso: desired.engine.features.udp_gso,
        sendmmsg: desired.engine.features.sendmmsg && has_sendmmsg(),
    })
}

fn receiver(
    desired: &Desired,
    udp_port: u16,
    group: Option<Group>,
    workers: usize,
) -> Result<Receiver, Error> {
    let features = desired.engine.features;
    let address = group.as_ref().map_or(desired.vtep.address, |g| g.address);
    let scope = match &group {
        Some(group) => Some(group.interface.clone()).filter(|_| is_scoped(group.address)),
        None => desired.vtep.scope_interface.clone(),
    };
    let spec = RxSpec {
        local: SocketAddr::new(address, udp_port),
        scope,
        // One multicast copy per host is wanted, so a group has one socket.
        reuse_port: workers > 1 && group.is_none(),
        // Without offload headers on the way out a merge is of no use, and what came merged cannot be judged (`vouch`).
        gro: features.udp_gro && features.vnet_hdr,
        recvmmsg: features.recvmmsg && has_recvmmsg(),
        receive_buffer: RECEIVE_BUFFER,
    };
    let count = if group.is_some() { 1 } else { workers };
    let sockets = (0..count).map(|_| {
        let socket = RxSocket::open(&spec)?;
        if let Some(group) = &group {
            socket.join(group.address, &group.interface)?;
        }
        Ok(Arc::new(socket))
    });
    let sockets = sockets.collect::<Result<_, Error>>()?;
    Ok(Receiver::new(udp_port, group, sockets))
}

/// Whether the address means nothing without an interface (RFC 4007).
fn is_scoped(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        // ff01:: and ff02::
        IpAddr::V6(v6) => v6.segments()[0] & 0xff0f <= 0xff02 && v6.is_multicast(),
    }
}

const MEMORY_DATAGRAMS: usize = 65_536;
/// Measured: the usual default of 208 KB costs half of the throughput in retransmissions, 8 MB none.
const RECEIVE_BUFFER: usize = 8 * 1024 * 1024;
