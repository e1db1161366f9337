//! Two networks on one socket, of the same stations with the same addresses, of which the control plane knows different
//! things: whatever is sent in one of them, the other does not notice.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod engine_support;

use datapath::config::Desired;
use datapath::engine::Counters;
use datapath::wire::mac::MacAddr;
use engine_support::desired::Network;
use engine_support::neighbors::solicitation;
use engine_support::{
    A, ArpFields, BROADCAST, Book, Rig, desired, ethernet, mac, network, numbered, vxlan,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// Networks by index: one in which all is done, and one that is only watched.
const NAMES: [&str; 2] = ["busy", "quiet"];
const VNIS: [u32; 2] = [256, 257];

/// What is known of 10.0.0.N and fd00::N, N below 6: who has it (`None`: nothing), whether that is here.
type Known = Vec<Option<(u32, bool)>>;

#[derive(Debug, Clone)]
enum Step {
    /// Port, and what a station behind it sends.
    Frame(usize, Sent),
    /// A datagram from the peer, likewise.
    Datagram(Sent),
    /// The control plane knows this from now on.
    Apply(Known),
}

#[derive(Debug, Clone)]
enum Sent {
    Arp {
        operation: u16,
        sender: u8,
        /// The address that it says it has; 0: none.
        ip: u8,
        target: u8,
    },
    Nd {
        sender: u8,
        target: u8,
        is_dad: bool,
    },
    Data {
        dst: u32,
        src: u32,
    },
}

impl Sent {
    fn frame(&self, number: u32) -> Vec<u8> {
        match *self {
            Self::Arp {
                operation,
                sender,
                ip,
                target,
            } => {
                let sender_ip = if ip == 0 { [0; 4] } else { [10, 0, 0, ip] };
                let fields = ArpFields {
                    operation,
                    sender: (mac(sender.into()), sender_ip),
                    target: (MacAddr::ZERO, [10, 0, 0, target]),
                };
                fields.frame(BROADCAST, mac(sender.into()))
            }
            Self::Nd {
                sender,
                target,
                is_dad,
            } => match is_dad {
                true => solicitation(sender, target).for_nobody().multicast(),
                false => solicitation(sender, target).multicast(),
            },
            Self::Data { dst, src } => numbered(mac(dst), mac(src), number),
        }
    }
}

fn sent() -> impl Strategy<Value = Sent> {
    let arp =
        (1..3u16, 1..6u8, 0..6u8, 1..6u8).prop_map(|(operation, sender, ip, target)| Sent::Arp {
            operation,
            sender,
            ip,
            target,
        });
    let nd = (1..6u8, 1..6u8, any::<bool>()).prop_map(|(sender, target, is_dad)| Sent::Nd {
        sender,
        target,
        is_dad,
    });
    let data = (1..6u32, 1..6u32).prop_map(|(dst, src)| Sent::Data { dst, src });
    prop_oneof![3 => arp, 2 => nd, 2 => data]
}

fn known() -> impl Strategy<Value = Known> {
    vec(proptest::option::of((1..6u32, any::<bool>())), 6)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..2usize, sent()).prop_map(|(port, sent)| Step::Frame(port, sent)),
        3 => sent().prop_map(Step::Datagram),
        1 => known().prop_map(Step::Apply),
    ];
    vec(step, 1..60)
}

fn port(network: usize, port: usize) -> String {
    format!("{}{port}", NAMES[network])
}

fn made(index: usize, known: &Known) -> Network {
    let mut made = network(NAMES[index], VNIS[index])
        .port(&port(index, 0))
        .port(&port(index, 1))
        .peer(A);
    for (n, known) in known.iter().enumerate() {
        if let Some((owner, is_local)) = *known {
            for ip in [format!("10.0.0.{n}"), format!("fd00::{n}")] {
                made = made.neighbor_with(&ip, mac(owner), |n| n.local = is_local);
            }
        }
    }
    made
}

fn state(known: [&Known; 2]) -> Desired {
    desired([made(0, known[0]), made(1, known[1])])
}

/// Everything that is counted of the quiet network, its drops and notes among it, and its stations.
fn quiet(rig: &Rig, counters: &Counters) -> Vec<String> {
    let ledger = counters.ledger().into_iter();
    let counted = ledger.filter(|((network, _), n)| network == NAMES[1] && *n > 0);
    let lines = rig.datapath.fdb(Some(NAMES[1])).into_iter();
    counted
        .map(|entry| format!("{entry:?}"))
        .chain(lines.map(|line| format!("{line:?}")))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn m226_questions_answers_and_news_of_one_network_never_come_to_another(
        known in [known(), known()],
        steps in steps(),
    ) {
        let mut rig = Rig::new(&state([&known[0], &known[1]]));
        // Station 5 has been seen in the quiet network, so that there is something to spoil.
        rig.frame(&port(1, 0), &ethernet(BROADCAST, mac(5), 0x88b5, &[0; 46]));
        let counters = rig.settle();
        let before = quiet(&rig, &counters);
        rig.taken(&port(1, 1));
        rig.sent_to();
        for (number, step) in steps.iter().enumerate() {
            match step {
                Step::Frame(at, sent) => rig.frame(&port(0, *at), &sent.frame(number as u32)),
                Step::Datagram(sent) => rig.datagram(A, VNIS[0], &sent.frame(number as u32)),
                Step::Apply(now) => {
                    rig.apply(&state([now, &known[1]])).unwrap();
                }
            }
        }
        let counters = rig.settle();
        prop_assert_eq!(quiet(&rig, &counters), before);
        prop_assert_eq!(rig.taken(&port(1, 0)).len() + rig.taken(&port(1, 1)).len(), 0);
        let header = vxlan(VNIS[0], &[]);
        for (to, payload) in rig.sent_to() {
            prop_assert_eq!((to, &payload[..8]), (A, &header[..]));
        }
        // What the quiet network knows is what it answers by, whatever the busy one was told.
        for target in 1..6u8 {
            let question = Sent::Arp {
                operation: 1,
                sender: 6,
                ip: 6,
                target,
            };
            let question = question.frame(0);
            rig.frame(&port(1, 0), &question);
            let answers = rig.taken(&port(1, 0));
            let owner = known[1][usize::from(target)].filter(|(_, is_local)| !is_local);
            let owners: Vec<_> = answers.iter().map(|frame| frame[22..28].to_vec()).collect();
            let expected: Vec<_> = owner.map(|(owner, _)| mac(owner).0.to_vec()).into_iter().collect();
            prop_assert_eq!(owners, expected);
        }
        prop_assert_eq!(rig.taken(&port(0, 0)).iter().filter(|f| f[6..12] == mac(6).0).count(), 0);
    }
}
