//! Whether the VTEPs at the other end of our tunnels are there: heard of, or answering ICMP echo requests.
//!
//! ```text
//!            heard, answered                 30 s unheard and three answers missing
//!   unknown ----------------> alive ---------------------------------------------> silent
//!      ^                       | ^              heard, answered                        |
//!      +-----------------------+ +-----------------------------------------------------+
//!        30 s unheard, and it never answered
//! ```
//!
//! Who never answers may just not be allowed to: when such a one has nothing to send, nothing is known of it.
//!
//! Each is asked at once when it becomes a peer, then every ten seconds, each at its own moment of these; all together
//! at most a hundred times per second, so beyond a thousand VTEPs their turns come more rarely. Nothing here sends or
//! reads a clock: `now` is a time since any fixed moment, and never goes back.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::time::Duration;

/// What is known of a remote VTEP itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VtepReport {
    /// Its address.
    pub remote: IpAddr,
    /// Unix time in milliseconds at which the last datagram from it was noticed.
    pub heard_at_ms: Option<u64>,
    /// Echo requests that were sent to it.
    pub asked: u64,
    /// Those of them that it answered.
    pub answered: u64,
    /// Round trip of the last answer.
    pub rtt: Option<Duration>,
    /// Mean of about the last eight.
    pub mean_rtt: Option<Duration>,
    /// What follows from that.
    pub state: VtepState,
}

/// Whether a VTEP is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VtepState {
    /// Heard of in the last half minute, or it answers.
    Alive,
    /// It answered once, and is neither heard of nor does it answer any more.
    Silent,
    /// It is not heard of, and has never answered.
    #[default]
    Unknown,
}

/// Every VTEP that is a peer.
#[derive(Debug, Default)]
pub(crate) struct Vteps {
    known: BTreeMap<IpAddr, Vtep>,
    /// Before this nobody may be asked.
    earliest: Duration,
    sequence: u16,
}

/// A VTEP is alive that was not, or the other way round.
pub(crate) type Change = (IpAddr, VtepState);

#[derive(Debug, Default)]
struct Vtep {
    /// Frames that had come from it when it was last looked at.
    frames: u64,
    heard: Option<Heard>,
    due: Duration,
    pending: Option<Request>,
    asked: u64,
    answered: u64,
    /// Requests in a row that were not answered in time, or could not be sent.
    misses: u32,
    rtt: Option<Duration>,
    mean_rtt: Option<Duration>,
    state: VtepState,
}

#[derive(Debug, Clone, Copy)]
struct Heard {
    at: Duration,
    at_ms: u64,
}

#[derive(Debug, Clone, Copy)]
struct Request {
    sequence: u16,
    sent: Duration,
    is_missed: bool,
}

impl Vteps {
    /// Takes in who is a peer and how many frames have come from each; `at_ms` is `now` in Unix time.
    pub(crate) fn look(
        &mut self,
        frames: &BTreeMap<IpAddr, u64>,
        now: Duration,
        at_ms: u64,
    ) -> Vec<Change> {
        self.known.retain(|remote, _| frames.contains_key(remote));
        for (&remote, &frames) in frames {
            let vtep = self.known.entry(remote).or_insert_with(|| Vtep {
                due: now,
                ..Vtep::default()
            });
            if frames > vtep.frames {
                vtep.heard = Some(Heard { at: now, at_ms });
            }
            // Fewer: a tunnel has gone.
            vtep.frames = frames;
            vtep.wait_no_longer(now);
        }
        let changed = |(&remote, vtep): (&IpAddr, &mut Vtep)| Some((remote, vtep.judge(now)?));
        self.known.iter_mut().filter_map(changed).collect()
    }

    /// When to call [`next_to_ask`](Self::next_to_ask) again; `None` without VTEPs.
    pub(crate) fn due(&self) -> Option<Duration> {
        let due = self.known.values().map(|vtep| vtep.due).min()?;
        Some(due.max(self.earliest))
    }

    /// Whom to ask now, if anybody, and with which sequence number. What came of it is to be told by
    /// [`asked`](Self::asked).
    pub(crate) fn next_to_ask(&mut self, now: Duration) -> Option<(IpAddr, u16)> {
        if self.due()? > now {
            return None;
        }
        let (&remote, vtep) = self.known.iter_mut().min_by_key(|(_, vtep)| vtep.due)?;
        vtep.due = next_turn(remote, now);
        self.earliest = now + LEAST_DISTANCE;
        self.sequence = self.sequence.wrapping_add(1);
        Some((remote, self.sequence))
    }

    /// A request has left, or could not be sent.
    pub(crate) fn asked(&mut self, remote: IpAddr, sequence: u16, is_sent: bool, now: Duration) {
        let Some(vtep) = self.known.get_mut(&remote) else {
            return;
        };
        if vtep
            .pending
            .take()
            .is_some_and(|request| !request.is_missed)
            || !is_sent
        {
            vtep.misses = vtep.misses.saturating_add(1);
        }
        if is_sent {
            vtep.asked += 1;
            vtep.pending = Some(Request {
                sequence,
                sent: now,
                is_missed: false,
            });
        }
    }

    /// An answer has come. Only the first to the last request counts.
    pub(crate) fn answered(
        &mut self,
        remote: IpAddr,
        sequence: u16,
        now: Duration,
    ) -> Option<Change> {
        let vtep = self.known.get_mut(&remote)?;
        let request = vtep.pending.take_if(|r| r.sequence == sequence)?;
        let rtt = now.saturating_sub(request.sent);
        vtep.answered += 1;
        vtep.misses = 0;
        vtep.rtt = Some(rtt);
        vtep.mean_rtt = Some(match vtep.mean_rtt {
            Some(mean) => (mean * 7 + rtt) / 8,
            None => rtt,
        });
        Some((remote, vtep.judge(now)?))
    }

    /// What is known of one; nothing yet if it has just become a peer.
    pub(crate) fn report(&self, remote: IpAddr) -> VtepReport {
        let nothing = Vtep::default();
        let vtep = self.known.get(&remote).unwrap_or(&nothing);
        VtepReport {
            remote,
            heard_at_ms: vtep.heard.map(|heard| heard.at_ms),
            asked: vtep.asked,
            answered: vtep.answered,
            rtt: vtep.rtt,
            mean_rtt: vtep.mean_rtt,
            state: vtep.state,
        }
    }
}

impl Vtep {
    /// A late answer still counts, but not for the state meanwhile.
    fn wait_no_longer(&mut self, now: Duration) {
        if let Some(request) = &mut self.pending
            && !request.is_missed
            && now.saturating_sub(request.sent) >= PATIENCE
        {
            request.is_missed = true;
            self.misses = self.misses.saturating_add(1);
        }
    }

    /// The new state, if it is another.
    fn judge(&mut self, now: Duration) -> Option<VtepState> {
        let is_heard = self
            .heard
            .is_some_and(|heard| now.saturating_sub(heard.at) < HEARD_FOR);
        let answers = self.answered > 0 && self.misses < MISSES;
        let state = match self.state {
            _ if is_heard || answers => VtepState::Alive,
            VtepState::Alive if self.answered > 0 => VtepState::Silent,
            VtepState::Alive => VtepState::Unknown,
            before => before,
        };
        (std::mem::replace(&mut self.state, state) != state).then_some(state)
    }
}

/// The VTEP's next moment that is not too soon.
fn next_turn(remote: IpAddr, now: Duration) -> Duration {
    let mut hasher = DefaultHasher::new();
    remote.hash(&mut hasher);
    let interval = INTERVAL.as_micros() as u64;
    let its_own = hasher.finish() % interval;
    let since = (now.as_micros() as u64 + interval - its_own) % interval;
    let next = now + INTERVAL - Duration::from_micros(since);
    if next < now + INTERVAL / 2 {
        next + INTERVAL
    } else {
        next
    }
}

const INTERVAL: Duration = Duration::from_secs(10);
const LEAST_DISTANCE: Duration = Duration::from_millis(10);
/// How long an answer is waited for; less than half of the interval.
const PATIENCE: Duration = Duration::from_secs(3);
const HEARD_FOR: Duration = Duration::from_secs(30);
const MISSES: u32 = 3;

#[cfg(test)]
mod tests;
