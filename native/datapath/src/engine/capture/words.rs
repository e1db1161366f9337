//! What a record says, in words for people and as pairs for programs.

use std::fmt::{self, Display, Write};

use super::names::Names;
use super::record::{Fate, Form, Place, Record};
use crate::counter::DropReason;
use crate::switch::{FloodClass, Origin, PortId};
use crate::wire::ethernet::Ethernet;
use crate::wire::mac::MacAddr;
use crate::wire::vxlan;

/// All that the words of a packet depend on, beside what ports are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Facts {
    place: Place,
    from: Option<PortId>,
    is_outbound: bool,
    fate: Fate,
    frames: u32,
    destination: Option<MacAddr>,
}

/// The words of the facts that were told last: packets of a flow have the same, and making words costs more than all
/// else about a packet.
#[derive(Default)]
pub(super) struct Phrases {
    known: Vec<(Facts, Phrase)>,
    /// The one that the next new one takes the place of.
    next: usize,
}

/// What is said of a packet.
#[derive(Default)]
pub(super) struct Phrase {
    /// What became of it, and why.
    pub(super) comment: String,
    /// The custom option: `vswitchd ` and pairs `key=value` with one space between.
    pub(super) pairs: String,
}

impl Phrases {
    /// To be called when ports are called otherwise.
    pub(super) fn forget(&mut self) {
        self.known.clear();
        self.next = 0;
    }

    /// The words of `told`.
    pub(super) fn of(&mut self, told: &Told<'_>) -> &Phrase {
        let facts = told.facts();
        let known = self.known.iter().position(|(known, _)| *known == facts);
        let at = known.unwrap_or_else(|| self.add(facts, told));
        &self.known[at].1
    }

    fn add(&mut self, facts: Facts, told: &Told<'_>) -> usize {
        let at = self.next;
        if at == self.known.len() {
            self.known.push((facts, Phrase::default()));
        }
        self.next = (at + 1) % PHRASES;
        let (known, phrase) = &mut self.known[at];
        *known = facts;
        told.comment(&mut phrase.comment);
        told.pairs(&mut phrase.pairs);
        at
    }
}

/// A record about to be told: its bytes, and what ports are called.
pub(super) struct Told<'a> {
    pub(super) record: &'a Record,
    /// As kept, from where its form begins.
    pub(super) bytes: &'a [u8],
    pub(super) names: &'a Names,
}

impl Told<'_> {
    /// The comment: what became of it, and why.
    fn comment(&self, out: &mut String) {
        out.clear();
        // Writing to a string cannot fail.
        let _ = self.sentence(out);
    }

    /// The custom option: `vswitchd ` and pairs `key=value` with one space between.
    fn pairs(&self, out: &mut String) {
        out.clear();
        let _ = self.write_pairs(out);
    }

    fn facts(&self) -> Facts {
        Facts {
            place: self.record.place,
            from: self.record.mark.from,
            is_outbound: self.record.is_outbound,
            fate: self.record.fate,
            frames: self.record.frames,
            destination: self.destination(),
        }
    }

    fn sentence(&self, out: &mut String) -> fmt::Result {
        let Record {
            mark,
            fate,
            frames,
            is_outbound,
            ..
        } = *self.record;
        match fate {
            Fate::To { port, origin } => {
                write!(out, "to {}", self.way(port))?;
                if let Some(mac) = self.destination() {
                    match origin {
                        Some(origin) => {
                            write!(out, ": FDB entry of {mac}, origin {}", origin_name(origin))?;
                        }
                        None => write!(out, ": FDB entry of {mac}, gone since")?,
                    }
                }
            }
            Fate::Flood { class, copies } => {
                let ports = if copies == 1 { "port" } else { "ports" };
                write!(out, "flood ({}) to {copies} {ports}", class_name(class))?;
            }
            Fate::Consumed => {
                out.write_str("consumed: it is for this host, or nobody else is to get it")?
            }
            Fate::Answered(note) => {
                write!(out, "answered here, {}: {}", note.name(), note.sentence())?
            }
            Fate::Sent { limit } => {
                out.write_str("sent")?;
                if let Some(limit) = limit {
                    write!(out, "; the path carries IP packets of {limit} bytes")?;
                }
            }
            Fate::Dropped { reason, limit } => {
                write!(out, "drop {}: {}", reason.name(), reason.sentence())?;
                if let Some(limit) = limit {
                    match reason {
                        DropReason::PortOversize | DropReason::PortMtu => {
                            write!(out, " It takes packets of {limit} bytes.")?;
                        }
                        _ => write!(
                            out,
                            " The path to {} carries IP packets of {limit} bytes.",
                            self.here()
                        )?,
                    }
                }
            }
        }
        if is_outbound {
            match mark.from {
                Some(from) => write!(out, "; came from {}", self.way(from))?,
                None => out.write_str("; made by this host")?,
            }
        }
        if frames > 1 {
            write!(out, "; {frames} frames")?;
        }
        Ok(())
    }

    fn write_pairs(&self, out: &mut String) -> fmt::Result {
        let Record {
            mark,
            fate,
            frames,
            is_outbound,
            ..
        } = *self.record;
        write!(out, "vswitchd at={}", self.here())?;
        match fate {
            Fate::To { port, origin } => {
                write!(out, " verdict=to to={}", self.name(port))?;
                if let Some(mac) = self.destination() {
                    write!(out, " mac={mac}")?;
                }
                if let Some(origin) = origin {
                    write!(out, " origin={}", origin_name(origin))?;
                }
            }
            Fate::Flood { class, copies } => {
                write!(
                    out,
                    " verdict=flood class={} copies={copies}",
                    class_key(class)
                )?;
            }
            Fate::Consumed => out.write_str(" verdict=consumed")?,
            Fate::Answered(note) => write!(out, " verdict=consumed note={}", note.name())?,
            Fate::Sent { limit } => {
                out.write_str(" verdict=sent")?;
                if let Some(limit) = limit {
                    write!(out, " mtu={limit}")?;
                }
            }
            Fate::Dropped { reason, limit } => {
                write!(out, " verdict=drop reason={}", reason.name())?;
                if let Some(limit) = limit {
                    write!(out, " mtu={limit}")?;
                }
            }
        }
        match mark.from {
            Some(from) if is_outbound => write!(out, " from={}", self.name(from))?,
            None if is_outbound => out.write_str(" from=host")?,
            _ => {}
        }
        write!(out, " frames={frames}")
    }

    /// Where it was seen.
    fn here(&self) -> Here<'_> {
        match self.record.place {
            Place::Port(id) => Here::Port(self.name(id)),
            Place::Underlay => Here::Underlay,
        }
    }

    fn name(&self, id: PortId) -> Name<'_> {
        Name {
            names: self.names,
            id,
        }
    }

    fn way(&self, id: PortId) -> impl Display {
        Way(self.name(id))
    }

    fn destination(&self) -> Option<MacAddr> {
        let skipped = match self.record.form {
            Form::Frame => 0,
            Form::Datagram(_) => vxlan::HEADER_LEN,
            Form::Packet => return None,
        };
        Ethernet::new(self.bytes.get(skipped..)?).map(|ethernet| ethernet.dst())
    }
}

/// What a port is called.
struct Name<'a> {
    names: &'a Names,
    id: PortId,
}

impl Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.names.port(self.id) {
            Some(name) => f.write_str(&name.port),
            None => write!(f, "#{}", self.id.get()),
        }
    }
}

/// The same, with what it is.
struct Way<'a>(Name<'a>);

impl Display for Way<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.0.names.port(self.0.id);
        let is_tunnel = name.is_some_and(|name| name.is_tunnel);
        f.write_str(if is_tunnel { "tunnel " } else { "port " })?;
        self.0.fmt(f)
    }
}

enum Here<'a> {
    Port(Name<'a>),
    Underlay,
}

impl Display for Here<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(name) => name.fmt(f),
            Self::Underlay => f.write_str("underlay"),
        }
    }
}

fn origin_name(origin: Origin) -> &'static str {
    match origin {
        Origin::Learned => "learned",
        Origin::Static => "static",
        Origin::Control => "control",
    }
}

fn class_name(class: FloodClass) -> &'static str {
    match class {
        FloodClass::Broadcast => "broadcast",
        FloodClass::Multicast => "multicast",
        FloodClass::UnknownUnicast => "unknown unicast",
        FloodClass::BroadcastHere => "broadcast, kept on this host",
        FloodClass::MulticastHere => "multicast, kept on this host",
    }
}

fn class_key(class: FloodClass) -> &'static str {
    match class {
        FloodClass::Broadcast => "broadcast",
        FloodClass::Multicast => "multicast",
        FloodClass::UnknownUnicast => "unknown-unicast",
        FloodClass::BroadcastHere => "broadcast-here",
        FloodClass::MulticastHere => "multicast-here",
    }
}

/// Beyond a few flows looking them through costs more than making words.
const PHRASES: usize = 16;

#[cfg(test)]
mod tests {
    use super::super::record::Mark;
    use super::*;

    #[test]
    fn phrases_are_those_of_the_packet_however_many_there_are() {
        let names = Names::default();
        let mut phrases = Phrases::default();
        let frame = |last: u8| [[2, 0, 0, 0, 0, last].as_slice(), &[0; 54]].concat();
        // Fewer than are kept, all of them, and more; each twice.
        for n in [3, 16, 40, 3].into_iter().flat_map(|n| (0..n).chain(0..n)) {
            let bytes = frame(n);
            let record = Record {
                at: 0,
                mark: Mark::NONE,
                place: Place::Port(PortId::new(u16::from(n % 5))),
                is_outbound: n % 2 == 1,
                form: Form::Frame,
                fate: Fate::To {
                    port: PortId::new(9),
                    origin: Some(Origin::Learned),
                },
                frames: u32::from(n / 2),
                len: 60,
                kept: 60,
            };
            let told = Told {
                record: &record,
                bytes: &bytes,
                names: &names,
            };
            let (mut comment, mut pairs) = (String::new(), String::new());
            told.comment(&mut comment);
            told.pairs(&mut pairs);
            let phrase = phrases.of(&told);
            assert_eq!((&phrase.comment, &phrase.pairs), (&comment, &pairs));
            assert!(
                comment.contains(&format!("02:00:00:00:00:{n:02x}")),
                "{comment}"
            );
        }
    }
}
