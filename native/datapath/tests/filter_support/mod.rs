//! libpcap's own judgement, and random texts and frames to judge.

#![allow(unreachable_pub, reason = "a module of one test file")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

pub mod frame;
pub mod text;

use datapath::filter::Instruction;
use libloading::Library;
use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::sync::Mutex;

/// The functions of pcap(3pcap) that the tests compare with.
pub struct Libpcap(Library);

/// Compiling takes turns, as in the datapath.
static TURN: Mutex<()> = Mutex::new(());

/// `struct bpf_program`.
#[repr(C)]
struct Program {
    len: c_uint,
    instructions: *const libc::sock_filter,
}

/// `struct pcap_pkthdr`.
#[repr(C)]
struct Header {
    time: libc::timeval,
    captured: u32,
    len: u32,
}

type OpenDead = unsafe extern "C" fn(c_int, c_int) -> *mut c_void;
type Compile =
    unsafe extern "C" fn(*mut c_void, *mut Program, *const c_char, c_int, c_uint) -> c_int;
type Geterr = unsafe extern "C" fn(*mut c_void) -> *const c_char;
type Freecode = unsafe extern "C" fn(*mut Program);
type Close = unsafe extern "C" fn(*mut c_void);
type OfflineFilter = unsafe extern "C" fn(*const Program, *const Header, *const u8) -> c_int;

impl Libpcap {
    pub fn open() -> Self {
        // SAFETY: libpcap's initialisers have no preconditions.
        let library = unsafe { Library::new("libpcap.so.0.8") };
        Self(
            library.unwrap_or_else(|error| panic!("Debian package libpcap0.8 is missing: {error}")),
        )
    }

    /// The program of a text for Ethernet, with or without libpcap's optimizer, or its words.
    pub fn compile(&self, text: &str, optimize: bool) -> Result<Vec<Instruction>, String> {
        let _turn = TURN.lock().unwrap();
        let text = CString::new(text).unwrap();
        let mut program = Program {
            len: 0,
            instructions: std::ptr::null(),
        };
        // SAFETY: the types are those of pcap(3pcap); handle and program are freed once, after their last use.
        unsafe {
            let open_dead = self.0.get::<OpenDead>(b"pcap_open_dead\0").unwrap();
            let compile = self.0.get::<Compile>(b"pcap_compile\0").unwrap();
            let geterr = self.0.get::<Geterr>(b"pcap_geterr\0").unwrap();
            let freecode = self.0.get::<Freecode>(b"pcap_freecode\0").unwrap();
            let close = self.0.get::<Close>(b"pcap_close\0").unwrap();
            let handle = open_dead(1, 262_144);
            let status = compile(
                handle,
                &mut program,
                text.as_ptr(),
                optimize.into(),
                u32::MAX,
            );
            let compiled = if status == 0 {
                let made = std::slice::from_raw_parts(program.instructions, program.len as usize);
                Ok(made.iter().map(ours).collect())
            } else {
                Err(CStr::from_ptr(geterr(handle))
                    .to_string_lossy()
                    .into_owned())
            };
            freecode(&mut program);
            close(handle);
            compiled
        }
    }

    /// Whether libpcap's interpreter finds that a frame matches. It trusts programs: only what our validator has
    /// taken, or libpcap has made, may come here.
    pub fn matches(&self, program: &[Instruction], frame: &[u8], len: u32) -> bool {
        let instructions: Vec<_> = program.iter().map(theirs).collect();
        let program = Program {
            len: instructions.len() as u32,
            instructions: instructions.as_ptr(),
        };
        let header = Header {
            time: libc::timeval {
                tv_sec: 0,
                tv_usec: 0,
            },
            captured: frame.len() as u32,
            len,
        };
        // SAFETY: program and frame are as long as is said and outlive the call.
        unsafe {
            let filter = self
                .0
                .get::<OfflineFilter>(b"pcap_offline_filter\0")
                .unwrap();
            filter(&program, &header, frame.as_ptr()) != 0
        }
    }
}

fn ours(theirs: &libc::sock_filter) -> Instruction {
    let libc::sock_filter { code, jt, jf, k } = *theirs;
    Instruction { code, jt, jf, k }
}

fn theirs(ours: &Instruction) -> libc::sock_filter {
    let Instruction { code, jt, jf, k } = *ours;
    libc::sock_filter { code, jt, jf, k }
}
