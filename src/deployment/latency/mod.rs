//! How fast a deployment answers, and how often it fails.

use std::{
    fmt,
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use tokio::time::Instant;

use self::estimate::Estimate;
pub(crate) use self::sampling::Sampling;

mod estimate;
mod sampling;

/// How fast a deployment answers, and which share of its answers are failures.
///
/// Each number is a peak average (Finagle's `PeakEwma`): a sample above it is believed at once, one below moves it by
/// the time since the sample before. So it forgets by time, not by count, and takes one word of memory however many
/// samples come. Without samples it stays: unlike Finagle's it does not sink while a deployment gets nothing, or where
/// requests are few all would soon look alike.
///
/// Of an answer that failed, or that the caller did not wait for, it is known only that it would have taken longer. That
/// raises a number, and never lowers one.
///
/// Samples are taken while a [`Strategy`](crate::balance::Strategy) that [reads
/// them](crate::balance::Strategy::latency_decay) has the deployment; otherwise there are none, and no cost. What is read
/// here is as of the last sample.
// In a line of its own: a pick reads those of many, while their answers come in.
#[repr(align(64))]
pub struct Latency {
    epoch: Instant,
    /// One by the decay time in seconds, as the bits of an `f32`; 0 while nothing reads.
    rate: AtomicU32,
    /// Requests whose answer has not begun, or not ended if it is no stream.
    awaited: AtomicU32,
    /// By [`Measure`], in seconds.
    times: [AtomicU64; 4],
    failed: AtomicU64,
}

/// What time is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    FirstByte,
    FirstChunk,
    Whole,
    PerToken,
}

/// What a strategy reads of a deployment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    /// In seconds; none before the first sample.
    pub(crate) time: Option<f32>,
    /// What it takes at least, in seconds, where that is all that is known.
    pub(crate) at_least: f32,
    /// The share of failures, of 1; none before the first answer.
    pub(crate) failed: Option<f32>,
}

impl Latency {
    /// The time until the response head.
    #[must_use]
    pub fn first_byte(&self) -> Option<Duration> {
        self.last(Measure::FirstByte)
    }

    /// The time until the first bytes of the body, of answers that are streams.
    #[must_use]
    pub fn first_chunk(&self) -> Option<Duration> {
        self.last(Measure::FirstChunk)
    }

    /// The time until the end of the body, of answers that are no streams.
    #[must_use]
    pub fn whole(&self) -> Option<Duration> {
        self.last(Measure::Whole)
    }

    /// The time of a whole answer for each token of its output, where `llm::Meter` counts them.
    #[must_use]
    pub fn per_token(&self) -> Option<Duration> {
        self.last(Measure::PerToken)
    }

    /// The share of answers that were failures, of 1; none before the first answer.
    #[must_use]
    pub fn failed_share(&self) -> Option<f32> {
        let share = Estimate::of_word(self.failed.load(Relaxed))?.value();
        Some((share * 1e6).round() / 1e6)
    }

    fn last(&self, measure: Measure) -> Option<Duration> {
        let seconds = f64::from(self.known(measure).filter(|known| !known.is_bound())?.value());
        // More digits than it has would be noise.
        Duration::try_from_secs_f64((seconds * 1e6).round() / 1e6).ok()
    }

    /// Takes samples from now on, each to weigh less by `decay`. The last to say so holds.
    pub(crate) fn sample_over(&self, decay: Duration) {
        let rate = decay.as_secs_f32().max(1e-3).recip();
        self.rate.store(rate.to_bits(), Relaxed);
    }

    /// Whether something reads the samples.
    #[inline]
    pub(crate) fn is_read(&self) -> bool {
        self.rate.load(Relaxed) != 0
    }

    /// One by the decay time, where something reads the samples.
    fn rate(&self) -> Option<f32> {
        let bits = self.rate.load(Relaxed);
        (bits != 0).then(|| f32::from_bits(bits))
    }

    /// Whether there was any sample of `measure`: more than a bound, which may be of what never comes here.
    pub(crate) fn knows(&self, measure: Measure) -> bool {
        self.known(measure).is_some_and(|known| !known.is_bound())
    }

    fn known(&self, measure: Measure) -> Option<Estimate> {
        Estimate::of_word(self.cell(measure).load(Relaxed))
    }

    /// What is to be expected [`now`](Self::time).
    #[inline]
    pub(crate) fn read(&self, measure: Measure, now: u32) -> Reading {
        let known = self.known(measure);
        let bound = known.filter(|known| known.is_bound());
        let failed = Estimate::of_word(self.failed.load(Relaxed));
        Reading {
            time: known.filter(|known| !known.is_bound()).map(Estimate::value),
            at_least: bound.map_or(0.0, Estimate::value),
            // Most never fail.
            failed: failed.map(|one| if one.is_least() { 0.0 } else { self.faded(one, now) }),
        }
    }

    /// What is left of the share of failures, if answers came later of which it is not known whether they failed: streams
    /// that are left before their end would keep it for ever.
    fn faded(&self, failed: Estimate, now: u32) -> f32 {
        let heard = self.known(Measure::FirstByte).map_or(f32::INFINITY, |head| head.age(now));
        let seconds = (failed.age(now) - heard).max(0.0);
        self.rate().map_or(failed.value(), |rate| failed.faded(seconds, rate))
    }

    /// For how many seconds nothing was heard; `f32::INFINITY` where nothing ever was. None where an answer is awaited,
    /// but for one that has been so for long: it may never come.
    pub(crate) fn silence(&self, now: u32) -> Option<f32> {
        /// In seconds.
        const HUNG: f32 = 60.0;
        let ended = Estimate::of_word(self.failed.load(Relaxed));
        let last = [self.known(Measure::FirstByte), ended].into_iter().flatten();
        let silence = last.map(|last| last.age(now)).fold(f32::INFINITY, f32::min);
        (silence > HUNG || self.awaited.load(Relaxed) == 0).then_some(silence)
    }

    /// Enters a whole answer of so many `tokens`, whose request was `started` then, and which ends now.
    #[cfg_attr(
        not(feature = "llm"),
        expect(dead_code, reason = "only answers of models have tokens")
    )]
    pub(crate) fn answered_in(&self, tokens: u64, started: Instant) {
        /// Of a shorter answer, most of the time is not its tokens'.
        const FEWEST: u64 = 16;
        if tokens >= FEWEST && self.rate().is_some() {
            let now = Instant::now();
            let took = now.saturating_duration_since(started);
            #[expect(clippy::cast_precision_loss, reason = "no answer has 2^24 tokens")]
            let each = took.as_secs_f32() / tokens as f32;
            self.took(Measure::PerToken, each, now);
        }
    }

    /// Enters a time in seconds.
    fn took(&self, measure: Measure, seconds: f32, now: Instant) {
        self.update(self.cell(measure), now, |before, now, rate| {
            Estimate::peak(before, seconds, now, rate)
        });
    }

    /// Enters a time that was at least so long: it raises what is known, and never lowers it.
    fn took_at_least(&self, measure: Measure, seconds: f32, now: Instant) {
        self.update(self.cell(measure), now, |before, now, _| {
            Estimate::at_least(before, seconds, now)
        });
    }

    fn ended(&self, failed: bool, now: Instant) {
        self.update(&self.failed, now, |before, now, rate| {
            Estimate::share(before, failed, now, rate)
        });
    }

    fn update(
        &self,
        cell: &AtomicU64,
        now: Instant,
        next: impl Fn(Option<Estimate>, u32, f32) -> Estimate,
    ) {
        let Some(rate) = self.rate() else { return };
        let now = self.time(now);
        let step = |word| Some(next(Estimate::of_word(word), now, rate).word());
        // There is always something to enter.
        let _ = cell.fetch_update(Relaxed, Relaxed, step);
    }

    const fn cell(&self, measure: Measure) -> &AtomicU64 {
        &self.times[measure as usize]
    }

    /// `now` by the clock of these latencies.
    pub(crate) fn time(&self, now: Instant) -> u32 {
        Self::clock(self.epoch, now)
    }

    /// The milliseconds from `epoch` to `now`, which may be before it; wraps.
    #[expect(clippy::cast_possible_truncation, reason = "it wraps")]
    pub(crate) fn clock(epoch: Instant, now: Instant) -> u32 {
        let since = |before, after: Instant| after.saturating_duration_since(before);
        let wrapped = |time: Duration| {
            (time.as_secs() as u32).wrapping_mul(1000).wrapping_add(time.subsec_millis())
        };
        wrapped(since(epoch, now)).wrapping_sub(wrapped(since(now, epoch)))
    }
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            epoch: Instant::now(),
            rate: AtomicU32::default(),
            awaited: AtomicU32::default(),
            times: Default::default(),
            failed: AtomicU64::default(),
        }
    }
}

impl fmt::Debug for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latency")
            .field("first_byte", &self.first_byte())
            .field("first_chunk", &self.first_chunk())
            .field("whole", &self.whole())
            .field("per_token", &self.per_token())
            .field("failed_share", &self.failed_share())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
