//! Capture filters against libpcap: our interpreter on its programs, and the built-in subset on its language.
//!
//! Needs libpcap (Debian package libpcap0.8).

mod filter_support;

use datapath::filter::{Filter, Instruction};
use filter_support::frame::whole_frame;
use filter_support::{Libpcap, text};
use proptest::collection::vec;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn libpcaps_programs_run_as_in_libpcap(
        text in text::of_libpcap(),
        optimize: bool,
        frames in vec((whole_frame(), any::<proptest::sample::Index>()), 8),
    ) {
        let libpcap = Libpcap::open();
        // Some of what is strung together libpcap refuses, such as what can never match.
        let Ok(program) = libpcap.compile(&text, optimize) else { return Ok(()) };
        let filter = Filter::from_program(&program).unwrap();
        for (frame, cut) in &frames {
            let len = frame.len() as u32;
            for kept in [frame, &frame[..cut.index(frame.len())]] {
                let expected = libpcap.matches(&program, kept, len);
                prop_assert_eq!(filter.matches(kept, len), expected, "{} on {:02x?}", &text, kept);
            }
        }
    }

    #[test]
    fn the_subset_means_what_it_means_to_libpcap(
        text in text::of_the_subset(),
        frames in vec((whole_frame(), any::<proptest::sample::Index>()), 8),
    ) {
        let libpcap = Libpcap::open();
        let filter = match Filter::compile(&text) {
            Ok(filter) => filter,
            Err(words) => return Err(TestCaseError::fail(format!("{text}: {words}"))),
        };
        // As written: the optimizer may look at bytes in another order, which shows where frames are cut.
        let program = libpcap.compile(&text, false);
        prop_assert!(program.is_ok(), "{}: {:?}", &text, program);
        let program = program.unwrap();
        for (frame, cut) in &frames {
            let len = frame.len() as u32;
            for kept in [frame, &frame[..cut.index(frame.len())]] {
                let expected = libpcap.matches(&program, kept, len);
                prop_assert_eq!(filter.matches(kept, len), expected, "{} on {:02x?}", &text, kept);
            }
        }
        // Some texts the optimizer refuses, as they match nothing.
        if let Ok(program) = libpcap.compile(&text, true) {
            for (frame, _) in &frames {
                let len = frame.len() as u32;
                let expected = libpcap.matches(&program, frame, len);
                prop_assert_eq!(filter.matches(frame, len), expected, "{} on {:02x?}", &text, frame);
            }
        }
    }

    #[test]
    fn any_program_that_we_take_runs_as_in_libpcap(
        program in vec((0u16..0x100, 0u8..4, 0u8..4, prop_oneof![0u32..32, any::<u32>()]), 1..24),
        frame in whole_frame(),
        cut: proptest::sample::Index,
    ) {
        // libpcap leaves memory as it is; 0x02 stores A, which is 0.
        let zeroed = (0..16).map(|slot| (0x02, 0, 0, slot));
        let mut program: Vec<Instruction> = zeroed
            .chain(program)
            .map(|(code, jt, jf, k)| Instruction { code, jt, jf, k })
            .map(|i| match i.code {
                // What C leaves open: shifts by more bits than there are, and division by zero.
                0x64 | 0x74 => Instruction { k: i.k % 32, ..i },
                0x34 | 0x94 => Instruction { k: i.k.max(1), ..i },
                _ => i,
            })
            .filter(|i| Filter::from_program(&[&[*i][..], &END].concat()).is_ok())
            .collect();
        program.extend(END);
        if let Ok(filter) = Filter::from_program(&program) {
            let libpcap = Libpcap::open();
            let len = frame.len() as u32;
            let kept = &frame[..cut.index(frame.len())];
            let expected = libpcap.matches(&program, kept, len);
            prop_assert_eq!(filter.matches(kept, len), expected, "{:x?}", program);
        }
    }
}

/// `ret a`, often enough that no jump of the tests goes behind it.
const END: [Instruction; 5] = [Instruction {
    code: 0x16,
    jt: 0,
    jf: 0,
    k: 0,
}; 5];

/// Texts that the subset takes must be those that libpcap takes; what people mistype, and the borders.
#[test]
fn what_the_subset_takes_libpcap_takes() {
    let libpcap = Libpcap::open();
    let texts = [
        "",
        " ",
        "host 10.0.0.1 or 10.0.0.2 and 10.0.0.3",
        "port 080",
        "port 077",
        "port (80 or 81) or 82",
        "tcp src 80",
        "tcp host 10.0.0.1",
        "ip6 host 10.0.0.1",
        "ether 1:2:3:4:5:6",
        "ether src 1:2:3:4:5:6",
        "net 10",
        "net 10/8",
        "net 10.0/8",
        "net 10.1.2.3.4",
        "net 10.0.0.0/08",
        "net ::1/64",
        "host ::/0",
        "host 10.0.0.1/32",
        "vlan 4095",
        "vlan 4096",
        "vlan and vlan and ip",
        "(vlan 5 or 6)",
        "less 5 or 6",
        "(tcp port 80) or 81",
        "src or dst port 5",
        "src or src port 5",
        "src and host 10.0.0.1",
        "proto 256",
        "dst portrange 5",
        "portrange 5-",
        "portrange 5-6-7",
        "less 0xffffffff",
        "less 4294967296",
        "not not tcp",
        "! ! tcp",
        "tcp && !udp || ip",
        "host 010.0.0.1",
        "host 10.0.0.01",
        "port 1 or (2 or tcp port 3) or 4",
        "ether proto 1500",
        "ether proto 1501",
        "ether proto 0x9000",
        "ip proto 6 or 17",
        "tcp port 80 udp port 53",
        "host fe80::1%eth0",
        "and",
        "()",
        "host ()",
        "host (10.0.0.1 and tcp)",
        "port 80 or not 81",
        "port +5",
        "ether host 1:2:3:4:5",
        "ether host 1:2:3:4:5:666",
        "ip src 10.0.0.1 or 10.0.0.2",
        "ip multicast or ip6",
        "port 1 and not (2 or 3)",
        "host 1.2.3.256",
        "tcp, udp",
        "0",
        "host 0.0.0.0",
        "net 0.0.0.0",
        "src net 0/0",
    ];
    let mut taken = 0;
    for text in texts {
        if Filter::compile(text).is_ok() {
            taken += 1;
            let theirs = libpcap.compile(text, false);
            assert!(theirs.is_ok(), "{text}: {theirs:?}");
        }
    }
    assert!(taken > 20, "{taken}");
}
