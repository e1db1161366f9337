//! Traffic for the benchmarks, and what arrives of it. Each answer is one line of JSON on stdout.
//!
//! What serves (`sink`, `echo-*`, `serve`) says `ready` on stderr and goes on until its stdin ends, so that it
//! ends with whoever started it.

mod connections;
mod datagrams;
mod mmsg;
mod roundtrip;
mod served;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

#[derive(Parser)]
#[command(about, arg_required_else_help = true)]
struct Arguments {
    /// Run on this CPU only.
    #[arg(long, global = true)]
    cpu: Option<usize>,
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// Send UDP datagrams, 64 to a system call, in phases of a rate each.
    Send {
        to: SocketAddr,
        /// Payload bytes.
        #[arg(long, default_value_t = datagrams::MIN_SIZE)]
        size: usize,
        /// Datagrams per second of each phase, after a warm-up at the first one; 0 is as many as go.
        #[arg(long, value_delimiter = ',', default_value = "0")]
        rates: Vec<u32>,
        #[command(flatten)]
        phase: Phase,
    },
    /// Count the datagrams of `send` by phase.
    Sink { at: SocketAddr },
    /// Answer each datagram with itself.
    EchoUdp { at: SocketAddr },
    /// Ask `echo-udp`, one datagram at a time.
    PingUdp {
        to: SocketAddr,
        #[command(flatten)]
        phase: Phase,
    },
    /// Answer on each connection with what comes.
    EchoTcp { at: SocketAddr },
    /// Ask `echo-tcp` on one connection, one message at a time.
    PingTcp {
        to: SocketAddr,
        #[command(flatten)]
        phase: Phase,
    },
    /// Answer one request on each connection.
    Serve { at: SocketAddr },
    /// Connect to `serve`, ask, read the answer, close, again and again.
    Connect {
        to: SocketAddr,
        /// How many do so at once.
        #[arg(long, default_value_t = 1)]
        clients: usize,
        #[command(flatten)]
        phase: Phase,
    },
}

#[derive(Args)]
struct Phase {
    /// How long to measure; of `send`: each phase.
    #[arg(long, default_value_t = 1000)]
    millis: u64,
}

impl Phase {
    fn length(&self) -> Duration {
        Duration::from_millis(self.millis)
    }
}

fn main() -> ExitCode {
    let Arguments { cpu, role } = Arguments::parse();
    let result = cpu.map_or(Ok(()), mmsg::pin_to).and_then(|()| run(role));
    match result {
        Ok(answer) => {
            println!("{answer}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("blast: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(role: Role) -> std::io::Result<String> {
    match role {
        Role::Send {
            to,
            size,
            rates,
            phase,
        } => datagrams::send(&datagrams::Flood {
            to,
            size,
            rates,
            phase: phase.length(),
        }),
        Role::Sink { at } => datagrams::sink(at),
        Role::EchoUdp { at } => roundtrip::echo_udp(at),
        Role::PingUdp { to, phase } => roundtrip::ping_udp(to, phase.length()),
        Role::EchoTcp { at } => roundtrip::echo_tcp(at),
        Role::PingTcp { to, phase } => roundtrip::ping_tcp(to, phase.length()),
        Role::Serve { at } => connections::serve(at),
        Role::Connect { to, clients, phase } => connections::connect(to, clients, phase.length()),
    }
}
