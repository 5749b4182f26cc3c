//! How evenly the balance spreads requests that take unequal time, beside `tower`'s.

use tower_fleet_benches::spread;

#[test]
fn the_busiest_deployment_is_little_above_the_mean_and_below_that_of_p2c() {
    let ours = spread::least_busy(512, 100).unwrap();
    let theirs = spread::power_of_two_choices(512, 100).unwrap();
    assert!(ours.max_to_mean <= 1.3, "{ours:?}");
    assert!(ours.max_to_mean < theirs.max_to_mean, "{ours:?} against {theirs:?}");
}

#[test]
fn least_busy_never_picks_above_the_minimum() {
    for (tasks, count) in [(64, 10), (64, 100), (512, 10), (512, 100)] {
        let exact = spread::least_busy(tasks, count).unwrap();
        let two = spread::two_choices(tasks, count).unwrap();
        let theirs = spread::power_of_two_choices(tasks, count).unwrap();
        assert!(exact.above <= 0.0, "{tasks} over {count}: {exact:?}");
        for other in [two, theirs] {
            assert!(other.above > 0.1 && exact.worst <= other.worst, "{exact:?} against {other:?}");
        }
    }
}
