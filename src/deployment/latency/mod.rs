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
/// samples come. Read by a strategy, a number also fades toward 0 while no answer is awaited, so that a deployment that
/// was slow, or failed, is tried again.
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
    /// Requests whose answer has not begun.
    awaited: AtomicU32,
    /// By [`Measure`], in seconds.
    times: [AtomicU64; 3],
    failed: AtomicU64,
}

/// What time is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    FirstByte,
    FirstChunk,
    PerToken,
}

/// What a strategy reads of a deployment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    /// In seconds; none before the first sample.
    pub(crate) time: Option<f32>,
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
        let seconds = f64::from(Estimate::of_word(self.cell(measure).load(Relaxed))?.value());
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

    /// Whether there was any sample of `measure`.
    pub(crate) fn knows(&self, measure: Measure) -> bool {
        self.cell(measure).load(Relaxed) != 0
    }

    /// What is to be expected [`now`](Self::time).
    #[inline]
    pub(crate) fn read(&self, measure: Measure, now: u32) -> Reading {
        let [time, failed] =
            [self.cell(measure), &self.failed].map(|cell| Estimate::of_word(cell.load(Relaxed)));
        // While answers are awaited they may be what is slow, and what was known holds.
        let Some(rate) = self.rate().filter(|_| self.awaited.load(Relaxed) == 0) else {
            return Reading {
                time: time.map(Estimate::value),
                failed: failed.map(Estimate::value),
            };
        };
        let faded = |estimate: Estimate| estimate.faded(now, rate);
        // Most never fail, and nothing fades to nothing.
        let share = |failed: Estimate| if failed.is_least() { 0.0 } else { faded(failed) };
        Reading { time: time.map(faded), failed: failed.map(share) }
    }

    /// For how many seconds there was no answer, none where one is awaited; `f32::INFINITY` where there never was any.
    pub(crate) fn silence(&self, now: u32) -> Option<f32> {
        if self.awaited.load(Relaxed) > 0 {
            return None;
        }
        let last = Estimate::of_word(self.failed.load(Relaxed));
        Some(last.map_or(f32::INFINITY, |last| last.age(now)))
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
            Some(Estimate::peak(before, seconds, now, rate))
        });
    }

    /// Enters a time that was at least so long: it raises what is known, and never lowers it.
    fn took_at_least(&self, measure: Measure, seconds: f32, now: Instant) {
        self.update(self.cell(measure), now, |before, now, _| {
            before.map(|before| before.at_least(seconds, now))
        });
    }

    fn ended(&self, failed: bool, now: Instant) {
        self.update(&self.failed, now, |before, now, rate| {
            Some(Estimate::share(before, failed, now, rate))
        });
    }

    fn update(
        &self,
        cell: &AtomicU64,
        now: Instant,
        next: impl Fn(Option<Estimate>, u32, f32) -> Option<Estimate>,
    ) {
        let Some(rate) = self.rate() else { return };
        let now = self.time(now);
        let step = |word| next(Estimate::of_word(word), now, rate).map(Estimate::word);
        // Fails only where there is nothing to enter.
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
            .field("per_token", &self.per_token())
            .field("failed_share", &self.failed_share())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
