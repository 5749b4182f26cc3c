//! The examples, each run to its end: they assert what they show.

#![allow(
    clippy::duplicate_mod,
    reason = "each example is a program of its own, with its own support"
)]

use tower_fleet::BoxError;

#[path = "../examples/breaker.rs"]
mod breaker;
#[path = "../examples/explain.rs"]
mod explain;
#[path = "../examples/stack.rs"]
mod stack;
#[path = "../examples/strategy.rs"]
mod strategy;

#[test]
fn breaker() -> Result<(), BoxError> {
    breaker::main()
}

#[test]
fn explain() -> Result<(), BoxError> {
    explain::main()
}

#[test]
fn stack() -> Result<(), BoxError> {
    stack::main()
}

#[test]
fn strategy() -> Result<(), BoxError> {
    strategy::main()
}
