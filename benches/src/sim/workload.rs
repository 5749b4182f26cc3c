//! What is asked, of which deployments.

use fastrand::Rng;

use super::{
    Arrival,
    server::{AT_A_TIME, Nature},
};
use crate::SEED;

/// Requests to come and deployments to take them.
#[derive(Clone, Debug)]
pub struct Workload {
    /// As the table calls it.
    pub name: &'static str,
    /// There is cooldown for each deployment, and retry over the balance.
    pub guarded: bool,
    /// What a deployment takes at a time, of every strategy; the rest waits in the balance.
    pub(super) at_most: Option<u32>,
    count: usize,
    /// The first deployment; the others are as usual.
    first: Nature,
    requests: usize,
    /// The share of what all deployments together can do.
    load: f64,
    arrivals: Arrivals,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Arrivals {
    /// Poisson, of exponentially distributed work.
    Single,
    /// So many at once.
    Bursts(usize),
    /// Of lognormally distributed work, every tenth a stream of ten times as much.
    Streams,
}

pub(super) const REQUESTS: usize = 3_000;

impl Workload {
    fn new(name: &'static str, first: Nature) -> Self {
        Self {
            name,
            guarded: false,
            at_most: None,
            count: 4,
            first,
            requests: REQUESTS,
            load: 0.7,
            arrivals: Arrivals::Single,
        }
    }

    /// What each deployment is like.
    pub(super) fn natures(&self) -> impl Iterator<Item = Nature> {
        std::iter::once(self.first).chain(std::iter::repeat_n(Nature::Usual, self.count - 1))
    }

    /// All requests, by time: the same each time.
    pub(super) fn arrivals(&self) -> Vec<Arrival> {
        let mut rng = Rng::with_seed(SEED);
        let at_once = if let Arrivals::Bursts(size) = self.arrivals { size } else { 1 };
        let rate = self.load * self.capacity() / self.mean_work() / at_once as f64;
        let mut at = 0.0;
        let mut arrivals = Vec::with_capacity(self.requests);
        for index in 0..self.requests {
            if index % at_once == 0 {
                at += exponential(&mut rng) / rate;
            }
            let stream = self.arrivals == Arrivals::Streams && rng.u8(0..10) == 0;
            let work = match self.arrivals {
                Arrivals::Streams if stream => 10.0 * lognormal(&mut rng),
                Arrivals::Streams => lognormal(&mut rng),
                Arrivals::Single | Arrivals::Bursts(_) => exponential(&mut rng),
            };
            arrivals.push(Arrival { at, work, stream });
        }
        arrivals
    }

    /// The share of the requests an equal split would send to the first deployment.
    #[must_use]
    pub fn fair_share(&self) -> f64 {
        1.0 / self.count as f64
    }

    /// Its deployments, load and arrivals, in a line.
    #[must_use]
    pub fn described(&self) -> String {
        let arrivals = match self.arrivals {
            Arrivals::Single => String::from("Poisson arrivals"),
            Arrivals::Bursts(size) => format!("{size} at once"),
            Arrivals::Streams => String::from("every tenth a stream, ten times as long"),
        };
        let Self { count, load, .. } = self;
        format!("{count} deployments, load {load}, {arrivals}")
    }

    /// How much work all deployments do in the time of a mean.
    fn capacity(&self) -> f64 {
        let first = match self.first {
            // One that turns slow was as the others are.
            Nature::Slow { from, .. } if from > 0.0 => 1.0,
            Nature::Slow { times, .. } => 1.0 / times,
            Nature::Usual => 1.0,
            Nature::Fails => 0.0,
        };
        AT_A_TIME as f64 * (self.count as f64 - 1.0 + first)
    }

    fn mean_work(&self) -> f64 {
        if self.arrivals == Arrivals::Streams { 0.9 + 0.1 * 10.0 } else { 1.0 }
    }
}

/// Of mean 1.
fn exponential(rng: &mut Rng) -> f64 {
    -(1.0 - rng.f64()).ln()
}

/// Of mean 1, the logarithm's standard deviation 0.7.
fn lognormal(rng: &mut Rng) -> f64 {
    const DEVIATION: f64 = 0.7;
    // Box and Muller.
    let normal = (-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (std::f64::consts::TAU * rng.f64()).cos();
    (DEVIATION * normal - DEVIATION * DEVIATION / 2.0).exp()
}

/// What every strategy is run under.
#[must_use]
pub fn workloads() -> Vec<Workload> {
    let slow = |times, from| Nature::Slow { times, from };
    vec![
        Workload { load: 0.8, ..Workload::new("equal", Nature::Usual) },
        Workload::new("one 3x slower", slow(3.0, 0.0)),
        // A little after half of the 270 means that it lasts.
        Workload::new("one turns 5x slower halfway", slow(5.0, 135.0)),
        Workload { load: 0.6, ..Workload::new("one fails fast", Nature::Fails) },
        Workload {
            load: 0.6,
            guarded: true,
            ..Workload::new("one fails fast, cooldown and retry", Nature::Fails)
        },
        Workload {
            load: 0.6,
            arrivals: Arrivals::Bursts(24),
            ..Workload::new("bursts of 24", Nature::Usual)
        },
        Workload {
            arrivals: Arrivals::Streams,
            ..Workload::new("long streams among short answers", Nature::Usual)
        },
        Workload {
            load: 0.8,
            at_most: Some(8),
            ..Workload::new("equal, at most 8 each, the rest waits", Nature::Usual)
        },
    ]
}

/// Open arrivals at a high load, each with `requests`.
#[must_use]
pub fn performance_workloads(requests: usize) -> Vec<Workload> {
    let case =
        |name, count, load, first| Workload { count, requests, load, ..Workload::new(name, first) };
    let slow = Nature::Slow { times: 3.0, from: 0.0 };
    vec![
        case("10 at 90 %", 10, 0.9, Nature::Usual),
        case("10 at 90 %, one 3x slower", 10, 0.9, slow),
        case("4 at 90 %, one 3x slower", 4, 0.9, slow),
        case("100 at 90 %", 100, 0.9, Nature::Usual),
        case("4 at 70 %", 4, 0.7, Nature::Usual),
    ]
}
