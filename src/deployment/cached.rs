use std::sync::atomic::{AtomicU64, Ordering};

/// How many answers are needed for a mean to be worth something, and about how many it looks back on.
const MANY: u32 = 32;

/// A decayed mean of the share of the input that came from the provider's cache, and of how many answers: the plain mean
/// of the first [`MANY`], then each answer moves it by one part in as many.
#[derive(Debug, Default)]
pub(super) struct CachedShare(AtomicU64);

impl CachedShare {
    pub(super) fn add(&self, share: f32) {
        let add = |state| {
            let (mean, count) = unpack(state);
            let count = (count + 1).min(MANY);
            #[expect(clippy::cast_precision_loss, reason = "a small number")]
            Some(pack(mean + (share - mean) / count as f32, count))
        };
        // It never gives up.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// None until enough answers have come.
    pub(super) fn get(&self) -> Option<f64> {
        let (mean, count) = unpack(self.0.load(Ordering::Relaxed));
        (count == MANY).then(|| f64::from(mean))
    }
}

fn pack(mean: f32, count: u32) -> u64 {
    u64::from(mean.to_bits()) << 32 | u64::from(count)
}

#[expect(clippy::cast_possible_truncation, reason = "the two halves")]
fn unpack(state: u64) -> (f32, u32) {
    (f32::from_bits((state >> 32) as u32), state as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_is_known_after_enough_answers_and_forgets_old_ones() {
        let cached = CachedShare::default();
        for _ in 1..MANY {
            cached.add(0.5);
            assert_eq!(cached.get(), None);
        }
        cached.add(0.5);
        assert_eq!(cached.get(), Some(0.5));
        for _ in 0..10 * MANY {
            cached.add(0.0);
        }
        assert!(cached.get().unwrap() < 0.001);
    }
}
