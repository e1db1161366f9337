//! Runs a program as if on an older Linux.
//!
//! ```text
//! oldkernel 3.10 -- vswitchd --config vswitchd.yaml
//! oldkernel own --refuse recvmmsg=ENOSYS -- vswitchctl doctor
//! ```
//!
//! A seccomp filter answers what came after that release as a kernel without it would: system calls with ENOSYS, socket
//! options with ENOPROTOOPT, and so on, see `releases`. The filter goes on to every child and cannot be taken off again.
//! With CAP_SYS_ADMIN nothing else changes; without it, `no_new_privs` is set, which disables setuid programs.
//!
//! Before 3.17 there is no getrandom, and a program may read /dev/urandom instead only because the kernel says that it is
//! old (OpenSSL does): so `uname` says 2.6.x there, the oldest that a personality can make of a kernel's own name.
//!
//! What stands behind pointers is beyond such a filter: flags of TUNSETIFF, control messages, netlink, and what a
//! system call that both releases have means in each. Exit codes: the program's own, or 125 when it could not be run.

#[cfg(not(all(
    target_os = "linux",
    target_arch = "x86_64",
    target_pointer_width = "64"
)))]
compile_error!("oldkernel knows the system calls of x86_64 Linux only");

mod filter;
mod named;
mod releases;
mod system;

use clap::Parser;
use filter::Refusal;
use releases::Level;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

#[derive(Parser)]
#[command(about, arg_required_else_help = true)]
struct Arguments {
    /// 2.6.32, 3.2, 3.10, 3.16 or 4.14; `own` for this kernel as it is.
    #[arg(value_parser = releases::level)]
    level: Level,
    /// Something to refuse besides, with its error: recvmmsg=ENOSYS, UDP_GRO=ENOPROTOOPT.
    #[arg(long, value_name = "WHAT=ERRNO", value_parser = named::refusal)]
    refuse: Vec<Refusal>,
    /// The program and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<std::ffi::OsString>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Those asked for by name come first: of several that fit, the first decides.
    let mut refusals = arguments.refuse;
    refusals.extend(releases::refusals(arguments.level));
    let prepared = match arguments.level {
        Level::Release(release) if release < releases::GETRANDOM => system::say_2_6(),
        _ => Ok(()),
    };
    let prepared = prepared.and_then(|()| system::install(&filter::compile(&refusals)));
    let error = match (prepared, arguments.command.split_first()) {
        (Ok(()), Some((program, rest))) => Command::new(program).args(rest).exec(),
        (Ok(()), None) => std::io::ErrorKind::InvalidInput.into(),
        (Err(error), _) => error,
    };
    let program = arguments.command.first().cloned().unwrap_or_default();
    eprintln!("oldkernel: {}: {error}", program.display());
    ExitCode::from(FAILED)
}

/// As env(1) and nice(1) say it.
const FAILED: u8 = 125;
