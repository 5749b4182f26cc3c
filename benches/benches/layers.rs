//! Times the layers beside each other, and beside `tower`'s own.
//!
//! `cargo bench -p tower-fleet-benches` prints nanoseconds per request, what each stack adds to the bare call, and ratios
//! against the goals. Everything runs in one process, interleaved, and the median of several rounds counts; on another
//! machine, or a busy one, the ratios hold and the nanoseconds do not. So nothing fails here: what repeats exactly is gated
//! by `tests/allocations.rs`, `tests/spread.rs` and the script `instructions`.

#![allow(clippy::cast_precision_loss, reason = "no count here is near 2^52")]

use std::{fs, hint::black_box, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use tokio::{runtime, time::Instant};
use tower::{Service, buffer::Buffer};
use tower_fleet::{
    BoxError, Demand, Trail,
    balance::{
        Affinity, AnyStrategy, Balance, HotCold, LeastBusy, LowestCost, LowestLatency, LowestUsage,
        PowerOfTwo, PreferIdle, RoundRobin, WeightedShuffle,
    },
    deployment::Price,
    timeout::TimeoutLayer,
};
use tower_fleet_benches::{
    Attaching, Deltas, Immediate, SEED, Streaming, balance, chat, cooldown, core, core_over,
    exchange, hiding, members, metered, now, power_of_two, request, retry,
    spread::{self, Spread},
    timeout,
};

/// Requests made before the clock starts and spent while it runs.
const BATCH: usize = 32;
const SHARED: [usize; 4] = [1, 8, 64, 512];

/// How much is measured: all of it under `cargo bench`, a trifle under `cargo test`, which only sees that it runs.
#[derive(Clone, Copy)]
struct Effort {
    rounds: usize,
    batches: usize,
    shared: usize,
}

struct Row {
    name: String,
    /// A round of some requests: the time for one.
    round: Box<dyn FnMut(Effort) -> f64>,
    times: Vec<f64>,
}

#[derive(Default)]
struct Table(Vec<Row>);

impl Table {
    fn row(&mut self, name: impl Into<String>, round: impl FnMut(Effort) -> f64 + 'static) {
        self.0.push(Row { name: name.into(), round: Box::new(round), times: Vec::new() });
    }

    /// Sends copies of `template` through `service`.
    fn stack<S, B, R>(&mut self, name: impl Into<String>, template: &Request<B>, mut service: S)
    where
        S: Service<Request<B>, Response = Response<R>> + 'static,
        B: Clone + 'static,
        R: Body,
    {
        let template = template.clone();
        self.row(name, move |effort| {
            batches(effort, || template.clone(), |one| now(exchange(&mut service, one)))
        });
    }

    /// Runs each row once a round, so that what disturbs the machine disturbs all of them.
    fn run(&mut self, effort: Effort) {
        for _ in 0..effort.rounds {
            for row in &mut self.0 {
                let time = (row.round)(effort);
                row.times.push(time);
            }
        }
        self.0.iter_mut().for_each(|row| row.times.sort_by(f64::total_cmp));
    }

    fn median(&self, name: &str) -> f64 {
        let row = self.0.iter().find(|row| row.name == name);
        row.map_or(f64::NAN, |row| row.times[row.times.len() / 2])
    }
}

/// The time of one `spend`, in nanoseconds.
fn batches<T>(effort: Effort, mut make: impl FnMut() -> T, mut spend: impl FnMut(T)) -> f64 {
    let mut all = Duration::ZERO;
    for _ in 0..effort.batches {
        let batch: Vec<_> = std::iter::repeat_with(&mut make).take(BATCH).collect();
        let start = Instant::now();
        batch.into_iter().for_each(&mut spend);
        all += start.elapsed();
    }
    all.as_secs_f64() * 1e9 / (effort.batches * BATCH) as f64
}

fn main() -> Result<(), BoxError> {
    let effort = if std::env::args().any(|argument| argument == "--bench") {
        Effort { rounds: 15, batches: 600, shared: 300_000 }
    } else {
        Effort { rounds: 1, batches: 1, shared: 1000 }
    };
    stacks(effort)?;
    streamed(effort);
    counted(effort);
    selection(effort);
    strategies(effort);
    shared(effort)?;
    // Last, for it stops the clock of the process.
    spreads()
}

/// One task, a client that answers at once.
fn stacks(effort: Effort) -> Result<(), BoxError> {
    // Timeouts make timers, which belong to a runtime.
    let runtime = runtime::Builder::new_current_thread().enable_time().build()?;
    let _guard = runtime.enter();
    let mut table = Table::default();
    for headers in [0, 15] {
        let template = request(headers);
        let stack = |name: &str| format!("{name}, {headers} headers");
        table.stack(stack("bare call"), &template, Immediate);
        table.stack(stack("an extension each way"), &template, Attaching);
        table.stack(stack("balance"), &template, balance(LeastBusy, 10));
        table.stack(stack("+ cooldown"), &template, cooldown(10));
        table.stack(stack("+ retry"), &template, retry(10));
        table.stack(stack("+ fallback: full core stack"), &template, core(10));
        table.stack(stack("tower p2c"), &template, power_of_two([Immediate; 10]));
    }
    let (plain, with_headers) = (request(0), request(15));
    table.row("one request clone, 15 headers", move |effort| {
        batches(effort, || (), |()| drop(black_box(black_box(&with_headers).clone())))
    });
    let body = Full::new(Bytes::from(vec![b'x'; 1024]));
    let with_body = request(15).map(|_| body);
    table.stack("bare call, 15 headers, 1 KiB body", &with_body, Immediate);
    table.stack("full core stack, 15 headers, 1 KiB body", &with_body, core(10));
    let unlimited = timeout(10, TimeoutLayer::unlimited());
    table.stack("balance, cooldown, timeout without a limit", &plain, unlimited);
    let limited = timeout(10, TimeoutLayer::new(Duration::from_secs(30)));
    table.stack("balance, cooldown, timeout of 30 s", &plain, limited);
    table.run(effort);

    println!("{:<46} {:>8} {:>8}", "one task", "ns", "adds");
    for row in &table.0 {
        let bare = match &row.name {
            name if name.starts_with("one request") => 0.0,
            name if name.ends_with("body") => table.median("bare call, 15 headers, 1 KiB body"),
            name if name.ends_with("15 headers") => table.median("bare call, 15 headers"),
            _ => table.median("bare call, 0 headers"),
        };
        let time = table.median(&row.name);
        println!("{:<46} {time:>8.0} {:>+8.0}", row.name, time - bare);
    }
    let adds = |name: &str, headers: u8| {
        let of = |name: &str| table.median(&format!("{name}, {headers} headers"));
        of(name) - of("bare call")
    };
    println!();
    let beyond = adds("balance", 0) - adds("an extension each way", 0);
    at_most("balance adds / p2c adds", 0.5, adds("balance", 0) / adds("tower p2c", 0));
    at_most("... beyond extensions", 0.5, beyond / adds("tower p2c", 0));
    let core = "+ fallback: full core stack";
    at_most("full core stack adds, ns", 250.0, adds(core, 0));
    let clone = table.median("one request clone, 15 headers");
    let beyond = adds(core, 15) - clone;
    at_most("... with 15 headers, beyond one request clone, ns", 250.0, beyond);
    println!();
    Ok(())
}

/// What each chunk of a long answer costs.
fn streamed(effort: Effort) {
    const CHUNKS: u32 = 1000;
    let effort = Effort { batches: effort.batches.div_ceil(100), ..effort };
    let template = request(0);
    let mut table = Table::default();
    table.stack("bare", &template, Streaming(CHUNKS));
    table.stack("full core stack", &template, core_over(Streaming(CHUNKS), 10));
    table.run(effort);
    let chunk = |name: &str| table.median(name) / f64::from(CHUNKS);
    let (bare, stack) = (chunk("bare"), chunk("full core stack"));
    println!("{:<46} {:>8} {:>8}", "a streamed chunk", "ns", "adds");
    println!("{:<46} {bare:>8.1}", "bare");
    println!("{:<46} {stack:>8.1} {:>+8.1}\n", "full core stack", stack - bare);
    at_most("full core stack adds to a streamed chunk, ns", 1000.0, stack - bare);
    println!();
}

/// What it costs to count the tokens of each chunk of a long answer.
fn counted(effort: Effort) {
    const CHUNKS: u32 = 1000;
    let effort = Effort { batches: effort.batches.div_ceil(100), ..effort };
    let template = chat();
    let mut table = Table::default();
    for halved in [false, true] {
        let deltas = Deltas { chunks: CHUNKS, halved };
        table.stack(format!("bare, halved {halved}"), &template, deltas);
        table.stack(format!("metered, halved {halved}"), &template, metered(deltas));
        table.stack(format!("usage hidden, halved {halved}"), &template, hiding(deltas));
    }
    table.run(effort);
    let chunk = |name: &str| table.median(name) / f64::from(CHUNKS);
    println!("{:<46} {:>8} {:>8}", "a chunk of a chat completion", "ns", "adds");
    for (halved, what) in [(false, "an event a chunk"), (true, "half an event a chunk")] {
        let bare = chunk(&format!("bare, halved {halved}"));
        println!("{:<46} {bare:>8.1}", format!("bare, {what}"));
        for stack in ["metered", "usage hidden"] {
            let time = chunk(&format!("{stack}, halved {halved}"));
            println!("{:<46} {time:>8.1} {:>+8.1}", format!("{stack}, {what}"), time - bare);
        }
    }
    println!();
    for stack in ["metered", "usage hidden"] {
        for halved in [false, true] {
            let of = |stack: &str| chunk(&format!("{stack}, halved {halved}"));
            let name = format!("{stack} adds to a chunk, ns, halved {halved}");
            at_most(&name, 1000.0, of(stack) - of("bare"));
        }
    }
    println!();
}

/// Picks among few and many.
fn selection(effort: Effort) {
    let template = request(0);
    let mut table = Table::default();
    table.stack("bare call", &template, Immediate);
    for count in [2, 10, 100, 1000, 10_000] {
        table.stack(format!("least busy, {count}"), &template, balance(LeastBusy, count));
    }
    for count in [10, 1000] {
        let shuffle = balance(WeightedShuffle, count);
        table.stack(format!("weighted shuffle, {count}"), &template, shuffle);
    }
    for count in [10, 100] {
        table.stack(format!("round robin, {count}"), &template, balance(RoundRobin, count));
    }
    let (mut keyed, mut demand) = (request(0), Demand::default());
    demand.affinity = Some("session".into());
    demand.set(&mut keyed);
    for count in [10, 100] {
        table.stack(format!("least busy, {count}, a key"), &keyed, balance(LeastBusy, count));
        let affinity = balance(Affinity::new(LeastBusy), count);
        table.stack(format!("affinity, {count}, a key"), &keyed, affinity);
    }
    for count in [2, 10, 100, 1000] {
        let p2c = power_of_two(vec![Immediate; count]);
        table.stack(format!("tower p2c, {count}"), &template, p2c);
    }
    for tried in 0..=2 {
        let mut service = balance(LeastBusy, 10);
        let mut earlier = service.clone();
        table.row(format!("least busy, 10, {tried} tried"), move |effort| {
            // All requests with one trail are attempts of one request.
            let make = || {
                let mut one = request(0);
                Trail::start(&mut one);
                (0..tried).for_each(|_| now(exchange(&mut earlier, one.clone())));
                one
            };
            batches(effort, make, |one| now(exchange(&mut service, one)))
        });
    }
    for count in [10, 10_000] {
        let (deployments, clients): (Vec<_>, Vec<_>) = members(count, Immediate).unzip();
        let each = deployments.clone().into_iter().zip(clients);
        let balance = Balance::new(LeastBusy, each);
        let mut next = 0;
        table.row(format!("one down and up again, of {count}"), move |effort| {
            // The group is told of what changes as long as it lives.
            let _living = &balance;
            let down_and_up = |()| {
                next = (next + 7) % count;
                deployments[next].health().pause();
                deployments[next].health().resume();
            };
            batches(effort, || (), down_and_up)
        });
    }
    table.run(effort);

    let bare = table.median("bare call");
    println!("{:<46} {:>8} {:>8}", "selection", "ns", "adds");
    for row in &table.0 {
        let time = table.median(&row.name);
        if row.name.starts_with("one down") {
            println!("{:<46} {time:>8.0}", row.name);
        } else {
            println!("{:<46} {time:>8.0} {:>+8.0}", row.name, time - bare);
        }
    }
    println!();
    let ratio =
        |count: u32| table.median(&format!("least busy, {count}")) / table.median("least busy, 10");
    at_most("least busy of 1,000 / of 10", 1.3, ratio(1000));
    at_most("least busy of 10,000 / of 10", 1.5, ratio(10_000));
    let down_and_up = |count: u32| table.median(&format!("one down and up again, of {count}"));
    at_most("down and up of 10,000 / of 10", 1.5, down_and_up(10_000) / down_and_up(10));
    println!();
}

/// What a pick costs by each strategy, in requests one after the other.
fn strategies(effort: Effort) {
    const COUNTS: [usize; 4] = [2, 10, 100, 1000];
    // Also of so many, where a pick does not grow with them.
    const MANY: usize = 10_000;
    const CONSTANT: [&str; 7] = [
        "least busy",
        "least busy, weights",
        "least busy, weights, two paused",
        "weighted shuffle",
        "power of two",
        "prefer idle, power of two",
        "tower p2c",
    ];
    // A step for each member.
    const SCORED: [&str; 5] =
        ["lowest latency", "within a buffer", "lowest cost", "lowest usage", "hot and cold"];
    let effort = Effort { batches: effort.batches.div_ceil(4), ..effort };
    let template = request(0);
    let mut table = Table::default();
    table.stack("bare call", &template, Immediate);
    for count in COUNTS {
        let mut row = |name: &str, strategy: AnyStrategy| {
            // With prices and limits, where they are read.
            let members = members(count, Immediate).map(|(deployment, client)| match name {
                "lowest cost" => (deployment.price(Price::new(1e-6, 2e-6)), client),
                "lowest usage" => (deployment.rpm(u64::MAX / 2), client),
                _ => (deployment, client),
            });
            let mut balance = Balance::new(strategy, members).seed(SEED);
            // Each member is known before it counts.
            (0..2 * count).for_each(|_| now(exchange(&mut balance, template.clone())));
            table.stack(format!("{name}, {count}"), &template, balance);
        };
        row("least busy", AnyStrategy::new(LeastBusy));
        row("power of two", AnyStrategy::new(PowerOfTwo));
        row("prefer idle, power of two", AnyStrategy::new(PreferIdle::new(PowerOfTwo)));
        row("round robin", AnyStrategy::new(RoundRobin));
        row("lowest latency", AnyStrategy::new(LowestLatency::new()));
        row("within a buffer", AnyStrategy::new(LowestLatency::new().buffer(0.1)));
        row("lowest cost", AnyStrategy::new(LowestCost));
        row("lowest usage", AnyStrategy::new(LowestUsage));
        row("hot and cold", AnyStrategy::new(HotCold::new()));
        let p2c = power_of_two(vec![Immediate; count]);
        table.stack(format!("tower p2c, {count}"), &template, p2c);
    }
    // Weights of 1, 2 and 4 in turn, and two that are no candidates.
    let weighted = |count| {
        let members = members(count, Immediate).enumerate();
        members.map(|(index, (deployment, client))| (deployment.weight(1 << (index % 3)), client))
    };
    for count in COUNTS.into_iter().chain([MANY]) {
        if count == MANY {
            table.stack(format!("least busy, {count}"), &template, balance(LeastBusy, count));
            table.stack(format!("power of two, {count}"), &template, balance(PowerOfTwo, count));
            let idle = balance(PreferIdle::new(PowerOfTwo), count);
            table.stack(format!("prefer idle, power of two, {count}"), &template, idle);
            let p2c = power_of_two(vec![Immediate; count]);
            table.stack(format!("tower p2c, {count}"), &template, p2c);
        }
        let random = balance(WeightedShuffle, count);
        table.stack(format!("weighted shuffle, {count}"), &template, random);
        let weights = Balance::new(LeastBusy, weighted(count)).seed(SEED);
        table.stack(format!("least busy, weights, {count}"), &template, weights);
        let (deployments, clients): (Vec<_>, Vec<_>) = weighted(count + 2).unzip();
        deployments[..2].iter().for_each(|deployment| deployment.health().pause());
        let paused = Balance::new(LeastBusy, deployments.into_iter().zip(clients)).seed(SEED);
        table.stack(format!("least busy, weights, two paused, {count}"), &template, paused);
    }
    table.run(effort);

    let adds = |name: &str, count: usize| {
        table.median(&format!("{name}, {count}")) - table.median("bare call")
    };
    let each = |name: &str| (adds(name, 1000) - adds(name, 10)) / 990.0;
    let header = COUNTS.map(|count| format!("{count:>8}")).concat();
    println!("{:<46}{header}{MANY:>8} {:>8}", "strategies: adds, ns, of so many", "each");
    for name in CONSTANT.into_iter().chain(["round robin"]).chain(SCORED) {
        let times = COUNTS.map(|count| format!("{:>8.0}", adds(name, count)));
        let many = adds(name, MANY);
        let many = if many.is_nan() { String::new() } else { format!("{many:.0}") };
        println!("{name:<46}{}{many:>8} {:>8.1}", times.concat(), each(name));
    }
    println!();
    for name in SCORED {
        at_most(&format!("{name}, ns for each member"), 10.0, each(name));
    }
    println!();
}

/// One service shared by many tasks on two threads, in processor time.
fn shared(effort: Effort) -> Result<(), BoxError> {
    let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build()?;
    let mut table = Table::default();
    for tasks in SHARED {
        let handle = runtime.handle();
        let guard = handle.enter();
        let buffered = Buffer::new(power_of_two([Immediate; 100]), tasks.max(16));
        drop(guard);
        table.among(tasks, "bare call", handle, Immediate);
        table.among(tasks, "balance", handle, balance(LeastBusy, 100));
        table.among(tasks, "full core stack", handle, core(100));
        table.among(tasks, "tower p2c in Buffer", handle, buffered);
    }
    table.run(Effort { rounds: effort.rounds.min(5), ..effort });

    let header = SHARED.map(|tasks| format!("{tasks:>8}")).concat();
    println!("{:<46}{header}", "shared by so many tasks, CPU ns");
    for name in ["bare call", "balance", "full core stack", "tower p2c in Buffer"] {
        let times =
            SHARED.map(|tasks| format!("{:>8.0}", table.median(&format!("{name}, {tasks}"))));
        println!("{name:<46}{}", times.concat());
    }
    println!();
    for tasks in [64, 512] {
        let of = |name: &str| table.median(&format!("{name}, {tasks}"));
        let name = format!("p2c in Buffer / balance, {tasks} tasks");
        at_least(&name, 6.0, of("tower p2c in Buffer") / of("balance"));
    }
    println!();
    Ok(())
}

impl Table {
    fn among<S, R>(&mut self, tasks: usize, name: &str, handle: &runtime::Handle, service: S)
    where
        S: Service<Request<tower_fleet_benches::Nothing>, Response = Response<R>>,
        S: Clone + Send + 'static,
        S::Future: Send,
        R: Body + Send + 'static,
    {
        let handle = handle.clone();
        self.row(format!("{name}, {tasks}"), move |effort| {
            let each = effort.shared / tasks;
            let before = cpu_time();
            handle.block_on(async {
                let clients = (0..tasks).map(|_| {
                    let mut service = service.clone();
                    tokio::spawn(async move {
                        for _ in 0..each {
                            exchange(&mut service, Request::default()).await;
                        }
                    })
                });
                for client in clients.collect::<Vec<_>>() {
                    client.await.unwrap_or_else(|_| unreachable!("a task that does not panic"));
                }
            });
            cpu_time().saturating_sub(before).as_secs_f64() * 1e9 / (each * tasks) as f64
        });
    }
}

/// What all threads have run: as the scheduler counts it, where there is Linux, or else the time that has passed.
fn cpu_time() -> Duration {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let ran = threads.filter_map(|thread| {
        let counts = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        counts.split(' ').next()?.parse::<u64>().ok()
    });
    match ran.sum() {
        0 => {
            static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
            START.get_or_init(Instant::now).elapsed()
        }
        ran => Duration::from_nanos(ran),
    }
}

fn spreads() -> Result<(), BoxError> {
    // Each finished request starts the next at once: so many tasks over so many deployments.
    println!("{:<46} {:>8} {:>8} {:>8}", "spread", "max/mean", "worst", "above");
    for (tasks, count) in [(64, 10), (64, 100), (512, 10), (512, 100)] {
        let rows = [
            ("least busy", spread::least_busy(tasks, count)?),
            ("power of two", spread::two_choices(tasks, count)?),
            ("tower p2c in Buffer", spread::power_of_two_choices(tasks, count)?),
        ];
        for (name, Spread { max_to_mean, worst, above }) in rows {
            let (name, above) = (format!("{name}, {tasks} over {count}"), above * 100.0);
            println!("{name:<46} {max_to_mean:>8.2} {worst:>8} {above:>6.1} %");
        }
    }
    println!();
    let ours = spread::least_busy(512, 100)?;
    let theirs = spread::power_of_two_choices(512, 100)?;
    at_most("busiest / mean", 1.3, ours.max_to_mean);
    at_most("... against that of p2c", 1.0, ours.max_to_mean / theirs.max_to_mean);
    Ok(())
}

fn at_most(name: &str, goal: f64, measured: f64) {
    print_goal(name, "<=", goal, measured, measured <= goal);
}

fn at_least(name: &str, goal: f64, measured: f64) {
    print_goal(name, ">=", goal, measured, measured >= goal);
}

fn print_goal(name: &str, relation: &str, goal: f64, measured: f64, met: bool) {
    let verdict = if met { "met" } else { "MISSED" };
    println!("goal: {name:<50} {relation} {goal:<5} measured {measured:<7.2} {verdict}");
}
