//! TAPs that somebody else moves: made at home, moved, renamed and brought back while we hold them, and found again.
//! Needs root.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod io_support;

use datapath::error::ErrorCode;
use datapath::io::Refusal;
use datapath::io::netlink::{Link, Netlink};
use datapath::io::tap::{OwnedTap, Tap, TapSpec, owned, remove_roaming};
use io_support::roaming::Household;
use io_support::tap::{
    ALL, MAC, OWNER, addresses, alias, arp_request, assert_answers, code, exists, mark,
};
use io_support::{Namespace, is_ready, wait_for};
use std::io::IoSlice;

fn link(namespace: &Namespace, ifname: &str) -> Link {
    namespace
        .within(|| Netlink::open()?.link(ifname))
        .unwrap_or_else(|| panic!("no {ifname}"))
}

fn write(tap: &Tap) -> Result<(), Refusal> {
    let frame = arp_request([10, 0, 0, 1]);
    tap.queues[0].write(&[0; 10], &[IoSlice::new(&frame)])
}

fn read(tap: &Tap) -> Result<usize, Refusal> {
    tap.queues[0].read(&mut [0; 10], &mut [0; 2000])
}

#[test]
fn root_a_made_tap_waits_at_home_down_and_marked() {
    let house = Household::new("made");
    for queues in [1, 2] {
        let spec = TapSpec {
            queues,
            ..house.spec()
        };
        house.make(&spec).unwrap();
        let made = link(&house.home, "vs1");
        assert_eq!((made.mac, made.mtu, made.up), (Some(MAC), 1450, false));
        assert_eq!(made.alias, Some(alias("c1")));
        // Once more is fine, also while it is held, and with another MTU.
        let tap = house.open(&spec).unwrap();
        assert_eq!((tap.ifindex, tap.queues.len()), (made.ifindex, queues));
        house.make(&TapSpec { mtu: 1400, ..spec }).unwrap();
        let again = link(&house.home, "vs1");
        assert_eq!((again.ifindex, again.mtu), (made.ifindex, 1400));
        drop(tap);
        house.home.ip("link del vs1");
    }
}

#[test]
fn root_a_name_that_another_has_is_not_made() {
    let house = Household::new("mine");
    let spec = house.spec();
    house.home.ip("link add vs1 type veth peer name other");
    let error = house.make(&spec).unwrap_err();
    assert_eq!(error.code, ErrorCode::IfnameTaken);
    house.home.ip("link del vs1");
    let theirs = TapSpec {
        alias: alias("c2"),
        ..spec.clone()
    };
    house.make(&theirs).unwrap();
    assert_eq!(house.make(&spec).unwrap_err().code, ErrorCode::IfnameTaken);
    house.home.ip("link del vs1");
    // A failure on the way leaves nothing.
    let impossible = TapSpec {
        mtu: 1_000_000,
        ..spec
    };
    let error = house.make(&impossible).unwrap_err();
    assert_eq!(error.code, ErrorCode::MtuImpossible);
    io_support::tap::assert_ends(&house.home, "vs1");
}

#[test]
fn root_a_held_tap_goes_to_the_sandbox_and_comes_back() {
    let house = Household::new("held");
    let sandbox = Some(house.sandbox.path().into());
    for (vnet_hdr, queues) in [(true, 1), (false, 1), (true, 2)] {
        let spec = TapSpec {
            vnet_hdr,
            queues,
            ..house.spec()
        };
        house.make(&spec).unwrap();
        let tap = house.open(&spec).unwrap();
        assert!(tap.reattached);
        assert_eq!(tap.offloads == ALL, vnet_hdr);
        for _ in 0..2 {
            assert_eq!(house.place(&tap), ("vs1".into(), None));
            assert_eq!(write(&tap), Err(Refusal::Down));
            assert_eq!(read(&tap), Err(Refusal::WouldBlock));
            assert!(!is_ready(&tap.queues[0]));
            house.join();
            assert_eq!(house.place(&tap), ("eth0".into(), sandbox.clone()));
            assert_eq!(addresses(&house.sandbox), ["10.0.0.1/24", "fd00::1/64"]);
            assert_eq!(link(&house.sandbox, "eth0").mtu, 1450);
            if queues == 1 {
                assert_answers(&tap.queues[0]);
            }
            house.leave();
            while read(&tap) != Err(Refusal::WouldBlock) {}
        }
        drop(tap);
        house.home.ip("link del vs1");
    }
}

#[test]
fn root_o244_a_tap_in_its_sandbox_is_adopted_as_it_is() {
    let house = Household::new("adopt");
    for queues in [1, 2] {
        let spec = TapSpec {
            queues,
            ..house.spec()
        };
        house.make(&spec).unwrap();
        drop(house.open(&spec).unwrap());
        house.join();
        house.sandbox.ip("address add 10.9.0.1/24 dev eth0");
        house.sandbox.ip("link set eth0 name eth7");
        house.sandbox.ip("link set eth7 address 02:00:00:00:00:99");
        let before = link(&house.sandbox, "eth7");
        let tap = house.open(&spec).unwrap();
        let after = Link {
            open_queues: before.open_queues,
            ..link(&house.sandbox, "eth7")
        };
        assert_eq!(after, before);
        assert_eq!((tap.ifindex, tap.queues.len()), (before.ifindex, queues));
        assert_eq!(tap.mac(), [2, 0, 0, 0, 0, 0x99]);
        let place = house.place(&tap);
        assert_eq!(place, ("eth7".into(), Some(house.sandbox.path().into())));
        house.sandbox.ip("link set eth7 address 02:42:0a:00:00:01");
        house.sandbox.ip("link set eth7 name eth0");
        if queues == 1 {
            assert_answers(&tap.queues[0]);
        }
        // Somebody set it down: so it stays.
        drop(tap);
        house.sandbox.ip("link set eth0 down");
        let tap = house.open(&spec).unwrap();
        assert!(!link(&house.sandbox, "eth0").up);
        drop(tap);
        house.sandbox.ip("link del eth0");
    }
}

#[test]
fn root_a_tap_is_adopted_at_home_while_there_is_no_sandbox() {
    let house = Household::new("home");
    let spec = house.spec();
    house.make(&spec).unwrap();
    // Docker makes the file before it mounts a namespace on it.
    for nowhere in ["/run/netns/vs-never-there", "/proc/version"] {
        let spec = TapSpec {
            sandbox: Some(nowhere.into()),
            ..spec.clone()
        };
        let tap = house.open(&spec).unwrap();
        assert_eq!(house.place(&tap), ("vs1".into(), None));
        // The sandbox is there now: nothing is opened anew, and the MTU is set where the device is.
        house.join();
        let now = TapSpec {
            mtu: 1400,
            ..house.spec()
        };
        tap.reconfigure(&spec, &now).unwrap();
        assert_eq!((tap.mtu(), tap.spec()), (1400, now));
        assert_eq!(link(&house.sandbox, "eth0").mtu, 1400);
        assert_answers(&tap.queues[0]);
        house.leave();
    }
}

#[test]
fn root_a_tap_that_is_nowhere_is_not_made() {
    let house = Household::new("nowhere");
    let spec = house.spec();
    // Others of that name are not taken for it, neither here nor there.
    house.home.ip("link add vs1 type veth peer name other");
    house.sandbox.ip("link add eth0 type veth peer name other");
    let error = house.open(&spec).unwrap_err();
    assert_eq!(error.code, ErrorCode::TapGone);
    let sandbox = house.sandbox.path().display();
    assert_eq!(error.subject, format!("vs1 in {sandbox}"));
    house.home.ip("link del vs1");
    assert_eq!(code(house.open(&spec)), ErrorCode::TapGone);
    assert!(!exists(&house.home, "vs1"));
    // It is gone for a reconfiguration too.
    house.make(&spec).unwrap();
    let tap = house.open(&spec).unwrap();
    house.home.ip("link del vs1");
    let wider = TapSpec {
        mtu: 1460,
        ..spec.clone()
    };
    let error = house
        .home
        .within(|| Ok(tap.reconfigure(&spec, &wider)))
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::TapGone);
}

#[test]
fn root_a_tap_that_somebody_holds_in_the_sandbox_is_busy() {
    let house = Household::new("rbusy");
    let spec = house.spec();
    house.make(&spec).unwrap();
    let holder = house.open(&spec).unwrap();
    house.join();
    assert_eq!(code(house.open(&spec)), ErrorCode::TapBusy);
    assert_answers(&holder.queues[0]);
}

#[test]
fn root_o251_a_moved_tap_ends_with_its_sandbox() {
    let house = Household::new("ends");
    let spec = house.spec();
    house.make(&spec).unwrap();
    let tap = house.open(&spec).unwrap();
    house.join();
    assert_answers(&tap.queues[0]);
    house.sandbox.delete();
    // Our descriptor was opened at home, so it does not keep the sandbox alive; what was sent before is read first.
    loop {
        match read(&tap) {
            Ok(_) => {}
            Err(Refusal::WouldBlock) => wait_for(&tap.queues[0]),
            Err(refusal) => break assert_eq!(refusal, Refusal::Gone),
        }
    }
    assert_eq!(write(&tap), Err(Refusal::Gone));
    assert!(is_ready(&tap.queues[0]));
}

#[test]
fn root_a_moved_tap_is_found_and_removed_wherever_it_is() {
    let house = Household::new("find");
    let spec = TapSpec {
        alias: format!("vswitchd {OWNER}-{} c1", std::process::id()),
        ..house.spec()
    };
    let another = alias("c1");
    let remove = |mark| {
        let sandbox = Some(house.sandbox.path());
        house.home.within(|| Ok(remove_roaming(sandbox, mark)))
    };
    for is_moved in [false, true] {
        house.make(&spec).unwrap();
        if is_moved {
            house.join();
        }
        let owner = mark(&spec.alias).owner;
        let found = house.home.within(|| owned(owner));
        let expected = match is_moved {
            false => (None, "vs1"),
            true => (Some(house.sandbox.path().into()), "eth0"),
        };
        let (netns, ifname) = expected;
        let tap = OwnedTap {
            netns,
            ifname: ifname.into(),
            port: "c1".into(),
        };
        assert_eq!(found.into_iter().next(), Some(tap));
        assert_eq!(remove(mark(&another)), Ok(false), "of another owner");
        assert_eq!(remove(mark(&spec.alias)), Ok(true));
        assert_eq!(remove(mark(&spec.alias)), Ok(false));
    }
    assert!(!exists(&house.home, "vs1") && !exists(&house.sandbox, "eth0"));
}
