//! Where TAPs wait that were handed over.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::ticket_of;
use crate::config::Desired;
use crate::error::{Error, ErrorCode};
use crate::io::handover::{Answer, Device, Guest, Process, Ticket};
use crate::io::poll::Waker;
use crate::io::tap::{Tap, TapSpec};

/// What was handed over, by its ticket. Any thread may use it; only the desk takes away what it watches, because it has
/// to stop watching it first.
#[derive(Default)]
pub(in crate::engine) struct Shelf {
    items: Mutex<HashMap<Ticket, Item>>,
    /// Of the desk, while there is one.
    waker: Mutex<Option<Arc<Waker>>>,
}

/// What came with one ticket.
pub(super) struct Item {
    /// By whose end the container's is known, watched under `token`.
    pub(super) process: Process,
    pub(super) token: u64,
    /// Whoever handed it over stays until its port has come: if he goes before, nobody wants it. Watched under the token.
    pub(super) guest: Option<(Guest, u64)>,
    pub(super) stage: Stage,
}

pub(super) enum Stage {
    /// Its port may come.
    Waiting { device: Device, until: Instant },
    /// The descriptors are a port's.
    InUse,
    /// Nobody wants it any more.
    Over,
}

impl Item {
    /// Its port may come, until `PORT_PATIENCE` after `now`.
    pub(super) fn waiting(
        device: Device,
        now: Instant,
        (process, token): (Process, u64),
        guest: (Guest, u64),
    ) -> Self {
        let until = now + PORT_PATIENCE;
        Self {
            process,
            token,
            guest: Some(guest),
            stage: Stage::Waiting { device, until },
        }
    }

    /// Whether readiness of this token is its end.
    fn is_watched_by(&self, token: u64) -> bool {
        let waits = matches!(self.stage, Stage::Waiting { .. });
        let of_guest = waits && self.guest.as_ref().is_some_and(|(_, own)| *own == token);
        of_guest || self.token == token
    }

    fn is_over(&self, now: Instant) -> bool {
        match &self.stage {
            Stage::Over => true,
            Stage::Waiting { until, .. } if now >= *until => true,
            Stage::Waiting { .. } | Stage::InUse => self.process.is_missing(),
        }
    }
}

impl Shelf {
    /// The TAP of this ticket, with descriptors of its own. It stays on the shelf too, for an apply that fails. Errors:
    /// `HANDOVER_GONE`, and as [`Tap::of_handed`].
    pub(in crate::engine) fn tap(&self, ticket: &str, spec: &TapSpec) -> Result<Tap, Error> {
        let items = self.items();
        let found = Ticket::parse(ticket).and_then(|ticket| items.get(&ticket));
        match found.map(|item| &item.stage) {
            Some(Stage::Waiting { device, .. }) => Tap::of_handed(spec, device),
            _ => Err(Error::new(ErrorCode::HandoverGone, &spec.ifname)),
        }
    }

    /// Ports have their TAPs now, and those that are no more need none. Returns tickets of ports whose containers have
    /// ended meanwhile.
    pub(in crate::engine) fn keep_for(&self, desired: &Desired) -> Vec<String> {
        let ports = desired.networks.iter().flat_map(|n| &n.ports);
        let wanted: Vec<&str> = ports.filter_map(|port| ticket_of(&port.kind)).collect();
        let mut items = self.items();
        let mut used = HashSet::new();
        let mut ended = Vec::new();
        for text in wanted {
            match Ticket::parse(text).and_then(|t| Some((t, items.get_mut(&t)?))) {
                Some((ticket, item)) => {
                    item.stage = Stage::InUse;
                    used.insert(ticket);
                }
                None => ended.push(text.to_owned()),
            }
        }
        for (ticket, item) in items.iter_mut() {
            if matches!(item.stage, Stage::InUse) && !used.contains(ticket) {
                item.stage = Stage::Over;
            }
        }
        drop(items);
        if let Some(waker) = &*self.waker() {
            waker.wake();
        }
        ended
    }

    /// Has this woken whenever there may be something to take away.
    pub(super) fn look_after(&self, waker: Arc<Waker>) {
        *self.waker() = Some(waker);
    }

    /// Whether one more may wait.
    pub(super) fn has_room(&self) -> bool {
        let items = self.items();
        let waiting = items
            .values()
            .filter(|item| matches!(item.stage, Stage::Waiting { .. }));
        waiting.count() < MAX_WAITING
    }

    /// Puts it there, and tells its guest, who may send for it at once.
    pub(super) fn put(&self, ticket: Ticket, item: Item) {
        let mut items = self.items();
        if let Some((guest, _)) = &item.guest {
            guest.answer(Answer::Taken);
        }
        items.insert(ticket, item);
    }

    /// Takes away what readiness of this token ends.
    pub(super) fn take_ended(&self, token: u64) -> Option<(Ticket, Item)> {
        self.items()
            .extract_if(|_, item| item.is_watched_by(token))
            .next()
    }

    /// Takes away what nobody wants, or has waited too long, or is known to have ended without telling.
    pub(super) fn take_over(&self, now: Instant) -> Vec<(Ticket, Item)> {
        self.items()
            .extract_if(|_, item| item.is_over(now))
            .collect()
    }

    /// Takes away those who handed over what has its port now.
    pub(super) fn take_served(&self) -> Vec<Guest> {
        let mut items = self.items();
        let served = items
            .values_mut()
            .filter(|item| matches!(item.stage, Stage::InUse));
        served
            .filter_map(|item| item.guest.take())
            .map(|(guest, _)| guest)
            .collect()
    }

    /// Takes away everything.
    pub(super) fn take_all(&self) -> HashMap<Ticket, Item> {
        std::mem::take(&mut *self.items())
    }

    fn items(&self) -> MutexGuard<'_, HashMap<Ticket, Item>> {
        // Each change leaves whole items behind.
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waker(&self) -> MutexGuard<'_, Option<Arc<Waker>>> {
        // Replaced whole.
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many TAPs may wait for their ports, and how long.
const MAX_WAITING: usize = 64;
const PORT_PATIENCE: Duration = Duration::from_secs(60);
