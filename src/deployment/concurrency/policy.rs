/// How a [deployment's](crate::Deployment::adaptive_concurrency) limit of requests at a time follows the capacity that
/// nobody published.
///
/// By default a gradient on response times, after Envoy's adaptive concurrency filter, and multiplicative cuts at
/// refusals, after TCP: an inference server that is full queues, which only its times show, and a provider that is full
/// refuses, which only its 429s show; a deployment may be either. [`refusals_only`](Self::refusals_only) leaves the
/// times out.
///
/// * A round is the first requests begun under one limit, one for each place and at least 20. Where the geometric mean
///   of their times is at most [`tolerance`](Self::tolerance) times that of an idle deployment, the limit grows by 1, then 2,
///   then 4 a round, up to its square root, if at least half of it was used.
/// * Slow rounds in a row are put to a trial: one round with about half of what was in flight. A queue gets shorter
///   with the load: then the limit shrinks in proportion, at most by half. Where the times stay, the deployment has
///   become slower, or was asked for something slower: the limit is as before, and these times are those of an idle
///   deployment from now on. So is its pace found at first, as it may have a queue already: the first rounds may be a
///   trial, which refuses what is beyond it. Their ids spread deployments over three rounds for it.
/// * Otherwise the time of an idle deployment is read from rounds that used less than half of the limit, or one place,
///   or that took less than it. A deployment whose times stay is never tried again.
/// * A limit that cannot fall is tried with twice as much instead, now and then.
/// * A 429, a 503, a 529 and a time-out cut the limit by [`backoff`](Self::backoff), at once, but only once in the time a
///   request takes.
/// * Times are made comparable: the time to the head by the input's tokens, where the request [says
///   them](crate::Demand::input_tokens); the time of a whole answer by the output's tokens too, where
///   `llm::Meter` counts them. So long prompts and answers are not taken for load. Requests given up and other failures
///   say nothing.
/// * What it cannot tell: a queue that others fill, which does not get shorter with its own load, is taken for
///   slowness. A deployment that is kept busy beyond the limit works below its capacity in trials: about a tenth of its
///   throughput is the price where nothing but its times show what it bears, and up to a fifth of one that takes two at
///   a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdaptiveConcurrency {
    pub(super) min: u32,
    pub(super) max: u32,
    pub(super) initial: u32,
    pub(super) tolerance: f64,
    pub(super) backoff: f64,
}

impl AdaptiveConcurrency {
    /// From 1 to 1,000 requests at a time, 20 at first; times up to 1.5 times those of an idle deployment are fine.
    #[must_use]
    pub const fn new() -> Self {
        Self { min: 1, max: 1_000, initial: 20, tolerance: 1.5, backoff: 0.9 }
    }

    /// As [`new`](Self::new), with no regard to times: for deployments that refuse what is too much and do not queue.
    /// Additive increase, multiplicative decrease.
    #[must_use]
    pub const fn refusals_only() -> Self {
        Self { tolerance: f64::INFINITY, ..Self::new() }
    }

    /// It never goes below this many. Default 1, so that something always shows how the deployment fares; 0 is taken as
    /// 1.
    #[must_use]
    pub const fn min(mut self, requests: u32) -> Self {
        self.min = if requests == 0 { 1 } else { requests };
        self
    }

    /// It never goes above this many. Default 1,000.
    #[must_use]
    pub const fn max(mut self, requests: u32) -> Self {
        self.max = requests;
        self
    }

    /// Where it begins. Default 20, as Netflix's concurrency-limits.
    #[must_use]
    pub const fn initial(mut self, requests: u32) -> Self {
        self.initial = requests;
        self
    }

    /// How many times as long as on an idle deployment a request may take, from 1.1 to 2. Default 1.5, as Netflix's
    /// Gradient2: inference servers slow down a little with each request they batch, long before they are full. A
    /// deployment that serves n at a time and queues the rest comes to about 1.5 n.
    #[must_use]
    pub const fn tolerance(mut self, times: f64) -> Self {
        // A trial, at three quarters of the limit divided by this, must leave no queue.
        self.tolerance = times.clamp(1.1, 2.0);
        self
    }

    /// What a refusal leaves of the limit, from 0.1 to 0.99. Default 0.9, as Netflix's AIMD: a provider's limit is exact,
    /// so the next request already finds room.
    #[must_use]
    pub const fn backoff(mut self, share: f64) -> Self {
        self.backoff = share.clamp(0.1, 0.99);
        self
    }

    pub(super) fn bounded(&self, limit: u32) -> u32 {
        limit.min(self.max).max(self.min)
    }
}

impl Default for AdaptiveConcurrency {
    fn default() -> Self {
        Self::new()
    }
}
