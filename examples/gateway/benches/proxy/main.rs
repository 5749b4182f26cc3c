//! What the gateway costs end to end, beside other proxies, on this machine's loopback.
//!
//! `cargo bench -p tower-fleet-gateway --bench proxy` starts everything it needs as child processes, drives them in turns
//! for about a minute, and prints processor time per request and per streamed chunk, with ratios against the goals. The
//! ratios are medians over the rounds, each of times taken next to each other; the times are this machine's. Nothing fails
//! here for being slow. nginx takes part where it is installed.

#[cfg(target_os = "linux")]
mod children;
#[cfg(target_os = "linux")]
mod load;
#[cfg(target_os = "linux")]
mod run;
#[cfg(target_os = "linux")]
mod servers;

#[cfg(target_os = "linux")]
fn main() -> Result<(), tower_fleet::BoxError> {
    run::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("skipped: processor time of other processes is read as Linux tells it");
}
