//! What fuzzing found worth keeping, through the same functions.
#![cfg(all(feature = "config", feature = "llm"))]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "these are tests")]

use std::{fs, path::Path};

#[allow(unreachable_pub, missing_docs, reason = "of a crate of its own")]
#[path = "../fuzz/src/lib.rs"]
mod fuzz;

#[test]
fn every_seed_keeps_the_promise_of_its_target() {
    for (name, run) in fuzz::TARGETS {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(name);
        let seeds: Vec<_> = fs::read_dir(seeds).unwrap().map(|seed| seed.unwrap().path()).collect();
        assert!(!seeds.is_empty(), "{name} has seeds");
        for seed in seeds {
            println!("{}", seed.display());
            run(&fs::read(seed).unwrap());
        }
    }
}
