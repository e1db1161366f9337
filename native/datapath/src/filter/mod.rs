//! Capture filters in libpcap's syntax (pcap-filter(7)), judged on Ethernet frames.
//!
//! ```text
//! text --libpcap, where it is installed--> program --Filter::from_program--+
//!   \--Filter::compile: the built-in subset--> expression -----------------+--> Filter --matches(frame)--> yes or no
//! ```
//!
//! Whoever captures calls `engine::capture_filter::compile`, which asks libpcap first; this folder knows no library and
//! makes no system call. A filter is immutable and may be shared by threads.
//!
//! Both sorts judge what is there of a frame: who looks behind its end does not match, not even in a `not`, as with
//! libpcap. Nothing here panics on any text, program or frame, and judging takes no longer than the filter is long.

mod bpf;
mod expression;
mod load;
mod parse;
mod primitive;

pub use bpf::{Instruction, ProgramError};

use bpf::Program;
use expression::Expression;

/// A filter that is ready to judge frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter(Rule);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    Program(Program),
    Expression(Expression),
}

/// Who understood the text of a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compiler {
    /// All of the syntax.
    Libpcap,
    /// The subset that needs no library.
    BuiltIn,
}

impl Compiler {
    /// The name at the seam.
    pub fn name(self) -> &'static str {
        match self {
            Self::Libpcap => "libpcap",
            Self::BuiltIn => "built-in",
        }
    }
}

impl Filter {
    /// The filter that libpcap made a classic BPF program of, for DLT_EN10MB.
    pub fn from_program(program: &[Instruction]) -> Result<Self, ProgramError> {
        Program::new(program).map(|program| Self(Rule::Program(program)))
    }

    /// The filter that `text` says in the subset of the syntax that needs no library:
    ///
    /// ```text
    /// ip  ip6  arp  rarp  tcp  udp  sctp  icmp  icmp6  vlan [N]  broadcast  multicast  ip multicast  ip6 multicast
    /// [ip|arp|rarp|ip6] [src|dst|src or dst|src and dst] host ADDRESS        without `host` behind a direction
    /// [ip|arp|rarp|ip6] [direction] net ADDRESS[/LENGTH]
    /// [tcp|udp|sctp] [direction] port N        and `portrange N-N`
    /// ether [direction] host MAC        and `ether proto N`; [ip|ip6] proto N
    /// less N  greater N        length of the whole frame
    /// and &&  or ||  not !  ( )        and, or: from left to right, no precedence
    /// ```
    ///
    /// What behind `and` and `or` is only a value has the qualifiers of what stands before: `tcp port 80 or 443`.
    /// As in libpcap's language `vlan` moves everything that is written after it behind the tag. Empty text matches
    /// every frame. What is accepted means what it means to libpcap; anything else is an error that names the culprit.
    pub fn compile(text: &str) -> Result<Self, String> {
        parse::parse(text).map(|expression| Self(Rule::Expression(expression)))
    }

    /// Whether `frame`, the kept beginning of a frame of `wire_len` bytes, matches.
    pub fn matches(&self, frame: &[u8], wire_len: u32) -> bool {
        match &self.0 {
            Rule::Program(program) => program.run(frame, wire_len) != 0,
            Rule::Expression(expression) => expression.holds(frame, wire_len).unwrap_or(false),
        }
    }

    /// Who understood its text.
    pub fn compiler(&self) -> Compiler {
        match self.0 {
            Rule::Program(_) => Compiler::Libpcap,
            Rule::Expression(_) => Compiler::BuiltIn,
        }
    }
}

/// Longest text of a filter, bytes.
pub const MAX_TEXT: usize = 4096;
