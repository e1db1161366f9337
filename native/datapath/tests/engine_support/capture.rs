//! The reader of a capture.

use super::pcapng::{self, Section};
use super::rig::Rig;
use datapath::engine::{CaptureSpec, CaptureStatus, Side};
use std::io::Read;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;

/// Takes everything, whole; in a folder that nobody else has.
pub fn capture_spec(side: Side) -> CaptureSpec {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let name = format!(
        "vs-capture-{}-{}",
        std::process::id(),
        MADE.fetch_add(1, Ordering::Relaxed)
    );
    CaptureSpec {
        network: None,
        port: None,
        peer: None,
        side,
        drops_only: false,
        filter: None,
        max_packets: None,
        snaplen: 262_144,
        socket: std::env::temp_dir().join(name),
    }
}

/// Somebody who reads a capture as fast as it comes.
pub struct Reader {
    pub id: u32,
    socket: PathBuf,
    stream: UnixStream,
    reading: Option<JoinHandle<Vec<u8>>>,
}

impl Reader {
    /// Begins a capture; packets are taken when this returns.
    pub fn start(rig: &mut Rig, spec: &CaptureSpec) -> Self {
        let mut reader = Self::connect(rig, spec);
        let mut stream = reader.stream.try_clone().unwrap();
        reader.reading = Some(std::thread::spawn(move || {
            let mut bytes = Vec::new();
            // A writer that is cut off resets the connection.
            let _ = stream.read_to_end(&mut bytes);
            bytes
        }));
        reader
    }

    /// The same, but nothing is read.
    pub fn connect(rig: &mut Rig, spec: &CaptureSpec) -> Self {
        let status = rig.datapath.capture(spec).unwrap();
        let stream = UnixStream::connect(&spec.socket).unwrap();
        let reader = Self {
            id: status.id,
            socket: spec.socket.clone(),
            stream,
            reading: None,
        };
        rig.wait_until("the capture runs", |rig, _| {
            reader.status(rig).is_some_and(|status| status.is_running)
        });
        assert!(!spec.socket.exists(), "the path is gone");
        // Its command reaches the workers before whatever comes after this one.
        reader
    }

    pub fn status(&self, rig: &Rig) -> Option<CaptureStatus> {
        let captures = rig.datapath.captures();
        captures.into_iter().find(|status| status.id == self.id)
    }

    /// Ends the capture as a reader does; everything of it.
    pub fn end(self) -> Section {
        self.stream.shutdown(Shutdown::Write).unwrap();
        self.ended()
    }

    /// Ends the capture of a reader who has read nothing so far; everything of it.
    pub fn read_to_the_end(mut self, rig: &mut Rig) -> Section {
        assert!(rig.datapath.end_capture(self.id));
        let mut bytes = Vec::new();
        self.stream.read_to_end(&mut bytes).unwrap();
        pcapng::read(&bytes)
    }

    /// Waits until the capture has ended by itself.
    pub fn ended(mut self) -> Section {
        let bytes = self.reading.take().unwrap().join().unwrap();
        pcapng::read(&bytes)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.socket);
    }
}
