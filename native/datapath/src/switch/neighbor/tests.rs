use super::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn mac(n: u8) -> MacAddr {
    MacAddr([2, 0x42, 10, 0, 0, n])
}

/// The station's addresses: 10.0.0.N and fd00::N.
fn v4(n: u8) -> Ipv4Addr {
    [10, 0, 0, n].into()
}

fn v6(n: u8) -> Ipv6Addr {
    [0xfd00, 0, 0, 0, 0, 0, 0, u16::from(n)].into()
}

/// What is known of an address: who has it (`mac(0)` to `mac(5)`), whether that is here, and what that is worth.
type Known = Option<(u8, bool, NeighborState)>;

/// Addresses `0..5` as they are known.
fn neighbors(known: &[Known]) -> Neighbors {
    let specs = known.iter().enumerate().filter_map(|(ip, known)| {
        let (owner, local, state) = (*known)?;
        let spec = |ip| NeighborSpec {
            ip,
            mac: mac(owner),
            local,
            state,
            router: false,
        };
        Some([spec(v4(ip as u8).into()), spec(v6(ip as u8).into())])
    });
    Neighbors::new(&specs.flatten().collect::<Vec<_>>())
}

fn known() -> impl Strategy<Value = Vec<Known>> {
    let state = prop_oneof![
        3 => Just(NeighborState::Live),
        1 => Just(NeighborState::Stale),
        1 => Just(NeighborState::Dead),
    ];
    vec(option::weighted(0.8, (0..6u8, any::<bool>(), state)), 5)
}

/// A question by ARP: who asks, as what address (none: a probe), for which, of whom (none: everybody).
#[derive(Debug, Clone, Copy)]
struct Asked {
    asker: u8,
    sender: u8,
    as_ip: Option<u8>,
    target: u8,
    to: Option<u8>,
}

fn asked() -> impl Strategy<Value = Asked> {
    let parts = (
        0..6u8,
        0..6u8,
        option::of(0..5u8),
        0..5u8,
        option::of(0..6u8),
    );
    parts.prop_map(|(asker, sender, as_ip, target, to)| Asked {
        asker,
        sender,
        as_ip,
        target,
        to,
    })
}

impl Asked {
    fn frame(&self) -> Vec<u8> {
        let arp = Arp {
            operation: arp::REQUEST,
            sender_mac: mac(self.sender),
            sender_ip: self.as_ip.map_or(Ipv4Addr::UNSPECIFIED, v4),
            target_mac: MacAddr::ZERO,
            target_ip: v4(self.target),
        };
        let dst = self.to.map_or(MacAddr::BROADCAST, mac);
        let header = ethernet::emit(dst, mac(self.asker), ETHERTYPE_ARP);
        [&header[..], &arp.emit()].concat()
    }
}

/// What is to become of a question, in the words of the rows.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Answered,
    Forwarded,
    KeptHere,
    Refused,
}

/// The rows one after the other, each as it stands.
fn fate(known: &[Known], asked: &Asked) -> Fate {
    let target = known[usize::from(asked.target)];
    let is_own = asked.as_ip == Some(asked.target);
    match target {
        // K189, K188
        Some((owner, _, NeighborState::Live)) if is_own && owner != asked.sender => Fate::Refused,
        Some((_, _, NeighborState::Live)) if is_own && asked.to.is_none() => Fate::KeptHere,
        _ if is_own => Fate::Forwarded,
        // K192
        _ if asked.to.is_some() => Fate::Forwarded,
        // K186, K191
        None => Fate::Forwarded,
        // K187
        Some((_, true, _)) if asked.as_ip.is_none() => Fate::Forwarded,
        Some((_, true, _)) => Fate::KeptHere,
        // Itself, moved here.
        Some((owner, ..)) if owner == asked.asker || owner == asked.sender => Fate::Forwarded,
        // K185, K190
        Some((_, _, NeighborState::Live)) => Fate::Answered,
        // K197, K204
        Some(_) => Fate::Forwarded,
    }
}

fn judge(neighbors: &Neighbors, frame: &[u8]) -> Handling {
    neighbors.judge(&Ethernet::new(frame).unwrap())
}

#[test]
fn most_frames_are_taken_out_at_the_first_look() {
    let concern = |dst: MacAddr, ethertype: u16, next_header: u8| {
        let mut frame = [&ethernet::emit(dst, mac(1), ethertype)[..], &[0; 40]].concat();
        frame[20] = next_header;
        Neighbors::concern(&Ethernet::new(&frame).unwrap())
    };
    let group = nd::multicast_mac(ALL_NODES);
    assert!(concern(mac(2), ETHERTYPE_ARP, 0));
    assert!(concern(mac(2), ETHERTYPE_IPV6, 58));
    assert!(
        concern(group, ETHERTYPE_IPV6, 0),
        "behind hop-by-hop options"
    );
    assert!(!concern(mac(2), ETHERTYPE_IPV6, 6));
    assert!(!concern(mac(2), ethernet::ETHERTYPE_IPV4, 58));
    assert!(!concern(MacAddr::BROADCAST, ethernet::TPID_CUSTOMER, 0));
    let short = ethernet::emit(mac(2), mac(1), ETHERTYPE_IPV6);
    assert!(!Neighbors::concern(&Ethernet::new(&short).unwrap()));
}

#[test]
fn of_two_for_one_address_the_last_counts() {
    let spec = |owner| NeighborSpec {
        ip: v4(1).into(),
        mac: mac(owner),
        local: false,
        state: NeighborState::Live,
        router: false,
    };
    let neighbors = Neighbors::new(&[spec(2), spec(3)]);
    assert_eq!(neighbors.0[&v4(1).into()].mac, mac(3));
}

proptest! {
    #[test]
    fn k185_k186_k187_k188_k189_k190_k191_k192_k197_k204_as_the_rows_say(known in known(), asked in asked()) {
        let handling = judge(&neighbors(&known), &asked.frame());
        let seen = match handling {
            Handling::Answer(..) => Fate::Answered,
            Handling::Forward(_) => Fate::Forwarded,
            Handling::KeepHere(_) => Fate::KeptHere,
            Handling::Refuse(..) => Fate::Refused,
        };
        prop_assert_eq!(seen, fate(&known, &asked), "{:?}", handling);
        if let Handling::Answer(_, notice) = handling {
            let mut out = [0; NOTICE_LEN];
            let len = notice.emit(&mut out);
            let frame = Ethernet::new(&out[..len]).unwrap();
            let told = Arp::read(&out[HEADER_LEN..len]).unwrap();
            let (owner, ..) = known[usize::from(asked.target)].unwrap();
            prop_assert_eq!((frame.dst(), frame.src()), (mac(asked.asker), mac(owner)));
            prop_assert_eq!((told.sender_mac, told.sender_ip), (mac(owner), v4(asked.target)));
            prop_assert_eq!(told.target_mac, mac(asked.sender));
        }
    }

    #[test]
    fn c53_any_bytes_are_judged(
        mut frame in vec(any::<u8>(), 14..120),
        ethertype in prop_oneof![Just(ETHERTYPE_ARP), Just(ETHERTYPE_IPV6), Just(0x0800)],
        known in known(),
    ) {
        frame[12..14].copy_from_slice(&ethertype.to_be_bytes());
        if let Some(packet) = frame.get_mut(14..21) {
            (packet[0], packet[6]) = (0x60, 58);
        }
        let answered = matches!(judge(&neighbors(&known), &frame), Handling::Answer(..));
        prop_assert!(!answered, "by chance");
    }

    /// Whatever an address was and has become, stations hear of it exactly if it is live and was not so before.
    #[test]
    fn k206_what_is_news(then in known(), now in known()) {
        let spec = |known: &[Known]| {
            let neighbors = neighbors(known).0.into_values().filter(|n| n.ip.is_ipv4()).collect();
            NetworkSpec { neighbors, ..empty() }
        };
        let mut told: Vec<_> = changed(&spec(&then), &spec(&now)).iter().map(|n| n.ip).collect();
        told.sort();
        let was_none = then.iter().all(Option::is_none);
        let expected: Vec<IpAddr> = (0..5u8)
            .filter(|&ip| {
                let place = |known: &[Known]| known[usize::from(ip)].map(|(owner, local, _)| (owner, local));
                let is_live = matches!(now[usize::from(ip)], Some((_, _, NeighborState::Live)));
                !was_none && is_live && place(&then) != place(&now)
            })
            .map(|ip| v4(ip).into())
            .collect();
        prop_assert_eq!(told, expected);
    }
}

fn empty() -> NetworkSpec {
    use crate::config::{BridgeRules, FdbLimits, PriorityTag, ReservedBits, VlanPolicy};
    NetworkSpec {
        name: "n".into(),
        vni: crate::wire::vxlan::Vni::new(1).unwrap(),
        udp_port: 4789,
        up: true,
        mss_clamp: true,
        rules: BridgeRules {
            learning: true,
            strict_source: true,
            drop_unknown_unicast: false,
            vlan: VlanPolicy::Discard,
            priority_tag: PriorityTag::Strip,
            group_forward_mask: 0,
        },
        fdb_limits: FdbLimits {
            max_macs: 1,
            evict_oldest: false,
            ageing_secs: 0,
        },
        reserved_bits: ReservedBits::Ignore,
        pcp_tos: [None; 8],
        open_peers: false,
        group: None,
        ports: vec![],
        tunnels: vec![],
        fdb: vec![],
        neighbors: vec![],
    }
}
