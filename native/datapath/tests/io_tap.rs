//! The life of a TAP in namespaces that tests make themselves: making, finding again, failing, changing. Needs root.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod io_support;

use datapath::error::ErrorCode;
use datapath::io::netlink::Netlink;
use datapath::io::tap::{Mark, Offloads, Tap, TapSpec, remove};
use io_support::Namespace;
use io_support::tap::{
    ALL, MAC, addresses, alias, assert_answers, assert_ends, code, exists, mark, spec,
};

#[test]
fn root_a_new_tap_is_as_specified_and_talks() {
    let namespace = Namespace::new("tap");
    for (vnet_hdr, queues) in [(true, 1), (false, 1), (true, 2), (false, 2)] {
        let mut spec = spec(&namespace);
        spec.vnet_hdr = vnet_hdr;
        spec.queues = queues;
        let tap = Tap::open(&spec).unwrap();
        assert_eq!((tap.mac(), tap.mtu(), tap.reattached), (MAC, 1450, false));
        assert_eq!(tap.queues.len(), queues);
        assert_eq!(
            tap.offloads,
            if vnet_hdr { ALL } else { Offloads::default() }
        );
        let link = namespace.within(|| Netlink::open()?.link("eth0")).unwrap();
        assert_eq!(link.ifindex, tap.ifindex);
        assert_eq!((link.mac, link.mtu, link.up), (Some(MAC), 1450, true));
        assert_eq!(
            link.alias.as_deref(),
            Some("vswitchd /run/vs-test/control.sock c1")
        );
        assert_eq!(addresses(&namespace), ["10.0.0.1/24", "fd00::1/64"]);
        // Usable at once: not waiting for duplicate address detection.
        let shown = namespace.ip("-o -6 address show dev eth0");
        let line = shown.lines().find(|l| l.contains("fd00::1/64")).unwrap();
        assert!(
            line.contains("nodad") && !line.contains("tentative"),
            "{line}"
        );
        if queues == 1 {
            assert_answers(&tap.queues[0]);
        }
        drop(tap);
        assert_eq!(
            remove(spec.netns.as_deref(), "eth0", mark(&spec.alias)),
            Ok(true)
        );
        assert!(!exists(&namespace, "eth0"));
    }
}

#[test]
fn root_any_mac_is_reported_when_none_is_asked_for() {
    let namespace = Namespace::new("tap");
    let mut spec = spec(&namespace);
    spec.mac = None;
    let tap = Tap::open(&spec).unwrap();
    assert_eq!(tap.mac()[0] & 1, 0);
    assert_ne!(tap.mac(), [0; 6]);
    drop(tap);
    let again = Tap::open(&spec).unwrap();
    assert!(again.reattached);
}

#[test]
fn root_o244_a_tap_is_found_again_with_its_addresses_and_routes() {
    let namespace = Namespace::new("again");
    for queues in [1, 2] {
        let mut spec = spec(&namespace);
        spec.queues = queues;
        let tap = Tap::open(&spec).unwrap();
        let ifindex = tap.ifindex;
        namespace.ip("address add 10.9.0.1/24 dev eth0");
        namespace.ip("route add 192.0.2.0/24 via 10.0.0.2");
        drop(tap);
        assert!(exists(&namespace, "eth0"));

        spec.mac = None;
        spec.addresses.push(("10.8.0.1".parse().unwrap(), 24));
        let tap = Tap::open(&spec).unwrap();
        assert!(tap.reattached);
        assert_eq!(
            (tap.ifindex, tap.mac(), tap.queues.len()),
            (ifindex, MAC, queues)
        );
        assert_eq!(
            addresses(&namespace),
            ["10.0.0.1/24", "10.8.0.1/24", "10.9.0.1/24", "fd00::1/64"]
        );
        assert!(
            namespace
                .ip("route show 192.0.2.0/24")
                .contains("via 10.0.0.2")
        );
        if queues == 1 {
            assert_answers(&tap.queues[0]);
        }
        drop(tap);
        assert_eq!(
            remove(spec.netns.as_deref(), "eth0", mark(&spec.alias)),
            Ok(true)
        );
    }
}

#[test]
fn root_the_other_kind_of_queues_is_taken_as_it_is() {
    let namespace = Namespace::new("queues");
    let mut spec = spec(&namespace);
    drop(Tap::open(&spec).unwrap());
    spec.queues = 2;
    let tap = Tap::open(&spec).unwrap();
    assert_eq!((tap.reattached, tap.queues.len()), (true, 1));
    assert_answers(&tap.queues[0]);
    drop(tap);
    assert_eq!(
        remove(spec.netns.as_deref(), "eth0", mark(&spec.alias)),
        Ok(true)
    );
    drop(Tap::open(&spec).unwrap());
    spec.queues = 1;
    let tap = Tap::open(&spec).unwrap();
    assert_eq!((tap.reattached, tap.queues.len()), (true, 1));
    assert_answers(&tap.queues[0]);
}

#[test]
fn root_offloads_of_an_earlier_life_are_reset() {
    let namespace = Namespace::new("offload");
    let mut spec = spec(&namespace);
    namespace.ip("link set lo mtu 1500");
    drop(Tap::open(&spec).unwrap());
    let features = |name: &str| {
        let all = namespace.exec("ethtool -k eth0");
        let line = all.lines().find(|l| l.trim_start().starts_with(name));
        line.unwrap().split_whitespace().nth(1).unwrap().to_string()
    };
    assert_eq!(features("tx-tcp-segmentation"), "on");
    assert_eq!(features("tx-udp-segmentation"), "on");
    spec.offloads.uso = false;
    let tap = Tap::open(&spec).unwrap();
    assert_eq!(tap.offloads, Offloads { uso: false, ..ALL });
    assert_eq!(features("tx-udp-segmentation"), "off");
    drop(tap);
    spec.vnet_hdr = false;
    let tap = Tap::open(&spec).unwrap();
    assert_eq!(tap.offloads, Offloads::default());
    assert_eq!(features("tx-tcp-segmentation"), "off");
    assert_answers(&tap.queues[0]);
}

#[test]
fn root_names_of_others_are_left_alone() {
    let namespace = Namespace::new("taken");
    let spec = spec(&namespace);
    namespace.ip("link add eth0 type veth peer name other");
    let error = Tap::open(&spec).unwrap_err();
    assert_eq!(error.code, ErrorCode::IfnameTaken);
    assert_eq!(
        error.subject,
        format!("eth0 in {}", namespace.path().display())
    );
    assert_eq!(
        error.detail.as_deref(),
        Some("a veth interface without alias")
    );
    // The right alias on the wrong kind of interface.
    namespace.exec(&format!("ip link set eth0 alias {}", "x"));
    assert_eq!(code(Tap::open(&spec)), ErrorCode::IfnameTaken);
    assert_eq!(
        remove(spec.netns.as_deref(), "eth0", mark(&spec.alias)),
        Ok(false)
    );
    assert!(exists(&namespace, "eth0"));
    namespace.ip("link del eth0");

    // A TAP of another port, and one of another owner.
    for alias in [
        alias("c2"),
        Mark {
            owner: "/run/x",
            port: "c1",
        }
        .alias(),
    ] {
        let theirs = TapSpec {
            alias,
            ..spec.clone()
        };
        drop(Tap::open(&theirs).unwrap());
        assert_eq!(code(Tap::open(&spec)), ErrorCode::IfnameTaken);
        namespace.ip("link del eth0");
    }
}

#[test]
fn root_a_marked_interface_of_another_kind_is_not_attached() {
    let namespace = Namespace::new("kind");
    namespace.ip("link add eth0 type veth peer name other");
    namespace.within(|| {
        let mut netlink = Netlink::open()?;
        let link = netlink.link("eth0")?.unwrap();
        netlink.set_alias(link.ifindex, &alias("c1"))
    });
    assert_eq!(code(Tap::open(&spec(&namespace))), ErrorCode::IfnameTaken);
    assert!(exists(&namespace, "eth0"));
}

#[test]
fn root_a_tap_that_somebody_holds_is_busy() {
    let namespace = Namespace::new("busy");
    for queues in [1, 2] {
        let spec = TapSpec {
            queues,
            ..spec(&namespace)
        };
        let holder = Tap::open(&spec).unwrap();
        assert_eq!(code(Tap::open(&spec)), ErrorCode::TapBusy);
        if queues == 1 {
            assert_answers(&holder.queues[0]);
        }
        drop(holder);
        drop(Tap::open(&spec).unwrap());
        assert_eq!(
            remove(spec.netns.as_deref(), "eth0", mark(&spec.alias)),
            Ok(true)
        );
    }
}

#[test]
fn root_a_failure_half_way_leaves_nothing_new_and_takes_nothing_old() {
    let namespace = Namespace::new("half");
    let good = spec(&namespace);
    let bad = TapSpec {
        mtu: 100_000,
        ..good.clone()
    };
    let error = Tap::open(&bad).unwrap_err();
    assert_eq!(error.code, ErrorCode::MtuImpossible);
    assert!(error.detail.unwrap().contains("100000"));
    assert_ends(&namespace, "eth0");

    drop(Tap::open(&good).unwrap());
    assert_eq!(code(Tap::open(&bad)), ErrorCode::MtuImpossible);
    assert!(exists(&namespace, "eth0"));
    assert_eq!(addresses(&namespace), ["10.0.0.1/24", "fd00::1/64"]);
}

#[test]
fn root_bad_values_are_refused_without_a_device() {
    let namespace = Namespace::new("bad");
    let good = spec(&namespace);
    for bad in [
        TapSpec {
            ifname: "a-name-too-long-".into(),
            ..good.clone()
        },
        TapSpec {
            ifname: String::new(),
            ..good.clone()
        },
        TapSpec {
            ifname: "a/b".into(),
            ..good.clone()
        },
        TapSpec {
            alias: alias(&"x".repeat(240)),
            ..good.clone()
        },
        TapSpec {
            mac: Some([1, 0, 0, 0, 0, 1]),
            ..good.clone()
        },
        TapSpec {
            addresses: vec![("10.0.0.1".parse().unwrap(), 33)],
            ..good.clone()
        },
    ] {
        assert_eq!(code(Tap::open(&bad)), ErrorCode::BadValue, "{bad:?}");
        assert_ends(&namespace, "eth0");
    }
}

#[test]
fn root_a_missing_namespace_is_gone() {
    let namespace = Namespace::new("gone");
    let mut spec = spec(&namespace);
    spec.netns = Some("/run/netns/vs-never-there".into());
    assert_eq!(code(Tap::open(&spec)), ErrorCode::NetnsGone);
    assert_eq!(
        remove(spec.netns.as_deref(), "eth0", mark(&spec.alias)),
        Ok(false)
    );
    // A path that is no namespace.
    spec.netns = Some("/proc/version".into());
    let error = Tap::open(&spec).unwrap_err();
    assert_eq!(error.code, ErrorCode::NetnsGone);
    assert_eq!(error.subject, "eth0 in /proc/version");
}

#[test]
fn root_reconfigure_changes_mtu_mac_and_addresses() {
    let namespace = Namespace::new("reconf");
    let mut spec = spec(&namespace);
    let tap = Tap::open(&spec).unwrap();
    let first = spec.clone();
    namespace.ip("address add 10.9.0.1/24 dev eth0");
    spec.mtu = 1400;
    spec.mac = Some([2, 0, 0, 0, 0, 7]);
    spec.addresses = vec![
        ("10.7.0.1".parse().unwrap(), 16),
        ("fd00::1".parse().unwrap(), 64),
    ];
    tap.reconfigure(&first, &spec).unwrap();
    assert_eq!((tap.mtu(), tap.mac()), (1400, [2, 0, 0, 0, 0, 7]));
    // What we never set stays.
    assert_eq!(
        addresses(&namespace),
        ["10.7.0.1/16", "10.9.0.1/24", "fd00::1/64"]
    );
    assert_eq!(tap.spec(), spec);
    let impossible = TapSpec {
        mtu: 1_000_000,
        ..spec.clone()
    };
    assert_eq!(
        tap.reconfigure(&spec, &impossible).unwrap_err().code,
        ErrorCode::MtuImpossible
    );
    assert_eq!(tap.mtu(), 1400);
    // The way back from a failure half-way mends it.
    let mut half = spec.clone();
    half.addresses.extend([
        ("10.8.0.1".parse().unwrap(), 24),
        ("255.255.255.255".parse().unwrap(), 99),
    ]);
    tap.reconfigure(&spec, &half).unwrap_err();
    tap.reconfigure(&half, &spec).unwrap();
    assert_eq!(
        addresses(&namespace),
        ["10.7.0.1/16", "10.9.0.1/24", "fd00::1/64"]
    );
    // Also when somebody took the address away before us.
    namespace.ip("address del 10.7.0.1/16 dev eth0");
    let was = spec.clone();
    spec.addresses.clear();
    tap.reconfigure(&was, &spec).unwrap();
    assert_eq!(addresses(&namespace), ["10.9.0.1/24"]);
}

#[test]
fn root_ipv6_is_enabled_where_an_address_wants_it() {
    let namespace = Namespace::new("nov6");
    namespace
        .exec("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1");
    let _tap = Tap::open(&spec(&namespace)).unwrap();
    assert_eq!(addresses(&namespace), ["10.0.0.1/24", "fd00::1/64"]);
}
