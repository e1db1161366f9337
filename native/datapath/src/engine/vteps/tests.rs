use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
const SECOND: Duration = Duration::from_secs(1);

/// One VTEP, looked at every second and asked when its turn comes.
struct Lab {
    vteps: Vteps,
    now: Duration,
    frames: u64,
    changes: Vec<(u64, VtepState)>,
}

impl Lab {
    fn new() -> Self {
        let vteps = Vteps::default();
        let now = Duration::from_secs(1000);
        let (frames, changes) = (0, Vec::new());
        let mut lab = Self {
            vteps,
            now,
            frames,
            changes,
        };
        lab.look();
        lab
    }

    fn look(&mut self) {
        let frames = BTreeMap::from([(A, self.frames)]);
        let changes = self.vteps.look(&frames, self.now, self.at());
        self.note(changes);
    }

    /// Seconds go by; `answers` says how long each request takes, if it is answered.
    fn pass(&mut self, seconds: u64, answers: Option<Duration>) {
        for _ in 0..seconds {
            self.now += SECOND;
            self.look();
            if let Some((remote, sequence)) = self.vteps.next_to_ask(self.now) {
                self.vteps.asked(remote, sequence, true, self.now);
                if let Some(rtt) = answers {
                    let change = self.vteps.answered(remote, sequence, self.now + rtt);
                    self.note(change);
                }
            }
        }
    }

    fn note(&mut self, changes: impl IntoIterator<Item = Change>) {
        let at = self.at();
        self.changes
            .extend(changes.into_iter().map(|(_, state)| (at, state)));
    }

    fn at(&self) -> u64 {
        self.now.as_secs() - 1000
    }

    fn state(&self) -> VtepState {
        self.vteps.report(A).state
    }
}

#[test]
fn who_was_neither_heard_nor_answers_is_unknown() {
    let mut lab = Lab::new();
    lab.pass(100, None);
    let report = lab.vteps.report(A);
    assert_eq!((report.state, report.answered), (VtepState::Unknown, 0));
    assert!((9..=11).contains(&report.asked), "{}", report.asked);
    assert_eq!(lab.changes, []);
}

#[test]
fn who_answers_is_alive_until_three_answers_are_missing() {
    let mut lab = Lab::new();
    lab.pass(60, Some(SECOND / 1000));
    assert_eq!(lab.state(), VtepState::Alive);
    assert_eq!(lab.changes, [(1, VtepState::Alive)]);
    lab.pass(40, None);
    assert_eq!(lab.state(), VtepState::Silent);
    // Three requests, each ten seconds after the other, and the patience for the last.
    let (at, _) = lab.changes[1];
    assert!((60 + 23..=60 + 34).contains(&at), "{at}");
    lab.pass(11, Some(SECOND / 1000));
    assert_eq!(lab.state(), VtepState::Alive);
    assert_eq!(lab.changes.len(), 3);
}

#[test]
fn who_is_heard_is_alive_for_half_a_minute() {
    let mut lab = Lab::new();
    lab.frames = 5;
    lab.pass(1, None);
    assert_eq!(lab.vteps.report(A).heard_at_ms, Some(1));
    lab.pass(100, None);
    assert_eq!(
        lab.changes,
        [(1, VtepState::Alive), (31, VtepState::Unknown)]
    );
    // A tunnel has gone: fewer frames are no word of it.
    lab.frames = 2;
    lab.pass(5, None);
    assert_eq!(lab.state(), VtepState::Unknown);
    lab.frames = 3;
    lab.pass(1, None);
    assert_eq!(lab.state(), VtepState::Alive);
}

#[test]
fn what_cannot_be_sent_counts_as_not_answered_but_not_as_asked() {
    let mut lab = Lab::new();
    lab.pass(10, Some(SECOND / 1000));
    let asked = lab.vteps.report(A).asked;
    for _ in 0..3 {
        assert_eq!(lab.state(), VtepState::Alive);
        lab.vteps.asked(A, 99, false, lab.now);
    }
    lab.look();
    assert_eq!(lab.state(), VtepState::Silent);
    assert_eq!(lab.vteps.report(A).asked, asked);
}

#[test]
fn only_the_first_answer_to_the_last_request_counts() {
    let mut lab = Lab::new();
    let (remote, sequence) = lab.vteps.next_to_ask(lab.now).unwrap();
    lab.vteps.asked(remote, sequence, true, lab.now);
    let mut answer = |sequence, after: Duration| {
        let changed = lab.vteps.answered(A, sequence, lab.now + after).is_some();
        (changed, lab.vteps.report(A).answered)
    };
    assert_eq!(answer(sequence.wrapping_add(1), SECOND), (false, 0));
    assert_eq!(answer(sequence, 5 * SECOND), (true, 1));
    assert_eq!(answer(sequence, 6 * SECOND), (false, 1));
    assert_eq!(lab.vteps.report(A).rtt, Some(5 * SECOND));
    assert!(
        lab.vteps
            .answered("::1".parse().unwrap(), 0, lab.now)
            .is_none()
    );
}

#[test]
fn the_mean_follows_round_trips() {
    let mut lab = Lab::new();
    lab.pass(100, Some(Duration::from_micros(800)));
    assert_eq!(
        lab.vteps.report(A).mean_rtt,
        Some(Duration::from_micros(800))
    );
    lab.pass(10, Some(Duration::from_micros(1600)));
    let report = lab.vteps.report(A);
    assert_eq!(report.rtt, Some(Duration::from_micros(1600)));
    assert_eq!(report.mean_rtt, Some(Duration::from_micros(900)));
}

#[test]
fn who_is_no_peer_any_more_is_forgotten() {
    let mut lab = Lab::new();
    lab.pass(10, Some(SECOND / 1000));
    lab.vteps.look(&BTreeMap::new(), lab.now, 0);
    assert_eq!(lab.vteps.report(A).state, VtepState::Unknown);
    assert_eq!(lab.vteps.due(), None);
    assert_eq!(lab.vteps.next_to_ask(lab.now), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    /// A thread that is late, as any is, still asks nobody too often, and nobody waits too long.
    #[test]
    fn all_are_asked_and_never_more_than_a_hundred_per_second(count in 1u32..1500, delays in vec(0u64..40, 64)) {
        let frames: BTreeMap<_, _> = (0..count).map(|n| (IpAddr::from((0x0a00_0000 + n).to_be_bytes()), 0)).collect();
        let start = Duration::from_secs(77);
        let mut vteps = Vteps::default();
        vteps.look(&frames, start, 0);
        let mut turns: Vec<(Duration, IpAddr)> = Vec::new();
        let mut delays = delays.iter().cycle();
        let mut now = start;
        while now < start + 40 * SECOND {
            if let Some((remote, sequence)) = vteps.next_to_ask(now) {
                vteps.asked(remote, sequence, true, now);
                turns.push((now, remote));
            }
            now = now.max(vteps.due().unwrap()) + Duration::from_micros(100 * delays.next().unwrap());
        }
        for (turn, later) in turns.iter().zip(turns.iter().skip(100)) {
            prop_assert!(later.0 - turn.0 >= SECOND);
        }
        // A first turn that was put off, and a queue of all the others with their delays.
        let longest = Duration::from_secs(15) + Duration::from_millis(14) * count;
        let mut turns_of: BTreeMap<IpAddr, Vec<Duration>> = BTreeMap::new();
        for (turn, remote) in turns {
            turns_of.entry(remote).or_default().push(turn);
        }
        for &remote in frames.keys() {
            let mut at = start;
            for turn in turns_of.get(&remote).into_iter().flatten() {
                prop_assert!(*turn - at <= longest, "{remote} waits from {at:?} to {turn:?}");
                at = *turn;
            }
            prop_assert!(now - at <= longest, "{remote} waits since {at:?}");
        }
    }

    /// Whatever happens in whatever order, the state is what a plain look at all that has happened says.
    #[test]
    fn the_state_is_what_the_rule_says(steps in vec((0u8..5, 1u64..8_000), 0..120)) {
        let mut vteps = Vteps::default();
        let mut now = Duration::from_secs(5);
        let (mut frames, mut sequence) = (0, 0);
        // (moment, sequence number, answered in time or late)
        let mut requests: Vec<(Duration, u16, Option<Duration>)> = Vec::new();
        let mut heard: Option<Duration> = None;
        vteps.look(&BTreeMap::from([(A, 0)]), now, 0);
        for (step, millis) in steps {
            now += Duration::from_millis(millis);
            match step {
                0 => {
                    frames += 1;
                    heard = Some(now);
                }
                1 | 2 => {
                    sequence += 1;
                    vteps.asked(A, sequence, true, now);
                    requests.push((now, sequence, None));
                }
                3 => {
                    if let Some((_, last, answered)) = requests.last_mut() {
                        vteps.answered(A, *last, now);
                        answered.get_or_insert(now);
                    }
                }
                _ => {}
            }
            vteps.look(&BTreeMap::from([(A, frames)]), now, 0);
            let last_answered = requests.iter().rposition(|(_, _, answered)| answered.is_some());
            let since = last_answered.map_or(0, |at| at + 1);
            let missed = requests[since..].iter().enumerate().filter(|(i, (sent, _, _))| {
                since + i + 1 < requests.len() || now - *sent >= PATIENCE
            });
            let is_heard = heard.is_some_and(|heard| now - heard < HEARD_FOR);
            let is_alive = is_heard || (last_answered.is_some() && missed.count() < 3);
            let state = match (is_alive, last_answered) {
                (true, _) => VtepState::Alive,
                (false, Some(_)) => VtepState::Silent,
                (false, None) => VtepState::Unknown,
            };
            prop_assert_eq!(vteps.report(A).state, state);
        }
    }
}
