//! A deployment: one place a request can be sent, with its attributes and its live vitals.
//!
//! ```
//! use tower_fleet::Deployment;
//!
//! let eu = Deployment::new("eu").weight(2).max_parallel_requests(64);
//! assert_eq!(eu.id(), "eu");
//! assert_eq!(eu.in_flight(), 0);
//! ```

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

mod cached;
mod concurrency;
mod expected;
pub(crate) mod health;
mod latency;
mod limits;
pub(crate) mod pins;
mod price;
mod usage;
mod watchers;

use self::cached::CachedShare;
pub use self::concurrency::AdaptiveConcurrency;
pub(crate) use self::concurrency::Sample;
pub use self::expected::Expected;
pub(crate) use self::expected::TYPICAL_OUTPUT;
pub(crate) use self::health::{
    Admission, Aside, Judge, Key, Probe, Ramp, Record, Recovery, Refusal, Sentence, Standing, Watch,
};
pub use self::health::{Cause, Health, Status, Totals};
pub use self::latency::Latency;
pub(crate) use self::latency::{Measure, Reading, Sampling};
use self::limits::Limits;
pub(crate) use self::pins::{Pinned, Pins};
pub use self::price::{Price, PriceTier};
pub use self::usage::{Usage, UsageTotals};
pub(crate) use self::watchers::Watchers;
use crate::{hash::hash, quota::Account, sync::Lock};

/// One place a request can be sent: an id, attributes and live vitals. The service that reaches it stands beside it.
///
/// A cheap handle: clones share the vitals (what is in flight, health). The setters change attributes of this handle
/// and of the clones made from it later.
#[derive(Clone)]
pub struct Deployment(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    id: Arc<str>,
    id_hash: u64,
    weight: u32,
    order: Option<i32>,
    max_parallel_requests: Option<u32>,
    adaptive: Option<AdaptiveConcurrency>,
    limits: Limits,
    timeout: Option<Duration>,
    stream_timeout: Option<Duration>,
    retries: Option<u32>,
    model: Option<Arc<str>>,
    stream_usage: Option<bool>,
    serves: Serves,
    price: Option<Arc<Price>>,
    #[cfg(feature = "llm")]
    provider: Option<Arc<str>>,
    vitals: Arc<Vitals>,
}

/// Which requests it can serve; what is unset is not restricted.
#[derive(Clone, Debug, Default)]
struct Serves {
    max_input_tokens: Option<u64>,
    region: Option<Arc<str>>,
    endpoints: Option<Arc<[Arc<str>]>>,
    images: Option<bool>,
    tags: Option<Arc<[Arc<str>]>>,
}

#[derive(Default)]
struct Vitals {
    picked: AtomicU64,
    /// How many of the picks are over: with them two counts that only grow make three.
    ended: AtomicU64,
    /// Someone found all its places taken since one was last given back.
    is_awaited: AtomicBool,
    health: Health,
    concurrency: concurrency::Concurrency,
    latency: Arc<Latency>,
    usage: Lock<UsageTotals>,
    /// The mean output of its answers, as the bits of an `f32`, to be read without a lock.
    mean_output: AtomicU32,
    cached: CachedShare,
    /// What it took under limits of its own, once it has such.
    account: OnceLock<Arc<Account>>,
}

impl Deployment {
    /// A healthy deployment without limits, of weight 1. The `id` tells it from others in its group, in logs and in
    /// metrics, so it should not hold a secret.
    #[must_use]
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        let id = id.into();
        Self(Arc::new(Inner {
            id_hash: hash(0, id.as_bytes()),
            id,
            weight: 1,
            order: None,
            max_parallel_requests: None,
            adaptive: None,
            limits: Limits::default(),
            timeout: None,
            stream_timeout: None,
            retries: None,
            model: None,
            stream_usage: None,
            serves: Serves::default(),
            price: None,
            #[cfg(feature = "llm")]
            provider: None,
            vitals: Arc::default(),
        }))
    }

    /// Its share of the traffic, relative to the weights of its group. Default 1; 0 takes none. After a common divisor
    /// is taken out, weights above 1,024 are scaled down to it and rounded, to 1 at least; in a group with more than 64
    /// deployments of the same [order](Self::order) it is 65,536 for all together, but no less than 128 for one. So
    /// [`LeastBusy`](crate::balance::LeastBusy), [`WeightedShuffle`](crate::balance::WeightedShuffle) and
    /// [`PowerOfTwo`](crate::balance::PowerOfTwo) have them;
    /// [`RoundRobin`](crate::balance::RoundRobin) and [`Affinity`](crate::balance::Affinity) go by the weights themselves.
    #[must_use]
    pub fn weight(mut self, weight: u32) -> Self {
        Arc::make_mut(&mut self.0).weight = weight;
        self
    }

    /// Its level: a higher one is used only when no deployment of a lower one can take the request. Unset by default,
    /// which comes after every number.
    #[must_use]
    pub fn order(mut self, order: i32) -> Self {
        Arc::make_mut(&mut self.0).order = Some(order);
        self
    }

    /// How many requests may be in flight on it at a time, from all balances it is a member of: a full one is passed over.
    /// No limit by default; 0 means no limit, as in LiteLLM.
    #[must_use]
    pub fn max_parallel_requests(mut self, limit: u32) -> Self {
        Arc::make_mut(&mut self.0).max_parallel_requests = Some(limit).filter(|limit| *limit > 0);
        self
    }

    /// How long an attempt may take until its response head, instead of what
    /// [`TimeoutLayer`](crate::timeout::TimeoutLayer) says. Unset by default.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        Arc::make_mut(&mut self.0).timeout = Some(timeout);
        self
    }

    /// The same, where the response is [wanted as a stream](crate::Demand::stream). Unset by default: the layer's limit
    /// of streams, or else what holds for the other attempts.
    #[must_use]
    pub fn stream_timeout(mut self, timeout: Duration) -> Self {
        Arc::make_mut(&mut self.0).stream_timeout = Some(timeout);
        self
    }

    /// How many retries a request may have that fails here, instead of what
    /// [`RetryPolicy`](crate::retry::RetryPolicy) says. Unset by default.
    #[must_use]
    pub fn retries(mut self, count: u32) -> Self {
        Arc::make_mut(&mut self.0).retries = Some(count);
        self
    }

    /// The longest input it takes, in tokens: a longer one goes to another. Unset by default.
    #[must_use]
    pub fn max_input_tokens(mut self, tokens: u64) -> Self {
        Arc::make_mut(&mut self.0).serves.max_input_tokens = Some(tokens);
        self
    }

    /// The region it is in: it gets no request that must stay in [another](crate::Demand::region). One in `eu-west-1`
    /// serves what must stay in `eu-west-1` or in `eu`, in whatever case. Names without such an order tell no area, as Azure's do: give what
    /// requests ask for, so `eu` for `westeurope` and `swedencentral`. Unset by default, and then it gets no request that
    /// must stay anywhere.
    #[must_use]
    pub fn region(mut self, region: impl Into<Arc<str>>) -> Self {
        Arc::make_mut(&mut self.0).serves.region = Some(region.into());
        self
    }

    /// The [endpoints](crate::Demand::endpoint) it has; it gets no request for another. Unset by default: all.
    #[must_use]
    pub fn endpoints<E: Into<Arc<str>>>(mut self, paths: impl IntoIterator<Item = E>) -> Self {
        let paths = paths.into_iter().map(Into::into).collect();
        Arc::make_mut(&mut self.0).serves.endpoints = Some(paths);
        self
    }

    /// Whether it takes [images](crate::Demand::images). Unset by default, and then it may get some.
    #[must_use]
    pub fn images(mut self, takes: bool) -> Self {
        Arc::make_mut(&mut self.0).serves.images = Some(takes);
        self
    }

    /// What requests choose it [by](crate::Demand::tags); the tag `default` makes it one of those that serve requests
    /// without tags, see [`TagMatch`](crate::balance::TagMatch). None by default.
    #[must_use]
    pub fn tags<T: Into<Arc<str>>>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
        let tags = tags.into_iter().map(Into::into).collect();
        Arc::make_mut(&mut self.0).serves.tags = Some(tags);
        self
    }

    /// Whether to ask it for the usage of each stream, which not every server knows (`stream_options.include_usage`).
    /// Unset by default: as `llm::RewriteModelLayer` says.
    #[must_use]
    pub fn stream_usage(mut self, ask: bool) -> Self {
        Arc::make_mut(&mut self.0).stream_usage = Some(ask);
        self
    }

    /// What its tokens cost. Unset by default: unknown.
    #[must_use]
    pub fn price(mut self, price: Price) -> Self {
        Arc::make_mut(&mut self.0).price = Some(Arc::new(price));
        self
    }

    /// Who serves it, as a [price list](crate::llm::PriceList) calls them, such as `groq`. Unset by default.
    #[cfg(feature = "llm")]
    #[cfg_attr(docsrs, doc(cfg(feature = "llm")))]
    #[must_use]
    pub fn provider(mut self, provider: impl Into<Arc<str>>) -> Self {
        Arc::make_mut(&mut self.0).provider = Some(provider.into());
        self
    }

    /// The name under which it knows the model it serves. Unset by default.
    #[must_use]
    pub fn model(mut self, model: impl Into<Arc<str>>) -> Self {
        Arc::make_mut(&mut self.0).model = Some(model.into());
        self
    }

    /// Takes over the vitals of `other`, so that what is in flight, what its limits have counted and what is known of its
    /// health stay with an id whose attributes change.
    #[must_use]
    pub fn with_vitals_of(mut self, other: &Self) -> Self {
        let inner = Arc::make_mut(&mut self.0);
        inner.vitals = Arc::clone(&other.0.vitals);
        inner.limits.count_in(&inner.id, &inner.vitals);
        self
    }

    /// What tells it from others in its group.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// Its [weight](Self::weight).
    #[must_use]
    pub fn get_weight(&self) -> u32 {
        self.0.weight
    }

    /// Its [order](Self::order).
    #[must_use]
    pub fn get_order(&self) -> Option<i32> {
        self.0.order
    }

    /// Its [limit of requests at a time](Self::max_parallel_requests).
    #[must_use]
    pub fn get_max_parallel_requests(&self) -> Option<u32> {
        self.0.max_parallel_requests
    }

    /// Its [time limit](Self::timeout).
    #[must_use]
    pub fn get_timeout(&self) -> Option<Duration> {
        self.0.timeout
    }

    /// Its [time limit for streams](Self::stream_timeout).
    #[must_use]
    pub fn get_stream_timeout(&self) -> Option<Duration> {
        self.0.stream_timeout
    }

    /// Its [number of retries](Self::retries).
    #[must_use]
    pub fn get_retries(&self) -> Option<u32> {
        self.0.retries
    }

    /// The [longest input](Self::max_input_tokens) it takes.
    #[must_use]
    pub fn get_max_input_tokens(&self) -> Option<u64> {
        self.0.serves.max_input_tokens
    }

    /// Its [region](Self::region).
    #[must_use]
    pub fn get_region(&self) -> Option<&str> {
        self.0.serves.region.as_deref()
    }

    /// The [endpoints](Self::endpoints) it has.
    #[must_use]
    pub fn get_endpoints(&self) -> Option<&[Arc<str>]> {
        self.0.serves.endpoints.as_deref()
    }

    /// Whether it takes [images](Self::images).
    #[must_use]
    pub fn get_images(&self) -> Option<bool> {
        self.0.serves.images
    }

    /// Its [tags](Self::tags).
    #[must_use]
    pub fn get_tags(&self) -> &[Arc<str>] {
        self.0.serves.tags.as_deref().unwrap_or_default()
    }

    /// Whether to ask it for the [usage of streams](Self::stream_usage).
    #[must_use]
    pub fn get_stream_usage(&self) -> Option<bool> {
        self.0.stream_usage
    }

    /// What its tokens [cost](Self::price).
    #[must_use]
    pub fn get_price(&self) -> Option<&Price> {
        self.0.price.as_deref()
    }

    /// [Who serves it](Self::provider).
    #[cfg(feature = "llm")]
    #[cfg_attr(docsrs, doc(cfg(feature = "llm")))]
    #[must_use]
    pub fn get_provider(&self) -> Option<&str> {
        self.0.provider.as_deref()
    }

    /// The tokens its answers took so far, and what they cost.
    #[must_use]
    pub fn usage(&self) -> UsageTotals {
        *self.0.vitals.usage.lock()
    }

    /// The share of the input, of 1, that came from the provider's cache where a request was sent here because an earlier
    /// one with the same key was: of late, by what the answers tell. None until 32 such answers with at least 1,024 tokens
    /// of input have come, or where nothing tells, as `llm::Meter` does. [`Affinity`](crate::balance::Affinity) goes by it.
    #[must_use]
    pub fn cached_share(&self) -> Option<f64> {
        self.0.vitals.cached.get()
    }

    /// The [name of its model](Self::model).
    #[must_use]
    pub fn get_model(&self) -> Option<&str> {
        self.0.model.as_deref()
    }

    /// How many requests are with it now: picked, and their response bodies not yet at an end.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        let Vitals { picked, ended, .. } = &*self.0.vitals;
        // Before the picks: whoever sees an end sees its pick too.
        let ended = ended.load(Ordering::Acquire);
        let in_flight = picked.load(Ordering::Relaxed).saturating_sub(ended);
        usize::try_from(in_flight).unwrap_or(usize::MAX)
    }

    /// How often it was picked.
    #[must_use]
    pub fn picked(&self) -> u64 {
        self.0.vitals.picked.load(Ordering::Relaxed)
    }

    /// Its health: to read, or to set by hand.
    #[must_use]
    pub fn health(&self) -> &Health {
        &self.0.vitals.health
    }

    /// How fast it answers, and how often it fails.
    #[must_use]
    pub fn latency(&self) -> &Latency {
        &self.0.vitals.latency
    }

    /// Whether anything is to be learned from how its requests fare.
    #[inline]
    pub(crate) fn is_learned_from(&self) -> bool {
        self.0.adaptive.is_some() || self.0.vitals.latency.is_read()
    }

    /// The same, to be kept where it is read often.
    pub(crate) fn shared_latency(&self) -> Arc<Latency> {
        Arc::clone(&self.0.vitals.latency)
    }

    /// Equal for handles with the same vitals, different for all others that live at the same time.
    pub(crate) fn identity(&self) -> usize {
        Arc::as_ptr(&self.0.vitals).addr()
    }

    /// Equal in all processes for those with the same id.
    pub(crate) fn id_hash(&self) -> u64 {
        self.0.id_hash
    }

    /// Enters the share of the input that came from a cache.
    #[cfg_attr(not(feature = "llm"), allow(dead_code, reason = "only answers of models are read"))]
    pub(crate) fn cached(&self, share: f32) {
        self.0.vitals.cached.add(share);
    }

    /// Enters what an answer took, and what it cost, where that is known.
    #[cfg_attr(
        not(feature = "llm"),
        expect(dead_code, reason = "only answers of models are counted")
    )]
    pub(crate) fn used(&self, usage: &Usage, cost: Option<f64>) {
        let Vitals { usage: totals, mean_output, .. } = &*self.0.vitals;
        let mut totals = totals.lock();
        totals.add(usage, cost);
        mean_output.store(totals.mean_output().to_bits(), Ordering::Relaxed);
    }

    /// The tokens its answers have had on average; none before the first.
    pub(crate) fn mean_output(&self) -> Option<f32> {
        let mean = f32::from_bits(self.0.vitals.mean_output.load(Ordering::Relaxed));
        Some(mean).filter(|mean| *mean > 0.0)
    }
}

impl fmt::Debug for Deployment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deployment")
            .field("id", &self.0.id)
            .field("in_flight", &self.in_flight())
            .field("status", &self.health().status())
            .finish_non_exhaustive()
    }
}
