//! The way that one frame would take at this moment, decision by decision, without sending, learning, counting or using up
//! anything. Any thread, on the picture as it is; the workers are not disturbed.
//!
//! Nothing is decided here: each decision is asked of the function that the workers ask, which is why those are apart from
//! what the workers do about it. What only the kernel can say (a full socket, a refused route) is not foreseen, nor what the
//! offload header of a TAP's superframe says: a traced frame comes finished.

mod step;
mod way_out;

pub use step::{Ending, Entrance, Kind, Outcome, Step, Trace, TracedCopy, TracedOuter};

use std::net::IpAddr;
use std::sync::Arc;

use super::apply::PortIds;
use super::arrival::Arrival;
use super::decap::{Sitting, check_datagram, check_frame, check_reserved};
use super::keeper::key_of;
use super::outbox::MAX_FRAME;
use super::strangers::check_stranger;
use super::too_big::is_oversize;
use super::topology::{Network, Port, PortIo, Topology};
use crate::counter::DropReason;
use crate::error::{Error, ErrorCode};
use crate::switch::Admission;
use crate::wire::ecn::{self, Ecn};
use crate::wire::ethernet::{self, Ethernet};
use crate::wire::vxlan;

/// The way of `bytes`: a frame, or a datagram's VXLAN header and frame. Errors: `BAD_VALUE` if no such port is there, or the
/// bytes are more than any can be. `now_us` is of the clock of the token buckets.
pub(super) fn trace(
    topology: &Topology,
    entrance: &Entrance,
    bytes: &[u8],
    now_us: u64,
) -> Result<Trace, Error> {
    if bytes.len() > MAX_FRAME {
        let error = Error::new(ErrorCode::BadValue, "trace");
        return Err(error.with_detail("the frame is too long"));
    }
    let mut tracer = Tracer {
        now_us,
        network: None,
        steps: Vec::new(),
        copies: Vec::new(),
    };
    let ended = match entrance {
        Entrance::Port(name) => {
            let mut ports = topology.present_ports();
            let same = |p: &&Port| *p.name == **name && !matches!(p.io, PortIo::Tunnel(_));
            let port = ports.find(same).ok_or_else(|| {
                let error = Error::new(ErrorCode::BadValue, format!("port {name}"));
                error.with_detail("no such port is running")
            })?;
            tracer.frame_from_port(topology, port, bytes.to_vec())
        }
        Entrance::Datagram {
            source,
            udp_port,
            tos,
        } => {
            let mut arrival = Arrival::of(*source, *udp_port);
            arrival.tos = *tos;
            tracer.datagram(topology, &arrival, bytes)
        }
    };
    Ok(Trace {
        network: tracer.network,
        steps: tracer.steps,
        ending: ended.unwrap_or_else(|ending| ending),
        copies: tracer.copies,
    })
}

/// A frame on its way, and what was decided so far.
struct Tracer {
    now_us: u64,
    network: Option<Arc<str>>,
    steps: Vec<Step>,
    copies: Vec<TracedCopy>,
}

/// What goes on, or how the way has ended.
type Way<T> = Result<T, Ending>;

impl Tracer {
    fn frame_from_port(&mut self, topology: &Topology, port: &Port, frame: Vec<u8>) -> Way<Ending> {
        self.note(Step {
            port: Some(port.name.clone()),
            length: Some(frame.len() as u32),
            ..Step::new(Kind::Enters)
        });
        let network = &topology.networks[port.network];
        self.look_at(network, DropReason::NetworkDown)?;
        let step = frame_step(&frame);
        let ethernet = Ethernet::new(&frame);
        ethernet.ok_or_else(|| self.refuse(step, DropReason::TooShortInner))?;
        let frame = self.admit(network, frame)?;
        let step = frame_step(&frame);
        let ethernet = Ethernet::new(&frame);
        let ethernet = ethernet.ok_or_else(|| self.refuse(step, DropReason::TooShortInner))?;
        if let Some(guard) = &port.guard {
            let step = Step {
                port: Some(port.name.clone()),
                mac: Some(ethernet.src()),
                ..Step::new(Kind::Guard)
            };
            match guard.check(&ethernet) {
                Ok(()) => self.note(step.came_to(Outcome::Allowed)),
                Err(reason) => return Err(self.refuse(step, reason)),
            }
        }
        if is_oversize(port, frame.len(), &ethernet) {
            let mtu = port.io.mtu().unwrap_or(0);
            let (_, note) = self.told(port, &frame, mtu);
            let step = Step {
                port: Some(port.name.clone()),
                length: Some((frame.len() - ethernet.network().1) as u32),
                mtu: Some(mtu as u32),
                note,
                ..Step::new(Kind::Size)
            };
            return Err(self.refuse(step, DropReason::PortOversize));
        }
        self.forward(topology, port, frame)
    }

    fn datagram(&mut self, topology: &Topology, arrival: &Arrival, bytes: &[u8]) -> Way<Ending> {
        let remote = arrival.source.ip();
        let step = Step {
            remote: Some(remote),
            length: Some(bytes.len() as u32),
            ..Step::new(Kind::Datagram)
        };
        let header = match check_datagram(topology, arrival, bytes) {
            Ok(header) => header,
            Err(reason) => return Err(self.refuse(step, reason)),
        };
        self.note(step.came_to(Outcome::Vxlan));
        let mut sitting = Sitting::new(topology, 0);
        let Some(network) = sitting.network(arrival, header.vni()) else {
            let reason = DropReason::VniUnknown;
            self.note(Step {
                vni: Some(header.vni()),
                reason: Some(reason),
                ..Step::new(Kind::Network).came_to(Outcome::Unknown)
            });
            return Err(Ending::Drop(reason));
        };
        self.look_at(network, DropReason::VniDown)?;
        if let Some(tunnel) = sitting.tunnel(network, arrival) {
            self.note(sender_step(remote, tunnel).came_to(Outcome::Peer));
            return self.frame_from_tunnel(topology, tunnel, (Ecn::of(arrival.tos), header, bytes));
        }
        let frame = &bytes[vxlan::HEADER_LEN..];
        if let Err(reason) = check_stranger(topology, network, arrival, frame) {
            let step = Step {
                remote: Some(remote),
                ..Step::new(Kind::Sender)
            };
            return Err(self.refuse(step, reason));
        }
        self.as_if_known(topology, network, arrival, (header, bytes))
    }

    /// Goes on in the picture in which the sender has its tunnel.
    fn as_if_known(
        &mut self,
        topology: &Topology,
        network: &Network,
        arrival: &Arrival,
        (header, bytes): (vxlan::Header, &[u8]),
    ) -> Way<Ending> {
        let remote = arrival.source.ip();
        let key = key_of(&network.spec, remote);
        let name = &network.spec.name;
        let then = topology.with_learned(name, key, &mut PortIds::default(), 1);
        let found = then.as_ref().and_then(|then| {
            let mut sitting = Sitting::new(then, 0);
            let network = sitting.network(arrival, header.vni())?;
            Some((then, sitting.tunnel(network, arrival)?))
        });
        // It cannot be: the network is there and does not know the sender.
        let Some((then, tunnel)) = found else {
            return Err(Ending::Drop(DropReason::VtepLimit));
        };
        self.note(sender_step(remote, tunnel).came_to(Outcome::New));
        self.frame_from_tunnel(then, tunnel, (Ecn::of(arrival.tos), header, bytes))
    }

    fn frame_from_tunnel(
        &mut self,
        topology: &Topology,
        tunnel: &Port,
        (outer_ecn, header, bytes): (Ecn, vxlan::Header, &[u8]),
    ) -> Way<Ending> {
        let network = &topology.networks[tunnel.network];
        let step = Step {
            detail: Some(format!("{:016x}", header.reserved())),
            ..Step::new(Kind::Reserved)
        };
        match check_reserved(header.reserved(), network.spec.reserved_bits) {
            Ok(true) => {}
            Ok(false) => self.note(step.came_to(Outcome::Ignored)),
            Err(reason) => return Err(self.refuse(step, reason)),
        }
        let frame = bytes[vxlan::HEADER_LEN..].to_vec();
        if let Err(reason) = check_frame(&frame) {
            return Err(self.refuse(frame_step(&frame), reason));
        }
        let mut frame = self.admit(network, frame)?;
        if outer_ecn != Ecn::NotEct {
            self.propagate_congestion(outer_ecn, &mut frame)?;
        }
        self.forward(topology, tunnel, frame)
    }

    /// Whether the network is up; `down` is the reason if it is not.
    fn look_at(&mut self, network: &Network, down: DropReason) -> Way<()> {
        self.network = Some(network.name.clone());
        let step = Step {
            vni: Some(network.spec.vni),
            ..Step::new(Kind::Network)
        };
        if network.spec.up {
            self.note(step.came_to(Outcome::Up));
            return Ok(());
        }
        self.note(Step {
            reason: Some(down),
            ..step.came_to(Outcome::Down)
        });
        Err(Ending::Drop(down))
    }

    fn admit(&mut self, network: &Network, mut frame: Vec<u8>) -> Way<Vec<u8>> {
        let Some(ethernet) = Ethernet::new(&frame) else {
            return Err(self.refuse(frame_step(&frame), DropReason::TooShortInner));
        };
        let tag = ethernet.tag();
        let step = Step {
            vid: tag.map(|tag| tag.vid),
            ..Step::new(Kind::Vlan)
        };
        match network.bridge.admit(&ethernet) {
            Ok(Admission::AsIs) if tag.is_none() => {}
            Ok(Admission::AsIs) => self.note(step.came_to(Outcome::Kept)),
            Ok(Admission::StripTag) => {
                ethernet::strip_tag(&mut frame);
                frame.drain(..ethernet::TAG_LEN);
                self.note(step.came_to(Outcome::Stripped));
            }
            Err(reason @ DropReason::TooShortInner) => {
                return Err(self.refuse(frame_step(&frame), reason));
            }
            Err(reason) => return Err(self.refuse(step, reason)),
        }
        Ok(frame)
    }

    fn propagate_congestion(&mut self, outer: Ecn, frame: &mut [u8]) -> Way<()> {
        let step = Step {
            detail: Some(outer.to_string()),
            ..Step::new(Kind::Congestion)
        };
        let Some(crossing) = ecn::propagate(frame, outer) else {
            self.note(step.came_to(Outcome::NotIp));
            return Ok(());
        };
        let step = Step {
            from: Some(crossing.inner.to_string()),
            ..step
        };
        match crossing.becomes {
            Some(ecn) if ecn == crossing.inner => self.note(step.came_to(Outcome::Unchanged)),
            Some(_) => self.note(step.came_to(Outcome::Marked)),
            None => return Err(self.refuse(step, DropReason::EcnCeNotect)),
        }
        Ok(())
    }

    fn note(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// The end, at this step.
    fn refuse(&mut self, step: Step, reason: DropReason) -> Ending {
        self.note(Step {
            reason: Some(reason),
            ..step.came_to(Outcome::Dropped)
        });
        Ending::Drop(reason)
    }
}

fn frame_step(frame: &[u8]) -> Step {
    Step {
        length: Some(frame.len() as u32),
        ..Step::new(Kind::Frame)
    }
}

fn sender_step(remote: IpAddr, tunnel: &Port) -> Step {
    Step {
        remote: Some(remote),
        port: Some(tunnel.name.clone()),
        ..Step::new(Kind::Sender)
    }
}
