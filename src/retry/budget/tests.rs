use std::thread;

use proptest::prelude::*;

use super::*;

const WINDOW: Duration = Duration::from_secs(10);
const SLOT: Duration = Duration::from_micros(156_250);

/// A budget of the share alone.
fn share(percent: u32) -> RetryBudget {
    RetryBudget::new().percent(percent).min_per_second(0)
}

fn requests(budget: &RetryBudget, count: usize, now: Instant) {
    for _ in 0..count {
        budget.request(now);
    }
}

/// Retries until the budget refuses.
fn drain(budget: &RetryBudget, now: Instant) -> usize {
    std::iter::from_fn(|| budget.try_retry(now).then_some(())).count()
}

#[test]
fn a_share_is_exact_whatever_its_percentage() {
    let now = Instant::now();
    for (percent, sent, granted) in [
        (0, 10, 0),
        (30, 10, 3),
        (30, 3, 0),
        (30, 4, 1),
        (33, 100, 33),
        (60, 10, 6),
        (60, 1, 0),
        (100, 10, 10),
        (150, 10, 15),
        (150, 7, 10),
    ] {
        let budget = share(percent);
        requests(&budget, sent, now);
        assert_eq!(drain(&budget, now), granted, "{percent} % of {sent}");
    }
}

#[test]
fn a_share_is_exact_when_retries_come_between_the_requests() {
    let now = Instant::now();
    for (percent, granted) in [(30, 3), (60, 6), (100, 10), (150, 15)] {
        let budget = share(percent);
        let total: usize = (0..10)
            .map(|_| {
                budget.request(now);
                drain(&budget, now)
            })
            .sum();
        assert_eq!(total, granted, "{percent} %");
    }
}

#[test]
fn an_idle_budget_grants_its_floor_and_no_more() {
    let now = Instant::now();
    let budget = RetryBudget::new();
    assert_eq!(drain(&budget, now), 100);
    requests(&budget, 10, now);
    assert_eq!(drain(&budget, now), 2);
}

#[test]
fn the_fraction_of_a_floor_adds_to_the_fraction_of_a_share() {
    let now = Instant::now();
    let budget =
        RetryBudget::new().percent(50).min_per_second(1).window(Duration::from_millis(1500));
    assert_eq!(drain(&budget, now), 1);
    budget.request(now);
    assert_eq!(drain(&budget, now), 1);
}

#[test]
fn requests_stop_paying_within_a_window() {
    let now = Instant::now();
    let budget = share(100);
    requests(&budget, 10, now);
    assert_eq!(budget.available(now + WINDOW - Duration::from_nanos(1)), 10);
    assert_eq!(budget.available(now + WINDOW), 0);
}

#[test]
fn a_retry_outlasts_the_request_that_paid_for_it() {
    let start = Instant::now();
    let budget = share(100);
    requests(&budget, 10, start);
    assert_eq!(drain(&budget, start), 10);

    let later = start + WINDOW;
    requests(&budget, 10, later);
    assert_eq!(drain(&budget, later), 0);
    assert_eq!(drain(&budget, later + SLOT), 10);
}

#[test]
fn a_spent_floor_comes_back_after_the_window() {
    let start = Instant::now();
    let budget = RetryBudget::new();
    assert_eq!(drain(&budget, start), 100);
    assert_eq!(drain(&budget, start + WINDOW), 0);
    assert_eq!(drain(&budget, start + WINDOW + SLOT), 100);
}

#[test]
fn a_clock_that_jumps_ahead_leaves_only_the_floor() {
    let start = Instant::now();
    let budget = RetryBudget::new();
    requests(&budget, 1000, start);
    assert_eq!(drain(&budget, start), 300);
    for hours in [3, 30, 30_000] {
        assert_eq!(drain(&budget, start + Duration::from_secs(hours * 3600)), 100);
    }
}

#[test]
fn an_earlier_now_is_taken_as_the_latest_seen() {
    let start = Instant::now();
    let later = start + 3 * WINDOW;
    let budget = share(100);
    budget.request(later);
    budget.request(start);
    assert_eq!(budget.available(start), 2);
    assert!(budget.try_retry(start));
    assert_eq!(budget.available(later), 1);

    let before_epoch = start.checked_sub(WINDOW).unwrap_or(start);
    assert_eq!(drain(&budget, before_epoch), 1);
    assert_eq!(drain(&budget, later), 0);
}

#[test]
fn a_window_below_a_second_is_a_second() {
    let now = Instant::now();
    let budget = RetryBudget::new().window(Duration::ZERO);
    assert_eq!(drain(&budget, now), 10);
}

#[test]
fn a_window_that_no_slot_divides_is_kept_to_the_nanosecond() {
    let start = Instant::now();
    let window = Duration::from_nanos(1_000_000_063);
    let budget = RetryBudget::new().min_per_second(1).window(window);
    assert_eq!(budget.available(start), 1);
    let slot = window / 64;
    assert!(budget.try_retry(start + slot - Duration::from_nanos(1)));
    assert!(!budget.try_retry(start + slot * 65));
}

#[test]
fn the_largest_terms_do_not_overflow() {
    let now = Instant::now();
    let budget =
        RetryBudget::new().percent(u32::MAX).min_per_second(u32::MAX).window(Duration::MAX);
    requests(&budget, 10, now);
    assert!(budget.try_retry(now));
    assert_eq!(budget.available(now + WINDOW), u32::MAX);
}

#[test]
fn clones_share_one_ledger_and_a_setter_starts_another() {
    let now = Instant::now();
    let budget = share(100);
    let clone = budget.clone();
    clone.request(now);
    assert!(budget.try_retry(now));
    assert!(!clone.try_retry(now));

    let other = clone.percent(200);
    other.request(now);
    assert_eq!(other.available(now), 2);
    assert_eq!(budget.available(now), 0);
}

#[test]
fn threads_together_are_granted_the_share_to_the_number() {
    let now = Instant::now();
    let budget = share(30);
    let hammer = || {
        (0..1000)
            .filter(|_| {
                budget.request(now);
                budget.try_retry(now)
            })
            .count()
    };
    let granted: usize = thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(hammer)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(granted + drain(&budget, now), 2400);
}

#[test]
fn threads_racing_for_the_last_retries_get_each_once() {
    let now = Instant::now();
    let budget = share(150);
    requests(&budget, 1000, now);
    let granted: usize = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| (0..1000).filter(|_| budget.try_retry(now)).count()))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(granted, 1500);
}

#[test]
fn memory_stays_bounded() {
    let start = Instant::now();
    let budget = RetryBudget::new();
    for step in 0..10_000 {
        budget.request(start + SLOT / 3 * step);
    }
    assert!(budget.ledger_at(start).past.len() <= 64);
}

#[derive(Debug, Clone)]
enum Step {
    Request,
    Retry,
    /// Nanoseconds ahead, or back.
    Clock(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => Just(Step::Request),
        4 => Just(Step::Retry),
        2 => (0..50_000_000_i64).prop_map(Step::Clock),
        2 => (0..1_200_000_000_i64).prop_map(Step::Clock),
        1 => (-500_000_000..0_i64).prop_map(Step::Clock),
    ];
    prop::collection::vec(step, 0..400)
}

/// All that happened, with its time in nanoseconds.
#[derive(Default)]
struct Model {
    requests: Vec<i128>,
    retries: Vec<i128>,
}

impl Model {
    fn count(events: &[i128], after: i128) -> i128 {
        events.iter().filter(|at| **at > after).count().try_into().unwrap()
    }
}

proptest! {
    /// Every grant keeps the bound of its trailing window, and every refusal is due but for the
    /// rounding of one slot.
    #[test]
    fn grants_keep_the_bound_and_refusals_are_due(
        steps in steps(),
        percent in 0..250_u32,
        min_per_second in 0..3_u32,
        window in 1_000_000_000..3_000_000_000_u64,
    ) {
        let budget = RetryBudget::new()
            .percent(percent)
            .min_per_second(min_per_second)
            .window(Duration::from_nanos(window));
        let epoch = Instant::now();
        let window = i128::from(window);
        // Both sides of the bound in units of 1e-11 retries, exact.
        let cost = 100_000_000_000;
        let paid = |requests: i128| {
            let floor = i128::from(min_per_second) * window * 100;
            i128::from(percent) * requests * 1_000_000_000 + floor
        };
        // The first call sets where the slots begin.
        let _ = budget.available(epoch);
        let (mut clock, mut latest) = (0_i64, 0_i128);
        let mut model = Model::default();

        for step in steps {
            let now = epoch + Duration::from_nanos(clock.unsigned_abs());
            if !matches!(step, Step::Clock(_)) {
                latest = latest.max(clock.into());
            }
            match step {
                Step::Request => {
                    budget.request(now);
                    model.requests.push(latest);
                }
                Step::Retry => {
                    let available = budget.available(now);
                    let granted = budget.try_retry(now);
                    prop_assert_eq!(granted, available > 0);
                    model.retries.push(latest);
                    if granted {
                        let start = latest - window;
                        let spent = cost * Model::count(&model.retries, start);
                        prop_assert!(spent <= paid(Model::count(&model.requests, start)));
                    } else {
                        let (start, slot) = (latest - window, window / 64 + 1);
                        let spent = cost * Model::count(&model.retries, start - slot);
                        let allowed = paid(Model::count(&model.requests, start + slot));
                        // The floor is counted in whole hundredths of a retry.
                        prop_assert!(spent + cost / 100 > allowed);
                        model.retries.pop();
                    }
                }
                Step::Clock(by) => clock = (clock + by).max(0),
            }
        }
    }
}
