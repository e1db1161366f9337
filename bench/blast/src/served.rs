//! The life of a server: from `ready` to the end of its stdin.

use std::io::{Read, stdin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// True until the stdin of this process ends.
#[derive(Clone)]
pub(crate) struct Wanted(Arc<AtomicBool>);

impl Wanted {
    /// Says `ready` and begins to watch stdin. Call it when the socket is open.
    pub(crate) fn begin() -> Self {
        let wanted = Wanted(Arc::new(AtomicBool::new(true)));
        let flag = wanted.clone();
        thread::spawn(move || {
            // An error ends it like an end: nobody is there who could want more.
            let _ = stdin().read_to_end(&mut Vec::new());
            flag.0.store(false, Ordering::Relaxed);
        });
        eprintln!("ready");
        wanted
    }

    pub(crate) fn still(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// For servers whose threads wait in system calls and have nothing to report.
    pub(crate) fn wait(&self) {
        while self.still() {
            thread::sleep(POLL);
        }
    }
}

/// How long a wait may last before it looks at `Wanted` again.
pub(crate) const POLL: Duration = Duration::from_millis(20);
