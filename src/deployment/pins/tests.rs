use proptest::prelude::*;
use tokio::time::advance;

use super::*;

const HOUR: Duration = Duration::from_secs(3600);
const ALMOST: Duration = Duration::from_secs(3599);

fn input(tokens: u64, cached: u64) -> Usage {
    Usage { input: tokens, cached, ..Usage::default() }
}

#[tokio::test(start_paused = true)]
async fn the_pin_that_was_used_longest_ago_goes_first() {
    let (pins, now) = (Pins::new(3, HOUR), Instant::now());
    for key in [1, 2, 3, 1, 4] {
        pins.pin(key, key * 10, now);
    }
    assert_eq!(pins.len(), 3);
    let held = [1, 2, 3, 4].map(|key| pins.get(key, now));
    assert_eq!(held, [Some(10), None, Some(30), Some(40)]);
}

#[tokio::test(start_paused = true)]
async fn a_pin_ends_some_time_after_its_latest_use_and_one_of_an_answer_does_not() {
    let (pins, deployment) = (Pins::new(10, HOUR), Deployment::new("a"));
    pins.answer("resp_1", &deployment);
    pins.pin(7, 1, Instant::now());
    advance(ALMOST).await;
    assert_eq!(pins.get(7, Instant::now()), Some(1));
    pins.pin(7, 1, Instant::now());
    advance(ALMOST).await;
    assert_eq!(pins.get(7, Instant::now()), Some(1));
    advance(Duration::from_secs(1)).await;
    assert_eq!(pins.get(7, Instant::now()), None);
    advance(100 * HOUR).await;
    assert_eq!(pins.answerer("resp_1", Instant::now()), Some(deployment.id_hash()));
    assert_eq!(pins.answerer("resp_2", Instant::now()), None);
}

#[tokio::test(start_paused = true)]
async fn only_answers_that_follow_another_from_the_same_place_tell_of_its_cache() {
    let (pins, [a, b]) = (Pins::new(10, HOUR), ["a", "b"].map(Deployment::new));
    let pinned = Pinned { pins: pins.clone(), key: NonZeroU64::new(1) };
    let many = |deployment: &Deployment, usage: &Usage| {
        (0..100).for_each(|_| pinned.answered(deployment, usage, Instant::now()));
    };
    pins.pin(1, a.id_hash(), Instant::now());
    // It is not pinned there, or not cacheable, or a guess.
    many(&b, &input(2000, 1000));
    many(&a, &input(1000, 500));
    many(&a, &Usage { estimated: true, ..input(2000, 1000) });
    Pinned { key: None, ..pinned.clone() }.answered(&a, &input(2000, 1000), Instant::now());
    assert_eq!((a.cached_share(), b.cached_share()), (None, None));

    // Moved away and back, it has everything to learn again.
    for _ in 0..100 {
        pins.pin(1, b.id_hash(), Instant::now());
        pins.pin(1, a.id_hash(), Instant::now());
        pinned.answered(&a, &input(2000, 1000), Instant::now());
    }
    assert_eq!(a.cached_share(), None);
    many(&a, &input(2000, 1000));
    assert_eq!(a.cached_share(), Some(0.5));
}

#[test]
fn neither_keys_nor_places_are_shown() {
    let pins = Pins::new(10, HOUR);
    pins.answer("resp_secret", &Deployment::new("a"));
    assert_eq!(format!("{pins:?}"), "Pins { len: 1, .. }");
}

proptest! {
    /// Against a plain list, the newest first.
    #[test]
    fn the_memory_is_that_of_a_list_cut_off_at_its_end(
        most in 1..6_usize,
        uses in prop::collection::vec((0..9_u64, 0..3_u64), 0..60),
    ) {
        let (pins, now) = (Pins::new(most, HOUR), Instant::now());
        let mut list: Vec<(u64, u64)> = Vec::new();
        for (key, deployment) in uses {
            pins.pin(key, deployment, now);
            list.retain(|(other, _)| *other != key);
            list.insert(0, (key, deployment));
            list.truncate(most);
            prop_assert_eq!(pins.len(), list.len());
            for key in 0..9 {
                let expected = list.iter().find(|(other, _)| *other == key);
                prop_assert_eq!(pins.get(key, now), expected.map(|(_, deployment)| *deployment));
            }
        }
    }
}
