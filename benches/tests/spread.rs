//! How evenly the balance spreads requests that take unequal time, beside `tower`'s.

use tower_fleet_benches::spread;

#[test]
fn the_busiest_deployment_is_little_above_the_mean_and_below_that_of_p2c() {
    let ours = spread::least_busy(512, 100).unwrap();
    let theirs = spread::power_of_two_choices(512, 100).unwrap();
    assert!(ours.max_to_mean <= 1.3, "{ours:?}");
    assert!(ours.max_to_mean < theirs.max_to_mean, "{ours:?} against {theirs:?}");
}
