//! One TAP as most tests want it, and what is seen of it from inside its namespace.

use super::{Namespace, eventually, wait_for};
use datapath::error::{Error, ErrorCode};
use datapath::io::Refusal;
use datapath::io::netlink::Netlink;
use datapath::io::tap::{Mark, Offloads, Tap, TapQueue, TapSpec};
use std::io::IoSlice;

pub const OWNER: &str = "/run/vs-test/control.sock";
pub const MAC: [u8; 6] = [0x02, 0x42, 0x0a, 0, 0, 1];
pub const ALL: Offloads = Offloads {
    checksum: true,
    tso: true,
    uso: true,
};

pub fn spec(namespace: &Namespace) -> TapSpec {
    TapSpec {
        netns: Some(namespace.path().into()),
        ifname: "eth0".into(),
        mac: Some(MAC),
        mtu: 1450,
        addresses: vec![
            ("10.0.0.1".parse().unwrap(), 24),
            ("fd00::1".parse().unwrap(), 64),
        ],
        alias: alias("c1"),
        queues: 1,
        vnet_hdr: true,
        offloads: ALL,
        is_handed: false,
        sandbox: None,
    }
}

pub fn alias(port: &str) -> String {
    Mark { owner: OWNER, port }.alias()
}

pub fn exists(namespace: &Namespace, ifname: &str) -> bool {
    namespace.within(|| Ok(Netlink::open()?.link(ifname)?.is_some()))
}

/// A device that is not persistent ends with its last descriptor. Another test that starts a program at this moment has
/// a copy of that for an instant.
pub fn assert_ends(namespace: &Namespace, ifname: &str) {
    eventually("no device", || !exists(namespace, ifname));
}

/// Addresses with prefix lengths of `eth0`, without the link-local one that the kernel adds by itself.
pub fn addresses(namespace: &Namespace) -> Vec<String> {
    let mut found: Vec<_> = namespace
        .within(|| {
            let mut netlink = Netlink::open()?;
            let ifindex = netlink.link("eth0")?.map(|link| link.ifindex);
            let mut addresses = netlink.addresses()?;
            addresses.retain(|a| Some(a.ifindex) == ifindex);
            Ok(addresses)
        })
        .into_iter()
        .map(|a| format!("{}/{}", a.ip, a.prefix_len))
        .filter(|a| !a.starts_with("fe80"))
        .collect();
    found.sort();
    found
}

pub fn code(result: Result<Tap, Error>) -> ErrorCode {
    result.unwrap_err().code
}

/// An ARP question for `target` from 10.0.0.2.
pub fn arp_request(target: [u8; 4]) -> Vec<u8> {
    let sender = [0x02, 0x42, 0x0a, 0, 0, 2];
    let mut frame = vec![0xff; 6];
    frame.extend(sender);
    frame.extend([0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1]);
    frame.extend(sender);
    frame.extend([10, 0, 0, 2]);
    frame.extend([0; 6]);
    frame.extend(target);
    frame
}

/// Reads until `wanted` says yes of a frame; what else the stack says by itself is passed over.
pub fn read_until(
    queue: &TapQueue,
    mut wanted: impl FnMut(&[u8; 10], &[u8]) -> bool,
) -> ([u8; 10], Vec<u8>) {
    let (mut vnet, mut frame) = ([0xff; 10], vec![0; 65600]);
    loop {
        match queue.read(&mut vnet, &mut frame) {
            Ok(len) if wanted(&vnet, &frame[..len]) => return (vnet, frame[..len].to_vec()),
            Ok(_) => {}
            Err(Refusal::WouldBlock) => wait_for(queue),
            Err(other) => panic!("{other:?}"),
        }
    }
}

/// The stack behind the TAP answers an ARP question written in pieces.
pub fn assert_answers(queue: &TapQueue) {
    let request = arp_request([10, 0, 0, 1]);
    let parts: Vec<_> = request.chunks(5).map(IoSlice::new).collect();
    queue.write(&[0; 10], &parts).unwrap();
    let (_, reply) = read_until(queue, |_, f| {
        f.len() >= 42 && f[12..14] == [0x08, 0x06] && f[21] == 2
    });
    assert_eq!(reply[22..28], MAC);
    assert_eq!(reply[28..32], [10, 0, 0, 1]);
}

/// The mark that an alias is.
pub fn mark(alias: &str) -> Mark<'_> {
    Mark::parse(alias).unwrap()
}
