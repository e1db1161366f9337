use super::super::sys::{passing, stream};
use super::*;
use proptest::prelude::*;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

const WANTED: Wanted = Wanted {
    queues: 2,
    vnet_hdr: true,
};

/// A path that nothing else has.
fn fresh_path() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("vs-handover-{}-{number}", std::process::id()))
}

/// Somebody at the counter: his end, and ours. He has heard the greeting.
fn visit(counter: &Counter, wanted: Wanted) -> (OwnedFd, Guest) {
    let he = passing::connect(counter.path.as_os_str().as_bytes(), 5).unwrap();
    let guest = counter.admit(wanted).unwrap();
    let mut greeting = [0; GREETING_LEN];
    let (len, _) = passing::receive(he.as_fd(), &mut greeting).unwrap();
    assert_eq!(len, GREETING_LEN);
    (he, guest)
}

/// What comes of a message with so many descriptors, each an end of a pair; and whether all of those are closed then.
fn outcome(wanted: Wanted, message: &[u8], descriptors: usize) -> (Result<Handed, Answer>, bool) {
    let counter = Counter::open(&fresh_path()).unwrap();
    let (he, guest) = visit(&counter, wanted);
    let (kept, passed): (Vec<_>, Vec<_>) = (0..descriptors)
        .map(|_| UnixStream::pair().unwrap())
        .unzip();
    let ends: Vec<_> = passed.iter().map(AsFd::as_fd).collect();
    passing::send(he.as_fd(), message, &ends).unwrap();
    drop(passed);
    let outcome = guest.receive();
    let are_closed = kept.into_iter().all(|mut end| {
        end.set_nonblocking(true).unwrap();
        end.read(&mut [0]).is_ok_and(|len| len == 0)
    });
    (outcome, are_closed)
}

fn offer(rest: [u8; OFFER_LEN - 3]) -> Vec<u8> {
    [&MAGIC[..], &rest].concat()
}

/// Messages of any kind, many of which are nearly right.
fn messages() -> impl Strategy<Value = Vec<u8>> {
    let anything = proptest::collection::vec(any::<u8>(), 1..64);
    let right = any::<[u8; OFFER_LEN - 3]>().prop_map(offer);
    let longer = (right.clone(), anything.clone()).prop_map(|(a, b)| [a, b].concat());
    let shorter = (right.clone(), 1..OFFER_LEN).prop_map(|(a, len)| a[..len].to_vec());
    prop_oneof![anything, right, longer, shorter]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_no_tap_is_answered_and_closed(message in messages(), descriptors in 0_usize..6) {
        let (outcome, are_closed) = outcome(WANTED, &message, descriptors);
        let is_offer = message.len() == OFFER_LEN && message.starts_with(&MAGIC);
        // Two queues and a process are what may come.
        let expected = if is_offer && descriptors <= 3 { Answer::NoTap } else { Answer::Malformed };
        prop_assert_eq!(outcome.unwrap_err(), expected);
        prop_assert!(are_closed);
    }

    #[test]
    fn a_greeting_that_is_none_is_refused(greeting in proptest::collection::vec(any::<u8>(), 1..64)) {
        prop_assume!(greeting.len() != GREETING_LEN || !greeting.starts_with(&MAGIC));
        let path = fresh_path();
        let socket = stream::unix_socket(libc::SOCK_SEQPACKET, MODE).unwrap();
        stream::listen_at(socket.as_fd(), path.as_os_str().as_bytes()).unwrap();
        let given = std::thread::scope(|scope| {
            let giving = scope.spawn(|| give(&path, std::process::id(), "vs-none"));
            stream::poll([(socket.as_fd(), libc::POLLIN)], 5_000).unwrap();
            let there = stream::accept(socket.as_fd()).unwrap();
            stream::send(there.as_fd(), &greeting).unwrap();
            giving.join().unwrap()
        });
        std::fs::remove_file(&path).unwrap();
        let error = given.unwrap_err();
        prop_assert_eq!(error.code, ErrorCode::HandoverRefused);
        prop_assert_eq!(error.subject, path.display().to_string());
    }
}

#[test]
fn as_many_descriptors_as_a_message_may_have_are_closed() {
    let wanted = Wanted {
        queues: 64,
        ..WANTED
    };
    let (outcome, are_closed) = outcome(wanted, &offer([0; _]), 65);
    assert_eq!(outcome.unwrap_err(), Answer::NoTap);
    assert!(are_closed);
}

#[test]
fn who_leaves_without_a_word_is_malformed() {
    let counter = Counter::open(&fresh_path()).unwrap();
    let (he, guest) = visit(&counter, WANTED);
    drop(he);
    assert_eq!(guest.receive().unwrap_err(), Answer::Malformed);
    guest.answer(Answer::Malformed);
}

#[test]
fn without_a_listener_it_is_said_what_is_missing() {
    let error = give(&fresh_path(), std::process::id(), "vs-none").unwrap_err();
    assert_eq!(error.code, ErrorCode::HandoverRefused);
    assert_eq!(error.errno, Some(libc::ENOENT));
}

#[test]
fn a_counter_takes_the_place_of_a_socket_but_of_nothing_else() {
    let path = fresh_path();
    let left = stream::unix_socket(libc::SOCK_SEQPACKET, MODE).unwrap();
    stream::listen_at(left.as_fd(), path.as_os_str().as_bytes()).unwrap();
    drop(Counter::open(&path).unwrap());
    assert!(!path.exists());
    std::fs::write(&path, "mine").unwrap();
    let refused = Counter::open(&path);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    std::fs::remove_file(&path).unwrap();
    assert_eq!(refused.unwrap_err().code, ErrorCode::Io);
}

/// As from a kernel without descriptors of processes.
fn named(pid: u32) -> Process {
    let start = start_of(pid).unwrap();
    Process::Named { pid, start }
}

#[test]
fn a_process_that_is_known_by_its_start_is_missing_once_it_has_ended() {
    // What is behind the name in /proc/PID/stat must be found, whatever the name holds.
    let program = fresh_path().with_extension(") 1 (");
    std::fs::copy("/bin/cat", &program).unwrap();
    let spawned = Command::new(&program).stdin(Stdio::piped()).spawn();
    std::fs::remove_file(&program).unwrap();
    let mut child = spawned.unwrap();
    let process = named(child.id());
    assert!(!process.is_missing());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(process.is_missing());
}

#[test]
fn another_process_with_the_same_number_is_not_the_one() {
    let Process::Named { pid, start } = named(std::process::id()) else {
        unreachable!()
    };
    let other = Process::Named {
        pid,
        start: start - 1,
    };
    assert!(other.is_missing());
}

#[test]
fn tickets_are_read_as_they_are_written() {
    let ticket = Ticket::draw().unwrap();
    assert_eq!(Ticket::parse(&ticket.to_string()), Some(ticket));
    for text in ["", "0", &"0".repeat(33), &format!("+{}", "0".repeat(31))] {
        assert_eq!(Ticket::parse(text), None, "{text}");
    }
}
