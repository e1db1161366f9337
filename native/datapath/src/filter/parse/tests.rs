use super::*;
use crate::filter::Filter;
use proptest::collection::vec;
use proptest::prelude::*;

fn refused(text: &str) -> String {
    parse(text).unwrap_err()
}

/// An Ethernet frame with this type and payload.
fn frame(ether_type: u16, payload: &[u8]) -> Vec<u8> {
    [
        &[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2],
        &ether_type.to_be_bytes()[..],
        payload,
    ]
    .concat()
}

fn ipv4(protocol: u8, source: [u8; 4], destination: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let header = [0x45, 0, 0, 40, 0, 0, 0, 0, 64, protocol, 0, 0];
    frame(
        0x0800,
        &[&header, &source[..], &destination, payload].concat(),
    )
}

#[test]
fn what_people_ask_for_most() {
    let web = ipv4(
        6,
        [10, 0, 0, 1],
        [10, 0, 0, 2],
        &[0xc0, 0, 0, 80, 0, 0, 0, 0],
    );
    let matches = |text: &str| {
        Filter::compile(text)
            .unwrap()
            .matches(&web, web.len() as u32)
    };
    for text in [
        "",
        "ip",
        "tcp",
        "tcp port 80",
        "dst port 80 and host 10.0.0.1",
        "src net 10.0.0.0/8 && !udp",
        "not (arp or icmp)",
        "tcp port 443 or 80",
        "portrange 70-90",
        "ether src 02:00:00:00:00:02",
        "less 42",
        "port (22 or 80)",
    ] {
        assert!(matches(text), "{text}");
    }
    for text in [
        "udp",
        "src port 80",
        "src host 10.0.0.2",
        "host 10.0.0.1 and 10.0.0.3",
        "ip6 or arp",
        "vlan",
        "greater 43",
        "ether broadcast",
    ] {
        assert!(!matches(text), "{text}");
    }
}

#[test]
fn behind_vlan_everything_is_behind_the_tag() {
    let inside = ipv4(
        17,
        [10, 0, 0, 1],
        [10, 0, 0, 2],
        &[0, 53, 0, 53, 0, 8, 0, 0],
    );
    let tagged = frame(0x8100, &[&[0x60, 7], &inside[12..]].concat());
    let matches = |text: &str, frame: &[u8]| Filter::compile(text).unwrap().matches(frame, 60);
    assert!(matches("vlan 7 and udp port 53", &tagged));
    assert!(!matches("vlan 8 and udp port 53", &tagged));
    assert!(!matches("udp port 53", &tagged));
    // As written: the second `udp` is behind the tag too.
    assert!(!matches("vlan 7 or udp", &inside));
    assert!(matches("udp or vlan 7", &inside));
}

#[test]
fn what_is_cut_off_does_not_match_either_way() {
    let web = ipv4(6, [10, 0, 0, 1], [10, 0, 0, 2], &[]);
    for text in ["port 80", "not port 80"] {
        assert!(!Filter::compile(text).unwrap().matches(&web, 60));
    }
}

#[test]
fn errors_name_the_culprit() {
    for (text, culprit) in [
        ("tcp port http", "`http`"),
        ("host web1", "`web1`"),
        ("port 65536", "65535"),
        ("tcp udp", "`udp`"),
        ("tcp and", "end"),
        ("(tcp", "`)`"),
        ("tcp)", "`)`"),
        ("tcp[13] & 2 != 0", "`[`"),
        ("10.0.0.1", "`10.0.0.1`"),
        ("tcp or 80", "`80`"),
        ("net 10.0.0.1/8", "`10.0.0.1/8`"),
        ("net 10.0.0.0/33", "`33`"),
        ("ip host ::1", "protocol"),
        ("ether host 10.0.0.1", "MAC"),
        ("ether proto 0x80", "LLC"),
        ("icmp port 7", "no ports"),
        ("src proto 6", "direction"),
        ("host", "`host`"),
        ("vlan 4096", "4095"),
        ("ip broadcast", "`broadcast`"),
        ("ether", "`ether`"),
        ("wlan host 1", "`wlan`"),
    ] {
        assert!(refused(text).contains(culprit), "{text}: {}", refused(text));
    }
    assert!(refused(&"not ".repeat(100)).contains("64"));
    assert!(refused(&"(".repeat(100)).contains("64"));
    assert!(refused(&" ".repeat(5000)).contains("4096"));
}

proptest! {
    #[test]
    fn no_text_panics(text in ".{0,80}", frame in vec(any::<u8>(), 0..80)) {
        if let Ok(filter) = Filter::compile(&text) {
            filter.matches(&frame, 80);
        }
    }

    #[test]
    fn no_words_panic(words in vec(word(), 0..20), frame in vec(any::<u8>(), 0..80)) {
        if let Ok(filter) = Filter::compile(&words.join(" ")) {
            filter.matches(&frame, 80);
        }
    }
}

/// Words of the language, in any order.
fn word() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "ip",
        "ip6",
        "arp",
        "ether",
        "tcp",
        "udp",
        "icmp6",
        "vlan",
        "host",
        "net",
        "port",
        "portrange",
        "proto",
        "src",
        "dst",
        "and",
        "or",
        "not",
        "!",
        "&&",
        "||",
        "(",
        ")",
        "broadcast",
        "multicast",
        "less",
        "greater",
        "10.0.0.1",
        "10.0/16",
        "::1",
        "fe80::/10",
        "1:2:3:4:5:6",
        "80",
        "0x50",
        "070",
        "1-2",
        "",
        "é",
    ])
}
