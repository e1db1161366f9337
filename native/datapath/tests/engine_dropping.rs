//! The history tells of the first frame that is dropped for a reason at a place, and of no other for a minute.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod engine_support;

use datapath::counter::DropReason;
use datapath::engine::history::Happening;
use datapath::wire::mac::MacAddr;
use engine_support::{
    A, BROADCAST, EXPERIMENTAL, Flow, Rig, STRANGER, desired, ethernet, mac, network,
};

/// Network, port, reason and source of what was dropped, in order.
type Told = (Option<String>, Option<String>, DropReason, Option<MacAddr>);

fn told(rig: &Rig) -> Vec<Told> {
    let lines = rig.datapath.history(0).lines.into_iter();
    lines
        .filter_map(|line| match line.happening {
            Happening::Dropped { reason, mac } => {
                let name = |name: Option<std::sync::Arc<str>>| name.map(|n| n.to_string());
                Some((name(line.place.network), name(line.place.port), reason, mac))
            }
            _ => None,
        })
        .collect()
}

#[test]
fn each_place_and_reason_is_told_once() {
    let network = network("n", 256).port_with("p", |p| p.mtu = 9000).port("q");
    let mut state = desired([network.peer(A)]);
    state.engine.workers = 2;
    let mut rig = Rig::new(&state);
    let itself = ethernet(mac(5), mac(5), EXPERIMENTAL, b"");
    let long = Flow::v4(mac(1), BROADCAST).udp(&[7; 2000]);
    for _ in 0..3 {
        rig.frame("p", &itself);
        rig.settle();
        rig.frame("q", &itself);
        rig.settle();
        rig.datagram(A, 256, &itself);
        rig.settle();
        rig.datagram(STRANGER, 256, &itself);
        rig.settle();
        rig.datagram(A, 257, &itself);
        rig.settle();
        rig.frame("p", &long);
        rig.settle();
    }
    let at = |port: &str| (Some("n".to_owned()), Some(port.to_owned()));
    let told_at = |port: &str, reason, source| {
        let (network, port) = at(port);
        (network, port, reason, Some(mac(source)))
    };
    let tunnel = "10.200.0.2:4789";
    let (equal, unknown) = (DropReason::SrcEqDst, DropReason::VtepUnknown);
    assert_eq!(
        told(&rig),
        [
            told_at("p", equal, 5),
            told_at("q", equal, 5),
            told_at(tunnel, equal, 5),
            (Some("n".into()), None, unknown, None),
            (None, None, DropReason::VniUnknown, None),
            told_at("q", DropReason::PortMtu, 1),
            told_at(tunnel, DropReason::TooBigNoicmp, 1),
        ]
    );
}
