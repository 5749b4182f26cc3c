//! Sends requests through one stack and ends: what the script `instructions` counts the instructions of.
//!
//! `count STACK REQUESTS`; without arguments it lists the stacks.

use std::{collections::VecDeque, env, process::ExitCode};

use http::{Request, Response};
use tower::Service;
use tower_fleet::balance::{LeastBusy, LowestLatency};
use tower_fleet_benches::{
    Attaching, Immediate, Nothing, answer, balance, cooldown, core, exchange, now, power_of_two,
    request, retry,
};

type Run = fn(u32);

/// Each with its run; `held` ones keep half as many responses again as there are deployments in flight.
const STACKS: [(&str, Run); 15] = [
    ("bare", |n| send(Immediate, 0, n)),
    ("extensions", |n| send(Attaching, 0, n)),
    ("balance-10", |n| send(balance(LeastBusy, 10), 0, n)),
    ("balance-1000", |n| send(balance(LeastBusy, 1000), 0, n)),
    ("bare-held", |n| hold(Immediate, 15, n)),
    ("balance-10-held", |n| hold(balance(LeastBusy, 10), 15, n)),
    ("balance-1000-held", |n| hold(balance(LeastBusy, 1000), 1500, n)),
    ("cooldown-10", |n| send(cooldown(10), 0, n)),
    ("retry-10", |n| send(retry(10), 0, n)),
    ("core-10", |n| send(core(10), 0, n)),
    ("bare-15-headers", |n| send(Immediate, 15, n)),
    ("core-10-15-headers", |n| send(core(10), 15, n)),
    ("latency-10", |n| send(balance(LowestLatency::new(), 10), 0, n)),
    ("latency-1000", |n| send(balance(LowestLatency::new(), 1000), 0, n)),
    ("p2c-10", |n| send(power_of_two([Immediate; 10]), 0, n)),
];

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [stack, requests] = &arguments[..] else {
        for (name, _) in STACKS {
            println!("{name}");
        }
        return ExitCode::SUCCESS;
    };
    let run = STACKS.iter().find(|(name, _)| name == stack).map(|(_, run)| run);
    let (Some(run), Ok(requests)) = (run, requests.parse()) else {
        eprintln!("count: no stack `{stack}`, or `{requests}` is no number");
        return ExitCode::FAILURE;
    };
    run(requests);
    ExitCode::SUCCESS
}

fn send<S, R>(mut service: S, headers: u8, requests: u32)
where
    S: Service<Request<Nothing>, Response = Response<R>>,
    R: http_body::Body,
{
    let template = request(headers);
    for _ in 0..requests {
        now(exchange(&mut service, template.clone()));
    }
}

/// Keeps `held` responses, so that as many places are taken.
fn hold<S, R>(mut service: S, held: usize, requests: u32)
where
    S: Service<Request<Nothing>, Response = Response<R>>,
{
    let template = request(0);
    let mut kept = VecDeque::with_capacity(held + 1);
    for _ in 0..requests {
        kept.push_back(now(answer(&mut service, template.clone())));
        if kept.len() > held {
            kept.pop_front();
        }
    }
}
