//! What happened lately, in one sliding window.

use std::time::Duration;

use tokio::time::Instant;

use crate::outcome::FailureKind;

const BUCKETS: u8 = 10;
const KINDS: usize = FailureKind::ALL.len();

/// Counts of results over a window that slides in tenths, so what it holds is between nine tenths and the whole of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    buckets: [Bucket; BUCKETS as usize],
    newest: usize,
    /// When the newest bucket began; none before the first result.
    began: Option<Instant>,
    run: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    succeeded: u32,
    cancelled: u32,
    left: u32,
    failed: [u32; KINDS],
}

impl Record {
    pub(crate) fn success(&mut self, now: Instant, window: Duration) {
        self.bucket(now, window).succeeded += 1;
        self.run = 0;
    }

    pub(crate) fn failure(
        &mut self,
        kind: FailureKind,
        counts: bool,
        now: Instant,
        window: Duration,
    ) {
        self.bucket(now, window).failed[kind as usize] += 1;
        if counts {
            self.run += 1;
        }
    }

    pub(crate) fn cancelled(&mut self, now: Instant, window: Duration) {
        self.bucket(now, window).cancelled += 1;
    }

    /// A caller that went away in the middle of a response: the deployment did answer.
    pub(crate) fn left(&mut self, now: Instant, window: Duration) {
        self.bucket(now, window).left += 1;
    }

    /// Failures in a row, of the kinds that count, without a success between.
    pub(crate) fn run(&self) -> u32 {
        self.run
    }

    /// Failures of the kinds `which` picks.
    pub(crate) fn failed(&self, which: impl Fn(FailureKind) -> bool) -> u32 {
        let of = |kind: FailureKind| {
            self.buckets.iter().map(|bucket| bucket.failed[kind as usize]).sum::<u32>()
        };
        FailureKind::ALL.iter().filter(|kind| which(**kind)).map(|kind| of(*kind)).sum()
    }

    pub(crate) fn succeeded(&self) -> u32 {
        self.buckets.iter().map(|bucket| bucket.succeeded).sum()
    }

    /// Requests that came to an answer, whatever it was.
    pub(crate) fn answered(&self) -> u32 {
        let left = self.buckets.iter().map(|bucket| bucket.left).sum::<u32>();
        self.succeeded() + self.failed(|_| true) + left
    }

    pub(crate) fn cancellations(&self) -> u32 {
        self.buckets.iter().map(|bucket| bucket.cancelled).sum()
    }

    /// The newest bucket, after those that have left the window were emptied.
    fn bucket(&mut self, now: Instant, window: Duration) -> &mut Bucket {
        let width = (window / u32::from(BUCKETS)).max(Duration::from_nanos(1));
        let began = *self.began.get_or_insert(now);
        let passed = now.saturating_duration_since(began);
        if passed < width {
            return &mut self.buckets[self.newest];
        }
        let passed = passed.as_nanos() / width.as_nanos();
        if passed >= u128::from(BUCKETS) {
            self.buckets = Default::default();
            self.began = Some(now);
        } else {
            for _ in 0..passed {
                self.newest = (self.newest + 1) % self.buckets.len();
                self.buckets[self.newest] = Bucket::default();
            }
            self.began = Some(began + width * u32::try_from(passed).unwrap_or(u32::MAX));
        }
        &mut self.buckets[self.newest]
    }
}
