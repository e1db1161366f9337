//! The service manager that started us: datagrams of sd_notify(3), without libsystemd.

use super::sys::Errno;
use crate::error::{Error, ErrorCode};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Sends `state`, as `READY=1`, to the unix datagram socket that `NOTIFY_SOCKET` names: a path, or an abstract name
/// behind `@`. Waits at most a second for room in its queue. Errors: `NO_FILES`, `IO`.
pub fn notify(name: &str, state: &str) -> Result<(), Error> {
    send(name, state).map_err(|error| Errno::from(error).into_error(ErrorCode::Io, name, "sendto"))
}

fn send(name: &str, state: &str) -> io::Result<()> {
    let to = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.send_to_addr(state.as_bytes(), &to).map(|_| ())
}

const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn received(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 64];
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }

    #[test]
    fn a_manager_is_told_at_a_path() {
        let path = std::env::temp_dir().join(format!("vs-notify-{}", std::process::id()));
        let manager = UnixDatagram::bind(&path).unwrap();
        let told = notify(path.to_str().unwrap(), "READY=1");
        std::fs::remove_file(&path).unwrap();
        told.unwrap();
        assert_eq!(received(&manager), "READY=1");
    }

    #[test]
    fn a_manager_is_told_at_an_abstract_name() {
        let name = format!("vs-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        notify(&format!("@{name}"), "WATCHDOG=1").unwrap();
        assert_eq!(received(&manager), "WATCHDOG=1");
    }

    #[test]
    fn nobody_there_is_an_error_about_the_name() {
        for name in ["/nonexistent/notify", "@vs-nobody", "", &"x".repeat(200)] {
            let error = notify(name, "READY=1").unwrap_err();
            assert_eq!((error.code, error.subject.as_str()), (ErrorCode::Io, name));
        }
    }
}
