//! The two programs against each other and against a predicate that is plain to see: in an interpreter, and in the kernel.

use super::super::drop_program::DropProgram;
use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;

const V4: &str = "192.0.2.7:4789";
const V6: &str = "[2001:db8::7]:4789";

#[derive(Debug, Clone)]
struct Packet {
    packet_type: u8,
    vlan_tag: bool,
    frame: Vec<u8>,
}

/// The oracle.
fn is_ours(local: &SocketAddr, packet: &Packet) -> bool {
    let Packet {
        packet_type,
        vlan_tag,
        frame: f,
    } = packet;
    let port = local.port().to_be_bytes();
    let is_for_us = match local.ip() {
        IpAddr::V4(ip) => {
            f.len() >= 14 + 20 + 8
                && f[12..14] == [0x08, 0x00]
                && f[14] == 0x45
                && f[20] & 0x20 == 0
                && f[20] & 0x1f == 0
                && f[21] == 0
                && f[23] == 17
                && f[30..34] == ip.octets()
                && f[36..38] == port
        }
        IpAddr::V6(ip) => {
            f.len() >= 14 + 40 + 8
                && f[12..14] == [0x86, 0xdd]
                && f[14] >> 4 == 6
                && f[20] == 17
                && f[38..54] == ip.octets()
                && f[56..58] == port
        }
    };
    is_for_us && *packet_type == 0 && !vlan_tag
}

/// Classic BPF as far as the filter needs it. A load beyond the end refuses the packet, as in the kernel.
fn interpret(program: &[libc::sock_filter], packet: &Packet) -> u32 {
    let (mut accumulator, mut at) = (0, 0);
    loop {
        let libc::sock_filter { code, jt, jf, k } = program[at];
        at += 1;
        let load = |width: usize| -> Option<u32> {
            match k.wrapping_sub(libc::SKF_AD_OFF as u32) {
                4 => Some(packet.packet_type.into()),
                48 => Some(packet.vlan_tag.into()),
                _ => {
                    let bytes = packet.frame.get(k as usize..k as usize + width)?;
                    Some(bytes.iter().fold(0, |n, &b| n << 8 | u32::from(b)))
                }
            }
        };
        let loaded = match code {
            0x80 => Some(packet.frame.len() as u32),
            0x20 => load(4),
            0x28 => load(2),
            0x30 => load(1),
            0x54 => Some(accumulator & k),
            0x15 | 0x35 => {
                let holds = match code {
                    0x15 => accumulator == k,
                    _ => accumulator >= k,
                };
                at += usize::from(if holds { jt } else { jf });
                continue;
            }
            0x06 => return k,
            other => panic!("{other:#x}"),
        };
        match loaded {
            Some(value) => accumulator = value,
            None => return 0,
        }
    }
}

/// The classic program in the kernel. It runs on datagrams of any socket; here nothing is known but their bytes.
struct InKernel {
    near: UnixDatagram,
    far: UnixDatagram,
}

impl InKernel {
    fn new(packets: &Match) -> Self {
        let (near, far) = UnixDatagram::pair().unwrap();
        packets.attach(far.as_fd()).unwrap();
        far.set_nonblocking(true).unwrap();
        Self { near, far }
    }

    fn accepts(&self, frame: &[u8]) -> bool {
        self.near.send(frame).unwrap();
        let mut buffer = [0; 2048];
        match self.far.recv(&mut buffer) {
            Ok(len) => {
                assert_eq!(&buffer[..len], frame, "accepted whole");
                true
            }
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => false,
            Err(e) => panic!("{e}"),
        }
    }
}

/// What the kernel takes a frame for that arrives at the loopback, whose MAC is zero.
fn packet_type(frame: &[u8]) -> u8 {
    match frame[..6] {
        [0, 0, 0, 0, 0, 0] => 0,
        [0xff, 0xff, 0xff, 0xff, 0xff, 0xff] => 1,
        [first, ..] if first & 1 == 1 => 2,
        _ => 3,
    }
}

/// A frame of ours.
fn good(local: &SocketAddr) -> Vec<u8> {
    let mut frame = vec![0; 12];
    match local.ip() {
        IpAddr::V4(ip) => {
            frame.extend([
                0x08, 0, 0x45, 0, 0, 40, 1, 2, 0x40, 0, 64, 17, 9, 9, 192, 0, 2, 1,
            ]);
            frame.extend(ip.octets());
        }
        IpAddr::V6(ip) => {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 20, 17, 64]);
            frame.extend([0x20; 16]);
            frame.extend(ip.octets());
        }
    }
    frame.extend([0xc0, 0]);
    frame.extend(local.port().to_be_bytes());
    frame.extend([0, 20, 0, 0, 8, 0, 0, 0, 0, 0, 7, 0, 1, 2, 3, 4]);
    frame
}

/// Frames of ours and frames that nearly are.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let change = prop_oneof![
        (12usize..70, any::<u8>()),
        // The fields that count, with values that count.
        (
            prop_oneof![Just(0usize), Just(12), Just(14), 20usize..24, 36usize..38],
            prop_oneof![
                Just(0u8),
                Just(1),
                Just(6),
                Just(17),
                Just(44),
                Just(0x20),
                Just(0x40),
                Just(0x46),
                Just(0x65),
                Just(0x80),
                Just(0x81),
                Just(0xff)
            ]
        ),
    ];
    let near = (any::<bool>(), vec(change, 0..3), 14usize..90).prop_map(|(is_v4, changes, len)| {
        let mut frame = good(&if is_v4 { V4 } else { V6 }.parse().unwrap());
        for (at, value) in changes {
            if let Some(byte) = frame.get_mut(at) {
                *byte = value;
            }
        }
        frame.truncate(len);
        frame
    });
    prop_oneof![9 => near, 1 => vec(any::<u8>(), 14..90)]
}

fn both() -> [SocketAddr; 2] {
    [V4, V6].map(|local| local.parse().unwrap())
}

#[test]
fn what_is_ours_is_accepted_and_every_field_counts() {
    for local in both() {
        let program = Match::datagrams_to(&local).classic();
        let accepts = |packet: &Packet| {
            let accepts = interpret(&program, packet) != 0;
            assert_eq!(accepts, is_ours(&local, packet), "{packet:?}");
            accepts
        };
        let ours = Packet {
            packet_type: 0,
            vlan_tag: false,
            frame: good(&local),
        };
        assert!(accepts(&ours));
        for packet_type in 1..=7 {
            assert!(!accepts(&Packet {
                packet_type,
                ..ours.clone()
            }));
        }
        assert!(!accepts(&Packet {
            vlan_tag: true,
            ..ours.clone()
        }));
        for bit in 0..ours.frame.len() * 8 {
            let mut other = ours.clone();
            other.frame[bit / 8] ^= 1 << (bit % 8);
            accepts(&other);
        }
        for len in 0..ours.frame.len() {
            let mut shorter = ours.clone();
            shorter.frame.truncate(len);
            accepts(&shorter);
        }
    }
}

#[test]
fn the_kernel_runs_the_filter_as_the_interpreter_does() {
    for local in both() {
        let packets = Match::datagrams_to(&local);
        let kernel = InKernel::new(&packets);
        assert!(kernel.accepts(&good(&local)));
        proptest!(|(frame in frames())| {
            let packet = Packet { packet_type: 0, vlan_tag: false, frame };
            let expected = is_ours(&local, &packet);
            prop_assert_eq!(kernel.accepts(&packet.frame), expected);
            prop_assert_eq!(interpret(&packets.classic(), &packet) != 0, expected);
        });
    }
}

#[test]
fn root_the_drop_program_drops_exactly_what_the_filter_accepts() {
    for local in both() {
        let packets = Match::datagrams_to(&local);
        let program = DropProgram::load(&packets).unwrap();
        assert_eq!(program.drops(&good(&local)), Some(true));
        for bit in 0..good(&local).len() * 8 {
            let mut frame = good(&local);
            frame[bit / 8] ^= 1 << (bit % 8);
            assert_same(&packets, &program, frame);
        }
        proptest!(ProptestConfig::with_cases(2000), |(frame in frames())| {
            assert_same(&packets, &program, frame);
        });
    }
}

fn assert_same(packets: &Match, program: &DropProgram, frame: Vec<u8>) {
    let packet = Packet {
        packet_type: packet_type(&frame),
        vlan_tag: false,
        frame,
    };
    let accepted = interpret(&packets.classic(), &packet) != 0;
    match program.drops(&packet.frame) {
        Some(drops) => assert_eq!(drops, accepted, "{packet:x?}"),
        // The kernel tests no program on a frame that ends in its IP header.
        None => assert!(packet.frame.len() < 14 + 40 && !accepted, "{packet:x?}"),
    }
}
