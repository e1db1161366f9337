//! The compiler of capture filters in libpcap, where the host has one. It is opened when the first filter is compiled
//! and never linked: everything else works without it.

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::ptr::NonNull;
use std::sync::{Mutex, PoisonError};

use libloading::Library;

/// One instruction of a program: `code`, `jt`, `jf` and `k` as everywhere in classic BPF.
pub type Instruction = libc::sock_filter;

/// Why there is no program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The host has no libpcap, or one in which something is missing.
    Absent,
    /// libpcap does not accept the text; in its words.
    Refused(String),
}

/// The program for Ethernet frames of a text in the language of pcap-filter(7).
///
/// Names of hosts are looked up by the resolver, for which the call then waits. Calls from several threads take turns:
/// before 1.8 libpcap's compiler had state of its own.
pub fn compile(text: &str) -> Result<Vec<Instruction>, Failure> {
    let Ok(text) = CString::new(text) else {
        return Err(Failure::Refused("the filter has a NUL in it".into()));
    };
    // Whoever panicked here left the library whole.
    let mut opened = LIBPCAP.lock().unwrap_or_else(PoisonError::into_inner);
    if opened.is_none() {
        *opened = Libpcap::open();
    }
    match &*opened {
        Some(libpcap) => libpcap.compile(&text),
        None => Err(Failure::Absent),
    }
}

/// A library that is not there is looked for again the next time.
static LIBPCAP: Mutex<Option<Libpcap>> = Mutex::new(None);

/// The functions of pcap(3pcap) that compile; they stay valid as long as the library is open.
struct Libpcap {
    open_dead: unsafe extern "C" fn(linktype: c_int, snaplen: c_int) -> *mut Handle,
    compile: unsafe extern "C" fn(
        handle: *mut Handle,
        program: *mut Program,
        text: *const c_char,
        optimize: c_int,
        netmask: c_uint,
    ) -> c_int,
    geterr: unsafe extern "C" fn(handle: *mut Handle) -> *const c_char,
    freecode: unsafe extern "C" fn(program: *mut Program),
    close: unsafe extern "C" fn(handle: *mut Handle),
    _library: Library,
}

/// `pcap_t`, which only libpcap looks into.
type Handle = c_void;

/// `struct bpf_program`.
#[repr(C)]
struct Program {
    len: c_uint,
    instructions: *mut Instruction,
}

impl Libpcap {
    fn open() -> Option<Self> {
        // SAFETY: initialisers of the system's libpcap have no preconditions; the dynamic linker trusts its directories.
        let open = |name: &&str| unsafe { Library::new(*name) }.ok();
        let library = NAMES.iter().find_map(open)?;
        // SAFETY: the types are those of pcap(3pcap), which have not changed since 0.8; the copied function pointers
        // are dropped together with the library.
        unsafe {
            Some(Self {
                open_dead: *library.get(b"pcap_open_dead\0").ok()?,
                compile: *library.get(b"pcap_compile\0").ok()?,
                geterr: *library.get(b"pcap_geterr\0").ok()?,
                freecode: *library.get(b"pcap_freecode\0").ok()?,
                close: *library.get(b"pcap_close\0").ok()?,
                _library: library,
            })
        }
    }

    fn compile(&self, text: &CStr) -> Result<Vec<Instruction>, Failure> {
        // SAFETY: takes two numbers.
        let handle = NonNull::new(unsafe { (self.open_dead)(DLT_EN10MB, SNAPLEN) });
        let Some(handle) = handle else {
            return Err(Failure::Refused("libpcap has no memory".into()));
        };
        let mut program = Program {
            len: 0,
            instructions: std::ptr::null_mut(),
        };
        // SAFETY: the handle is open, the program is ours to be filled in, and the text ends with NUL.
        let status = unsafe {
            (self.compile)(
                handle.as_ptr(),
                &mut program,
                text.as_ptr(),
                1,
                NETMASK_UNKNOWN,
            )
        };
        let compiled = if status == 0 && !program.instructions.is_null() {
            // SAFETY: libpcap has filled in how many instructions stand there.
            let instructions =
                unsafe { std::slice::from_raw_parts(program.instructions, program.len as usize) };
            Ok(instructions.to_vec())
        } else {
            // SAFETY: the handle's message is a string with NUL that lives as long as the handle.
            let words = unsafe { CStr::from_ptr((self.geterr)(handle.as_ptr())) };
            Err(Failure::Refused(words.to_string_lossy().into_owned()))
        };
        // SAFETY: both were libpcap's, and nothing of them is used any more; a program that was not made is empty.
        unsafe {
            (self.freecode)(&mut program);
            (self.close)(handle.as_ptr());
        }
        compiled
    }
}

/// Debian's name of the same library stands beside upstream's; the last is there where programs are built with it.
const NAMES: [&str; 3] = ["libpcap.so.1", "libpcap.so.0.8", "libpcap.so"];

const DLT_EN10MB: c_int = 1;
/// What programs return for a match, so not 0; nothing else depends on it.
const SNAPLEN: c_int = 262_144;
const NETMASK_UNKNOWN: c_uint = 0xffff_ffff;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libpcap_makes_programs_and_says_what_is_wrong() {
        let program = compile("ip").expect("Debian package libpcap0.8 is not installed");
        // ldh [12]; jeq #0x800; ret; ret
        let codes: Vec<u16> = program.iter().map(|i| i.code).collect();
        assert_eq!(codes, [0x28, 0x15, 0x06, 0x06]);
        let refused = |text| match compile(text) {
            Err(Failure::Refused(words)) => words,
            other => panic!("{other:?}"),
        };
        assert!(refused("tcp port eightyfive").contains("eightyfive"));
        assert!(refused("ip\0").contains("NUL"));
    }

    #[test]
    fn many_threads_compile_at_once() {
        std::thread::scope(|scope| {
            for port in 1..9 {
                scope.spawn(move || {
                    let text = format!("tcp port {port}");
                    let first = compile(&text).unwrap();
                    for _ in 0..50 {
                        assert_eq!(compile(&text).unwrap().len(), first.len());
                        assert!(compile("tcp port").is_err());
                    }
                });
            }
        });
    }
}
