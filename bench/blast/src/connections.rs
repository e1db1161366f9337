//! Connect, request, response, close: the price of a connection.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::served::Wanted;

/// Answers in `SERVERS` threads until stdin ends.
pub(crate) fn serve(at: SocketAddr) -> io::Result<String> {
    let listener = TcpListener::bind(at)?;
    let wanted = Wanted::begin();
    for _ in 0..SERVERS {
        let listener = listener.try_clone()?;
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that vanishes is counted where it failed: at the client.
                let _ = answer(stream);
            }
        });
    }
    wanted.wait();
    Ok("{}".into())
}

/// The client closes first, so that TIME_WAIT is in its namespace.
fn answer(mut stream: TcpStream) -> io::Result<()> {
    let mut message = [0; SIZE];
    stream.read_exact(&mut message)?;
    stream.write_all(&message)?;
    stream.read(&mut message).map(drop)
}

/// `{"transactions":N,"failed":N,"seconds":S}` of all clients together.
pub(crate) fn connect(to: SocketAddr, clients: usize, length: Duration) -> io::Result<String> {
    let began = Instant::now();
    let threads: Vec<_> = (0..clients)
        .map(|_| thread::spawn(move || client(to, began + length)))
        .collect();
    let (mut done, mut failed) = (0, 0);
    for thread in threads {
        let (mine, not) = thread
            .join()
            .map_err(|_| io::Error::other("a client panicked"))?;
        done += mine;
        failed += not;
    }
    if done == 0 {
        return Err(io::Error::new(
            ErrorKind::TimedOut,
            "no connection succeeded",
        ));
    }
    let seconds = began.elapsed().as_secs_f64();
    Ok(format!(
        "{{\"transactions\":{done},\"failed\":{failed},\"seconds\":{seconds:.6}}}"
    ))
}

fn client(to: SocketAddr, end: Instant) -> (u64, u64) {
    let (mut done, mut failed) = (0, 0);
    while Instant::now() < end {
        match transaction(to) {
            Ok(()) => done += 1,
            Err(_) => failed += 1,
        }
    }
    (done, failed)
}

fn transaction(to: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut message = [0; SIZE];
    stream.write_all(&message)?;
    stream.read_exact(&mut message)
}

const SERVERS: usize = 8;
const SIZE: usize = 64;
const PATIENCE: Duration = Duration::from_secs(5);
