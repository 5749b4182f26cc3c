//! How long to wait before the same deployment is tried again.

use std::time::Duration;

/// Exponential backoff with full jitter: a wait drawn evenly from zero to a ceiling that doubles
/// with each retry.
///
/// This is "full jitter" of the AWS Architecture Blog's [Exponential Backoff And Jitter], which
/// found it to ask the least work of the servers. The default base and maximum, 0.5 s and 8 s, are
/// LiteLLM's (`INITIAL_RETRY_DELAY`, `MAX_RETRY_DELAY`); LiteLLM itself waits for the ceiling and
/// adds up to 0.75 s.
///
/// ```
/// use std::time::Duration;
/// use tower_fleet::retry::Backoff;
///
/// let backoff = Backoff::default().floor(Duration::from_millis(100));
/// let mut rng = fastrand::Rng::with_seed(7);
/// let wait = backoff.delay(2, &mut rng);
/// assert!(wait >= Duration::from_millis(100) && wait <= Duration::from_secs(2));
/// ```
///
/// [Exponential Backoff And Jitter]: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    base: Duration,
    max: Duration,
    floor: Duration,
}

impl Backoff {
    /// Makes a backoff whose ceiling is `base` for the first retry, doubles with each further one,
    /// and ends at `max`.
    ///
    /// A zero `base` means no wait; a `base` above `max` counts as `max`.
    #[must_use]
    pub const fn new(base: Duration, max: Duration) -> Self {
        Self { base, max, floor: Duration::ZERO }
    }

    /// Sets the least wait of the backoff (a `Retry-After` goes before it), LiteLLM's router setting `retry_after`; zero by
    /// default.
    ///
    /// Zero leaves the jitter whole: a floor gathers again what it would have spread. A draw below
    /// the floor becomes the floor, and a floor above the maximum takes its place, so that every
    /// wait is the floor.
    #[must_use]
    pub const fn floor(self, floor: Duration) -> Self {
        Self { floor, ..self }
    }

    /// Draws the wait before a retry; `retry` is 0 for the first.
    ///
    /// The wait is even in `0..=min(max, base × 2^retry)`, then raised to the floor. It saturates
    /// and never panics.
    #[must_use]
    pub fn delay(&self, retry: u32, rng: &mut fastrand::Rng) -> Duration {
        let factor = 1_u64.checked_shl(retry).unwrap_or(u64::MAX);
        let ceiling = nanos(self.base).saturating_mul(factor).min(nanos(self.max));
        Duration::from_nanos(rng.u64(0..=ceiling)).max(self.floor)
    }
}

impl Default for Backoff {
    /// A base of 0.5 s, a maximum of 8 s and no floor.
    fn default() -> Self {
        Self::new(Duration::from_millis(500), Duration::from_secs(8))
    }
}

/// Whole nanoseconds, at most `u64::MAX` (584 years, which is as good as for ever).
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seeded() -> fastrand::Rng {
        fastrand::Rng::with_seed(7)
    }

    /// The ceiling the long way: by doubling, in numbers that cannot overflow before they pass any
    /// `max`.
    fn ceiling(base: Duration, max: Duration, retry: u32) -> Duration {
        let mut ceiling = base.min(max);
        for _ in 0..retry.min(128) {
            ceiling = ceiling.saturating_mul(2).min(max);
        }
        ceiling
    }

    fn duration() -> impl Strategy<Value = Duration> {
        prop_oneof![
            Just(Duration::ZERO),
            Just(Duration::MAX),
            (0..10_000_000_000_u64).prop_map(Duration::from_nanos),
            (any::<u64>(), 0..1_000_000_000_u32).prop_map(|(s, n)| Duration::new(s, n)),
        ]
    }

    proptest! {
        #[test]
        fn a_wait_lies_between_the_floor_and_the_ceiling(
            base in duration(),
            max in duration(),
            floor in duration(),
            retry in prop_oneof![0..200_u32, any::<u32>(), Just(u32::MAX)],
            seed in any::<u64>(),
        ) {
            let mut rng = fastrand::Rng::with_seed(seed);
            let jittered = Backoff::new(base, max).delay(retry, &mut rng);
            prop_assert!(jittered <= ceiling(base, max, retry));

            let wait = Backoff::new(base, max).floor(floor).delay(retry, &mut rng);
            prop_assert!(wait >= floor);
            prop_assert!(wait <= ceiling(base, max, retry).max(floor));
        }
    }

    #[test]
    fn the_ceiling_doubles_up_to_the_maximum() {
        let mut rng = seeded();
        for (retry, millis) in [(0, 500), (1, 1000), (2, 2000), (3, 4000), (4, 8000), (5, 8000)] {
            let longest = (0..10_000).map(|_| Backoff::default().delay(retry, &mut rng)).max();
            let ceiling = Duration::from_millis(millis);
            assert!(longest.is_some_and(|wait| wait <= ceiling && wait > ceiling.mul_f64(0.99)));
        }
    }

    #[test]
    fn a_tiny_base_still_reaches_the_maximum() {
        let max = Duration::from_secs(3600);
        let backoff = Backoff::new(Duration::from_nanos(1), max);
        let mut rng = seeded();
        assert!((0..100).any(|_| backoff.delay(u32::MAX, &mut rng) > max / 2));
    }

    #[test]
    fn the_mean_wait_is_half_the_ceiling() {
        let mut rng = seeded();
        let total: Duration = (0..10_000).map(|_| Backoff::default().delay(4, &mut rng)).sum();
        let mean = total / 10_000;
        assert!(mean > Duration::from_millis(3900) && mean < Duration::from_millis(4100));
    }

    #[test]
    fn a_zero_base_waits_only_for_the_floor() {
        let mut rng = seeded();
        let backoff = Backoff::new(Duration::ZERO, Duration::from_secs(8));
        assert_eq!(backoff.delay(u32::MAX, &mut rng), Duration::ZERO);
        let floor = Duration::from_secs(1);
        assert_eq!(backoff.floor(floor).delay(3, &mut rng), floor);
    }

    #[test]
    fn a_floor_above_the_maximum_is_every_wait() {
        let mut rng = seeded();
        let floor = Duration::from_secs(30);
        assert_eq!(Backoff::default().floor(floor).delay(9, &mut rng), floor);
    }
}
