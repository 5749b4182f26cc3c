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
use tower_fleet::balance::{Balance, LeastBusy};

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
}

/// A client whose answers take exponentially distributed times, with a count of those under way.
#[derive(Clone, Debug, Default)]
struct Exponential {
    under_way: Arc<AtomicU32>,
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
        let under_way = Arc::clone(&self.under_way);
        under_way.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            sleep(time).await;
            under_way.fetch_sub(1, Ordering::Relaxed);
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
    let clients = clients(count);
    let balance = || {
        let each = members(count, ()).zip(clients.clone());
        let each = each.map(|((deployment, ()), client)| (deployment, client));
        Balance::new(LeastBusy, each).seed(SEED)
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
    std::iter::repeat_with(Exponential::default).take(count).collect()
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
        let service = service();
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
            let counts = || clients.iter().map(|client| client.under_way.load(Ordering::Relaxed));
            let (most, all) = (counts().max().unwrap_or_default(), counts().sum::<u32>());
            ratios += f64::from(most) * deployments / f64::from(all);
            worst = worst.max(most);
        }
        Spread { max_to_mean: ratios / f64::from(SAMPLES), worst }
    }))
}
