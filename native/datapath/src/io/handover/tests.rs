//! What strangers may send, by a socket pair; and both sides with a real TAP (root).

use super::super::listening::Listening;
use super::super::sys::seccomp::{Denied, deny};
use super::super::sys::{passing, stream};
use super::super::{netns, tap};
use super::process::start_in;
use super::*;
use crate::error::ErrorCode;
use proptest::prelude::*;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A path of this test's own, whose files are gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("vswitchd-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("s")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A process that does nothing until it is dropped.
struct Idler(Child);

impl Idler {
    fn start() -> Self {
        Self(Command::new("cat").stdin(Stdio::piped()).spawn().unwrap())
    }
}

impl Drop for Idler {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Somebody who was greeted, and his end.
fn guest(folder: &Folder, queues: u8) -> (Guest, OwnedFd) {
    let wanted = Wanted { queues, ..WANTED };
    let counter = Counter::open(&folder.socket()).unwrap();
    let caller = passing::connect(folder.socket().as_os_str().as_encoded_bytes(), 10).unwrap();
    let guest = counter.accept(wanted).unwrap().unwrap();
    guest.greet();
    let mut greeting = [0; GREETING_LEN];
    let (len, _) = passing::receive(caller.as_fd(), &mut greeting).unwrap();
    assert_eq!((len, greeting[3]), (GREETING_LEN, queues));
    assert_eq!(greeting[5..], guest.ticket.0);
    (guest, caller)
}

fn offer(queues: u8) -> Vec<u8> {
    [&MAGIC[..], &[queues], &[0; OFFER_LEN - 4]].concat()
}

/// The answer to one message.
fn answer(folder: &Folder, message: &[u8], passed: &[BorrowedFd<'_>]) -> Answer {
    let (guest, caller) = guest(folder, 4);
    passing::send(caller.as_fd(), message, passed).unwrap();
    guest.receive().unwrap_err()
}

fn open_copies(pipe: &std::io::PipeReader) -> bool {
    let mut byte = [0];
    (&*pipe).read(&mut byte).map_or(true, |len| len > 0)
}

#[test]
fn what_is_no_offer_is_malformed() {
    let folder = Folder::new("malformed");
    let null = File::open("/dev/null").unwrap();
    let null = null.as_fd();
    let long = [offer(1), vec![0]].concat();
    for (message, passed) in [
        (&b"GET / HTTP/1.1\r\n\r\n.."[..], &[][..]),
        (b"x", &[]),
        (&long, &[null, null]),
        // Fewer descriptors than queues, two more, and more queues than were wanted.
        (&offer(2), &[null]),
        (&offer(1), &[null, null, null]),
        (&offer(5), &[null; 6]),
    ] {
        assert_eq!(
            answer(&folder, message, passed),
            Answer::Malformed,
            "{message:?}"
        );
    }
    let (guest, caller) = guest(&folder, 4);
    drop(caller);
    assert_eq!(guest.receive().unwrap_err(), Answer::Malformed);
}

#[test]
fn what_is_no_tap_is_told_so_and_closed() {
    let folder = Folder::new("notap");
    let (reader, writer) = std::io::pipe().unwrap();
    let null = File::open("/dev/null").unwrap();
    assert_eq!(answer(&folder, &offer(0), &[null.as_fd()]), Answer::NoTap);
    for passed in [&[writer.as_fd()][..], &[writer.as_fd(), writer.as_fd()]] {
        assert_eq!(answer(&folder, &offer(1), passed), Answer::NoTap);
    }
    drop(writer);
    assert!(!open_copies(&reader), "every copy is closed");
}

#[test]
fn only_a_process_tells_the_end_of_a_process() {
    let own = passing::process(std::process::id()).unwrap();
    assert!(matches!(
        Process::of_descriptor(own),
        Some(Process::Watched(_))
    ));
    let event = super::super::poll::Waker::new().unwrap();
    let event = event.as_fd().try_clone_to_owned().unwrap();
    assert!(Process::of_descriptor(event).is_none());
    let null = File::open("/dev/null").unwrap();
    assert!(Process::of_descriptor(null.into()).is_none());
}

#[test]
fn a_process_without_descriptor_is_known_by_its_start() {
    for errno in [libc::ENOSYS, libc::EPERM] {
        let mut idler = Idler::start();
        let pid = idler.0.id();
        let found = without_pidfd(errno, move || Process::here(pid)).unwrap();
        let Process::Named { pid: same, start } = found else {
            panic!("{found:?}");
        };
        assert_eq!(same, pid);
        assert!(!found.is_missing());
        let another = Process::Named {
            pid,
            start: start + 1,
        };
        assert!(another.is_missing(), "one that got the number later");
        idler.0.kill().unwrap();
        idler.0.wait().unwrap();
        assert!(found.is_missing());
    }
}

/// Does it on a thread where `pidfd_open` fails.
fn without_pidfd<T: Send + 'static>(errno: i32, work: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::spawn(move || {
        deny_pidfd(errno);
        work()
    });
    thread.join().unwrap()
}

fn deny_pidfd(errno: i32) {
    let denied = Denied {
        syscall: libc::SYS_pidfd_open,
        errno,
        third_argument: None,
    };
    deny(denied).unwrap();
}

#[test]
fn a_process_that_is_gone_is_no_process_here() {
    let mut idler = Idler::start();
    idler.0.kill().unwrap();
    idler.0.wait().unwrap();
    let pid = idler.0.id();
    assert_eq!(Process::here(pid).unwrap_err().code, ErrorCode::NetnsGone);
    let named = without_pidfd(libc::EPERM, move || Process::here(pid));
    assert_eq!(named.unwrap_err().code, ErrorCode::NetnsGone);
}

#[test]
fn whoever_finds_nobody_is_told_so() {
    let folder = Folder::new("nobody");
    let refused = give(&folder.socket(), std::process::id(), "t0").unwrap_err();
    assert_eq!(refused.code, ErrorCode::HandoverRefused);
    assert_eq!(refused.errno, Some(libc::ENOENT));
    assert!(
        refused
            .detail
            .unwrap()
            .contains("no vswitchd listens there")
    );
    let listening = Counter::open(&folder.socket()).unwrap();
    for (last, detail) in [
        (None, "ended the connection"),
        (Some(Answer::Full), "as many TAPs as may"),
        (Some(Answer::NoResources), "too many files"),
        (Some(Answer::Taken), "different versions"),
    ] {
        let path = folder.socket();
        let giving = std::thread::spawn(move || give(&path, std::process::id(), "t0").unwrap_err());
        let guest = loop {
            match listening.accept(WANTED).unwrap() {
                Some(guest) => break guest,
                None => std::thread::yield_now(),
            }
        };
        if let Some(answer) = last {
            guest.answer(answer);
        }
        drop(guest);
        let refused = giving.join().unwrap();
        assert_eq!(refused.code, ErrorCode::HandoverRefused);
        assert!(
            refused.detail.clone().unwrap().contains(detail),
            "{refused:?}"
        );
    }
}

#[test]
fn a_counter_takes_the_place_of_a_dead_one_and_of_nothing_else() {
    let folder = Folder::new("counter");
    std::fs::write(folder.socket(), "somebody's").unwrap();
    assert_eq!(
        Counter::open(&folder.socket()).unwrap_err().code,
        ErrorCode::Io
    );
    assert_eq!(std::fs::read(folder.socket()).unwrap(), b"somebody's");
    std::fs::remove_file(folder.socket()).unwrap();
    std::mem::forget(Counter::open(&folder.socket()).unwrap());
    let counter = Counter::open(&folder.socket()).unwrap();
    // As it was asked for, not by way of a descriptor's number.
    let sockets = std::fs::read_to_string("/proc/self/net/unix").unwrap();
    assert!(sockets.contains(folder.socket().to_str().unwrap()));
    drop(counter);
    assert!(!folder.socket().exists());
    let long = folder.0.join("x".repeat(90));
    drop(Counter::open(&long).unwrap());
    assert!(!long.exists());
}

#[test]
fn a_counter_without_a_free_descriptor_says_so() {
    let folder = Folder::new("files");
    let counter = Counter::open(&folder.socket()).unwrap();
    let path = folder.socket();
    let _caller = passing::connect(path.as_os_str().as_encoded_bytes(), 10).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let denied = Denied {
                syscall: libc::SYS_accept4,
                errno: libc::EMFILE,
                third_argument: None,
            };
            deny(denied).unwrap();
            assert_eq!(counter.accept(WANTED).unwrap_err().code, ErrorCode::NoFiles);
        });
    });
    assert!(counter.accept(WANTED).unwrap().is_some(), "he waited");
    assert!(counter.accept(WANTED).unwrap().is_none());
}

proptest! {
    #[test]
    fn any_message_is_answered(
        message in proptest::collection::vec(any::<u8>(), 0..40),
        keeps_magic: bool,
        count in 0usize..5,
    ) {
        let folder = Folder::new("any");
        let null = File::open("/dev/null").unwrap();
        let mut message = message;
        if keeps_magic {
            message.resize(OFFER_LEN, 0);
            message[..3].copy_from_slice(&MAGIC);
        }
        let passed = vec![null.as_fd(); count];
        let said = answer(&folder, &message, &passed);
        prop_assert!(matches!(said, Answer::Malformed | Answer::NoTap), "{said:?}");
    }

    #[test]
    fn a_greeting_that_is_none_is_refused(greeting in proptest::collection::vec(any::<u8>(), 1..64)) {
        prop_assume!(greeting.len() != GREETING_LEN || !greeting.starts_with(&MAGIC));
        let folder = Folder::new("greeting");
        let path = folder.socket();
        let listening = Listening::bind(libc::SOCK_SEQPACKET, &path).unwrap();
        let given = std::thread::scope(|scope| {
            let giving = scope.spawn(|| give(&path, std::process::id(), "t0"));
            stream::poll([(listening.as_fd(), libc::POLLIN)], 5_000).unwrap();
            let there = stream::accept(listening.as_fd()).unwrap();
            stream::send(there.as_fd(), &greeting).unwrap();
            giving.join().unwrap()
        });
        let error = given.unwrap_err();
        prop_assert_eq!(error.code, ErrorCode::HandoverRefused);
        prop_assert_eq!(error.subject, path.display().to_string());
    }

    #[test]
    fn parse_undoes_a_tickets_text(bits: [u8; TICKET_LEN]) {
        let ticket = Ticket(bits);
        prop_assert_eq!(Ticket::parse(&ticket.to_string()), Some(ticket));
    }

    #[test]
    fn no_text_panics(text in ".{0,60}") {
        let _ = start_in(&text);
        let is_ticket = text.len() == 32 && text.bytes().all(|c| c.is_ascii_hexdigit());
        prop_assert_eq!(Ticket::parse(&text).is_some(), is_ticket);
    }

    #[test]
    fn start_is_field_22_whatever_the_name_is(name in "[ ()a-z0-9]{0,15}", start: u64) {
        let zeroes = "0 ".repeat(18);
        let text = format!("7 ({name}) S {zeroes}{start} 0 0\n");
        prop_assert_eq!(start_in(&text), Some(start));
    }
}

/// What is taken of a TAP that was given inside a new namespace, by whose side `pidfd_open` fails with `errno` if there is
/// one. The process that was named is gone by then.
fn handed(folder: &Folder, errno: Option<i32>) -> (Handed, Given) {
    let counter = Counter::open(&folder.socket()).unwrap();
    std::thread::scope(|scope| {
        let giving = scope.spawn(|| {
            netns::within_new(|| {
                let idler = Idler::start();
                if let Some(errno) = errno {
                    deny_pidfd(errno);
                }
                give(&folder.socket(), idler.0.id(), "t0")
            })
        });
        let guest = loop {
            match counter.accept(WANTED).unwrap() {
                Some(guest) => break guest,
                None => std::thread::yield_now(),
            }
        };
        guest.greet();
        let handed = loop {
            match guest.receive() {
                Ok(handed) => break handed,
                // Nothing yet.
                Err(answer) => assert!(!giving.is_finished(), "{answer:?}"),
            }
        };
        guest.answer(Answer::Taken);
        (handed, giving.join().unwrap().unwrap())
    })
}

#[test]
fn root_a_tap_is_handed_over_with_its_queues_and_its_process() {
    let folder = Folder::new("whole");
    let (handed, given) = handed(&folder, None);
    assert_eq!(handed.device.queues.len(), 4);
    assert_eq!(handed.device.ifindex, given.ifindex);
    assert!(matches!(handed.process, Process::Watched(_)));
}

#[test]
fn root_a_tap_is_handed_over_where_processes_have_no_descriptors() {
    for errno in [libc::ENOSYS, libc::EPERM] {
        let folder = Folder::new("named");
        let (handed, _given) = handed(&folder, Some(errno));
        assert_eq!(handed.device.queues.len(), 4);
        assert!(matches!(handed.process, Process::Named { .. }));
        assert!(handed.process.is_missing());
    }
}

#[test]
fn root_a_tap_with_fewer_queues_than_wanted_is_taken() {
    let folder = Folder::new("fewer");
    let made = netns::within_new(|| tap::Made::new("t0", 1, true)).unwrap();
    let queue = made.queues[0].as_fd();
    let own = passing::process(std::process::id()).unwrap();
    let (guest, caller) = guest(&folder, 4);
    passing::send(caller.as_fd(), &offer(1), &[queue, own.as_fd()]).unwrap();
    let handed = guest.receive().unwrap();
    assert_eq!(handed.device.queues.len(), 1);
    assert!(matches!(handed.process, Process::Watched(_)));
    // A descriptor that tells nothing is not taken for one.
    let event = super::super::poll::Waker::new().unwrap();
    passing::send(caller.as_fd(), &offer(1), &[queue, event.as_fd()]).unwrap();
    assert_eq!(guest.receive().unwrap_err(), Answer::NoProcess);
    // Nor is one without the header that was wanted.
    let made = netns::within_new(|| tap::Made::new("t0", 1, false)).unwrap();
    passing::send(
        caller.as_fd(),
        &offer(1),
        &[made.queues[0].as_fd(), own.as_fd()],
    )
    .unwrap();
    assert_eq!(guest.receive().unwrap_err(), Answer::NoTap);
}

const WANTED: Wanted = Wanted {
    queues: 4,
    vnet_hdr: true,
};
