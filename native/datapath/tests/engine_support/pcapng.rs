//! A slow reader of pcapng that takes nothing on trust: what a section says, as plain data.

use std::collections::BTreeMap;

/// A section, which must be whole.
#[derive(Debug, Default)]
pub struct Section {
    pub comments: Vec<String>,
    pub interfaces: Vec<Interface>,
    pub packets: Vec<Packet>,
}

#[derive(Debug, Default)]
pub struct Interface {
    pub name: String,
    pub link_type: u16,
    pub snaplen: u32,
    pub filter: Option<String>,
    /// Of its statistics, once there are any: isb_ifrecv, isb_ifdrop, comments.
    pub statistics: Option<(u64, u64, Vec<String>)>,
}

#[derive(Debug)]
pub struct Packet {
    /// Name of its interface.
    pub interface: String,
    pub time: u64,
    pub is_outbound: bool,
    pub id: u64,
    pub len: usize,
    pub bytes: Vec<u8>,
    pub comment: String,
    /// Of the custom option.
    pub pairs: BTreeMap<String, String>,
}

impl Packet {
    pub fn pair(&self, key: &str) -> &str {
        self.pairs.get(key).map_or("", String::as_str)
    }

    pub fn frames(&self) -> u64 {
        self.pair("frames").parse().unwrap()
    }
}

/// By place and reason.
pub type Drops = BTreeMap<(String, String), u64>;

/// What the statistics of all interfaces say was dropped there.
pub fn told(section: &Section) -> Drops {
    let mut drops = Drops::new();
    for interface in &section.interfaces {
        let (received, lost, lines) = interface.statistics.as_ref().unwrap();
        let there = section
            .packets
            .iter()
            .filter(|p| p.interface == interface.name);
        assert_eq!((*received, *lost), (there.count() as u64, 0));
        for line in lines {
            let (reason, frames) = line.split_once(": ").unwrap();
            let (count, _) = frames.split_once(" frame").unwrap();
            let place = match interface.name.split_once('/') {
                None => interface.name.clone(),
                Some((_, rest)) => rest.split(' ').next().unwrap().into(),
            };
            *drops.entry((place, reason.into())).or_default() += count.parse::<u64>().unwrap();
        }
    }
    drops
}

/// Reads a section.
pub fn read(mut bytes: &[u8]) -> Section {
    let mut section = Section::default();
    let mut is_first = true;
    while !bytes.is_empty() {
        let kind = u32_at(bytes, 0);
        let len = u32_at(bytes, 4) as usize;
        assert_eq!(len % 4, 0);
        assert_eq!(u32_at(bytes, len - 4) as usize, len, "both lengths");
        let body = &bytes[8..len - 4];
        bytes = &bytes[len..];
        assert_eq!(kind == 0x0a0d_0d0a, is_first, "one section header, first");
        is_first = false;
        match kind {
            0x0a0d_0d0a => section.comments = comments(&options(&body[16..])),
            1 => section.interfaces.push(interface(body)),
            6 => {
                let packet = packet(&section, body);
                section.packets.push(packet);
            }
            5 => {
                let index = u32_at(body, 0) as usize;
                let options = options(&body[12..]);
                let number = |code| u64_at(option(&options, code).unwrap(), 0);
                let statistics = (number(4), number(5), comments(&options));
                assert_eq!(section.interfaces[index].statistics, None, "once");
                section.interfaces[index].statistics = Some(statistics);
            }
            other => panic!("block of type {other}"),
        }
    }
    section
}

fn interface(body: &[u8]) -> Interface {
    let options = options(&body[8..]);
    assert_eq!(option(&options, 9), Some(&[9][..]), "nanoseconds");
    Interface {
        link_type: u16_at(body, 0),
        snaplen: u32_at(body, 4),
        name: text(option(&options, 2).unwrap()),
        filter: option(&options, 11).map(|f| text(&f[1..])),
        statistics: None,
    }
}

fn packet(section: &Section, body: &[u8]) -> Packet {
    let interface = &section.interfaces[u32_at(body, 0) as usize];
    let (kept, len) = (u32_at(body, 12) as usize, u32_at(body, 16) as usize);
    assert!(kept <= len && kept <= interface.snaplen as usize);
    let options = options(&body[20 + kept.next_multiple_of(4)..]);
    let custom = option(&options, 2988).unwrap();
    assert_eq!(u32_at(custom, 0), 32473);
    let pairs = text(&custom[4..]);
    let mut words = pairs.split(' ');
    assert_eq!(words.next(), Some("vswitchd"));
    let pairs = words.map(|word| word.split_once('=').unwrap());
    Packet {
        interface: interface.name.clone(),
        time: u64::from(u32_at(body, 4)) << 32 | u64::from(u32_at(body, 8)),
        is_outbound: u32_at(option(&options, 2).unwrap(), 0) & 3 == 2,
        id: u64_at(option(&options, 5).unwrap(), 0),
        len,
        bytes: body[20..20 + kept].to_vec(),
        comment: text(option(&options, 1).unwrap()),
        pairs: pairs.map(|(k, v)| (k.into(), v.into())).collect(),
    }
}

fn options(mut bytes: &[u8]) -> Vec<(u16, &[u8])> {
    let mut options = Vec::new();
    while !bytes.is_empty() {
        let (code, len) = (u16_at(bytes, 0), usize::from(u16_at(bytes, 2)));
        if code == 0 {
            assert_eq!(bytes.len(), 4, "nothing behind the end of options");
            break;
        }
        options.push((code, &bytes[4..4 + len]));
        bytes = &bytes[4 + len.next_multiple_of(4)..];
    }
    options
}

fn option<'a>(options: &[(u16, &'a [u8])], code: u16) -> Option<&'a [u8]> {
    options.iter().find(|o| o.0 == code).map(|o| o.1)
}

fn comments(options: &[(u16, &[u8])]) -> Vec<String> {
    let comments = options.iter().filter(|o| o.0 == 1);
    comments.map(|o| text(o.1)).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes(bytes[at..at + 2].try_into().unwrap())
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap())
}
