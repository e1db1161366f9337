//! What the machine offers, against what is really there.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod io_support;

use datapath::error::ErrorCode;
use datapath::io::probe::{Probe, probe};
use io_support::Namespace;
use std::net::IpAddr;

const NAMES: [&str; 14] = [
    "vnet_hdr",
    "tso",
    "uso",
    "multi_queue",
    "recvmmsg",
    "sendmmsg",
    "udp_gso",
    "udp_gro",
    "rcvbuf_force",
    "ring",
    "tunnel_gso",
    "packet",
    "packet_vnet_hdr",
    "veth",
];

fn names(probe: &Probe) -> Vec<&str> {
    probe.facilities.iter().map(|f| f.name).collect()
}

#[test]
fn every_facility_is_answered_with_a_reason_where_it_is_missing() {
    let probe = probe();
    assert_eq!(names(&probe), NAMES);
    assert_eq!(probe.tun, probe.tun_error.is_none());
    for facility in &probe.facilities {
        assert_eq!(
            facility.available,
            facility.detail.is_none(),
            "{facility:?}"
        );
    }
    let loopback = probe
        .interfaces
        .iter()
        .find(|(link, _)| link.ifname == "lo");
    assert!(loopback.is_some());
}

#[test]
fn root_namespaces_show_their_interfaces_and_kernel_vxlan_devices() {
    let namespace = Namespace::new("probe");
    let before = namespace.within(|| Ok(probe()));
    assert!(before.tun && before.net_admin, "{before:?}");
    assert!(before.vxlan_devices.is_empty());

    namespace.ip("link add u0 type veth peer name u1");
    namespace.ip("link set u0 mtu 1400 up");
    namespace.ip("address add 10.1.0.1/24 dev u0");
    namespace.ip("link add vx7 type vxlan id 4711 dstport 4790 local 10.1.0.1");
    let found = namespace.within(|| Ok(probe()));
    assert_eq!(found.facilities, before.facilities);
    let [device] = &found.vxlan_devices[..] else {
        panic!("{:?}", found.vxlan_devices);
    };
    let settings = device.vxlan.unwrap();
    assert_eq!((settings.vni, settings.udp_port), (4711, 4790));
    assert_eq!((device.ifname.as_str(), device.up), ("vx7", false));
    let (link, addresses) = found
        .interfaces
        .iter()
        .find(|(link, _)| link.ifname == "u0")
        .unwrap();
    assert_eq!(
        (link.mtu, link.up, link.kind.as_deref()),
        (1400, true, Some("veth"))
    );
    let v4: Vec<_> = addresses.iter().filter(|a| a.ip.is_ipv4()).collect();
    assert_eq!(v4.len(), 1);
    assert_eq!(
        (v4[0].ip, v4[0].prefix_len),
        ("10.1.0.1".parse::<IpAddr>().unwrap(), 24)
    );
    // Nothing of what was tried is left.
    let links = namespace.ip("-o link show");
    assert_eq!(links.lines().count(), 4, "{links}");
}

#[test]
fn root_without_rights_the_reason_is_named() {
    if std::env::var_os(CHILD).is_some() {
        return unprivileged_probe();
    }
    let output = std::process::Command::new("setpriv")
        .args(["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "root_without_rights_the_reason_is_named"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

/// The part of the test above that runs in a process without capabilities.
fn unprivileged_probe() {
    let probe = probe();
    assert_eq!(names(&probe), NAMES);
    assert!(!probe.net_admin && !probe.tun);
    let error = probe.tun_error.unwrap();
    assert!(
        matches!(error.code, ErrorCode::NoTun | ErrorCode::NoNetAdmin),
        "{error}"
    );
    for facility in &probe.facilities {
        let expected = matches!(
            facility.name,
            "recvmmsg" | "sendmmsg" | "udp_gso" | "udp_gro"
        );
        assert_eq!(facility.available, expected, "{facility:?}");
    }
}

/// Set in the process without capabilities.
const CHILD: &str = "PROBE_TEST_CHILD";
