use super::*;
use crate::wire::sample::naive_sum;
use proptest::collection::vec;
use proptest::prelude::*;

const MAC: MacAddr = MacAddr([2, 0x42, 10, 0, 0, 1]);
const SRC: &str = "fe80::1";
const DST: &str = "fe80::2";
const TARGET_IP: &str = "fd00::2:3";
const GROUP: &str = "ff02::1:ff02:3";
const SLLAO: &[u8] = &[1, 1, 2, 0x42, 10, 0, 0, 1];
const TLLAO: &[u8] = &[2, 1, 2, 0x42, 10, 0, 0, 1];

/// A message as its fields.
#[derive(Debug, Clone)]
struct Message {
    src: &'static str,
    dst: &'static str,
    hop_limit: u8,
    kind: u8,
    code: u8,
    flags: u8,
    target: &'static str,
    options: Vec<u8>,
}

fn solicitation(options: &[u8]) -> Message {
    Message {
        src: SRC,
        dst: GROUP,
        hop_limit: 255,
        kind: 135,
        code: 0,
        flags: 0,
        target: TARGET_IP,
        options: options.to_vec(),
    }
}

fn advertisement(flags: u8, options: &[u8]) -> Message {
    Message {
        kind: 136,
        dst: DST,
        flags,
        ..solicitation(options)
    }
}

fn dad() -> Message {
    Message {
        src: "::",
        ..solicitation(&[])
    }
}

fn ip(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

impl Message {
    fn body(&self) -> Vec<u8> {
        let target = ip(self.target).octets();
        let head = [self.kind, self.code, 0, 0, self.flags, 0, 0, 0];
        [&head[..], &target, &self.options].concat()
    }

    /// The packet, its checksum right, behind these extension headers.
    fn behind(&self, next_header: u8, extensions: &[u8]) -> Vec<u8> {
        let addresses = [ip(self.src).octets(), ip(self.dst).octets()].concat();
        let mut body = self.body();
        let pseudo = [&addresses[..], &[0, 0, 0, body.len() as u8, 0, 0, 0, 58]].concat();
        let checksum = !naive_sum(&[&pseudo[..], &body].concat());
        body[2..4].copy_from_slice(&checksum.to_be_bytes());
        let len = (extensions.len() + body.len()) as u8;
        let head = [0x60, 0, 0, 0, 0, len, next_header, self.hop_limit];
        [&head[..], &addresses, extensions, &body].concat()
    }

    fn packet(&self) -> Vec<u8> {
        self.behind(58, &[])
    }
}

fn read(packet: &[u8]) -> Result<Option<Nd>, Invalid> {
    Nd::read(&Ipv6::new(packet).unwrap())
}

#[test]
fn a_solicitation_and_who_asks() {
    let asked = |link_layer| Solicitation {
        src: ip(SRC),
        dst: ip(GROUP),
        target: ip(TARGET_IP),
        link_layer,
    };
    let read = |options: &[u8]| read(&solicitation(options).packet());
    let some = |mac| Ok(Some(Nd::Solicitation(asked(mac))));
    assert_eq!(read(&[]), some(None));
    assert_eq!(read(SLLAO), some(Some(MAC)));
    // Nonces (RFC 3971) and others are passed over, and the first of two counts.
    let other: &[u8] = &[14, 1, 1, 2, 3, 4, 5, 6];
    let second: &[u8] = &[1, 1, 9, 9, 9, 9, 9, 9];
    assert_eq!(
        read(&[other, SLLAO, second, TLLAO].concat()),
        some(Some(MAC))
    );
}

#[test]
fn an_advertisement_and_its_flags() {
    for (bits, [is_router, is_solicited, overrides]) in [
        (0x00, [false, false, false]),
        (0x80, [true, false, false]),
        (0x40, [false, true, false]),
        (0x3f, [false, false, true]),
    ] {
        let told = Advertisement {
            src: ip(SRC),
            dst: ip(DST),
            target: ip(TARGET_IP),
            is_router,
            is_solicited,
            overrides,
            link_layer: Some(MAC),
        };
        let message = advertisement(bits, &[SLLAO, TLLAO].concat());
        assert_eq!(
            read(&message.packet()),
            Ok(Some(Nd::Advertisement(told))),
            "{bits:#x}"
        );
    }
}

#[test]
fn k198_what_is_written_is_as_the_oracle_has_it() {
    for bits in [0x00, 0x20, 0x60, 0xe0] {
        for (link_layer, options) in [(Some(MAC), TLLAO), (None, &[][..])] {
            let told = Advertisement {
                src: ip(SRC),
                dst: ip(DST),
                target: ip(TARGET_IP),
                is_router: bits & 0x80 != 0,
                is_solicited: bits & 0x40 != 0,
                overrides: bits & 0x20 != 0,
                link_layer,
            };
            let mut out = [0xaa; ADVERTISEMENT_LEN];
            let len = told.emit(&mut out);
            assert_eq!(out[..len], advertisement(bits, options).packet());
        }
    }
}

#[test]
fn k199_what_rfc_4861_tells_nodes_to_ignore() {
    let ignored = |message: Message| assert_eq!(read(&message.packet()), Err(Invalid));
    for message in [solicitation(SLLAO), advertisement(0x60, TLLAO)] {
        assert!(matches!(read(&message.packet()), Ok(Some(_))));
        ignored(Message {
            hop_limit: 254,
            ..message.clone()
        });
        ignored(Message {
            code: 1,
            ..message.clone()
        });
        ignored(Message {
            target: "ff02::1",
            ..message.clone()
        });
        for options in [
            &[9, 0, 0, 0, 0, 0, 0, 0][..],
            &[9, 2, 0, 0, 0, 0, 0, 0],
            &[9],
            &[9, 1, 0],
        ] {
            ignored(Message {
                options: options.to_vec(),
                ..message.clone()
            });
        }
        // A MAC has six bytes.
        let kind = message.options[0];
        let options = [&[kind, 2][..], &[0; 14]].concat();
        ignored(Message {
            options,
            ..message.clone()
        });
        let mut flipped = message.packet();
        flipped[43] ^= 1;
        assert_eq!(read(&flipped), Err(Invalid), "checksum");
        let packet = message.packet();
        assert_eq!(read(&packet[..packet.len() - 1]), Err(Invalid), "cut off");
        let mut short = message.packet();
        short[5] = 20;
        assert_eq!(read(&short), Err(Invalid), "no whole target");
    }
    ignored(Message {
        dst: "ff02::1",
        ..advertisement(0x40, TLLAO)
    });
}

#[test]
fn k200_dad_asks_a_group_and_names_no_mac() {
    let read_dad = |message: Message| read(&message.packet());
    assert!(matches!(
        read_dad(dad()),
        Ok(Some(Nd::Solicitation(s))) if s.is_dad()
    ));
    let to_node = Message {
        dst: TARGET_IP,
        ..dad()
    };
    let with_mac = Message {
        options: SLLAO.to_vec(),
        ..dad()
    };
    assert_eq!(read_dad(to_node), Err(Invalid));
    assert_eq!(read_dad(with_mac), Err(Invalid));
}

#[test]
fn fragments_are_ignored_and_extension_headers_walked_over() {
    let options: &[u8] = &[58, 0, 1, 4, 0, 0, 0, 0];
    let piece: &[u8] = &[58, 0, 0, 1, 0, 0, 0, 1];
    assert!(matches!(
        read(&solicitation(SLLAO).behind(60, options)),
        Ok(Some(Nd::Solicitation(_)))
    ));
    assert_eq!(read(&solicitation(SLLAO).behind(44, piece)), Err(Invalid));
}

#[test]
fn k203_other_messages_are_told_apart_by_type_alone() {
    let kind = |kind: u8| {
        read(
            &Message {
                kind,
                hop_limit: 1,
                ..solicitation(&[])
            }
            .packet(),
        )
    };
    assert_eq!(kind(134), Ok(Some(Nd::RouterAdvertisement)));
    assert_eq!(kind(137), Ok(Some(Nd::Redirect)));
    for other in [128, 130, 131, 132, 133, 143] {
        assert_eq!(kind(other), Ok(None));
    }
    assert_eq!(read(&solicitation(&[]).behind(17, &[])), Ok(None), "UDP");
}

#[test]
fn k199_padding_is_no_part_of_the_message() {
    let packet = [&solicitation(SLLAO).packet()[..], &[0; 9]].concat();
    assert!(matches!(read(&packet), Ok(Some(Nd::Solicitation(_)))));
}

#[test]
fn groups_have_the_mac_of_rfc_2464() {
    let mac = MacAddr([0x33, 0x33, 0xff, 0x02, 0, 3]);
    assert_eq!(multicast_mac(ip(GROUP)), mac);
    assert_eq!(multicast_mac(ALL_NODES), MacAddr([0x33, 0x33, 0, 0, 0, 1]));
}

proptest! {
    #[test]
    fn c53_any_bytes_are_read_within_bounds(mut bytes in vec(any::<u8>(), 40..120), kind in 133..139u8) {
        bytes[0] = 0x60;
        bytes[6] = 58;
        if let Some(first) = bytes.get_mut(40) {
            *first = kind;
        }
        let _ = read(&bytes);
    }

    #[test]
    fn c53_damage_is_never_read_as_the_same(at in 40..72usize, bit in 0..8u32) {
        let packet = advertisement(0x60, TLLAO).packet();
        let mut damaged = packet.clone();
        damaged[at] ^= 1 << bit;
        prop_assert_ne!(read(&damaged), read(&packet));
    }
}
