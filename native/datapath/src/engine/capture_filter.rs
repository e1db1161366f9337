//! A capture's filter: by libpcap where the host has it, else by the built-in subset.

use crate::filter::{Compiler, Filter, Instruction, MAX_TEXT};
use crate::io::libpcap::{self, Failure};

/// What `text` says about Ethernet frames (pcap-filter(7)). The error says in words what is wrong with it. To be called
/// when a capture is set up: names of hosts are looked up meanwhile.
pub fn compile(text: &str) -> Result<Filter, String> {
    if text.len() > MAX_TEXT {
        return Err(format!("the filter is longer than {MAX_TEXT} bytes"));
    }
    match libpcap::compile(text) {
        Ok(program) => {
            let program: Vec<Instruction> = program
                .iter()
                .map(|i| Instruction {
                    code: i.code,
                    jt: i.jt,
                    jf: i.jf,
                    k: i.k,
                })
                .collect();
            Filter::from_program(&program).map_err(|error| error.to_string())
        }
        Err(Failure::Refused(words)) => Err(words),
        Err(Failure::Absent) => built_in(text),
    }
}

/// The same on a host without libpcap.
fn built_in(text: &str) -> Result<Filter, String> {
    let name = Compiler::BuiltIn.name();
    Filter::compile(text)
        .map_err(|words| format!("{words} (by the {name} subset; all of libpcap's syntax works where libpcap is installed)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libpcap_is_asked_first() {
        // More than the subset has.
        let filter = compile("tcp[tcpflags] & tcp-syn != 0").unwrap();
        assert_eq!(filter.compiler(), Compiler::Libpcap);
        assert_eq!(
            compile("tcp port"),
            Err("can't parse filter expression: syntax error".into())
        );
        assert!(
            compile("ip protochain 6")
                .unwrap_err()
                .contains("protochain")
        );
        assert!(compile(&"ip or ".repeat(1000)).is_err());
    }

    #[test]
    fn without_it_the_subset_serves_and_says_what_it_lacks() {
        assert_eq!(
            built_in("tcp port 80").unwrap().compiler(),
            Compiler::BuiltIn
        );
        let words = built_in("tcp[0] == 1").unwrap_err();
        assert!(words.starts_with("`[`"), "{words}");
        assert!(words.contains("libpcap"), "{words}");
    }
}
