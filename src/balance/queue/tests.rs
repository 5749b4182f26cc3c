#![allow(clippy::cast_precision_loss, reason = "the numbers of a test are small")]

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;

use super::{OUT, Queue};

/// A queue of one slot for each level, every slot its own owner and in.
fn of(levels: &[u32]) -> Queue {
    let mut queue = Queue::default();
    for (owner, level) in (0..).zip(levels) {
        queue.add(owner, *level);
        queue.put_in(owner);
    }
    check(&queue);
    queue
}

/// What the fields promise, whatever was done before.
fn check(queue: &Queue) {
    let level = |slot: &u32| queue.slots[*slot as usize].level;
    assert!(queue.order.is_sorted_by_key(level), "out of order: {queue:?}");
    for (place, slot) in (0..).zip(&queue.order) {
        assert_eq!(queue.slots[*slot as usize].place, place, "a slot is not where it says");
    }
    let placed = queue.slots.iter().filter(|slot| slot.place != OUT).count();
    assert_eq!(placed, queue.order.len());
    for (at, end) in (0..).zip(&queue.ends) {
        let up_to = queue.order.iter().filter(|slot| level(slot) <= at).count();
        assert_eq!(*end as usize, up_to, "the end of level {at}: {queue:?}");
    }
    let top = queue.order.last().map(level);
    assert_eq!(queue.ends.len(), top.map_or(0, |top| top as usize + 1), "the top level is empty");
    assert_eq!(queue.lowest, queue.order.first().map_or(0, level));
    assert_eq!(queue.is_empty(), queue.order.is_empty());
}

#[test]
fn an_empty_queue_has_nothing_to_pick() {
    let mut queue = Queue::default();
    check(&queue);
    assert!(queue.is_empty());
    assert_eq!(queue.lowest(&mut Rng::with_seed(1), |_| true), None);
    assert_eq!(queue.any(&mut Rng::with_seed(1), |_| true), None);
}

#[test]
fn the_least_level_is_picked_and_excluded_owners_are_passed_over() {
    let mut queue = of(&[3, 1, 2, 1]);
    let mut rng = Rng::with_seed(1);
    assert!(matches!(queue.lowest(&mut rng, |_| true), Some(1 | 3)));
    assert_eq!(queue.lowest(&mut rng, |owner| owner != 1), Some(3));
    assert_eq!(queue.lowest(&mut rng, |owner| owner % 2 == 0), Some(2));
    assert_eq!(queue.lowest(&mut rng, |_| false), None);
    check(&queue);
}

#[test]
fn a_slot_that_is_out_keeps_counting() {
    let mut queue = of(&[0, 5]);
    queue.take_out(0);
    check(&queue);
    for _ in 0..7 {
        queue.raise(0);
    }
    queue.lower(0);
    assert_eq!(queue.lowest(&mut Rng::with_seed(1), |_| true), Some(1));
    queue.put_in(0);
    check(&queue);
    assert_eq!(queue.lowest(&mut Rng::with_seed(1), |_| true), Some(1), "the other holds 6");
}

#[test]
fn a_burst_that_is_over_leaves_no_level_behind() {
    let mut queue = of(&[0, 0]);
    (0..1000).for_each(|_| queue.raise(0));
    assert_eq!(queue.ends.len(), 1001);
    (0..1000).for_each(|_| queue.lower(0));
    check(&queue);
    assert_eq!(queue.ends.len(), 1);
}

#[test]
fn taking_out_or_putting_in_twice_is_once() {
    let mut queue = of(&[1, 2]);
    queue.put_in(0);
    queue.take_out(1);
    queue.take_out(1);
    check(&queue);
    assert_eq!(queue.order, [0]);
}

#[test]
#[should_panic(expected = "did not hold")]
fn giving_back_what_was_not_held_is_a_bug() {
    of(&[0]).lower(0);
}

#[test]
fn a_brute_force_minimum_agrees_after_every_one_of_many_random_operations() {
    const OPERATIONS: usize = 300_000;
    let mut rng = Rng::with_seed(0x5EED);
    let (mut queue, mut model) = (Queue::default(), Vec::<(u32, u32, bool)>::new());
    for operation in 0..OPERATIONS {
        // Anew from time to time, so that every size is met.
        if operation % 10_000 == 0 {
            (queue, model) = (Queue::default(), Vec::new());
            for _ in 0..rng.u32(1..40) {
                let (owner, level) = (rng.u32(0..12), rng.u32(0..4));
                queue.add(owner, level);
                model.push((owner, level, false));
            }
        }
        let slot = rng.usize(0..model.len());
        match rng.u8(0..10) {
            0..3 => {
                queue.raise(slot as u32);
                model[slot].1 += 1;
            }
            3..6 if model[slot].1 > 0 => {
                queue.lower(slot as u32);
                model[slot].1 -= 1;
            }
            6 => {
                queue.take_out(slot as u32);
                model[slot].2 = false;
            }
            7 | 8 => {
                queue.put_in(slot as u32);
                model[slot].2 = true;
            }
            _ => {
                let excluded: BTreeSet<u32> =
                    (0..rng.usize(0..4)).map(|_| rng.u32(0..12)).collect();
                let open = |owner: u32| !excluded.contains(&owner);
                let eligible = || model.iter().filter(|(owner, _, is_in)| *is_in && open(*owner));
                let least = eligible().map(|(_, level, _)| *level).min();
                match queue.lowest(&mut rng, open) {
                    None => assert_eq!(least, None),
                    Some(owner) => {
                        let has = eligible().any(|slot| slot.0 == owner && Some(slot.1) == least);
                        assert!(has, "{owner} was picked, the least level is {least:?}");
                    }
                }
                let any = queue.any(&mut rng, open);
                assert_eq!(any.is_some(), least.is_some());
                assert!(any.is_none_or(|owner| eligible().any(|slot| slot.0 == owner)));
            }
        }
        let levels = queue.slots.iter().map(|slot| (slot.owner, slot.level, slot.place != OUT));
        assert!(levels.eq(model.iter().copied()));
        check(&queue);
    }
}

/// Draws `draws` times and returns chi-square of the owners against equal shares, and how many owners came up.
fn spread(draws: u32, mut draw: impl FnMut(&mut Rng) -> Option<u32>) -> (f64, usize) {
    let mut rng = Rng::with_seed(42);
    let mut counts = BTreeMap::<u32, u32>::new();
    for _ in 0..draws {
        *counts.entry(draw(&mut rng).expect("one is open")).or_default() += 1;
    }
    let want = f64::from(draws) / counts.len() as f64;
    let square = |count: &u32| (f64::from(*count) - want).powi(2) / want;
    (counts.values().map(square).sum(), counts.len())
}

#[test]
fn ties_are_uniform_with_owners_excluded_by_either_draw() {
    // The 99.9 % limits of chi-square for 9, 7 and 1 degrees of freedom.
    for (excluded, limit) in [(0, 27.88), (2, 24.32), (8, 10.83)] {
        let mut queue = of(&[0; 10]);
        let (lowest, owners) = spread(90_000, |rng| queue.lowest(rng, |owner| owner >= excluded));
        assert_eq!(owners, 10 - excluded as usize);
        assert!(lowest < limit, "{excluded} excluded: {lowest}");
        let (any, _) = spread(90_000, |rng| queue.any(rng, |owner| owner >= excluded));
        assert!(any < limit, "{excluded} excluded: {any}");
    }
}
