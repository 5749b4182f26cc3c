//! How requests spread over the tiers of a group that spills.
//!
//! The priority levels of Envoy: a tier is as healthy as the share of its slots that are in, times a factor; it takes
//! that share of the requests, and what is left goes to the next.

use super::{Pool, Tier};

impl Pool {
    /// How much of a tier may be out before it sheds requests; none to use a higher order only where no lower one has
    /// room.
    pub(crate) fn set_spill(&mut self, factor: Option<f32>) {
        // Where all is well, the first tier takes all.
        self.spill = factor.map(|factor| factor.max(1.0));
    }

    /// The tier that is asked first: the others follow in order, from the lowest again after the highest.
    pub(super) fn first_tier(&mut self, factor: f32) -> usize {
        let health = |tier: &Tier| tier.health(factor);
        // Most of the time all is well.
        if self.tiers.first().is_none_or(|first| health(first) >= 1.0) {
            return 0;
        }
        let total = self.tiers.iter().map(health).sum::<f32>().min(1.0);
        let drawn = self.rng.f32() * total;
        let mut upto = 0.0;
        let takes = |tier| {
            upto += health(tier);
            drawn < upto
        };
        self.tiers.iter().position(takes).unwrap_or(0)
    }
}

impl Tier {
    /// The share of its slots that are in, times `factor`, of 1.
    #[expect(clippy::cast_precision_loss, reason = "a group has few slots")]
    fn health(&self, factor: f32) -> f32 {
        let all = self.queue.slots().max(1);
        (self.queue.len() as f32 / all as f32 * factor).min(1.0)
    }
}
