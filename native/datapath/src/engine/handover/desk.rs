//! The thread that takes TAPs over, and watches whose they are.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::errands::Errands;
use super::shelf::{Item, Shelf, Stage};
use crate::engine::Inner;
use crate::engine::worker::words_of;
use crate::error::Error;
use crate::event::Event;
use crate::io::handover::{Answer, Counter, Guest, Handed, Process, Ticket, Wanted};
use crate::io::poll::{Poller, Ready, Waker};

/// What the thread works with. It closes nothing itself that came from a stranger.
pub(super) struct Desk {
    counter: Counter,
    /// Set while nobody is let in: the counter is out of the poller until then.
    closed_until: Option<Instant>,
    wanted: Wanted,
    poller: Poller,
    waker: Arc<Waker>,
    is_over: Arc<AtomicBool>,
    inner: Weak<Inner>,
    /// By token, and until when they may stay.
    guests: HashMap<u64, (Guest, Instant)>,
    errands: Errands,
    /// Who was heard out elsewhere, and what he had.
    heard: (Sender<Heard>, Receiver<Heard>),
    next_token: u64,
}

type Heard = (Guest, Handed);

impl Desk {
    /// Errors: `NO_FILES`.
    pub(super) fn new(
        (counter, wanted): (Counter, Wanted),
        (waker, is_over): (Arc<Waker>, Arc<AtomicBool>),
        inner: Weak<Inner>,
    ) -> Result<Self, Error> {
        let poller = Poller::new()?;
        poller.add(&*waker, WAKER)?;
        poller.add(&counter, COUNTER)?;
        Ok(Self {
            counter,
            closed_until: None,
            wanted,
            poller,
            waker,
            is_over,
            inner,
            guests: HashMap::new(),
            errands: Errands::default(),
            heard: channel(),
            next_token: COUNTER + 1,
        })
    }

    /// Works until it is over, and drops `working` then, before anything that can hang. A failure or a panic, which is a
    /// defect of ours, becomes one event.
    pub(super) fn run(mut self, working: Sender<()>) {
        let trouble = match catch_unwind(AssertUnwindSafe(|| self.serve())) {
            Ok(served) => served.err().map(|error| error.to_string()),
            Err(panic) => Some(words_of(&*panic).to_owned()),
        };
        self.counter.withdraw();
        let left = self.inner.upgrade().and_then(|inner| {
            if let Some(trouble) = trouble {
                let detail = format!("handover: {trouble}");
                inner.events.push(Event::Fatal { detail });
            }
            let is_over = self.is_over.load(Ordering::Relaxed);
            is_over.then(|| inner.shelf.take_all())
        });
        drop(working);
        drop(left);
    }

    fn serve(&mut self) -> Result<(), Error> {
        let mut ready = Ready::with_capacity(MAX_GUESTS);
        while !self.is_over.load(Ordering::Relaxed) {
            self.poller.wait(&mut ready, Some(LOOK_INTERVAL))?;
            let Some(inner) = self.inner.upgrade() else {
                return Ok(());
            };
            let now = Instant::now();
            for event in ready.iter() {
                match event.token {
                    WAKER => self.waker.drain(),
                    COUNTER => self.admit(now),
                    token => self.attend(&inner, token),
                }
            }
            while let Ok((guest, handed)) = self.heard.1.try_recv() {
                self.shelve((&inner.shelf, now), guest, handed);
            }
            self.tidy(&inner, now);
        }
        Ok(())
    }

    fn admit(&mut self, now: Instant) {
        if self.errands.are_many() {
            return self.close(now);
        }
        let guest = match self.counter.accept(self.wanted) {
            Ok(Some(guest)) => guest,
            Ok(None) => return,
            // Without a free descriptor he stays there, where the next wait would find him at once.
            Err(_) => return self.close(now),
        };
        if self.guests.len() >= MAX_GUESTS {
            return self.dismiss(guest, Answer::Full);
        }
        let token = self.token();
        if self.poller.add(&guest, token).is_err() {
            return self.dismiss(guest, Answer::NoResources);
        }
        guest.greet();
        self.guests.insert(token, (guest, now + GUEST_PATIENCE));
    }

    fn close(&mut self, now: Instant) {
        self.poller.remove(&self.counter);
        self.closed_until = Some(now + LOOK_INTERVAL);
    }

    /// A guest has sent something or gone, or a process has ended.
    fn attend(&mut self, inner: &Inner, token: u64) {
        let Some((guest, _)) = self.guests.remove(&token) else {
            if let Some((ticket, item)) = inner.shelf.take_ended(token) {
                self.end(inner, ticket, item);
            }
            return;
        };
        self.poller.remove(&guest);
        let (heard, waker) = (self.heard.0.clone(), self.waker.clone());
        self.errands.run(move || match guest.receive() {
            Ok(handed) => {
                // Nobody listens any more at the end.
                let _ = heard.send((guest, handed));
                waker.wake();
            }
            Err(answer) => guest.answer(answer),
        });
    }

    fn shelve(&mut self, (shelf, now): (&Shelf, Instant), guest: Guest, handed: Handed) {
        if !shelf.has_room() {
            return self.dismiss(guest, Answer::Full);
        }
        let Handed { device, process } = handed;
        let (token, guest_token) = (self.token(), self.token());
        let watched = match &process {
            Process::Watched(descriptor) => self.poller.add(descriptor, token),
            Process::Named { .. } => Ok(()),
        };
        if watched.is_err() {
            return self.dismiss(guest, Answer::NoResources);
        }
        if self.poller.add(&guest, guest_token).is_err() {
            self.forget(&process);
            return self.dismiss(guest, Answer::NoResources);
        }
        let ticket = guest.ticket;
        let item = Item::waiting(device, now, (process, token), (guest, guest_token));
        shelf.put(ticket, item);
    }

    /// Sends away who is too slow, and gives up what nobody wants or has ended.
    fn tidy(&mut self, inner: &Inner, now: Instant) {
        let is_due = self.closed_until.is_some_and(|until| now >= until);
        if is_due && self.poller.add(&self.counter, COUNTER).is_ok() {
            self.closed_until = None;
        }
        let late = self.guests.extract_if(|_, (_, until)| now >= *until);
        let late: Vec<_> = late.map(|(_, (guest, _))| guest).collect();
        for guest in late.into_iter().chain(inner.shelf.take_served()) {
            self.see_off(guest);
        }
        for (ticket, item) in inner.shelf.take_over(now) {
            self.end(inner, ticket, item);
        }
    }

    fn end(&self, inner: &Inner, ticket: Ticket, item: Item) {
        self.forget(&item.process);
        if let Some((guest, _)) = item.guest {
            self.see_off(guest);
        }
        if matches!(item.stage, Stage::InUse) {
            inner.container_ended(&ticket.to_string());
        }
    }

    /// Stops watching a process that is about to be closed: others may have it open, and then it would stay in the set.
    fn forget(&self, process: &Process) {
        if let Process::Watched(descriptor) = process {
            self.poller.remove(descriptor);
        }
    }

    fn dismiss(&self, guest: Guest, answer: Answer) {
        guest.answer(answer);
        self.see_off(guest);
    }

    fn see_off(&self, guest: Guest) {
        self.poller.remove(&guest);
        self.errands.run(move || drop(guest));
    }

    fn token(&mut self) -> u64 {
        self.next_token += 1;
        self.next_token
    }
}

const WAKER: u64 = 0;
const COUNTER: u64 = 1;
/// Who may be at the counter at once, and how long.
const MAX_GUESTS: usize = 16;
const GUEST_PATIENCE: Duration = Duration::from_secs(10);
/// How often what tells nothing by itself is looked at, and a closed counter opens.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
