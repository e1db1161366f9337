//! Errors that an operator reads. Frame refusals are not errors: they are counted (`counter`).

use std::fmt;

/// What went wrong, for the control plane: it turns `code` and `subject` into one sentence with the fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// Stable name of the kind of failure.
    pub code: ErrorCode,
    /// What it is about: `port c1`, `10.200.0.1:4789`, a path.
    pub subject: String,
    /// The system call that failed, if one did.
    pub syscall: Option<&'static str>,
    /// Its errno.
    pub errno: Option<i32>,
    /// Anything else that helps, in plain words.
    pub detail: Option<String>,
}

impl Error {
    /// An error without a system call behind it.
    pub fn new(code: ErrorCode, subject: impl Into<String>) -> Self {
        Self {
            code,
            subject: subject.into(),
            syscall: None,
            errno: None,
            detail: None,
        }
    }

    /// An error from a system call that has just failed with `errno`.
    pub fn from_syscall(
        code: ErrorCode,
        subject: impl Into<String>,
        syscall: &'static str,
        errno: i32,
    ) -> Self {
        Self {
            syscall: Some(syscall),
            errno: Some(errno),
            ..Self::new(code, subject)
        }
    }

    /// The same error with a word of explanation.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The same error about something that the caller knows by a better name.
    #[must_use]
    pub fn about(mut self, subject: impl Into<String>) -> Self {
        self.subject = subject.into();
        self
    }

    /// The same error about something of which its subject is a part: that goes before the detail, unless it is in the
    /// new subject, `PART in PART`, as it is.
    #[must_use]
    pub fn within(mut self, subject: impl Into<String>) -> Self {
        let part = std::mem::replace(&mut self.subject, subject.into());
        if !part.is_empty() && !self.subject.split(" in ").any(|known| known == part) {
            self.detail = Some(match self.detail {
                Some(detail) => format!("{part}: {detail}"),
                None => part,
            });
        }
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.subject)?;
        if let (Some(syscall), Some(errno)) = (self.syscall, self.errno) {
            write!(
                f,
                ": {syscall}: {}",
                std::io::Error::from_raw_os_error(errno)
            )?;
        }
        match &self.detail {
            Some(detail) => write!(f, " ({detail})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

macro_rules! error_codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// Stable names of failures; the control plane keys its sentences by them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum ErrorCode { $($(#[$doc])* $variant,)* }

        impl ErrorCode {
            /// The name that crosses the seam.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

error_codes! {
    /// CAP_NET_ADMIN is missing.
    NoNetAdmin = "NO_NET_ADMIN",
    /// `/dev/net/tun` is missing or may not be opened.
    NoTun = "NO_TUN",
    /// The kernel has no packet ring, or no way to drop behind it.
    NoRing = "NO_RING",
    /// The kernel cannot segment superframes inside UDP tunnels for us.
    NoTunnelGso = "NO_TUNNEL_GSO",
    /// The network namespace does not exist (any more).
    NetnsGone = "NETNS_GONE",
    /// There is no interface of that name in the namespace.
    NoInterface = "NO_INTERFACE",
    /// The interface cannot be a packet port; the detail says why.
    InterfaceUnfit = "INTERFACE_UNFIT",
    /// The kernel cannot enter the namespace of another process.
    NoSetns = "NO_SETNS",
    /// An interface of that name exists and is not a TAP of this owner.
    IfnameTaken = "IFNAME_TAKEN",
    /// The TAP is held open by another process.
    TapBusy = "TAP_BUSY",
    /// A TAP that somebody else moves is in none of the namespaces where it may be.
    TapGone = "TAP_GONE",
    /// A TAP that was to be handed over was not taken; the detail says why.
    HandoverRefused = "HANDOVER_REFUSED",
    /// No TAP with this ticket was handed over, or it was given up, or its container has ended.
    HandoverGone = "HANDOVER_GONE",
    /// The kernel refuses this MTU.
    MtuImpossible = "MTU_IMPOSSIBLE",
    /// Another socket holds the UDP port.
    PortInUse = "PORT_IN_USE",
    /// The VTEP address is on no interface of this host.
    AddressNotLocal = "ADDRESS_NOT_LOCAL",
    /// Out of file descriptors or memory.
    NoFiles = "NO_FILES",
    /// Called after `stop`.
    Stopped = "STOPPED",
    /// The VTEP may not change while running.
    VtepChanged = "VTEP_CHANGED",
    /// Any other failed system call.
    Io = "IO",
    /// A value that the control plane should have refused.
    BadValue = "BAD_VALUE",
    /// A capture filter that cannot be compiled; the detail says why.
    BadFilter = "BAD_FILTER",
    /// As many captures run as may.
    TooManyCaptures = "TOO_MANY_CAPTURES",
    /// Another process holds the lock.
    Locked = "LOCKED",
}
