use super::*;
use crate::wire::checksum::Sum;
use crate::wire::ethernet::{TPID_CUSTOMER, TPID_SERVICE};
use crate::wire::nd::ALL_NODES;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

const OWN: MacAddr = MacAddr([2, 0x42, 10, 0, 0, 1]);
const SECOND: MacAddr = MacAddr([2, 0, 0, 0, 0, 9]);
const FOREIGN: MacAddr = MacAddr([2, 0x42, 10, 0, 0, 2]);
const OWN_V4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const FOREIGN_V4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const OWN_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
const FOREIGN_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2);
/// As the kernel makes them of `OWN` and `FOREIGN`.
const OWN_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0x0042, 0x0aff, 0xfe00, 1);
const FOREIGN_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0x0042, 0x0aff, 0xfe00, 2);

const UDP: u8 = 17;
const ICMPV6: u8 = 58;
const ESP: u8 = 50;

fn guard() -> Guard {
    Guard::new(&GuardSpec {
        macs: vec![OWN, SECOND],
        addresses: vec![OWN_V4.into(), OWN_V6.into()],
    })
}

fn check(frame: &[u8]) -> Result<(), DropReason> {
    guard().check(&Ethernet::new(frame).unwrap())
}

/// Which piece of a packet it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    Whole,
    First,
    Later,
}

impl Piece {
    /// Offset in units of 8 bytes, and whether more follow.
    fn place(self) -> (u16, bool) {
        match self {
            Self::Whole => (0, false),
            Self::First => (0, true),
            Self::Later => (100, false),
        }
    }
}

fn ethernet(src: MacAddr, tags: &[u16], ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = [MacAddr::BROADCAST.0, src.0].concat();
    for tpid in tags {
        frame.extend([tpid.to_be_bytes(), [0, 7]].concat());
    }
    frame.extend(ethertype.to_be_bytes());
    frame.extend(payload);
    frame
}

fn arp_packet(operation: u16, sender_mac: MacAddr, sender_ip: Ipv4Addr) -> Vec<u8> {
    let arp = Arp {
        operation,
        sender_mac,
        sender_ip,
        target_mac: MacAddr::ZERO,
        target_ip: FOREIGN_V4,
    };
    arp.emit().to_vec()
}

fn v4(src: Ipv4Addr, protocol: u8, piece: Piece, payload: &[u8]) -> Vec<u8> {
    let (offset, more) = piece.place();
    let mut packet = vec![0x45, 0, 0, (20 + payload.len()) as u8, 0, 1];
    packet.extend((offset | u16::from(more) << 13).to_be_bytes());
    packet.extend([64, protocol, 0, 0]);
    packet.extend(src.octets());
    packet.extend([255, 255, 255, 255]);
    packet.extend(payload);
    packet
}

/// With these extension headers, 8 bytes each, before the payload.
fn v6(
    src: Ipv6Addr,
    dst: Ipv6Addr,
    extensions: &[(u8, [u8; 8])],
    last: u8,
    payload: &[u8],
) -> Vec<u8> {
    let len = 8 * extensions.len() + payload.len();
    let mut chain: Vec<u8> = extensions.iter().map(|e| e.0).collect();
    chain.push(last);
    let mut packet = vec![0x60, 0, 0, 0, 0, len as u8, chain[0], 255];
    packet.extend(src.octets());
    packet.extend(dst.octets());
    for ((_, bytes), next) in extensions.iter().zip(&chain[1..]) {
        packet.push(*next);
        packet.extend(&bytes[1..]);
    }
    packet.extend(payload);
    packet
}

fn fragment_header(piece: Piece) -> (u8, [u8; 8]) {
    let (offset, more) = piece.place();
    let [high, low] = (offset << 3 | u16::from(more)).to_be_bytes();
    (ipv6::FRAGMENT, [0, 0, high, low, 0, 0, 0, 1])
}

const OPTIONS: (u8, [u8; 8]) = (60, [0, 0, 1, 4, 0, 0, 0, 0]);

fn udp_datagram(source: u16, destination: u16) -> Vec<u8> {
    let fields = [source, destination, 12, 0];
    let header = fields.iter().flat_map(|f| f.to_be_bytes());
    header.chain([1, 2, 3, 4]).collect()
}

/// With a right checksum.
fn icmpv6(src: Ipv6Addr, dst: Ipv6Addr, kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![kind, 0, 0, 0];
    message.extend(body);
    let addresses = [src.octets(), dst.octets()].concat();
    let sum = Sum::pseudo_header(&addresses, ICMPV6, message.len()) + Sum::of(&message);
    message[2..4].copy_from_slice(&sum.checksum().to_be_bytes());
    v6(src, dst, &[], ICMPV6, &message)
}

fn solicited_node(target: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = target.octets();
    Ipv6Addr::from(0xff02_u128 << 112 | 0x1_ff << 24 | u128::from(u32::from_be_bytes([0, a, b, c])))
}

/// A solicitation (135) or advertisement (136).
fn neighbor(kind: u8, src: Ipv6Addr, target: Ipv6Addr, mac: Option<MacAddr>) -> Vec<u8> {
    let mut body = vec![0; 4];
    body.extend(target.octets());
    if let Some(mac) = mac {
        body.extend([kind - 134, 1]);
        body.extend(mac.0);
    }
    let dst = match kind {
        135 => solicited_node(target),
        _ => ALL_NODES,
    };
    icmpv6(src, dst, kind, &body)
}

/// What a sender says, as words; the oracle reads these, the guard their bytes.
#[derive(Debug, Clone)]
enum Says {
    Arp {
        operation: u16,
        mac: MacAddr,
        ip: Ipv4Addr,
    },
    Udp4 {
        src: Ipv4Addr,
        ports: (u16, u16),
        piece: Piece,
    },
    Other4 {
        src: Ipv4Addr,
    },
    Udp6 {
        src: Ipv6Addr,
        source: u16,
        piece: Piece,
        hides: bool,
    },
    Other6 {
        src: Ipv6Addr,
    },
    Neighbor {
        kind: u8,
        src: Ipv6Addr,
        target: Ipv6Addr,
        mac: Option<MacAddr>,
    },
    Icmp6 {
        kind: u8,
        src: Ipv6Addr,
    },
    NoIp {
        ethertype: u16,
    },
}

impl Says {
    fn bytes(&self) -> (u16, Vec<u8>) {
        match *self {
            Self::Arp { operation, mac, ip } => (0x0806, arp_packet(operation, mac, ip)),
            Self::Udp4 { src, ports, piece } => {
                let datagram = udp_datagram(ports.0, ports.1);
                (0x0800, v4(src, UDP, piece, &datagram))
            }
            Self::Other4 { src } => (0x0800, v4(src, ESP, Piece::Whole, &udp_datagram(67, 68))),
            Self::Udp6 {
                src,
                source,
                piece,
                hides,
            } => {
                let mut extensions = vec![OPTIONS, fragment_header(piece)];
                if hides {
                    extensions.push(OPTIONS);
                }
                let datagram = udp_datagram(source, 546);
                (0x86dd, v6(src, ALL_NODES, &extensions, UDP, &datagram))
            }
            Self::Other6 { src } => {
                let payload = udp_datagram(547, 546);
                (0x86dd, v6(src, ALL_NODES, &[OPTIONS], ESP, &payload))
            }
            Self::Neighbor {
                kind,
                src,
                target,
                mac,
            } => (0x86dd, neighbor(kind, src, target, mac)),
            Self::Icmp6 { kind, src } => (0x86dd, icmpv6(src, ALL_NODES, kind, &[0; 20])),
            Self::NoIp { ethertype } => (ethertype, vec![0; 46]),
        }
    }

    /// The rules of [`Guard::check`], sentence by sentence.
    fn verdict(&self) -> Result<(), DropReason> {
        let no = |is_forged: bool, reason| if is_forged { Err(reason) } else { Ok(()) };
        let forged = |is_forged| no(is_forged, DropReason::SpoofIp);
        let foreign_v6 = |ip| ![OWN_V6, OWN_LOCAL].contains(&ip);
        match *self {
            Self::Arp { operation, mac, ip } => {
                let is_probe = ip.is_unspecified() && operation == 1;
                forged(mac == FOREIGN || (ip != OWN_V4 && !is_probe))
            }
            Self::Udp4 { src, ports, piece } => {
                let is_read = piece != Piece::Later;
                let is_boot = src.is_unspecified() && is_read && ports == (68, 67);
                forged(src != OWN_V4 && !is_boot)?;
                no(is_read && ports.0 == 67, DropReason::DhcpGuard)
            }
            Self::Other4 { src } => forged(src != OWN_V4),
            Self::Udp6 {
                src,
                source,
                piece,
                hides,
            } => {
                forged(foreign_v6(src) || (hides && piece == Piece::First))?;
                no(
                    piece != Piece::Later && source == 547,
                    DropReason::DhcpGuard,
                )
            }
            Self::Other6 { src } => forged(foreign_v6(src)),
            Self::Neighbor {
                kind,
                src,
                target,
                mac,
            } => {
                forged(foreign_v6(src) && !src.is_unspecified())?;
                let is_dad = kind == 135 && src.is_unspecified();
                forged(is_dad && mac.is_some())?;
                forged(kind == 136 && src.is_unspecified())?;
                forged((is_dad || kind == 136) && foreign_v6(target))?;
                forged(mac == Some(FOREIGN))
            }
            Self::Icmp6 { kind, src } => {
                forged(foreign_v6(src) && !src.is_unspecified())?;
                no([134, 137].contains(&kind), DropReason::RaGuard)?;
                forged(src.is_unspecified() && ![131, 132, 143].contains(&kind))
            }
            Self::NoIp { .. } => Ok(()),
        }
    }
}

fn any_mac() -> impl Strategy<Value = MacAddr> {
    select(vec![OWN, OWN, SECOND, FOREIGN])
}

fn any_v4() -> impl Strategy<Value = Ipv4Addr> {
    select(vec![OWN_V4, OWN_V4, FOREIGN_V4, Ipv4Addr::UNSPECIFIED])
}

fn any_v6() -> impl Strategy<Value = Ipv6Addr> {
    let unspecified = Ipv6Addr::UNSPECIFIED;
    select(vec![
        OWN_V6,
        OWN_LOCAL,
        FOREIGN_V6,
        FOREIGN_LOCAL,
        unspecified,
    ])
}

fn any_piece() -> impl Strategy<Value = Piece> {
    select(vec![Piece::Whole, Piece::First, Piece::Later])
}

fn any_says() -> impl Strategy<Value = Says> {
    let ports = select(vec![67_u16, 68, 53]);
    let arp = (1_u16..4, any_mac(), any_v4());
    let udp4 = (any_v4(), (ports.clone(), ports), any_piece());
    let udp6 = (
        any_v6(),
        select(vec![547_u16, 546]),
        any_piece(),
        any::<bool>(),
    );
    let nd = (
        select(vec![135_u8, 136]),
        any_v6(),
        any_v6().prop_filter("a target", |t| !t.is_unspecified()),
        proptest::option::of(any_mac()),
    );
    prop_oneof![
        arp.prop_map(|(operation, mac, ip)| Says::Arp { operation, mac, ip }),
        udp4.prop_map(|(src, ports, piece)| Says::Udp4 { src, ports, piece }),
        any_v4().prop_map(|src| Says::Other4 { src }),
        udp6.prop_map(|(src, source, piece, hides)| Says::Udp6 {
            src,
            source,
            piece,
            hides
        }),
        any_v6().prop_map(|src| Says::Other6 { src }),
        nd.prop_map(|(kind, src, target, mac)| Says::Neighbor {
            kind,
            src,
            target,
            mac
        }),
        (
            select(vec![128_u8, 130, 131, 132, 133, 134, 137, 143]),
            any_v6()
        )
            .prop_map(|(kind, src)| Says::Icmp6 { kind, src }),
        select(vec![0x88b5_u16, 0x88cc, 0x0026]).prop_map(|ethertype| Says::NoIp { ethertype }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5000))]

    #[test]
    fn m222_m223_m225_random_frames_are_judged_as_the_rules_read(
        src in any_mac(),
        tags in vec(select(vec![TPID_CUSTOMER, TPID_SERVICE]), 0..4),
        says in any_says(),
        padding in 0_usize..20,
    ) {
        let (ethertype, mut payload) = says.bytes();
        payload.resize(payload.len() + padding, 0);
        let expected = match (src, tags.len()) {
            (FOREIGN, _) => Err(DropReason::SpoofMac),
            (_, 3) => Err(DropReason::SpoofIp),
            _ => says.verdict(),
        };
        prop_assert_eq!(check(&ethernet(src, &tags, ethertype, &payload)), expected);
    }

    #[test]
    fn c53_any_bytes_are_judged(
        mut frame in vec(any::<u8>(), 14..120),
        ethertype in select(vec![0x0800_u16, 0x86dd, 0x0806, 0x8100]),
        first: u8,
    ) {
        frame[6..12].copy_from_slice(&OWN.0);
        frame[12..14].copy_from_slice(&ethertype.to_be_bytes());
        if let Some(byte) = frame.get_mut(14) {
            *byte = if ethertype == 0x86dd { 0x60 } else { 0x45 | first & 0x0f };
        }
        prop_assert_ne!(check(&frame), Err(DropReason::SpoofMac));
    }
}

#[test]
fn m223_the_link_local_address_of_a_mac_is_its_own() {
    let alone = Guard::new(&GuardSpec {
        macs: vec![OWN],
        addresses: Vec::new(),
    });
    let echo = |src| {
        let packet = icmpv6(src, ALL_NODES, 128, &[0; 4]);
        alone.check(&Ethernet::new(&ethernet(OWN, &[], ETHERTYPE_IPV6, &packet)).unwrap())
    };
    assert_eq!(echo(OWN_LOCAL), Ok(()));
    assert_eq!(echo(FOREIGN_LOCAL), Err(DropReason::SpoofIp));
    assert_eq!(echo(OWN_V6), Err(DropReason::SpoofIp));
}

#[test]
fn m223_what_cannot_be_read_is_not_believed() {
    let whole = [
        (ETHERTYPE_ARP, arp_packet(2, OWN, OWN_V4)),
        (ETHERTYPE_IPV4, v4(OWN_V4, UDP, Piece::Whole, &[])),
        (ETHERTYPE_IPV6, v6(OWN_V6, ALL_NODES, &[OPTIONS], UDP, &[])),
    ];
    for (ethertype, packet) in whole {
        assert_eq!(check(&ethernet(OWN, &[], ethertype, &packet)), Ok(()));
        let cut = &packet[..packet.len() - 1];
        let refused = check(&ethernet(OWN, &[], ethertype, cut));
        assert_eq!(refused, Err(DropReason::SpoofIp));
    }
    // Nine extension headers; an advertisement that a node must ignore, unless somebody mends its checksum.
    let endless = v6(OWN_V6, ALL_NODES, &[OPTIONS; 9], UDP, &[]);
    let mut unfinished = neighbor(136, OWN_V6, OWN_V6, Some(OWN));
    unfinished[43] ^= 1;
    for packet in [endless, unfinished] {
        let refused = check(&ethernet(OWN, &[], ETHERTYPE_IPV6, &packet));
        assert_eq!(refused, Err(DropReason::SpoofIp));
    }
}

#[test]
fn k203_m225_a_router_advertisement_in_pieces_is_one() {
    let message = icmpv6(OWN_LOCAL, ALL_NODES, 134, &[0; 20]);
    for extensions in [
        vec![],
        vec![OPTIONS],
        vec![OPTIONS, fragment_header(Piece::First)],
    ] {
        let packet = v6(OWN_LOCAL, ALL_NODES, &extensions, ICMPV6, &message[40..]);
        let refused = check(&ethernet(OWN, &[TPID_CUSTOMER], ETHERTYPE_IPV6, &packet));
        assert_eq!(refused, Err(DropReason::RaGuard), "{extensions:?}");
    }
    // The middle of a long ping may begin with any byte.
    let later = [fragment_header(Piece::Later)];
    let packet = v6(OWN_V6, ALL_NODES, &later, ICMPV6, &[134; 24]);
    assert_eq!(check(&ethernet(OWN, &[], ETHERTYPE_IPV6, &packet)), Ok(()));
}
