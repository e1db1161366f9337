//! Texts of filters.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// A text of the built-in subset.
pub fn of_the_subset() -> impl Strategy<Value = String> {
    joined(primitive().boxed())
}

/// A text of libpcap's whole language.
pub fn of_libpcap() -> impl Strategy<Value = String> {
    joined(prop_oneof![primitive(), beyond_the_subset()].boxed())
}

/// Primitives with `and`, `or`, `not` and parentheses.
fn joined(primitive: BoxedStrategy<String>) -> impl Strategy<Value = String> {
    let join = || select(vec!["and", "or", "&&", "||"]);
    primitive.prop_recursive(4, 12, 4, move |inner| {
        let chain =
            (inner.clone(), vec((join(), inner.clone()), 1..3)).prop_map(|(first, rest)| {
                let rest = rest.iter().map(|(join, next)| format!(" {join} {next}"));
                first + &rest.collect::<String>()
            });
        prop_oneof![
            2 => chain,
            1 => inner.clone().prop_map(|text| format!("({text})")),
            1 => inner.clone().prop_map(|text| format!("not {text}")),
            1 => inner.prop_map(|text| format!("!({text})")),
        ]
    })
}

fn primitive() -> impl Strategy<Value = String> {
    let words = select(vec![
        "ip",
        "ip6",
        "arp",
        "rarp",
        "tcp",
        "udp",
        "sctp",
        "icmp",
        "icmp6",
        "vlan",
        "vlan 1",
        "vlan 0x2",
        "broadcast",
        "multicast",
        "ether broadcast",
        "ether multicast",
        "ip multicast",
        "ip6 multicast",
        "proto 6",
        "ip proto 17",
        "ip6 proto 0x3a",
        "ether proto 0x86dd",
        "ether proto 2048",
        "less 200",
        "greater 190",
        "greater 0310",
    ]);
    let direction = || {
        select(vec![
            "",
            "src ",
            "dst ",
            "src or dst ",
            "dst or src ",
            "src and dst ",
        ])
    };
    let some_direction = select(vec!["src ", "dst ", "dst and src "]);
    let v4 = || select(vec!["10.0.0.1", "10.0.0.2", "10.1.0.1", "224.0.0.1"]);
    let v6 = || select(vec!["fd00::1", "fd00::2", "fd00:0:1::1", "ff02::1"]);
    let v4_net = select(vec![
        "10.0.0.0/8",
        "10.0.0/16",
        "10.1/16",
        "10.0.0.0/31",
        "0.0.0.0/0",
        "10.0",
        "10.1.0.1",
    ]);
    let v6_net = select(vec![
        "fd00::/16",
        "fd00::/47",
        "fd00::/127",
        "::/0",
        "fd00::2",
        "ff00::/8",
    ]);
    let v4_protocol = || select(vec!["", "ip ", "arp ", "rarp "]);
    let v6_protocol = || select(vec!["", "ip6 "]);
    let port_protocol = || select(vec!["", "tcp ", "udp ", "sctp "]);
    let port = || select(vec!["22", "53", "80", "0x51", "443", "0", "65535"]);
    let range = select(vec!["22-80", "443-81", "0-65535", "81"]);
    let mac = select(vec!["1:1:1:1:1:1", "02:02:02:02:02:02", "0:0:2:ff:0:0"]);
    prop_oneof![
        6 => words.prop_map(str::to_owned),
        2 => (v4_protocol(), direction(), v4()).prop_map(|(p, d, a)| format!("{p}{d}host {a}")),
        1 => (v6_protocol(), direction(), v6()).prop_map(|(p, d, a)| format!("{p}{d}host {a}")),
        1 => (some_direction, v4()).prop_map(|(d, a)| format!("{d}{a}")),
        1 => (direction(), v4(), v4()).prop_map(|(d, a, b)| format!("({d}host {a} or {b})")),
        1 => (v4_protocol(), direction(), v4_net).prop_map(|(p, d, n)| format!("{p}{d}net {n}")),
        1 => (v6_protocol(), direction(), v6_net).prop_map(|(p, d, n)| format!("{p}{d}net {n}")),
        2 => (port_protocol(), direction(), port()).prop_map(|(p, d, n)| format!("{p}{d}port {n}")),
        1 => (port_protocol(), port(), port()).prop_map(|(p, a, b)| format!("{p}port ({a} or not {b})")),
        1 => (port(), port()).prop_map(|(a, b)| format!("(udp port {a} and {b})")),
        1 => (port_protocol(), direction(), range).prop_map(|(p, d, n)| format!("{p}{d}portrange {n}")),
        1 => (direction(), mac).prop_map(|(d, a)| format!("ether {d}host {a}")),
    ]
}

fn beyond_the_subset() -> impl Strategy<Value = String> {
    select(vec![
        "ip[0] & 0xf != 5",
        "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
        "ether[0] & 1 = 0",
        "len > 180",
        "icmp[icmptype] = 8",
        "ip[2:2] > 576",
        "tcp[((tcp[12:1] & 0xf0) >> 2):4] = 0x47455420",
        "ip[8] * 4 + 1 - 2 / ip[9] > 3",
        "ip[1] % ip[9] = 0",
        "ip[9] << 2 ^ 3 | 1 > ip[8] >> 1",
        "-ip[9] + 300 < 300",
        "udp[4:2] = 8",
        "ip6[6] = 17",
        "ether proto 0x60",
        "ether proto \\ip",
        "igmp",
        "stp",
        "llc",
        "pppoes",
        "mpls",
        "decnet",
        "ip proto \\tcp",
        "tcp port ssh",
        "atalk",
        "aarp",
        "ipx",
        "iso",
        "ah",
        "link[12:2] = 0x800",
    ])
    .prop_map(str::to_owned)
}
