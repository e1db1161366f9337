use super::*;
use crate::config::FdbLimits;
use crate::switch::fdb::Origin;

const RULES: BridgeRules = BridgeRules {
    learning: true,
    strict_source: true,
    drop_unknown_unicast: false,
    vlan: VlanPolicy::Discard,
    priority_tag: PriorityTag::Strip,
    group_forward_mask: 0,
};

fn member(id: u16, split_group: Option<u8>) -> Member {
    Member {
        id: PortId::new(id),
        split_group,
        flood_unknown: true,
        flood_broadcast: true,
        flood_multicast: true,
        hairpin: false,
        max_macs: 100,
        mac: None,
    }
}

/// Ports 1 and 2, tunnels 11 and 12.
fn members() -> Vec<Member> {
    vec![
        member(1, None),
        member(2, None),
        member(11, Some(1)),
        member(12, Some(1)),
    ]
}

fn bridge(rules: BridgeRules, members: Vec<Member>) -> Bridge {
    let limits = FdbLimits {
        max_macs: 100,
        evict_oldest: false,
        ageing_secs: 300,
    };
    Bridge::new(rules, members, Arc::new(Fdb::new(limits)))
}

fn frame(dst: &str, src: &str) -> Vec<u8> {
    let (dst, src): (MacAddr, MacAddr) = (dst.parse().unwrap(), src.parse().unwrap());
    [&dst.0[..], &src.0[..], &[0x88, 0xb5], &[0; 46]].concat()
}

fn tagged(dst: &str, src: &str, tpid: u16, tci: u16) -> Vec<u8> {
    let mut frame = frame(dst, src);
    let tag = [tpid.to_be_bytes(), tci.to_be_bytes()].concat();
    frame.splice(12..12, tag);
    frame
}

fn verdict(bridge: &Bridge, ingress: u16, frame: &[u8]) -> Verdict {
    let ethernet = Ethernet::new(frame).unwrap();
    bridge
        .forward(bridge.member(PortId::new(ingress)).unwrap(), &ethernet, 0)
        .verdict
}

fn flooded(bridge: &Bridge, ingress: u16, class: FloodClass) -> Vec<u16> {
    let ingress = bridge.member(PortId::new(ingress)).unwrap();
    bridge.flood(ingress, class).map(|m| m.id.get()).collect()
}

const A: &str = "02:00:00:00:00:0a";
const B: &str = "02:00:00:00:00:0b";
const BROADCAST: &str = "ff:ff:ff:ff:ff:ff";

#[test]
fn i161_i162_j175_flooding_spares_the_ingress_port_and_its_split_horizon_group() {
    let bridge = bridge(RULES, members());
    assert_eq!(
        verdict(&bridge, 1, &frame(B, A)),
        Verdict::Flood(FloodClass::UnknownUnicast)
    );
    assert_eq!(flooded(&bridge, 1, FloodClass::UnknownUnicast), [2, 11, 12]);
    assert_eq!(
        verdict(&bridge, 11, &frame(BROADCAST, B)),
        Verdict::Flood(FloodClass::Broadcast)
    );
    assert_eq!(flooded(&bridge, 11, FloodClass::Broadcast), [1, 2]);
}

#[test]
fn i161_i162_flood_switches_of_a_port() {
    let mut members = members();
    members[1].flood_unknown = false;
    members[2].flood_broadcast = false;
    let bridge = bridge(RULES, members);
    assert_eq!(flooded(&bridge, 1, FloodClass::UnknownUnicast), [11, 12]);
    assert_eq!(flooded(&bridge, 1, FloodClass::Broadcast), [2, 12]);
    assert_eq!(flooded(&bridge, 1, FloodClass::Multicast), [2, 11, 12]);
}

#[test]
fn i159_d75_no_way_back_where_it_came_from() {
    let bridge = bridge(RULES, members());
    verdict(&bridge, 1, &frame(BROADCAST, A));
    assert_eq!(
        verdict(&bridge, 1, &frame(A, B)),
        Verdict::Drop(DropReason::Hairpin)
    );
    verdict(&bridge, 11, &frame(BROADCAST, B));
    assert_eq!(
        verdict(&bridge, 11, &frame(B, "02:00:00:00:00:0c")),
        Verdict::Drop(DropReason::SplitHorizon)
    );
    assert_eq!(
        verdict(&bridge, 12, &frame(B, "02:00:00:00:00:0d")),
        Verdict::Drop(DropReason::SplitHorizon)
    );
    assert_eq!(
        verdict(&bridge, 1, &frame(B, A)),
        Verdict::To(PortId::new(11))
    );
}

#[test]
fn i159_hairpin_where_it_is_allowed() {
    let mut members = members();
    members[0].hairpin = true;
    let bridge = bridge(RULES, members);
    verdict(&bridge, 1, &frame(BROADCAST, A));
    assert_eq!(
        verdict(&bridge, 1, &frame(A, B)),
        Verdict::To(PortId::new(1))
    );
}

#[test]
fn c42_c43_c45_i157_i158_addresses_that_no_frame_may_have() {
    let bridge = bridge(RULES, members());
    for (dst, src, reason) in [
        (B, "03:00:00:00:00:01", DropReason::SrcMacMcast),
        (B, BROADCAST, DropReason::SrcMacMcast),
        (B, "00:00:00:00:00:00", DropReason::SrcMacZero),
        ("00:00:00:00:00:00", A, DropReason::DstMacZero),
        (A, A, DropReason::SrcEqDst),
    ] {
        assert_eq!(
            verdict(&bridge, 1, &frame(dst, src)),
            Verdict::Drop(reason),
            "{src} -> {dst}"
        );
    }
    let learned: Vec<_> = bridge
        .fdb()
        .entries()
        .iter()
        .map(|e| e.mac.to_string())
        .collect();
    assert_eq!(
        learned,
        [A],
        "only the last, which had a proper source, was learned"
    );
}

#[test]
fn i153_i154_i155_i156_link_local_control_frames() {
    let to = |n: u8| frame(&format!("01:80:c2:00:00:{n:02x}"), A);
    let closed = bridge(RULES, members());
    let open = bridge(
        BridgeRules {
            group_forward_mask: 0xffff,
            ..RULES
        },
        members(),
    );
    for n in 0..16 {
        assert_eq!(
            verdict(&closed, 1, &to(n)),
            Verdict::Drop(DropReason::L2ctrlFiltered)
        );
        let expected = match n {
            0..=2 => Verdict::Drop(DropReason::L2ctrlFiltered),
            _ => Verdict::Flood(FloodClass::Multicast),
        };
        assert_eq!(verdict(&open, 1, &to(n)), expected, "{n:x}");
    }
    for n in [0x10, 0x21] {
        assert_eq!(
            verdict(&closed, 1, &to(n)),
            Verdict::Flood(FloodClass::Multicast)
        );
    }
}

#[test]
fn i160_d72_frames_for_this_host_are_consumed_and_the_zero_mac_is_never_learned() {
    let bridge = bridge(RULES, members());
    bridge
        .fdb()
        .set(B.parse().unwrap(), PortId::LOCAL, Origin::Static, 0);
    assert_eq!(verdict(&bridge, 1, &frame(B, A)), Verdict::Punt);
    verdict(&bridge, 1, &frame(B, "00:00:00:00:00:00"));
    assert_eq!(bridge.fdb().lookup(MacAddr::ZERO), None);
}

#[test]
fn c44_d57_d58_d59_sources_that_belong_elsewhere() {
    let mut members = members();
    members[0].mac = Some(A.parse().unwrap());
    let learning = bridge(RULES, members.clone());
    learning
        .fdb()
        .set(A.parse().unwrap(), PortId::new(1), Origin::Static, 0);
    learning
        .fdb()
        .set(B.parse().unwrap(), PortId::new(11), Origin::Static, 0);
    assert_eq!(
        verdict(&learning, 12, &frame(BROADCAST, A)),
        Verdict::Drop(DropReason::SrcMacLocal)
    );
    assert_eq!(
        verdict(&learning, 12, &frame(BROADCAST, B)),
        Verdict::Drop(DropReason::FdbStaticConflict)
    );
    assert_eq!(
        verdict(&learning, 11, &frame(BROADCAST, B)),
        Verdict::Flood(FloodClass::Broadcast)
    );

    let deaf = bridge(
        BridgeRules {
            learning: false,
            ..RULES
        },
        members.clone(),
    );
    deaf.fdb()
        .set(B.parse().unwrap(), PortId::new(11), Origin::Static, 0);
    assert_eq!(
        verdict(&deaf, 12, &frame(BROADCAST, B)),
        Verdict::Drop(DropReason::FdbStaticConflict)
    );
    assert_eq!(
        verdict(&deaf, 1, &frame(BROADCAST, A)),
        Verdict::Flood(FloodClass::Broadcast)
    );
    assert_eq!(deaf.fdb().learned(None), 0);

    let lenient = bridge(
        BridgeRules {
            learning: false,
            strict_source: false,
            ..RULES
        },
        members,
    );
    lenient
        .fdb()
        .set(B.parse().unwrap(), PortId::new(11), Origin::Static, 0);
    assert_eq!(
        verdict(&lenient, 12, &frame(BROADCAST, B)),
        Verdict::Flood(FloodClass::Broadcast)
    );
}

#[test]
fn j179_unknown_unicast_may_be_suppressed_without_touching_broadcast() {
    let bridge = bridge(
        BridgeRules {
            drop_unknown_unicast: true,
            ..RULES
        },
        members(),
    );
    assert_eq!(
        verdict(&bridge, 1, &frame(B, A)),
        Verdict::Drop(DropReason::UuSuppressed)
    );
    assert_eq!(
        verdict(&bridge, 1, &frame(BROADCAST, A)),
        Verdict::Flood(FloodClass::Broadcast)
    );
}

#[test]
fn j174_j175_why_a_flood_reaches_nobody() {
    let lonely = bridge(RULES, vec![member(1, None)]);
    let ingress = lonely.member(PortId::new(1)).unwrap();
    assert_eq!(
        lonely.no_flood_reason(ingress, FloodClass::Broadcast),
        Some(DropReason::NoTarget)
    );
    let transit = bridge(RULES, vec![member(11, Some(1)), member(12, Some(1))]);
    let ingress = transit.member(PortId::new(11)).unwrap();
    assert_eq!(
        transit.no_flood_reason(ingress, FloodClass::Broadcast),
        Some(DropReason::SplitHorizon)
    );
}

#[test]
fn c47_c48_c49_c50_vlan_tags_by_policy() {
    let admit = |rules: BridgeRules, frame: &[u8]| {
        bridge(rules, members()).admit(&Ethernet::new(frame).unwrap())
    };
    let vlan7 = tagged(B, A, 0x8100, 7);
    let vlan150 = tagged(B, A, 0x88a8, 150 | 5 << 13);
    let priority = tagged(B, A, 0x8100, 6 << 13);
    assert_eq!(admit(RULES, &frame(B, A)), Ok(Admission::AsIs));
    assert_eq!(admit(RULES, &vlan7), Err(DropReason::InnerVlan));
    assert_eq!(admit(RULES, &vlan150), Err(DropReason::InnerVlan));
    assert_eq!(admit(RULES, &priority), Ok(Admission::StripTag));
    assert_eq!(admit(RULES, &vlan7[..16]), Err(DropReason::TooShortInner));
    let drop = BridgeRules {
        priority_tag: PriorityTag::Drop,
        ..RULES
    };
    assert_eq!(admit(drop, &priority), Err(DropReason::InnerPrioTag));
    let all = BridgeRules {
        vlan: VlanPolicy::Allow(vec![]),
        ..RULES
    };
    assert_eq!(admit(all, &vlan7), Ok(Admission::AsIs));
    let some = BridgeRules {
        vlan: VlanPolicy::Allow(vec![1..=1, 100..=200]),
        ..RULES
    };
    assert_eq!(
        admit(some.clone(), &vlan7),
        Err(DropReason::InnerVlanDenied)
    );
    assert_eq!(admit(some, &vlan150), Ok(Admission::AsIs));
}
