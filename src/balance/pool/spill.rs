//! How requests spread over the tiers of a group that spills.
//!
//! The priority levels of Envoy: a tier is as healthy as the share of its slots that are in, times a factor; it takes
//! that share of the requests, and what is left goes to the next. For a request that not every member can take, those
//! that can make up the tier.

use super::{Needs, Pool};

impl Pool {
    /// How much of a tier may be out before it sheds requests; none to use a higher order only where no lower one has
    /// room.
    pub(crate) fn set_spill(&mut self, factor: Option<f32>) {
        // Where all is well, the first tier takes all.
        self.spill = factor.map(|factor| factor.max(1.0));
    }

    /// The tier that is asked first: the others follow in order, from the lowest again after the highest.
    pub(super) fn first_tier(&mut self, factor: f32, needs: Option<Needs<'_>>) -> usize {
        // Most of the time all is well.
        if self.tiers.is_empty() || self.health(0, factor, needs) >= 1.0 {
            return 0;
        }
        let drawn = self.rng.f32();
        let health = |tier| self.health(tier, factor, needs);
        let tiers = 0..self.tiers.len();
        let drawn = drawn * tiers.clone().map(health).sum::<f32>().min(1.0);
        let mut upto = 0.0;
        let takes = |tier: &usize| {
            upto += health(*tier);
            drawn < upto
        };
        tiers.into_iter().find(takes).unwrap_or(0)
    }

    /// The share of a tier's slots that are in, of the members that meet `needs`, times `factor`, of 1.
    #[expect(clippy::cast_precision_loss, reason = "a group has few slots")]
    fn health(&self, tier: usize, factor: f32, needs: Option<Needs<'_>>) -> f32 {
        let (ready, all) = if needs.is_some() {
            let able = self.live().filter(|member| member.tier == tier && member.meets(needs));
            able.fold((0, 0), |(ready, all), member| {
                let slots = member.slots();
                (ready + if member.is_in { slots } else { 0 }, all + slots)
            })
        } else {
            let queue = &self.tiers[tier].queue;
            (queue.len(), queue.slots())
        };
        (ready as f32 / all.max(1) as f32 * factor).min(1.0)
    }
}
