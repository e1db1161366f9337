//! Frames that filters have something to say about: few addresses, ports and protocols, so that much matches.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// A frame as it was on the wire, of at least 160 bytes, so that no primitive looks behind its end.
pub fn whole_frame() -> impl Strategy<Value = Vec<u8>> {
    let link = vec(0u8..3, 12).prop_map(|ends| {
        let mac = |ends: &[u8]| {
            ends.iter()
                .map(|end| [0, 2, 0xff][*end as usize])
                .collect::<Vec<u8>>()
        };
        let same = |end: u8| vec![[1, 2, 0xff][end as usize]; 6];
        if ends[0] == 0 {
            mac(&ends)
        } else {
            [same(ends[1]), same(ends[2])].concat()
        }
    });
    let tag = (select(vec![0x8100u16, 0x88a8, 0x9100]), 0u16..4)
        .prop_map(|(kind, vlan)| [kind.to_be_bytes(), (0x2000 | vlan).to_be_bytes()].concat());
    let tags = prop_oneof![3 => Just(vec![]), 1 => vec(tag, 1..3)];
    let packet = prop_oneof![4 => ipv4(), 3 => ipv6(), 1 => arp(), 1 => vec(any::<u8>(), 2..100)];
    (link, tags, packet, vec(any::<u8>(), 160))
        .prop_map(|(link, tags, packet, rest)| [link, tags.concat(), packet, rest].concat())
}

fn ipv4() -> impl Strategy<Value = Vec<u8>> {
    let fragment =
        prop_oneof![3 => Just(0u16), 1 => select(vec![0x2000u16, 0x2001, 0x1fff, 0x4000])];
    let fields = (
        0x40u8..0x50,
        fragment,
        protocol(),
        v4_address(),
        v4_address(),
        ports(),
    );
    let length = prop_oneof![3 => Just(5u8), 1 => 0u8..16];
    (fields, length, vec(any::<u8>(), 64)).prop_map(
        |((version, fragment, protocol, source, destination, ports), length, options)| {
            let header = [
                &[version & 0xf0 | length, 0, 1, 0, 0, 0][..],
                &fragment.to_be_bytes(),
            ]
            .concat();
            let end = usize::from(length.saturating_sub(5)) * 4;
            let rest = [
                &[64, protocol, 0, 0],
                &source[..],
                &destination,
                &options[..end],
                &ports,
            ]
            .concat();
            [&[8, 0][..], &header, &rest].concat()
        },
    )
}

fn ipv6() -> impl Strategy<Value = Vec<u8>> {
    (protocol(), protocol(), v6_address(), v6_address(), ports()).prop_map(
        |(next, behind, source, destination, ports)| {
            let header = [0x86, 0xdd, 0x60, 0, 0, 0, 0, 40, next, 64];
            let fragment = [behind, 0, 0, 0, 0, 0, 0, 1];
            let extension = if next == 44 { &fragment[..] } else { &[] };
            [&header[..], &source, &destination, extension, &ports].concat()
        },
    )
}

fn arp() -> impl Strategy<Value = Vec<u8>> {
    (select(vec![0x0806u16, 0x8035]), v4_address(), v4_address()).prop_map(
        |(kind, sender, target)| {
            let head = [&kind.to_be_bytes()[..], &[0, 1, 8, 0, 6, 4, 0, 1]].concat();
            [&head[..], &[1; 6], &sender, &[2; 6], &target].concat()
        },
    )
}

fn protocol() -> impl Strategy<Value = u8> {
    select(vec![1u8, 6, 6, 17, 17, 58, 132, 44, 0, 89])
}

fn ports() -> impl Strategy<Value = Vec<u8>> {
    let port = || select(vec![22u16, 53, 80, 81, 443, 65535]);
    (port(), port()).prop_map(|(source, destination)| {
        [source.to_be_bytes(), destination.to_be_bytes()].concat()
    })
}

fn v4_address() -> impl Strategy<Value = Vec<u8>> {
    select(vec![
        [10u8, 0, 0, 1],
        [10, 0, 0, 2],
        [10, 1, 0, 1],
        [224, 0, 0, 1],
    ])
    .prop_map(|a| a.to_vec())
}

fn v6_address() -> impl Strategy<Value = Vec<u8>> {
    let addresses: Vec<std::net::Ipv6Addr> = ["fd00::1", "fd00::2", "fd00:0:1::1", "ff02::1"]
        .map(|a| a.parse().unwrap())
        .to_vec();
    select(addresses).prop_map(|a| a.octets().to_vec())
}
