//! The socket where a reader is awaited, when the process has no descriptor left. Alone in its file, for the limit is the
//! process's.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod io_support;

use datapath::io::poll::Waker;
use datapath::io::reader::ReaderSocket;
use io_support::eventually;
use std::fs::File;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

#[test]
fn a_reader_who_cannot_be_let_in_is_not_awaited_for_ever() {
    let path = std::env::temp_dir().join(format!("vs-reader-{}", std::process::id()));
    let pid = std::process::id().to_string();
    let limited = Command::new("prlimit")
        .args(["--pid", &pid, "--nofile=64:"])
        .status();
    assert!(limited.unwrap().success());
    let end = Arc::new(Waker::new().unwrap());

    let socket = ReaderSocket::bind(&path).unwrap();
    let caller = UnixStream::connect(&path).unwrap();
    let mut files = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        files.push(file);
    }
    let awaited = {
        let end = end.clone();
        std::thread::spawn(move || socket.accept(&end, Duration::from_millis(100)).is_some())
    };
    eventually("nobody is awaited any more", || awaited.is_finished());
    assert!(!awaited.join().unwrap());
    drop((files, caller));

    let socket = ReaderSocket::bind(&path).unwrap();
    let _caller = UnixStream::connect(&path).unwrap();
    assert!(socket.accept(&end, Duration::from_secs(10)).is_some());
    assert!(!path.exists());
}
