//! Levels that shed requests before they are used up.

use super::*;

/// As many deployments of each order as `sizes` says, and those of each that are paused.
fn tiers(sizes: [usize; 3], paused: [usize; 3]) -> (Pool, Vec<Key>) {
    let tier = |(order, size): (i32, usize)| {
        (0..size).map(move |one| Deployment::new(format!("{order}-{one}")).order(order))
    };
    let (mut pool, keys) = pool((0..3).zip(sizes).flat_map(tier));
    let mut rest = &keys[..];
    for (size, out) in sizes.into_iter().zip(paused) {
        let (tier, others) = rest.split_at(size);
        tier[..out].iter().for_each(|key| set(&mut pool, *key, |one| one.health().pause()));
        rest = others;
    }
    (pool, keys)
}

const PICKS: u32 = 20_000;

/// How many of the picks go to each order.
fn counts(pool: &mut Pool) -> [u32; 3] {
    let mut counts = [0; 3];
    for _ in 0..PICKS {
        let picked = pick(pool).expect("one is in");
        counts[picked.deployment.get_order().expect("each has one") as usize] += 1;
        give_back(pool, picked);
    }
    counts
}

#[tokio::test(start_paused = true)]
async fn each_level_takes_what_its_health_says() {
    // The tables of Envoy's documentation, of 100 each, and what follows from them.
    for (healthy, shares) in [
        ([100, 100, 100], [1.0, 0.0, 0.0]),
        ([72, 72, 100], [1.0, 0.0, 0.0]),
        ([50, 50, 100], [0.7, 0.3, 0.0]),
        ([25, 100, 100], [0.35, 0.65, 0.0]),
        ([25, 25, 100], [0.35, 0.35, 0.3]),
        ([25, 25, 20], [0.35 / 0.98, 0.35 / 0.98, 0.28 / 0.98]),
        ([0, 10, 30], [0.0, 0.25, 0.75]),
        ([0, 0, 1], [0.0, 0.0, 1.0]),
    ] {
        let (mut pool, _) = tiers([100; 3], healthy.map(|healthy| 100 - healthy));
        pool.set_spill(Some(1.4));
        let counts = counts(&mut pool);
        let mut square = 0.0;
        for (count, share) in counts.into_iter().zip(shares) {
            let want = share * f64::from(PICKS);
            if want == 0.0 {
                assert_eq!(count, 0, "{healthy:?}: {counts:?}");
            } else {
                square += (f64::from(count) - want).powi(2) / want;
            }
        }
        // The 99.9 % limit for two degrees of freedom.
        assert!(square < 13.82, "{square} for {healthy:?}: {counts:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_lowest_order_takes_all_unless_told_to_spill() {
    let (mut pool, _) = tiers([4, 1, 1], [3, 0, 0]);
    assert_eq!(counts(&mut pool), [PICKS, 0, 0]);
    pool.set_spill(Some(4.0));
    assert_eq!(counts(&mut pool), [PICKS, 0, 0], "one of four can carry what four did");
    pool.set_spill(Some(1.0));
    assert!((4500..5500).contains(&counts(&mut pool)[0]), "one of four carries a quarter");
    pool.set_spill(None);
    assert_eq!(counts(&mut pool), [PICKS, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_factor_below_one_is_one() {
    let (mut pool, _) = tiers([2, 1, 1], [0, 0, 0]);
    for factor in [0.5, 0.0, -1.0, f32::NAN] {
        pool.set_spill(Some(factor));
        assert_eq!(counts(&mut pool), [PICKS, 0, 0], "{factor}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_weighs_more_counts_for_more() {
    let (mut pool, keys) = pool([
        Deployment::new("heavy").order(0).weight(3),
        Deployment::new("light").order(0),
        Deployment::new("idle").order(0).weight(0),
        Deployment::new("next").order(1),
        Deployment::new("none").order(2).weight(0),
    ]);
    pool.set_spill(Some(1.0));
    set(&mut pool, keys[1], |one| one.health().pause());
    let [first, second, _] = counts(&mut pool);
    assert!((first.abs_diff(PICKS * 3 / 4)) < 300, "{first} and {second}");
    assert_eq!(first + second, PICKS);
}

#[tokio::test(start_paused = true)]
async fn a_full_member_makes_its_level_shed() {
    let (mut pool, _) = pool([
        Deployment::new("small").order(0).max_parallel_requests(1),
        Deployment::new("large").order(0),
        Deployment::new("next").order(1),
    ]);
    pool.set_spill(Some(1.0));
    // The first two are as busy as each other until one is full.
    let held: Vec<_> = (0..2).map(|_| pick(&mut pool).expect("all is well")).collect();
    assert!(held.iter().all(|picked| picked.deployment.get_order() == Some(0)));
    let [first, second, _] = counts(&mut pool);
    assert!(first.abs_diff(second) < 600, "{first} and {second}");
    give_all_back(&mut pool, held);
    assert_eq!(counts(&mut pool), [PICKS, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn none_is_refused_while_any_level_has_room() {
    let full = |id: &str, order| Deployment::new(id).order(order).max_parallel_requests(2);
    for seed in 0..50 {
        let (mut pool, keys) = pool([full("a", 0), full("b", 0), full("c", 1), full("d", 2)]);
        pool.seed(seed);
        pool.set_spill(Some(1.0));
        set(&mut pool, keys[0], |one| one.health().pause());
        let held: Vec<_> = (0..6).map(|_| pick(&mut pool).expect("there is room")).collect();
        assert_eq!(
            pick(&mut pool).map_err(|refused| refused.reason()).err(),
            Some(RefusedReason::Full)
        );
        give_all_back(&mut pool, held);
    }
}

#[tokio::test(start_paused = true)]
async fn a_level_that_lacks_what_is_asked_leaves_it_to_the_others() {
    let (mut pool, keys) = pool([
        Deployment::new("a").order(0),
        Deployment::new("b").order(0),
        Deployment::new("small").order(1).max_input_tokens(1),
    ]);
    pool.set_spill(Some(1.0));
    set(&mut pool, keys[0], |one| one.health().pause());
    let demand = crate::trail::Demand { input_tokens: Some(2), ..Default::default() };
    let (now, tried) = (Instant::now(), Tried::default());
    for _ in 0..50 {
        let demand = Some(&demand);
        let wish = Wish {
            now,
            tried: &tried,
            strict: false,
            beside: false,
            elsewhere: false,
            demand,
            explain: None,
        };
        let picked = pool.pick(&LeastBusy, &wish).expect("b can");
        assert_eq!(give_back(&mut pool, picked), "b");
    }
}
