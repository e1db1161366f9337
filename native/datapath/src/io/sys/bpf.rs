//! bpf(2): loading a program of tcx and linking it to an interface.
//!
//! An instruction is 8 bytes (RFC 9669 section 3):
//! ```text
//! | opcode: u8 | destination and source register: 4 bits each | offset: i16 | immediate: i32 |
//! ```

use super::{Errno, check};
use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// One instruction of eBPF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C, align(8))]
pub(in crate::io) struct Instruction {
    opcode: u8,
    registers: u8,
    offset: i16,
    immediate: i32,
}

impl Instruction {
    pub(in crate::io) fn new(opcode: u8, destination: u8, source: u8) -> Self {
        // The kernel declares two bit fields, which lie as the machine's byte order says.
        let registers = if cfg!(target_endian = "little") {
            source << 4 | destination
        } else {
            destination << 4 | source
        };
        Self {
            opcode,
            registers,
            offset: 0,
            immediate: 0,
        }
    }

    pub(in crate::io) fn offset(self, offset: i16) -> Self {
        Self { offset, ..self }
    }

    pub(in crate::io) fn is(self, opcode: u8) -> bool {
        self.opcode == opcode
    }

    pub(in crate::io) fn immediate(self, immediate: i32) -> Self {
        Self { immediate, ..self }
    }
}

/// Loads a program of the type `sched_cls`; it ends with its last descriptor and its last link.
pub(in crate::io) fn load_classifier(
    instructions: &[Instruction],
    name: &CStr,
    license: &CStr,
) -> Result<OwnedFd, Errno> {
    let mut attributes = Load {
        program_type: BPF_PROG_TYPE_SCHED_CLS,
        instruction_count: instructions.len() as u32,
        instructions: address(instructions.as_ptr()),
        license: address(license.as_ptr()),
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel_version: 0,
        flags: 0,
        name: [0; 16],
    };
    for (to, from) in attributes.name[..15].iter_mut().zip(name.to_bytes()) {
        *to = *from;
    }
    // SAFETY: the addresses are those of slices that live for the call; the kernel only reads them.
    unsafe { new_descriptor(BPF_PROG_LOAD, &mut attributes) }
}

/// Runs `program` on what arrives at the interface, before any other program there, until the descriptor is closed.
///
/// Errors: EINVAL from a kernel without tcx, ENODEV, EPERM.
pub(in crate::io) fn link_tcx_ingress(
    program: BorrowedFd<'_>,
    ifindex: u32,
) -> Result<OwnedFd, Errno> {
    let mut attributes = Link {
        program: program.as_raw_fd() as u32,
        ifindex,
        attach_type: BPF_TCX_INGRESS,
        flags: BPF_F_BEFORE,
        relative: 0,
        padding: 0,
        expected_revision: 0,
    };
    // SAFETY: the structure has no pointers.
    unsafe { new_descriptor(BPF_LINK_CREATE, &mut attributes) }
}

/// What the loaded program returns for `frame`, which begins with an Ethernet header.
#[cfg(test)]
pub(in crate::io) fn test_run(program: BorrowedFd<'_>, frame: &[u8]) -> Result<i32, Errno> {
    let mut attributes = TestRun {
        program: program.as_raw_fd() as u32,
        result: 0,
        len_in: frame.len() as u32,
        len_out: 0,
        data_in: address(frame.as_ptr()),
        data_out: 0,
        repeat: 1,
        duration: 0,
    };
    // SAFETY: `data_in` is the address of a slice that lives for the call; the kernel only reads it.
    unsafe { bpf(BPF_PROG_TEST_RUN, &mut attributes) }?;
    Ok(attributes.result as i32)
}

/// How many programs run on what arrives at the interface.
#[cfg(test)]
pub(in crate::io) fn tcx_ingress_count(ifindex: u32) -> Result<u32, Errno> {
    let mut attributes = Query {
        ifindex,
        attach_type: BPF_TCX_INGRESS,
        flags: [0; 2],
        programs: 0,
        count: 0,
        padding: 0,
        unused: [0; 4],
    };
    // SAFETY: every address is null, for which the kernel only counts.
    unsafe { bpf(BPF_PROG_QUERY, &mut attributes) }?;
    Ok(attributes.count)
}

/// # Safety
/// As [`bpf`]; `command` is one that returns a descriptor.
unsafe fn new_descriptor<T>(command: libc::c_int, attributes: &mut T) -> Result<OwnedFd, Errno> {
    // SAFETY: the caller's promise; a descriptor returned is new and owned by nobody else.
    unsafe {
        let fd = bpf(command, attributes)?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// # Safety
/// `T` is the kernel's structure for `command`, as far as the kernel writes it, and every address in it is valid for the
/// call.
unsafe fn bpf<T>(command: libc::c_int, attributes: &mut T) -> Result<libc::c_int, Errno> {
    // SAFETY: the caller's promise; the length is that of the structure.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_mut(attributes),
            size_of::<T>(),
        )
    };
    check(result as libc::c_int)
}

fn address<T>(pointer: *const T) -> u64 {
    pointer.expose_provenance() as u64
}

/// The start of `union bpf_attr` for `BPF_PROG_LOAD`.
#[repr(C)]
struct Load {
    program_type: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
}

/// The same for `BPF_LINK_CREATE` with tcx.
#[repr(C)]
struct Link {
    program: u32,
    ifindex: u32,
    attach_type: u32,
    flags: u32,
    relative: u32,
    padding: u32,
    expected_revision: u64,
}

/// The same for `BPF_PROG_TEST_RUN`.
#[cfg(test)]
#[repr(C)]
struct TestRun {
    program: u32,
    result: u32,
    len_in: u32,
    len_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
}

/// The same for `BPF_PROG_QUERY`; all of it, for the kernel writes at its end.
#[cfg(test)]
#[repr(C)]
struct Query {
    ifindex: u32,
    attach_type: u32,
    flags: [u32; 2],
    programs: u64,
    count: u32,
    padding: u32,
    unused: [u64; 4],
}

// linux/bpf.h
const BPF_PROG_LOAD: libc::c_int = 5;
#[cfg(test)]
const BPF_PROG_TEST_RUN: libc::c_int = 10;
#[cfg(test)]
const BPF_PROG_QUERY: libc::c_int = 16;
const BPF_LINK_CREATE: libc::c_int = 28;
const BPF_PROG_TYPE_SCHED_CLS: u32 = 3;
const BPF_TCX_INGRESS: u32 = 46;
const BPF_F_BEFORE: u32 = 1 << 3;
