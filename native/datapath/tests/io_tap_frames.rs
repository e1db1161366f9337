//! Frames through a TAP: what comes with them, and how the kernel refuses. Needs root.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod io_support;

use datapath::error::ErrorCode;
use datapath::io::Refusal;
use datapath::io::tap::{Tap, TapSpec};
use datapath::io::underlay::TxPool;
use io_support::tap::{MAC, arp_request, assert_answers, read_until, spec};
use io_support::{Namespace, Outbox, is_ready, tx_spec, wait_for};
use std::io::IoSlice;
use std::net::{IpAddr, UdpSocket};

#[test]
fn root_o251_a_deleted_device_is_gone_for_reading_and_writing() {
    let namespace = Namespace::new("del");
    for queues in [1, 2] {
        let tap = Tap::open(&TapSpec {
            queues,
            ..spec(&namespace)
        })
        .unwrap();
        namespace.ip("link del eth0");
        let (mut vnet, mut frame) = ([0; 10], [0; 2000]);
        for queue in &tap.queues {
            wait_for(queue);
            assert_eq!(queue.read(&mut vnet, &mut frame), Err(Refusal::Gone));
            let parts = [IoSlice::new(&frame[..60])];
            assert_eq!(queue.write(&[0; 10], &parts), Err(Refusal::Gone));
        }
        assert!(!tap.netns_gone());
    }
}

#[test]
fn root_o251_a_deleted_namespace_is_noticed_by_its_path() {
    let namespace = Namespace::new("nsdel");
    let spec = spec(&namespace);
    let tap = Tap::open(&spec).unwrap();
    assert!(!tap.netns_gone());
    namespace.delete();
    assert!(tap.netns_gone());
    assert_eq!(
        tap.reconfigure(&spec, &spec).unwrap_err().code,
        ErrorCode::NetnsGone
    );
}

#[test]
fn root_a_down_interface_refuses_until_it_is_up_again() {
    let namespace = Namespace::new("down");
    let tap = Tap::open(&spec(&namespace)).unwrap();
    namespace.ip("link set eth0 down");
    let frame = arp_request([10, 0, 0, 1]);
    let parts = [IoSlice::new(&frame)];
    assert_eq!(tap.queues[0].write(&[0; 10], &parts), Err(Refusal::Down));
    namespace.ip("link set eth0 up");
    assert_answers(&tap.queues[0]);
}

#[test]
fn root_refused_frames_are_other() {
    let namespace = Namespace::new("other");
    let tap = Tap::open(&spec(&namespace)).unwrap();
    let short = [IoSlice::new(&[0; 5])];
    assert_eq!(
        tap.queues[0].write(&[0; 10], &short),
        Err(Refusal::Other(22))
    );
    let byte = [0; 1];
    let many = vec![IoSlice::new(&byte); 1024];
    assert_eq!(
        tap.queues[0].write(&[0; 10], &many),
        Err(Refusal::Other(90))
    );
    assert_eq!(tap.queues[0].write(&[0; 10], &many[..1023]), Ok(()));
}

#[test]
fn root_frames_come_with_what_the_stack_left_undone() {
    let namespace = Namespace::new("vnet");
    let tap = Tap::open(&spec(&namespace)).unwrap();
    namespace.ip("neigh add 10.0.0.2 lladdr 02:42:0a:00:00:02 dev eth0");
    let udp = |frame: &[u8]| frame.len() > 42 && frame[12..14] == [8, 0] && frame[23] == 17;

    // One datagram: its checksum is to be completed from the UDP header on.
    let socket = namespace.within(|| Ok(UdpSocket::bind("10.0.0.1:0").unwrap()));
    socket.send_to(&[0xab; 100], "10.0.0.2:9").unwrap();
    let (vnet, frame) = read_until(&tap.queues[0], |_, f| udp(f));
    assert_eq!(frame[..12], [&[2, 0x42, 0x0a, 0, 0, 2], &MAC[..]].concat());
    assert_eq!(frame.len(), 14 + 20 + 8 + 100);
    assert_eq!(vnet[0], 1, "needs checksum");
    assert_eq!(vnet[1], 0, "no superframe");
    assert_eq!(u16::from_ne_bytes([vnet[6], vnet[7]]), 34);

    // A run: one superframe.
    let tx = namespace.within(|| TxPool::open(&tx_spec("10.0.0.1".parse::<IpAddr>().unwrap())));
    let mut outbox = Outbox::default();
    outbox.push("10.0.0.2:9".parse().unwrap(), 1000, &[7; 30_500], 30_500);
    assert_eq!(outbox.send(&tx), [(0, 31, Ok(()))]);
    let (vnet, frame) = read_until(&tap.queues[0], |_, f| udp(f));
    assert_eq!(frame.len(), 14 + 20 + 8 + 30_500);
    assert_eq!((vnet[0], vnet[1]), (1, 5), "needs checksum, UDP_L4");
    assert_eq!(u16::from_ne_bytes([vnet[4], vnet[5]]), 1000);
    drop(tap);

    // Without the header everything comes finished, one frame per datagram.
    let plain = TapSpec {
        vnet_hdr: false,
        ..spec(&namespace)
    };
    let tap = Tap::open(&plain).unwrap();
    assert!(tap.reattached);
    assert_eq!(outbox.send(&tx), [(0, 31, Ok(()))]);
    for i in 0..31 {
        let (vnet, frame) = read_until(&tap.queues[0], |_, f| udp(f));
        assert_eq!(vnet, [0; 10]);
        assert_eq!(frame.len(), 42 + if i < 30 { 1000 } else { 500 });
    }
    assert!(!is_ready(&tap.queues[0]) || tap.queues[0].read(&mut [0; 10], &mut [0; 2000]).is_ok());
}
