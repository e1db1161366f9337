//! One message there and back at a time, over UDP and over TCP.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use crate::served::{POLL, Wanted};

/// Answers until stdin ends.
pub(crate) fn echo_udp(at: SocketAddr) -> io::Result<String> {
    let socket = UdpSocket::bind(at)?;
    socket.set_read_timeout(Some(POLL))?;
    let wanted = Wanted::begin();
    let mut message = [0; 2048];
    while wanted.still() {
        match socket.recv_from(&mut message) {
            Ok((len, from)) => {
                socket.send_to(&message[..len], from)?;
            }
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
    }
    Ok("{}".into())
}

/// Answers each connection in its own thread until stdin ends.
pub(crate) fn echo_tcp(at: SocketAddr) -> io::Result<String> {
    let listener = TcpListener::bind(at)?;
    let wanted = Wanted::begin();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || echo(stream));
        }
    });
    wanted.wait();
    Ok("{}".into())
}

fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut message = [0; SIZE];
    loop {
        stream.read_exact(&mut message)?;
        stream.write_all(&message)?;
    }
}

/// See `measure`; a datagram that is lost on the way is asked again and counted.
pub(crate) fn ping_udp(to: SocketAddr, length: Duration) -> io::Result<String> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect(to)?;
    socket.set_read_timeout(Some(LOST_AFTER))?;
    let mut number = 0_u64;
    measure(length, || {
        number += 1;
        let mut message = [0; SIZE];
        message[..8].copy_from_slice(&number.to_be_bytes());
        socket.send(&message)?;
        loop {
            let mut answer = [0; SIZE];
            match socket.recv(&mut answer) {
                Ok(SIZE) if answer == message => return Ok(true),
                // The answer to one that was given up.
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    })
}

/// See `measure`.
pub(crate) fn ping_tcp(to: SocketAddr, length: Duration) -> io::Result<String> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(GIVE_UP_AFTER))?;
    measure(length, || {
        let mut message = [0; SIZE];
        stream.write_all(&message)?;
        stream.read_exact(&mut message)?;
        Ok(true)
    })
}

/// `{"trips":N,"lost":N,"p50":T,"p99":T}`, times in microseconds. `trip` is false when it was lost.
fn measure(length: Duration, mut trip: impl FnMut() -> io::Result<bool>) -> io::Result<String> {
    for _ in 0..WARM_UP_TRIPS {
        trip()?;
    }
    let mut micros = Vec::new();
    let mut lost = 0;
    let began = Instant::now();
    while began.elapsed() < length {
        let asked = Instant::now();
        if trip()? {
            micros.push(asked.elapsed().as_nanos() as f64 / 1000.0);
        } else {
            lost += 1;
        }
    }
    micros.sort_by(f64::total_cmp);
    let quantile = |q: f64| {
        let last = micros.len().checked_sub(1);
        last.map(|last| micros[(last as f64 * q).round() as usize])
    };
    let (Some(p50), Some(p99)) = (quantile(0.5), quantile(0.99)) else {
        return Err(io::Error::new(ErrorKind::TimedOut, "no answer came back"));
    };
    let trips = micros.len();
    Ok(format!(
        "{{\"trips\":{trips},\"lost\":{lost},\"p50\":{p50:.2},\"p99\":{p99:.2}}}"
    ))
}

const SIZE: usize = 18;
const WARM_UP_TRIPS: usize = 100;
const LOST_AFTER: Duration = Duration::from_millis(200);
const GIVE_UP_AFTER: Duration = Duration::from_secs(10);
