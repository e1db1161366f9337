//! Floods of datagrams at given rates, and how many of each rate arrive.
//!
//! Payload: phase (u32), number (u64), both big-endian, then zeros. Phase 0 is the warm-up, in which neighbours are
//! resolved and MACs learned; it is not reported.

use std::fmt::Write;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use crate::mmsg::{BATCH, Batch, widen_receive_buffer};
use crate::served::{POLL, Wanted};

/// What to send where.
pub(crate) struct Flood {
    pub(crate) to: SocketAddr,
    /// Payload bytes, at least `MIN_SIZE`.
    pub(crate) size: usize,
    /// Datagrams per second, one phase each; 0 is as many as go.
    pub(crate) rates: Vec<u32>,
    pub(crate) phase: Duration,
}

/// Sends all phases; `{"phases":[{"sent":N,"seconds":S},...]}`.
pub(crate) fn send(flood: &Flood) -> io::Result<String> {
    if !(MIN_SIZE..=MAX_SIZE).contains(&flood.size) || flood.rates.len() >= MAX_PHASES {
        return Err(io::Error::new(
            ErrorKind::InvalidInput,
            "size or phases out of range",
        ));
    }
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect(flood.to)?;
    let mut sender = Sender {
        socket,
        batch: Batch::new(flood.size),
        number: 0,
    };
    let first = flood.rates.first().copied().unwrap_or(0);
    sender.phase(0, first, WARM_UP)?;
    let mut answer = String::from("{\"phases\":[");
    for (i, rate) in flood.rates.iter().enumerate() {
        let began = Instant::now();
        let sent = sender.phase(i as u32 + 1, *rate, flood.phase)?;
        let seconds = began.elapsed().as_secs_f64();
        let comma = if i == 0 { "" } else { "," };
        let _ = write!(
            answer,
            "{comma}{{\"sent\":{sent},\"seconds\":{seconds:.6}}}"
        );
    }
    Ok(answer + "]}")
}

struct Sender {
    socket: UdpSocket,
    batch: Batch,
    number: u64,
}

impl Sender {
    /// Sends for that long and returns how many; what the kernel refuses for want of room counts as sent.
    fn phase(&mut self, phase: u32, rate: u32, length: Duration) -> io::Result<u64> {
        let began = Instant::now();
        let mut sent = 0;
        loop {
            let elapsed = began.elapsed();
            if elapsed >= length {
                return Ok(sent);
            }
            let due = match rate {
                0 => BATCH as u64,
                rate => (elapsed.as_secs_f64() * f64::from(rate)) as u64 + 1 - sent,
            };
            if due == 0 {
                pause(Duration::from_secs_f64(1.0 / f64::from(rate)));
                continue;
            }
            sent += self.burst(phase, due.min(BATCH as u64) as usize)?;
        }
    }

    fn burst(&mut self, phase: u32, count: usize) -> io::Result<u64> {
        for i in 0..count {
            let slot = self.batch.slot(i);
            slot[..4].copy_from_slice(&phase.to_be_bytes());
            slot[4..12].copy_from_slice(&self.number.to_be_bytes());
            self.number += 1;
        }
        match self.batch.send(&self.socket, count) {
            Ok(taken) => {
                self.number -= (count - taken) as u64;
                Ok(taken as u64)
            }
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => Ok(count as u64),
            Err(error) => Err(error),
        }
    }
}

/// Sleeping costs tens of microseconds more than asked for; below that, waiting is what keeps the rate.
fn pause(wanted: Duration) {
    if wanted > SLEEPABLE {
        thread::sleep(wanted / 2);
    } else {
        std::hint::spin_loop();
    }
}

/// Counts until stdin ends; `{"received":[N,...],"reordered":N}`, received by phase without the warm-up.
pub(crate) fn sink(at: SocketAddr) -> io::Result<String> {
    let socket = UdpSocket::bind(at)?;
    widen_receive_buffer(&socket)?;
    socket.set_read_timeout(Some(POLL))?;
    let wanted = Wanted::begin();
    let mut batch = Batch::new(MAX_SIZE);
    let mut count = Count::new();
    while wanted.still() {
        match batch.receive(&socket) {
            Ok(taken) => (0..taken).for_each(|i| count.add(batch.received(i))),
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count.answer())
}

struct Count {
    received: Vec<u64>,
    /// Phases up to here occurred.
    phases: usize,
    /// Datagrams with a lower number than one before them.
    reordered: u64,
    highest: u64,
}

impl Count {
    fn new() -> Self {
        Count {
            received: vec![0; MAX_PHASES],
            phases: 1,
            reordered: 0,
            highest: 0,
        }
    }

    fn add(&mut self, payload: &[u8]) {
        let Some((phase, rest)) = payload.split_first_chunk::<4>() else {
            return;
        };
        let Some((number, _)) = rest.split_first_chunk::<8>() else {
            return;
        };
        let phase = u32::from_be_bytes(*phase) as usize;
        let number = u64::from_be_bytes(*number);
        if phase >= MAX_PHASES {
            return;
        }
        self.received[phase] += 1;
        self.phases = self.phases.max(phase + 1);
        self.reordered += u64::from(number < self.highest);
        self.highest = self.highest.max(number);
    }

    fn answer(&self) -> String {
        let received: Vec<String> = self.received[1..self.phases]
            .iter()
            .map(u64::to_string)
            .collect();
        format!(
            "{{\"received\":[{}],\"reordered\":{}}}",
            received.join(","),
            self.reordered
        )
    }
}

/// 18 bytes of payload make an Ethernet frame of 64 with its FCS.
pub(crate) const MIN_SIZE: usize = 18;
const MAX_SIZE: usize = 9000;
const MAX_PHASES: usize = 64;
const WARM_UP: Duration = Duration::from_millis(100);
const SLEEPABLE: Duration = Duration::from_micros(200);
