//! What a table tells of itself.

use super::Entry;
use crate::switch::port::PortId;

/// A change of one station's entry. It says all that was known of the station before, so that who has every change and the
/// table of today can tell the table of any moment between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The station was unknown.
    Learned(Entry),
    /// The station was learned at another port.
    Moved {
        /// As it is now.
        entry: Entry,
        /// Where it was.
        from: PortId,
    },
    /// The entry went because the station was silent for too long.
    Aged(Entry),
    /// The entry went to make room for a newer station of the same port.
    Evicted(Entry),
    /// The entry went because somebody wanted it.
    Removed(Entry),
    /// People or the control plane made the entry, or gave it another port or origin.
    Set {
        /// As it is now.
        entry: Entry,
        /// As it was, if there was one.
        before: Option<Entry>,
    },
}

/// Who is told of changes, in their order. It is called while the table cannot change, so it must be quick and must not call
/// the table.
pub trait Journal: Send + Sync {
    /// Takes note of a change.
    fn record(&self, change: Change);
}

#[cfg(test)]
mod tests;
