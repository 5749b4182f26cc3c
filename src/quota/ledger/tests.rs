use std::time::Duration;

use proptest::prelude::*;

use super::*;

const WINDOW: Duration = Duration::from_secs(60);
const GRAIN: Duration = Duration::from_nanos(60_000_000_000 / GRAINS as u64);
const NANO: Duration = Duration::from_nanos(1);

fn ledger() -> Ledger {
    Ledger::new(Window::Rolling(WINDOW))
}

/// Everything that was taken, and when.
#[derive(Default)]
struct Log(Vec<(Instant, u64)>);

impl Log {
    /// What was taken in the stretch of `length` that ends at `end`, its beginning left out.
    fn sum(&self, end: Instant, length: Duration) -> u64 {
        let within = |(at, _): &&(Instant, u64)| *at <= end && end - *at < length;
        self.0.iter().filter(within).map(|(_, cost)| cost).sum()
    }
}

/// A token bucket as its authors tell it: what it holds at most, and how much comes in a window.
struct Bucket {
    most: u64,
    /// In parts of which a window has as many as nanoseconds.
    level: u128,
    at: Instant,
}

impl Bucket {
    fn full(most: u64, at: Instant) -> Self {
        Self { most, level: u128::from(most) * WINDOW.as_nanos(), at }
    }

    fn take(&mut self, cost: u64, now: Instant) -> bool {
        let earned = (now - self.at).as_nanos() * u128::from(self.most);
        self.level = (self.level + earned).min(u128::from(self.most) * WINDOW.as_nanos());
        self.at = now;
        let left = self.level.checked_sub(u128::from(cost) * WINDOW.as_nanos());
        self.level = left.unwrap_or(self.level);
        left.is_some()
    }
}

/// Pauses between requests of all lengths: none, within a grain, up to two windows.
fn pause() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        (0..2_000_u64).prop_map(Duration::from_nanos),
        (0..500_u64).prop_map(Duration::from_millis),
        (0..3_000_u64).prop_map(Duration::from_millis),
        (0..120_u64).prop_map(Duration::from_secs),
    ]
}

proptest! {
    #[test]
    fn no_stretch_of_a_window_has_more_than_the_most_and_no_bucket_overflows(
        most in 1..400_u64,
        asked in prop::collection::vec((0..40_u64, pause()), 1..400),
    ) {
        let (mut ledger, mut log) = (ledger(), Log::default());
        let mut now = Instant::now();
        let mut bucket = Bucket::full(most, now);
        for (cost, pause) in asked {
            now += pause;
            if ledger.room(cost, most, now) == Room::Open {
                ledger.charge(cost, now);
                log.0.push((now, cost));
                prop_assert!(log.sum(now, WINDOW) <= most);
                prop_assert!(bucket.take(cost, now), "a token bucket would have said no");
            }
        }
    }

    #[test]
    fn what_counts_is_what_was_taken_in_the_window_and_a_grain_at_most(
        asked in prop::collection::vec((0..40_u64, pause()), 1..400),
    ) {
        let (mut ledger, mut log) = (ledger(), Log::default());
        let mut now = Instant::now();
        for (count, (cost, pause)) in asked.into_iter().enumerate() {
            now += pause;
            ledger.charge(cost, now);
            ledger.expire(now);
            log.0.push((now, cost));
            let exact = log.sum(now, WINDOW);
            prop_assert!(ledger.used() >= exact);
            prop_assert!(ledger.used() <= log.sum(now, WINDOW + GRAIN));
            prop_assert!(ledger.used() == exact || count >= CROWDED, "few are told apart");
            prop_assert!(ledger.entries.len() <= CROWDED);
        }
    }

    #[test]
    fn the_wait_is_exact(
        most in 1..60_u64,
        asked in prop::collection::vec((1..80_u64, pause()), 1..300),
    ) {
        let mut ledger = ledger();
        let mut now = Instant::now();
        for (cost, pause) in asked {
            now += pause;
            match ledger.room(cost, most, now) {
                Room::Until(at) => {
                    prop_assert!(at > now);
                    prop_assert_eq!(ledger.room(cost, most, at - NANO), Room::Until(at));
                    prop_assert_eq!(ledger.room(cost, most, at), Room::Open);
                    now = at;
                }
                room => prop_assert_eq!(room, if cost > most { Room::Never } else { Room::Open }),
            }
            // Sometimes above the limit, as when an answer took more than was expected.
            ledger.charge(cost, now);
        }
    }

    #[test]
    fn what_is_given_back_is_as_if_it_was_never_taken(
        asked in prop::collection::vec((1..40_u64, 0..41_u64, any::<prop::sample::Index>(), pause()), 1..100),
    ) {
        let (mut ledger, mut log) = (ledger(), Log::default());
        let mut now = Instant::now();
        for (cost, back, which, pause) in asked {
            now += pause;
            ledger.charge(cost, now);
            log.0.push((now, cost));
            let which = which.index(log.0.len());
            let (at, left) = &mut log.0[which];
            let back = back.min(*left);
            *left -= back;
            ledger.give_back(back, *at);
            ledger.expire(now);
            prop_assert_eq!(ledger.used(), log.sum(now, WINDOW));
        }
    }
}

#[test]
fn what_is_merged_can_be_given_back() {
    let (mut ledger, start) = (ledger(), Instant::now());
    let times: Vec<_> = (0..1000).map(|index| start + index * Duration::from_millis(7)).collect();
    for at in &times {
        ledger.charge(3, *at);
    }
    assert!(ledger.entries.len() <= CROWDED);
    for at in &times {
        ledger.give_back(2, *at);
    }
    assert_eq!(ledger.used(), 1000);
    for at in &times {
        ledger.give_back(1, *at);
    }
    assert_eq!(ledger.used(), 0);
}

#[test]
fn what_is_merged_counts_a_grain_too_long_at_most() {
    let (mut ledger, mut log, start) = (ledger(), Log::default(), Instant::now());
    for at in (0..2000).map(|index| start + index * Duration::from_millis(7)) {
        ledger.charge(3, at);
        log.0.push((at, 3));
    }
    for now in (0..200).map(|index| start + WINDOW + index * Duration::from_millis(80)) {
        ledger.expire(now);
        assert!(ledger.used() >= log.sum(now, WINDOW));
        assert!(ledger.used() <= log.sum(now, WINDOW + GRAIN));
    }
}

#[test]
fn a_cost_of_nothing_always_passes_and_one_above_the_most_never() {
    let (mut ledger, now) = (ledger(), Instant::now());
    ledger.charge(12, now);
    assert_eq!(ledger.room(0, 10, now), Room::Open);
    assert_eq!(ledger.room(11, 10, now), Room::Never);
    assert_eq!(ledger.room(10, 10, now), Room::Until(now + WINDOW));
}

#[test]
fn what_is_in_flight_counts_until_it_is_given_back() {
    let (mut ledger, now) = (Ledger::new(Window::InFlight), Instant::now());
    ledger.charge(1, now);
    ledger.charge(1, now + WINDOW);
    let later = now + 1000 * WINDOW;
    assert_eq!(ledger.room(1, 2, later), Room::Held);
    ledger.give_back(1, now + WINDOW);
    assert_eq!((ledger.used(), ledger.room(1, 2, later)), (1, Room::Open));
}

#[test]
fn sums_beyond_all_numbers_stay_at_the_greatest() {
    let (mut ledger, now) = (ledger(), Instant::now());
    ledger.charge(u64::MAX, now);
    ledger.charge(5, now + NANO);
    assert_eq!((ledger.used(), ledger.room(1, 10, now)), (u64::MAX, Room::Until(now + WINDOW)));
    ledger.expire(now + WINDOW);
    assert_eq!(ledger.used(), 0);
}
