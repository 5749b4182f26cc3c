//! How many heap allocations a request costs: exact, so a gate.
//!
//! Whatever a layer attaches to a request or a response lies in its extensions, where the first entry costs three
//! allocations (the map, its table, the entry). The baseline makes one entry each way; balance and cooldown add nothing.

#![allow(clippy::expect_used, reason = "these are tests")]

use std::time::Duration;

use allocation_counter::measure;
use http::{Request, Response};
use tower::Service;
use tower_fleet::{
    Demand,
    balance::{
        Affinity, HotCold, LeastBusy, LowestCost, LowestLatency, LowestUsage, PowerOfTwo,
        PreferIdle, RoundRobin, WeightedShuffle,
    },
};
use tower_fleet_benches::{
    Attaching, Deltas, Immediate, Streaming, balance, chat, cooldown, core, core_over, exchange,
    hiding, metered, now, power_of_two, request, retry,
};

/// The time between two requests: what is kept by time goes on with it.
const STEP: Duration = Duration::from_millis(100);

/// One entry in the extensions of the request and of the response.
const EXTENSIONS: u64 = 6;
/// The trail of a request, its first step in it.
const TRAIL: u64 = 1;
/// The saved copy of a request's head; its headers cost what their clone does.
const COPY: u64 = 1;

/// What each of many requests allocates.
fn allocations<S, B, R>(mut service: S, template: &Request<B>) -> u64
where
    S: Service<Request<B>, Response = Response<R>>,
    B: Clone,
    R: http_body::Body,
{
    // A clock of its own, so that the count does not depend on how busy the machine is.
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        // The first requests make what lasts, once for each deployment.
        for _ in 0..100 {
            now(exchange(&mut service, template.clone()));
        }
        let mut counts = Vec::new();
        for _ in 0..100 {
            tokio::time::advance(STEP).await;
            let request = template.clone();
            counts.push(measure(|| now(exchange(&mut service, request))).count_total);
        }
        assert!(counts.iter().all(|count| *count == counts[0]), "not the same: {counts:?}");
        counts[0]
    })
}

#[test]
fn an_entry_in_the_extensions_each_way_is_the_baseline() {
    assert_eq!(allocations(Immediate, &request(15)), 0);
    assert_eq!(allocations(Attaching, &request(15)), EXTENSIONS);
}

#[test]
fn balance_adds_none_beyond_extensions() {
    for count in [1, 10, 1000] {
        assert_eq!(allocations(balance(LeastBusy, count), &request(0)), EXTENSIONS);
        assert_eq!(allocations(balance(WeightedShuffle, count), &request(0)), EXTENSIONS);
        assert_eq!(allocations(balance(RoundRobin, count), &request(0)), EXTENSIONS);
    }
}

#[test]
fn affinity_adds_none_for_a_key_that_it_knows() {
    let (mut keyed, mut demand) = (request(0), Demand::default());
    demand.affinity = Some("session".into());
    demand.set(&mut keyed);
    let without = allocations(balance(LeastBusy, 10), &keyed);
    assert_eq!(allocations(balance(Affinity::new(LeastBusy), 10), &keyed), without);
}

#[test]
fn other_strategies_add_none_either() {
    assert_eq!(allocations(balance(PowerOfTwo, 10), &request(0)), EXTENSIONS);
    assert_eq!(allocations(balance(PreferIdle::new(PowerOfTwo), 10), &request(0)), EXTENSIONS);
    assert_eq!(allocations(balance(LowestCost, 10), &request(0)), EXTENSIONS);
    assert_eq!(allocations(balance(LowestUsage, 10), &request(0)), EXTENSIONS);
}

#[test]
fn measuring_latencies_takes_one() {
    let lowest = LowestLatency::new().explore(0.0);
    assert_eq!(allocations(balance(lowest.clone(), 10), &request(0)), EXTENSIONS + 1);
    assert_eq!(allocations(balance(lowest.buffer(0.1), 10), &request(0)), EXTENSIONS + 1);
    assert_eq!(allocations(balance(HotCold::new(), 10), &request(0)), EXTENSIONS + 1);
}

#[test]
fn cooldown_adds_none_beyond_extensions() {
    assert_eq!(allocations(cooldown(10), &request(0)), EXTENSIONS);
    assert_eq!(allocations(cooldown(10), &request(15)), EXTENSIONS);
}

#[test]
fn retry_adds_its_trail_and_one_copy() {
    assert_eq!(allocations(retry(10), &request(0)), EXTENSIONS + TRAIL + COPY);
    assert_eq!(allocations(retry(10), &request(15)), EXTENSIONS + TRAIL + COPY + headers());
}

#[test]
fn fallback_over_retry_shares_the_one_copy() {
    assert_eq!(allocations(core(10), &request(0)), EXTENSIONS + TRAIL + COPY);
    assert_eq!(allocations(core(10), &request(15)), EXTENSIONS + TRAIL + COPY + headers());
}

#[test]
fn a_streamed_chunk_costs_none() {
    let of = |chunks| allocations(core_over(Streaming(chunks), 10), &request(0));
    assert_eq!(of(1000), of(1));
}

#[test]
fn a_streamed_chunk_whose_tokens_are_counted_costs_none() {
    for halved in [false, true] {
        let of = |chunks| allocations(metered(Deltas { chunks, halved }), &chat());
        assert_eq!(of(100), of(2), "halved: {halved}");
        let of = |chunks| allocations(hiding(Deltas { chunks, halved }), &chat());
        assert_eq!(of(100), of(2), "halved: {halved}, usage hidden");
    }
}

#[test]
fn towers_balance_is_no_leaner() {
    assert!(allocations(power_of_two([Immediate; 10]), &request(0)) > 0);
}

/// What it takes to clone 15 headers.
fn headers() -> u64 {
    let request = request(15);
    // The first clone of a text makes its count of references.
    drop(request.clone());
    measure(|| drop(request.clone())).count_total
}
