//! How evenly a balance spreads requests that take unequal time: a closed loop under paused time.

#![allow(clippy::cast_precision_loss, reason = "a few deployments")]

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response};
use tokio::{runtime::Builder, time::sleep};
use tower::{Service, buffer::Buffer};
use tower_fleet::balance::{Balance, LeastBusy, PowerOfTwo, Strategy};

use crate::{Answer, Nothing, SEED, answer_body, exchange, members, power_of_two, request};

/// The mean service time. Tokio's timer rounds to a millisecond, which this dwarfs.
const MEAN: Duration = Duration::from_millis(100);
const SAMPLES: u32 = 1000;

/// What a run showed.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    /// The requests on the busiest deployment against the mean of all, on average over time.
    pub max_to_mean: f64,
    /// The most requests on one deployment at any time.
    pub worst: u32,
    /// The share of the requests that went to a deployment with more than the least requests.
    pub above: f64,
}

/// A client whose answers take exponentially distributed times, with a count of those under way.
#[derive(Clone, Debug)]
struct Exponential {
    index: usize,
    all: Arc<Counts>,
}

#[derive(Debug)]
struct Counts {
    under_way: Vec<AtomicU32>,
    picks: AtomicU32,
    above: AtomicU32,
}

impl Counts {
    fn now(&self) -> impl Iterator<Item = u32> {
        self.under_way.iter().map(|count| count.load(Ordering::Relaxed))
    }

    /// One more request for the deployment of this index.
    fn enter(&self, index: usize) {
        let before = self.under_way[index].fetch_add(1, Ordering::Relaxed);
        let above = self.now().enumerate().any(|(other, count)| other != index && count < before);
        self.picks.fetch_add(1, Ordering::Relaxed);
        self.above.fetch_add(above.into(), Ordering::Relaxed);
    }
}

impl Service<Request<Nothing>> for Exponential {
    type Response = Response<Answer>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Answer>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Nothing>) -> Self::Future {
        let time = MEAN.mul_f64(-(1.0 - fastrand::f64()).ln());
        let Self { index, all } = self.clone();
        all.enter(index);
        Box::pin(async move {
            sleep(time).await;
            all.under_way[index].fetch_sub(1, Ordering::Relaxed);
            Ok(Response::new(answer_body()))
        })
    }
}

/// Over exact least-busy.
///
/// # Errors
///
/// Where no runtime can be made.
pub fn least_busy(tasks: usize, count: usize) -> std::io::Result<Spread> {
    ours(LeastBusy, tasks, count)
}

/// Over two choices of this crate's balance.
///
/// # Errors
///
/// Where no runtime can be made.
pub fn two_choices(tasks: usize, count: usize) -> std::io::Result<Spread> {
    ours(PowerOfTwo, tasks, count)
}

fn ours<P: Strategy>(strategy: P, tasks: usize, count: usize) -> std::io::Result<Spread> {
    let clients = clients(count);
    let balance = || {
        let each = members(count, ()).zip(clients.clone());
        let each = each.map(|((deployment, ()), client)| (deployment, client));
        Balance::new(strategy, each).seed(SEED)
    };
    run(balance, &clients, tasks)
}

/// Over `tower`'s balance in its `Buffer`.
///
/// # Errors
///
/// Where no runtime can be made.
pub fn power_of_two_choices(tasks: usize, count: usize) -> std::io::Result<Spread> {
    let clients = clients(count);
    run(|| Buffer::new(power_of_two(clients.clone()), tasks), &clients, tasks)
}

fn clients(count: usize) -> Vec<Exponential> {
    let under_way = std::iter::repeat_with(AtomicU32::default).take(count).collect();
    let all = Counts { under_way, picks: AtomicU32::new(0), above: AtomicU32::new(0) };
    let all = Arc::new(all);
    (0..count).map(|index| Exponential { index, all: Arc::clone(&all) }).collect()
}

/// Keeps `tasks` requests in flight and looks at the clients every tenth of a service time.
fn run<S, R>(
    service: impl FnOnce() -> S,
    clients: &[Exponential],
    tasks: usize,
) -> std::io::Result<Spread>
where
    S: Service<Request<Nothing>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    R: http_body::Body + Send + 'static,
{
    // Service times come from the thread's generator, which everything here shares: one thread, one sequence.
    fastrand::seed(SEED);
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
    Ok(runtime.block_on(async {
        let (service, counts) = (service(), Arc::clone(&clients[0].all));
        for _ in 0..tasks {
            let mut service = service.clone();
            tokio::spawn(async move {
                loop {
                    exchange(&mut service, request(0)).await;
                }
            });
        }
        sleep(MEAN * 5).await;
        let deployments = clients.len() as f64;
        let (mut ratios, mut worst) = (0.0, 0);
        for _ in 0..SAMPLES {
            sleep(MEAN / 10).await;
            let (most, all) = (counts.now().max().unwrap_or_default(), counts.now().sum::<u32>());
            ratios += f64::from(most) * deployments / f64::from(all);
            worst = worst.max(most);
        }
        let [above, picks] =
            [&counts.above, &counts.picks].map(|count| f64::from(count.load(Ordering::Relaxed)));
        Spread { max_to_mean: ratios / f64::from(SAMPLES), worst, above: above / picks }
    }))
}
