use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use proptest::prelude::*;
use tokio::time::advance;

use super::*;
use crate::deployment::Usage;

mod budgets;

const WINDOW: Duration = Duration::from_secs(60);

const LEAST: Charge = Charge { requests: 1, input: 1, output: 0, dollars: 0 };

fn charge(input: u64, output: u64) -> Charge {
    Charge { requests: 1, input, output, dollars: 0 }
}

fn usage(input: u64, output: u64) -> Usage {
    Usage { input, output, ..Usage::default() }
}

/// In the order of their locks, as a deployment keeps them.
fn together<const N: usize>(mut quotas: [Quota; N]) -> Arc<[Quota]> {
    quotas.sort_by_key(|quota| Arc::as_ptr(quota.account()).addr());
    Arc::new(quotas)
}

fn take(quotas: &Arc<[Quota]>, charge: &Charge) -> Option<Reservation> {
    let sunk = Charge { output: 0, dollars: charge.dollars / 2, ..*charge };
    let asked = Asked { expected: *charge, sunk, least: LEAST };
    let taken = reserve(quotas, &asked, Instant::now(), || Some(()));
    taken.map(|taken| taken.hold)
}

fn used(quota: &Quota) -> Vec<u64> {
    quota.usage().iter().map(|usage| usage.used).collect()
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Pick { input: u64, output: u64 },
    Send,
    NotSent,
    Fail,
    Answer,
    Settle { input: u64, output: u64 },
    End,
    Pass(Duration),
}

fn step() -> impl Strategy<Value = (Step, prop::sample::Index)> {
    let tokens = || (1..30_u64, 1..30_u64);
    let step = prop_oneof![
        6 => tokens().prop_map(|(input, output)| Step::Pick { input, output }),
        4 => Just(Step::Send),
        1 => Just(Step::NotSent),
        1 => Just(Step::Fail),
        3 => Just(Step::Answer),
        3 => tokens().prop_map(|(input, output)| Step::Settle { input, output }),
        4 => Just(Step::End),
        2 => (0..40_u64).prop_map(|seconds| Step::Pass(Duration::from_secs(seconds))),
    ];
    (step, any::<prop::sample::Index>())
}

/// Requests, tokens and tokens of output.
type Amounts = [u64; 3];

/// A request, and when it took how much of what.
struct Request {
    hold: Arc<Hold>,
    reservation: Option<Reservation>,
    taken: Vec<(Instant, Amounts)>,
    stage: u8,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_counts_is_what_was_used_whatever_the_order(
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let limits = [Limit::rpm(12), Limit::tpm(250), Limit::otpm(130), Limit::parallel(7)];
            let one = Quota::new("one", limits);
            let other = Quota::new("other", [Limit::requests(20, 3 * WINDOW)]);
            let quotas = together([one.clone(), other.clone()]);
            let mut requests: Vec<Request> = Vec::new();
            for (step, which) in steps {
                if let Step::Pass(time) = step {
                    advance(time).await;
                }
                let now = Instant::now();
                if let Step::Pick { input, output } = step {
                    let charge = charge(input, output);
                    let fits = fits(&requests, &charge, now);
                    let reservation = take(&quotas, &charge);
                    prop_assert_eq!(reservation.is_some(), fits);
                    requests.extend(reservation.map(|reservation| Request {
                        hold: Arc::clone(reservation.hold()),
                        reservation: Some(reservation),
                        taken: vec![(now, [1, input + output, output])],
                        stage: 0,
                    }));
                } else if !requests.is_empty() {
                    let request = which.get(&requests);
                    let index = requests.iter().position(|one| std::ptr::eq(one, request));
                    go_on(&mut requests[index.unwrap()], step, now);
                }
                prop_assert_eq!(used(&one), expected(&requests, now));
                prop_assert_eq!(used(&other), vec![sums(&requests, now, 3 * WINDOW)[0]]);
            }
            requests.clear();
            prop_assert_eq!(used(&one)[3], 0);
            Ok(())
        })?;
    }
}

/// What `requests` took in the `window` until now.
fn sums(requests: &[Request], now: Instant, window: Duration) -> Amounts {
    let taken = requests.iter().flat_map(|request| &request.taken);
    let counts = taken.filter(|(at, _)| now - *at < window);
    counts.fold([0; 3], |sum, (_, amounts)| std::array::from_fn(|i| sum[i] + amounts[i]))
}

fn expected(requests: &[Request], now: Instant) -> Vec<u64> {
    let in_flight = requests.iter().filter(|one| one.reservation.is_some()).count();
    [&sums(requests, now, WINDOW)[..], &[in_flight as u64]].concat()
}

fn fits(requests: &[Request], charge: &Charge, now: Instant) -> bool {
    let costs = [1, charge.input + charge.output, charge.output, 1];
    let used = expected(requests, now).into_iter().zip(costs).zip([12, 250, 130, 7]);
    let long = sums(requests, now, 3 * WINDOW)[0];
    used.into_iter().all(|((used, cost), most)| used + cost <= most) && long < 20
}

/// Does the same to the request and to what is expected of it.
fn go_on(request: &mut Request, step: Step, now: Instant) {
    let Request { hold, reservation, taken, stage } = request;
    let is_over = reservation.is_none();
    match step {
        Step::Send if !is_over && *stage == 0 => {
            hold.sent();
            *stage = 1;
        }
        Step::NotSent if !is_over && *stage == 1 => {
            hold.not_sent();
            *stage = 0;
        }
        Step::Fail if !is_over && *stage == 1 => {
            hold.failed();
            *stage = 4;
        }
        Step::Answer if !is_over && *stage == 1 => {
            hold.answered();
            *stage = 2;
        }
        // Also after the end: a layer may learn it late.
        Step::Settle { input, output } if *stage == 2 || (*stage == 1 && is_over) => {
            hold.settle(&usage(input, output), None);
            *stage = 3;
            let (first, known) = (taken[0].1, [1, input + output, output]);
            taken[0].1 = std::array::from_fn(|i| known[i].min(first[i]));
            taken.push((now, std::array::from_fn(|i| known[i].saturating_sub(first[i]))));
        }
        Step::End => {
            drop(reservation.take());
            match stage {
                0 => taken.clear(),
                1 if !is_over => taken[0].1 = [1, taken[0].1[1] - taken[0].1[2], 0],
                4 if !is_over => taken[0].1 = [1, 0, 0],
                _ => {}
            }
        }
        _ => {}
    }
}

#[test]
fn as_many_pass_as_may_from_any_number_of_threads() {
    for round in 0..40 {
        let shared = Quota::new("shared", [Limit::rpm(5)]);
        let own = Quota::new("own", [Limit::rpm(9), Limit::parallel(50)]);
        let quotas = together([shared.clone(), own.clone()]);
        let passed = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..25 {
                        if let Some(reservation) = take(&quotas, &charge(1, 1)) {
                            reservation.hold().sent();
                            reservation.hold().answered();
                            passed.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(passed.into_inner(), 5, "in round {round}");
        assert_eq!((used(&shared), used(&own)), (vec![5], vec![5, 0]));
    }
}

#[test]
fn a_part_that_cannot_be_made_whole_is_in_nobodys_way() {
    // One has room and the other has none: those who need both must never keep those out who need the one.
    let (open, shut) = (Quota::new("open", [Limit::rpm(100)]), Quota::new("shut", [Limit::rpm(1)]));
    let alone = together([open.clone()]);
    let both = together([open.clone(), shut.clone()]);
    let _held = take(&together([shut]), &charge(1, 1)).expect("there is room for one");
    let passed = AtomicUsize::new(0);
    let mut held = Vec::new();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| (0..2000).for_each(|_| assert!(take(&both, &charge(1, 1)).is_none())));
        }
        for _ in 0..100 {
            let taken = take(&alone, &charge(1, 1));
            passed.fetch_add(usize::from(taken.is_some()), Ordering::Relaxed);
            held.extend(taken);
        }
    });
    assert_eq!((passed.into_inner(), used(&open)), (100, vec![100]));
}

#[tokio::test(start_paused = true)]
async fn a_quota_whose_limits_change_keeps_what_counts() {
    let before = Quota::new("key", [Limit::rpm(5), Limit::tpm(100)]);
    let quotas = together([before.clone()]);
    let _held: Vec<_> = (0..4).map(|_| take(&quotas, &charge(5, 5)).unwrap()).collect();
    let after = Quota::new("key", [Limit::rpm(3), Limit::tpm(0)]).with_usage_of(&before);
    let usage = after.usage();
    assert_eq!(usage.len(), 1, "0 is no limit");
    assert_eq!((usage[0].limit, usage[0].used), (Limit::rpm(3), 4));
    assert_eq!(usage[0].room_at, Some(Instant::now() + WINDOW));
    assert!(take(&together([after]), &charge(1, 1)).is_none());
}

#[tokio::test(start_paused = true)]
async fn the_headroom_is_that_of_the_scarcest_and_never_stale() {
    let quota = Quota::new("key", [Limit::rpm(10), Limit::tpm(100)]);
    let headroom = || quota.headroom(Instant::now());
    let close = |share: f32| assert!((headroom() - share).abs() < 1e-6, "{} {share}", headroom());
    let quotas = together([quota.clone()]);
    close(1.0);
    let first = take(&quotas, &charge(30, 30)).unwrap();
    close(0.4);
    advance(WINDOW / 2).await;
    let second = take(&quotas, &charge(5, 0)).unwrap();
    close(0.35);
    drop(second);
    close(0.4);
    first.hold().sent();
    first.hold().answered();
    drop(first);
    advance((WINDOW / 2).saturating_sub(Duration::from_nanos(1))).await;
    close(0.4);
    advance(Duration::from_nanos(1)).await;
    close(1.0);
}

#[test]
fn limits_read_as_people_say_them() {
    let all = [
        (Limit::rpm(5), "5 requests in 60 s"),
        (Limit::parallel(2), "2 requests at a time"),
        (Limit::input_tokens(7, Duration::from_millis(500)), "7 tokens of input in 0.5 s"),
    ];
    for (limit, text) in all {
        assert_eq!(limit.to_string(), text);
    }
}
