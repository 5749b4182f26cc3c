//! What the simulator shows of the strategies, and that it shows the same each time.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::{fs, path::Path, sync::LazyLock};

use tower_fleet_benches::sim::{self, Outcome, Rows, Workload};

static RESULTS: LazyLock<Vec<(Workload, Rows)>> = LazyLock::new(|| sim::results().unwrap());

fn rows(workload: &str) -> &'static Rows {
    let (_, rows) = RESULTS.iter().find(|(one, _)| one.name == workload).unwrap();
    rows
}

fn outcome(workload: &str, strategy: &str) -> &'static Outcome {
    let (_, outcome) = rows(workload).iter().find(|(entry, _)| entry.name == strategy).unwrap();
    outcome
}

fn assert_checked_in(name: &str, drawn: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let same = fs::read_to_string(path).unwrap() == drawn;
    assert!(same, "cargo run --release -p tower-fleet-benches --bin strategies -- --write");
}

#[test]
fn the_table_and_the_picture_are_what_is_drawn_now() {
    assert_checked_in("strategies.txt", &sim::tables(&RESULTS));
    assert_checked_in("strategies.svg", &sim::svg(&RESULTS));
}

#[test]
fn the_same_seed_gives_the_same_table() {
    for (workload, rows) in RESULTS.iter().filter(|(workload, _)| workload.guarded) {
        let again = rows.iter().map(|(entry, _)| (*entry, sim::run(workload, entry).unwrap()));
        let again = [(workload.clone(), again.collect())];
        assert_eq!(sim::tables(&again), sim::tables(&[(workload.clone(), rows.clone())]));
    }
}

#[test]
fn one_that_fails_fast_gets_no_more_than_its_fair_share_by_latency() {
    let (workload, rows) = RESULTS.iter().find(|(one, _)| one.name == "one fails fast").unwrap();
    let knowing: Vec<_> = rows.iter().filter(|(entry, _)| entry.knows_latency).collect();
    assert!(!knowing.is_empty());
    for (entry, outcome) in knowing {
        assert!(outcome.shares[0] <= workload.fair_share(), "{}: {outcome:?}", entry.name);
    }
    // What goes by requests in flight alone takes quick failures for quick work.
    assert!(outcome("one fails fast", "LeastBusy").shares[0] > 0.5);
}

#[test]
fn cooldown_and_retry_hide_one_that_fails_fast() {
    for (entry, outcome) in rows("one fails fast, cooldown and retry") {
        let seen = outcome.errors > 0.0 || outcome.shares[0] > 0.05;
        assert!(!seen, "{}: {outcome:?}", entry.name);
    }
}

#[test]
fn a_slow_one_makes_half_the_wait_or_less_where_load_is_looked_at() {
    for workload in ["one 3x slower", "one turns 5x slower halfway"] {
        let blind = outcome(workload, "WeightedShuffle").p99;
        for strategy in [
            "LeastBusy",
            "PowerOfTwo",
            "PreferIdle over PowerOfTwo",
            "LowestLatency",
            "HotCold",
            "LowestUsage",
        ] {
            let p99 = outcome(workload, strategy).p99;
            assert!(p99 <= blind / 2.0, "{workload}, {strategy}: {p99} against {blind}");
        }
    }
}

#[test]
fn hot_and_cold_is_nowhere_much_worse_than_two_choices() {
    for (workload, _) in &*RESULTS {
        let [hot_cold, two] = ["HotCold", "PowerOfTwo"].map(|one| outcome(workload.name, one));
        // One that herds is ten times worse; another seed moves the 99th percentile by some tenths.
        let is_close = hot_cold.mean <= two.mean * 1.1 && hot_cold.p99 <= two.p99 * 1.25;
        assert!(is_close, "{}: {hot_cold:?} against {two:?}", workload.name);
    }
}

#[test]
fn least_busy_keeps_the_worst_deployment_least_busy() {
    let worst = |strategy| outcome("equal", strategy).worst;
    let least = worst("LeastBusy");
    for strategy in ["WeightedShuffle", "RoundRobin", "PowerOfTwo", "LowestLatency"] {
        assert!(least <= worst(strategy), "{least} against {strategy}'s {}", worst(strategy));
    }
}

#[test]
fn the_more_is_known_of_load_the_shorter_the_wait() {
    let workload = &sim::performance_workloads(4_000)[0];
    let means = sim::classic().into_iter().map(|entry| sim::run(workload, &entry).unwrap().mean);
    let means: Vec<_> = means.collect();
    let [shuffle, round_robin, power_of_two, prefer_idle, least_busy] = means[..] else {
        unreachable!("five strategies: {means:?}")
    };
    assert!(shuffle > round_robin * 1.2 && round_robin > power_of_two * 1.2, "{means:?}");
    assert!(power_of_two > least_busy && prefer_idle > least_busy, "{means:?}");
}

#[test]
fn no_time_is_lost_between_arrival_and_answer() {
    for (entry, outcome) in rows("equal") {
        // Of 1 is the work itself.
        assert!(outcome.mean > 0.95 && outcome.p99 > 4.0, "{}: {outcome:?}", entry.name);
        assert!((outcome.shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    }
}

#[test]
fn one_that_fails_many_never_looks_quick() {
    for (workload, rows) in &*RESULTS {
        for (entry, Outcome { p50, p99, errors, .. }) in rows {
            let name = format!("{}, {}", workload.name, entry.name);
            assert_eq!(p99.is_infinite(), *errors >= 0.01, "{name}: {errors}");
            assert!(p50.is_infinite() || *errors <= 0.5, "{name}: {errors}");
        }
    }
}

#[test]
fn the_picture_says_how_many_fail_and_under_which_load() {
    let picture = sim::svg(&RESULTS);
    for (workload, rows) in &*RESULTS {
        assert!(picture.contains(&workload.described()));
        for (entry, outcome) in rows {
            assert!(picture.contains(&format!(">{}<", entry.name)));
            let failed = format!(">{:.1} %<", outcome.errors * 100.0);
            assert!(outcome.errors <= 0.0 || picture.contains(&failed), "{failed}");
        }
    }
}
