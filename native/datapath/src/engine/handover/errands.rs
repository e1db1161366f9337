//! Threads for what a stranger's descriptor can make hang: looking at one, and closing one. A file system of his own
//! (FUSE) answers when it wants to, and a TCP socket may linger.

use std::sync::Arc;

/// How many run is known by who has the `Arc`.
#[derive(Default)]
pub(super) struct Errands(Arc<()>);

impl Errands {
    /// Does it on a thread of its own, which nobody waits for. Where there is no thread left for it, it is not done, and
    /// what it was to be done with is dropped here and now.
    pub(super) fn run(&self, errand: impl FnOnce() + Send + 'static) {
        let running = self.0.clone();
        let thread = std::thread::Builder::new().name("handover errand".into());
        // Without a handle it is nobody's.
        let _ = thread.spawn(move || {
            errand();
            drop(running);
        });
    }

    /// Whether so many hang that nothing more of strangers should be taken.
    pub(super) fn are_many(&self) -> bool {
        Arc::strong_count(&self.0) > MAX_ERRANDS
    }
}

const MAX_ERRANDS: usize = 64;
