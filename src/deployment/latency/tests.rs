use std::time::Duration;

use tokio::time::{Instant, advance};

use super::{Latency, Measure, estimate::Estimate};

const RATE: f32 = 0.1;

fn near(one: f32, other: f32) -> bool {
    (one - other).abs() < 1e-3 * other.abs().max(1e-3)
}

fn sampled(decay: u64) -> Latency {
    let latency = Latency::default();
    latency.sample_over(Duration::from_secs(decay));
    latency
}

fn expected(latency: &Latency) -> f32 {
    latency.read(Measure::FirstByte, latency.time(Instant::now())).time.expect("a sample")
}

#[test]
fn a_word_holds_an_estimate_and_zero_is_none() {
    assert_eq!(Estimate::of_word(0), None);
    for (sample, now) in [(0.0, 0), (1.5, 7), (f32::MAX, u32::MAX)] {
        let estimate = Estimate::peak(None, sample, now, RATE);
        assert_ne!(estimate.word(), 0);
        assert_eq!(Estimate::of_word(estimate.word()), Some(estimate));
    }
}

#[test]
fn a_peak_is_believed_at_once_and_forgotten_by_time() {
    let slow = Estimate::peak(None, 4.0, 0, RATE);
    let at_once = Estimate::peak(Some(slow), 1.0, 0, RATE);
    assert!(near(at_once.value(), 4.0), "no time has passed: {at_once:?}");
    let later = Estimate::peak(Some(slow), 1.0, 10_000, RATE);
    assert!(near(later.value(), 1.0 + 3.0 * (-1.0_f32).exp()), "{later:?}");
    let again = Estimate::peak(Some(later), 9.0, 10_000, RATE);
    assert!(near(again.value(), 9.0), "{again:?}");
}

#[test]
fn many_samples_weigh_no_more_than_one_in_the_same_time() {
    let mut many = Estimate::peak(None, 4.0, 0, RATE);
    for now in 1..=1000 {
        many = Estimate::peak(Some(many), 1.0, now * 10, RATE);
    }
    let one = Estimate::peak(Some(Estimate::peak(None, 4.0, 0, RATE)), 1.0, 10_000, RATE);
    assert!((many.value() - one.value()).abs() < 0.01, "{many:?} {one:?}");
}

#[test]
fn a_share_follows_the_last_dozens_of_many_and_moves_little_by_one_of_few() {
    let first = Estimate::share(None, true, 0, RATE);
    assert!(near(first.value(), 0.25));
    let (mut many, mut hits) = (None, 0);
    for now in 0..4000 {
        let hit = now % 10 == 0;
        hits += u32::from(hit);
        many = Some(Estimate::share(many, hit, now, RATE));
    }
    assert_eq!(hits, 400);
    let share = many.expect("samples").value();
    assert!((0.05..0.15).contains(&share), "{share}");
    let all = (0..200).fold(None, |before, now| Some(Estimate::share(before, true, now, RATE)));
    assert!(all.expect("samples").value() > 0.99, "{all:?}");
}

#[test]
fn the_clock_may_wrap_and_another_thread_may_be_ahead() {
    let before = Estimate::peak(None, 1.0, u32::MAX - 499, RATE);
    assert!(near(before.age(500), 1.0), "{}", before.age(500));
    let ahead = Estimate::peak(None, 1.0, 500, RATE);
    assert!(near(ahead.age(400), 0.0));
}

#[test]
fn what_is_a_month_old_is_not_taken_for_new() {
    let day = 24 * 60 * 60 * 1000;
    let old = Estimate::peak(None, 4.0, 0, RATE);
    for days in [24_u8, 25, 30, 49] {
        assert!(near(old.age(u32::from(days) * day), f32::from(days) * 86_400.0), "{days} days");
    }
    assert!(near(Estimate::peak(Some(old), 1.0, 30 * day, RATE).value(), 1.0));
}

#[test]
fn a_bound_is_no_sample_and_the_first_sample_takes_its_place() {
    let bound = Estimate::at_least(None, 5.0, 0);
    let higher = Estimate::at_least(Some(Estimate::at_least(Some(bound), 2.0, 0)), 7.0, 0);
    assert!(bound.is_bound() && higher.is_bound());
    assert_eq!((bound.value(), higher.value()), (5.0, 7.0));
    assert_eq!(Estimate::of_word(bound.word()), Some(bound));
    let sample = Estimate::peak(Some(higher), 1.0, 100_000, RATE);
    assert!(!sample.is_bound() && near(sample.value(), 1.0), "{sample:?}");
}

#[test]
fn a_success_after_a_long_time_is_believed() {
    let failing = (0..200).fold(None, |before, now| Some(Estimate::share(before, true, now, RATE)));
    let well = Estimate::share(failing, false, 60_000, RATE);
    assert!(well.value() < 0.01, "{well:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_while_nothing_reads() {
    let latency = Latency::default();
    latency.took(Measure::FirstByte, 1.0, Instant::now());
    latency.ended(true, Instant::now());
    assert_eq!((latency.first_byte(), latency.failed_share()), (None, None));
}

#[tokio::test(start_paused = true)]
async fn what_was_slow_stays_so_until_it_is_measured_again() {
    let latency = sampled(10);
    latency.took(Measure::FirstByte, 2.0, Instant::now());
    advance(Duration::from_secs(3600)).await;
    assert!(near(expected(&latency), 2.0));
    latency.took(Measure::FirstByte, 1.0, Instant::now());
    assert!(near(expected(&latency), 1.0));
}

#[tokio::test(start_paused = true)]
async fn failures_fade_while_answers_come_whose_end_nobody_waits_for() {
    let latency = sampled(10);
    let failed = || latency.read(Measure::FirstByte, latency.time(Instant::now())).failed.unwrap();
    latency.took(Measure::FirstByte, 2.0, Instant::now());
    latency.ended(true, Instant::now());
    advance(Duration::from_secs(60)).await;
    assert!(near(failed(), 0.25), "nothing came");
    latency.took(Measure::FirstByte, 2.0, Instant::now());
    assert!(failed() < 0.01);
}

#[tokio::test(start_paused = true)]
async fn a_lower_bound_raises_and_never_lowers() {
    let latency = sampled(10);
    let enter = |seconds| latency.took_at_least(Measure::FirstByte, seconds, Instant::now());
    enter(5.0);
    assert_eq!(latency.first_byte(), None, "no bound is a sample");
    advance(Duration::from_secs(600)).await;
    latency.took(Measure::FirstByte, 2.0, Instant::now());
    advance(Duration::from_secs(10)).await;
    enter(1.0);
    assert!(near(expected(&latency), 2.0), "nothing better is known");
    enter(3.0);
    assert!(near(expected(&latency), 3.0));
}

#[tokio::test(start_paused = true)]
async fn short_answers_tell_nothing_of_the_time_for_a_token() {
    let latency = sampled(10);
    let started = Instant::now();
    advance(Duration::from_secs(4)).await;
    latency.answered_in(15, started);
    assert_eq!(latency.per_token(), None);
    latency.answered_in(400, started);
    let each = latency.per_token().expect("a sample").as_secs_f32();
    assert!(near(each, 0.01), "{each}");
}
