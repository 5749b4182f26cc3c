//! Strategies side by side: the real balance over simulated deployments, under tokio's paused clock.
//!
//! One thread and a clock that jumps from event to event make an event-driven simulation: no network, no waiting, and
//! the same table for the same seed. Requests arrive whether or not earlier ones are answered (an open loop), each
//! deployment works on a few at a time and queues the rest, and every strategy sees the same arrivals and sizes.

#![allow(clippy::cast_precision_loss, reason = "a few thousand requests")]

use std::{io, time::Duration};

use http::Request;
use http_body_util::BodyExt;
use tokio::{
    runtime::Builder,
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tower::{Layer, Service, ServiceExt, util::BoxCloneSyncService};
use tower_fleet::{
    BoxError, Demand, Deployment,
    balance::{AnyStrategy, Balance, QueuePolicy},
    cooldown::CooldownLayer,
    retry::{RetryLayer, RetryPolicy},
};

mod plot;
mod server;
mod strategies;
mod table;
mod workload;

pub use self::plot::svg;
use self::server::{Reply, Server};
pub use self::strategies::{Entry, all, classic};
pub use self::table::{Rows, performance, tables};
pub use self::workload::{Workload, performance_workloads, workloads};
use crate::{Nothing, SEED, request};

/// What a request takes on average where nothing queues. Tokio's timer rounds to a millisecond, which this dwarfs.
const MEAN: Duration = Duration::from_secs(1);

/// A request to come: when, after the start, and how much work it is, in means.
#[derive(Clone, Copy, Debug)]
struct Arrival {
    at: f64,
    work: f64,
    stream: bool,
}

/// How one strategy fared under one workload. Times are in means of the service time, to the end of the answer, or to
/// the first byte of a stream.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Of the requests that were answered: the failed ones are left out.
    pub mean: f64,
    /// The median of all requests, where a failed one took for ever.
    pub p50: f64,
    /// The 99th percentile of all requests, where a failed one took for ever.
    pub p99: f64,
    /// The share of the requests that failed or were refused.
    pub errors: f64,
    /// The most requests on one deployment at any time.
    pub worst: u32,
    /// Each deployment's share of all attempts.
    pub shares: Vec<f64>,
}

type Client = BoxCloneSyncService<Request<Nothing>, http::Response<Reply>, BoxError>;

/// Runs every workload under every strategy.
///
/// # Errors
///
/// Where no runtime can be made.
pub fn results() -> io::Result<Vec<(Workload, Rows)>> {
    let rows = |workload: &Workload| -> io::Result<Rows> {
        all().into_iter().map(|entry| Ok((entry, run(workload, &entry)?))).collect()
    };
    workloads().into_iter().map(|workload| rows(&workload).map(|rows| (workload, rows))).collect()
}

/// Runs `workload` under one strategy.
///
/// # Errors
///
/// Where no runtime can be made.
pub fn run(workload: &Workload, entry: &Entry) -> io::Result<Outcome> {
    // What has no seed of its own takes it from the thread's generator.
    fastrand::seed(SEED);
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
    let servers: Vec<_> = workload.natures().map(Server::new).collect();
    let times = runtime.block_on(async {
        let client = client(workload, entry, &servers);
        send(client, &workload.arrivals()).await
    });
    let answered: Vec<f64> = times.iter().copied().flatten().collect();
    let mut times: Vec<_> = times.iter().map(|time| time.unwrap_or(f64::INFINITY)).collect();
    times.sort_unstable_by(f64::total_cmp);
    let received: Vec<_> = servers.iter().map(|server| f64::from(server.received())).collect();
    let attempts: f64 = received.iter().sum();
    Ok(Outcome {
        mean: answered.iter().sum::<f64>() / answered.len().max(1) as f64,
        p50: quantile(&times, 50),
        p99: quantile(&times, 99),
        errors: 1.0 - answered.len() as f64 / times.len() as f64,
        worst: servers.iter().map(Server::worst).max().unwrap_or_default(),
        shares: received.into_iter().map(|received| received / attempts).collect(),
    })
}

fn quantile(sorted: &[f64], percent: usize) -> f64 {
    let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(index).copied().unwrap_or(f64::NAN)
}

fn client(workload: &Workload, entry: &Entry, servers: &[Server]) -> Client {
    let each = servers.iter().enumerate().map(|(index, server)| {
        let deployment = strategies::deployment(index);
        let deployment = match workload.at_most {
            Some(most) => deployment.max_parallel_requests(most),
            None => deployment,
        };
        (deployment, server.clone())
    });
    if workload.guarded {
        let cooldown = CooldownLayer::default();
        let each = each.map(|(deployment, server)| (deployment, cooldown.layer(server)));
        let balance = balance(workload, entry, each);
        boxed(RetryLayer::new(RetryPolicy::any_method()).layer(balance))
    } else {
        boxed(balance(workload, entry, each))
    }
}

fn balance<S: Send + Sync + 'static>(
    workload: &Workload,
    entry: &Entry,
    each: impl Iterator<Item = (Deployment, S)>,
) -> Balance<S, AnyStrategy> {
    let balance = Balance::new(entry.strategy(), each).seed(SEED);
    if workload.at_most.is_some() {
        balance.queue(QueuePolicy::new(workload::REQUESTS))
    } else {
        balance
    }
}

fn boxed<S, B>(service: S) -> Client
where
    S: Service<Request<Nothing>, Response = http::Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let service = service.map_response(|response: http::Response<B>| response.map(Reply::of));
    BoxCloneSyncService::new(service.map_err(Into::into))
}

/// The time of each request; none where it failed.
async fn send(client: Client, arrivals: &[Arrival]) -> Vec<Option<f64>> {
    let start = Instant::now();
    let mut sent = JoinSet::new();
    for (index, arrival) in arrivals.iter().enumerate() {
        sleep_until(start + MEAN.mul_f64(arrival.at)).await;
        let (client, arrival) = (client.clone(), *arrival);
        sent.spawn(async move { (index, ask(client, index, arrival).await) });
    }
    let mut times = vec![None; arrivals.len()];
    while let Some(Ok((index, time))) = sent.join_next().await {
        times[index] = time;
    }
    times
}

async fn ask(client: Client, index: usize, arrival: Arrival) -> Option<f64> {
    /// As many as are under way at a time.
    const CONVERSATIONS: usize = 64;
    let mut request = request(0);
    request.extensions_mut().insert(arrival);
    let mut demand = Demand::default();
    demand.stream = arrival.stream;
    demand.affinity = Some(format!("conversation-{}", index % CONVERSATIONS).into());
    demand.set(&mut request);
    let start = Instant::now();
    let time = || start.elapsed().as_secs_f64() / MEAN.as_secs_f64();
    let response = client.oneshot(request).await.ok()?;
    let head = time();
    let answered = response.status().is_success();
    let mut body = response.into_body();
    while body.frame().await.is_some() {}
    answered.then(|| if arrival.stream { head } else { time() })
}
